//! What reading a head costs, beside httparse, which finds the lines and judges less.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::Request;
use weir::policy::path::{PathRules, normalise};
use weir::policy::template::Template;
use weir::proxy::head::{HeadLimits, RequestReader};

const LIMITS: HeadLimits =
    HeadLimits { head_bytes_max: 32 * 1024, header_count_max: 100, uri_bytes_max: 8 * 1024 };

/// What a bench tool sends.
const SMALL: &[u8] = b"GET /api/v1/exports/17 HTTP/1.1\r\nHost: 127.0.0.1:18080\r\nUser-Agent: wrk\r\n\r\n";

/// What an API client sends.
const API: &[u8] = b"GET /api/v1/exports/17?format=csv HTTP/1.1\r\n\
    Host: api.example.com\r\n\
    User-Agent: python-requests/2.31.0\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Accept: application/json\r\n\
    Connection: keep-alive\r\n\
    Authorization: Bearer 5f2b9f4e0b1c4d7e8a9b0c1d2e3f4a5b\r\n\
    X-Request-Id: 0d3c4a52-7c1e-4b55-9d0f-2f1b8f6f2f1b\r\n\r\n";

/// What a browser sends.
const BROWSER: &[u8] = b"GET /help/articles/getting-started HTTP/1.1\r\n\
    Host: help.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://help.example.com/help\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=2f1b8f6f2f1b4b559d0f0d3c4a527c1e; theme=dark; consent=necessary\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Priority: u=0, i\r\n\r\n";

fn heads(c: &mut Criterion) {
    for (name, head) in [("small", SMALL), ("api", API), ("browser", BROWSER)] {
        let mut group = c.benchmark_group(format!("head/{name}-{}-bytes", head.len()));
        group.throughput(Throughput::Bytes(head.len() as u64));
        let readers = [
            ("read", RequestReader::new(LIMITS)),
            ("read-with-field-order", RequestReader::new(LIMITS).keeping_field_order()),
        ];
        for (name, mut reader) in readers {
            let (mut input, mut parts) = (BytesMut::new(), Request::new(()).into_parts().0);
            group.bench_function(name, |b| {
                b.iter(|| {
                    parts.headers.clear();
                    input.extend_from_slice(black_box(head));
                    let read = reader.head(&mut input, &mut parts);
                    assert!(read.is_ok_and(|head| head.is_some()));
                });
            });
        }
        group.bench_function("httparse", |b| {
            b.iter(|| {
                let mut fields = [httparse::EMPTY_HEADER; 32];
                let mut request = httparse::Request::new(&mut fields);
                assert!(request.parse(black_box(head)).is_ok_and(|status| status.is_complete()));
            });
        });
        group.finish();
    }
}

fn paths(c: &mut Criterion) {
    let rules = PathRules::default();
    let mut group = c.benchmark_group("path");
    group.bench_function("canonical", |b| {
        b.iter(|| normalise(black_box("/help/articles/getting-started"), &rules, false).is_ok());
    });
    group.bench_function("folded", |b| {
        b.iter(|| normalise(black_box("/help//articles/./getting%2Dstarted"), &rules, false).is_ok());
    });
    let templates = ["/api/v1/exports/{id}", "/api/v1/sms/**", "/api/*/exports/{id}", "/**"];
    let templates = templates.map(|t| Template::parse(t, &rules).expect("the templates are valid"));
    group.bench_function("four-templates", |b| {
        b.iter(|| templates.iter().position(|t| t.matches(black_box("/help/articles/getting-started"))));
    });
    group.finish();
}

criterion_group!(benches, heads, paths);
criterion_main!(benches);
