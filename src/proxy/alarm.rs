//! A timer for deadlines that keep moving: it is armed once and looks again when it fires, instead of being
//! re-armed on every request.

use std::pin::Pin;
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
        let sleep = match &mut self.sleep {
            // Armed, and early enough: it will wake the task, which then asks again.
            Some(sleep) if sleep.deadline() <= at && !sleep.is_elapsed() => return Poll::Pending,
            Some(sleep) => sleep,
            none => none.insert(Box::pin(sleep_until(at))),
        };
        while clock.now() < due {
            if sleep.deadline() != at {
                sleep.as_mut().reset(at);
            }
            ready!(sleep.as_mut().poll(cx));
        }
        Poll::Ready(())
    }
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
        std::future::poll_fn(|cx| {
            assert!(alarm.poll_due(future, &clock, cx).is_pending());
            assert!(alarm.poll_due(past, &clock, cx).is_ready());
            assert!(alarm.poll_due(future, &clock, cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
}
