//! Load as a measure: the defaults of `[load]`, and what an upstream's capacity amounts to.

use std::num::NonZeroU32;

use crate::config::shares::Load as Written;
use crate::config::upstreams::Capacity as WrittenCapacity;
use crate::config::{At, Diagnostic, Problems};
use crate::policy::load::{Capacity, Load, LoadWindow, Unreasonable};

const OVER: LoadWindow = LoadWindow::TenMinutes;
const WHEN_UTILISATION: u32 = 700;
/// Enough for a page that is slow by nature, so that the limiter never starves an upstream.
const ADAPTIVE_MIN: u32 = 8;
const ADAPTIVE_MAX: u32 = 1024;

pub(super) fn compile(written: &Written) -> Load {
    let default = Load::default();
    Load {
        top: written.top.unwrap_or(default.top),
        unreasonable: written.unreasonable.as_ref().map(|written| Unreasonable {
            share_permille: written.share_permille,
            over: written.over.unwrap_or(OVER),
            when_utilisation_permille: written.when_utilisation_permille.unwrap_or(WHEN_UTILISATION),
        }),
    }
}

pub(super) fn capacity(written: Option<&WrittenCapacity>, problems: &Problems) -> Capacity {
    match written {
        None => Capacity::Unbounded,
        Some(WrittenCapacity::Fixed(requests)) => Capacity::Fixed(positive(*requests)),
        Some(WrittenCapacity::Adaptive { min, max }) => adaptive(min.as_ref(), max.as_ref(), problems),
    }
}

fn adaptive(min: Option<&At<u32>>, max: Option<&At<u32>>, problems: &Problems) -> Capacity {
    let most = max.map_or(ADAPTIVE_MAX.max(min.map_or(0, |min| min.value)), |max| max.value);
    let least = min.map_or(ADAPTIVE_MIN.min(most), |min| min.value);
    if let (Some(min), Some(max)) = (min, max)
        && least > most
    {
        problems.add(
            Diagnostic::error(min.place, "`min` is above `max`")
                .expected(format!("at most {most}"))
                .related(max.place, "the most"),
        );
    }
    Capacity::Adaptive { min: positive(least), max: positive(most) }
}

/// The reader lets no zero through.
fn positive(requests: u32) -> NonZeroU32 {
    NonZeroU32::new(requests).unwrap_or(NonZeroU32::MIN)
}
