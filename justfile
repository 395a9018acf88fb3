# The same commands as continuous integration: every check lives in .ci/run, and this only gives it short names.
# `just` is a convenience (https://just.systems); without it run `.ci/run` itself.

# What there is to run
default:
    @just --list

# Everything that CI runs
check:
    .ci/run

# What to run before each commit: layout, lints, tests
quick:
    .ci/run fmt clippy test

# Some steps of CI, by name: `just step doc config` (`.ci/run --list` names them)
step +names:
    .ci/run {{names}}

# The tests whose name contains the filter
test filter="":
    cargo test --locked {{filter}}

# See weir at work against a sample site
demo:
    cargo run --release --locked -- demo

# weir in front of 127.0.0.1:3000, by config/weir.toml
run file="config/weir.toml":
    cargo run --release --locked -- run {{file}}

# Micro-benches of the engine
bench filter="":
    cargo bench --locked {{filter}}

# The documentation, in a browser
doc:
    cargo doc --locked --no-deps --open
