//! Conduct: which behaviour is looked for, of whom, and what follows when it is found.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use super::template::Template;
use super::{ClauseId, Exempt, Match};
use crate::clause::{Behaviour, RuleId};
use crate::facts::PrincipalKind;
pub use crate::remedy::Answer;
use crate::remedy::Mode;
use crate::rule::Program;

/// `[detectors]` and `[detection]`, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Conduct {
    /// Those that are not off, in the order of [`specs`](crate::detect::specs). One that no clause forbids is left out.
    pub detectors: Vec<Detector>,
    /// The operator's own, those that are not off, in file order.
    pub rules: Vec<Rule>,
    pub logins: Logins,
    /// Where no link leads that a person sees.
    pub traps: Vec<Template>,
    /// Whether the app's robots.txt is fetched, and noticed who disregards it.
    pub robots: bool,
    pub addresses: Addresses,
    /// How much of `state.memory` conduct may take, in thousandths, 1 to 1000.
    pub memory_permille: u32,
}

/// Each is asked about each request.
pub const RULES_MAX: usize = 50;

/// One behaviour that is looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    pub behaviour: Behaviour,
    pub clause: ClauseId,
    /// Never `Off`. In `Shadow` a finding refuses nobody.
    pub mode: Mode,
    /// From which on a finding is acted upon, 0 to 1.
    pub confidence: f32,
    pub answer: Answer,
    /// How long a finding is acted upon after the conduct that it is about.
    pub lasts: Duration,
    /// Found, but never refused for it.
    pub exempt: Exempt,
    /// In the order of the detector's knobs.
    pub thresholds: Box<[u32]>,
}

/// A rule of the operator's: what is forbidden, and of whom it is looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Unique, and none of the detectors' names.
    pub name: Arc<str>,
    pub clause: ClauseId,
    /// Never `Off`. In `Shadow` a finding refuses nobody.
    pub mode: Mode,
    /// How sure whatever it finds is, 0 to 1.
    pub confidence: f32,
    pub answer: Answer,
    /// How long a finding is acted upon after the conduct that it is about.
    pub lasts: Duration,
    /// Found, but never refused for it.
    pub exempt: Exempt,
    /// Of which requests it is asked at all.
    pub matches: Match,
    /// Who is judged by it; empty: everyone who is charged with a request.
    pub of: Vec<PrincipalKind>,
    pub when: Program,
}

impl Rule {
    pub fn behaviour(&self) -> Behaviour {
        Behaviour::Rule(RuleId::named(&self.name))
    }
}

/// Where people sign in, and which answers mean that they could not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Logins {
    /// As most frameworks do it: a POST to a path that ends in `/login` and the like, which redirects when all is well.
    #[default]
    Guessed,
    These(Vec<Login>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub paths: Vec<Template>,
    pub methods: Vec<Method>,
    pub failure: Failure,
}

/// Which statuses mean that a login failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    These(Vec<u16>),
    AllBut(Vec<u16>),
}

/// One of [`Logins`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginId(u16);

/// What findings say of the addresses of those who took part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addresses {
    /// As limits see them.
    #[default]
    Client,
    /// Their network.
    Network,
    None,
}

impl Addresses {
    pub const fn name(self) -> &'static str {
        match self {
            Addresses::Client => "client",
            Addresses::Network => "network",
            Addresses::None => "none",
        }
    }
}

impl Default for Conduct {
    /// Nobody is watched.
    fn default() -> Self {
        Conduct {
            detectors: Vec::new(),
            rules: Vec::new(),
            logins: Logins::default(),
            traps: Vec::new(),
            robots: false,
            addresses: Addresses::default(),
            memory_permille: 500,
        }
    }
}

impl Conduct {
    /// Whether anybody is watched at all.
    pub fn is_watching(&self) -> bool {
        !self.detectors.is_empty() || !self.rules.is_empty()
    }

    /// Whether anybody looks at requests: abuse of the protocols below shows without them.
    pub fn reads_requests(&self) -> bool {
        let looks = |one: &Detector| one.behaviour != Behaviour::Protocol;
        self.detectors.iter().any(looks) || !self.rules.is_empty()
    }

    pub fn detector(&self, behaviour: Behaviour) -> Option<&Detector> {
        self.detectors.iter().find(|detector| detector.behaviour == behaviour)
    }

    /// What recognises a behaviour is called so; `rule` for a rule that is no longer there.
    pub fn name_of(&self, behaviour: Behaviour) -> Arc<str> {
        let rule = self.rules.iter().find(|rule| rule.behaviour() == behaviour);
        rule.map_or_else(|| behaviour.name().into(), |rule| Arc::clone(&rule.name))
    }

    /// Whether a normalised path is one of the traps.
    pub fn is_trap(&self, path: &str) -> bool {
        self.traps.iter().any(|trap| trap.matches(path))
    }

    /// Of so many bytes for all that is remembered, those for conduct.
    pub fn memory_bytes(&self, state_bytes: u64) -> u64 {
        state_bytes.saturating_mul(self.memory_permille.into()) / 1000
    }
}

/// Statuses that a browser is led on by after it signed in.
const LED_ON: [u16; 3] = [301, 302, 303];

/// Where people sign in, as most frameworks call it.
const USUAL: [&str; 8] = [
    "/wp-login.php",
    "/xmlrpc.php",
    "/login",
    "/signin",
    "/sign_in",
    "/administrator/index.php",
    "/session",
    "/sessions",
];

impl Logins {
    /// Whether a request, with its normalised path, is a login.
    pub fn find(&self, method: &Method, path: &str) -> Option<LoginId> {
        match self {
            Logins::Guessed => {
                let is_login = method == Method::POST && USUAL.iter().any(|usual| path.ends_with(usual));
                is_login.then_some(LoginId(0))
            }
            Logins::These(logins) => {
                let is_it = |login: &Login| {
                    login.methods.contains(method) && login.paths.iter().any(|at| at.matches(path))
                };
                logins.iter().position(is_it).and_then(|at| u16::try_from(at).ok()).map(LoginId)
            }
        }
    }

    /// Whether the app's answer means that it failed.
    pub fn has_failed(&self, login: LoginId, status: StatusCode) -> bool {
        let status = status.as_u16();
        let of = |logins: &[Login]| match &logins.get(usize::from(login.0))?.failure {
            Failure::These(failed) => Some(failed.contains(&status)),
            Failure::AllBut(succeeded) => Some(!succeeded.contains(&status)),
        };
        match self {
            Logins::Guessed => !LED_ON.contains(&status),
            Logins::These(logins) => of(logins).unwrap_or(false),
        }
    }
}

impl Default for Failure {
    fn default() -> Self {
        Failure::AllBut(LED_ON.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::path::PathRules;

    /// Promise: without a word about logins, the usual ones are known, and a redirect means that all went well.
    #[test]
    fn usual_logins_are_known() {
        let logins = Logins::default();
        assert_eq!(logins.find(&Method::GET, "/login"), None);
        assert_eq!(logins.find(&Method::POST, "/loginpage"), None);
        let login = logins.find(&Method::POST, "/blog/wp-login.php").unwrap();
        let failed =
            [200, 302, 401].map(|status| logins.has_failed(login, StatusCode::from_u16(status).unwrap()));
        assert_eq!(failed, [true, false, true]);
    }

    /// Promise: logins that are written down are those, by their own answers, and no others.
    #[test]
    fn written_logins_are_those() {
        let template = |path| Template::parse(path, &PathRules::default()).unwrap();
        let login =
            |path, failure| Login { paths: vec![template(path)], methods: vec![Method::POST], failure };
        let logins = Logins::These(vec![
            login("/in", Failure::These(vec![401, 422])),
            login("/api/{v}/token", Failure::AllBut(vec![200])),
        ]);
        assert_eq!(logins.find(&Method::POST, "/login"), None);
        let failed = |path, status| {
            let login = logins.find(&Method::POST, path).unwrap();
            logins.has_failed(login, StatusCode::from_u16(status).unwrap())
        };
        assert_eq!([200, 401, 422, 403].map(|status| failed("/in", status)), [false, true, true, false]);
        assert_eq!([200, 204, 500].map(|status| failed("/api/v1/token", status)), [false, true, true]);
    }
}
