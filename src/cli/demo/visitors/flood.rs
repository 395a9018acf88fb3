//! A flood: many connections from one address, each asking at a fixed pace and ignoring every answer.

use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Stage;
use crate::cli::demo::cast::{Phase, Visitor};

const AGENT: &str = "python-requests/2.32";
const ACCEPT: &str = "*/*";
const CONNECTIONS: u32 = 60;
/// Of each connection; together, 400 requests a second.
const PACE: Duration = Duration::from_millis(150);

/// Adds one script for each connection.
pub(super) fn spawn(stage: &Stage, scripts: &mut JoinSet<()>) {
    for connection in 0..CONNECTIONS {
        scripts.spawn(pour(stage.clone(), connection));
    }
}

/// At weir while it is the flood's turn, then, after a pause, at the app itself.
async fn pour(stage: Stage, connection: u32) {
    let mut rng = Rng::with_seed(14 + u64::from(connection));
    for part in [Phase::Flood, Phase::WithoutWeir] {
        stage.until(part).await;
        tokio::time::sleep(PACE * connection / CONNECTIONS).await;
        let mut browser = stage.browser(Visitor::Flood, AGENT, ACCEPT);
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stage.phase() == part {
            pace.tick().await;
            let target = match rng.u32(..4) {
                0 => "/".to_owned(),
                _ => format!("/search?q={}", rng.u32(..)),
            };
            stage.visit(Visitor::Flood, &mut browser, &target).await;
        }
    }
}
