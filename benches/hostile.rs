//! How much ordinary clients notice of thousands of hostile connections: half-written heads, half-open TLS handshakes,
//! uploads that trickle, and downloads that nobody takes.
//!
//! `cargo bench --bench hostile` takes three times `SECONDS`. Another build and other numbers:
//! `WEIR=path HOSTILE=5000 RATE=1000 FRESH=50 SECONDS=20 cargo bench --bench hostile`. `RATE` is requests a second on
//! kept connections, `FRESH` those on a connection each; both are asked for at their time, whether or not the one
//! before is answered, and latency counts from that time. Where files are short (`ulimit -n`), there are fewer hostile
//! connections, and the first line says so. It uses no machine but this one: what the clients themselves take of its
//! cores is in the numbers of both rows.

#[path = "hostile/app.rs"]
mod app;
#[path = "hostile/attackers.rs"]
mod attackers;
#[path = "hostile/ordinary.rs"]
mod ordinary;

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use attackers::Attack;
use ordinary::{Latencies, Load};

/// Played before a phase is measured: what a change costs is not what the new state costs.
const SETTLE: Duration = Duration::from_secs(5);

fn main() -> io::Result<()> {
    let number = |name, default: u64| env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let files = raise_file_limit();
    // Each is a socket here, half of them are one of the app too, and of weir a client's and a server's.
    let most = files.saturating_sub(1000) * 2 / 3;
    let hostile = number("HOSTILE", 5000).min(most);
    let phase = Duration::from_secs(number("SECONDS", 20));
    let weir = Weir::start(app::start()?)?;
    let load = Load { to: weir.plain, rate: number("RATE", 1000), fresh: number("FRESH", 50) };

    println!("{hostile} hostile connections ({files} files), {phase:?} each\n");
    println!(
        "{:8} {:10} {:>8} {:>7} {:>9} {:>9} {:>9}   {:>6} {:>8} {:>6}",
        "", "requests", "answered", "failed", "p50 ms", "p99 ms", "p99.9 ms", "open", "RSS MiB", "CPU s"
    );
    load.play(SETTLE)?;
    let calm = weir.say("calm", || load.play(phase))?;
    let attack = Attack::begin(hostile, weir.plain, weir.secure)?;
    weir.await_open(hostile * 9 / 10)?;
    load.play(SETTLE)?;
    let attacked = weir.say("attacked", || load.play(phase))?;
    drop(attack);
    weir.say("after", || load.play(phase))?;

    println!();
    for (name, calm, attacked) in
        [("kept", &calm.kept, &attacked.kept), ("fresh", &calm.fresh, &attacked.fresh)]
    {
        let times = |share| attacked.at(share) / calm.at(share);
        println!(
            "{name:8} attacked / calm: p50 {:.2}, p99 {:.2}, p99.9 {:.2}",
            times(0.5),
            times(0.99),
            times(0.999)
        );
    }
    println!("\nended by weir:");
    for line in weir.metrics()?.lines() {
        let tells = ["weir_timeouts_total", "weir_connections_refused_total"];
        if tells.iter().any(|name| line.starts_with(name)) && !line.ends_with(" 0") {
            println!("  {line}");
        }
    }
    Ok(())
}

/// As many files as this process may have, which weir inherits.
fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // The limit stays as it was where that fails.
    _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// What ordinary clients met in one phase.
#[derive(Debug)]
struct Met {
    kept: Latencies,
    fresh: Latencies,
}

/// The running proxy; it ends with this process.
struct Weir {
    child: Child,
    plain: SocketAddr,
    secure: SocketAddr,
    admin: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Weir {
    fn start(app: SocketAddr) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("weir.toml");
        fs::write(
            &file,
            format!(
                "[listen]\nproxy = \"127.0.0.1:0\"\nproxy_tls = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nworkers = 2\n\
                 [tls]\ncertificates = [{{ cert = \"cert.pem\", key = \"key.pem\" }}]\n\
                 [upstreams.app]\nservers = [\"{app}\"]\nmax_connections = 60000\n\
                 [log]\nformat = \"json\"\nlevel = \"warn,weir::cli=info\"\n\
                 [[limits]]\nname = \"per-client\"\nkey = [\"client\"]\nrate = \"1M/10s\"\n"
            ),
        )?;
        let key = KeyPair::generate().expect("a key");
        let names = vec!["app.test".to_owned()];
        let certificate = CertificateParams::new(names).and_then(|it| it.self_signed(&key)).expect("a name");
        fs::write(dir.path().join("cert.pem"), certificate.pem())?;
        fs::write(dir.path().join("key.pem"), key.serialize_pem())?;
        let program = env::var_os("WEIR").unwrap_or_else(|| env!("CARGO_BIN_EXE_weir").into());
        let mut child = Command::new(program).arg("run").arg(&file).stderr(Stdio::piped()).spawn()?;
        let mut log = BufReader::new(child.stderr.take().expect("it was asked for")).lines();
        let listening = log.by_ref().map_while(Result::ok).find(|line| line.contains("listening"));
        let listening: serde_json::Value = serde_json::from_str(&listening.expect("weir listens"))?;
        // Nobody waits for a full pipe.
        thread::spawn(move || log.for_each(drop));
        let fields = listening.get("fields").unwrap_or(&listening);
        let addresses = |name: &str| -> Vec<SocketAddr> {
            let text = fields[name].as_str().unwrap_or_default();
            text.split(',').filter_map(|address| address.parse().ok()).collect()
        };
        let (&[plain, secure], &[admin]) = (&addresses("proxy")[..], &addresses("admin")[..]) else {
            return Err(io::Error::other("weir listens elsewhere"));
        };
        Ok(Weir { child, plain, secure, admin, _dir: dir })
    }

    /// Plays one phase, and prints what ordinary clients met in it and what weir took.
    fn say(&self, name: &str, play: impl FnOnce() -> io::Result<Met>) -> io::Result<Met> {
        let before = self.cpu_seconds()?;
        let met = play()?;
        let cpu = self.cpu_seconds()? - before;
        let open = self.metric("weir_connections_open")?;
        for (kind, latencies) in [("kept", &met.kept), ("fresh", &met.fresh)] {
            let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| latencies.at(share));
            let (answered, failed) = (latencies.answered(), latencies.failed);
            print!("{name:8} {kind:10} {answered:>8} {failed:>7} {p50:>9.2} {p99:>9.2} {p999:>9.2}");
            if kind == "kept" {
                print!("   {open:>6} {:>8.1} {cpu:>6.2}", self.resident()? / 1_048_576.0);
            }
            println!();
        }
        Ok(met)
    }

    /// Waits until weir has this many connections, for a minute at most.
    fn await_open(&self, count: u64) -> io::Result<()> {
        for _ in 0..600 {
            #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
            if self.metric("weir_connections_open")? >= count as f64 {
                return Ok(());
            }
            #[expect(clippy::disallowed_methods, reason = "another process announces nothing")]
            thread::sleep(Duration::from_millis(100));
        }
        Err(io::Error::other("the hostile connections were not let in"))
    }

    fn metric(&self, name: &str) -> io::Result<f64> {
        let metrics = self.metrics()?;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN))
    }

    fn metrics(&self) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Resident memory now, in bytes.
    fn resident(&self) -> io::Result<f64> {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let pages: Option<f64> = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        Ok(pages.unwrap_or(f64::NAN) * 4096.0)
    }

    /// What the process has used of all cores so far (proc(5): fields 14 and 15, in hundredths).
    fn cpu_seconds(&self) -> io::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat.rsplit(") ").next().unwrap_or_default();
        let ticks = after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
        Ok(ticks.sum::<f64>() / 100.0)
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
