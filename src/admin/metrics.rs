//! `/metrics`, for Prometheus.

use http::HeaderValue;

use super::Admin;
use super::answer::{self, Answer};

/// Prometheus's text exposition format.
const EXPOSITION: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Asks for what nobody counts as it happens, and writes all of it down.
pub(super) fn scrape(admin: &Admin) -> Answer {
    admin.metrics.set_state(admin.engine.stats());
    admin.metrics.set_ready((admin.readiness)().ready);
    answer::ok(EXPOSITION, admin.metrics.render())
}
