//! What a client is told of the limits that it meets.

use http::HeaderName;

/// `[responses]`, ready to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Responses {
    /// `RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers has them.
    pub rate_limit_fields: RateLimitFields,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset` beside them, wherever those are.
    pub legacy_rate_limit_fields: bool,
    /// `None`: no field of CORS is put on what weir writes itself.
    pub cors: Option<Cors>,
}

/// Which responses tell how much of a limit is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RateLimitFields {
    /// Those that refuse a request because of a limit.
    #[default]
    Refusals,
    /// The app's responses too.
    Always,
    Never,
}

impl RateLimitFields {
    pub const fn name(self) -> &'static str {
        match self {
            RateLimitFields::Refusals => "refusals",
            RateLimitFields::Always => "always",
            RateLimitFields::Never => "never",
        }
    }
}

/// What lets an application in a browser read weir's own responses (Fetch standard, CORS protocol). The app's
/// responses are left as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    pub origins: Origins,
    /// Whether requests with cookies may read them too; never together with [`Origins::Any`].
    pub credentials: bool,
    /// Fields to expose beside those that weir writes to explain a refusal.
    pub expose: Vec<HeaderName>,
}

/// Which origins may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    Any,
    /// Each as a browser sends it: lower case, scheme, host, and port where it is not the scheme's own.
    These(Vec<Box<str>>),
}

impl Origins {
    /// Whether a request's `Origin` may read the response.
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            Origins::Any => true,
            Origins::These(origins) => origins.iter().any(|allowed| **allowed == *origin),
        }
    }
}
