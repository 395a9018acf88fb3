//! `/api/v1/mode`: the switch for everything, read and thrown at run time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::Admin;
use super::answer::{self, Answer};
use super::asked::Asked;
use crate::engine::ModeOverride;
use crate::remedy::Mode;
use crate::time::{Moment, WallTime};

/// The longest that a mode may be set for; longer is what the configuration is for.
const FOR_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
const REASON_CHARS_MAX: usize = 500;

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeRequest {
    /// `enforce`, `shadow`, `off`, or `policy` for what the configuration says.
    pub mode: String,
    /// Absent: until somebody says otherwise, or weir is restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The mode in force, and who set it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModeReport {
    pub mode: String,
    /// As the configuration has it.
    pub policy: String,
    pub overridden: bool,
    /// Seconds until the policy's own mode is back; `None`: until somebody gives it back.
    pub expires_in: Option<f64>,
    pub reason: Option<String>,
    /// RFC 3339.
    pub since: Option<String>,
    pub by: Option<IpAddr>,
}

/// Who threw the switch last, and why.
#[derive(Debug, Default)]
pub struct ModeSwitch(Mutex<Thrown>);

#[derive(Debug, Default)]
struct Thrown {
    /// How often it was thrown: tells whether a wait for an expiry is still about the same.
    times: u64,
    last: Option<Throw>,
}

#[derive(Clone, Debug)]
struct Throw {
    reason: Option<String>,
    since: WallTime,
    by: IpAddr,
}

pub(super) fn read(admin: &Arc<Admin>, _: &Asked) -> Answer {
    answer::json(&report(admin))
}

/// Sets the mode from the next decision on.
pub(super) fn set(admin: &Arc<Admin>, asked: &Asked) -> Answer {
    match parse(&asked.body) {
        Ok((mode, length, reason)) => {
            throw(admin, mode, length, reason, asked.from);
            answer::json(&report(admin))
        }
        Err(detail) => answer::problem(StatusCode::BAD_REQUEST, &detail, &[]),
    }
}

type Wish = (Option<Mode>, Option<Duration>, Option<String>);

fn parse(body: &[u8]) -> Result<Wish, String> {
    let ModeRequest { mode, for_seconds, reason } =
        serde_json::from_slice(body).map_err(|error| format!("This is not what is expected: {error}."))?;
    let mode = match (Mode::ALL.into_iter().find(|known| known.name() == mode), mode.as_str()) {
        (None, "policy") => None,
        (Some(mode), _) => Some(mode),
        (None, other) => return Err(format!("{other:?} is no mode: enforce, shadow, off or policy.")),
    };
    let length = for_seconds.map(Duration::from_secs);
    if length.is_some_and(|length| length.is_zero() || length > FOR_MAX) {
        return Err("A mode is set for between 1 second and 366 days.".to_owned());
    }
    if mode.is_none() && length.is_some() {
        return Err("The policy's own mode is not set for a while, but given back.".to_owned());
    }
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
        return Err(format!("A reason has at most {REASON_CHARS_MAX} characters."));
    }
    Ok((mode, length, reason))
}

fn throw(
    admin: &Arc<Admin>,
    mode: Option<Mode>,
    length: Option<Duration>,
    reason: Option<String>,
    by: IpAddr,
) {
    let (now, since) = (admin.clock.now(), admin.clock.wall());
    let until = length.map(|length| now.after(length));
    // Held for all of it: two who throw it at once come one after the other.
    let mut thrown = admin.switch.0.lock();
    let old = mode_now(admin, now);
    admin.engine.override_mode(mode.map(|mode| ModeOverride { mode, until }));
    let new = mode_now(admin, now);
    thrown.times += 1;
    tracing::warn!(
        target: "weir::audit",
        old = old.name(),
        new = new.name(),
        overrides_policy = mode.is_some(),
        for_seconds = length.map(|length| length.as_secs()),
        // Escaped: a reason cannot pretend to be another line.
        reason = reason.as_ref().map(|reason| reason.escape_debug().to_string()),
        by = %by,
        "enforcement mode set"
    );
    thrown.last = mode.map(|_| Throw { reason, since, by });
    if let Some(until) = until {
        tokio::spawn(expire(Arc::clone(admin), thrown.times, until));
    }
}

/// Takes back an override whose time is over. The engine takes no notice of it by then; this says so.
async fn expire(admin: Arc<Admin>, times: u64, until: Moment) {
    tokio::time::sleep_until(admin.clock.instant(until).into()).await;
    let mut thrown = admin.switch.0.lock();
    if thrown.times == times {
        thrown.last = None;
        admin.engine.override_mode(None);
        let new = mode_now(&admin, until);
        tracing::warn!(target: "weir::audit", new = new.name(), "enforcement mode is the policy's own again: its time was over");
    }
}

fn mode_now(admin: &Admin, now: Moment) -> Mode {
    let policy = || (admin.binding)().policy().enforcement.mode;
    admin.engine.mode_override(now).map_or_else(policy, |to| to.mode)
}

fn report(admin: &Admin) -> ModeReport {
    let now = admin.clock.now();
    let thrown = admin.switch.0.lock();
    let to = admin.engine.mode_override(now);
    let last = thrown.last.as_ref().filter(|_| to.is_some());
    ModeReport {
        mode: mode_now(admin, now).name().to_owned(),
        policy: (admin.binding)().policy().enforcement.mode.name().to_owned(),
        overridden: to.is_some(),
        expires_in: to.and_then(|to| Some(to.until?.since(now).as_secs_f64())),
        reason: last.and_then(|last| last.reason.clone()),
        since: last.map(|last| last.since.to_string()),
        by: last.map(|last| last.by),
    }
}

/// For the scrape.
pub(super) fn measure(admin: &Admin) {
    let now = admin.clock.now();
    let left = |to: ModeOverride| to.until.map_or(Duration::MAX, |until| until.since(now));
    admin.metrics.set_enforcement(mode_now(admin, now), admin.engine.mode_override(now).map(left));
}
