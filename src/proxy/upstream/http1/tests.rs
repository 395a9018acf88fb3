//! Requests and responses over a scripted socket, and responses cut into any pieces.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::Waker;

use http::Request;
use proptest::prelude::*;
use tokio::io::ReadBuf;

use super::fault::Malformed;
use super::*;

/// A server that sends what it is told to, whatever it is asked, and takes what it is sent.
#[derive(Debug, Default)]
struct Script {
    /// What a read gives; an empty piece is the end of the stream. Nothing more: nothing comes.
    sends: VecDeque<Bytes>,
    /// What each write gave.
    writes: Vec<Vec<u8>>,
    /// The most that one write takes.
    takes: Option<usize>,
    /// Writes fail.
    is_reset: bool,
}

impl Script {
    fn sending(pieces: &[&str]) -> Self {
        let sends = pieces.iter().map(|piece| Bytes::from(piece.to_string())).collect();
        Script { sends, ..Script::default() }
    }

    fn taken(&self) -> String {
        String::from_utf8(self.writes.concat()).unwrap()
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(mut piece) = self.sends.pop_front() else { return Poll::Pending };
        let now = piece.split_to(piece.len().min(buf.remaining()));
        buf.put_slice(&now);
        if !piece.is_empty() {
            self.sends.push_front(piece);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let taken = self.takes.map_or(buf.len(), |most| most.min(buf.len()));
        self.writes.push(buf[..taken].to_vec());
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let joined: Vec<u8> = bufs.iter().flat_map(|piece| piece.iter().copied()).collect();
        self.as_mut().poll_write(cx, &joined)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A request's body: these frames, and then its end, or nothing for now.
#[derive(Debug, Default)]
struct Frames {
    queue: VecDeque<Frame<Bytes>>,
    length: Option<u64>,
    goes_on: bool,
}

impl Frames {
    fn none() -> Self {
        Frames { length: Some(0), ..Frames::default() }
    }

    fn data(pieces: &[&'static str], length: Option<u64>) -> Self {
        let queue = pieces.iter().map(|piece| Frame::data(Bytes::from(*piece))).collect();
        Frames { queue, length, goes_on: false }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.queue.pop_front() {
            None if self.goes_on => Poll::Pending,
            frame => Poll::Ready(frame.map(Ok)),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.length.is_some() && self.queue.is_empty() && !self.goes_on
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or(SizeHint::default(), SizeHint::with_exact)
    }
}

type Conversation = Http1<Script, Frames>;

fn asked(method: &str, fields: &[(&str, &str)]) -> request::Parts {
    let mut request = Request::builder().method(method).uri("/");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn poll_head(http1: &mut Conversation) -> Poll<Result<response::Parts, Http1Error>> {
    http1.poll_head(&mut Context::from_waker(Waker::noop()))
}

/// The head that has come.
fn head(http1: &mut Conversation) -> response::Parts {
    match poll_head(http1) {
        Poll::Ready(head) => head.unwrap(),
        Poll::Pending => panic!("no head has come"),
    }
}

fn head_error(http1: &mut Conversation) -> Http1Error {
    match poll_head(http1) {
        Poll::Ready(head) => head.unwrap_err(),
        Poll::Pending => panic!("the request still waits"),
    }
}

/// What has come of the body, and how it ended, if it has.
fn body(http1: &mut Conversation) -> (String, Poll<Result<(), Http1Error>>) {
    let mut data = Vec::new();
    loop {
        match http1.poll_body(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => data.extend(frame.into_data().unwrap_or_default()),
            Poll::Ready(Some(Err(error))) => {
                break (String::from_utf8(data).unwrap(), Poll::Ready(Err(error)));
            }
            Poll::Ready(None) => break (String::from_utf8(data).unwrap(), Poll::Ready(Ok(()))),
            Poll::Pending => break (String::from_utf8(data).unwrap(), Poll::Pending),
        }
    }
}

fn whole_body(http1: &mut Conversation) -> String {
    let (data, end) = body(http1);
    assert!(matches!(end, Poll::Ready(Ok(()))), "{end:?}");
    data
}

/// Asks and gets the head of the answer.
fn ask(script: Script, method: &str, sent: Frames) -> (Conversation, response::Parts) {
    let mut http1 = Http1::new(script);
    http1.begin(&asked(method, &[]), &[], sent);
    let head = head(&mut http1);
    (http1, head)
}

/// Promise: one connection serves one request after the other (RFC 9112 §9.3), each head with its body in one write.
#[test]
fn one_request_after_the_other() {
    let mut http1 = Http1::new(Script::sending(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst",
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n",
    ]));
    for (n, text) in ["first", "second"].into_iter().enumerate() {
        let posted = asked("POST", &[("host", "a")]);
        http1.begin(&posted, &[], Frames::data(&["hi"], Some(2)));
        assert!(head(&mut http1).status.is_success());
        http1.lend(posted.headers);
        assert_eq!(whole_body(&mut http1), text);
        assert!(http1.rest());
        assert_eq!(http1.socket.writes.len(), n + 1);
    }
    let expected = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
    assert_eq!(http1.socket.taken(), expected.repeat(2));
}

/// Promise: a socket that takes little at a time gets every byte once and in order, trailers last.
#[test]
fn sockets_that_take_little() {
    for takes in 1..80 {
        let script = Script { takes: Some(takes), ..Script::sending(&["HTTP/1.1 204 No Content\r\n\r\n"]) };
        let mut frames = Frames::data(&["hello", "", "0123456789abcdef0"], None);
        frames.queue.push_back(Frame::trailers(asked("GET", &[("x-sum", "1")]).headers));
        let mut http1 = Http1::new(script);
        http1.begin(&asked("PUT", &[("trailer", "x-sum")]), &[], frames);
        head(&mut http1);
        assert!(http1.rest());
        assert_eq!(
            http1.socket.taken(),
            "PUT / HTTP/1.1\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n\
             5\r\nhello\r\n11\r\n0123456789abcdef0\r\n0\r\nx-sum: 1\r\n\r\n"
        );
    }
}

/// Promise: interim responses come one by one before the final one (RFC 9110 §15.2), and what was read behind a 101
/// is not lost.
#[test]
fn interim_responses() {
    let script = Script::sending(&[
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\nearly",
    ]);
    let (mut http1, first) = ask(script, "GET", Frames::none());
    let (second, third) = (head(&mut http1), head(&mut http1));
    assert_eq!([first, second, third].map(|head| head.status.as_u16()), [100, 103, 101]);
    assert!(!http1.rest(), "it is no longer HTTP");
    assert_eq!(&http1.into_parts().1[..], b"early");
}

/// Promise: a connection on which anything is left over, or whose server said so, is not used again (RFC 9112 §9.2,
/// §9.3).
#[test]
fn connections_that_do_not_rest() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\n\r\nforged",
        "HTTP/1.1 204 No Content\r\n\r\nbody",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (mut http1, _) = ask(Script::sending(&[answer]), "GET", Frames::none());
        whole_body(&mut http1);
        assert!(http1.has_ended() && !http1.rest(), "{answer:?}");
    }
    let (mut http1, _) =
        ask(Script::sending(&["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"]), "HEAD", Frames::none());
    assert!(http1.has_ended() && http1.rest(), "a HEAD is answered by a head");
}

/// Promise: an answer may come before the whole request was sent (RFC 9112 §9.5). The upload goes on beside it, and
/// ends with it.
#[test]
fn early_answers() {
    let script = Script::sending(&["HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\none "]);
    let upload = Frames { goes_on: true, ..Frames::data(&["begin"], Some(9)) };
    let (mut http1, _) = ask(script, "POST", upload);
    assert_eq!(body(&mut http1).0, "one ");
    http1.upload.as_mut().unwrap().body.queue.push_back(Frame::data("more".into()));
    http1.socket.sends.push_back("two ".into());
    assert_eq!(whole_body(&mut http1), "two ");
    assert!(http1.socket.taken().ends_with("beginmore"));
    let script = Script::sending(&["HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"]);
    let upload = Frames { goes_on: true, ..Frames::data(&["begin"], Some(9)) };
    let (mut http1, _) = ask(script, "POST", upload);
    assert!(http1.has_ended() && !http1.rest(), "the next request would be the rest of this one's body");
}

/// Promise: an answer is read though the server takes no more (RFC 9112 §9.5); without one, the request has failed.
#[test]
fn a_server_that_takes_no_more_may_have_answered() {
    let refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
    let script = Script { is_reset: true, ..Script::sending(&[refusal, ""]) };
    let upload = Frames { goes_on: true, ..Frames::data(&["begin"], Some(9)) };
    let (mut http1, head) = ask(script, "POST", upload);
    assert_eq!((head.status.as_u16(), http1.rest()), (413, false));
    let mut http1 = Http1::new(Script { is_reset: true, ..Script::sending(&[""]) });
    http1.begin(&asked("GET", &[]), &[], Frames::none());
    assert!(matches!(head_error(&mut http1), Http1Error::Closed));
}

/// Promise: an answer that is cut is never taken for a whole one (RFC 9112 §8).
#[test]
fn cut_answers() {
    let mut http1 = Http1::new(Script::sending(&["HTTP/1.1 200 OK\r\nA: ", ""]));
    http1.begin(&asked("GET", &[]), &[], Frames::none());
    assert!(matches!(head_error(&mut http1), Http1Error::Incomplete));
    for cut in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    ] {
        let (mut http1, _) = ask(Script::sending(&[cut, ""]), "GET", Frames::none());
        let (data, end) = body(&mut http1);
        assert_eq!(data, "half");
        assert!(matches!(end, Poll::Ready(Err(Http1Error::Incomplete))), "{end:?}");
        assert!(!http1.has_ended() && !http1.rest());
    }
}

/// Promise: a body that is not as long as announced fails its request, and that is not the server's doing.
#[test]
fn uploads_of_another_length() {
    for pieces in [&["four"][..], &["fourfive", "x"]] {
        let mut http1 = Http1::new(Script::default());
        http1.begin(&asked("POST", &[]), &[], Frames::data(pieces, Some(5)));
        let error = head_error(&mut http1);
        assert!(matches!(error, Http1Error::Upload(_)) && !error.is_servers());
        assert!(!http1.rest());
    }
}

/// Promise: a large answer is read in large pieces, and the memory for them is not kept between requests.
#[test]
fn read_sizes_follow_the_traffic() {
    let text = "x".repeat(4 * READ_SIZE_MAX);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    let (mut http1, _) = ask(Script::sending(&[&answer]), "GET", Frames::none());
    assert_eq!(whole_body(&mut http1).len(), text.len());
    assert_eq!(http1.read_size, READ_SIZE_MAX);
    assert!(http1.rest());
    assert!(http1.input.capacity() <= IDLE_BUFFER_MAX);
}

/// All that a response amounts to.
#[derive(Debug, PartialEq)]
struct Outcome {
    heads: Vec<(StatusCode, String)>,
    data: Vec<u8>,
    trailers: String,
    end: Result<(), End>,
    rests: bool,
}

#[derive(Debug, PartialEq)]
enum End {
    Closed,
    Incomplete,
    Malformed(Malformed),
}

/// What comes of a response that arrives in `pieces`, after which the server closes.
fn outcome<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let sends = pieces.filter(|piece| !piece.is_empty()).map(Bytes::copy_from_slice);
    let mut http1 = Http1::new(Script { sends: sends.chain([Bytes::new()]).collect(), ..Script::default() });
    http1.begin(&asked("GET", &[]), &[], Frames::none());
    let mut outcome =
        Outcome { heads: vec![], data: vec![], trailers: String::new(), end: Ok(()), rests: false };
    outcome.end = take_all(&mut http1, &mut outcome).map_err(|error| match error {
        Http1Error::Closed => End::Closed,
        Http1Error::Malformed(fault) => End::Malformed(fault),
        _ => End::Incomplete,
    });
    // What is left over may not have been read yet: then it is seen when the connection is next used.
    outcome.rests = http1.rest() && http1.socket.sends.len() <= 1;
    outcome
}

fn take_all(http1: &mut Conversation, outcome: &mut Outcome) -> Result<(), Http1Error> {
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        let Poll::Ready(head) = http1.poll_head(&mut cx) else { panic!("everything has come") };
        let head = head?;
        outcome.heads.push((head.status, format!("{:?}", head.headers)));
        if head.status == StatusCode::SWITCHING_PROTOCOLS || !head.status.is_informational() {
            break;
        }
    }
    loop {
        let Poll::Ready(frame) = http1.poll_body(&mut cx) else { panic!("everything has come") };
        let Some(frame) = frame.transpose()? else { return Ok(()) };
        match frame.into_data() {
            Ok(data) => outcome.data.extend(data),
            Err(trailers) => outcome.trailers = format!("{:?}", trailers.into_trailers().unwrap()),
        }
    }
}

const SAMPLES: [&str; 12] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
    "\r\nHTTP/1.1 200 OK\nContent-Length: 3, 3\n\r\nhello",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0A \r\n0123456789\r\n0\r\nX: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nrest",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA : 1\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\nuntil the end\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA: 1\r\n folded\r\n\r\nbody",
    "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
    "SSH-2.0-OpenSSH_9.2\r\n\r\n",
];

/// Promise: where the network cuts a response does not change what it says: at every byte, and after every byte.
#[test]
fn cuts_change_nothing() {
    for sample in SAMPLES.map(str::as_bytes) {
        let whole = outcome([sample].into_iter());
        assert_eq!(outcome(sample.chunks(1)), whole, "{:?}", String::from_utf8_lossy(sample));
        for at in 0..sample.len() {
            let (before, after) = sample.split_at(at);
            assert_eq!(
                outcome([before, after].into_iter()),
                whole,
                "{:?} at {at}",
                String::from_utf8_lossy(sample)
            );
        }
    }
}

/// A place, the byte that is put there, and whether it takes the place of another.
type Damage = Vec<(proptest::sample::Index, u8, bool)>;

fn damages() -> impl Strategy<Value = Damage> {
    let byte = prop_oneof![proptest::sample::select(&b"\r\n :;,0a\0"[..]), any::<u8>()];
    proptest::collection::vec((any::<proptest::sample::Index>(), byte, any::<bool>()), 0..4)
}

fn damaged(sample: &str, damage: Damage) -> Vec<u8> {
    let mut bytes = sample.as_bytes().to_vec();
    for (at, byte, replaces) in damage {
        let at = at.index(bytes.len());
        bytes.splice(at..at + usize::from(replaces), [byte]);
    }
    bytes
}

proptest! {
    /// Promise: the same for responses that are damaged in any place and cut into any pieces; and none of them panics.
    #[test]
    fn cuts_of_damaged_responses_change_nothing(
        sample in proptest::sample::select(&SAMPLES[..]),
        damage in damages(),
        piece in 1_usize..20,
    ) {
        let bytes = damaged(sample, damage);
        let whole = outcome([&bytes[..]].into_iter());
        prop_assert_eq!(&outcome(bytes.chunks(piece)), &whole);
        prop_assert_eq!(&outcome(bytes.chunks(1)), &whole);
    }
    /// Promise: what is taken for a head, another reader takes for the same one: httparse, which hyper reads with.
    #[test]
    fn heads_are_read_as_others_read_them(
        sample in proptest::sample::select(&SAMPLES[..]),
        damage in damages(),
    ) {
        let bytes = damaged(sample, damage);
        let taken = HeadReader::default().take(&mut BytesMut::from(&bytes[..]), false, &mut HeaderMap::new());
        if let Ok(Some(head)) = taken {
            let mut fields = [httparse::EMPTY_HEADER; 100];
            let mut other = httparse::Response::new(&mut fields);
            prop_assert!(other.parse(&bytes).unwrap().is_complete());
            prop_assert_eq!(other.code, Some(head.parts.status.as_u16()));
            for name in head.parts.headers.keys() {
                let ours = head.parts.headers.get_all(name).iter().map(HeaderValue::as_bytes);
                let theirs = other.headers.iter().filter(|field| name == field.name).map(|field| field.value);
                // Said once, where it was said several times.
                prop_assert!(ours.eq(theirs) || *name == http::header::CONTENT_LENGTH);
            }
        }
    }
}
