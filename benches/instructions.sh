#!/usr/bin/env bash
# Instructions per request, in user space, counted by callgrind: the same number twice on the same machine, whatever
# else it does, so that a change can be compared without noise. Kernel time is not in it.
#
#   cargo build --release && benches/instructions.sh [target/release/weir]
#
# Needs valgrind, nginx (the app) and h2load (the client). Prints one line for each case: admitted without a limit,
# admitted through a trusted proxy with one limit, refused by that limit. Each is (many - few requests) / difference,
# so that starting up costs nothing.
set -euo pipefail

weir=$(realpath "${1:-target/release/weir}")
dir=$(mktemp -d)
app=13977 proxy=18977
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$dir"' EXIT

body=$(printf 'x%.0s' $(seq 1024))
cat > "$dir/nginx.conf" <<NGINX
worker_processes 1; daemon off; pid $dir/nginx.pid; error_log $dir/error.log crit;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 1000000; default_type text/plain;
  server { listen 127.0.0.1:$app; location / { return 200 "$body"; } } }
NGINX
nginx -c "$dir/nginx.conf" & pids+=($!)

config() {
    cat <<TOML
[listen]
proxy = "127.0.0.1:$proxy"
admin = "127.0.0.1:0"
workers = 1
trusted_proxies = ["127.0.0.1/32"]
[upstreams.app]
servers = ["127.0.0.1:$app"]
$1
TOML
}

limit() { printf '[[limits]]\nname = "per-client"\nkey = ["client"]\nrate = "%s"\n' "$1"; }

# count CONFIG REQUESTS [h2load arguments]
count() {
    local config=$1 requests=$2; shift 2
    valgrind --tool=callgrind --callgrind-out-file="$dir/out" "$weir" run "$config" > "$dir/log" 2>&1 &
    local pid=$!
    pids+=("$pid")
    until curl -s -o /dev/null "http://127.0.0.1:$proxy/"; do kill -0 "$pid"; done
    h2load --h1 -n "$requests" -c 8 -t 1 "$@" "http://127.0.0.1:$proxy/" > /dev/null
    kill -TERM "$pid"
    wait "$pid"
    awk '/Collected/ { print $NF }' "$dir/log"
}

# report NAME CONFIG [h2load arguments]
report() {
    local name=$1 config=$2 few many; shift 2
    few=$(count "$config" 2000 "$@")
    many=$(count "$config" 12000 "$@")
    printf '%-44s %7d\n' "$name" $(((many - few) / 10000))
}

config "" > "$dir/plain.toml"
config "$(limit 1000000/10s)" > "$dir/within.toml"
config "$(limit 1/1000s)" > "$dir/over.toml"
report "admitted, no limit" "$dir/plain.toml"
report "admitted, one limit, through a trusted proxy" "$dir/within.toml" -H 'x-forwarded-for: 10.1.2.3'
report "refused" "$dir/over.toml"
