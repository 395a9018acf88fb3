//! The real binary as a child process.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{Config, Message, Metrics, RawClient, eventually};

/// How a weir is started, where a test needs more than a config.
#[derive(Debug)]
pub(crate) struct Launch {
    config: String,
    /// Names and contents.
    beside: Vec<(&'static str, String)>,
    inherited: Option<OwnedFd>,
    files_max: Option<u32>,
    roots: Option<&'static str>,
}

impl Launch {
    pub(crate) fn new(config: &Config) -> Self {
        Self::of_text(config.text())
    }

    /// With a config that is written out.
    pub(crate) const fn of_text(config: String) -> Self {
        Launch { config, beside: Vec::new(), inherited: None, files_max: None, roots: None }
    }

    /// Another file in the config's directory, which the config names.
    pub(crate) fn beside(mut self, name: &'static str, text: &str) -> Self {
        self.beside.push((name, text.to_owned()));
        self
    }

    /// Hands over a listening socket the way systemd does (`sd_listen_fds(3)`): as descriptor 3, announced
    /// by `LISTEN_FDS` and `LISTEN_PID`.
    pub(crate) fn inherit(mut self, listener: &TcpListener) -> Self {
        self.inherited = Some(listener.try_clone().unwrap().into());
        self
    }

    /// Lowers (or raises, within the hard limit) how many files the process may have open.
    pub(crate) fn files_max(mut self, count: u32) -> Self {
        self.files_max = Some(count);
        self
    }

    /// The file beside the config that holds the authorities of the system.
    pub(crate) fn roots(mut self, name: &'static str) -> Self {
        self.roots = Some(name);
        self
    }

    /// Starts weir and waits until it says that it listens.
    #[track_caller]
    pub(crate) fn start(self) -> Weir {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("weir.toml");
        fs::write(&file, self.config.replace("$DIR", &dir.path().display().to_string())).unwrap();
        for (name, text) in &self.beside {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(self.script()).arg(env!("CARGO_BIN_EXE_weir")).arg(&file);
        command.envs(self.roots.map(|name| ("SSL_CERT_FILE", dir.path().join(name))));
        command.stdin(self.inherited.map_or_else(Stdio::null, Stdio::from));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("weir starts");
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        let mut weir = Weir { child, dir, stdout, stderr, proxy: Vec::new(), admin: None, exited: None };
        let (proxy, admin) = weir.wait_until_listening();
        (weir.proxy, weir.admin) = (proxy, admin);
        weir
    }

    /// `exec` keeps the process id, which signals and `LISTEN_PID` are addressed to; `unsafe` code, which
    /// setting this up from Rust would take, is forbidden here.
    fn script(&self) -> String {
        let files = self.files_max.map_or(String::new(), |count| format!("ulimit -n {count} || exit 97; "));
        let run = match self.inherited {
            Some(_) => "export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" run \"$1\" 3<&0 0</dev/null",
            None => "exec \"$0\" run \"$1\"",
        };
        files + run
    }
}

/// A running weir. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Weir {
    child: Child,
    dir: TempDir,
    stdout: Lines,
    stderr: Lines,
    proxy: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    exited: Option<ExitStatus>,
}

impl Weir {
    /// Starts weir with a config; `$DIR` in it stands for [`dir`](Self::dir).
    #[track_caller]
    pub(crate) fn start(config: &Config) -> Self {
        Launch::new(config).start()
    }

    /// The first address that it proxies.
    pub(crate) fn addr(&self) -> SocketAddr {
        *self.proxy.first().expect("at least one listener")
    }

    /// Every address that it proxies, in the order of the config.
    pub(crate) fn addrs(&self) -> &[SocketAddr] {
        &self.proxy
    }

    /// The address of its admin listener.
    pub(crate) fn admin_addr(&self) -> SocketAddr {
        self.admin.expect("the config has an admin listener")
    }

    pub(crate) fn connect(&self) -> RawClient {
        RawClient::connect(self.addr())
    }

    /// One `GET` on a new connection.
    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Message {
        RawClient::get(self.addr(), target)
    }

    /// One `GET` of the admin listener, by its address.
    #[track_caller]
    pub(crate) fn admin_get(&self, path: &str) -> Message {
        let admin = self.admin_addr();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
        RawClient::connect(admin).exchange(request)
    }

    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        let response = self.admin_get("/metrics");
        assert_eq!(response.status(), 200);
        Metrics::parse(&response.text())
    }

    /// Waits until a metric stands at exactly `value`; see [`Metrics::count`].
    #[track_caller]
    pub(crate) fn await_metric(&self, name: &str, labels: &[(&str, &str)], value: u64) {
        eventually(&format!("{name}{labels:?} is {value}"), || {
            (self.metrics().count(name, labels) == value).then_some(())
        });
    }

    /// Its directory, where the config lies and logs may be written.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Replaces the config file whole, as an editor does: another file, moved over the old one.
    pub(crate) fn write_config(&self, text: &str) {
        self.write_beside("weir.toml", &text.replace("$DIR", &self.dir.path().display().to_string()));
    }

    /// Replaces a file in the config's directory in the same way.
    pub(crate) fn write_beside(&self, name: &str, text: &str) {
        let fresh = self.dir.path().join(format!("{name}.new"));
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, self.dir.path().join(name)).unwrap();
    }

    /// Replaces the config file and waits until weir has taken it over.
    #[track_caller]
    pub(crate) fn reload(&self, text: &str) {
        self.await_reload("ok", || self.write_config(text));
    }

    /// Waits until what `trigger` does has led to a reload with this result, `ok` or `failed`.
    #[track_caller]
    pub(crate) fn await_reload(&self, result: &str, trigger: impl FnOnce()) {
        let count = || self.metrics().count("weir_config_reloads_total", &[("result", result)]);
        let before = count();
        trigger();
        eventually(&format!("a reload is {result}"), || (count() > before).then_some(()));
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        let status = eventually("weir exits", || self.child.try_wait().unwrap());
        self.exited = Some(status);
        status
    }

    /// The lines of its log so far.
    pub(crate) fn logs(&self) -> Vec<String> {
        self.stderr.so_far()
    }

    /// The lines on its standard output so far.
    pub(crate) fn stdout(&self) -> Vec<String> {
        self.stdout.so_far()
    }

    /// Waits for a log line that contains `text`.
    #[track_caller]
    pub(crate) fn await_log(&self, text: &str) -> String {
        eventually(&format!("a log line with {text:?}"), || {
            self.logs().into_iter().find(|line| line.contains(text))
        })
    }

    /// The most memory that it ever had resident, in KiB (`VmHWM`, proc(5)).
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// How many file descriptors it holds.
    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    #[track_caller]
    fn wait_until_listening(&mut self) -> (Vec<SocketAddr>, Option<SocketAddr>) {
        eventually("weir says that it listens", || {
            let lines = self.stderr.so_far();
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("weir ended with {status} instead of listening:\n{}", lines.join("\n"));
            }
            lines.iter().find_map(|line| listening(line))
        })
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        if self.exited.is_none() {
            // Fails only when it has ended already.
            drop(self.child.kill());
            drop(self.child.wait());
        }
        if thread::panicking() {
            eprintln!("weir's log:\n{}", self.logs().join("\n"));
        }
    }
}

/// The addresses in the line that announces them, if `line` is that line.
fn listening(line: &str) -> Option<(Vec<SocketAddr>, Option<SocketAddr>)> {
    let record: Value = serde_json::from_str(line).ok()?;
    let fields = record.get("fields").unwrap_or(&record);
    if fields.get("message")? != "listening" {
        return None;
    }
    let addresses = |name: &str| -> Vec<SocketAddr> {
        let text = fields.get(name).and_then(Value::as_str).unwrap_or_default();
        text.split(',').filter_map(|part| part.trim().parse().ok()).collect()
    };
    Some((addresses("proxy"), addresses("admin").first().copied()))
}

/// The lines of one output of the child, collected by a thread so that the child never blocks on a full pipe.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn of(output: impl Read + Send + 'static) -> Self {
        let lines = Lines::default();
        let filled = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                filled.0.lock().unwrap().push(line);
            }
        });
        lines
    }

    fn so_far(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
