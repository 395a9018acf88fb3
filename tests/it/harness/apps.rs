//! Servers that other people wrote, as apps behind weir: each writes down every request that it reads.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use tempfile::TempDir;

use super::{Tool, eventually};

/// Which server; each reads requests in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
    Node,
    Python,
}

/// A running server on a Unix socket, which answers every request with 200 and its method and target. Dropping it ends
/// the process.
#[derive(Debug)]
pub(crate) struct App {
    process: Child,
    dir: TempDir,
}

const NGINX: &str = "
daemon off;
master_process off;
pid $DIR/pid;
error_log $DIR/errors;
events {}
http {
  access_log off;
  log_format seen '$request_method $request_uri';
  server {
    listen unix:$DIR/app.sock;
    access_log $DIR/seen seen;
    client_body_temp_path $DIR/body;
    proxy_temp_path $DIR/proxy;
    fastcgi_temp_path $DIR/fastcgi;
    uwsgi_temp_path $DIR/uwsgi;
    scgi_temp_path $DIR/scgi;
    location / { return 200 '$request_method $request_uri\n'; }
  }
}
";

const HAPROXY: &str = "
global
  log stdout format raw local0
defaults
  mode http
  option http-ignore-probes
  option dontlognull
  timeout client 30s
  timeout connect 5s
  timeout server 30s
frontend app
  bind unix@$DIR/app.sock
  log global
  log-format \"%HM %HPO\"
  http-request return status 200 content-type text/plain lf-string \"%[method] %[path]\\n\"
";

const NODE: &str = "
const http = require('http');
http.createServer((request, response) => {
  const seen = request.method + ' ' + request.url + '\\n';
  process.stdout.write(seen);
  request.resume();
  request.on('end', () => response.end(seen));
}).listen(process.argv[1]);
";

/// `http.server` reads no chunked bodies by itself; an app on it that keeps connections has to.
const PYTHON: &str = "
import http.server, socketserver, sys
class App(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def address_string(self): return 'weir'
    def log_message(self, *_): pass
    def body(self):
        if self.headers.get('transfer-encoding', '').lower() == 'chunked':
            while size := int(self.rfile.readline().split(b';')[0], 16):
                self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline() not in (b'\\r\\n', b''):
                pass
        else:
            self.rfile.read(int(self.headers.get('content-length', 0)))
    def answer(self):
        try: self.whole()
        except ValueError: self.close_connection = True
    def whole(self):
        seen = (self.command + ' ' + self.path + '\\n').encode('latin-1')
        sys.stdout.buffer.write(seen)
        sys.stdout.flush()
        self.body()
        self.send_response(200)
        self.send_header('content-length', str(len(seen)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(seen)
    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = answer
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
Server(sys.argv[1], App).serve_forever()
";

impl App {
    /// Starts it and waits until it listens; `None` where it is not installed, which is said aloud.
    pub(crate) fn start(kind: Kind) -> Option<Self> {
        let tool = Tool::find(match kind {
            Kind::Nginx => "nginx",
            Kind::Haproxy => "haproxy",
            Kind::Node => "node",
            Kind::Python => "python3",
        })?;
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().display().to_string();
        let write = |text: &str| {
            let file = dir.path().join("config");
            fs::write(&file, text.replace("$DIR", &place)).unwrap();
            file.display().to_string()
        };
        let socket = format!("{place}/app.sock");
        let arguments = match kind {
            Kind::Nginx => vec!["-p".into(), place.clone(), "-c".into(), write(NGINX)],
            Kind::Haproxy => vec!["-db".into(), "-f".into(), write(HAPROXY)],
            Kind::Node => vec!["-e".into(), NODE.to_owned(), socket],
            Kind::Python => vec!["-c".into(), PYTHON.to_owned(), socket],
        };
        // nginx opens the same file again, to append.
        let output = if kind == Kind::Nginx { "output" } else { "seen" };
        let output = fs::File::create(dir.path().join(output)).unwrap();
        let mut command = tool.command();
        command.args(arguments).stdin(Stdio::null()).stdout(output);
        let process = command.stderr(fs::File::create(dir.path().join("stderr")).unwrap()).spawn().unwrap();
        let app = App { process, dir };
        eventually("the app listens", || UnixStream::connect(app.socket()).ok());
        Some(app)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("app.sock")
    }

    /// Every request that it has read so far, as `METHOD target`.
    pub(crate) fn seen(&self) -> Vec<String> {
        let read = |path: &Path| fs::read(path).unwrap_or_default();
        let text = read(&self.dir.path().join("seen"));
        String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            let read = |name| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
            eprintln!("the app's errors:\n{}{}", read("stderr"), read("errors"));
        }
    }
}
