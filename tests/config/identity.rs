//! Who is asking: tokens, their keys, sessions and networks; and what clients are told.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use weir::config;
use weir::policy::describe::describe;
use weir::policy::identity::{Jwt, JwtAlgorithm, JwtKey, Place, Source};
use weir::policy::load::{Capacity, Load, LoadWindow, Unreasonable};
use weir::policy::responses::{Cors, Origins, RateLimitFields, Responses};
use weir::policy::{AsnDatabase, NetworkPrefix, Networks, Policy};

use super::{MINIMAL, load_text};

/// The files of keys are in tests/config/keys, made by `openssl genpkey` and `openssl pkey -pubout`.
fn with_keys(rest: &str) -> config::Loaded {
    let text = format!("{MINIMAL}{rest}");
    config::from_str("test.toml", &text, Path::new("tests/config/keys")).unwrap()
}

/// Promise: a token in the form of a JWT is verified as written, by the usual algorithm of its key where none is.
#[test]
fn jwts_are_verified_by_keys_from_files() {
    let loaded = with_keys(
        "[identity]\naccount = [\"bearer\", \
         { jwt = \"bearer\", key_file = [\"rs256.pem\", \"es256.pem\"], issuer = \"https://id\", audience = \"api\" }, \
         { jwt = \"cookie:id\", secret_file = \"hs256.secret\", claim = \"account\", algorithms = \"HS512\", leeway = \"0\" }]\n",
    );
    let [Source::Token(Place::Bearer), Source::Jwt(public), Source::Jwt(shared)] =
        loaded.policy.identity.sources.as_slice()
    else {
        panic!("{:?}", loaded.policy.identity)
    };
    assert_eq!(public.keys.iter().map(JwtKey::name).collect::<Vec<_>>(), ["RSA", "P-256"]);
    assert_eq!(public.algorithms, [JwtAlgorithm::Rs256, JwtAlgorithm::Es256]);
    let Jwt { claim, issuer, audiences, leeway, .. } = public;
    assert_eq!((&**claim, issuer.as_deref(), *leeway), ("sub", Some("https://id"), Duration::from_secs(60)));
    assert_eq!(audiences.iter().map(|a| &**a).collect::<Vec<_>>(), ["api"]);
    assert_eq!(shared.keys, [JwtKey::Secret(b"0123456789abcdef0123456789abcdef"[..].into())]);
    assert_eq!((&*shared.claim, shared.leeway), ("account", Duration::ZERO));
    assert_eq!(shared.algorithms, [JwtAlgorithm::Hs512]);
    // A changed key is a changed configuration.
    let files: Vec<_> = loaded.files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    assert_eq!(files, ["rs256.pem", "es256.pem", "hs256.secret"]);
    assert_eq!(config::fingerprint(&loaded.files), config::fingerprint(&loaded.files));
}

/// Promise: no secret and no credential is shown, neither in what weir says of its policy nor in a debug print.
#[test]
fn secrets_are_not_shown() {
    let policy =
        with_keys("[identity]\naccount = { jwt = \"bearer\", secret_file = \"hs256.secret\" }\n").policy;
    let shown = format!("{policy:?} {}", describe(&policy));
    assert!(!shown.contains("0123456789abcdef") && !shown.contains("48, 49, 50, 51"), "{shown}");
    assert!(describe(&policy)["identity"]["account"][0]["keys"][0] == "secret");
}

/// Promise: without a word on sessions, what browsers and programs send tells them apart.
#[test]
fn sessions_are_told_by_bearers_and_cookies() {
    let sessions = |rest: &str| load_text(&format!("{MINIMAL}[identity]\n{rest}\n")).policy.identity.sessions;
    let (bearer, cookie) = (Place::Bearer, Place::Cookie("sid".into()));
    assert_eq!(
        sessions("account = [\"bearer\", \"header:x-key\", \"cookie:sid\"]"),
        [bearer.clone(), cookie]
    );
    assert_eq!(sessions("account = [\"cookie:a\"]\nsession = [\"bearer\"]"), [bearer]);
    assert_eq!(sessions("session = []\naccount = [\"bearer\"]"), []);
}

/// Promise: a network is no narrower than a client, and as wide as written.
#[test]
fn networks_are_as_wide_as_written() {
    let prefix = |rest: &str| load_text(&format!("{MINIMAL}[identity]\n{rest}\n")).policy.network.prefix;
    assert_eq!(prefix(""), NetworkPrefix { ipv4: 24, ipv6: 48 });
    assert_eq!(prefix("network = { ipv4_prefix = 16 }"), NetworkPrefix { ipv4: 16, ipv6: 48 });
    assert_eq!(prefix("client = { ipv4_prefix = 20 }"), NetworkPrefix { ipv4: 20, ipv6: 48 });
}

/// Promise: where a database knows the autonomous system of an address, that is its network, whatever the prefix;
/// where it does not, the prefix is.
#[test]
fn networks_are_autonomous_systems_where_known() {
    let database = AsnDatabase::read(tiny_database(64_496)).unwrap();
    let networks = Networks { asn: Some(database.into()), ..Networks::default() };
    let of = |address: &str| networks.of(address.parse::<IpAddr>().unwrap());
    // The database gives the lower half of all IPv4 addresses to AS64496.
    assert_eq!(of("10.0.0.1"), of("127.1.2.3"));
    assert_eq!(networks.name(of("10.0.0.1")), "AS64496");
    assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    assert_eq!(networks.name(of("192.0.2.7")), "192.0.2.0/24");
    assert_eq!(networks.name(of("2001:db8:1:2::3")), "2001:db8:1::/48");
    assert!(AsnDatabase::read(b"no database".to_vec()).is_err());
}

/// A file in MaxMind's format, version 2, for IPv4, with a tree of one node: addresses that begin with a zero bit are
/// of `number`, the others of nobody.
fn tiny_database(number: u32) -> Vec<u8> {
    let text = |text: &str| [&[0x40 | u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let uint = |kind: u8, value: u32| {
        let bytes = value.to_be_bytes();
        let bytes = &bytes[bytes.iter().take_while(|b| **b == 0).count()..];
        let length = u8::try_from(bytes.len()).unwrap();
        // Types above 7 are extended: their number less 7 follows.
        let control = if kind > 7 { vec![length, kind - 7] } else { vec![kind << 5 | length] };
        [control.as_slice(), bytes].concat()
    };
    let (uint16, uint32, uint64) = (5, 6, 9);
    let map = |pairs: &[(&str, Vec<u8>)]| {
        let mut bytes = vec![0xe0 | u8::try_from(pairs.len()).unwrap()];
        for (key, value) in pairs {
            bytes.extend([text(key), value.clone()].concat());
        }
        bytes
    };
    // One node of two records of 24 bits: data at offset 0 is node_count + 16; node_count itself is "nothing".
    let mut file = vec![0, 0, 17, 0, 0, 1];
    file.extend([0; 16]);
    file.extend(map(&[("autonomous_system_number", uint(uint32, number))]));
    file.extend(b"\xab\xcd\xefMaxMind.com");
    file.extend(map(&[
        ("binary_format_major_version", uint(uint16, 2)),
        ("binary_format_minor_version", uint(uint16, 0)),
        ("build_epoch", uint(uint64, 1)),
        ("database_type", text("Tiny-ASN")),
        ("description", map(&[("en", text("a test"))])),
        ("ip_version", uint(uint16, 4)),
        ("languages", vec![0x01, 0x04, 0x42, b'e', b'n']),
        ("node_count", uint(uint32, 1)),
        ("record_size", uint(uint16, 24)),
    ]));
    file
}

/// Promise: what clients are told is what was written, and by default refusals explain themselves to whom they refuse.
#[test]
fn clients_are_told_what_was_written() {
    let responses = |rest: &str| load_text(&format!("{MINIMAL}[responses]\n{rest}\n")).policy.responses;
    let default = Responses {
        rate_limit_fields: RateLimitFields::Refusals,
        legacy_rate_limit_fields: false,
        cors: None,
    };
    assert_eq!(responses(""), default);
    let all = responses(
        "rate_limit_fields = \"always\"\nlegacy_rate_limit_fields = true\n\
         cors = { origins = [\"https://App.example:443\"], credentials = true, expose = \"X-Id\" }",
    );
    let origins = Origins::These(vec!["https://app.example".into()]);
    let cors = Cors { origins, credentials: true, expose: vec!["x-id".parse().unwrap()] };
    assert!(cors.origins.allow("https://app.example") && !cors.origins.allow("https://app.example:8443"));
    assert_eq!(
        all,
        Responses {
            rate_limit_fields: RateLimitFields::Always,
            legacy_rate_limit_fields: true,
            cors: Some(cors)
        }
    );
    assert_eq!(responses("cors = { origins = \"*\" }").cors.unwrap().origins, Origins::Any);
}

/// Promise: load is measured as written: shares in thousandths, over one of the windows that are kept.
#[test]
fn load_is_measured_as_written() {
    let load = |rest: &str| load_text(&format!("{MINIMAL}[load]\n{rest}\n")).policy.load;
    assert_eq!(load(""), Load { top: 20, unreasonable: None });
    let unreasonable = |share_permille, over, when_utilisation_permille| {
        Some(Unreasonable { share_permille, over, when_utilisation_permille })
    };
    let all = "unreasonable = { share = 0.25, over = \"60min\", when_utilisation = \"90%\" }\ntop = 0";
    assert_eq!(load(all), Load { top: 0, unreasonable: unreasonable(250, LoadWindow::Hour, 900) });
    let share = load("unreasonable = { share = 1 }").unreasonable;
    assert_eq!(share, unreasonable(1000, LoadWindow::TenMinutes, 700));
}

/// Promise: what an upstream can bear is a number, or is found between two.
#[test]
fn capacity_is_fixed_or_found() {
    let capacity = |written: &str| {
        let mut text = MINIMAL.to_owned();
        let _ = write!(text, "[upstreams.other]\nservers = [\"127.0.0.1:3001\"]\n{written}\n");
        text.push_str("[[routes]]\npath = \"/a\"\nupstream = \"app\"\n[[routes]]\npath = \"/**\"\nupstream = \"other\"\n");
        let Policy { upstreams, .. } = load_text(&text).policy;
        upstreams[1].capacity
    };
    let n = |n: u32| n.try_into().unwrap();
    assert_eq!(capacity(""), Capacity::Unbounded);
    assert_eq!(capacity("capacity = { concurrency = 64 }"), Capacity::Fixed(n(64)));
    assert_eq!(capacity("capacity = \"adaptive\""), Capacity::Adaptive { min: n(8), max: n(1024) });
    let between = "capacity = { concurrency = \"adaptive\", min = 2, max = 4 }";
    assert_eq!(capacity(between), Capacity::Adaptive { min: n(2), max: n(4) });
    let narrow = "capacity = { concurrency = \"adaptive\", max = 4 }";
    assert_eq!(capacity(narrow), Capacity::Adaptive { min: n(4), max: n(4) });
}
