//! Waits that are told to many at once, spread out so that they do not all come back at once.

use std::time::Duration;

/// What is added to a wait, in thousandths of it.
const PERMILLE_MAX: u32 = 200;

/// By how much the waits of one response are lengthened where they are estimates.
#[derive(Clone, Copy, Debug)]
pub struct Jitter {
    permille: u32,
}

impl Jitter {
    /// Up to a fifth, another for each response.
    pub fn random() -> Self {
        Jitter { permille: fastrand::u32(0..=PERMILLE_MAX) }
    }

    pub fn lengthen(self, wait: Duration) -> Duration {
        wait.saturating_add(wait.saturating_mul(self.permille) / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: an estimate is never shorter than the wait, and at most a fifth longer.
    #[test]
    fn a_wait_is_lengthened_by_at_most_a_fifth() {
        let wait = Duration::from_secs(10);
        assert_eq!(Jitter { permille: 0 }.lengthen(wait), wait);
        assert_eq!(Jitter { permille: PERMILLE_MAX }.lengthen(wait), Duration::from_secs(12));
        assert_eq!(Jitter { permille: PERMILLE_MAX }.lengthen(Duration::MAX), Duration::MAX);
        for _ in 0..100 {
            assert!((wait..=Duration::from_secs(12)).contains(&Jitter::random().lengthen(wait)));
        }
    }
}
