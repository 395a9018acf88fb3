#!/usr/bin/env bash
# What the detectors find in labelled logs: the tables of docs/detection.md, and a gate against finding less.
#
#   benches/detection.sh             print the tables, and fail where they are worse than the bounds below
#   benches/detection.sh --write     put them into docs/detection.md too
#
# WEIR_EVALUATION names a folder with `eval/` (label.py, strip_ua.py, score.py) and `data/logs/*.log.gz`; without it,
# ../shared is tried, and where that is absent too this says so and ends with 77. WEIR names the binary; default: the
# debug build. It takes a minute; labels and stripped logs are kept in target/detection.
set -euo pipefail
cd "$(dirname "$0")/.."

data=${WEIR_EVALUATION:-../shared}
weir=${WEIR:-${CARGO_TARGET_DIR:-target}/debug/weir}
work=${CARGO_TARGET_DIR:-target}/detection
page=docs/detection.md

# Clients with ten requests or more: recall at least, people found at most.
readonly min_recall_with_assets=0.950 max_people_with_assets=7
readonly min_recall_without=0.950 max_people_without=1

skip() { echo "SKIPPED: $*"; exit 77; }
[[ -r "$data/eval/score.py" ]] || skip "no labelled logs in $data: set WEIR_EVALUATION to a folder with eval/ and data/"
command -v python3 >/dev/null || skip "python3 is not installed"
[[ -x "$weir" ]] || { echo "there is no $weir: cargo build first"; exit 1; }
mkdir -p "$work"

cat >"$work/weir.toml" <<'TOML'
# Detectors as they are untuned, and nothing refused.
[listen]
proxy = "127.0.0.1:1"

[upstreams.app]
servers = ["127.0.0.1:2"]
TOML

# Logs whose times are not real are left out, as the published baselines do.
logs() { find "$data/data/logs" -name '*.log.gz' ! -name 'semicomplete*' | sort; }

# Labels come from the whole log; what is replayed has one User-Agent for all and no robots.txt.
prepare() {
  local log=$1 name
  name=$(basename "$log" .log.gz)
  [[ -s "$work/$name.labels" ]] || python3 "$data/eval/label.py" "$log" >"$work/$name.labels"
  [[ -s "$work/$name.with" ]] || python3 "$data/eval/strip_ua.py" "$log" >"$work/$name.with"
  [[ -s "$work/$name.without" ]] || python3 "$data/eval/strip_ua.py" --drop-assets "$log" >"$work/$name.without"
}

# What is found in one view of all logs, pooled, as score.py's JSON.
score() {
  local view=$1 requests=$2 name log arguments=()
  while IFS= read -r log; do
    name=$(basename "$log" .log.gz)
    arguments+=(--labels "$work/$name.labels" --detections "$work/$name.$view.found" --log "$work/$name.$view")
  done < <(logs)
  python3 "$data/eval/score.py" "${arguments[@]}" --min-requests "$requests" --json
}

while IFS= read -r log; do
  prepare "$log"
  name=$(basename "$log" .log.gz)
  for view in with without; do
    "$weir" replay --config "$work/weir.toml" --json "$work/$name.$view" >"$work/$name.$view.found" \
      2>"$work/$name.$view.said" &
  done
  wait
done < <(logs)

for requests in 10 1; do
  for view in with without; do score "$view" "$requests" >"$work/$view.$requests.json" & done
  wait
done
python3 - "$work" "$page" "${1:-}" "$min_recall_with_assets" "$max_people_with_assets" "$min_recall_without" \
  "$max_people_without" <<'PYTHON'
import json, math, sys

work, page, wish, *bounds = sys.argv[1:]
bounds = {"with": (float(bounds[0]), int(bounds[1])), "without": (float(bounds[2]), int(bounds[3]))}
names = {"with": "with assets", "without": "without assets"}
classes = ["crawler", "tool", "swarm", "scanner", "bruteforce", "dos", "spam", "automation"]


def upper(found, people):
    """Clopper and Pearson's upper bound of a share at 95 %, in thousandths, by bisection."""
    if found == people:
        return 1000.0
    low, high = 0.0, 1.0
    for _ in range(60):
        p = (low + high) / 2
        below = sum(math.exp(math.lgamma(people + 1) - math.lgamma(k + 1) - math.lgamma(people - k + 1)
                             + k * math.log(p) + (people - k) * math.log1p(-p)) for k in range(found + 1))
        low, high = (p, high) if below > 0.05 else (low, p)
    return 1000 * high


def table(view):
    lines = ["| " + names[view] + " | clients | recall | precision | found after, requests | seconds | requests after that |",
             "|---|---|---|---|---|---|---|"]
    results = {n: json.load(open(f"{work}/{view}.{n}.json")) for n in (10, 1)}
    for name in classes:
        row = results[10].get(name)
        if row and row["clients"]:
            lines.append("| {} | {} | {:.3f} | {:.3f} | {:g} | {:g} | {:.0f} % |".format(
                name, row["clients"], row["recall"], row["precision"], row["median_requests"] or 0,
                row["median_seconds"] or 0, 100 * row["saved"]))
    for n in (10, 1):
        row, all_of = results[n]["human"], results[n]["automation"]
        lines.append("| people, {} request{} or more | {} | {} found: {:.1f} in a thousand, at most {:.1f} (95 %) "
                     "| recall then {:.3f} | | | |".format(
                         n, "s" * (n > 1), row["clients"], row["flagged"], 1000 * row["flagged"] / row["clients"],
                         upper(row["flagged"], row["clients"]), all_of["recall"]))
    return lines, results[10]


worse, tables = [], []
for view, (recall, people) in bounds.items():
    lines, result = table(view)
    tables += lines + [""]
    if result["automation"]["recall"] < recall:
        worse.append(f"{names[view]}: recall {result['automation']['recall']:.3f}, {recall} at least")
    if result["human"]["flagged"] > people:
        worse.append(f"{names[view]}: {result['human']['flagged']} people found, {people} at most")
text = "\n".join(tables)
print(text)
if wish == "--write":
    before, rest = open(page).read().split("<!-- tables -->\n", 1)
    after = rest.split("<!-- end of tables -->", 1)[1]
    open(page, "w").write(f"{before}<!-- tables -->\n{text}<!-- end of tables -->{after}")
print("\n".join(worse) or "no worse than the bounds")
sys.exit(bool(worse))
PYTHON
