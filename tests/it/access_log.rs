//! The access log, as log analysers read it.

use std::fs;

use rustix::process::Signal;

use crate::harness::{Config, RawOrigin, Weir, echo, eventually};

const REQUEST: &str =
    "GET /a?b=c HTTP/1.1\r\nHost: a\r\nReferer: http://r.test/\r\nUser-Agent: probe \"1\"\r\n\r\n";

/// The lines of a log file once it has `count` of them.
#[track_caller]
fn lines(weir: &Weir, file: &str, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines in {file}"), || {
        let text = fs::read_to_string(weir.dir().join(file)).ok()?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

/// The Combined Log Format: address, time, request line, status, bytes of the body, referer, user agent;
/// what could forge a field or a line is escaped.
#[test]
fn combined_lines_have_every_field() {
    let origin = RawOrigin::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let access = "access = { file = \"$DIR/access.log\", format = \"combined\" }";
    let weir = Weir::start(&Config::to(&origin).log(access));
    assert_eq!(weir.connect().exchange(REQUEST).status(), 200);
    let line = lines(&weir, "access.log", 1).remove(0);
    let (start, rest) = line.split_once(" [").unwrap();
    let (time, rest) = rest.split_once("] ").unwrap();
    assert_eq!(start, "127.0.0.1 - -");
    assert_eq!(time.len(), "24/Nov/2026:05:50:31 +0000".len(), "{time}");
    let expected = r#""GET /a?b=c HTTP/1.1" 200 5 "http://r.test/" "probe \x221\x22""#;
    assert_eq!(rest, expected);
}

/// JSON: one object a line, for refused requests as well, which name the limit; the request id leads from
/// the answer to its line.
#[test]
fn json_lines_say_what_was_decided() {
    let origin = RawOrigin::scripted(echo);
    let access = "access = { file = \"$DIR/access.log\", format = \"json\" }";
    let weir = Weir::start(&Config::to(&origin).log(access).limit("one", "1/h"));
    let mut client = weir.connect();
    let answers = [client.exchange(REQUEST), client.exchange(REQUEST)];
    assert_eq!([answers[0].status(), answers[1].status()], [200, 429]);
    let records: Vec<serde_json::Value> =
        lines(&weir, "access.log", 2).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (record, answer) in records.iter().zip(&answers) {
        assert_eq!(record["status"], answer.status());
        let id = answer.field("x-request-id").unwrap();
        assert!(record.to_string().contains(&id), "{record} has {id}");
    }
    assert!(!records[0].to_string().contains("\"one\"") && records[1].to_string().contains("\"one\""));
}

/// SIGUSR1 opens the file anew, so that a rotated log is let go and no line is lost.
#[test]
fn sigusr1_reopens_the_file() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin).log("access = { file = \"$DIR/access.log\" }"));
    assert_eq!(weir.get("/before").status(), 200);
    lines(&weir, "access.log", 1);
    fs::rename(weir.dir().join("access.log"), weir.dir().join("access.log.1")).unwrap();
    weir.signal(Signal::USR1);
    eventually("the file is there again", || weir.dir().join("access.log").exists().then_some(()));
    assert_eq!(weir.get("/after").status(), 200);
    assert!(lines(&weir, "access.log", 1)[0].contains("/after"));
    assert_eq!(lines(&weir, "access.log.1", 1).len(), 1);
}

/// To standard output, for those whose logs are collected there; weir's own log stays on standard error.
#[test]
fn standard_output_has_the_access_log_alone() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin).log("access = { stdout = true, format = \"json\" }"));
    assert_eq!(weir.get("/seen").status(), 200);
    let lines = eventually("a line", || (!weir.stdout().is_empty()).then(|| weir.stdout()));
    assert!(lines.len() == 1 && lines[0].contains("/seen"), "{lines:?}");
    assert!(!weir.logs().iter().any(|line| line.contains("/seen")));
}

/// Lines that were written are counted; nothing was dropped.
#[test]
fn written_lines_are_counted() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin).log("access = { file = \"$DIR/access.log\" }"));
    for _ in 0..10 {
        assert_eq!(weir.get("/").status(), 200);
    }
    weir.await_metric("weir_access_log_written_total", &[], 10);
    assert_eq!(weir.metrics().count("weir_access_log_dropped_total", &[]), 0);
}
