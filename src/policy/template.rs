//! Path templates: `/api/v1/exports/{id}`, `/static/*`, `/**`.

use std::cmp::Ordering;

use thiserror::Error;

use super::path::{PathFault, PathRules, TrailingSlash, normalise_segment};

/// A compiled path template, matched against normalised paths.
///
/// `{name}` and `*` each stand for exactly one segment that is not empty; `**`, which can only be last, for any
/// rest, none included: `/a/**` matches `/a`, `/a/` and `/a/b/c`, and `/**` matches everything, `*` included.
/// Everything else is literal and folded by the same rules as paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    written: Box<str>,
    /// The literal segments before the first wildcard, each after its slash: compared at once.
    prefix: Box<str>,
    /// From the first wildcard on, without `**`.
    rest: Box<[Segment]>,
    end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Any,
    Literal(Box<str>),
}

/// What may follow the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Nothing,
    /// Exactly one slash: the root, or a trailing slash where those count.
    Slash,
    /// Whatever is left.
    Anything,
}

impl End {
    /// What both allow.
    fn shared(self, other: End) -> Option<End> {
        match (self, other) {
            (End::Anything, end) | (end, End::Anything) => Some(end),
            (ours, theirs) => (ours == theirs).then_some(ours),
        }
    }
}

/// Why a template cannot be compiled. Says what was expected.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    #[error("expected a path template that begins with `/`, such as `/api/{{id}}` or `/**`")]
    NotRooted,
    #[error("expected `**` as the last segment only")]
    OpenInMiddle,
    #[error("expected a wildcard to be a whole segment (`*` or `{{name}}`), found `{segment}`")]
    PartialWildcard { segment: String },
    #[error("expected a name of letters, digits, `_` or `-` in `{segment}`")]
    InvalidName { segment: String },
    #[error("expected a path without empty segments (`//`)")]
    EmptySegment,
    #[error("expected a path without dot segments, found `{segment}`")]
    DotSegment { segment: String },
    #[error("expected a path without a query or fragment, found `{segment}`")]
    QueryOrFragment { segment: String },
    #[error("expected a valid path segment, found `{segment}`: {fault}")]
    InvalidSegment { segment: String, fault: PathFault },
}

impl Template {
    /// Compiles `written` for paths that are normalised by `rules`.
    pub fn parse(written: &str, rules: &PathRules) -> Result<Template, TemplateError> {
        let body = written.strip_prefix('/').ok_or(TemplateError::NotRooted)?;
        let (body, end) = match body {
            "" => ("", End::Slash),
            "**" => ("", End::Anything),
            _ => match (body.strip_suffix("/**"), body.strip_suffix('/')) {
                (Some(body), _) => (body, End::Anything),
                (_, Some(body)) if rules.trailing_slash == TrailingSlash::Distinct => (body, End::Slash),
                (_, Some(body)) => (body, End::Nothing),
                _ => (body, End::Nothing),
            },
        };
        let mut segments = Vec::new();
        if !matches!(written, "/" | "/**") {
            for segment in body.split('/') {
                segments.push(parse_segment(segment, *rules)?);
            }
        }
        Ok(Template::new(Some(written), segments, end))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether a normalised path fits. Allocates nothing.
    pub fn matches(&self, path: &str) -> bool {
        if self.matches_everything() {
            return true;
        }
        let Some(mut left) = path.strip_prefix(&*self.prefix) else { return false };
        for segment in &self.rest {
            let Some(after_slash) = left.strip_prefix('/') else { return false };
            let (name, tail) = after_slash.split_at(after_slash.find('/').unwrap_or(after_slash.len()));
            let fits = match segment {
                Segment::Any => !name.is_empty(),
                Segment::Literal(text) => **text == *name,
            };
            if !fits {
                return false;
            }
            left = tail;
        }
        match self.end {
            End::Nothing => left.is_empty(),
            End::Slash => left == "/",
            End::Anything => left.is_empty() || left.starts_with('/'),
        }
    }

    /// Whether every path that `other` matches is matched by this template too.
    pub fn covers(&self, other: &Template) -> bool {
        let (mut ours, mut theirs) = (self.segments(), other.segments());
        loop {
            match (ours.next(), theirs.next()) {
                (Some(None), Some(_)) => {}
                (Some(ours), Some(theirs)) if ours == theirs => {}
                (None, None) => return self.end == End::Anything || self.end == other.end,
                (None, Some(_)) => return self.end == End::Anything,
                _ => return false,
            }
        }
    }

    /// What both match, as a template of its own; `None` if no path fits both. Exact.
    #[must_use]
    pub fn intersection(&self, other: &Template) -> Option<Template> {
        let (ours, theirs): (Vec<_>, Vec<_>) = (self.segments().collect(), other.segments().collect());
        let end = match ours.len().cmp(&theirs.len()) {
            Ordering::Equal => self.end.shared(other.end)?,
            // The shorter goes on as the longer does, if it may go on at all.
            Ordering::Less => (self.end == End::Anything).then_some(other.end)?,
            Ordering::Greater => (other.end == End::Anything).then_some(self.end)?,
        };
        let mut segments = Vec::new();
        for at in 0..ours.len().max(theirs.len()) {
            let segment = match (ours.get(at).copied().flatten(), theirs.get(at).copied().flatten()) {
                (Some(ours), Some(theirs)) => (ours == theirs).then_some(Some(ours))?,
                (ours, theirs) => ours.or(theirs),
            };
            segments.push(segment.map_or(Segment::Any, |text| Segment::Literal(text.into())));
        }
        Some(Template::new(None, segments, end))
    }

    /// Whether some path fits both. Exact.
    pub fn overlaps(&self, other: &Template) -> bool {
        self.intersection(other).is_some()
    }

    /// Without `written`, what the parts amount to.
    fn new(written: Option<&str>, mut segments: Vec<Segment>, mut end: End) -> Self {
        let literals = segments.iter().take_while(|s| matches!(s, Segment::Literal(_))).count();
        let rest = segments.split_off(literals);
        let mut prefix = String::new();
        for segment in &segments {
            if let Segment::Literal(text) = segment {
                prefix.push('/');
                prefix.push_str(text);
            }
        }
        if prefix.is_empty() && rest.is_empty() && end == End::Nothing {
            end = End::Slash;
        }
        let written = written.map_or_else(|| written_as(&prefix, &rest, end), Into::into);
        Template { written, prefix: prefix.into(), rest: rest.into(), end }
    }

    fn matches_everything(&self) -> bool {
        self.end == End::Anything && self.prefix.is_empty() && self.rest.is_empty()
    }

    /// `None` for a segment that may be anything.
    fn segments(&self) -> impl Iterator<Item = Option<&str>> {
        let rest = self.rest.iter().map(|segment| match segment {
            Segment::Any => None,
            Segment::Literal(text) => Some(&**text),
        });
        self.prefix.split('/').skip(1).map(Some).chain(rest)
    }
}

fn written_as(prefix: &str, rest: &[Segment], end: End) -> Box<str> {
    let mut written = prefix.to_owned();
    for segment in rest {
        written.push('/');
        written.push_str(if let Segment::Literal(text) = segment { text } else { "*" });
    }
    written.push_str(match end {
        End::Nothing => "",
        End::Slash => "/",
        End::Anything => "/**",
    });
    written.into()
}

fn parse_segment(segment: &str, rules: PathRules) -> Result<Segment, TemplateError> {
    let found = || segment.to_owned();
    match segment {
        "" => return Err(TemplateError::EmptySegment),
        "*" => return Ok(Segment::Any),
        "**" => return Err(TemplateError::OpenInMiddle),
        _ => {}
    }
    if let Some(name) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
        let valid =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        return if valid { Ok(Segment::Any) } else { Err(TemplateError::InvalidName { segment: found() }) };
    }
    if segment.contains(['*', '{', '}']) {
        return Err(TemplateError::PartialWildcard { segment: found() });
    }
    if segment.contains(['?', '#']) {
        return Err(TemplateError::QueryOrFragment { segment: found() });
    }
    let literal = normalise_segment(segment, rules)
        .map_err(|fault| TemplateError::InvalidSegment { segment: found(), fault })?;
    match literal.as_str() {
        "" => Err(TemplateError::EmptySegment),
        "." | ".." => Err(TemplateError::DotSegment { segment: found() }),
        _ => Ok(Segment::Literal(literal.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::path::{Case, Parameters};

    const PLAIN: PathRules = PathRules {
        trailing_slash: TrailingSlash::Ignore,
        case: Case::Sensitive,
        parameters: Parameters::Keep,
    };

    fn template(written: &str) -> Template {
        Template::parse(written, &PLAIN).unwrap()
    }

    /// A wildcard is one segment that is not empty; `**` is any rest, none included.
    #[test]
    fn matches_by_whole_segments() {
        for (written, fits, differs) in [
            ("/", &["/"][..], &["/a", "*"][..]),
            ("/**", &["/", "/a", "/a/b", "*"], &[]),
            ("/a/**", &["/a", "/a/", "/a/b/c"], &["/", "/ab", "/b/a", "*"]),
            ("/a", &["/a"], &["/", "/ab", "/a/b", "/A"]),
            ("/a/", &["/a"], &["/a/b"]),
            ("/a/*", &["/a/b"], &["/a", "/a/", "/a/b/c", "/b/b"]),
            ("/a/{id}/c", &["/a/b/c"], &["/a/c", "/a//c", "/a/b", "/a/b/d", "/a/b/c/d"]),
            ("/{x}/b/**", &["/a/b", "/a/b/c"], &["/a", "/b/a/b"]),
            ("/%6Cogin", &["/login"], &["/%6Cogin"]),
            ("/a b", &["/a%20b"], &["/a b"]),
            ("/a%2fb", &["/a%2Fb"], &["/a/b"]),
        ] {
            let template = template(written);
            assert!(fits.iter().all(|path| template.matches(path)), "{written} should match all of {fits:?}");
            assert!(
                !differs.iter().any(|path| template.matches(path)),
                "{written} should match none of {differs:?}"
            );
            assert_eq!(template.as_str(), written);
        }
    }

    /// Where trailing slashes count, a template means them.
    #[test]
    fn tells_trailing_slashes_apart_by_rule() {
        let rules = PathRules { trailing_slash: TrailingSlash::Distinct, ..PLAIN };
        let slash = Template::parse("/a/*/", &rules).unwrap();
        assert!(slash.matches("/a/b/") && !slash.matches("/a/b"));
        let bare = Template::parse("/a", &rules).unwrap();
        assert!(bare.matches("/a") && !bare.matches("/a/"));
        assert!(Template::parse("/a/**", &rules).unwrap().matches("/a/"));
    }

    /// Literals are folded like paths, or a template could never match.
    #[test]
    fn folds_literals_by_the_rules() {
        let rules = PathRules { case: Case::Insensitive, parameters: Parameters::Strip, ..PLAIN };
        assert!(Template::parse("/LOGIN;v=1/{Id}", &rules).unwrap().matches("/login/x"));
    }

    /// What one template covers, none of its paths can reach a later route.
    #[test]
    fn knows_what_it_covers() {
        for (wide, narrow, covers) in [
            ("/**", "/", true),
            ("/**", "/a/*", true),
            ("/a/**", "/a", true),
            ("/a/**", "/a/b/**", true),
            ("/a/**", "/*/b", false),
            ("/a/*/**", "/a/**", false),
            ("/*", "/a", true),
            ("/*", "/{id}", true),
            ("/a", "/*", false),
            ("/*", "/**", false),
            ("/*", "/", false),
            ("/", "/", true),
            ("/{x}/b", "/a/*", false),
            ("/{x}/b", "/a/b", true),
        ] {
            assert_eq!(template(wide).covers(&template(narrow)), covers, "{wide} over {narrow}");
        }
    }

    /// Promise: two templates overlap exactly if some path fits both; what they share is again a template.
    #[test]
    fn knows_what_two_share() {
        for (one, other, both) in [
            ("/**", "/a/*", Some("/a/*")),
            ("/a/**", "/*/b", Some("/a/b")),
            ("/a/**", "/a", Some("/a")),
            ("/a/*/**", "/a/**", Some("/a/*/**")),
            ("/{x}/b", "/a/{y}", Some("/a/b")),
            ("/{x}/b/**", "/a/**", Some("/a/b/**")),
            ("/*", "/**", Some("/*")),
            ("/", "/**", Some("/")),
            ("/", "/*", None),
            ("/a", "/b", None),
            ("/a", "/a/*", None),
            ("/a/*", "/b/**", None),
            ("/*/x", "/*/y/**", None),
        ] {
            let shared = template(one).intersection(&template(other));
            assert_eq!(shared.as_ref().map(Template::as_str), both, "{one} and {other}");
            assert_eq!(template(other).intersection(&template(one)), shared, "{other} and {one}");
        }
    }

    /// A mistake in a template is an error that says what was expected.
    #[test]
    fn refuses_mistakes() {
        for (written, error) in [
            ("", TemplateError::NotRooted),
            ("api/*", TemplateError::NotRooted),
            ("/a/**/b", TemplateError::OpenInMiddle),
            ("/a*", TemplateError::PartialWildcard { segment: "a*".into() }),
            ("/{a}b", TemplateError::PartialWildcard { segment: "{a}b".into() }),
            ("/{}", TemplateError::InvalidName { segment: "{}".into() }),
            ("/{a b}", TemplateError::InvalidName { segment: "{a b}".into() }),
            ("//a", TemplateError::EmptySegment),
            ("/a//", TemplateError::EmptySegment),
            ("//**", TemplateError::EmptySegment),
            ("/a/../b", TemplateError::DotSegment { segment: "..".into() }),
            ("/%2e", TemplateError::DotSegment { segment: "%2e".into() }),
            ("/a?b", TemplateError::QueryOrFragment { segment: "a?b".into() }),
            (
                "/a%0",
                TemplateError::InvalidSegment { segment: "a%0".into(), fault: PathFault::InvalidEncoding },
            ),
        ] {
            assert_eq!(Template::parse(written, &PLAIN), Err(error), "{written}");
        }
    }
}
