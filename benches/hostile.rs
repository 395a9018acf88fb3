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
#[path = "hostile/weir.rs"]
mod weir;

use std::env;
use std::io;
use std::time::Duration;

use attackers::Attack;
use ordinary::{Load, Met};
use weir::Weir;

/// Played before a phase is measured: what a change costs is not what the new state costs.
const SETTLE: Duration = Duration::from_secs(5);

/// One that nobody reaches.
const LIMIT: &str = "[[limits]]\nname = \"per-client\"\nkey = [\"client\"]\nrate = \"1M/10s\"\n";

fn main() -> io::Result<()> {
    let number = |name, default: u64| env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let files = weir::raise_file_limit();
    // Each is a socket here, half of them are one of the app too, and of weir a client's and a server's.
    let most = files.saturating_sub(1000) * 2 / 3;
    let hostile = number("HOSTILE", 5000).min(most);
    let phase = Duration::from_secs(number("SECONDS", 20));
    let weir = Weir::start(app::start()?, LIMIT)?;
    let load = Load { to: weir.plain, rate: number("RATE", 1000), fresh: number("FRESH", 50) };

    println!("{hostile} hostile connections ({files} files), {phase:?} each\n");
    println!(
        "{:8} {:10} {:>8} {:>7} {:>9} {:>9} {:>9}   {:>6} {:>8} {:>6}",
        "", "requests", "answered", "failed", "p50 ms", "p99 ms", "p99.9 ms", "open", "RSS MiB", "CPU s"
    );
    load.play(SETTLE)?;
    let calm = say(&weir, "calm", || load.play(phase))?;
    let attack = Attack::begin(hostile, weir.plain, weir.secure)?;
    weir.await_open(hostile * 9 / 10)?;
    load.play(SETTLE)?;
    let attacked = say(&weir, "attacked", || load.play(phase))?;
    drop(attack);
    say(&weir, "after", || load.play(phase))?;

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

/// Plays one phase, and prints what ordinary clients met in it and what weir took.
fn say(weir: &Weir, name: &str, play: impl FnOnce() -> io::Result<Met>) -> io::Result<Met> {
    let before = weir.cpu_seconds()?;
    let met = play()?;
    let cpu = weir.cpu_seconds()? - before;
    let open = weir.metric("weir_connections_open")?;
    for (kind, latencies) in [("kept", &met.kept), ("fresh", &met.fresh)] {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| latencies.at(share));
        let (answered, failed) = (latencies.answered(), latencies.failed);
        print!("{name:8} {kind:10} {answered:>8} {failed:>7} {p50:>9.2} {p99:>9.2} {p999:>9.2}");
        if kind == "kept" {
            print!("   {open:>6} {:>8.1} {cpu:>6.2}", weir.resident()? / 1_048_576.0);
        }
        println!();
    }
    Ok(met)
}
