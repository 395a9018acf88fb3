//! Signed tokens: genuine ones name their account, and all others are credentials that nobody knows.

use std::time::Duration;

use serde_json::{Value, json};
use weir::policy::TermsId;
use weir::policy::identity::{Jwt, JwtAlgorithm, JwtKey};

use super::signing::Signer;
use super::*;

const SECRET: &[u8] = b"a secret of thirty-two octets ..";

/// Any algorithm that fits a key, one minute of leeway, account in `sub`.
fn rules(keys: Vec<JwtKey>) -> Jwt {
    let fits = |algorithm: &JwtAlgorithm| keys.iter().any(|key| algorithm.fits(key));
    Jwt {
        place: Place::Bearer,
        claim: "sub".into(),
        algorithms: JwtAlgorithm::ALL.into_iter().filter(fits).collect(),
        keys,
        issuer: None,
        audiences: Vec::new(),
        leeway: Duration::from_secs(60),
    }
}

fn of(jwt: Jwt) -> Resolver {
    resolver(identity(vec![Source::Jwt(jwt)]))
}

/// The account that a token names at `seconds`; `None` where it is a credential that nobody knows.
fn account(resolver: &Resolver, token: &str, seconds: u64) -> Option<String> {
    let fields = [("authorization", format!("Bearer {token}"))];
    let who = resolver.resolve(&headers(&fields), None, at(seconds)).unwrap().who;
    let account = who.accounts.first().map(|account| account.id.to_string());
    assert_eq!(account.is_none(), who.unknown.is_some());
    account
}

fn valid() -> Value {
    json!({ "sub": "acme", "exp": NOW + 600 })
}

/// A genuine token names its account, whatever it is signed with.
#[test]
fn a_genuine_token_names_its_account() {
    for signer in [Signer::hs256(SECRET), Signer::rs256(), Signer::es256(), Signer::eddsa()] {
        let resolver = of(rules(vec![signer.public()]));
        let token = signer.sign(&valid());
        assert_eq!(account(&resolver, &token, NOW).as_deref(), Some("acme"), "{}", signer.algorithm());
        // Again, from what was remembered.
        assert_eq!(account(&resolver, &token, NOW).as_deref(), Some("acme"), "{}", signer.algorithm());
    }
}

/// An account need not be in the accounts file for a token to name it, and has the terms of its agreement.
#[test]
fn a_token_may_name_any_account() {
    let signer = Signer::hs256(SECRET);
    let resolver = of(rules(vec![signer.public()]));
    for (id, terms) in [("agreed", TermsId(7)), ("stranger", TermsId::NONE), ("globex", TermsId(2))] {
        let token = signer.sign(&json!({ "sub": id }));
        let who = who(&resolver, &[("authorization", format!("Bearer {token}"))]);
        assert_eq!(ids(&who), [id]);
        assert_eq!((who.accounts[0].terms, who.accounts[0].principal), (terms, Principal::account(id)));
    }
}

/// With several keys, as while one takes over from another, each counts.
#[test]
fn any_configured_key_will_do() {
    let (old, new, other) = (Signer::es256(), Signer::es256(), Signer::es256());
    let resolver = of(rules(vec![old.public(), new.public()]));
    for (signer, expected) in [(&old, Some("acme")), (&new, Some("acme")), (&other, None)] {
        assert_eq!(account(&resolver, &signer.sign(&valid()), NOW).as_deref(), expected);
    }
}

/// Nobody gets a token accepted by what it says of its algorithm: not by `none`, not by signing with a public key as
/// if it were a secret, not by an algorithm that fits the key but is not allowed (RFC 8725 §2.1, §3.1).
#[test]
fn algorithms_cannot_be_confused() {
    let signer = Signer::rs256();
    let JwtKey::Rsa(public) = signer.public() else { panic!("an RSA key") };
    let resolver = of(rules(vec![signer.public()]));
    let forged = Signer::hs256(&public).sign(&valid());
    assert_eq!(account(&resolver, &forged, NOW), None);
    let pem = Signer::hs256(signer.public_pem().as_bytes()).sign(&valid());
    assert_eq!(account(&resolver, &pem, NOW), None);
    for none in ["none", "None", "NONE", ""] {
        let token = signer.sign_as(&json!({ "alg": none }), &valid());
        assert_eq!(account(&resolver, &token, NOW), None);
        let unsigned = token.rsplit_once('.').map(|(message, _)| format!("{message}.")).unwrap();
        assert_eq!(account(&resolver, &unsigned, NOW), None);
    }
    let only_ps = Jwt { algorithms: vec![JwtAlgorithm::Ps256], ..rules(vec![signer.public()]) };
    assert_eq!(account(&of(only_ps), &signer.sign(&valid()), NOW), None);
    // A secret beside a public key does not make the public key one.
    let both = rules(vec![signer.public(), JwtKey::Secret(SECRET.into())]);
    assert_eq!(account(&of(both.clone()), &forged, NOW), None);
    assert_eq!(account(&of(both), &signer.sign(&valid()), NOW).as_deref(), Some("acme"));
}

/// A key that a token brings along is not used (RFC 8725 §3.5), and an extension that must be understood is not (RFC
/// 7515 §4.1.11).
#[test]
fn a_token_cannot_bring_its_own_rules() {
    let (ours, theirs) = (Signer::hs256(SECRET), Signer::hs256(b"another secret of 32 octets ...."));
    let resolver = of(rules(vec![ours.public()]));
    let own_key = json!({
        "alg": "HS256",
        "jwk": { "kty": "oct", "k": "YW5vdGhlciBzZWNyZXQgb2YgMzIgb2N0ZXRzIC4uLi4" },
    });
    assert_eq!(account(&resolver, &theirs.sign_as(&own_key, &valid()), NOW), None);
    let critical = json!({ "alg": "HS256", "crit": ["b64"], "b64": true });
    assert_eq!(account(&resolver, &ours.sign_as(&critical, &valid()), NOW), None);
}

/// A token counts from `nbf` to before `exp` (RFC 7519 §4.1.4, §4.1.5), give or take the leeway, and the time is asked
/// at each request, also of a token that was seen before.
#[test]
fn tokens_have_their_time() {
    let signer = Signer::hs256(SECRET);
    let resolver = of(rules(vec![signer.public()]));
    let token = signer.sign(&json!({ "sub": "acme", "nbf": NOW, "exp": NOW + 600 }));
    for (seconds, expected) in [
        (NOW - 61, None),
        (NOW - 60, Some("acme")),
        (NOW, Some("acme")),
        (NOW + 659, Some("acme")),
        (NOW + 660, None),
        (NOW + 10_000, None),
    ] {
        assert_eq!(account(&resolver, &token, seconds).as_deref(), expected, "{seconds}");
    }
    for (claims, expected) in [
        (json!({ "sub": "acme" }), Some("acme")),
        (json!({ "sub": "acme", "exp": 1_767_225_600.5 }), Some("acme")),
        (json!({ "sub": "acme", "exp": -1 }), None),
        (json!({ "sub": "acme", "exp": "tomorrow" }), None),
        (json!({ "sub": "acme", "exp": null }), None),
        (json!({ "sub": "acme", "exp": u64::MAX, "nbf": 0 }), Some("acme")),
    ] {
        assert_eq!(account(&resolver, &signer.sign(&claims), NOW).as_deref(), expected, "{claims}");
    }
}

/// Issuer and audience are those that are configured, and a token that lacks what is configured is none of ours.
#[test]
fn issuer_and_audience_are_checked() {
    let signer = Signer::hs256(SECRET);
    let strict = Jwt {
        issuer: Some("https://id.example".into()),
        audiences: vec!["api".into(), "web".into()],
        ..rules(vec![signer.public()])
    };
    let (strict, lax) = (of(strict), of(rules(vec![signer.public()])));
    for (iss, aud, expected) in [
        (json!("https://id.example"), json!("api"), Some("acme")),
        (json!("https://id.example"), json!(["other", "web"]), Some("acme")),
        (json!("https://evil.example"), json!("api"), None),
        (json!("https://id.example"), json!("other"), None),
        (json!("https://id.example"), json!([]), None),
        (json!("https://id.example"), Value::Null, None),
        (Value::Null, json!("api"), None),
        (json!(1), json!("api"), None),
    ] {
        let token = signer.sign(&json!({ "sub": "acme", "iss": iss, "aud": aud }));
        assert_eq!(account(&strict, &token, NOW).as_deref(), expected, "{iss} {aud}");
        assert_eq!(account(&lax, &token, NOW).as_deref(), Some("acme"), "{iss} {aud}");
    }
    let bare = signer.sign(&json!({ "sub": "acme" }));
    assert_eq!(account(&strict, &bare, NOW), None);
}

/// Only text that an account can be called names one.
#[test]
fn the_claim_must_name_an_account() {
    let signer = Signer::hs256(SECRET);
    let resolver = of(Jwt { claim: "tenant".into(), ..rules(vec![signer.public()]) });
    for (claims, expected) in [
        (json!({ "tenant": "acme", "sub": "globex" }), Some("acme")),
        (json!({ "sub": "acme" }), None),
        (json!({ "tenant": 7 }), None),
        (json!({ "tenant": ["acme"] }), None),
        (json!({ "tenant": "" }), None),
        (json!({ "tenant": "a\nb" }), None),
        (json!({ "tenant": "x".repeat(257) }), None),
        (json!([]), None),
        (json!("acme"), None),
    ] {
        assert_eq!(account(&resolver, &signer.sign(&claims), NOW).as_deref(), expected, "{claims}");
    }
}

/// A token that was changed anywhere, cut, or is none at all, is a credential that nobody knows.
#[test]
fn a_changed_token_is_unknown() {
    let signer = Signer::es256();
    let resolver = of(rules(vec![signer.public()]));
    let token = signer.sign(&valid());
    assert_eq!(account(&resolver, &token, NOW).as_deref(), Some("acme"));
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(account(&resolver, &changed, NOW), None, "octet {at}");
        if at > 0 {
            assert_eq!(account(&resolver, &token[..at], NOW), None, "the first {at} octets");
        }
    }
    for junk in ["..", "a.b.c", ".a.", "a.b.c.d.e", "e30.e30.e30", "\u{e9}.\u{e9}.\u{e9}"] {
        assert_eq!(account(&resolver, junk, NOW), None, "{junk}");
    }
}

/// Tokens that are signed and tokens that are listed may stand in the same place.
#[test]
fn signed_and_opaque_tokens_share_a_place() {
    let signer = Signer::hs256(SECRET);
    let sources = vec![Source::Token(Place::Bearer), Source::Jwt(rules(vec![signer.public()]))];
    let resolver = resolver(identity(sources));
    let token = signer.sign(&json!({ "sub": "globex" }));
    assert_eq!(account(&resolver, "acme-1", NOW).as_deref(), Some("acme"));
    assert_eq!(account(&resolver, &token, NOW).as_deref(), Some("globex"));
    assert_eq!(account(&resolver, "junk", NOW), None);
}
