//! Who is asking: from the credentials of a request to the accounts, the credential and the session behind it.
//!
//! [`Resolver`] is the door. It is given the headers and the wall time, does no I/O, and keeps no secret: what was
//! one is a hash before anything is looked up, compared or remembered.
//!
//! | file | what it knows |
//! |---|---|
//! | [`places`] | where in a request a credential stands |
//! | [`cookies`] | `Cookie` and `Set-Cookie` (RFC 6265) |
//! | [`certificate`] | certificates of clients (RFC 5280) |
//! | [`jwt`] | signed tokens (RFC 7519) |
//! | [`keyed`] | what a credential is called where it must not be known |
//! | [`learned`] | which account the app said a session is |
//!
//! **Comparing.** No secret is compared with another here. A credential is looked up by its SHA-256 in a hash map: the
//! time that takes tells at most how far two hashes agree, and nobody can choose a credential by its hash, so it leads
//! no closer to one that is known. Signatures of shared secrets are verified by aws-lc, in constant time.

mod certificate;
mod cookies;
mod jwt;
mod keyed;
mod learned;
mod places;

pub use certificate::Certificate;
pub use learned::Release;

use std::sync::Arc;

use http::HeaderMap;
use http::header::SET_COOKIE;
use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;

use crate::facts::{Account, Principal, PrincipalKind, Who};
use crate::policy::identity::{CertificatePart, Place, Source};
use crate::policy::{Accounts, Limit, Policy, WhoPart};
use crate::time::WallTime;
use jwt::Verifier;
use keyed::Keyed;
use learned::Learned;

/// SHA-256 of a credential.
type Sha = [u8; 32];

/// How many credentials a request may hold, in all places together, and how many sessions. Nobody has as many; looking at
/// each takes time, and looking at some only would be a way past an account's limits.
pub const CREDENTIALS_MAX: usize = 16;

/// A request with more than [`CREDENTIALS_MAX`] credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {CREDENTIALS_MAX} credentials in one request")]
pub struct TooManyCredentials;

/// What a request's headers say of whoever sent it.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    pub who: Who,
    /// Every session that the request names, each once; `who.session` is one of them. What the app says of the
    /// request is said of all of them.
    pub sessions: SmallVec<[Principal; 1]>,
}

/// What the app said of the account behind a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub account: Option<Arc<str>>,
    pub release: Release,
}

impl Said {
    const NOTHING: Said = Said { account: None, release: Release::Pass };
}

/// What outlives a policy, shared by all workers: a session stays the same principal, and what the app said of it stays
/// known.
#[derive(Debug)]
pub struct Memory {
    keyed: Keyed,
    learned: Learned,
}

impl Memory {
    /// `key`: random, 256 bits, known to nobody else. Under another key, a session or a credential is another principal.
    pub fn new(key: &[u8; 32]) -> Self {
        Memory { keyed: Keyed::new(key), learned: Learned::default() }
    }

    /// How many sessions' accounts were learned and are not forgotten.
    pub fn sessions(&self) -> usize {
        self.learned.sessions()
    }
}

/// Reads credentials as one policy says.
#[derive(Debug)]
pub struct Resolver {
    credentials: Vec<CredentialPlace>,
    /// What of a client's certificate names its account.
    certificate: Vec<CertificatePart>,
    /// Empty where nothing needs sessions.
    sessions: Vec<Place>,
    accounts: Arc<Accounts>,
    memory: Arc<Memory>,
}

/// A place, and all that may stand there.
#[derive(Debug)]
struct CredentialPlace {
    place: Place,
    /// Opaque ones, that the accounts file knows.
    tokens: bool,
    jwts: Vec<Verifier>,
}

impl Resolver {
    pub fn new(policy: &Policy, memory: Arc<Memory>) -> Self {
        let identity = &policy.identity;
        let by_session = |limit: &Limit| limit.key.who.contains(&WhoPart::Session);
        let needs_sessions = identity.learn_from.is_some() || policy.limits.iter().any(by_session);
        Resolver {
            credentials: by_place(&identity.sources),
            certificate: identity
                .sources
                .iter()
                .filter_map(|source| match source {
                    Source::ClientCertificate(part) => Some(*part),
                    Source::Token(_) | Source::Jwt(_) => None,
                })
                .collect(),
            sessions: if needs_sessions { identity.sessions.clone() } else { Vec::new() },
            accounts: Arc::clone(&policy.accounts),
            memory,
        }
    }

    /// Whether the policy has no request looked at: [`resolve`](Self::resolve) would find nobody.
    pub fn is_idle(&self) -> bool {
        self.credentials.is_empty() && self.certificate.is_empty() && self.sessions.is_empty()
    }

    /// Everyone behind a request with these headers, at `now`, from a client that showed TLS this certificate.
    ///
    /// Every credential that is present counts, wherever and in whichever order it stands: what is known of one is not
    /// undone by another that is not.
    pub fn resolve(
        &self,
        headers: &HeaderMap,
        certificate: Option<&Certificate>,
        now: WallTime,
    ) -> Result<Resolved, TooManyCredentials> {
        let mut resolved = Resolved::default();
        let mut count = 0;
        let mut unknown = None;
        for (part, certificate) in self.certificate.iter().filter_map(|part| Some((part, certificate?))) {
            let accounts = certificate.accounts(*part, &self.accounts);
            if accounts.is_empty() {
                unknown = Some(*certificate.sha());
            }
            accounts.into_iter().for_each(|account| add(&mut resolved.who, account));
        }
        for at in &self.credentials {
            places::each(headers, &at.place, |value| {
                count_one(&mut count)?;
                match self.account_of(at, value, now) {
                    Ok(account) => add(&mut resolved.who, account),
                    Err(sha) => _ = unknown.get_or_insert(sha),
                }
                Ok(())
            })?;
        }
        self.read_sessions(headers, &mut resolved)?;
        if resolved.who.accounts.is_empty() {
            resolved.who.unknown =
                unknown.map(|sha| self.memory.keyed.principal(PrincipalKind::Credential, &sha));
        }
        Ok(resolved)
    }

    /// Notes that the app named `account` in its answer to a request with these sessions. `answer` is the head of the
    /// answer: a session that it begins is the account's as well.
    ///
    /// An empty `account` says that the sessions are nobody's (any more). One that no account can be called is
    /// ignored.
    pub fn learn(&self, sessions: &[Principal], account: &[u8], answer: &HeaderMap) -> Said {
        let Some(id) = str::from_utf8(account).ok().filter(|id| id.is_empty() || is_account_id(id)) else {
            return Said::NOTHING;
        };
        let begun = self.sessions_begun(answer);
        let sessions = sessions.iter().chain(&begun);
        if id.is_empty() {
            sessions.for_each(|session| self.memory.learned.forget(*session));
            return Said::NOTHING;
        }
        // One allocation for all sessions of an account in the file.
        let id = self.accounts.with_id(id).map_or_else(|| id.into(), |account| Arc::clone(&account.id));
        let suspended = self.accounts.suspension(&id).is_some();
        let release = if suspended { Release::Withhold } else { Release::Pass };
        sessions.for_each(|session| self.memory.learned.bind(*session, &id));
        Said { account: Some(id), release }
    }

    /// The account that `value` is a credential of, or what it is called if there is none.
    fn account_of(
        &self,
        at: &CredentialPlace,
        value: places::Value<'_>,
        now: WallTime,
    ) -> Result<Account, Sha> {
        let sha: Sha = Sha256::digest(value.meant()).into();
        if at.tokens {
            let as_sent = || {
                let sha: Sha = Sha256::digest(value.sent()?).into();
                self.accounts.with_credential(&sha)
            };
            if let Some(account) = self.accounts.with_credential(&sha).or_else(as_sent) {
                return Ok(account.clone());
            }
        }
        let named = at.jwts.iter().find_map(|jwt| jwt.account(value.meant(), &sha, now));
        named.map(|id| self.accounts.named(&id)).ok_or(sha)
    }

    fn read_sessions(&self, headers: &HeaderMap, resolved: &mut Resolved) -> Result<(), TooManyCredentials> {
        let (mut count, mut bound) = (0, None);
        for place in &self.sessions {
            places::each(headers, place, |value| {
                count_one(&mut count)?;
                let session = self.session(value.meant());
                if resolved.sessions.contains(&session) {
                    return Ok(());
                }
                resolved.sessions.push(session);
                if let Some(id) = self.memory.learned.account(session) {
                    bound = bound.or(Some(session));
                    add(&mut resolved.who, self.accounts.named(&id));
                }
                Ok(())
            })?;
        }
        // One that the app knows tells more than one that anybody may have made up.
        resolved.who.session = bound.or(resolved.sessions.first().copied());
        Ok(())
    }

    fn session(&self, value: &[u8]) -> Principal {
        self.memory.keyed.principal(PrincipalKind::Session, &Sha256::digest(value).into())
    }

    /// Sessions that the app begins with this answer.
    fn sessions_begun(&self, answer: &HeaderMap) -> SmallVec<[Principal; 1]> {
        let cookies: SmallVec<[&str; 2]> = self
            .sessions
            .iter()
            .filter_map(|place| match place {
                Place::Cookie(name) => Some(&**name),
                Place::Bearer | Place::Header(_) => None,
            })
            .collect();
        let mut begun = SmallVec::new();
        for value in answer.get_all(SET_COOKIE) {
            let Some((name, value)) = cookies::set_by(value.as_bytes()) else { continue };
            let value = cookies::meaning(value);
            let tells_a_session = cookies.iter().any(|cookie| cookie.as_bytes() == name) && !value.is_empty();
            if tells_a_session && begun.len() < CREDENTIALS_MAX {
                begun.push(self.session(&value));
            }
        }
        begun
    }
}

/// Whether an account can be called so: as in the accounts file.
fn is_account_id(id: &str) -> bool {
    const ID_BYTES_MAX: usize = 256;
    !id.is_empty() && id.len() <= ID_BYTES_MAX && !id.chars().any(char::is_control)
}

fn count_one(count: &mut usize) -> Result<(), TooManyCredentials> {
    *count += 1;
    if *count > CREDENTIALS_MAX { Err(TooManyCredentials) } else { Ok(()) }
}

fn add(who: &mut Who, account: Account) {
    if who.accounts.iter().all(|known| known.principal != account.principal) {
        who.accounts.push(account);
    }
}

/// Each place once, so that what stands there is hashed once.
fn by_place(sources: &[Source]) -> Vec<CredentialPlace> {
    let mut places: Vec<CredentialPlace> = Vec::new();
    for source in sources {
        let (place, jwt) = match source {
            Source::Token(place) => (place, None),
            Source::Jwt(jwt) => (&jwt.place, Some(jwt)),
            // Not in a header.
            Source::ClientCertificate(_) => continue,
        };
        let at = places.iter().position(|known| known.place == *place).unwrap_or_else(|| {
            places.push(CredentialPlace { place: place.clone(), tokens: false, jwts: Vec::new() });
            places.len() - 1
        });
        if let Some(known) = places.get_mut(at) {
            known.tokens |= jwt.is_none();
            known.jwts.extend(jwt.map(Verifier::new));
        }
    }
    places
}
