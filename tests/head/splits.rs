//! What is read depends on the bytes alone, not on how the network cut them.

use proptest::prelude::*;
use weir::proxy::head::HeadLimits;

use crate::reading::{read_at_once, read_in_pieces};

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 160, header_count_max: 6, uri_bytes_max: 40 };

/// Parts of requests, good and bad, so that random sequences reach every state.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let text = prop::sample::select(vec![
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nGET / H",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n",
        "5;x=y\r\n01234\r\n",
        "0\r\nX-Sum: 12\r\n\r\n",
        "0\r\n\r\n",
        "GET /a?b HTTP/1.1\r\n",
        "Host: a\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 1, 1\r\n",
        "Transfer-Encoding: chunked\r\n",
        "X: y\r\n",
        "X : y\r\n",
        "\r\n",
        "\r",
        "\n",
        "\0",
        " ",
        ":",
        "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu",
    ]);
    prop_oneof![9 => text.prop_map(|t| t.as_bytes().to_vec()), 1 => any::<Vec<u8>>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// At once, byte by byte or in random pieces: the same requests are read and the same fault is found.
    #[test]
    fn splits_do_not_matter(parts in prop::collection::vec(part(), 1..8), cuts in any::<Vec<usize>>()) {
        let input = parts.concat();
        let at_once = read_at_once(&input, LIMITS);
        let every_byte: Vec<usize> = (0..input.len()).collect();
        prop_assert_eq!(&at_once, &read_in_pieces(&input, &every_byte, LIMITS));
        prop_assert_eq!(&at_once, &read_in_pieces(&input, &cuts, LIMITS));
    }
}
