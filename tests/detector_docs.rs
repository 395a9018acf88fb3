//! The pages on the detectors, held against the registry.

use std::path::Path;

use weir::detect::{Knob, specs};

/// What each page says, in this order.
const SECTIONS: &[&str] = &[
    "## What it sees",
    "## What can be set",
    "## What it costs",
    "## What evades it",
    "## What it may hit wrongly",
];

/// Promise: every detector has a page with everything an operator asks, and its thresholds stand there as they are.
#[test]
fn every_detector_has_its_page() {
    for spec in specs() {
        let name = spec.behaviour.name();
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/detectors").join(format!("{name}.md"));
        let text =
            std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(text.starts_with(&format!("# {name}\n")), "{name}: the title is its name");
        let places: Vec<_> = SECTIONS.iter().map(|section| text.find(section)).collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{name}: {SECTIONS:?} at {places:?}"
        );
        let settings = text.split("## What can be set").nth(1).unwrap_or_default();
        let settings = settings.split("\n## ").next().unwrap_or_default();
        let written: Vec<_> =
            settings.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect();
        let declared: Vec<_> = spec.knobs.iter().map(row).collect();
        assert_eq!(written, declared, "{name}: the rows should be\n{}\n", declared.join("\n"));
    }
}

fn row(knob: &Knob) -> String {
    let Knob { name, default, min, max, about } = knob;
    format!("| `{name}` | {default} | {min} to {max} | {about} |")
}
