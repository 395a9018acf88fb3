//! Sessions, and what the app says of them.

use weir::facts::PrincipalKind;
use weir::identity::Release;

use super::*;

fn learning() -> Identity {
    Identity {
        sources: everywhere(),
        sessions: vec![Place::Cookie("session".into()), Place::Header(HeaderName::from_static("x-session"))],
        learn_from: Some(HeaderName::from_static("x-weir-account")),
    }
}

/// What the app answers to a request with this cookie field.
fn say(resolver: &Resolver, cookie: &str, account: &[u8], answer: &[(&'static str, &str)]) -> Release {
    let resolved = try_resolve(resolver, &[("cookie", cookie)]).unwrap();
    resolver.learn(&resolved.sessions, account, &headers(answer)).release
}

fn accounts_of(resolver: &Resolver, cookie: &str) -> Vec<String> {
    ids(&who(resolver, &[("cookie", cookie)])).into_iter().map(str::to_owned).collect()
}

/// A session is a principal of its own kind; of several, the first place that has one counts.
#[test]
fn a_session_is_a_principal() {
    let resolver = resolver(learning());
    let of = |fields: &[(&'static str, &str)]| who(&resolver, fields).session;
    let first = of(&[("cookie", "session=one")]).unwrap();
    assert_eq!(first.kind(), PrincipalKind::Session);
    assert_eq!(of(&[("x-session", "two"), ("cookie", "session=one")]), Some(first));
    assert_eq!(of(&[("x-session", "one")]), Some(first));
    assert_ne!(of(&[("x-session", "two")]), Some(first));
    assert_eq!(of(&[("cookie", "other=one; session=")]), None);
}

/// One session is one principal in whichever spelling an app would take for it.
#[test]
fn spelling_makes_no_new_session() {
    let resolver = resolver(learning());
    let of = |cookie: &str| who(&resolver, &[("cookie", cookie)]).session;
    let plain = of("session=s:a/b");
    for spelling in ["session=\"s:a/b\"", "session=s%3Aa%2Fb", "x=y;session = s%3aa/b ;z"] {
        assert_eq!(of(spelling), plain, "{spelling}");
    }
}

/// Sessions are only read where something needs them.
#[test]
fn sessions_are_read_where_they_are_needed() {
    let unneeded = resolver(Identity { learn_from: None, ..learning() });
    assert_eq!(who(&unneeded, &[("cookie", "session=one")]).session, None);
}

/// Once the app has named the account of a session, its later requests are that account's, with its terms.
#[test]
fn what_the_app_says_is_learned() {
    let resolver = resolver(learning());
    assert!(accounts_of(&resolver, "session=one").is_empty());
    assert_eq!(say(&resolver, "session=one", b"agreed", &[]), Release::Pass);
    let who = who(&resolver, &[("cookie", "session=one")]);
    assert_eq!(ids(&who), ["agreed"]);
    assert_eq!(who.accounts[0].terms, TermsId(7));
    assert_eq!(who.accounts[0].principal, Principal::account("agreed"));
    assert!(accounts_of(&resolver, "session=two").is_empty());
}

/// The app's latest word counts; an empty one takes it back, and one that no account can be called is none.
#[test]
fn the_latest_word_counts() {
    let resolver = resolver(learning());
    for (account, expected) in [
        (&b"acme"[..], vec!["acme"]),
        (b"globex", vec!["globex"]),
        (b"\xff\xfe", vec!["globex"]),
        (&[b'x'; 257], vec!["globex"]),
        (b"", vec![]),
        (b"acme", vec!["acme"]),
    ] {
        say(&resolver, "session=one", account, &[]);
        assert_eq!(accounts_of(&resolver, "session=one"), expected);
    }
}

/// A session that begins with the answer is the account's from its first request on; a cookie that is taken away, or
/// another, is no session.
#[test]
fn a_session_that_begins_is_learned() {
    let resolver = resolver(learning());
    let answer = [
        ("set-cookie", "session=new; Path=/; HttpOnly"),
        ("set-cookie", "theme=dark"),
        ("set-cookie", "session=deleted; Max-Age=0"),
    ];
    say(&resolver, "session=old", b"acme", &answer);
    for (cookie, expected) in [
        ("session=new", vec!["acme"]),
        ("session=old", vec!["acme"]),
        ("session=dark", vec![]),
        ("session=deleted", vec![]),
    ] {
        assert_eq!(accounts_of(&resolver, cookie), expected, "{cookie}");
    }
}

/// A made-up session beside the one that the app knows hides nothing: what the app says is said of both.
#[test]
fn a_second_session_hides_nothing() {
    let resolver = resolver(learning());
    say(&resolver, "session=junk; session=real", b"acme", &[]);
    for cookie in ["session=real", "session=other; session=real", "session=real; session=other"] {
        assert_eq!(accounts_of(&resolver, cookie), ["acme"], "{cookie}");
    }
    let real = who(&resolver, &[("cookie", "session=real")]).session;
    assert_eq!(who(&resolver, &[("cookie", "session=other; session=real")]).session, real);
}

/// An account by credential and another by session are both behind the request.
#[test]
fn sessions_and_credentials_add_up() {
    let resolver = resolver(learning());
    say(&resolver, "session=one", b"acme", &[]);
    let both = who(&resolver, &[("authorization", "Bearer globex-1"), ("cookie", "session=one")]);
    assert_eq!(ids(&both), ["globex", "acme"]);
    let junk = who(&resolver, &[("authorization", "Bearer junk"), ("cookie", "session=one")]);
    assert_eq!(ids(&junk), ["acme"]);
    assert!(junk.unknown.is_none());
}

/// A new policy knows what was learned under the one before.
#[test]
fn a_reload_forgets_nothing() {
    let memory = memory();
    let before = Resolver::new(&policy(learning()), Arc::clone(&memory));
    say(&before, "session=one", b"acme", &[]);
    let session = who(&before, &[("cookie", "session=one")]).session;
    let after = Resolver::new(&policy(learning()), Arc::clone(&memory));
    assert_eq!(accounts_of(&after, "session=one"), ["acme"]);
    assert_eq!(who(&after, &[("cookie", "session=one")]).session, session);
    assert_eq!(memory.sessions(), 1);
}

/// However many sessions the app names, memory is bounded, and those that come again are kept before those that are
/// seen once.
#[test]
fn memory_is_bounded() {
    let memory = memory();
    let resolver = Resolver::new(&policy(learning()), Arc::clone(&memory));
    for at in 0..100 {
        say(&resolver, &format!("session=regular-{at}"), b"acme", &[]);
        assert_eq!(accounts_of(&resolver, &format!("session=regular-{at}")), ["acme"]);
    }
    for at in 0..600_000 {
        let session = Principal::new(PrincipalKind::Session, at);
        resolver.learn(&[session], b"globex", &HeaderMap::new());
    }
    assert!(memory.sessions() <= 270_000, "{}", memory.sessions());
    for at in 0..100 {
        assert_eq!(accounts_of(&resolver, &format!("session=regular-{at}")), ["acme"]);
    }
}
