//! Unreasonable load: an account's share of an upstream against its fair share.
//!
//! The measure is `engine::load`, from what every account takes of every upstream at once; nothing of one principal's
//! own conduct shows it, so this detector has nothing to look at here. Its thresholds are those of `[load]`.

use super::{Detector, Seen, Spec, Suspicion};
use crate::clause::Behaviour;

pub(super) const SPEC: Spec =
    Spec { behaviour: Behaviour::Load, knobs: &[], is_demand: false, build: |_| Box::new(Load) };

#[derive(Debug)]
struct Load;

impl Detector for Load {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Load
    }

    fn judge(&self, _: &Seen<'_>) -> Option<Suspicion> {
        None
    }
}
