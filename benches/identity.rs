//! The time that one request's credentials take.
//!
//! `cargo bench --bench identity` (a filter such as `-- bearer` after it).

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use signing::Signer;
use weir::config;
use weir::facts::{Account, Principal};
use weir::identity::{Memory, Resolver};
use weir::policy::identity::{Identity, Jwt, JwtAlgorithm, Place, Source};
use weir::policy::{Accounts, Policy, TermsId};
use weir::time::WallTime;

#[path = "../tests/identity/signing.rs"]
#[expect(clippy::unwrap_used, clippy::panic, dead_code, reason = "made for tests, which use more of it")]
mod signing;

/// As many as are to be loaded in a second.
const ACCOUNTS: u32 = 100_000;
/// Few enough to stay in the processor's caches, where a head is that was just read.
const HEADS: BatchSize = BatchSize::NumIterations(32);
const NOW: WallTime = WallTime { unix_ms: 1_767_225_600_000 };

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .without_plots();
    targets = resolve, signatures
}
criterion_main!(benches);

fn resolve(criterion: &mut Criterion) {
    let sources =
        [Place::Bearer, Place::Header(HeaderName::from_static("x-api-key")), Place::Cookie("sid".into())];
    let resolver = resolver(sources.map(Source::Token).into(), None);
    let learning = HeaderName::from_static("x-weir-account");
    let sessions = self::resolver(vec![Source::Token(Place::Cookie("sid".into()))], Some(learning));
    let cookies = "_ga=GA1.2.1234567890.1234567890; theme=dark; lang=en; sid=";
    let cases = [
        ("no_credential", &resolver, vec![]),
        // Any of 100,000 accounts: what is looked up is not in the processor's caches.
        (
            "bearer_known",
            &resolver,
            (0..ACCOUNTS).map(|at| ("authorization", format!("Bearer {}", token(at)))).collect(),
        ),
        ("bearer_unknown", &resolver, vec![("authorization", format!("Bearer {}", "x".repeat(43)))]),
        (
            "cookie_known",
            &resolver,
            (0..ACCOUNTS).map(|at| ("cookie", format!("{cookies}{}", token(at)))).collect(),
        ),
        ("session", &sessions, vec![("cookie", format!("{cookies}{}", "x".repeat(43)))]),
        ("largest_header", &resolver, vec![("x-api-key", "x".repeat(64 * 1024))]),
    ];
    for (name, resolver, fields) in cases {
        let mut at = 0;
        criterion.bench_function(&format!("resolve/{name}"), |b| {
            b.iter_batched(
                || {
                    at += 7919;
                    match fields.len() {
                        0 => browser(),
                        count => with(fields[at % count].0, &fields[at % count].1),
                    }
                },
                |headers| black_box(resolver.resolve(&headers, None, NOW)),
                HEADS,
            );
        });
    }
}

/// A token that is seen for the first time, and one that comes again.
fn signatures(criterion: &mut Criterion) {
    for signer in [Signer::hs256(&[7; 32]), Signer::es256(), Signer::rs256(), Signer::eddsa()] {
        let key = signer.public();
        let jwt = Jwt {
            place: Place::Bearer,
            claim: "sub".into(),
            algorithms: JwtAlgorithm::ALL.into_iter().filter(|algorithm| algorithm.fits(&key)).collect(),
            keys: vec![key],
            issuer: None,
            audiences: Vec::new(),
            leeway: Duration::ZERO,
        };
        let resolver = resolver(vec![Source::Jwt(jwt)], None);
        let token = |at: u32| {
            let claims = serde_json::json!({ "sub": "account-7", "exp": 1_767_225_700, "jti": at });
            with("authorization", &format!("Bearer {}", signer.sign(&claims)))
        };
        let again = token(0);
        let name = signer.algorithm();
        criterion.bench_function(&format!("jwt/{name}/again"), |b| {
            b.iter(|| black_box(resolver.resolve(&again, None, NOW)));
        });
        let mut count = 0;
        criterion.bench_function(&format!("jwt/{name}/first"), |b| {
            b.iter_batched(
                || {
                    count += 1;
                    token(count)
                },
                |headers| black_box(resolver.resolve(&headers, None, NOW)),
                HEADS,
            );
        });
    }
}

fn token(at: u32) -> String {
    format!("key_{at:039}")
}

/// What a browser sends besides.
fn browser() -> HeaderMap {
    let fields = [
        ("host", "app.example"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
        ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("accept-language", "en-GB,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br"),
    ];
    fields
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

fn with(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = browser();
    headers.insert(name, HeaderValue::from_str(value).expect("plain text"));
    headers
}

fn resolver(sources: Vec<Source>, learn_from: Option<HeaderName>) -> Resolver {
    let text = "[listen]\nproxy = [\"127.0.0.1:0\"]\n[upstreams.app]\nservers = [\"127.0.0.1:1\"]\n";
    let policy =
        config::from_str("weir.toml", text, Path::new(".")).expect("the configuration is valid").policy;
    let mut accounts = Accounts::default();
    for at in 0..ACCOUNTS {
        let id: Arc<str> = format!("account-{at}").into();
        accounts.by_id.insert(Arc::clone(&id), at);
        accounts.by_credential.insert(Sha256::digest(token(at)).into(), at);
        accounts.list.push(Account { principal: Principal::account(&id), id, terms: TermsId::NONE });
    }
    let sessions = vec![Place::Cookie("sid".into())];
    let identity = Identity { sources, sessions, learn_from };
    let policy = Policy { identity, accounts: Arc::new(accounts), ..policy };
    Resolver::new(&policy, Arc::new(Memory::new(&[7; 32])))
}
