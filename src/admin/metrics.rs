//! `/metrics`, for Prometheus.

use std::sync::Arc;

use http::HeaderValue;

use super::answer::{self, Answer};
use super::asked::Asked;
use super::{Admin, mode};

/// Prometheus's text exposition format.
const EXPOSITION: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Asks for what nobody counts as it happens, and writes all of it down.
pub(super) fn scrape(admin: &Arc<Admin>, _: &Asked) -> Answer {
    admin.metrics.set_state(admin.engine.stats());
    mode::measure(admin);
    admin.metrics.set_ready((admin.readiness)().ready);
    answer::ok(EXPOSITION, admin.metrics.render())
}
