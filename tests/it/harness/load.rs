//! Steady load from a few clients, for tests of what must not be noticed: reloads, restarts, stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use super::{RawClient, eventually};

/// Clients that send one request after the other until they are stopped, or until nobody accepts their
/// connections any more.
#[derive(Debug)]
pub(crate) struct Load {
    clients: Vec<JoinHandle<Tally>>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

/// What the clients met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Requests answered by the expected status.
    pub(crate) answered: usize,
    /// Requests that were sent on an accepted connection and not answered so, and why.
    pub(crate) failed: Vec<String>,
    /// Connections that ended before their first answer began: refused by the kernel, or still unread in a
    /// queue when the listener closed.
    pub(crate) turned_away: usize,
    /// Answers that said `Connection: close`.
    pub(crate) told_to_close: usize,
}

impl Load {
    /// `clients` clients, each on a connection that it keeps as long as it may; expects 200 for everything.
    pub(crate) fn start(to: SocketAddr, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let clients = (0..clients)
            .map(|_| {
                let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
                thread::spawn(move || client(to, &stop, &answered))
            })
            .collect();
        Load { clients, stop, answered }
    }

    /// Waits until `count` more requests were answered.
    #[track_caller]
    pub(crate) fn await_answers(&self, count: usize) {
        let goal = self.answered.load(Ordering::SeqCst) + count;
        eventually("the load goes on", || (self.answered.load(Ordering::SeqCst) >= goal).then_some(()));
    }

    /// Ends the load and gives what all clients met.
    #[track_caller]
    pub(crate) fn stop(self) -> Tally {
        self.stop.store(true, Ordering::SeqCst);
        self.until_refused()
    }

    /// Waits until every client was turned away, and gives what all met.
    #[track_caller]
    pub(crate) fn until_refused(self) -> Tally {
        let mut sum = Tally::default();
        for client in self.clients {
            let tally = client.join().unwrap();
            sum.answered += tally.answered;
            sum.failed.extend(tally.failed);
            sum.turned_away += tally.turned_away;
            sum.told_to_close += tally.told_to_close;
        }
        sum
    }
}

fn client(to: SocketAddr, stop: &AtomicBool, answered: &AtomicUsize) -> Tally {
    let mut tally = Tally::default();
    while !stop.load(Ordering::SeqCst) {
        let Ok(mut connection) = RawClient::try_connect(to) else {
            tally.turned_away += 1;
            return tally;
        };
        let mut first = true;
        loop {
            let sent =
                connection.try_send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\n\r\nload");
            let answer = sent.and_then(|()| connection.try_response());
            match answer {
                Ok(Some(answer)) if answer.status() == 200 => {
                    tally.answered += 1;
                    answered.fetch_add(1, Ordering::SeqCst);
                    if answer.field("connection").is_some_and(|value| value == "close") {
                        tally.told_to_close += 1;
                        break;
                    }
                }
                Ok(Some(answer)) => {
                    tally.failed.push(format!("{}: {}", answer.status(), answer.text()));
                    break;
                }
                // Nothing of this connection was ever read: the same as a refused connect.
                Ok(None) | Err(_) if first => {
                    tally.turned_away += 1;
                    break;
                }
                Ok(None) => {
                    tally.failed.push("ended instead of an answer".to_owned());
                    break;
                }
                Err(error) => {
                    tally.failed.push(error.to_string());
                    break;
                }
            }
            first = false;
            if stop.load(Ordering::SeqCst) {
                return tally;
            }
        }
    }
    tally
}
