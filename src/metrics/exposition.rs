//! From numbers to Prometheus's text exposition format.

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::definitions::{Definition, Kind};

/// The families of one scrape, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    families: Vec<MetricFamily>,
}

/// A histogram as it was counted: one count per bound and one above them all, and the sum in nanoseconds.
#[derive(Debug)]
pub(super) struct Counted<'a> {
    pub(super) bounds_ns: &'a [u64],
    /// One longer than `bounds_ns`; not cumulative.
    pub(super) counts: Vec<u64>,
    pub(super) sum_ns: u64,
}

impl Exposition {
    /// Adds a counter or gauge without labels.
    pub(super) fn single(&mut self, of: &Definition, value: u64) {
        self.family(of, [number(of, &[], whole(value))]);
    }

    /// Adds a counter or gauge, one value for each combination of label values.
    pub(super) fn labelled<'a>(
        &mut self,
        of: &Definition,
        series: impl IntoIterator<Item = (Vec<&'a str>, f64)>,
    ) {
        self.family(of, series.into_iter().map(|(labels, value)| number(of, &labels, value)));
    }

    pub(super) fn histogram<'a>(
        &mut self,
        of: &Definition,
        series: impl IntoIterator<Item = (&'a str, Counted<'a>)>,
    ) {
        self.family(of, series.into_iter().map(|(label, counted)| histogram(of, label, &counted)));
    }

    /// Adds what another collector made.
    pub(super) fn foreign(&mut self, families: Vec<MetricFamily>) {
        self.families.extend(families);
    }

    pub(super) fn text(&self) -> String {
        // Fails only for a family without a name or without series; `family` adds neither.
        TextEncoder::new().encode_to_string(&self.families).unwrap_or_else(|error| format!("# {error}\n"))
    }

    fn family(&mut self, of: &Definition, metrics: impl IntoIterator<Item = Metric>) {
        let metrics: Vec<Metric> = metrics.into_iter().collect();
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(of.name.to_owned());
        family.set_help(of.help.to_owned());
        family.set_field_type(match of.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        family.set_metric(metrics);
        self.families.push(family);
    }
}

/// The nearest number that the exposition format can say; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "the format has only floating point")]
pub(super) fn whole(value: u64) -> f64 {
    value as f64
}

pub(super) fn seconds(nanos: u64) -> f64 {
    whole(nanos) / 1e9
}

fn number(of: &Definition, labels: &[&str], value: f64) -> Metric {
    let mut metric = Metric::from_label(pairs(of, labels));
    match of.kind {
        Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        }
        Kind::Gauge => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        Kind::Histogram => debug_assert!(false, "{} is a histogram", of.name),
    }
    metric
}

fn histogram(of: &Definition, label: &str, counted: &Counted<'_>) -> Metric {
    let mut cumulative = 0;
    let buckets = counted.bounds_ns.iter().zip(&counted.counts).map(|(&bound, count)| {
        cumulative += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(seconds(bound));
        bucket.set_cumulative_count(cumulative);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(counted.counts.iter().sum());
    histogram.set_sample_sum(seconds(counted.sum_ns));
    let mut metric = Metric::from_label(pairs(of, &[label]));
    metric.set_histogram(histogram);
    metric
}

fn pairs(of: &Definition, values: &[&str]) -> Vec<LabelPair> {
    debug_assert_eq!(of.labels.len(), values.len(), "label values of {}", of.name);
    of.labels
        .iter()
        .zip(values)
        .map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        })
        .collect()
}
