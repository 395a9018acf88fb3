//! `weir replay` as people run it: a log in, findings and a summary out.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

const CONFIG: &str = "[listen]\nproxy = \"127.0.0.1:0\"\n[upstreams.app]\nservers = [\"127.0.0.1:9\"]\n[[limits]]\n\
                      name = \"per-client\"\nkey = [\"client\"]\nrate = \"10/10s\"\n";

/// Somebody who tries well-known holes, and somebody who reads two pages; and rubbish.
fn log() -> String {
    let holes = ["/.env", "/.git/config", "/phpmyadmin/", "/wp-config.php.bak"].into_iter().enumerate();
    let attacks = holes.map(|(second, path)| line("192.0.2.66", second, path, 404));
    let reader = ["/", "/docs"].into_iter().enumerate();
    let pages = reader.map(|(second, path)| line("192.0.2.1", 10 + second, path, 200));
    attacks.chain(["not a request\n".to_owned()]).chain(pages).collect()
}

fn line(client: &str, second: usize, path: &str, status: u16) -> String {
    format!(
        "{client} - - [24/Nov/2026:10:00:{second:02} +0000] \"GET {path} HTTP/1.1\" {status} 10 \"-\" \"x\"\n"
    )
}

fn replay(arguments: &[&str], input: &[u8]) -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("weir.toml");
    std::fs::write(&config, CONFIG).expect("a file");
    let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
        .arg("replay")
        .arg("--config")
        .arg(&config)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("weir starts");
    child.stdin.take().expect("a pipe").write_all(input).expect("weir reads");
    child.wait_with_output().expect("weir ends")
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Promise: who probes is found, by which clause and when first; who reads is not; rubbish is counted, never fatal.
#[test]
fn a_log_is_judged() {
    let output = replay(&["--json", "-"], log().as_bytes());
    assert_eq!(output.status.code(), Some(0));
    let lines = lines(&output);
    let (summary, findings) = lines.split_last().expect("a summary");
    assert_eq!(summary["summary"]["requests"], 6);
    assert_eq!(summary["summary"]["malformed"], 1);
    assert_eq!(summary["summary"]["clients_found"], 1);
    let first = &findings[0];
    assert_eq!(
        (&first["client"], &first["detector"], &first["clause"]),
        (&"192.0.2.66".into(), &"probe".into(), &"probe".into())
    );
    // The second of two known attacks, at 10:00:01 UTC.
    assert_eq!((&first["n"], &first["time"]), (&2.into(), &1_795_514_401.into()));
    assert!(findings.iter().all(|line| line["client"] == "192.0.2.66"));
}

/// Promise: a compressed log gives the same findings, and one that is cut off gives those before the cut.
#[test]
fn compressed_and_cut_off() {
    let plain = replay(&["--json", "-"], log().as_bytes());
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(log().as_bytes()).expect("memory");
    let gzip = gzip.finish().expect("memory");
    assert_eq!(replay(&["--json", "-"], &gzip).stdout, plain.stdout);
    let cut = replay(&["--json", "-"], &gzip[..gzip.len() - 9]);
    assert_eq!(cut.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&cut.stderr).contains("ends early"));
}

/// Promise: the limits of the configuration are at work, with the log's own time: of twelve requests in a second
/// at ten in ten, two are refused.
#[test]
fn limits_are_at_work() {
    let output = replay(&["--json", "-"], line("192.0.2.7", 0, "/", 200).repeat(12).as_bytes());
    let lines = lines(&output);
    assert_eq!(lines.last().expect("a summary")["summary"]["refused_requests"], 2);
}

/// Promise: a log that is not there is named, with exit code 1; a wrong configuration is exit code 2.
#[test]
fn what_is_wrong_is_said() {
    let output = replay(&["/nowhere/access.log"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/access.log"));
    let wrong = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["replay", "--config", "/nowhere/weir.toml", "-"])
        .stdin(Stdio::null())
        .output()
        .expect("weir runs");
    assert_eq!(wrong.status.code(), Some(2));
}

/// Promise: nothing that is well-formed is lost beside what is not: garbage, lines of 100 KB, a clock that jumps ten
/// years ahead and back, and lines out of order are read to the end.
#[test]
fn hostile_logs_are_read_to_the_end() {
    let mut log: Vec<u8> = vec![0, 0xff, b'\n', b'"', b'\n'];
    log.extend(line("192.0.2.1", 5, &format!("/{}", "a".repeat(100_000)), 200).bytes());
    log.extend(std::iter::repeat_n(b'[', 100_000));
    log.push(b'\n');
    log.extend(line("192.0.2.1", 6, "/", 200).replace("2026", "2036").bytes());
    log.extend(line("192.0.2.1", 3, "/", 200).bytes());
    log.extend(line("192.0.2.1", 4, "/", 200).replace("2026", "1971").bytes());
    log.extend(br#"{"time":"x"}"#);
    let output = replay(&["--json", "-"], &log);
    assert_eq!(output.status.code(), Some(0));
    let summary = &lines(&output).pop().expect("a summary")["summary"];
    assert_eq!((&summary["requests"], &summary["malformed"]), (&4.into(), &4.into()));
}

/// Promise: names in a JSON log can be said, what is limited is told once for each client with its clause, and a name
/// that there is not is an error of usage.
#[test]
fn fields_are_named() {
    let line = r#"{"at":1795514400,"ip":"192.0.2.7","url":"/","code":200}"#.to_owned() + "\n";
    let fields = ["--json", "--fields", "time=at,target=url,status=code", "-"];
    let told = lines(&replay(&fields, line.repeat(15).as_bytes()));
    let limits: Vec<&Value> = told.iter().filter(|line| line["limit"] == "per-client").collect();
    assert_eq!(limits.len(), 1);
    let limit = (&limits[0]["client"], &limits[0]["n"], &limits[0]["verdict"], &limits[0]["clause"]);
    assert_eq!(limit, (&"192.0.2.7".into(), &11.into(), &"ok".into(), &"load".into()));
    let wrong = replay(&["--fields", "stauts=code", "-"], b"");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("stauts"));
}
