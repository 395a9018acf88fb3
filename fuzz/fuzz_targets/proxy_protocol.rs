//! Any bytes as a PROXY header: read alike however they are cut, and never beyond their end.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::policy::ProxyProtocol;
use weir::proxy::proxy_protocol::parse;

fuzz_target!(|bytes: &[u8]| {
    let whole = parse(bytes, ProxyProtocol::Either);
    for cut in 0..bytes.len() {
        match (parse(&bytes[..cut], ProxyProtocol::Either), &whole) {
            // What was a header, or none, is so whatever follows.
            (Ok(Some(early)), Ok(Some(late))) => assert_eq!(early, *late),
            (Ok(Some(_)), _) => panic!("a header that is none"),
            (Err(_), whole) => assert!(whole.is_err()),
            (Ok(None), _) => {}
        }
    }
    if let Ok(Some(parsed)) = whole {
        assert!(parsed.bytes <= bytes.len());
    }
});
