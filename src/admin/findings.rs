//! `/api/v1/findings`: what was found, and a stream of what changes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use http_body::{Body, Frame};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{MissedTickBehavior, interval};

use super::Admin;
use super::answer::{self, Answer};
use super::asked::{Asked, decoded};
use crate::engine::FindingFilter;
use crate::findings::Followed;
use crate::findings::filter::Filter;
use crate::findings::report::FindingReport;
use crate::findings::stream::{self, Event};

pub(super) const PATH: &str = "/api/v1/findings";
pub(super) const STREAM_PATH: &str = "/api/v1/findings/stream";

/// How many are listed unless `limit` says otherwise, and at most.
const LISTED: usize = 50;
const LISTED_MAX: usize = 1000;

/// Who follows holds one of the listener's connections.
const FOLLOWERS_MAX: usize = 16;
/// Events that wait for a follower's connection, before those that wait in the book.
const QUEUE: usize = 8;
/// Longer than this nobody hears nothing.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Some findings, as they are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingsReport {
    /// The latest first.
    pub findings: Vec<FindingReport>,
    /// How many more there are that fit.
    pub more: usize,
    /// Where the stream goes on from these, as its `Last-Event-ID`.
    pub last_event: u64,
}

/// The latest that fit, as many as `limit` says.
pub(super) fn latest(admin: &Arc<Admin>, asked: &Asked) -> Answer {
    let (filter, limit) = match read(asked, &["limit", "open"]) {
        Ok(asked) => asked,
        Err(detail) => return answer::problem(StatusCode::BAD_REQUEST, &detail, &[]),
    };
    // Asked first: what changes in between is then told twice, and not missed.
    let last_event = admin.findings.last();
    let mut findings = reports(admin, &FindingFilter { is_open: filter.open, ..FindingFilter::default() });
    findings.retain(|report| filter.fits(report));
    let more = findings.len().saturating_sub(limit);
    findings.truncate(limit);
    answer::json(&FindingsReport { findings, more, last_event })
}

/// All that the engine remembers, the latest first.
fn reports(admin: &Admin, filter: &FindingFilter) -> Vec<FindingReport> {
    let binding = (admin.binding)();
    let cases = admin.engine.findings(filter, usize::MAX);
    cases.iter().map(|case| admin.findings.report(case, binding.policy(), admin.clock)).collect()
}

/// The one whose id ends the path.
pub(super) fn one(admin: &Arc<Admin>, asked: &Asked) -> Answer {
    let id = asked.path.strip_prefix(PATH).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    let id = decoded(id).parse().ok();
    let found = reports(admin, &FindingFilter::default()).into_iter().find(|report| Some(report.id) == id);
    if let Some(report) = found {
        return answer::json(&report);
    }
    let detail = "No finding with this id is remembered: there was none, or it was closed long ago.";
    answer::problem(StatusCode::NOT_FOUND, detail, &[])
}

/// Changes as they happen (server-sent events, HTML standard § 9.2), after the one that `Last-Event-ID` names.
pub(super) fn follow(admin: &Arc<Admin>, asked: &Asked) -> Answer {
    let filter = match read(asked, &[]) {
        Ok((filter, _)) => filter,
        Err(detail) => return answer::problem(StatusCode::BAD_REQUEST, &detail, &[]),
    };
    let Ok(place) = Arc::clone(&admin.followers.0).try_acquire_owned() else {
        let detail = format!("{FOLLOWERS_MAX} follow already; that is as many as may.");
        return answer::problem(StatusCode::SERVICE_UNAVAILABLE, &detail, &[]);
    };
    let seen = asked.headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let Some(followed) = admin.findings.follow(seen) else {
        return answer::problem(StatusCode::SERVICE_UNAVAILABLE, "weir stops.", &[]);
    };
    let (sender, receiver) = mpsc::channel(QUEUE);
    if asked.method != http::Method::HEAD {
        tokio::spawn(async move {
            // An error means that the follower has left.
            let _ = tell(followed, &filter, &sender).await;
            drop(place);
        });
    }
    answer::endless(EVENT_STREAM, Told(receiver))
}

/// Who may follow at once.
#[derive(Debug)]
pub struct Followers(Arc<tokio::sync::Semaphore>);

impl Default for Followers {
    fn default() -> Self {
        Followers(Arc::new(tokio::sync::Semaphore::new(FOLLOWERS_MAX)))
    }
}

/// What is asked for, with the parameters `more` beside those of every list.
fn read(asked: &Asked, more: &[&str]) -> Result<(Filter, usize), String> {
    const PARAMETERS: [&str; 3] = ["detector", "clause", "principal"];
    let known = || PARAMETERS.iter().chain(more);
    if let Some(unknown) = asked.names().find(|name| !known().any(|known| known == name)) {
        let names: Vec<&str> = known().copied().collect();
        return Err(format!("There is no parameter {unknown:?}; there are {}.", names.join(", ")));
    }
    let open = match asked.one("open").as_deref() {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(other) => return Err(format!("`open` is true or false, not {other:?}.")),
    };
    let limit = match asked.one("limit").map(|limit| limit.parse::<usize>()) {
        None => LISTED,
        Some(Ok(limit)) if limit <= LISTED_MAX => limit,
        Some(_) => return Err(format!("`limit` is a number up to {LISTED_MAX}.")),
    };
    let [detector, clause, principal] = PARAMETERS.map(|name| asked.one(name));
    Ok((Filter { detector, clause, principal, open }, limit))
}

/// The follower has left.
#[derive(Debug)]
struct Left;

/// Tells a follower of what changes until it leaves, or nothing more is told.
async fn tell(followed: Followed, filter: &Filter, to: &Sender<Bytes>) -> Result<(), Left> {
    let Followed { backlog, missed, mut changes } = followed;
    send(to, stream::BEGINNING).await?;
    if missed > 0 {
        send(to, stream::missed(missed)).await?;
    }
    for event in backlog {
        send_if_fits(to, filter, &event).await?;
    }
    let mut quiet = interval(HEARTBEAT_EVERY);
    quiet.set_missed_tick_behavior(MissedTickBehavior::Delay);
    quiet.reset();
    loop {
        tokio::select! {
            () = to.closed() => return Err(Left),
            _ = quiet.tick() => send(to, stream::HEARTBEAT).await?,
            change = changes.recv() => match change {
                Ok(event) => send_if_fits(to, filter, &event).await?,
                Err(RecvError::Lagged(missed)) => send(to, stream::missed(missed)).await?,
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

async fn send_if_fits(to: &Sender<Bytes>, filter: &Filter, event: &Event) -> Result<(), Left> {
    if filter.fits(&event.report) { send(to, event.text()).await } else { Ok(()) }
}

async fn send(to: &Sender<Bytes>, text: Bytes) -> Result<(), Left> {
    to.send(text).await.map_err(|_| Left)
}

/// The body of a stream: takes from the queue only what its connection has room for.
struct Told(Receiver<Bytes>);

impl Body for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|text| text.map(|text| Ok(Frame::data(text))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clause::Behaviour;
    use crate::findings::report::tests::report;
    use crate::findings::stream::Change;
    use crate::findings::{BEHIND_MAX, Book};
    use crate::time::Moment;

    /// Promise: a follower that is slow holds nobody up and takes no memory for it: it is told how many it missed, and
    /// goes on with the latest. It hears only what it asked for, and its stream ends when weir stops.
    #[test]
    fn a_slow_follower_is_told_what_it_missed() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let book = Book::default();
            let (sender, mut receiver) = mpsc::channel(QUEUE);
            let followed = book.follow(None).unwrap();
            let filter = Filter { detector: Some("crawl".to_owned()), ..Filter::default() };
            let telling = tokio::spawn(async move { tell(followed, &filter, &sender).await });
            // Told at once: the follower has had no turn yet.
            for id in 1..=BEHIND_MAX as u64 + 44 {
                book.tell(Change::Opened, Behaviour::Crawl, report(id), Moment::ORIGIN);
            }
            let other = FindingReport { detector: "flood".to_owned(), ..report(9) };
            book.tell(Change::Opened, Behaviour::Flood, other, Moment::ORIGIN);
            book.close();
            assert_eq!(receiver.recv().await, Some(stream::BEGINNING));
            assert_eq!(receiver.recv().await, Some(stream::missed(45)));
            let mut heard = Vec::new();
            while let Some(text) = receiver.recv().await {
                heard.push(text);
            }
            assert_eq!(heard.len(), BEHIND_MAX - 1);
            assert!(heard[0].starts_with(b"id: 46\n"), "{:?}", heard[0]);
            assert!(telling.await.unwrap().is_ok());
        });
    }

    /// Promise: a follower that leaves is forgotten at once, though nothing is found.
    #[test]
    fn who_leaves_is_forgotten() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (book, (sender, mut receiver)) = (Book::default(), mpsc::channel(QUEUE));
            let followed = book.follow(None).unwrap();
            let telling = tokio::spawn(async move { tell(followed, &Filter::default(), &sender).await });
            assert_eq!(receiver.recv().await, Some(stream::BEGINNING));
            drop(receiver);
            assert!(telling.await.unwrap().is_err());
        });
    }
}
