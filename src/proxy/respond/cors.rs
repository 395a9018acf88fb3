//! Fields that let pages of other origins read what weir writes itself (Fetch standard, “CORS protocol”).

use http::header::{self, HeaderName, HeaderValue};

use crate::policy::responses::{Cors, Origins, Responses};
use crate::proxy::message::own_message::OwnMessage;

/// What scripts may read besides the safe-listed fields.
const EXPOSED: &str = "Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Proxy-Status, Grpc-Status, \
                       Grpc-Message, Grpc-Retry-Pushback-Ms";
const EXPOSED_LEGACY: &str = "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset";

/// `[responses] cors`, ready to be written.
#[derive(Debug)]
pub struct CorsFields {
    cors: Cors,
    exposed: HeaderValue,
}

impl CorsFields {
    /// `None` where no such field is wanted.
    pub fn of(responses: &Responses) -> Option<Self> {
        let cors = responses.cors.clone()?;
        let legacy = responses.legacy_rate_limit_fields.then_some(EXPOSED_LEGACY);
        let more = cors.expose.iter().map(HeaderName::as_str);
        let exposed: Vec<&str> = std::iter::once(EXPOSED).chain(legacy).chain(more).collect();
        // Names and commas: there is nothing that a field cannot hold.
        let exposed = HeaderValue::try_from(exposed.join(", ")).unwrap_or(HeaderValue::from_static(EXPOSED));
        Some(CorsFields { cors, exposed })
    }

    /// Adds the fields for a request of a page of `origin`; without one, only what caches must know.
    pub fn put(&self, origin: Option<&HeaderValue>, fields: &mut OwnMessage) {
        let allowed = origin.filter(|origin| origin.to_str().is_ok_and(|o| self.cors.origins.allow(o)));
        let value = match (&self.cors.origins, allowed) {
            (Origins::Any, allowed) => allowed.map(|_| HeaderValue::from_static("*")),
            (Origins::These(_), allowed) => {
                fields.put(&header::VARY, &HeaderValue::from_static("Origin"));
                allowed.cloned()
            }
        };
        let Some(value) = value else { return };
        fields.put(&header::ACCESS_CONTROL_ALLOW_ORIGIN, &value);
        fields.put(&header::ACCESS_CONTROL_EXPOSE_HEADERS, &self.exposed);
        if self.cors.credentials {
            fields.put(&header::ACCESS_CONTROL_ALLOW_CREDENTIALS, &HeaderValue::from_static("true"));
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn written(origins: Origins, credentials: bool, origin: Option<&'static str>) -> HeaderMap {
        let cors = Cors { origins, credentials, expose: vec![HeaderName::from_static("x-mine")] };
        let fields = CorsFields::of(&Responses { cors: Some(cors), ..Responses::default() }).unwrap();
        let (mut own, mut headers) = (OwnMessage::default(), HeaderMap::new());
        fields.put(origin.map(HeaderValue::from_static).as_ref(), &mut own);
        own.add_to(&mut headers);
        headers
    }

    /// Promise: where any page may read, the response says so to whoever asks from a page.
    #[test]
    fn any_origin_gets_a_star() {
        let headers = written(Origins::Any, false, Some("https://a.example"));
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert!(headers["access-control-expose-headers"].to_str().unwrap().ends_with(", x-mine"));
        assert!(!headers.contains_key("access-control-allow-credentials"));
        assert!(written(Origins::Any, false, None).is_empty());
    }

    /// Promise: a listed origin is echoed, with leave for cookies where configured; another gets nothing but the
    /// word to caches that origins make a difference.
    #[test]
    fn listed_origins_are_echoed() {
        let these = || Origins::These(vec!["https://a.example".into()]);
        let headers = written(these(), true, Some("https://a.example"));
        assert_eq!(headers["access-control-allow-origin"], "https://a.example");
        assert_eq!(headers["access-control-allow-credentials"], "true");
        assert_eq!(headers["vary"], "Origin");
        for origin in [Some("https://b.example"), None] {
            let headers = written(these(), true, origin);
            assert_eq!((headers.len(), &headers["vary"]), (1, &HeaderValue::from_static("Origin")));
        }
    }
}
