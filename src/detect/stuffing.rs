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
        let lately = &seen.lately;
        let met = lately.logins_failed >= 5 && is_over(lately.logins_failed, 60, lately.logins);
        let confidence = if lately.logins_failed >= 10 { 0.95 } else { 0.8 };
        let evidence = [
            evidence("logins_failed", lately.logins_failed, 5_u32),
            evidence("logins", lately.logins, 5_u32),
        ];
        Suspicion::when(met, "failed-logins", confidence, evidence)
    }
}
