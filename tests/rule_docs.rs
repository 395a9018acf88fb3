//! docs/rules.md, held against what rules can name, and its examples against what is accepted.

use std::path::Path;

use weir::config;
use weir::policy::conduct::Rule;
use weir::rule::{Counter, FACTS, Memory, counters};

const MINIMAL: &str =
    "[listen]\nproxy = \"127.0.0.1:1\"\n[upstreams.app]\nservers = [\"127.0.0.1:2\"]\n[plans.free]\n";

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
    std::fs::read_to_string(page).expect("docs/rules.md")
}

/// The rows of the table between two marks.
fn rows(page: &str, mark: &str) -> Vec<String> {
    let table = page.split(&format!("<!-- {mark} -->")).nth(1).unwrap_or_default();
    let table = table.split(&format!("<!-- end of {mark} -->")).next().unwrap_or_default();
    table.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect()
}

/// Promise: the page lists every fact and every counter as it is, and none that is not there.
#[test]
fn the_page_lists_what_can_be_named() {
    let page = page();
    let facts: Vec<String> = FACTS.iter().map(|(name, about)| format!("| `{name}` | {about} |")).collect();
    assert_eq!(rows(&page, "facts"), facts, "the rows should be\n{}\n", facts.join("\n"));
    let numbers: Vec<String> = counters().map(row).collect();
    assert_eq!(rows(&page, "numbers"), numbers, "the rows should be\n{}\n", numbers.join("\n"));
}

fn row(counter: &Counter) -> String {
    let Counter { name, about, memory, is_demand, .. } = counter;
    let memory = match memory {
        Memory::Answer => "this answer",
        Memory::Hour => "an hour",
        Memory::Day => "a day",
        Memory::Month => "a month",
    };
    let refused = if *is_demand { "too" } else { "" };
    format!("| `{name}` | {about} | {memory} | {refused} |")
}

fn examples() -> Vec<Rule> {
    let page = page();
    let examples = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let rules = examples.map(|example| {
        let text = format!("{MINIMAL}{example}");
        let loaded = config::from_str("example", &text, Path::new("")).expect(example);
        loaded.policy.conduct.rules.into_iter().next().expect("one rule")
    });
    rules.collect()
}

/// Promise: every example of the page is accepted as it stands, and each is another rule.
#[test]
fn the_examples_are_accepted() {
    let rules = examples();
    let names: Vec<&str> = rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(
        names,
        [
            "exports-by-free-plans",
            "scripted-clients",
            "guessing",
            "shared-account",
            "search-mining",
            "clockwork",
            "broken-integration",
            "foreign-tenant"
        ]
    );
}

/// Promise: the error that the page shows is the one that is told.
#[test]
fn the_error_that_is_shown_is_told() {
    let text = format!(
        "{MINIMAL}[[rules]]\nname = \"a\"\nclause = \"custom\"\nwhen = '''\n  asked_1m > 100\n  && path.startWith(\"/search\")\n'''\n"
    );
    let found = config::from_str("weir.toml", &text, Path::new("")).unwrap_err().to_string();
    let told = found.split_once("error: ").map(|(_, told)| told);
    assert_eq!(
        told,
        Some(
            "a text has no `startWith`; expected `startsWith`, `endsWith` or `contains`; did you mean `startsWith`?"
        )
    );
    let page = page();
    assert!(page.contains("error: a text has no `startWith`\n"));
    assert!(page.contains("expected `startsWith`, `endsWith` or `contains`\n"));
}
