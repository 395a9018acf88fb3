//! Whether weir stays as it is: memory and files under attacks of every kind at once, minute after minute, and after
//! them. Then what an idle connection takes.
//!
//! `cargo bench --bench soak` takes 27 minutes. Another build and other numbers:
//! `WEIR=path MINUTES=20 HOSTILE=1000 STORM=500 RATE=200 FRESH=20 IDLE=50000 cargo bench --bench soak`. `HOSTILE` are
//! connections that are held (see the bench `hostile`), `STORM` is requests of ever new clients a second, and `RATE` and
//! `FRESH` those of ordinary ones. Where files are short (`ulimit -n`), there are fewer idle connections, and the line
//! says so. It fails where memory at the end is a tenth above what it was once warm (after a fifth of the time), or
//! where files stay open.

#[path = "hostile/app.rs"]
mod app;
#[path = "hostile/attackers.rs"]
mod attackers;
#[path = "hostile/ordinary.rs"]
mod ordinary;
#[path = "soak/storm.rs"]
mod storm;
#[path = "hostile/weir.rs"]
mod weir;

use std::env;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use attackers::Attack;
use ordinary::Load;
use socket2::{Domain, Socket, Type};
use storm::{Storm, Target};
use weir::Weir;

const MINUTE: Duration = Duration::from_secs(60);
/// After the attack every timeout has passed by then.
const CALM: Duration = Duration::from_secs(100);
/// Idle connections come from so many addresses.
const ADDRESSES: usize = 10;

/// Every detector finds and refuses; each client may make three requests a minute, and ordinary ones any number.
const CONFIG: &str = r#"
[connections]
max = 60000
per_client = 2000
[timeouts]
idle = "90s"
[state]
memory = "8MiB"
[[limits]]
name = "per-client"
match = { not = { client = "127.0.0.0/8" } }
key = ["client"]
rate = "3/min"
[[limits]]
name = "in-flight"
key = ["client"]
concurrency = 100000
[[limits]]
name = "per-day"
key = ["client"]
quota = "100M/1d"
"#;

fn main() -> io::Result<ExitCode> {
    let number = |name, default: u64| env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let files = weir::raise_file_limit();
    let weir = Weir::start(app::start()?, CONFIG)?;
    let load = Load { to: weir.plain, rate: number("RATE", 200), fresh: number("FRESH", 20) };
    let minutes = number("MINUTES", 20);

    println!(
        "{:>6} {:>8} {:>6} {:>6} {:>9} {:>9} {:>7} {:>7} {:>8} {:>9} {:>9}",
        "minute",
        "RSS MiB",
        "files",
        "open",
        "state MiB",
        "answered",
        "failed",
        "p99 ms",
        "CPU s",
        "refused",
        "closed"
    );
    load.play(Duration::from_secs(5))?;
    let before = Seen::of(&weir)?;
    before.print("before", "");
    let (attack, storm) = (
        Attack::begin(number("HOSTILE", 1000), weir.plain, weir.secure)?,
        Storm::begin(&target(&weir, number("STORM", 500))?)?,
    );
    let mut warm = before;
    for minute in 1..=minutes {
        let met = load.play(MINUTE)?;
        let seen = Seen::of(&weir)?;
        let answered = format!(
            "{:>9} {:>7} {:>7.2}",
            met.kept.answered() + met.fresh.answered(),
            met.kept.failed + met.fresh.failed,
            met.kept.at(0.99)
        );
        seen.print(&minute.to_string(), &answered);
        if minute == (minutes / 5).max(1) {
            warm = seen;
        }
    }
    let last = Seen::of(&weir)?;
    drop((attack, storm));
    load.play(CALM)?;
    let after = Seen::of(&weir)?;
    after.print("after", "");

    let idle = number("IDLE", 50_000).min(files.saturating_sub(500));
    let bytes = idle_connections(&weir, usize::try_from(idle).unwrap_or(0))?;
    println!("\n{idle} idle connections ({files} files): {bytes:.0} bytes each");

    let grown = last.resident.max(after.resident) / warm.resident;
    // Connections to the app are kept for a while.
    let left = after.files.saturating_sub(before.files);
    println!("memory at the end / once warm: {grown:.3}; files more than before the attack: {left}");
    Ok(if grown < 1.1 && left < 50 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn target(weir: &Weir, rate: u64) -> io::Result<Target> {
    Ok(Target { plain: weir.plain, secure: weir.secure, certificate: weir.certificate()?, rate })
}

/// What weir takes at one time.
#[derive(Clone, Copy, Debug)]
struct Seen {
    resident: f64,
    files: usize,
    open: f64,
    state: f64,
    cpu: f64,
    refused: f64,
    closed: f64,
}

impl Seen {
    fn of(weir: &Weir) -> io::Result<Self> {
        Ok(Seen {
            resident: weir.resident()?,
            files: weir.open_files()?,
            open: weir.metric("weir_connections_open")?,
            state: weir.metric("weir_state_bytes")?,
            cpu: weir.cpu_seconds()?,
            refused: weir.sum("weir_requests_total", "decision=\"refused\"")?,
            closed: weir.sum("weir_timeouts_total", "")?,
        })
    }

    fn print(&self, name: &str, met: &str) {
        const MIB: f64 = 1_048_576.0;
        println!(
            "{name:>6} {:>8.1} {:>6} {:>6} {:>9.1} {met:25} {:>8.1} {:>9} {:>9}",
            self.resident / MIB,
            self.files,
            self.open,
            self.state / MIB,
            self.cpu,
            self.refused,
            self.closed
        );
    }
}

/// What a connection takes that made one request and now waits, in bytes of weir's memory.
fn idle_connections(weir: &Weir, count: usize) -> io::Result<f64> {
    let before = weir.resident()?;
    let mut held = Vec::with_capacity(count);
    for nth in 0..count {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        let last = u8::try_from(nth % ADDRESSES).unwrap_or(0);
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 3, last), 0)).into())?;
        socket.connect(&weir.plain.into())?;
        let mut stream = TcpStream::from(socket);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")?;
        let read = stream.read(&mut [0; 1024])?;
        if read == 0 {
            return Err(io::Error::other(format!("connection {nth} was closed")));
        }
        held.push(stream);
    }
    #[expect(clippy::cast_precision_loss, reason = "some ten thousand")]
    let each = (weir.resident()? - before) / held.len() as f64;
    Ok(each)
}
