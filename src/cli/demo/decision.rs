//! What weir decided about one request, as the demo speaks of it.

use std::time::Duration;

use http::{Method, StatusCode};

use super::cast::Visitor;
use crate::policy::LimitId;

/// One decision of weir's about one visitor's request.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    /// Since the demo began.
    pub at: Duration,
    pub visitor: Visitor,
    pub method: Method,
    /// The path with its query.
    pub target: String,
    pub status: StatusCode,
    pub fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The app answered.
    Admitted,
    Refused(LimitId),
    /// weir answered for another reason, such as an app that cannot be reached.
    Failed,
}
