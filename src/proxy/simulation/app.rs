//! An app of many kinds: most of the time it answers what it was asked, and otherwise it does not.

use std::io;
use std::time::Duration;

use fastrand::Rng;
use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep as pass;

use super::World;
use super::message::{Head, Incoming, chunked, text};
use super::network::{End, Writer};

/// What it does with one request.
#[derive(Clone, Copy, Debug)]
enum Conduct {
    Answers,
    /// Before it has read the request's body.
    AnswersEarly,
    /// After an interim response.
    Hints,
    AnswersLate,
    /// Half of it, and then the end.
    BreaksOff,
    Closes,
    Babbles,
    /// What nobody asked for comes behind the answer.
    AnswersTwice,
}

impl Conduct {
    fn pick(rng: &mut Rng) -> Self {
        match rng.u8(..100) {
            0..66 => Conduct::Answers,
            66..74 => Conduct::AnswersEarly,
            74..79 => Conduct::Hints,
            79..84 => Conduct::AnswersLate,
            84..88 => Conduct::BreaksOff,
            88..92 => Conduct::Closes,
            92..95 => Conduct::Babbles,
            _ => Conduct::AnswersTwice,
        }
    }
}

/// Serves one connection from weir until either has enough.
pub(super) async fn serve(end: End, mut rng: Rng, world: World) {
    let End { reader, mut writer } = end;
    let mut incoming = Incoming::new(reader);
    while let Some(head) = incoming.head().await {
        let id = head.first[1].trim_start_matches('/').to_owned();
        world.was_asked(&id, &head);
        let conduct = if world.is_calm() { Conduct::Answers } else { Conduct::pick(&mut rng) };
        let (answer, closes) = answer(&id, &head, &mut rng);
        // Of an answer that ends with its connection, nobody can tell that it is not whole, or that it is more.
        let is_vague = closes && matches!(conduct, Conduct::AnswersTwice | Conduct::BreaksOff);
        let conduct = if is_vague { Conduct::Answers } else { conduct };
        world.note(&id, &format!("the app {conduct:?}, {} bytes, closes: {closes}", answer.len()));
        let early = matches!(conduct, Conduct::AnswersEarly);
        if early && writer.write_all(&answer).await.is_err() {
            return;
        }
        let Some(upload) = incoming.body(&head).await else { return };
        assert_eq!(upload, text(&id, head.number("x-upload").unwrap_or(0)), "what was sent is what arrives");
        let answered = if early { Ok(false) } else { act(conduct, &answer, &mut writer, &mut rng).await };
        if closes || !answered.is_ok_and(|ended| !ended) {
            return;
        }
    }
}

/// Whether the connection is over.
async fn act(conduct: Conduct, answer: &[u8], writer: &mut Writer, rng: &mut Rng) -> io::Result<bool> {
    match conduct {
        Conduct::Answers | Conduct::AnswersEarly => {}
        Conduct::Hints => writer.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n").await?,
        Conduct::AnswersLate => pass(Duration::from_secs(rng.u64(..100))).await,
        Conduct::BreaksOff => {
            writer.write_all(&answer[..rng.usize(..answer.len())]).await?;
            return Ok(true);
        }
        Conduct::Closes => return Ok(true),
        Conduct::Babbles => {
            writer.write_all(b"no such thing as HTTP\r\n\r\n").await?;
            return Ok(true);
        }
        Conduct::AnswersTwice => {
            let other = "HTTP/1.1 200 OK\r\nx-answer: nobody's 4\r\ncontent-length: 4\r\n\r\nnobo";
            let both = [answer, other.as_bytes()].concat();
            // What arrives after the next request was sent is its answer, as far as anybody can tell.
            if writer.takes_at_once(both.len()) {
                writer.write_all(&both).await?;
                return Ok(false);
            }
        }
    }
    writer.write_all(answer).await?;
    Ok(false)
}

/// An answer that says whose it is, and whether the connection ends with it.
fn answer(id: &str, asked: &Head, rng: &mut Rng) -> (Vec<u8>, bool) {
    let length = if rng.bool() { rng.usize(..200) } else { rng.usize(..60_000) };
    let body = text(id, length);
    let head = |status: &str, fields: &str| {
        format!("HTTP/1.1 {status}\r\nx-answer: {id} {length}\r\n{fields}\r\n").into_bytes()
    };
    let is_bodiless = asked.first[0] == "HEAD";
    let (mut bytes, body, closes) = match rng.u8(..10) {
        0..5 => (head("200 OK", &format!("content-length: {length}\r\n")), body, false),
        5..8 => (head("200 OK", "transfer-encoding: chunked\r\n"), chunked(&body, rng.usize(1..5000)), false),
        8 => (head("204 No Content", ""), Vec::new(), false),
        _ => (head("200 OK", "connection: close\r\n"), body, true),
    };
    if !is_bodiless {
        bytes.extend(body);
    }
    (bytes, closes)
}
