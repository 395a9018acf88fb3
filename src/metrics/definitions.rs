//! Every metric of weir: name, kind, labels, help and buckets. `docs/metrics.md` says the same for operators,
//! and a test compares the two.
//!
//! Label values are names from the configuration or members of closed enums, never an address, a key or a path, so
//! that the number of series is bounded by the configuration. Accounts are in the metrics of load alone, and only as
//! many as the configuration says.

/// What a metric is called and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// As the text exposition and the documentation spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// Declares each metric as a constant, and all of them as [`ALL`], in this order.
macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub const $constant: Definition =
            Definition { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*

        /// Every metric that weir itself defines; `process_*` come beside them from the operating system.
        pub const ALL: &[Definition] = &[$($constant),*];
    };
}

metrics! {
    BUILD_INFO = Gauge "weir_build_info" ["version", "commit"]
        "Always 1; the labels say which version runs and what it was built from.";
    READY = Gauge "weir_ready" []
        "1 while weir reports itself ready, 0 while it starts, drains or has no healthy upstream.";

    CONNECTIONS = Counter "weir_connections_total" []
        "Client connections accepted.";
    CONNECTIONS_OPEN = Gauge "weir_connections_open" []
        "Client connections open now.";
    CONNECTIONS_REFUSED = Counter "weir_connections_refused_total" ["reason"]
        "Client connections closed before their first request, for want of room, because nobody there is believed, or for what its client did.";
    ACCEPT_ERRORS = Counter "weir_accept_errors_total" []
        "Connections that the operating system did not hand over, such as for want of file descriptors.";
    PROTOCOL_FAULTS = Counter "weir_protocol_faults_total" ["fault"]
        "Messages refused because they could be read in two ways, or not at all.";
    TIMEOUTS = Counter "weir_timeouts_total" ["timeout"]
        "Connections and requests ended because a configured time had passed.";
    PANICS = Counter "weir_panics_total" []
        "Requests ended by a fault in weir itself. Each is a bug worth reporting.";

    REQUESTS_IN_FLIGHT = Gauge "weir_requests_in_flight" []
        "Requests whose head was read and whose response has not ended.";
    REQUESTS = Counter "weir_requests_total" ["route", "decision", "class"]
        "Requests that ended, by route (empty: none), by what was decided and by status class.";
    REQUEST_DURATION = Histogram "weir_request_duration_seconds" ["route"]
        "Forwarded requests, from the head, once read, to the last byte of the response.";
    REQUEST_OVERHEAD = Histogram "weir_request_overhead_seconds" ["route"]
        "Answered requests without the time spent waiting for the upstream: what weir and the client took.";
    IDENTITY = Counter "weir_identity_total" ["outcome"]
        "Requests by whether their credentials are an account's.";
    LIMIT_DECISIONS = Counter "weir_limit_decisions_total" ["limit", "mode", "decision"]
        "Requests judged by a limit, by the mode in force and whether they were within it or over it.";

    LIMIT_DELAYED = Counter "weir_limit_delayed_total" ["limit"]
        "Requests that were made to wait for a limit, instead of being refused at once.";
    LIMIT_DELAY = Histogram "weir_limit_delay_seconds" ["limit"]
        "Time that requests waited for a limit, whatever became of them.";
    LIMIT_QUEUE = Gauge "weir_limit_queue_length" ["limit"]
        "Requests now waiting for a limit.";

    UPSTREAM_REQUESTS = Counter "weir_upstream_requests_total" ["upstream"]
        "Requests that had a place at the upstream and ended, well or not.";
    UPSTREAM_SECONDS = Counter "weir_upstream_seconds_total" ["upstream"]
        "Time that requests spent waiting for the upstream.";
    UPSTREAM_IN_FLIGHT = Gauge "weir_upstream_requests_in_flight" ["upstream"]
        "Requests that have a place at the upstream now.";
    UPSTREAM_CONNECTIONS_OPENED = Counter "weir_upstream_connections_opened_total" ["upstream"]
        "Connections made to servers of the upstream.";
    UPSTREAM_CONNECTIONS_REUSED = Counter "weir_upstream_connections_reused_total" ["upstream"]
        "Requests that found an idle connection in the pool.";
    UPSTREAM_CONNECTIONS_CLOSED = Counter "weir_upstream_connections_closed_total" ["upstream"]
        "Connections to servers of the upstream that ended, by whichever side.";
    UPSTREAM_CONNECTIONS_FAILED = Counter "weir_upstream_connections_failed_total" ["upstream"]
        "Connections to servers of the upstream that could not be made.";
    UPSTREAM_HANDSHAKES_FAILED = Counter "weir_upstream_handshakes_failed_total" ["upstream"]
        "Of the connections that could not be made, those that failed at TLS.";
    UPSTREAM_RETRIES = Counter "weir_upstream_retries_total" ["upstream"]
        "Requests sent once more: the first connection failed, or the server said that it did not begin.";
    UPSTREAM_EJECTIONS = Counter "weir_upstream_ejections_total" ["upstream"]
        "Times that a server was left alone for a while because it kept failing.";
    UPSTREAM_QUEUE = Gauge "weir_upstream_queue_length" ["upstream"]
        "Requests now waiting for a place at the upstream.";
    UPSTREAM_QUEUE_REJECTED = Counter "weir_upstream_queue_rejected_total" ["upstream", "reason"]
        "Requests that got no place at the upstream, because the queue was full or the wait too long.";
    UPSTREAM_SHED = Counter "weir_upstream_shed_total" ["upstream", "priority"]
        "Requests that got no place at the upstream, by the priority of their route.";
    UPSTREAM_SERVERS = Gauge "weir_upstream_servers" ["upstream"]
        "Servers configured for the upstream.";
    UPSTREAM_SERVERS_HEALTHY = Gauge "weir_upstream_servers_healthy" ["upstream"]
        "Servers of the upstream that are neither ejected nor failing their health check.";

    UPSTREAM_INFO = Gauge "weir_upstream_info" ["upstream", "third_party"]
        "Always 1; third_party is whose infrastructure the upstream is (empty: the operator's own).";
    UPSTREAM_CAPACITY = Gauge "weir_upstream_capacity" ["upstream"]
        "Requests that the upstream bears at once, as configured or as estimated now; none where it is not known.";
    UPSTREAM_UTILISATION = Gauge "weir_upstream_utilisation" ["upstream", "window"]
        "Requests in flight as a share of the upstream's capacity, the mean over the window.";
    ACCOUNT_LOAD_SHARE = Gauge "weir_account_load_share" ["upstream", "account", "resource", "window"]
        "Share of the upstream's load that the account took (empty: all without a known account together).";
    ACCOUNT_LOAD_FAIR_SHARE = Gauge "weir_account_load_fair_share" ["upstream", "account", "resource", "window"]
        "Share that would be the account's, were the load cut max-min fairly to what is of no concern.";
    LOAD_UNREASONABLE_SHARE = Gauge "weir_load_unreasonable_share" ["window"]
        "Share of an upstream's load above which an account's is unreasonable; none where nothing is.";
    LOAD_UNREASONABLE_UTILISATION = Gauge "weir_load_unreasonable_utilisation" ["window"]
        "Utilisation of an upstream from which on a share can be unreasonable; none where nothing is.";
    LOAD_FINDINGS = Counter "weir_load_findings_total" ["upstream", "resource"]
        "Times that an account began to take an unreasonable share of the upstream.";

    FINDINGS = Counter "weir_findings_total" ["detector", "clause", "mode"]
        "Findings, by who made them, for which clause, and whether they refuse anybody.";
    FINDINGS_OPEN = Gauge "weir_findings_open" ["detector"]
        "Findings that are open now.";
    FINDINGS_DISPLACED = Counter "weir_findings_displaced_total" []
        "Findings closed because others needed the room, and recognitions that opened none for want of it.";
    CONDUCT_PRINCIPALS = Gauge "weir_conduct_principals" []
        "Principals whose conduct is remembered now.";
    CONDUCT_BYTES = Gauge "weir_conduct_bytes" []
        "Memory that conduct and findings hold.";
    CONDUCT_BYTES_MAX = Gauge "weir_conduct_bytes_max" []
        "Memory that conduct and findings may hold: detection.memory_share of state.memory.";
    FINDING_REFUSALS = Counter "weir_finding_refusals_total" ["detector"]
        "Requests refused because of a finding.";

    STATE_RECORDS = Gauge "weir_state_records" []
        "Principals that limits remember now.";
    STATE_BYTES = Gauge "weir_state_bytes" []
        "Memory that the state behind limits holds.";
    STATE_BYTES_MAX = Gauge "weir_state_bytes_max" []
        "Memory that the state behind limits may hold: what detection.memory_share leaves of state.memory.";
    STATE_EVICTIONS = Counter "weir_state_evictions_total" []
        "Principals forgotten to make room for others.";
    STATE_HELD_BYTES = Gauge "weir_state_held_bytes" []
        "Memory of accounts, of principals near or over a limit and of networks that stand for such.";
    STATE_LOOKUPS = Counter "weir_state_lookups_total" ["result"]
        "Principals that decisions looked up: hits were known, misses are new.";
    STATE_CHARGED_TO_NETWORKS = Counter "weir_state_charged_to_networks_total" []
        "Principals over a limit that are charged to their network, because held ones have no more room.";
    STATE_LET_OFF = Counter "weir_state_let_off_total" []
        "Principals over a limit that were forgotten with nothing to stand for them.";
    STATE_FILES = Counter "weir_state_file_total" ["result"]
        "Times that state.path was written or read.";

    ENFORCEMENT_MODE = Gauge "weir_enforcement_mode" ["mode"]
        "1 for the mode in force over all limits, 0 for the others.";
    MODE_OVERRIDE_EXPIRES = Gauge "weir_mode_override_expires_seconds" []
        "Seconds until the mode is the configuration's own again; 0 while it is, +Inf if nobody said when.";

    CERTIFICATE_EXPIRES = Gauge "weir_certificate_expires_timestamp_seconds" ["certificate"]
        "Unix time until which a certificate shown to clients is good; one that is obtained has its name, others their file.";
    ACME_ORDERS = Counter "weir_acme_orders_total" ["result"]
        "Certificates asked of an authority, by whether they were issued; at failed, what is in force stays so.";

    CONFIG_RELOADS = Counter "weir_config_reloads_total" ["result"]
        "Times that the configuration was read again; one that failed changed nothing.";
    CONFIG_LOADED = Gauge "weir_config_last_success_timestamp_seconds" []
        "Unix time at which the configuration in force was read.";
    ACCESS_LOG_WRITTEN = Counter "weir_access_log_written_total" []
        "Lines handed to the access log's file or stream.";
    ACCESS_LOG_DROPPED = Counter "weir_access_log_dropped_total" []
        "Lines lost because the writer was behind or the file could not be written.";
}

/// Upper bounds of [`REQUEST_DURATION`] and [`LIMIT_DELAY`], in nanoseconds: 1 ms to 60 s.
pub const DURATION_BOUNDS: [u64; 15] = [
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    S,
    2_500 * MS,
    5 * S,
    10 * S,
    30 * S,
    60 * S,
];

/// Upper bounds of [`REQUEST_OVERHEAD`], in nanoseconds: 10 µs, about what weir takes, to 10 s, which only slow
/// clients do.
pub const OVERHEAD_BOUNDS: [u64; 14] = [
    10 * US,
    25 * US,
    50 * US,
    100 * US,
    250 * US,
    500 * US,
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    100 * MS,
    500 * MS,
    S,
    10 * S,
];

const US: u64 = 1_000;
const MS: u64 = 1_000 * US;
const S: u64 = 1_000 * MS;
