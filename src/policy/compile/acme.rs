//! Certificates that are obtained: names that can have one, and a listener that can show whose they are.

use std::path::Path;
use std::sync::Arc;

use http::Uri;

use super::tls;
use crate::config::acme::{Acme as Written, ExternalAccount as WrittenAccount};
use crate::config::{At, Config, Diagnostic, NamedFiles, Place, Problems};
use crate::policy::acme::{Acme, Challenge, ExternalAccount};
use crate::policy::tls::Verify;

/// Let's Encrypt's.
const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// `None` after reporting what is wrong.
pub(super) fn compile(
    written: &At<Written>,
    config: &Config,
    directory: &Path,
    problems: &Problems,
) -> Option<Arc<Acme>> {
    let At { value: acme, place } = written;
    let challenge = acme.challenge.as_ref().map(|challenge| challenge.value).unwrap_or_default();
    let agreed = agreed(acme, *place, problems);
    let answerable = answerable(acme, challenge, *place, config, problems);
    let names = names(acme, problems);
    let contact: Vec<_> = acme.contact.iter().map(|written| contact(written, problems)).collect();
    let url = acme.directory.as_ref().map_or(Some(DIRECTORY), |written| url(written, problems));
    let verify = verify(acme, &config.named, problems);
    let external_account = acme.external_account.as_ref();
    let external_account = external_account.map(|account| external(account, &config.named, problems));
    (agreed && answerable).then_some(())?;
    Some(Arc::new(Acme {
        names: names?,
        directory: url?.into(),
        verify: verify?,
        contact: contact.into_iter().collect::<Option<_>>()?,
        challenge,
        state_dir: directory.join(&acme.state_dir),
        external_account: external_account.map_or(Some(None), |account| account.map(Some))?,
    }))
}

fn agreed(acme: &Written, place: Place, problems: &Problems) -> bool {
    let agreed = acme.terms_agreed.as_ref();
    if agreed.is_some_and(|agreed| agreed.value) {
        return true;
    }
    let place = agreed.map_or(place, |agreed| agreed.place);
    problems.add(
        Diagnostic::error(place, "the terms of the authority are not agreed to")
            .expected("`terms_agreed = true`, once you have read them and agree"),
    );
    false
}

/// Whether there is a listener of the kind that the authority will connect to.
fn answerable(
    acme: &Written,
    challenge: Challenge,
    place: Place,
    config: &Config,
    problems: &Problems,
) -> bool {
    // Without a [listen] that can be read, nothing is known.
    let Some(listen) = &config.listen else { return true };
    let secure = challenge == Challenge::TlsAlpn;
    if listen.proxy.iter().any(|listener| listener.tls.is_some() == secure) {
        return true;
    }
    let place = acme.challenge.as_ref().map_or(place, |challenge| challenge.place);
    let message = format!("no listener can answer {}", challenge.name());
    let expected = match challenge {
        Challenge::TlsAlpn => "`proxy_tls = \"0.0.0.0:443\"` in [listen]",
        Challenge::Http => "`proxy = \"0.0.0.0:80\"` in [listen], or `challenge = \"tls-alpn-01\"`",
    };
    problems.add(Diagnostic::error(place, message).expected(expected));
    false
}

fn names(acme: &Written, problems: &Problems) -> Option<Vec<Arc<str>>> {
    let mut seen: Vec<(Arc<str>, Place)> = Vec::new();
    let mut all_good = true;
    for written in &acme.names.value {
        let name: Arc<str> = written.value.to_ascii_lowercase().into();
        if let Err((fault, expected)) = host_name(&name) {
            let message = format!("\"{}\" {fault}", written.value);
            problems.add(Diagnostic::error(written.place, message).expected(expected));
            all_good = false;
        } else if let Some((_, first)) = seen.iter().find(|(before, _)| *before == name) {
            problems.add(
                Diagnostic::error(written.place, format!("\"{name}\" is there twice"))
                    .expected("each name once")
                    .related(*first, "the first"),
            );
            all_good = false;
        } else {
            seen.push((name, written.place));
        }
    }
    all_good.then(|| seen.into_iter().map(|(name, _)| name).collect())
}

/// What is wrong with a name in lower case, and what would be right (RFC 1034 §3.5, RFC 5890 §2.3.1).
fn host_name(name: &str) -> Result<(), (&'static str, &'static str)> {
    const NAME: &str = "a host name such as \"app.example.com\"";
    if name.contains('*') {
        return Err((
            "has a wildcard, for which an authority asks for a challenge by DNS",
            "each host name by itself; or a certificate with the wildcard in `certificates`, from another client",
        ));
    }
    if !name.is_ascii() {
        return Err(("is not ASCII", "the name as the DNS has it, in punycode: \"xn--…\""));
    }
    if name.parse::<std::net::IpAddr>().is_ok() {
        return Err(("is an address, not a name", NAME));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(("is no host name", NAME));
    }
    Ok(())
}

/// As a URL (RFC 8555 §7.1.2).
fn contact(written: &At<String>, problems: &Problems) -> Option<String> {
    let address = written.value.strip_prefix("mailto:").unwrap_or(&written.value);
    let is_address = address.split_once('@').is_some_and(|(who, place)| !who.is_empty() && !place.is_empty())
        && address.bytes().all(|b| b.is_ascii_graphic() && b != b',');
    if !is_address {
        let message = format!("`contact` cannot be \"{}\"", written.value);
        problems.add(
            Diagnostic::error(written.place, message)
                .expected("an e-mail address such as \"ops@example.com\", or an array of them"),
        );
    }
    is_address.then(|| format!("mailto:{address}"))
}

fn url<'a>(written: &'a At<String>, problems: &Problems) -> Option<&'a str> {
    let uri = written.value.parse::<Uri>().ok();
    let is_good = uri.is_some_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some());
    if !is_good {
        // RFC 8555 §6.1: nothing but HTTPS.
        let message = format!("`directory` cannot be \"{}\"", written.value);
        problems.add(
            Diagnostic::error(written.place, message)
                .expected(format!("a URL with https, such as \"{DIRECTORY}\"")),
        );
    }
    is_good.then_some(written.value.as_str())
}

fn verify(acme: &Written, named: &NamedFiles, problems: &Problems) -> Option<Verify> {
    let Some(ca) = &acme.ca else { return Some(Verify::System) };
    let authorities = tls::certificates(ca, named, problems, tls::AUTHORITIES)?;
    Some(Verify::By { file: ca.value.as_str().into(), authorities })
}

fn external(account: &WrittenAccount, named: &NamedFiles, problems: &Problems) -> Option<ExternalAccount> {
    let file = &account.key_file;
    // A file that could not be read was reported.
    let bytes = named.keys.get(&file.value)?;
    let key = std::str::from_utf8(bytes).ok().map(|text| text.trim().trim_end_matches('='));
    let is_key = |key: &&str| {
        let is_digit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        // No number of whole octets has one digit more than a multiple of four.
        !key.is_empty() && key.len() % 4 != 1 && key.bytes().all(is_digit)
    };
    let Some(key) = key.filter(is_key) else {
        let message = format!("\"{}\" is no file of a key in base64url", file.value);
        problems.add(
            Diagnostic::error(file.place, message)
                .expected("the key that the authority gave for its `id`, alone, as it gave it"),
        );
        return None;
    };
    Some(ExternalAccount { id: account.id.as_str().into(), key: key.into() })
}
