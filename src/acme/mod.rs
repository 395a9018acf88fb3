//! Certificates from an authority (ACME, RFC 8555): obtained, kept, renewed in time, and put in force without a reload.
//!
//! | part | what it does |
//! |---|---|
//! | [`Keeper`] | one name after the other, whenever it is due |
//! | [`schedule`] | when that is |
//! | [`order`] | one certificate |
//! | [`store`] | the files |
//! | [`directory`] | HTTP to the authority |
//!
//! What is in force goes through [`Issued`], which each handshake reads. A certificate that was issued serves until it is
//! replaced, whatever happens here.

mod directory;
mod order;
mod schedule;
mod store;

use std::sync::Arc;
use std::time::Duration;

use instant_acme::Account;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::policy::acme::Acme;
use crate::proxy::Proxy;
use crate::proxy::tls::{Issued, Validity};
use crate::time::WallTime;
use directory::Directory;
use order::OrderError;
use schedule::Lot;
use store::{Kept, Store, StoreError};

/// At least so often the wall clock is looked at: it may be set while weir sleeps.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// Keeps the certificates of a policy's names.
#[derive(Debug)]
pub struct Keeper {
    issued: Issued,
    clock: Clock,
    metrics: Metrics,
    /// `None` where nothing is to be obtained.
    work: Option<Work>,
}

impl Keeper {
    /// Puts in force what is kept for the names of `policy`. Asks nobody for anything yet.
    pub fn start(policy: &Policy, issued: Issued, clock: Clock, metrics: Metrics) -> Self {
        let mut keeper = Keeper { issued, clock, metrics, work: None };
        keeper.adopt(acme_of(policy));
        keeper
    }

    /// Obtains and renews what is due, for whatever policy is in force. Never ends.
    pub async fn run(mut self, proxy: &Proxy) {
        let mut changes = proxy.policy_changes();
        loop {
            let in_force = self.work.as_ref().map(|work| Arc::clone(&work.acme));
            let changed = changed(&mut changes, in_force.as_ref(), proxy);
            let acme = match &mut self.work {
                None => changed.await,
                Some(work) => tokio::select! {
                    acme = changed => acme,
                    () = work.run(proxy) => return std::future::pending().await,
                },
            };
            self.adopt(acme);
        }
    }

    fn adopt(&mut self, acme: Option<Arc<Acme>>) {
        let before = self.work.take();
        for name in before.iter().flat_map(|work| &work.acme.names) {
            if !acme.as_ref().is_some_and(|acme| acme.names.contains(name)) {
                self.issued.forget(name);
            }
        }
        self.work = acme.map(|acme| Work::new(acme, self.issued.clone(), self.clock, self.metrics.clone()));
    }
}

/// Waits until the policy in force says something else of ACME than `acme`, and returns that.
async fn changed(
    changes: &mut watch::Receiver<()>,
    acme: Option<&Arc<Acme>>,
    proxy: &Proxy,
) -> Option<Arc<Acme>> {
    loop {
        let now = acme_of(&proxy.policy());
        if now.as_ref() != acme {
            return now;
        }
        if changes.changed().await.is_err() {
            // The proxy is gone, and there will be no other policy.
            return std::future::pending().await;
        }
    }
}

fn acme_of(policy: &Policy) -> Option<Arc<Acme>> {
    policy.tls.as_ref()?.acme.clone()
}

/// The names of one `[tls.acme]`.
#[derive(Debug)]
struct Work {
    acme: Arc<Acme>,
    issued: Issued,
    clock: Clock,
    metrics: Metrics,
    store: Store,
    names: Vec<Known>,
}

/// What is known of one name.
#[derive(Debug)]
struct Known {
    name: Arc<str>,
    validity: Option<Validity>,
    /// In a row.
    failures: u32,
    due: WallTime,
}

impl Work {
    /// Reads what is kept, and puts it in force.
    fn new(acme: Arc<Acme>, issued: Issued, clock: Clock, metrics: Metrics) -> Self {
        let store = Store::new(&acme.state_dir, &acme.directory);
        let mut work = Work { acme, issued, clock, metrics, store, names: Vec::new() };
        work.names = work.acme.names.iter().map(|name| work.restore(name)).collect();
        work
    }

    fn restore(&self, name: &Arc<str>) -> Known {
        let validity = match self.store.certificate(name) {
            Ok(Some(kept)) => self.put_in_force(name, &kept),
            Ok(None) => None,
            Err(error) => {
                report_unreadable(name, &error);
                None
            }
        };
        let now = self.clock.wall();
        match validity {
            None => tracing::info!(
                name = &**name,
                "there is no certificate for this name yet: until it is issued, a handshake for it fails unless a file of \
                 [tls] certificates has the name"
            ),
            Some(validity) if is_over(validity, now) => {
                tracing::error!(
                    name = &**name, since = %validity.not_after,
                    "the certificate for this name is out of date; another is asked for at once"
                );
            }
            Some(validity) => {
                tracing::info!(name = &**name, until = %validity.not_after, "certificate found");
            }
        }
        let due = validity.map_or(now, |validity| schedule::renewal(validity, Lot::draw()));
        Known { name: Arc::clone(name), validity, failures: 0, due }
    }

    fn put_in_force(&self, name: &str, kept: &Kept) -> Option<Validity> {
        if let Some(path) = self.store.open_to_others(name) {
            tracing::warn!(
                file = %path.display(),
                "others may read this file, which holds a private key: `chmod 600` it, and consider the key known"
            );
        }
        match self.issued.serve(name, &kept.certificate) {
            Ok(()) => Some(kept.validity),
            Err(error) => {
                tracing::error!(name, %error, "the certificate that is kept cannot serve; another is asked for");
                None
            }
        }
    }

    /// Never ends.
    async fn run(&mut self, proxy: &Proxy) {
        let directory = loop {
            match Directory::new(&self.acme.verify, self.clock) {
                Ok(directory) => break directory,
                Err(error) => {
                    self.metrics.acme_order(false);
                    tracing::error!(%error, "no certificate can be asked for; write `ca` in [tls.acme]");
                    sleep(LOOK).await;
                }
            }
        };
        let mut account = None;
        loop {
            let now = self.clock.wall();
            let Some(next) = self.names.iter_mut().min_by_key(|name| name.due) else {
                return std::future::pending().await;
            };
            if proxy.is_stopping() {
                // Nobody could be shown anything any more.
                return std::future::pending().await;
            }
            if next.due > now {
                let left = Duration::from_millis(next.due.unix_ms.saturating_sub(now.unix_ms));
                sleep(left.clamp(Duration::from_millis(1), LOOK)).await;
                continue;
            }
            let name = Arc::clone(&next.name);
            let obtained = self.obtain(&name, &mut account, &directory).await;
            self.note(&name, obtained, &directory);
        }
    }

    async fn obtain(
        &self,
        name: &str,
        account: &mut Option<Account>,
        directory: &Directory,
    ) -> Result<Kept, OrderError> {
        let known = match account.take() {
            Some(known) => known,
            None => order::account(&self.acme, &self.store, directory).await?,
        };
        let first = order::obtain(&self.acme, name, &known, &self.store, &self.issued).await;
        let (known, obtained) = match first {
            Err(error) if error.is_unknown_account() => {
                tracing::warn!(%error, "the authority does not know the account that is kept; another one is made");
                self.store.set_account_aside()?;
                let new = order::account(&self.acme, &self.store, directory).await?;
                let again = order::obtain(&self.acme, name, &new, &self.store, &self.issued).await;
                (new, again)
            }
            other => (known, other),
        };
        // After a failure everything is looked at anew.
        *account = obtained.is_ok().then_some(known);
        obtained
    }

    /// Says what came of it, and when to look again.
    fn note(&mut self, name: &str, obtained: Result<Kept, OrderError>, directory: &Directory) {
        self.metrics.acme_order(obtained.is_ok());
        let (now, challenge) = (self.clock.wall(), self.acme.challenge);
        let Some(known) = self.names.iter_mut().find(|known| *known.name == *name) else { return };
        let asked = directory.take_asked_to_wait();
        match obtained {
            Ok(Kept { validity, .. }) => {
                // A clock that is wrong must not make it ask again and again.
                let soonest = after(now, schedule::wait(1, None, Lot::draw()));
                known.due = schedule::renewal(validity, Lot::draw()).max(soonest);
                known.validity = Some(validity);
                known.failures = 0;
                tracing::info!(
                    name, until = %validity.not_after, renewal = %known.due,
                    "a new certificate is in force"
                );
            }
            Err(error) => {
                known.failures = known.failures.saturating_add(1);
                known.due = after(now, schedule::wait(known.failures, asked, Lot::draw()));
                let advice = error.advice(challenge);
                let until = known.validity.filter(|validity| !is_over(*validity, now));
                if let Some(validity) = until {
                    tracing::warn!(
                        name, %error, serves_until = %validity.not_after, next_try = %known.due,
                        "the certificate cannot be renewed; the one before it serves. To do: {advice}"
                    );
                } else {
                    tracing::error!(
                        name, %error, next_try = %known.due,
                        "there is no certificate for this name. To do: {advice}"
                    );
                }
            }
        }
    }
}

fn report_unreadable(name: &str, error: &StoreError) {
    match error {
        StoreError::Damaged { .. } => tracing::error!(
            name, %error,
            "the certificate that is kept is not used, and another is asked for, which takes its place; to keep it, put \
             it right and restart"
        ),
        StoreError::Io { .. } => tracing::error!(
            name, %error,
            "the certificate that is kept cannot be read: let the user that weir runs as own state_dir, with its files"
        ),
    }
}

fn is_over(validity: Validity, now: WallTime) -> bool {
    now >= validity.not_after
}

fn after(at: WallTime, wait: Duration) -> WallTime {
    let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    WallTime { unix_ms: at.unix_ms.saturating_add(wait) }
}
