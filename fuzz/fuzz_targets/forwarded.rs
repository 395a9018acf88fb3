//! Any forwarding header: an untrusted peer is only ever itself, and the application sees one address.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use weir::policy::{ForwardedHeader, Trust};
use weir::proxy::forwarded::{Hop, Scheme, believed_client, rewrite};
use weir::proxy::headers::Added;

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fuzz_target!(|data: (u8, Vec<(bool, Vec<u8>)>)| {
    let (choice, lines) = data;
    let name = HeaderName::from_static("x-real-ip");
    let (header, name) = match choice % 3 {
        0 => (ForwardedHeader::XForwardedFor, HeaderName::from_static("x-forwarded-for")),
        1 => (ForwardedHeader::Forwarded, http::header::FORWARDED),
        _ => (ForwardedHeader::Single(name.clone()), name),
    };
    let proxies = ["10.0.0.0/8".parse().expect("a valid range")].to_vec();
    let trust = Trust { proxies, header };
    let mut headers = HeaderMap::new();
    for (host, value) in lines {
        let name = if host { HeaderName::from_static("x-forwarded-host") } else { name.clone() };
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            headers.append(name, value);
        }
    }
    assert_eq!(believed_client(STRANGER, &trust, &headers), STRANGER);
    let client = believed_client(PROXY, &trust, &headers);
    let mut added = Added::new();
    rewrite(&mut headers, &Hop::new(PROXY, Scheme::Http, &trust), client, &mut added);
    headers.extend(added);
    let said: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    assert_eq!(said, [client.to_string().as_str()]);
    assert!(!headers.contains_key("x-real-ip"));
});
