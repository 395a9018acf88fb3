//! The proxy that is measured, as a process of its own, and what can be seen of it from outside.

#![allow(dead_code, reason = "each bench looks at some of it")]

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many files as this process may have, which weir inherits.
pub(crate) fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // The limit stays as it was where that fails.
    _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The running proxy; it ends with this process.
pub(crate) struct Weir {
    child: Child,
    pub(crate) plain: SocketAddr,
    pub(crate) secure: SocketAddr,
    admin: SocketAddr,
    dir: tempfile::TempDir,
}

impl Weir {
    /// In front of `app`, by HTTP and by TLS; `rest` is the rest of its configuration.
    pub(crate) fn start(app: SocketAddr, rest: &str) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("weir.toml");
        fs::write(
            &file,
            format!(
                "[listen]\ntrusted_proxies = [\"127.0.0.1/32\"]\nproxy = \"127.0.0.1:0\"\nproxy_tls = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nworkers = 2\n\
                 [tls]\ncertificates = [{{ cert = \"cert.pem\", key = \"key.pem\" }}]\n\
                 [upstreams.app]\nservers = [\"{app}\"]\nmax_connections = 60000\n\
                 [log]\nformat = \"json\"\nlevel = \"warn,weir::cli=info\"\n\
                 {rest}"
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
        Ok(Weir { child, plain, secure, admin, dir })
    }

    /// Waits until weir has this many connections, for a minute at most.
    pub(crate) fn await_open(&self, count: u64) -> io::Result<()> {
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

    pub(crate) fn metric(&self, name: &str) -> io::Result<f64> {
        let metrics = self.metrics()?;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN))
    }

    /// The sum of a metric over all of its labels, of which one line has to hold `label`.
    pub(crate) fn sum(&self, name: &str, label: &str) -> io::Result<f64> {
        let metrics = self.metrics()?;
        let lines = metrics.lines().filter(|line| line.starts_with(name) && line.contains(label));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    pub(crate) fn metrics(&self) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// What its clients have to trust.
    pub(crate) fn certificate(&self) -> io::Result<Vec<u8>> {
        fs::read(self.dir.path().join("cert.pem"))
    }

    /// Files that are open now.
    pub(crate) fn open_files(&self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Resident memory now, in bytes.
    pub(crate) fn resident(&self) -> io::Result<f64> {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let pages: Option<f64> = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        Ok(pages.unwrap_or(f64::NAN) * 4096.0)
    }

    /// What the process has used of all cores so far (proc(5): fields 14 and 15, in hundredths).
    pub(crate) fn cpu_seconds(&self) -> io::Result<f64> {
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
