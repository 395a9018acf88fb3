//! A timer for deadlines that keep moving: it is armed once and looks again when it fires, instead of being
//! re-armed on every request.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::clock::Clock;
use crate::time::Moment;

/// At most one timer; none until the first wait.
#[derive(Debug, Default)]
pub struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready once `due` has passed. `due` may differ from call to call; the caller's task is woken in time
    /// for whatever was asked last.
    pub fn poll_due(&mut self, due: Moment, clock: &Clock, cx: &mut Context<'_>) -> Poll<()> {
        let at = Instant::from_std(clock.instant(due));
        if self.sleep.as_ref().is_some_and(|sleep| sleep.deadline() <= at && !sleep.is_elapsed()) {
            // Armed, and early enough: it will wake the task, which then asks again.
            return Poll::Pending;
        }
        while clock.now() < due {
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
            if sleep.deadline() != at {
                sleep.as_mut().reset(at);
            }
            ready!(sleep.as_mut().poll(cx));
        }
        Poll::Ready(())
    }
}

/// What `future` gives, or `None` when `until` comes first.
pub async fn by<F: Future>(until: Option<Moment>, clock: &Clock, future: F) -> Option<F::Output> {
    let (mut future, mut alarm) = (pin!(future), Alarm::default());
    poll_fn(|cx| match (future.as_mut().poll(cx), until) {
        (Poll::Ready(output), _) => Poll::Ready(Some(output)),
        (Poll::Pending, Some(until)) => alarm.poll_due(until, clock, cx).map(|()| None),
        (Poll::Pending, None) => Poll::Pending,
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Promise: a deadline in the past is due at once, and one in the future is not.
    #[tokio::test]
    async fn past_is_due_future_is_not() {
        let (clock, mut alarm) = (Clock::start(), Alarm::default());
        let (past, future) = (clock.now(), clock.now().after(Duration::from_secs(600)));
        poll_fn(|cx| {
            assert!(alarm.poll_due(future, &clock, cx).is_pending());
            assert!(alarm.poll_due(past, &clock, cx).is_ready());
            assert!(alarm.poll_due(future, &clock, cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }

    /// Promise: a deadline that was past when first asked leaves the alarm able to wait for the next.
    #[tokio::test]
    async fn waits_after_a_deadline_that_was_past() {
        let (clock, mut alarm) = (Clock::start(), Alarm::default());
        let past = clock.now();
        poll_fn(|cx| alarm.poll_due(past, &clock, cx)).await;
        let soon = clock.now().after(Duration::from_millis(5));
        poll_fn(|cx| alarm.poll_due(soon, &clock, cx)).await;
        assert!(clock.now() >= soon);
    }

    /// Promise: what does not come in time is given up, and what has come is not.
    #[tokio::test]
    async fn gives_up_in_time() {
        let clock = Clock::start();
        let soon = Some(clock.now().after(Duration::from_millis(5)));
        assert_eq!(by(soon, &clock, std::future::pending::<()>()).await, None);
        assert_eq!(by(soon, &clock, std::future::ready(1)).await, Some(1));
    }
}
