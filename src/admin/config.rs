//! `/config`: what runs, as opposed to what is written in the file now.

use serde_json::{Value, json};

use super::Admin;
use super::answer::{self, Answer, JSON};
use crate::policy::Policy;

pub(super) fn in_force(admin: &Admin) -> Answer {
    answer::ok(JSON, format!("{:#}\n", describe(&(admin.policy)())))
}

/// The policy without secrets.
fn describe(policy: &Policy) -> Value {
    json!({
        "upstreams": policy.upstreams.iter().map(|upstream| &upstream.name).collect::<Vec<_>>(),
        "routes": policy.routes.iter().map(|route| &route.name).collect::<Vec<_>>(),
        "limits": policy.limits.iter().map(|limit| &limit.name).collect::<Vec<_>>(),
    })
}
