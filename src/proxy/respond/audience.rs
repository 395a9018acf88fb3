//! Who reads what weir writes itself, and in which form.

use http::Method;
use http::header::{self, HeaderMap, HeaderValue};

/// The reader of weir's own response to one request.
#[derive(Clone, Debug, Default)]
pub struct Audience {
    pub form: Form,
    /// The page that asks, where a browser said so and weir is to let pages read.
    pub origin: Option<HeaderValue>,
}

/// What a client reads best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Problem details (RFC 9457), for programs.
    #[default]
    Json,
    /// A page, for people.
    Html,
    /// A status in the head alone, for gRPC; the content type that its client takes.
    Grpc(&'static str),
}

impl Audience {
    /// `cors`: whether it matters which page asks.
    pub fn of(method: &Method, headers: &HeaderMap, cors: bool) -> Self {
        let origin = if cors { headers.get(header::ORIGIN).cloned() } else { None };
        Audience { form: Form::of(method, headers), origin }
    }
}

impl Form {
    fn of(method: &Method, headers: &HeaderMap) -> Self {
        // Every call is a POST.
        if method == Method::POST
            && let Some(grpc) = headers.get(header::CONTENT_TYPE).and_then(grpc)
        {
            return Form::Grpc(grpc);
        }
        // Browsers ask for `text/html`; everything else is a program.
        let asks_html = headers
            .get_all(header::ACCEPT)
            .iter()
            .any(|v| memchr::memmem::find(v.as_bytes(), b"text/html").is_some());
        if asks_html { Form::Html } else { Form::Json }
    }
}

/// `application/grpc`, `application/grpc+proto`, `application/grpc-web-text;charset=utf-8` and so on.
fn grpc(content_type: &HeaderValue) -> Option<&'static str> {
    const FORMS: [&str; 3] = ["application/grpc-web-text", "application/grpc-web", "application/grpc"];
    let sent = content_type.as_bytes();
    FORMS.into_iter().find(|form| {
        let rest = sent.get(form.len()..).unwrap_or_default();
        sent.get(..form.len()).is_some_and(|start| start.eq_ignore_ascii_case(form.as_bytes()))
            && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: gRPC and gRPC-Web are told from everything else by their content type, however it is spelled.
    #[test]
    fn grpc_is_known_by_its_content_type() {
        let form = |content_type| {
            Form::of(
                &Method::POST,
                &HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]),
            )
        };
        for (content_type, answer) in [
            ("application/grpc", "application/grpc"),
            ("application/grpc+proto", "application/grpc"),
            ("Application/gRPC;x=y", "application/grpc"),
            ("application/grpc-web+proto", "application/grpc-web"),
            ("application/grpc-web-text", "application/grpc-web-text"),
        ] {
            assert_eq!(form(content_type), Form::Grpc(answer), "{content_type}");
        }
        for other in ["application/json", "application/grpcx", "application/", "text/html"] {
            assert_eq!(form(other), Form::Json, "{other}");
        }
    }
}
