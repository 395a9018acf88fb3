//! One certificate: asked for, shown to be ours, and fetched.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, ExternalAccountKey, Identifier, NewAccount, NewOrder,
    Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error as ThisError;
use tokio::time::timeout;

use super::directory::{Directory, Unreachable};
use super::store::{Kept, Store, StoreError};
use crate::policy::acme::{Acme, Challenge, ExternalAccount};
use crate::policy::tls::Certificate;
use crate::proxy::tls::{Issued, Open, TlsError};

/// All that an order takes.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// For each of: the proof to be looked at, the certificate to be issued.
const PATIENCE: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(200)).timeout(Duration::from_secs(120));

/// Why there is no certificate.
#[derive(Debug, ThisError)]
pub(super) enum OrderError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("a key or a request for a certificate cannot be made: {0}")]
    Made(#[from] rcgen::Error),
    #[error("the key of the external account is not in base64url")]
    ExternalKey,
    #[error("the authority offers no {} for this name", .0.name())]
    NotOffered(Challenge),
    #[error("the authority was not convinced: {0}")]
    NotProven(String),
    #[error("it took longer than five minutes")]
    TooLong,
    #[error("{0}")]
    Acme(#[from] Error),
}

impl OrderError {
    /// What somebody who reads of it should do.
    pub(super) fn advice(&self, challenge: Challenge) -> String {
        match self {
            OrderError::Store(_) => "let the user that weir runs as own state_dir, with its files".to_owned(),
            OrderError::ExternalKey => "write the key into key_file as the authority gave it".to_owned(),
            OrderError::NotOffered(_) => "write another `challenge` in [tls.acme]".to_owned(),
            OrderError::NotProven(_) => proof_advice(challenge),
            OrderError::Acme(Error::Other(why)) if why.is::<Unreachable>() => {
                "see that this machine reaches the directory (name, firewall); `ca` is for a private one"
                    .to_owned()
            }
            OrderError::Acme(Error::Api(problem)) => match problem.r#type.as_deref().and_then(kind) {
                Some("rateLimited") => "nothing: the authority's limit is used up for a while".to_owned(),
                Some("externalAccountRequired") => "write `external_account` in [tls.acme]".to_owned(),
                Some("unauthorized" | "connection" | "dns" | "tls" | "incorrectResponse") => {
                    proof_advice(challenge)
                }
                Some("rejectedIdentifier" | "caa") => {
                    "see that this authority may issue for the name (CAA)".to_owned()
                }
                _ => "see what the authority says".to_owned(),
            },
            OrderError::Tls(_) | OrderError::Made(_) | OrderError::TooLong | OrderError::Acme(_) => {
                "nothing yet; if it stays so, report it".to_owned()
            }
        }
    }

    /// Whether the authority knows nothing of the account (any more).
    pub(super) fn is_unknown_account(&self) -> bool {
        matches!(self, OrderError::Acme(Error::Api(problem))
            if problem.r#type.as_deref().and_then(kind) == Some("accountDoesNotExist"))
    }
}

fn proof_advice(challenge: Challenge) -> String {
    format!("see that the name leads here from the outside, on port {}", challenge.port())
}

/// The last part of a problem's type (RFC 8555 §6.7).
fn kind(of: &str) -> Option<&str> {
    of.strip_prefix("urn:ietf:params:acme:error:")
}

/// The account that is kept, or a new one.
pub(super) async fn account(
    acme: &Acme,
    store: &Store,
    directory: &Directory,
) -> Result<Account, OrderError> {
    store.prepare()?;
    let builder = Account::builder_with_http(Box::new(directory.clone()));
    if let Some(credentials) = kept_account(store)? {
        return Ok(builder.from_credentials(credentials).await?);
    }
    let contact: Vec<&str> = acme.contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let external = acme.external_account.as_ref().map(external_key).transpose()?;
    let created = builder.create(&new, acme.directory.as_ref().to_owned(), external.as_ref()).await;
    let (account, credentials) = created?;
    store.save_account(&credentials)?;
    tracing::info!(directory = &*acme.directory, "there is an ACME account now");
    Ok(account)
}

/// A damaged one is put aside: another account is as good.
fn kept_account(store: &Store) -> Result<Option<instant_acme::AccountCredentials>, StoreError> {
    match store.account() {
        Err(damage @ StoreError::Damaged { .. }) => {
            let aside = store.set_account_aside()?;
            tracing::warn!(
                error = %damage, aside = %aside.display(),
                "the ACME account is not used and another one is made; the file was put aside, for you to look at or remove"
            );
            Ok(None)
        }
        other => other,
    }
}

fn external_key(account: &ExternalAccount) -> Result<ExternalAccountKey, OrderError> {
    let key = URL_SAFE_NO_PAD.decode(&*account.key).map_err(|_| OrderError::ExternalKey)?;
    Ok(ExternalAccountKey::new(account.id.as_ref().to_owned(), &key))
}

/// A certificate for `name`, kept and ready to serve.
pub(super) async fn obtain(
    acme: &Acme,
    name: &str,
    account: &Account,
    store: &Store,
    issued: &Issued,
) -> Result<Kept, OrderError> {
    // Before anybody is asked: what cannot be kept would be asked for again at each start.
    store.prepare()?;
    let (key, chain) =
        timeout(TIMEOUT, order(acme, name, account, issued)).await.unwrap_or(Err(OrderError::TooLong))?;
    let kept = store.save_certificate(name, &key, &chain)?;
    issued.serve(name, &kept.certificate)?;
    Ok(kept)
}

/// A key and a chain of certificates, both in PEM.
async fn order(
    acme: &Acme,
    name: &str,
    account: &Account,
    issued: &Issued,
) -> Result<(String, String), OrderError> {
    let names = [Identifier::Dns(name.to_owned())];
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    // What the authority is to see can be seen until it has seen it.
    let open = prove(acme.challenge, name, &mut order, issued).await?;
    let ready = order.poll_ready(&PATIENCE).await;
    if !matches!(ready, Ok(OrderStatus::Ready)) {
        return Err(why_not(&mut order, ready).await);
    }
    drop(open);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    // The name stands among the alternative ones, and nowhere else.
    params.distinguished_name = DistinguishedName::new();
    order.finalize_csr(params.serialize_request(&key)?.der()).await?;
    let chain = order.poll_certificate(&PATIENCE).await?;
    Ok((key.serialize_pem(), chain))
}

async fn prove(
    how: Challenge,
    name: &str,
    order: &mut Order,
    issued: &Issued,
) -> Result<Vec<Open>, OrderError> {
    let mut open = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        // An authority may remember that it was convinced.
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let kind = match how {
            Challenge::TlsAlpn => ChallengeType::TlsAlpn01,
            Challenge::Http => ChallengeType::Http01,
        };
        let mut challenge = authorization.challenge(kind).ok_or(OrderError::NotOffered(how))?;
        let proof = challenge.key_authorization();
        open.push(match how {
            Challenge::TlsAlpn => issued.open_handshake(name, &proving(name, proof.digest().as_ref())?)?,
            Challenge::Http => issued.open_file(&challenge.token, proof.as_str()),
        });
        challenge.set_ready().await?;
    }
    Ok(open)
}

/// A certificate that holds a proof (RFC 8737 §3).
fn proving(name: &str, digest: &[u8]) -> Result<Certificate, OrderError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    Ok(Certificate {
        file: format!("the proof for {name}").into(),
        chain: vec![CertificateDer::from(certificate.der().to_vec())],
        key: key.into(),
    })
}

/// What the authority has against the proof, as it says of each attempt; else what is wrong with the order.
async fn why_not(order: &mut Order, ready: Result<OrderStatus, Error>) -> OrderError {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let Ok(mut authorization) = authorization else { continue };
        let Ok(state) = authorization.refresh().await else { continue };
        if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            return OrderError::NotProven(problem.to_string());
        }
    }
    match ready {
        Ok(status) => OrderError::NotProven(format!("the order is {status:?}")),
        Err(error) => error.into(),
    }
}
