//! Credential stuffing: logins that fail.

use super::{Detector, Seen, Suspicion, evidence, is_over};
use crate::clause::Behaviour;

#[derive(Debug)]
pub(super) struct Stuffing;

impl Detector for Stuffing {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Stuffing
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let week = &seen.week;
        let met = week.logins_failed >= 5 && is_over(week.logins_failed, 60, week.logins);
        let confidence = if week.logins_failed >= 10 { 0.95 } else { 0.8 };
        let evidence =
            [evidence("logins_failed", week.logins_failed, 5_u32), evidence("logins", week.logins, 5_u32)];
        Suspicion::when(met, "failed-logins", confidence, evidence)
    }
}
