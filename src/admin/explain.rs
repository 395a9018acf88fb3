//! `/api/v1/explain`: why a request would be decided as it would be, with live counters.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::Admin;
use super::answer::{self, Answer};
use super::asked::Asked;
use crate::engine::explain::{Question, Unanswerable};

const PARAMETERS: [&str; 7] = ["method", "path", "host", "client", "account", "fingerprint", "header"];

pub(super) fn explain(admin: &Arc<Admin>, asked: &Asked) -> Answer {
    let question = match question(asked) {
        Ok(question) => question,
        Err(detail) => return answer::problem(StatusCode::BAD_REQUEST, &detail, &[]),
    };
    let who = (admin.identify)(&question.headers).ok_or(Unanswerable::TooManyCredentials);
    let ask = |who| question.ask(&admin.engine, &(admin.binding)(), who, admin.clock.now());
    match who.and_then(ask) {
        Ok(report) => answer::json(&report),
        Err(why) => answer::problem(StatusCode::NOT_FOUND, &format!("{why}."), &[]),
    }
}

fn question(asked: &Asked) -> Result<Question, String> {
    if let Some(unknown) = asked.names().find(|name| !PARAMETERS.contains(&name.as_str())) {
        return Err(format!("There is no parameter {unknown:?}; there are {}.", PARAMETERS.join(", ")));
    }
    let method = asked.one("method").unwrap_or_else(|| "GET".to_owned());
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("{method:?} is no method."))?;
    let client = asked.one("client").ok_or("Say who asks, by client=ADDRESS.")?;
    let client: IpAddr = client.parse().map_err(|_| format!("{client:?} is no address."))?;
    let mut headers = HeaderMap::new();
    for field in asked.all("header") {
        let (name, value) = field.split_once(':').ok_or(format!("{field:?} is not NAME:VALUE."))?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok();
        let value = HeaderValue::from_str(value.trim()).ok();
        let (Some(name), Some(value)) = (name, value) else {
            return Err(format!("{field:?} is no header field."));
        };
        headers.append(name, value);
    }
    Ok(Question {
        method,
        host: asked.one("host").unwrap_or_default(),
        path: asked.one("path").ok_or("Say what is asked for, by path=PATH.")?,
        client,
        account: asked.one("account").map(Arc::from),
        fingerprint: asked.one("fingerprint").map(Arc::from),
        headers,
    })
}
