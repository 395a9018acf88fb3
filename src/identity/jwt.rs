//! JSON Web Tokens (RFC 7519): whose they are, if they are genuine and their time is now.
//!
//! The signature is verified by `jsonwebtoken`; the times are compared here, with the time that the caller gives. What
//! a token says of itself chooses among the configured algorithms and keys and nothing else (RFC 8725 §3.1): `none`
//! is not among them, a key makes signatures of its own kind only, and `jku`, `jwk` and `x5c` are not followed.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use quick_cache::sync::Cache;
use serde_json::{Map, Value};

use super::{Sha, is_account_id};
use crate::policy::identity::{Jwt, JwtAlgorithm, JwtKey};
use crate::time::WallTime;

/// How many tokens are remembered as verified or not, by their SHA-256. A signature takes up to 0.1 ms, a client
/// sends its token with every request.
const TOKENS_MAX: usize = 32_768;

/// Verifies the tokens of one issuer.
pub(super) struct Verifier {
    claim: Box<str>,
    keys: Vec<Key>,
    leeway_ms: u64,
    /// `None`: not genuine.
    seen: Cache<Sha, Option<Token>>,
}

/// A key, and what it may be used for.
struct Key {
    key: DecodingKey,
    rules: Validation,
}

/// A genuine token.
#[derive(Clone)]
struct Token {
    account: Arc<str>,
    /// Milliseconds since the Unix epoch, leeway included.
    from_ms: u64,
    until_ms: u64,
}

impl Verifier {
    pub(super) fn new(jwt: &Jwt) -> Self {
        Verifier {
            claim: jwt.claim.clone(),
            keys: jwt.keys.iter().filter_map(|key| usable(key, jwt)).collect(),
            leeway_ms: u64::try_from(jwt.leeway.as_millis()).unwrap_or(u64::MAX),
            seen: Cache::new(TOKENS_MAX),
        }
    }

    /// The id of the account that `token`, whose SHA-256 is `sha`, names; `None` unless it is genuine and valid at `now`.
    pub(super) fn account(&self, token: &[u8], sha: &Sha, now: WallTime) -> Option<Arc<str>> {
        // In compact form (RFC 7515 §7.1), hence cheap to tell from most of what is none.
        if memchr::memchr_iter(b'.', token).count() != 2 {
            return None;
        }
        let token = self.seen.get(sha).unwrap_or_else(|| {
            let verified = self.verify(token);
            self.seen.insert(*sha, verified.clone());
            verified
        });
        token.filter(|token| token.from_ms <= now.unix_ms && now.unix_ms < token.until_ms).map(|t| t.account)
    }

    fn verify(&self, token: &[u8]) -> Option<Token> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        // RFC 7515 §4.1.11: whoever does not understand what is critical must refuse it; weir knows no extension.
        if header.crit.is_some() {
            return None;
        }
        let claims = self
            .keys
            .iter()
            .filter(|key| key.rules.algorithms.contains(&header.alg))
            .find_map(|Key { key, rules }| {
                jsonwebtoken::decode::<Map<String, Value>>(token, key, rules).ok()
            })?
            .claims;
        // RFC 7519 §4.1.4: not on or after `exp`; §4.1.5: not before `nbf`. Without them, always.
        let until_ms = time_ms(claims.get("exp"), u64::MAX)?.saturating_add(self.leeway_ms);
        let from_ms = time_ms(claims.get("nbf"), 0)?.saturating_sub(self.leeway_ms);
        let account = claims.get(&*self.claim)?.as_str().filter(|id| is_account_id(id))?.into();
        Some(Token { account, from_ms, until_ms })
    }
}

/// Counts rather than shows: keys are secrets, tokens are somebody's.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} keys, {} tokens)", self.keys.len(), self.seen.len())
    }
}

/// A key with the algorithms that are allowed and fit it; `None` if there are none.
fn usable(key: &JwtKey, jwt: &Jwt) -> Option<Key> {
    let mut algorithms = jwt.algorithms.iter().filter(|algorithm| algorithm.fits(key)).copied().map(theirs);
    let mut rules = Validation::new(algorithms.next()?);
    rules.algorithms.extend(algorithms);
    rules.required_spec_claims = HashSet::new();
    rules.validate_exp = false;
    rules.validate_aud = !jwt.audiences.is_empty();
    if let Some(issuer) = &jwt.issuer {
        rules.set_issuer(&[issuer]);
        rules.required_spec_claims.insert("iss".to_owned());
    }
    if rules.validate_aud {
        rules.set_audience(&jwt.audiences);
        rules.required_spec_claims.insert("aud".to_owned());
    }
    let key = match key {
        JwtKey::Rsa(der) => DecodingKey::from_rsa_der(der),
        JwtKey::P256(point) | JwtKey::P384(point) => DecodingKey::from_ec_der(point),
        JwtKey::Ed25519(octets) => DecodingKey::from_ed_der(octets),
        JwtKey::Secret(secret) => DecodingKey::from_secret(secret),
    };
    Some(Key { key, rules })
}

/// A `NumericDate` (RFC 7519 §2: seconds, perhaps a fraction) in milliseconds; `absent` where there is none, and
/// `None` where it is something else.
fn time_ms(claim: Option<&Value>, absent: u64) -> Option<u64> {
    match claim {
        None => Some(absent),
        Some(Value::Number(seconds)) => match (seconds.as_u64(), seconds.as_f64()) {
            (Some(whole), _) => Some(whole.saturating_mul(1000)),
            // Before 1970 is as good as 1970; the cast saturates.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturates, as wanted"
            )]
            (None, Some(fraction)) => Some((fraction * 1000.0) as u64),
            (None, None) => None,
        },
        Some(_) => None,
    }
}

const fn theirs(algorithm: JwtAlgorithm) -> Algorithm {
    match algorithm {
        JwtAlgorithm::Rs256 => Algorithm::RS256,
        JwtAlgorithm::Rs384 => Algorithm::RS384,
        JwtAlgorithm::Rs512 => Algorithm::RS512,
        JwtAlgorithm::Ps256 => Algorithm::PS256,
        JwtAlgorithm::Ps384 => Algorithm::PS384,
        JwtAlgorithm::Ps512 => Algorithm::PS512,
        JwtAlgorithm::Es256 => Algorithm::ES256,
        JwtAlgorithm::Es384 => Algorithm::ES384,
        JwtAlgorithm::EdDsa => Algorithm::EdDSA,
        JwtAlgorithm::Hs256 => Algorithm::HS256,
        JwtAlgorithm::Hs384 => Algorithm::HS384,
        JwtAlgorithm::Hs512 => Algorithm::HS512,
    }
}
