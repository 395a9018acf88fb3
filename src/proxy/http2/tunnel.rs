//! WebSockets over HTTP/2 (RFC 8441): a request of the extended CONNECT becomes the upgrade that HTTP/1.1 has, so that
//! routes, limits and the app see one like any other; the 101 becomes a 200, and the stream a tunnel.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::proxy::message::own_message::OwnMessage;
use crate::proxy::response_body::ResponseBody;
use crate::proxy::upgrade::{is_passed_on, tunnel};

/// Whether the request asks for a tunnel of a kind that is passed on.
pub(super) fn is_asked<B>(request: &Request<B>) -> bool {
    let protocol = request.extensions().get::<Protocol>().map(Protocol::as_str);
    let is_known =
        protocol.and_then(|name| HeaderValue::from_str(name).ok()).is_some_and(|name| is_passed_on(&name));
    // RFC 8441 §4: it has a target like any other.
    request.method() == Method::CONNECT && is_known && request.uri().path_and_query().is_some()
}

/// Makes the request one for an upgrade, as RFC 6455 §4.1 has it; and how its stream is taken over later.
pub(super) fn into_upgrade<B>(request: &mut Request<B>) -> OnUpgrade {
    let stream = hyper::upgrade::on(&mut *request);
    *request.method_mut() = Method::GET;
    let key = HeaderValue::try_from(STANDARD.encode(fastrand::u128(..).to_be_bytes()));
    let fields = request.headers_mut();
    fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    // The client has none, as HTTP/2 cannot take a request for anything else (RFC 8441 §5).
    fields.extend(key.map(|key| (header::SEC_WEBSOCKET_KEY, key)));
    stream
}

/// Answers a request that became an upgrade. After a 101 its stream is a tunnel to the app.
pub(super) fn answered(response: Response<ResponseBody>, stream: OnUpgrade) -> Response<ResponseBody> {
    let (mut head, body) = response.into_parts();
    let ResponseBody::Switched(switched) = body else { return Response::from_parts(head, body) };
    head.status = StatusCode::OK;
    for of_http1 in [header::CONNECTION, header::UPGRADE, header::SEC_WEBSOCKET_ACCEPT] {
        head.headers.remove(of_http1);
    }
    tokio::spawn(async move {
        // A client that has left meanwhile has no stream.
        if let Ok(stream) = stream.await {
            tunnel(TokioIo::new(stream), *switched).await;
        }
    });
    Response::from_parts(head, ResponseBody::own(OwnMessage::default()))
}
