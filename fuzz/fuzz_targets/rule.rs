//! Any text as an operator's rule: checking it never panics, every fault points into it, and what is sound can be asked
//! about any request.

#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use weir::detect::{Answer, Conduct, Event, Reader, Request, Seen, Signs};
use weir::rule::{Asked, Program, Scene};
use weir::time::Moment;

fuzz_target!(|data: &str| {
    // What follows a NUL is the path that is asked about.
    let (text, path) = data.split_once('\0').unwrap_or((data, "/shop/3"));
    let program = match Program::compile(text) {
        Ok(program) => program,
        Err(faults) => {
            assert!(!faults.is_empty());
            assert!(faults.iter().all(|fault| text.get(fault.span.clone()).is_some()), "{faults:?}");
            return;
        }
    };
    assert_eq!(program.text(), text);

    let mut headers = HeaderMap::new();
    headers.insert("x-tenant", HeaderValue::from_static("acme"));
    let asked = Asked {
        method: "GET",
        host: "shop.example",
        path,
        query: path,
        route: "shop",
        user_agent: path,
        referer: "",
        accounts: &[("7", "pro"), ("8", "free")],
        address: [192, 0, 2, 7].into(),
        headers: &headers,
    };
    let Some(answers) = program.ask(&asked) else { return };

    let now = Moment::from_nanos(1_700_000_000_000_000_000);
    let reader = Reader::new(1);
    let sight = reader.read(&Request { method: "GET", path, query: Some(path), referer: None });
    let answer = Answer { status: 404, bytes: u64::MAX, took: None, login: None, told: None };
    let event = Event::unlearned(&sight, None, answer, now);
    let mut conduct = Conduct::new(now);
    conduct.note(&event);
    let site = Signs::default();
    let seen = Seen { conduct: &conduct, lately: conduct.lately(now), site: &site, now };
    let scene = Scene { seen: &seen, event: &event };
    assert_eq!(program.holds(answers, &scene), program.holds(answers, &scene));
});
