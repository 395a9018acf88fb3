//! Whose request it is: credentials, tokens and sessions, on the wire.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::harness::{Config, Launch, Message, RawOrigin, Weir};
use crate::signing::Signer;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// An accounts file: ids and their credentials.
fn accounts(known: &[(&str, &[&str])]) -> String {
    let mut text = String::from("version = 1\n");
    for (id, credentials) in known {
        let hashes: Vec<String> = credentials.iter().map(|c| hash(c)).collect();
        write!(text, "[[accounts]]\nid = {id:?}\ncredentials = {hashes:?}\n").unwrap();
    }
    text
}

fn hash(credential: &str) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(credential) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// `acme` and `globex`, each with a key of their own, in all three places.
fn known() -> String {
    accounts(&[("acme", &["acme-key", "acme-cookie"]), ("globex", &["globex-key"])])
}

/// A config that knows `accounts.toml`, with `lines` besides in `[identity]`, and one limit for each account.
fn config(origin: &RawOrigin, lines: &str, rate: &str) -> Config {
    Config::to(origin)
        .section(&format!(
            "[identity]\naccounts_file = \"accounts.toml\"\n{lines}\n\n\
             [[limits]]\nname = \"per-account\"\nkey = [\"account\"]\nrate = {rate:?}"
        ))
        .log("access = { file = \"$DIR/access.log\", format = \"json\" }")
}

const PLACES: &str = "account = [\"bearer\", \"header:x-api-key\", \"cookie:session\"]";

fn start(origin: &RawOrigin, lines: &str, rate: &str) -> Weir {
    Launch::new(&config(origin, lines, rate)).beside("accounts.toml", &known()).start()
}

/// A `GET` with these header lines on a connection of its own.
fn get(weir: &Weir, lines: &[&str]) -> Message {
    let mut request = String::from("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n");
    for line in lines {
        write!(request, "{line}\r\n").unwrap();
    }
    weir.connect().exchange(request + "\r\n")
}

fn statuses(weir: &Weir, requests: &[&[&str]]) -> Vec<u16> {
    requests.iter().map(|lines| get(weir, lines).status()).collect()
}

/// An account is the same by bearer token, API key and cookie, and has one budget; another has its own.
#[test]
fn an_account_is_recognised_by_every_credential() {
    let origin = RawOrigin::answering(OK);
    let weir = start(&origin, PLACES, "3/h");
    let acme: [&[&str]; 4] = [
        &["Authorization: Bearer acme-key"],
        &["X-API-Key: acme-key"],
        &["Cookie: theme=dark; session=acme-cookie"],
        &["Authorization: bearer  acme-cookie"],
    ];
    assert_eq!(statuses(&weir, &acme), [200, 200, 200, 429]);
    assert_eq!(statuses(&weir, &[&["X-API-Key: globex-key"], &["X-API-Key: nobodys"], &[]]), [200; 3]);
    weir.await_metric("weir_identity_total", &[("outcome", "known")], 5);
    weir.await_metric("weir_identity_total", &[("outcome", "unknown")], 1);
    weir.await_metric("weir_identity_total", &[("outcome", "none")], 1);
}

/// Junk beside a valid credential escapes nothing, in whichever order and place.
#[test]
fn junk_beside_a_valid_credential_escapes_nothing() {
    let origin = RawOrigin::answering(OK);
    let weir = start(&origin, PLACES, "4/h");
    let acme: [&[&str]; 5] = [
        &["Authorization: Bearer junk-1", "Cookie: session=acme-cookie"],
        &["Cookie: session=junk-2; session=acme-cookie"],
        &["X-API-Key: acme-key", "X-API-Key: junk-3"],
        &["Authorization: Bearer junk-4", "Authorization: Bearer acme-key"],
        &["Cookie: session=acme-cookie", "Cookie: session=junk-5"],
    ];
    assert_eq!(statuses(&weir, &acme), [200, 200, 200, 200, 429]);
}

/// A request with credentials of two accounts is charged to both, and refused when either is at its limit.
#[test]
fn two_accounts_are_both_charged() {
    let origin = RawOrigin::answering(OK);
    let weir = start(&origin, PLACES, "2/h");
    let both: &[&str] = &["Authorization: Bearer acme-key", "X-API-Key: globex-key"];
    let (acme, globex): (&[&str], &[&str]) = (&["X-API-Key: acme-key"], &["X-API-Key: globex-key"]);
    assert_eq!(statuses(&weir, &[both, acme, both, globex, globex]), [200, 200, 429, 200, 429]);
}

/// Inventing tokens wins nothing: each is charged to its client as well.
#[test]
fn invented_tokens_win_nothing() {
    let origin = RawOrigin::answering(OK);
    let config = config(&origin, PLACES, "1000/h").limit("per-client", "3/h");
    let weir = Launch::new(&config).beside("accounts.toml", &known()).start();
    let invented: Vec<String> = (0..4).map(|at| format!("X-API-Key: invented-{at}")).collect();
    let statuses: Vec<u16> = invented.iter().map(|line| get(&weir, &[line]).status()).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
}

/// A signed token names its account, by a shared secret (HS256) or by a public key (ES256, RS256).
#[test]
fn signed_tokens_name_their_account() {
    let origin = RawOrigin::answering(OK);
    let (shared, es256, rs256) = (Signer::hs256(SECRET.as_bytes()), Signer::es256(), Signer::rs256());
    let lines = "account = [\
        { jwt = \"bearer\", secret_file = \"secret\", issuer = \"shared\" },\
        { jwt = \"bearer\", key_file = \"es256.pem\" },\
        { jwt = \"header:x-token\", key_file = \"rs256.pem\", claim = \"tenant\", audience = \"api\" },\
    ]";
    let weir = Launch::new(&config(&origin, lines, "3/h"))
        .beside("accounts.toml", &known())
        .beside("secret", SECRET)
        .beside("es256.pem", &es256.public_pem())
        .beside("rs256.pem", &rs256.public_pem())
        .start();
    let claims = |id: &str| serde_json::json!({ "sub": id, "tenant": id, "iss": "shared", "aud": "api" });
    for (at, (signer, name)) in (0..).zip([
        (&shared, "Authorization: Bearer"),
        (&es256, "Authorization: Bearer"),
        (&rs256, "X-Token:"),
    ]) {
        // Each to an account of its own, which need not be in the accounts file.
        let genuine = format!("{name} {}", signer.sign(&claims(&format!("account-{at}"))));
        assert_eq!(
            statuses(&weir, &[&[genuine.as_str()][..]; 4]),
            [200, 200, 200, 429],
            "{}",
            signer.algorithm()
        );
        // A token of somebody else's is a credential that nobody knows, and uses up nothing of the account's.
        let somebody = Signer::hs256(format!("another secret, of somebody, {at}").as_bytes());
        let forged = format!("{name} {}", somebody.sign(&claims("acme")));
        assert_eq!(statuses(&weir, &[&[&forged]]), [200], "{}", signer.algorithm());
    }
    let acme = format!("X-Token: {}", rs256.sign(&claims("acme")));
    assert_eq!(statuses(&weir, &[&[&acme]]), [200]);
    weir.await_metric("weir_identity_total", &[("outcome", "known")], 13);
    weir.await_metric("weir_identity_total", &[("outcome", "unknown")], 3);
}

/// The access log names the account and never the credential, and neither does anything else that weir says.
#[test]
fn accounts_are_logged_and_credentials_are_not() {
    let origin = RawOrigin::answering(OK);
    let weir = start(&origin, PLACES, "10/h");
    get(&weir, &["Authorization: Bearer acme-key", "Cookie: session=unheard-of"]);
    get(&weir, &["X-API-Key: unheard-of"]);
    weir.await_metric("weir_access_log_written_total", &[], 2);
    let log = std::fs::read_to_string(weir.dir().join("access.log")).unwrap();
    let accounts: Vec<_> = log
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["account"].as_str().map(str::to_owned)
        })
        .collect();
    assert_eq!(accounts, [Some("acme".to_owned()), None]);
    let said =
        [log, weir.logs().join("\n"), weir.admin_get("/metrics").text(), weir.admin_get("/config").text()];
    for text in said {
        assert!(!text.contains("acme-key") && !text.contains("unheard-of"), "{text}");
    }
}

/// A credential as large as a head may be is one like another; more credentials than anybody has are refused.
#[test]
fn large_and_many_credentials_are_defined() {
    let origin = RawOrigin::answering(OK);
    let weir = start(&origin, PLACES, "10/h");
    let large = format!("Authorization: Bearer {}", "x".repeat(60 * 1024));
    let many = format!("Cookie: {}", "session=x; ".repeat(17));
    let empty = "Authorization: Bearer ";
    assert_eq!(statuses(&weir, &[&[&large], &[&many], &[empty]]), [200, 431, 200]);
}

/// A token of 100 MB is refused long before it has come, takes no memory, and keeps nobody else from being served.
#[test]
fn an_enormous_token_is_refused() {
    const PIECE: usize = 1 << 20;
    let origin = RawOrigin::answering(OK);
    let weir = start(&origin, PLACES, "10/h");
    assert_eq!(get(&weir, &[]).status(), 200);
    let before = weir.peak_memory_kib();
    let mut client = weir.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ");
    let piece = "x".repeat(PIECE);
    let taken = (0..100).take_while(|_| client.try_send(&piece).is_ok()).count();
    assert!(taken < 100, "all of it was read");
    // The answer may be lost in the reset of a connection that nobody reads any more.
    if let Ok(Some(answer)) = client.try_response() {
        assert_eq!(answer.status(), 431);
    }
    assert!(weir.peak_memory_kib() - before < 8 << 10);
    assert_eq!(get(&weir, &["X-API-Key: acme-key"]).status(), 200);
    origin.next_request();
    origin.next_request();
    origin.expect_no_request();
}

/// A new accounts file is taken over while weir runs: two keys are one account from then on, and nobody's when it is
/// gone.
#[test]
fn accounts_are_reloaded() {
    let origin = RawOrigin::answering(OK);
    let weir = start(&origin, PLACES, "2/h");
    let first: &[&str] = &["X-API-Key: initech-1"];
    let second: &[&str] = &["X-API-Key: initech-2"];
    // Nobody's: each is charged for itself, and both are charged to their client.
    assert_eq!(statuses(&weir, &[first, second, first]), [200, 200, 429]);
    let changed = accounts(&[("initech", &["initech-1", "initech-2"])]);
    weir.await_reload("ok", || weir.write_beside("accounts.toml", &changed));
    assert_eq!(statuses(&weir, &[first, second, first]), [200, 200, 429]);
    weir.await_metric("weir_identity_total", &[("outcome", "known")], 3);
    weir.await_reload("ok", || weir.write_beside("accounts.toml", &known()));
    assert_eq!(statuses(&weir, &[second]), [429]);
    weir.await_metric("weir_identity_total", &[("outcome", "unknown")], 4);
}

/// What the app says of a session is learned from its answer, whose header ends at weir: the session's later requests
/// are that account's, also after a reload, and so are those of the session that the answer began.
#[test]
fn the_app_may_name_the_account() {
    let origin = RawOrigin::answering(
        "HTTP/1.1 200 OK\r\nX-Weir-Account: acme\r\nSet-Cookie: session=begun; Path=/\r\n\
         Content-Length: 2\r\n\r\nok",
    );
    let lines = "account = []\nsession = [\"cookie:session\"]\nlearn_account_from = \"x-weir-account\"";
    let config = config(&origin, lines, "3/h");
    let weir = Launch::new(&config).beside("accounts.toml", &known()).start();
    let first = get(&weir, &["Cookie: session=old"]);
    assert_eq!((first.status(), first.field("x-weir-account")), (200, None));
    assert_eq!(first.field("set-cookie").as_deref(), Some("session=begun; Path=/"));
    weir.reload(&(config.text() + "\n# changed\n"));
    let (old, begun, other): (&[&str], &[&str], &[&str]) =
        (&["Cookie: session=old"], &["Cookie: session=begun"], &["Cookie: session=other"]);
    assert_eq!(statuses(&weir, &[old, begun, begun, old, begun, other]), [200, 200, 200, 429, 429, 200]);
}

/// Nobody becomes an account by sending the app's own header: it reaches no app, in a head or in trailers, in any
/// spelling that an app may take for it, and means nothing to weir.
#[test]
fn a_client_cannot_name_its_account() {
    let origin = RawOrigin::answering(OK);
    let lines = "account = [\"cookie:session\"]\nlearn_account_from = \"x-weir-account\"";
    let weir = start(&origin, lines, "10/h");
    let request = "POST / HTTP/1.1\r\nHost: app.test\r\nX-Weir-Account: acme\r\nx_weir_account: acme\r\n\
                   Cookie: session=mine\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\n\
                   Trailer: X-Weir-Account, X-Sum\r\n\r\n\
                   2\r\nhi\r\n0\r\nX-Weir-Account: acme\r\nX-Sum: 7\r\n\r\n";
    let mut client = weir.connect();
    for _ in 0..2 {
        assert_eq!(client.exchange(request).status(), 200);
        let seen = origin.next_request();
        assert!(seen.all("x-weir-account").is_empty() && seen.all("x_weir_account").is_empty());
        assert_eq!(seen.trailers, ["x-sum: 7"]);
    }
    weir.await_metric("weir_identity_total", &[("outcome", "unknown")], 2);
    weir.await_metric("weir_identity_total", &[("outcome", "known")], 0);
}

/// The header ends at weir wherever the app writes it: in an interim answer, in a head more than once, in trailers.
#[test]
fn the_apps_word_is_for_weir_alone() {
    let origin = RawOrigin::answering(
        "HTTP/1.1 103 Early Hints\r\nX-Weir-Account: acme\r\nLink: </a.css>\r\n\r\n\
         HTTP/1.1 200 OK\r\nX-Weir-Account: acme\r\nX-WEIR-ACCOUNT: acme\r\nX-Weir: kept\r\n\
         Trailer: X-Weir-Account, X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nok\r\n0\r\nX-Weir-Account: acme\r\nX-Sum: 7\r\n\r\n",
    );
    let lines = "account = [\"cookie:session\"]\nlearn_account_from = \"x-weir-account\"";
    let weir = start(&origin, lines, "10/h");
    let mut client = weir.connect();
    let hints = client.exchange("GET / HTTP/1.1\r\nHost: app.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
    assert_eq!((hints.status(), hints.all("x-weir-account").len()), (103, 0));
    assert_eq!(hints.field("link").as_deref(), Some("</a.css>"));
    let answer = client.response();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    assert!(answer.all("x-weir-account").is_empty());
    assert_eq!(answer.field("x-weir").as_deref(), Some("kept"));
    assert_eq!(answer.trailers, ["x-sum: 7"]);
}

/// A route for a plan serves the accounts on it and nobody else, says under which clause, and `explain` why; in shadow it
/// refuses nobody.
#[test]
fn a_route_can_be_for_some_plans() {
    const ACCOUNTS: &str = include_str!("../../config/accounts.toml");
    const ROUTES: &str = "[plans.pro]\n[[routes]]\npath = \"/reports/**\"\nupstream = \"app\"\nplans = [\"pro\"]\n\
                          [[routes]]\npath = \"/**\"\nupstream = \"app\"";
    let origin = RawOrigin::answering(OK);
    let identity = "[identity]\naccount = [\"bearer\"]\naccounts_file = \"accounts.toml\"";
    let config = Config::to(&origin).section(identity).section(ROUTES);
    let weir = Launch::new(&config).beside("accounts.toml", ACCOUNTS).start();
    let get = |account: &str, target: &str| {
        let bearer = if account.is_empty() {
            String::new()
        } else {
            format!("Authorization: Bearer change-me-{account}\r\n")
        };
        weir.connect()
            .exchange(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n{bearer}Connection: close\r\n\r\n"))
    };
    assert_eq!((get("acme", "/reports/1").status(), get("globex", "/other").status()), (200, 200));
    for other in ["globex", "nobody", ""] {
        let refused = get(other, "/reports/1");
        assert_eq!(refused.status(), 403, "{other}");
        assert_eq!(refused.json()["clause"]["id"], "unauthorised");
    }
    let explain = |account: &str| {
        weir.admin_get(&format!("/api/v1/explain?client=127.0.0.1&path=/reports/1&account={account}")).json()
    };
    assert_eq!(
        (&explain("globex")["verdict"], &explain("globex")["barred"]),
        (&"refuse".into(), &"unauthorised".into())
    );
    assert_eq!(explain("acme")["verdict"], "forward");
    weir.reload(&config.section("[enforcement]\nmode = \"shadow\"").text());
    assert_eq!(get("globex", "/reports/1").status(), 200);
}
