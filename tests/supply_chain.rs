//! What weir is built from, held against deny.toml: licences, banned crates, sources, doubled versions.
//!
//! `cargo deny` checks the same and more (known vulnerabilities), but has to be installed and is slow to build.
//! This needs cargo alone, so a licence that weir cannot be handed on under never waits for a tool.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

/// Promise: every licence in the binary, its tests and its build is one that deny.toml allows.
#[test]
fn licences_are_allowed() {
    let deny = deny_toml();
    let allowed = strings(&deny["licenses"]["allow"]);
    let mut refused = String::new();
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or("none stated");
        if !licence_allows(licence, &allowed) {
            _ = writeln!(refused, "  {} {}: {licence}", text(&package, "name"), text(&package, "version"));
        }
    }
    assert!(
        refused.is_empty(),
        "these licences are not in deny.toml, [licenses] allow:\n{refused}\
         take another crate, or add the licence if weir can be handed on under it"
    );
}

/// Promise: a crate that deny.toml bans is nowhere in the graph, however it was brought in.
#[test]
fn banned_crates_are_absent() {
    let deny = deny_toml();
    let bans: BTreeMap<&str, &str> = array(&deny["bans"]["deny"])
        .iter()
        .filter_map(|ban| Some((ban.get("crate")?.as_str()?, ban.get("reason")?.as_str()?)))
        .collect();
    assert!(!bans.is_empty(), "deny.toml bans nothing: does this test still read it rightly?");
    for package in packages() {
        let name = text(&package, "name");
        if let Some(reason) = bans.get(name) {
            panic!("{name} is banned by deny.toml ({reason}); `cargo tree -i {name}` says who brings it");
        }
    }
}

/// Promise: every dependency comes from crates.io, where what was published cannot be changed afterwards.
#[test]
fn sources_are_known() {
    let deny = deny_toml();
    let registries = strings(&deny["sources"]["allow-registry"]);
    for package in packages() {
        // A path dependency has no source: this package itself.
        let Some(source) = package["source"].as_str() else { continue };
        let known = source.strip_prefix("registry+").is_some_and(|url| registries.contains(&url));
        assert!(
            known,
            "{} comes from {source}, which deny.toml, [sources], does not list",
            text(&package, "name")
        );
    }
}

/// Promise: two versions of a crate are in the graph only where deny.toml says who is to blame, and no line of
/// that list has outlived its reason.
#[test]
fn doubled_versions_are_explained() {
    let deny = deny_toml();
    let skips: Vec<&str> =
        array(&deny["bans"]["skip"]).iter().filter_map(|skip| skip.get("crate")?.as_str()).collect();

    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages() {
        versions.entry(text(&package, "name").into()).or_default().push(text(&package, "version").into());
    }
    versions.retain(|_, of_one| of_one.len() > 1);

    for (name, of_one) in &versions {
        let unexplained =
            of_one.iter().filter(|version| !skips.iter().any(|skip| covers(skip, name, version)));
        assert!(
            unexplained.count() <= 1,
            "{name} is in the graph in versions {of_one:?}; agree on one, or say in deny.toml, [bans] skip, who \
             brings the older one (`cargo tree -i {name}@VERSION`)"
        );
    }
    for skip in skips {
        let needed =
            versions.iter().any(|(name, of_one)| of_one.iter().any(|version| covers(skip, name, version)));
        assert!(needed, "deny.toml, [bans] skip: {skip} is not doubled any more; remove the line");
    }
}

/// Promise: every dependency was chosen, and ARCHITECTURE.md says what for.
#[test]
fn dependencies_are_explained() {
    let (_, reasons) =
        include_str!("../ARCHITECTURE.md").split_once("## Why these crates").expect("the section");
    for name in dependencies("dependencies").iter().chain(&dependencies("dev-dependencies")) {
        assert!(
            reasons.contains(&format!("`{name}`")),
            "say in ARCHITECTURE.md, \"Why these crates\", why {name}"
        );
    }
}

/// Promise: nobody waits for, audits or trusts a crate that weir does not use.
#[test]
fn dependencies_are_used() {
    let mut sources = String::new();
    let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(path).expect("src/ is readable").flatten().map(|entry| entry.path()));
        } else {
            sources += &fs::read_to_string(path).expect("sources are UTF-8");
        }
    }
    for name in dependencies("dependencies") {
        let path = format!("{}::", name.replace('-', "_"));
        assert!(sources.contains(&path), "nothing in src/ uses {name}; remove it from Cargo.toml");
    }
}

/// Promise: licence expressions mean what SPDX says (annex D of its specification 2.3): AND binds closer than
/// OR, brackets group, WITH names an exception of one licence; and `/` is the old way to write OR.
#[test]
fn licence_expressions_are_read_rightly() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
    for yes in [
        "MIT",
        "GPL-3.0 OR MIT",
        "GPL-3.0/MIT",
        "(GPL-3.0 OR MIT) AND ISC",
        "GPL-3.0 AND GPL-2.0 OR MIT",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
    ] {
        assert!(licence_allows(yes, &allowed), "{yes} must be allowed");
    }
    for no in [
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "MIT AND (GPL-3.0 OR GPL-2.0)",
        "Apache-2.0",
        "",
        "none stated",
        "(MIT",
    ] {
        assert!(!licence_allows(no, &allowed), "{no} must not be allowed");
    }
}

/// Whether something may be used under `expression` when only `allowed` licences may. What cannot be read, may
/// not.
fn licence_allows(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    matches!(any_of(&tokens, allowed), Some((true, [])))
}

/// `a OR b OR …`: the answer, and the tokens behind it.
fn any_of<'t>(tokens: &'t [&'t str], allowed: &[&str]) -> Option<(bool, &'t [&'t str])> {
    let (mut allows, mut rest) = all_of(tokens, allowed)?;
    while let ["OR", behind @ ..] = rest {
        let (next, behind) = all_of(behind, allowed)?;
        (allows, rest) = (allows | next, behind);
    }
    Some((allows, rest))
}

/// `a AND b AND …`: the answer, and the tokens behind it.
fn all_of<'t>(tokens: &'t [&'t str], allowed: &[&str]) -> Option<(bool, &'t [&'t str])> {
    let (mut allows, mut rest) = one(tokens, allowed)?;
    while let ["AND", behind @ ..] = rest {
        let (next, behind) = one(behind, allowed)?;
        (allows, rest) = (allows & next, behind);
    }
    Some((allows, rest))
}

fn one<'t>(tokens: &'t [&'t str], allowed: &[&str]) -> Option<(bool, &'t [&'t str])> {
    match tokens {
        ["(", inner @ ..] => match any_of(inner, allowed)? {
            (allows, [")", rest @ ..]) => Some((allows, rest)),
            _ => None,
        },
        [licence, "WITH", exception, rest @ ..] => {
            Some((allowed.contains(&format!("{licence} WITH {exception}").as_str()), rest))
        }
        [licence, rest @ ..] => Some((allowed.contains(licence), rest)),
        [] => None,
    }
}

/// Whether `skip`, as `name@version`, means this version: `syn@2` covers `2.0.119`, not `20.1.0`.
fn covers(skip: &str, name: &str, version: &str) -> bool {
    skip.split_once('@').is_some_and(|(skipped, prefix)| {
        skipped == name
            && version.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Every package in the graph of all features, as `cargo metadata` describes it, this one included. Asks the
/// network only for crates of optional features that no build has fetched yet.
fn packages() -> Vec<Json> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--all-features"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Json = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    assert!(packages.len() > 1, "cargo metadata names no dependency");
    packages
}

/// The names in one section of Cargo.toml.
fn dependencies(section: &str) -> Vec<String> {
    let manifest: toml::Table = include_str!("../Cargo.toml").parse().expect("Cargo.toml is TOML");
    manifest[section].as_table().into_iter().flat_map(toml::Table::keys).cloned().collect()
}

fn deny_toml() -> toml::Table {
    include_str!("../deny.toml").parse().expect("deny.toml is TOML")
}

fn array(of: &toml::Value) -> &[toml::Value] {
    of.as_array().map_or(&[], Vec::as_slice)
}

fn strings(of: &toml::Value) -> Vec<&str> {
    array(of).iter().filter_map(toml::Value::as_str).collect()
}

fn text<'p>(package: &'p Json, field: &str) -> &'p str {
    package[field].as_str().unwrap_or_default()
}
