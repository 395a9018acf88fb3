//! Sliding-window primitives for detectors: pure, bounded, `now` is an argument.
//!
//! | primitive | counts | memory | error |
//! |---|---|---|---|
//! | [`Horizons`] | events in the last 10 s, 1 min, 10 min, 1 h, 24 h | 100 B | at most an eighth of the window too long |
//! | [`Aged`] | anything that adds up, over a long window | twice the value | linear between two halves of the window |
//! | [`Intervals`] | mean and deviation of the times between events | 24 B | none up to 1,023, then older ones count less |
//! | [`Recent`] | the last few hashes | 4 B each | one in 2^32 a pair |
//! | [`Heavy`] | the heaviest of very many | a count, a key and a value for each of so many places | one in `places` of all |
//! | [`Variety`] | the entropy of what comes | 2 B a bucket | never above the true one; what shares a bucket is one |
//! | [`Distinct`] | how many different | 4 B each of the last few, 136 B more beyond those | none, then 7 % (standard error) |

mod aged;
mod distinct;
mod heavy;
mod horizons;
mod intervals;
mod recent;
mod variety;

pub use aged::{Aged, Fade};
pub use distinct::Distinct;
pub use heavy::{Heavy, Weight};
pub use horizons::{Horizon, Horizons};
pub use intervals::Intervals;
pub use recent::Recent;
pub use variety::Variety;
