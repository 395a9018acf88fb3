//! Session tickets: whom they let resume, and where.

use std::fmt;
use std::io;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::server::ProducesTickets;

use crate::policy::tls::ClientCertificates;

/// Keys for session tickets. They change by the hour, not with the policy, so that a reload ends no session.
#[derive(Clone)]
pub struct Tickets(Arc<dyn ProducesTickets>);

impl Tickets {
    /// Errors: no random numbers.
    pub fn new() -> io::Result<Self> {
        aws_lc_rs::Ticketer::new().map(Tickets).map_err(io::Error::other)
    }

    /// Tickets that are good only where the same certificates are asked for in the same way: a session without one, or
    /// with one of somebody else's, begins anew.
    pub(super) fn under(&self, rule: Option<&ClientCertificates>) -> Arc<dyn ProducesTickets> {
        Arc::new(Marked { tickets: Arc::clone(&self.0), mark: mark(rule) })
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

type Mark = [u8; 16];

/// Tickets with a mark at their end, encrypted and authenticated with the rest.
struct Marked {
    tickets: Arc<dyn ProducesTickets>,
    mark: Mark,
}

impl ProducesTickets for Marked {
    fn enabled(&self) -> bool {
        self.tickets.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.tickets.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.tickets.encrypt(&[plain, &self.mark].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let mut plain = self.tickets.decrypt(ticket)?;
        let (session, mark) = plain.split_last_chunk()?;
        let length = (*mark == self.mark).then_some(session.len())?;
        plain.truncate(length);
        Some(plain)
    }
}

impl fmt::Debug for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marked")
    }
}

fn mark(rule: Option<&ClientCertificates>) -> Mark {
    let Some(rule) = rule else { return [0; 16] };
    let mut hash = Sha256::new();
    hash.update(rule.demand.name());
    let files = rule.authorities.iter().map(AsRef::as_ref).chain(rule.revocations.iter().map(AsRef::as_ref));
    for der in files {
        let der: &[u8] = der;
        // With its length: where one ends and the next begins counts.
        hash.update(der.len().to_be_bytes());
        hash.update(der);
    }
    let hash: [u8; 32] = hash.finalize().into();
    hash.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;

    use super::*;
    use crate::policy::tls::Demand;

    /// Promise: a ticket is good where the same is asked for, and nowhere else.
    #[test]
    fn a_ticket_is_good_under_its_own_rule() {
        let tickets = Tickets::new().unwrap();
        let rule = |authority: &[u8], demand| ClientCertificates {
            file: "clients.pem".into(),
            authorities: vec![CertificateDer::from(authority.to_vec())],
            revocations: Vec::new(),
            demand,
            forward: false,
        };
        let rules = [
            None,
            Some(rule(b"one", Demand::Optional)),
            Some(rule(b"one", Demand::Required)),
            Some(rule(b"two", Demand::Required)),
        ];
        for issuer in &rules {
            let ticket = tickets.under(issuer.as_ref()).encrypt(b"session").unwrap();
            for rule in &rules {
                let known = tickets.under(rule.as_ref()).decrypt(&ticket);
                assert_eq!(known.as_deref(), (rule == issuer).then_some(&b"session"[..]));
            }
        }
    }
}
