//! One path: the form that routes, limits and detectors see.

/// How spellings of a path are folded together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathRules {
    pub trailing_slash: TrailingSlash,
    pub case: Case,
    pub parameters: Parameters,
}

/// Whether `/a/` is `/a`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrailingSlash {
    #[default]
    Ignore,
    Distinct,
}

/// Whether `/Login` is `/login`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    #[default]
    Sensitive,
    Insensitive,
}

/// Whether `/login;x=1` is `/login` (RFC 3986 §3.3 path parameters, which Java servers cut off).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parameters {
    #[default]
    Keep,
    Strip,
}
