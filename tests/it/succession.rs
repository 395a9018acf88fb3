//! A new process takes this one's place (SIGUSR2): the sockets stay open, and what was counted goes on.

use std::os::unix::net::UnixStream;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::harness::{Config, Launch, Load, RawClient, RawOrigin, Vacant, Weir, echo, eventually};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A process that weir started. Dropping it ends the process.
struct Successor(Pid);

impl Successor {
    /// The one that weir says it has started.
    fn of(weir: &Weir) -> Self {
        let line: serde_json::Value =
            serde_json::from_str(&weir.await_log("a successor was started")).unwrap();
        let pid = line.get("fields").unwrap_or(&line)["pid"].as_i64().unwrap();
        Successor(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap())
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = kill_process(self.0, Signal::KILL);
    }
}

/// Under load no connection is refused and no request fails, whatever the number of workers was and becomes; the old
/// process ends by itself, and the new one can be followed in its turn.
#[test]
fn a_successor_loses_nothing() {
    let origin = RawOrigin::scripted(echo);
    let vacant = Vacant::reserve();
    let address = vacant.address();
    drop(vacant);
    let config = Config::to(&origin).proxy(address).section("[shutdown]\ndrain_delay = \"0s\"");
    let mut weir = Weir::start(&config);
    let load = Load::start(address, 8);
    load.await_answers(100);
    weir.write_config(&config.workers(3).text());
    weir.signal(Signal::USR2);
    let successor = Successor::of(&weir);
    assert_eq!(weir.wait_exit().code(), Some(0));
    load.await_answers(200);
    let tally = load.stop();
    assert!(tally.failed.is_empty(), "{:?}", tally.failed);
    assert_eq!(tally.turned_away, 0);
    assert!(test_kill_process(successor.0).is_ok());
}

/// What a client has used up stays used up, where state outlives the process; the admin listener and a Unix socket are
/// handed over too, and its file goes with the last process.
#[test]
fn what_is_known_and_open_is_handed_over() {
    let origin = RawOrigin::scripted(echo);
    let [proxy, admin] = [Vacant::reserve(), Vacant::reserve()];
    let (address, admin_address) = (proxy.address(), admin.address());
    drop((proxy, admin));
    let config = Config::to(&origin)
        .proxies(&format!("[\"{address}\", \"unix:$DIR/weir.sock\"]"))
        .section("[shutdown]\ndrain_delay = \"0s\"\n[state]\npath = \"state.bin\"")
        .limit("two", "2/h");
    let text = config.text().replace("admin = \"127.0.0.1:0\"", &format!("admin = \"{admin_address}\""));
    let mut weir = Launch::of_text(text).start();
    let socket = weir.dir().join("weir.sock");
    assert_eq!(weir.get("/").status(), 200);
    weir.signal(Signal::USR2);
    let successor = Successor::of(&weir);
    assert_eq!(weir.wait_exit().code(), Some(0));
    let statuses = [0; 3].map(|_| RawClient::get(address, "/").status());
    assert_eq!(statuses, [200, 429, 429]);
    assert!(UnixStream::connect(&socket).is_ok());
    assert_eq!(RawClient::get(admin_address, "/readyz").status(), 200);
    kill_process(successor.0, Signal::TERM).unwrap();
    eventually("the file goes with its listener", || (!socket.exists()).then_some(()));
}

/// A successor that cannot run is none: the process that was to go goes on, and says why.
#[test]
fn without_a_successor_nothing_changes() {
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin);
    let weir = Weir::start(&config);
    let mut client = weir.connect();
    weir.write_config("nonsense");
    weir.signal(Signal::USR2);
    weir.await_log("the successor ended");
    assert_eq!(client.exchange(GET).status(), 200);
    assert_eq!(weir.get("/").status(), 200);
}
