//! The closed sets of label values.

use http::StatusCode;

/// What became of the file that state outlives the process in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFile {
    Saved,
    NotSaved,
    Restored,
    Refused,
}

impl StateFile {
    pub const ALL: [StateFile; 4] =
        [StateFile::Saved, StateFile::NotSaved, StateFile::Restored, StateFile::Refused];

    pub const fn name(self) -> &'static str {
        match self {
            StateFile::Saved => "saved",
            StateFile::NotSaved => "not_saved",
            StateFile::Restored => "restored",
            StateFile::Refused => "refused",
        }
    }
}

/// Why a client connection was closed before its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionRefusal {
    /// As many as may were open.
    Max,
    /// Its client had as many as it may.
    PerClient,
    /// It was shaking hands for longer than all others, when there were too many of them.
    Handshakes,
    /// It came, from an address that is not trusted, where a trusted proxy says who comes.
    Untrusted,
    /// Its client is refused for what it did on others.
    Finding,
}

impl ConnectionRefusal {
    pub const ALL: [ConnectionRefusal; 5] = [
        ConnectionRefusal::Max,
        ConnectionRefusal::PerClient,
        ConnectionRefusal::Handshakes,
        ConnectionRefusal::Untrusted,
        ConnectionRefusal::Finding,
    ];

    /// The key under `[connections]`; `untrusted` and `finding` are of no bound.
    pub const fn name(self) -> &'static str {
        match self {
            ConnectionRefusal::Max => "max",
            ConnectionRefusal::PerClient => "per_client",
            ConnectionRefusal::Handshakes => "handshakes",
            ConnectionRefusal::Untrusted => "untrusted",
            ConnectionRefusal::Finding => "finding",
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestDecision {
    /// Sent to the upstream, which answered.
    Forwarded,
    /// Refused by a limit.
    Refused,
    /// Refused because an account behind it is suspended.
    Suspended,
    /// Refused because it could be read in two ways, or not at all, or was larger than allowed.
    Malformed,
    /// No route matched.
    NoRoute,
    /// Sent to the same place by TLS.
    Redirected,
    /// An authority was shown that a name leads here.
    Proven,
    /// Answered by weir with an error (5xx), because the upstream or weir itself failed.
    Failed,
    /// The client left before it had its whole response.
    Cancelled,
}

impl RequestDecision {
    pub const ALL: [RequestDecision; 9] = [
        RequestDecision::Forwarded,
        RequestDecision::Refused,
        RequestDecision::Suspended,
        RequestDecision::Malformed,
        RequestDecision::NoRoute,
        RequestDecision::Redirected,
        RequestDecision::Proven,
        RequestDecision::Failed,
        RequestDecision::Cancelled,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            RequestDecision::Forwarded => "forwarded",
            RequestDecision::Refused => "refused",
            RequestDecision::Suspended => "suspended",
            RequestDecision::Malformed => "malformed",
            RequestDecision::NoRoute => "no_route",
            RequestDecision::Redirected => "redirected",
            RequestDecision::Proven => "proven",
            RequestDecision::Failed => "failed",
            RequestDecision::Cancelled => "cancelled",
        }
    }
}

/// What a request's credentials say of who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdentityOutcome {
    /// One of an account, or a session of one.
    Known,
    /// Some, and none of an account.
    Unknown,
    None,
}

impl IdentityOutcome {
    pub const ALL: [IdentityOutcome; 3] =
        [IdentityOutcome::Known, IdentityOutcome::Unknown, IdentityOutcome::None];

    pub const fn name(self) -> &'static str {
        match self {
            IdentityOutcome::Known => "known",
            IdentityOutcome::Unknown => "unknown",
            IdentityOutcome::None => "none",
        }
    }
}

/// Which configured time had passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timeout {
    Handshake,
    HeadRead,
    Idle,
    BodyProgress,
    Connect,
    FirstByte,
    Total,
    Queue,
}

impl Timeout {
    pub const ALL: [Timeout; 8] = [
        Timeout::Handshake,
        Timeout::HeadRead,
        Timeout::Idle,
        Timeout::BodyProgress,
        Timeout::Connect,
        Timeout::FirstByte,
        Timeout::Total,
        Timeout::Queue,
    ];

    /// The key under `[timeouts]`; `queue` is the upstream's own.
    pub const fn name(self) -> &'static str {
        match self {
            Timeout::Handshake => "handshake",
            Timeout::HeadRead => "head_read",
            Timeout::Idle => "idle",
            Timeout::BodyProgress => "body_progress",
            Timeout::Connect => "connect",
            Timeout::FirstByte => "first_byte",
            Timeout::Total => "total",
            Timeout::Queue => "queue",
        }
    }
}

/// Why a request got no place at an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueRejection {
    /// As many as may were waiting already.
    Full,
    /// It waited as long as it may.
    Timeout,
    /// It waited, and a request with a higher priority took its place in a full queue.
    Displaced,
}

impl QueueRejection {
    pub const ALL: [QueueRejection; 3] =
        [QueueRejection::Full, QueueRejection::Timeout, QueueRejection::Displaced];

    pub const fn name(self) -> &'static str {
        match self {
            QueueRejection::Full => "full",
            QueueRejection::Timeout => "timeout",
            QueueRejection::Displaced => "displaced",
        }
    }
}

/// The first digit of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatusClass(usize);

impl StatusClass {
    pub(super) const COUNT: usize = Self::NAMES.len();
    pub(super) const NAMES: [&'static str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

    /// A status of 600 and above, which an app may send, counts as an error of the server.
    pub(super) fn of(status: StatusCode) -> Self {
        StatusClass(usize::from(status.as_u16() / 100).clamp(1, Self::COUNT) - 1)
    }

    pub(super) const fn index(self) -> usize {
        self.0
    }
}
