//! A flood of new clients and a crowd of offenders against the real proxy: what it takes of memory, and who is refused.
//!
//! `cargo bench --bench flood` takes about a quarter of an hour on two cores. Another build and other numbers:
//! `WEIR=path CLIENTS=10000000 CROWD=2000000 MEMORY=64MiB CONNECTIONS=16 cargo bench --bench flood`. Every address is
//! the same in every run. tests/it/flood.rs plays the same, smaller.

#[path = "flood/story.rs"]
mod story;
#[path = "flood/traffic.rs"]
mod traffic;

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use story::Stage;
use traffic::Answers;

const MIB: f64 = 1_048_576.0;

fn main() -> io::Result<()> {
    let number = |name, default: u64| env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (clients, crowd) = (number("CLIENTS", 10_000_000), number("CROWD", 2_000_000));
    let connections = usize::try_from(number("CONNECTIONS", 16)).expect("few");
    let memory = env::var("MEMORY").unwrap_or_else(|_| "64MiB".to_owned());
    let mut weir = Weir::start(&story::config(traffic::start_app()?, &memory))?;
    let stage = Stage { proxy: weir.proxy, connections };

    println!("{clients} clients, a crowd of {crowd}, {memory} for state, {connections} connections");
    println!(
        "{:44} {:>11} {:>11} {:>6} {:>9} {:>9} {:>9} {:>8}",
        "", "admitted", "refused", "other", "RSS MiB", "state MiB", "networks", "let off"
    );
    weir.say("accounts, within their limit / over it", &|| stage.accounts().map(Vec::from))?;
    weir.say("100 offenders, within / over", &|| stage.offenders().map(Vec::from))?;
    weir.say("the flood / offenders meanwhile", &|| stage.flood(clients).map(Vec::from))?;
    weir.say("all offenders after it", &|| stage.offenders_again().map(|one| vec![one]))?;
    weir.say("all accounts after it", &|| stage.accounts_again(0).map(|one| vec![one]))?;
    weir.say("the crowd: first / within / over", &|| stage.crowd(crowd).map(Vec::from))?;
    weir.say("all of the crowd once more", &|| stage.crowd_again(crowd).map(|one| vec![one]))?;
    weir.say("one new client of each of their networks", &|| stage.neighbours(crowd).map(|one| vec![one]))?;
    weir.say("all offenders after it", &|| stage.offenders_again().map(|one| vec![one]))?;
    weir.say("all accounts after it", &|| stage.accounts_again(1).map(|one| vec![one]))?;
    Ok(())
}

/// The running proxy; it ends with this process.
struct Weir {
    child: Child,
    proxy: SocketAddr,
    admin: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Weir {
    fn start(config: &str) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("weir.toml");
        fs::write(&file, config)?;
        fs::write(dir.path().join("accounts.toml"), story::accounts())?;
        let program = env::var_os("WEIR").unwrap_or_else(|| env!("CARGO_BIN_EXE_weir").into());
        let mut child = Command::new(program).arg("run").arg(&file).stderr(Stdio::piped()).spawn()?;
        let mut log = BufReader::new(child.stderr.take().expect("it was asked for")).lines();
        let listening = log.by_ref().map_while(Result::ok).find(|line| line.contains("listening"));
        let listening: serde_json::Value = serde_json::from_str(&listening.expect("weir listens"))?;
        // Nobody waits for a full pipe.
        thread::spawn(move || log.for_each(drop));
        let address = |name: &str| {
            let fields = listening.get("fields").unwrap_or(&listening);
            fields[name].as_str().and_then(|text| text.parse().ok()).expect("an address")
        };
        Ok(Weir { child, proxy: address("proxy"), admin: address("admin"), _dir: dir })
    }

    /// Plays one part of the story, and prints what was answered and what it takes of memory by then.
    #[expect(clippy::disallowed_methods, reason = "how long a part took is for whoever reads the table")]
    fn say(&mut self, part: &str, play: &dyn Fn() -> io::Result<Vec<Answers>>) -> io::Result<()> {
        let start = Instant::now();
        let answers = play()?;
        let took = start.elapsed().as_secs_f64();
        let metrics = self.metrics()?;
        let value = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.parse::<f64>().ok()).unwrap_or(f64::NAN)
        };
        for (nth, Answers { admitted, refused, other }) in answers.into_iter().enumerate() {
            let part = if nth == 0 { part } else { "" };
            print!("{part:44} {admitted:>11} {refused:>11} {other:>6}");
            if nth > 0 {
                println!();
                continue;
            }
            println!(
                " {:>9.1} {:>9.1} {:>9} {:>8}   {took:.0} s",
                self.resident()? / MIB,
                value("weir_state_bytes") / MIB,
                value("weir_state_charged_to_networks_total"),
                value("weir_state_let_off_total"),
            );
        }
        Ok(())
    }

    fn metrics(&self) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Resident memory now, in bytes; what mimalloc keeps of it is in it.
    fn resident(&self) -> io::Result<f64> {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let pages: Option<f64> = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        Ok(pages.unwrap_or(f64::NAN) * 4096.0)
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
