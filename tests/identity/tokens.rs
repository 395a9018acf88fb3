//! Opaque credentials, known by the SHA-256 in the accounts file.

use weir::facts::PrincipalKind;
use weir::identity::CREDENTIALS_MAX;
use weir::policy::TermsId;

use super::*;

/// A credential is recognised wherever it may stand, and its account comes with its terms.
#[test]
fn a_known_credential_names_its_account() {
    let resolver = resolver(identity(everywhere()));
    for field in [
        ("authorization", "Bearer acme-1"),
        ("authorization", "bearer  acme-2 "),
        ("x-api-key", "acme-1"),
        ("cookie", "a=b; sid=acme-2; c=d"),
        ("cookie", "sid=\"acme-2\""),
        ("cookie", "sid=%61cme%2D2"),
    ] {
        let who = who(&resolver, &[field]);
        assert_eq!(ids(&who), ["acme"], "{field:?}");
        assert_eq!(who.accounts[0].terms, TermsId(1));
        assert_eq!(who.accounts[0].principal, Principal::account("acme"));
        assert!(who.unknown.is_none() && who.session.is_none());
    }
}

/// A place that is not configured is not looked at, and without any, nobody is found anywhere.
#[test]
fn only_configured_places_count() {
    let bearer = resolver(identity(vec![Source::Token(Place::Bearer)]));
    let elsewhere = [("x-api-key", "acme-1"), ("cookie", "sid=acme-1"), ("authorization", "Basic acme-1")];
    let found = who(&bearer, &elsewhere);
    assert!(found.accounts.is_empty() && found.unknown.is_none());

    let nowhere = resolver(Identity::default());
    assert!(nowhere.is_idle() && !bearer.is_idle());
    assert!(who(&nowhere, &[("authorization", "Bearer acme-1")]).accounts.is_empty());
}

/// Junk beside a valid credential escapes nothing, on whichever side of it and in whichever place it stands.
#[test]
fn known_beats_unknown() {
    let resolver = resolver(identity(everywhere()));
    for fields in [
        [("authorization", "Bearer junk"), ("cookie", "sid=acme-1")],
        [("authorization", "Bearer acme-1"), ("cookie", "sid=junk")],
        [("authorization", "Bearer junk"), ("authorization", "Bearer acme-1")],
        [("authorization", "Bearer acme-1"), ("authorization", "Bearer junk")],
        [("x-api-key", "junk"), ("x-api-key", "acme-2")],
        [("cookie", "sid=junk; sid=acme-1"), ("x-api-key", "junk")],
        [("cookie", "sid=acme-1; sid=junk"), ("cookie", "sid=more")],
    ] {
        let who = who(&resolver, &fields);
        assert_eq!(ids(&who), ["acme"], "{fields:?}");
        assert!(who.unknown.is_none(), "{fields:?}");
    }
}

/// Two known accounts are both behind the request, each once, however often it was named.
#[test]
fn two_accounts_are_both_charged() {
    let resolver = resolver(identity(everywhere()));
    let fields = [
        ("authorization", "Bearer globex-1"),
        ("x-api-key", "acme-1"),
        ("cookie", "sid=acme-2; sid=globex-1"),
    ];
    assert_eq!(ids(&who(&resolver, &fields)), ["globex", "acme"]);
}

/// A credential that nobody has is a principal of its own, the same each time, under a key that is this process's.
#[test]
fn an_unknown_credential_is_a_principal() {
    let resolver = resolver(identity(everywhere()));
    let unknown = |resolver: &Resolver, token: &str| {
        let who = who(resolver, &[("authorization", token)]);
        assert!(who.accounts.is_empty());
        who.unknown.unwrap()
    };
    let first = unknown(&resolver, "Bearer one");
    assert_eq!(first.kind(), PrincipalKind::Credential);
    assert_eq!(first, unknown(&resolver, "bearer  one"));
    assert_ne!(first, unknown(&resolver, "Bearer two"));
    let other_key = Arc::new(Memory::new(&[8; 32]));
    let elsewhere = Resolver::new(&policy(identity(everywhere())), other_key);
    assert_ne!(first, unknown(&elsewhere, "Bearer one"));
}

/// HMAC-SHA-256 under the key, of the kind and the credential's SHA-256, cut to 128 bits:
/// `printf credential > m; printf %s one | openssl dgst -sha256 -binary >> m` and
/// `openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07 m`.
#[test]
fn the_keyed_hash_is_hmac() {
    let resolver = resolver(identity(everywhere()));
    let unknown = who(&resolver, &[("x-api-key", "one")]).unknown.unwrap();
    assert_eq!(unknown.id(), 0x1844_52c1_5b78_3060_ffe0_3e02_e34f_92df);
}

/// An empty credential is none, and one of any octets is one like another.
#[test]
fn empty_and_foreign_octets_are_defined() {
    let resolver = resolver(identity(everywhere()));
    let empty: [(&str, &[u8]); 4] = [
        ("authorization", b"Bearer "),
        ("x-api-key", b""),
        ("cookie", b"sid=; sid=\"\""),
        ("cookie", b"sid"),
    ];
    assert!(who(&resolver, &empty).unknown.is_none());
    let foreign: &[u8] = b"Bearer caf\xe9 \xff\xfe";
    assert!(who(&resolver, &[("authorization", foreign)]).unknown.is_some());
}

/// No head makes weir work without bound: a request with more credentials than anybody has is refused, where looking at
/// some would be a way past an account's limits.
#[test]
fn too_many_credentials_are_refused() {
    let resolver = resolver(identity(everywhere()));
    let most = format!("{}sid=acme-1", "sid=x; ".repeat(CREDENTIALS_MAX - 1));
    assert_eq!(ids(&who(&resolver, &[("cookie", &most)])), ["acme"]);
    let more = format!("sid=x; {most}");
    assert_eq!(try_resolve(&resolver, &[("cookie", more)]).unwrap_err(), TooManyCredentials);
    let strangers = "a=x; ".repeat(1000);
    assert!(who(&resolver, &[("cookie", strangers)]).unknown.is_none());
}

/// The largest credential that a head can hold (`head_size` up to 400 KiB) is one like another, every octet of it.
#[test]
fn a_large_credential_is_hashed_whole() {
    let resolver = resolver(identity(everywhere()));
    let large = |last: &str| {
        let value = "x".repeat(400 * 1024) + last;
        who(&resolver, &[("x-api-key", &value)]).unknown.unwrap()
    };
    assert_eq!(large("a"), large("a"));
    assert_ne!(large("a"), large("b"));
}

/// Nothing secret is printed, whoever prints what.
#[test]
fn nothing_secret_is_printed() {
    let resolver = resolver(identity(everywhere()));
    let resolved = try_resolve(&resolver, &[("authorization", "Bearer s3cret")]).unwrap();
    let printed = format!("{resolved:?} {resolver:?} {:?}", Memory::new(b"s3cret-s3cret-s3cret-s3cret-s3cr"));
    assert!(!printed.contains("s3cret") && !printed.contains("115, 51, 99"), "{printed}");
}
