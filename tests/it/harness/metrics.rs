//! A scrape of `/metrics`, parsed from the Prometheus text exposition format 0.0.4.

use std::collections::BTreeMap;

/// Every sample of one scrape.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(Vec<Sample>);

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Metrics(
            samples.map(|line| sample(line).unwrap_or_else(|| panic!("not a sample: {line:?}"))).collect(),
        )
    }

    /// The sum over all samples of `name` that carry at least `labels`, rounded: for what counts whole
    /// things. Zero when there is none.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole and small")]
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let carries = |sample: &Sample| {
            labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|have| have == value))
        };
        let samples = self.0.iter().filter(|sample| sample.name == name && carries(sample));
        samples.map(|sample| sample.value).sum::<f64>().round() as u64
    }

    /// Whether the scrape has a sample of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|sample| sample.name == name)
    }

    /// Every value of every label, for tests that no client's data ends in one.
    pub(crate) fn label_values(&self) -> Vec<&str> {
        self.0.iter().flat_map(|sample| sample.labels.values().map(String::as_str)).collect()
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, rest)) = series.split_once('{') else {
        return Some(Sample { name: series.to_owned(), labels: BTreeMap::new(), value });
    };
    let mut labels = BTreeMap::new();
    let mut rest = rest.strip_suffix('}')?;
    while let Some((key, after)) = rest.split_once("=\"") {
        let (label, left) = quoted(after)?;
        labels.insert(key.to_owned(), label);
        rest = left.strip_prefix(',').unwrap_or(left);
    }
    rest.is_empty().then(|| Sample { name: name.to_owned(), labels, value })
}

/// A label value up to its closing quote, unescaped, and what follows the quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}
