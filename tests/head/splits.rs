//! The head tap's verdict depends on the bytes alone, not on how the network cut them.

use proptest::prelude::*;
use weir::proxy::head::{Fault, HeadFacts, HeadLimits, HeadTap, Then};

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 160, header_count_max: 6, uri_bytes_max: 40 };

/// What became of a whole stream.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    passed: Vec<u8>,
    fault: Option<(bool, Fault)>,
    heads: Vec<HeadFacts>,
}

/// Feeds `input` in pieces that end at `cuts`, and checks what must hold after each.
fn feed_in_pieces(input: &[u8], cuts: &[usize]) -> Verdict {
    let mut tap = HeadTap::new(LIMITS).keeping_field_order();
    let mut verdict = Verdict { passed: vec![], fault: None, heads: vec![] };
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
    ends.extend([0, input.len()]);
    ends.sort_unstable();
    for (start, end) in ends.iter().zip(ends.iter().skip(1)) {
        let fresh = &input[*start..*end];
        let fed = tap.feed(fresh);
        assert!(
            verdict.fault.is_none() || (fed.pass == 0 && fed.released.is_empty()),
            "passed after a fault"
        );
        verdict.passed.extend_from_slice(&fed.released);
        verdict.passed.extend_from_slice(&fresh[..fed.pass]);
        match fed.then {
            Then::Nothing => assert_eq!(fed.pass, fresh.len()),
            Then::Held => {}
            Then::Fault(fault) => verdict.fault = Some((false, fault)),
            Then::BodyFault(fault) => verdict.fault = Some((true, fault)),
        }
        while let Some(facts) = tap.take_head() {
            verdict.heads.push(facts);
        }
    }
    verdict
}

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

    /// At once, byte by byte or in random pieces: the same bytes pass and the same fault is found.
    #[test]
    fn splits_do_not_matter(parts in prop::collection::vec(part(), 1..8), cuts in any::<Vec<usize>>()) {
        let input = parts.concat();
        let at_once = feed_in_pieces(&input, &[]);
        let every_byte: Vec<usize> = (0..input.len()).collect();
        prop_assert_eq!(&at_once, &feed_in_pieces(&input, &every_byte));
        prop_assert_eq!(&at_once, &feed_in_pieces(&input, &cuts));
    }

    /// What passes is the input's own beginning, byte for byte.
    #[test]
    fn passes_a_prefix(parts in prop::collection::vec(part(), 1..8), cuts in any::<Vec<usize>>()) {
        let input = parts.concat();
        prop_assert!(input.starts_with(&feed_in_pieces(&input, &cuts).passed));
    }
}
