//! `/api/v1/decisions`: what was refused lately, and why.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;

use super::Admin;
use super::answer::{self, Answer};
use super::asked::{Asked, decoded};

/// How many are listed unless `limit` says otherwise, and at most.
const LISTED: usize = 50;
const LISTED_MAX: usize = 1000;

pub(super) const PATH: &str = "/api/v1/decisions";

/// The latest, as many as `limit` says.
pub(super) fn latest(admin: &Arc<Admin>, asked: &Asked) -> Answer {
    let limit = match asked.one("limit").map(|limit| limit.parse::<usize>()) {
        None => LISTED,
        Some(Ok(limit)) if limit <= LISTED_MAX => limit,
        Some(_) => {
            let detail = format!("`limit` is a number up to {LISTED_MAX}.");
            return answer::problem(StatusCode::BAD_REQUEST, &detail, &[]);
        }
    };
    let (now, wall) = (admin.clock.now(), admin.clock.wall());
    let latest = admin.refusals.latest(limit, now);
    let reports: Vec<_> = latest.iter().map(|refused| refused.report(now, wall)).collect();
    answer::json(&json!({ "decisions": reports }))
}

/// The one of the request whose id ends the path.
pub(super) fn of_request(admin: &Arc<Admin>, asked: &Asked) -> Answer {
    let id = asked.path.strip_prefix(PATH).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    let (now, wall) = (admin.clock.now(), admin.clock.wall());
    if let Some(refused) = admin.refusals.find(&decoded(id), now) {
        return answer::json(&refused.report(now, wall));
    }
    let detail = "No refusal of this request is remembered: it was forwarded, or refused more than an hour or thousands \
                  of refusals ago, or not by a limit.";
    answer::problem(StatusCode::NOT_FOUND, detail, &[])
}
