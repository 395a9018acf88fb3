//! `/healthz` and `/readyz`, for load balancers and orchestrators.

use std::sync::Arc;

use http::StatusCode;

use super::answer::{self, Answer, TEXT};
use super::asked::Asked;
use super::{Admin, Readiness};

/// Says only that the process runs and can answer: a reason to restart it when it does not.
pub(super) fn alive(_: &Arc<Admin>, _: &Asked) -> Answer {
    answer::ok(TEXT, "alive\n")
}

/// Says whether to send traffic: not while starting or draining, nor without a healthy upstream.
pub(super) fn ready(admin: &Arc<Admin>, _: &Asked) -> Answer {
    let Readiness { ready, reasons } = (admin.readiness)();
    if ready {
        return answer::ok(TEXT, "ready\n");
    }
    let detail = if reasons.is_empty() { "weir is not ready.".to_owned() } else { reasons.join(" ") };
    answer::problem(StatusCode::SERVICE_UNAVAILABLE, &detail, &[("reasons", reasons.into())])
}
