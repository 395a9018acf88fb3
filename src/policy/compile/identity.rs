//! Who is asking: sources that make sense together, keys that fit, and how wide a client and a network are.

use std::sync::Arc;
use std::time::Duration;

use super::keys;
use crate::config::identity::{Credential, Identity as Written, Jwt as WrittenJwt, Prefixes};
use crate::config::{At, Config, Diagnostic, NamedFiles, Place as Position, Problems};
use crate::policy::identity::{Identity, Jwt, JwtAlgorithm, JwtKey, Place, Source};
use crate::policy::{AsnDatabase, ClientPrefix, NetworkPrefix, Networks};

/// The subject of a token (RFC 7519 §4.1.2).
const CLAIM: &str = "sub";
const LEEWAY: Duration = Duration::from_secs(60);

pub(super) fn compile(config: &Config, problems: &Problems) -> Identity {
    let written = &config.identity;
    report_double_sources(written, problems);
    let source = |credential: &At<Credential>| match &credential.value {
        Credential::Token(place) => Some(Source::Token(place.clone())),
        Credential::ClientCertificate(part) => Some(Source::ClientCertificate(*part)),
        Credential::Jwt(jwt) => self::jwt(jwt, credential.place, &config.named, problems).map(Source::Jwt),
    };
    Identity {
        sources: written.account.iter().filter_map(source).collect(),
        sessions: match &written.session {
            Some(places) => places.iter().map(|place| place.value.clone()).collect(),
            None => default_sessions(written),
        },
        learn_from: written.learn_account_from.as_ref().map(|name| name.value.clone()),
    }
}

pub(super) fn client(written: &Prefixes) -> ClientPrefix {
    let or = |written: &Option<At<u8>>, default| written.as_ref().map_or(default, |bits| bits.value);
    ClientPrefix { ipv4: or(&written.ipv4, 32), ipv6: or(&written.ipv6, 64) }
}

pub(super) fn networks(config: &Config, client: ClientPrefix, problems: &Problems) -> Networks {
    let (written, default) = (&config.identity.network, NetworkPrefix::default());
    let prefix = |written: &Option<At<u8>>, default: u8, client: u8| {
        let Some(bits) = written else { return default.min(client) };
        if bits.value > client {
            problems.add(
                Diagnostic::error(bits.place, "a network is narrower than a client")
                    .expected(format!("at most {client}, the prefix of a client")),
            );
        }
        bits.value
    };
    Networks {
        prefix: NetworkPrefix {
            ipv4: prefix(&written.ipv4, default.ipv4, client.ipv4),
            ipv6: prefix(&written.ipv6, default.ipv6, client.ipv6),
        },
        asn: asn_database(config, problems),
    }
}

fn asn_database(config: &Config, problems: &Problems) -> Option<Arc<AsnDatabase>> {
    let file = config.identity.asn_database.as_ref()?;
    // Without its bytes it could not be read, which was reported.
    let bytes = config.named.asn_database.as_ref()?;
    match AsnDatabase::read(bytes.clone()) {
        Ok(database) => Some(Arc::new(database)),
        Err(why) => {
            problems.add(
                Diagnostic::error(
                    file.place,
                    format!("\"{}\" is no database of networks: {why}", file.value),
                )
                .expected(
                    "a file in MaxMind's format with `autonomous_system_number`, such as GeoLite2-ASN.mmdb",
                ),
            );
            None
        }
    }
}

/// Where browsers and programs keep what tells one of their sessions from another.
fn default_sessions(written: &Written) -> Vec<Place> {
    let mut sessions = Vec::new();
    for credential in &written.account {
        let place = match &credential.value {
            Credential::Token(place) => place,
            Credential::Jwt(jwt) => &jwt.place,
            Credential::ClientCertificate(_) => continue,
        };
        if matches!(place, Place::Bearer | Place::Cookie(_)) && !sessions.contains(place) {
            sessions.push(place.clone());
        }
    }
    sessions
}

/// A token and a JWT may share a place, as may two issuers' JWTs.
fn report_double_sources(written: &Written, problems: &Problems) {
    let same = |one: &Credential, other: &Credential| match (one, other) {
        (Credential::Token(one), Credential::Token(other)) => one == other,
        (Credential::ClientCertificate(one), Credential::ClientCertificate(other)) => one == other,
        _ => false,
    };
    let report = |place, first| {
        problems.add(
            Diagnostic::error(place, "a place of credentials is written twice")
                .expected("each once")
                .related(first, "the first"),
        );
    };
    for (at, credential) in written.account.iter().enumerate() {
        let earlier = written.account.get(..at).unwrap_or_default();
        if let Some(first) = earlier.iter().find(|earlier| same(&earlier.value, &credential.value)) {
            report(credential.place, first.place);
        }
    }
    let sessions = written.session.as_deref().unwrap_or_default();
    for (at, session) in sessions.iter().enumerate() {
        let earlier = sessions.get(..at).unwrap_or_default();
        if let Some(first) = earlier.iter().find(|earlier| earlier.value == session.value) {
            report(session.place, first.place);
        }
    }
}

fn jwt(written: &WrittenJwt, place: Position, named: &NamedFiles, problems: &Problems) -> Option<Jwt> {
    let keys = jwt_keys(written, place, named, problems)?;
    Some(Jwt {
        place: written.place.clone(),
        claim: written.claim.as_deref().unwrap_or(CLAIM).into(),
        algorithms: algorithms(written, &keys, problems),
        keys,
        issuer: written.issuer.as_deref().map(Into::into),
        audiences: written.audiences.iter().map(|audience| audience.as_str().into()).collect(),
        leeway: written.leeway.unwrap_or(LEEWAY),
    })
}

/// The public keys of the issuer, or the secret shared with it; `None` after reporting what is wrong.
fn jwt_keys(
    written: &WrittenJwt,
    place: Position,
    named: &NamedFiles,
    problems: &Problems,
) -> Option<Vec<JwtKey>> {
    const PEM: &str =
        "public keys in PEM, each after `-----BEGIN PUBLIC KEY-----`; `openssl pkey -pubout` writes one";
    const SECRET: &str = "a secret of at least 32 random bytes, such as `openssl rand -hex 32` writes";
    const EITHER: &str = "`key_file` with the issuer's public keys in PEM, or `secret_file`";
    match (written.key_files.first(), &written.secret_file) {
        (None, None) => {
            let message = "a JWT without a key could be anyone's";
            problems.add(Diagnostic::error(place, message).expected(EITHER));
            return None;
        }
        (Some(key), Some(secret)) => {
            problems.add(
                Diagnostic::error(
                    secret.place,
                    "a JWT is verified by public keys or by a secret, not by both",
                )
                .expected(EITHER)
                .related(key.place, "the public key")
                .help("write two tables, one for each issuer"),
            );
            return None;
        }
        _ => {}
    }
    let read =
        |file: &At<String>, parse: fn(&[u8]) -> Result<Vec<JwtKey>, keys::KeyFault>, expected: &str| {
            // A file that could not be read was reported.
            parse(named.keys.get(&file.value)?)
                .map_err(|why| {
                    let message = format!("\"{}\" is no file of keys: {why}", file.value);
                    problems.add(Diagnostic::error(file.place, message).expected(expected));
                })
                .ok()
        };
    let public: Vec<_> = written.key_files.iter().map(|file| read(file, keys::public_keys, PEM)).collect();
    let secret = |file: &[u8]| keys::secret(file).map(|key| vec![key]);
    let secret = written.secret_file.iter().map(|file| read(file, secret, SECRET));
    let keys = public.into_iter().chain(secret).collect::<Option<Vec<_>>>()?;
    Some(keys.into_iter().flatten().collect())
}

/// Those that are written, each fit for some key; without any, the usual one for each kind of key.
fn algorithms(written: &WrittenJwt, keys: &[JwtKey], problems: &Problems) -> Vec<JwtAlgorithm> {
    let mut algorithms = Vec::new();
    for algorithm in &written.algorithms {
        if !keys.iter().any(|key| algorithm.value.fits(key)) {
            let kinds: Vec<&str> = keys.iter().map(JwtKey::name).collect();
            let fitting = JwtAlgorithm::ALL.into_iter().filter(|a| keys.iter().any(|key| a.fits(key)));
            let fitting: Vec<&str> = fitting.map(JwtAlgorithm::name).collect();
            problems.add(
                Diagnostic::error(
                    algorithm.place,
                    format!(
                        "no key makes {} signatures: there is {}",
                        algorithm.value.name(),
                        kinds.join(", ")
                    ),
                )
                .expected(fitting.join(", ")),
            );
        }
        algorithms.push(algorithm.value);
    }
    if algorithms.is_empty() {
        for key in keys {
            let usual = match key {
                JwtKey::Rsa(_) => JwtAlgorithm::Rs256,
                JwtKey::P256(_) => JwtAlgorithm::Es256,
                JwtKey::P384(_) => JwtAlgorithm::Es384,
                JwtKey::Ed25519(_) => JwtAlgorithm::EdDsa,
                JwtKey::Secret(_) => JwtAlgorithm::Hs256,
            };
            if !algorithms.contains(&usual) {
                algorithms.push(usual);
            }
        }
    }
    algorithms
}
