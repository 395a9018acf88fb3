//! What the app's robots.txt asks crawlers to leave alone (RFC 9309): fetched in the background, for the detectors.
//!
//! One file for each host that a route names, and one for all others. What cannot be fetched changes nothing: what was
//! known before still holds, and nobody is held to rules that weir has not read.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::{sleep_until, timeout};

use super::maybe_tls::ServerStream;
use super::upstream::Upstream;
use super::upstream::connect::{ConnectError, open};
use super::{Live, Shared};
use crate::clause::Behaviour;
use crate::detect::Robots;
use crate::policy::{Server, UpstreamProtocol};
use crate::time::Moment;

/// Bytes of a file that are read (RFC 9309 §2.5 asks for 500 KiB at least).
const BYTES_MAX: usize = 512 << 10;
/// For everything: connecting, redirects, and the body.
const PATIENCE: Duration = Duration::from_secs(10);
/// RFC 9309 §2.3.1.2 asks for five at least.
const REDIRECTS_MAX: usize = 5;
/// Where the app does not say for how long its file holds. RFC 9309 §2.4 allows a day at most.
const HOLDS: Duration = Duration::from_secs(3600);
const HOLDS_MIN: Duration = Duration::from_secs(60);
const HOLDS_MAX: Duration = Duration::from_secs(24 * 3600);
/// After a file could not be fetched.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Hosts whose files are fetched: those of the first routes.
const HOSTS_MAX: usize = 64;
const PATH: &str = "/robots.txt";

/// The rules of all hosts, as they are known now.
#[derive(Debug, Default)]
pub struct RobotsFiles(ArcSwap<Vec<Known>>);

/// The rules of one host.
#[derive(Clone, Debug, Default)]
struct Known {
    /// `None`: of every host that none of the others is about.
    host: Option<String>,
    rules: Arc<Robots>,
}

impl RobotsFiles {
    /// Whether a crawler that calls itself so is asked not to fetch this.
    pub(super) fn forbids<'a>(
        &self,
        host: &str,
        user_agent: impl FnOnce() -> &'a str,
        path: &str,
        query: Option<&str>,
    ) -> bool {
        let known = self.0.load();
        if known.is_empty() {
            return false;
        }
        let of = |wanted: Option<&str>| known.iter().find(|known| known.host.as_deref() == wanted);
        let Some(known) = of(Some(host)).or_else(|| of(None)) else { return false };
        if known.rules.is_empty() {
            return false;
        }
        match query {
            Some(query) => known.rules.forbids(user_agent(), &format!("{path}?{query}")),
            None => known.rules.forbids(user_agent(), path),
        }
    }

    fn replace(&self, files: &[File]) {
        let known =
            files.iter().map(|file| Known { host: file.host.clone(), rules: Arc::clone(&file.rules) });
        self.0.store(Arc::new(known.collect()));
    }
}

/// One file that is to be known.
#[derive(Debug)]
struct File {
    host: Option<String>,
    upstream: Arc<Upstream>,
    rules: Arc<Robots>,
    /// When it is to be fetched again.
    due: Moment,
}

/// Fetches what the policy in force wants, and again when it is due, for as long as weir runs.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut changes = shared.policy_changes.subscribe();
    let mut files = Vec::new();
    loop {
        files = wanted(&shared.live.load(), std::mem::take(&mut files), shared.clock.now());
        shared.robots.replace(&files);
        loop {
            for file in &mut files {
                if file.due <= shared.clock.now() {
                    refresh(file, &shared).await;
                }
            }
            shared.robots.replace(&files);
            let next = files.iter().map(|file| file.due).min();
            tokio::select! {
                changed = changes.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                () = until(next, &shared) => {}
            }
        }
    }
}

async fn until(next: Option<Moment>, shared: &Shared) {
    match next {
        Some(next) => sleep_until(shared.clock.instant(next).into()).await,
        None => std::future::pending().await,
    }
}

/// The files that a policy makes it worth knowing, with what is known of them already.
fn wanted(live: &Live, known: Vec<File>, now: Moment) -> Vec<File> {
    let policy = &live.policy;
    let conduct = &policy.conduct;
    let is_read = conduct.detector(Behaviour::Crawl).is_some()
        || conduct.rules.iter().any(|rule| rule.when.reads("disallowed"));
    if !conduct.robots || !is_read {
        return Vec::new();
    }
    let mut hosts: Vec<Option<&str>> = vec![None];
    for host in policy.routes.iter().filter_map(|route| route.host.as_deref()) {
        if hosts.len() < HOSTS_MAX && !host.starts_with('*') && !hosts.contains(&Some(host)) {
            hosts.push(Some(host));
        }
    }
    let mut known = known;
    let files = hosts.into_iter().filter_map(|host| {
        let route = policy.route(policy.find_route(host.unwrap_or_default(), PATH)?);
        let upstream = live.upstream(route.upstream);
        let same =
            known.iter().position(|file| file.host.as_deref() == host && file.upstream.rule == upstream.rule);
        Some(same.map_or_else(
            || File {
                host: host.map(str::to_owned),
                upstream: Arc::clone(upstream),
                rules: Arc::default(),
                due: now,
            },
            |at| known.swap_remove(at),
        ))
    });
    files.collect()
}

async fn refresh(file: &mut File, shared: &Shared) {
    let host = file.host.as_deref().unwrap_or("every other host");
    let fetched = timeout(PATIENCE, fetch(file)).await.unwrap_or(Err(Failure::TimedOut));
    let now = shared.clock.now();
    match fetched {
        Ok(Fetched { rules, holds }) => {
            if *file.rules != rules {
                tracing::info!(host, upstream = file.upstream.rule.name, "robots.txt is read");
            }
            (file.rules, file.due) = (Arc::new(rules), now.after(holds));
        }
        Err(error) => {
            tracing::debug!(host, upstream = file.upstream.rule.name, %error, "robots.txt is not read");
            file.due = now.after(AGAIN_AFTER);
        }
    }
}

/// A file that was read, and for how long it holds.
#[derive(Debug)]
struct Fetched {
    rules: Robots,
    holds: Duration,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no whole answer in time")]
    TimedOut,
    #[error("{0}")]
    Connect(#[from] ConnectError),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("{0}")]
    Request(#[from] http::Error),
    #[error("answered {0}")]
    Status(StatusCode),
    #[error("redirected too often, or elsewhere")]
    Redirected,
}

/// From the first server that takes a connection. A file that is not there forbids nothing (RFC 9309 §2.3.1.3).
async fn fetch(file: &File) -> Result<Fetched, Failure> {
    let mut target = PATH.to_owned();
    for _ in 0..=REDIRECTS_MAX {
        let (status, headers, body) = get(file, &target).await?;
        if status.is_redirection() {
            target = redirected(&headers, file.host.as_deref()).ok_or(Failure::Redirected)?;
            continue;
        }
        let rules = match status {
            status if status.is_success() => Robots::parse(&beginning(body).await?),
            status if status.is_client_error() => Robots::default(),
            status => return Err(Failure::Status(status)),
        };
        return Ok(Fetched { rules, holds: holds(&headers) });
    }
    Err(Failure::Redirected)
}

async fn get(file: &File, target: &str) -> Result<(StatusCode, HeaderMap, Incoming), Failure> {
    let (stream, server) = connect(&file.upstream).await?;
    let (stream, host) = (TokioIo::new(stream), file.host.as_deref().unwrap_or(server.host()));
    let request = Request::get(target).header(header::USER_AGENT, "weir-robots");
    // Each connection ends with the response, or when that is given up and dropped.
    let response = match server.protocol {
        UpstreamProtocol::Http1 => {
            let (mut sender, driver) = http1::handshake(stream).await?;
            tokio::spawn(driver);
            let request = request.header(header::HOST, host).header(header::CONNECTION, "close");
            sender.send_request(request.body(Empty::<Bytes>::new())?).await?
        }
        UpstreamProtocol::Http2 => {
            let (mut sender, driver) = http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(driver);
            let scheme = if server.tls.is_some() { "https" } else { "http" };
            let uri = Uri::builder().scheme(scheme).authority(host).path_and_query(target).build()?;
            sender.send_request(request.uri(uri).body(Empty::<Bytes>::new())?).await?
        }
    };
    let (parts, body) = response.into_parts();
    Ok((parts.status, parts.headers, body))
}

/// A connection to the first server that takes one, and that server.
async fn connect(upstream: &Upstream) -> Result<(ServerStream, &Server), Failure> {
    let mut refused = ConnectError::Refused(std::io::ErrorKind::NotFound.into());
    for server in &upstream.servers {
        match open(server, None).await {
            Ok(stream) => return Ok((stream, server.rule())),
            Err(error) => refused = error,
        }
    }
    Err(refused.into())
}

/// As much of a body as is read.
async fn beginning(mut body: Incoming) -> Result<Vec<u8>, Failure> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            let room = BYTES_MAX - read.len();
            read.extend_from_slice(data.get(..room).unwrap_or(&data));
        }
        if read.len() >= BYTES_MAX {
            break;
        }
    }
    Ok(read)
}

/// Where a redirect leads, if that is on the same host.
fn redirected(headers: &HeaderMap, host: Option<&str>) -> Option<String> {
    let location: Uri = headers.get(header::LOCATION)?.to_str().ok()?.parse().ok()?;
    let elsewhere =
        location.host().is_some_and(|its| host.is_none_or(|host| !host.eq_ignore_ascii_case(its)));
    let target = location.path_and_query()?.as_str();
    (!elsewhere && target.starts_with('/')).then(|| target.to_owned())
}

/// For how long a file holds: `max-age` of its `Cache-Control` (RFC 9111 §5.2.2.1), within bounds.
fn holds(headers: &HeaderMap) -> Duration {
    let directives =
        headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    let max_age = directives.flat_map(|value| value.split(',')).find_map(|directive| {
        let (name, seconds) = directive.trim().split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| seconds.trim_matches('"').parse::<u64>().ok())?
    });
    max_age.map_or(HOLDS, Duration::from_secs).clamp(HOLDS_MIN, HOLDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    /// Promise: a file holds for as long as the app says, between a minute and a day, and for an hour where it does not.
    #[test]
    fn a_file_holds_as_long_as_it_says() {
        for (value, seconds) in [
            ("max-age=600", 600),
            ("public, Max-Age=\"7200\"", 7200),
            ("max-age=1", 60),
            ("max-age=999999", 86_400),
            ("no-store", 3600),
            ("max-age=soon", 3600),
        ] {
            assert_eq!(holds(&headers(header::CACHE_CONTROL, value)).as_secs(), seconds, "{value}");
        }
        assert_eq!(holds(&HeaderMap::new()).as_secs(), 3600);
    }

    /// Promise: a redirect is followed to the same host and nowhere else.
    #[test]
    fn redirects_stay_on_the_host() {
        let to = |location, host| redirected(&headers(header::LOCATION, location), host);
        assert_eq!(to("/static/robots.txt?v=2", None).as_deref(), Some("/static/robots.txt?v=2"));
        assert_eq!(to("https://A.example/r", Some("a.example")).as_deref(), Some("/r"));
        assert_eq!(to("https://b.example/r", Some("a.example")), None);
        assert_eq!(to("https://a.example/r", None), None);
        assert_eq!(redirected(&HeaderMap::new(), None), None);
    }

    /// Promise: each host has its own rules, all others those of the rest, and where nothing is known nothing is
    /// forbidden.
    #[test]
    fn every_host_has_its_own_rules() {
        let files = RobotsFiles::default();
        assert!(!files.forbids("a.example", || "bot", "/private", None));
        let known = |host: Option<&str>, text: &str| Known {
            host: host.map(str::to_owned),
            rules: Arc::new(Robots::parse(text.as_bytes())),
        };
        files.0.store(Arc::new(vec![
            known(None, "user-agent: *\ndisallow: /private"),
            known(Some("a.example"), "user-agent: *\ndisallow: /*?page="),
        ]));
        assert!(!files.forbids("a.example", || "bot", "/private", None));
        assert!(files.forbids("a.example", || "bot", "/list", Some("page=2")));
        assert!(files.forbids("b.example", || "bot", "/private/x", None));
    }
}
