//! Any bytes as the first message of a TLS client: reading it never panics, what follows the message changes nothing,
//! and a fingerprint has the form that is published.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::proxy::tls::ja4::ja4;

fuzz_target!(|data: &[u8]| {
    let Some(text) = ja4(data) else { return };
    assert_eq!(ja4(&[data, b"more"].concat()).as_ref(), Some(&text));
    let [a, b, c] = text.split('_').collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(a.len() == 10 && b.len() == 12 && c.len() == 12, "{text}");
    assert!(text.is_ascii() && !text.contains(char::is_whitespace), "{text}");
});
