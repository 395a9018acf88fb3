#!/usr/bin/env bash
# Fuzzes the targets one after the other, each for a while, from the seeds beside this script and from what earlier
# runs found (`corpus/`). Ends with the first that fails; its input is in `artifacts/`.
#
#   fuzz/run.sh                   all targets, four minutes each
#   fuzz/run.sh 60 head rule      these, a minute each
#
# Needs a C++ compiler, and either a nightly toolchain or none: without one, the stable compiler is told to take the
# flags that instrument the code (RUSTC_BOOTSTRAP). Uses cargo-fuzz.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-240}
shift || true
targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(sed -n 's,^path = "fuzz_targets/\(.*\)\.rs"$,\1,p' Cargo.toml)

# Instrumented code in many units at once is more than a linker of a small machine can hold.
export CARGO_INCREMENTAL=0
toolchain=(+nightly)
if ! cargo +nightly --version >/dev/null 2>&1; then
  toolchain=()
  export RUSTC_BOOTSTRAP=1
fi

for target in "${targets[@]}"; do
  printf '\n== %s\n' "$target"
  dirs=("corpus/$target")
  mkdir -p "${dirs[@]}"
  [[ ! -d "seeds/$target" ]] || dirs+=("seeds/$target")
  [[ "$target" != config ]] || dirs+=(../config ../tests/config_bad)
  options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -max_len=8192 -print_final_stats=1)
  [[ ! -e "dictionaries/$target.dict" ]] || options+=(-dict="dictionaries/$target.dict")
  cargo "${toolchain[@]}" fuzz run --fuzz-dir . "$target" "${dirs[@]}" -- "${options[@]}"
done
