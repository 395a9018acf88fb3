//! The name that was probably meant.

/// The one of `names` that is nearest to `written`, if any is near enough to be worth offering.
///
/// Near enough: at most one edit for every four characters, and one more; a swap of neighbours is one edit.
pub fn nearest<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    /// No key or name that people type is longer; the comparison is quadratic.
    const LENGTH_MAX: usize = 64;
    if written.len() > LENGTH_MAX {
        return None;
    }
    let folded = written.to_lowercase().replace(['_', ' '], "-");
    names
        .into_iter()
        .filter(|name| name.len() <= LENGTH_MAX)
        .map(|name| (strsim::damerau_levenshtein(&folded, &name.to_lowercase().replace('_', "-")), name))
        .filter(|(edits, _)| *edits <= 1 + written.chars().count() / 4)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    /// Promise: a slip of the finger is recognised, another word is not.
    #[test]
    fn slips_are_recognised() {
        assert_eq!(nearest("limts", ["limits", "listen"]), Some("limits"));
        assert_eq!(nearest("ap", ["app", "sms"]), Some("app"));
        assert_eq!(nearest("per-acount", ["per-client", "per-account"]), Some("per-account"));
        assert_eq!(nearest("Sliding_Window", ["sliding-window", "gcra"]), Some("sliding-window"));
        assert_eq!(nearest("banana", ["s", "min", "h"]), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), ["x"]), None);
    }
}
