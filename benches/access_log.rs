//! What a request pays for its line in the access log: copying its texts and queueing the record. Formatting
//! and writing happen on the log's own thread, here to /dev/null.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{Method, StatusCode, Version};
use weir::facts::Origin;
use weir::logs::access::{AccessLog, AccessRecord, RequestFields, RequestText};
use weir::metrics::{Metrics, RequestDecision};
use weir::policy::{self, AccessFormat, AccessTarget};
use weir::time::WallTime;

fn record(route: &Arc<str>) -> AccessRecord {
    AccessRecord {
        at: WallTime { unix_ms: 1_795_499_772_345 },
        client: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
        method: Method::GET,
        version: Version::HTTP_11,
        text: RequestText::copy(black_box(&RequestFields {
            target: b"/articles/42?lang=en",
            host: b"help.example",
            referer: b"https://help.example/articles/",
            user_agent: b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            request_id: b"01M863BTTNMBV25V6P5GGD6H82",
        })),
        status: StatusCode::OK,
        response_bytes: 5120,
        origin: Origin::App,
        decision: RequestDecision::Forwarded,
        account: None,
        fingerprint: None,
        limit: None,
        detector: None,
        route: Some(Arc::clone(route)),
        server: Some(Arc::clone(route)),
        total: Duration::from_micros(12_345),
        upstream: Some(Duration::from_micros(11_900)),
    }
}

fn access_log(c: &mut Criterion) {
    let route: Arc<str> = "articles".into();
    for (name, format) in [("combined", AccessFormat::Combined), ("json", AccessFormat::Json)] {
        let config = policy::AccessLog {
            target: AccessTarget::File(PathBuf::from("/dev/null")),
            format,
            queue_max: 8192,
        };
        let log = AccessLog::start(&config, Metrics::new()).expect("/dev/null can be written");
        c.bench_function(name, |b| b.iter(|| log.record(record(&route))));
    }
}

criterion_group!(benches, access_log);
criterion_main!(benches);
