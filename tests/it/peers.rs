//! Real peers: clients and apps that other people wrote see the same bytes with weir as without.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use crate::harness::{Config, RawOrigin, Tool, Weir};

/// A small site: pages that link to each other, an image of odd bytes, an empty file, a large one.
fn site() -> BTreeMap<&'static str, Vec<u8>> {
    let page = |links: &[&str]| {
        let links: Vec<String> = links.iter().map(|link| format!("<a href=\"{link}\">{link}</a>")).collect();
        let links = links.join("\n");
        format!("<html><body>\n{links}\n</body></html>\n").into_bytes()
    };
    BTreeMap::from([
        ("/", page(&["/a/one.html", "/a/two.html", "/image.png", "/empty.txt", "/large.bin"])),
        ("/a/one.html", page(&["two.html", "../image.png", "/"])),
        ("/a/two.html", page(&["one.html", "deep%20er/three.html"])),
        ("/a/deep%20er/three.html", page(&["../two.html"])),
        ("/image.png", (0..=255).cycle().take(70_000).collect()),
        ("/empty.txt", Vec::new()),
        ("/large.bin", (0..=250).cycle().take(3_000_000).collect()),
    ])
}

/// Serves [`site`]: large files chunked, the others by length; echoes what is uploaded.
fn site_origin() -> RawOrigin {
    RawOrigin::scripted(|conn| {
        while let Some(request) = conn.read_request() {
            if !request.body.is_empty() {
                conn.answer(request.body);
                continue;
            }
            let site = site();
            let head = request.start_line().starts_with("HEAD ");
            match site.get(request.target().as_str()) {
                Some(_) if head => conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"),
                Some(body) if body.len() > 1_000_000 => {
                    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                    for chunk in body.chunks(10_007) {
                        conn.send(format!("{:x}\r\n", chunk.len()));
                        conn.send(chunk);
                        conn.send("\r\n");
                    }
                    conn.send("0\r\n\r\n");
                }
                Some(body) => {
                    let kind =
                        if body.starts_with(b"<html") { "text/html" } else { "application/octet-stream" };
                    let length = body.len();
                    conn.send(format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
                    ));
                    conn.send(body);
                }
                None => conn.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            }
        }
    })
}

/// curl gets the same bytes from weir as from the app itself, for every file, in both versions of HTTP/1.
#[test]
fn curl_gets_the_same_bytes() {
    let Some(curl) = Tool::find("curl") else { return };
    let origin = site_origin();
    let weir = Weir::start(&Config::to(&origin));
    for version in ["--http1.0", "--http1.1"] {
        for (path, body) in site() {
            let fetch = |from: SocketAddr| {
                let url = format!("http://{from}{path}");
                curl.run(&["--silent", "--show-error", "--fail", "--noproxy", "*", version, &url]).stdout
            };
            assert!(fetch(weir.addr()) == body, "{version} {path} differs through weir");
            assert!(fetch(origin.address()) == body, "{version} {path} differs from the app itself");
        }
    }
}

/// curl's uploads arrive as they were: with Content-Length, after `Expect: 100-continue`, and chunked.
#[test]
fn curl_uploads_the_same_bytes() {
    let Some(curl) = Tool::find("curl") else { return };
    let origin = site_origin();
    let weir = Weir::start(&Config::to(&origin));
    let body: Vec<u8> = (0..=255).cycle().take(2_000_000).collect();
    let file = weir.dir().join("upload.bin");
    fs::write(&file, &body).unwrap();
    let data = format!("@{}", file.display());
    let url = format!("http://{}/up", weir.addr());
    let ways: [&[&str]; 3] =
        [&["-H", "Expect:"], &["-H", "Expect: 100-continue"], &["-H", "Transfer-Encoding: chunked"]];
    for way in ways {
        let common = ["--silent", "--show-error", "--fail", "--noproxy", "*", "--data-binary", &data];
        let echoed = curl.run(&[&common[..], way, &[&url]].concat()).stdout;
        assert!(echoed == body, "{way:?}: {} bytes came back", echoed.len());
    }
}

/// wget mirrors a site through weir into the same tree as from the app itself.
#[test]
fn wget_mirrors_the_same_tree() {
    let Some(wget) = Tool::find("wget") else { return };
    let origin = site_origin();
    let weir = Weir::start(&Config::to(&origin));
    let mirror = |from: SocketAddr, into: &str| {
        let dir = weir.dir().join(into);
        let (prefix, url) = (dir.display().to_string(), format!("http://{from}/"));
        wget.run(&[
            "--quiet",
            "--no-proxy",
            "--mirror",
            "--no-host-directories",
            "-e",
            "robots=off",
            "-P",
            &prefix,
            &url,
        ]);
        tree(&dir)
    };
    let (through, direct) = (mirror(weir.addr(), "through"), mirror(origin.address(), "direct"));
    assert_eq!(through.keys().collect::<Vec<_>>(), direct.keys().collect::<Vec<_>>());
    assert!(through == direct, "the same names with other bytes");
    assert_eq!(through.len(), site().len());
}

/// A Python web server, as an app that weir knows nothing of, serves its files through weir.
#[test]
fn a_python_web_server_is_served() {
    let Some(python) = Tool::find("python3") else { return };
    let dir = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..=255).cycle().take(500_000).collect();
    fs::write(dir.path().join("file.bin"), &content).unwrap();
    let serve = "import functools, http.server as h, sys\n\
                 s = h.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(h.SimpleHTTPRequestHandler, directory=sys.argv[1]))\n\
                 print(s.server_port, flush=True)\ns.serve_forever()";
    let mut app = python
        .command()
        .args(["-c", serve, &dir.path().display().to_string()])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut port = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(app.stdout.take().unwrap()), &mut port).unwrap();
    let weir = Weir::start(&Config::to_servers(&[format!("127.0.0.1:{}", port.trim()).parse().unwrap()]));
    let answers = [weir.get("/file.bin"), weir.get("/"), weir.get("/missing")];
    app.kill().unwrap();
    app.wait().unwrap();
    assert_eq!([answers[0].status(), answers[1].status(), answers[2].status()], [200, 200, 404]);
    assert!(answers[0].body == content && answers[1].text().contains("file.bin"));
}

/// A browser loads a page through weir with all that belongs to it: its script runs and gets its data.
#[test]
fn a_browser_loads_a_page() {
    let Some(chromium) = Tool::find("chromium") else { return };
    let origin = RawOrigin::scripted(|conn| {
        while let Some(request) = conn.read_request() {
            match request.target().as_str() {
                "/" => {
                    let page = "<!doctype html><p id=out>waiting</p><script src=/app.js></script>";
                    let length = page.len();
                    conn.send(format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{page}"
                    ));
                }
                "/app.js" => conn.answer(
                    "fetch('/data', {method: 'POST', body: 'x'.repeat(100000)}).then(r => r.text())\
                     .then(t => document.getElementById('out').textContent = t.length + ' came back')",
                ),
                _ => conn.answer(request.body),
            }
        }
    });
    let weir = Weir::start(&Config::to(&origin));
    let (profile, url) = (weir.dir().join("profile"), format!("http://{}/", weir.addr()));
    let dom = chromium.run(&[
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-proxy-server",
        "--virtual-time-budget=10000",
        &format!("--user-data-dir={}", profile.display()),
        "--dump-dom",
        &url,
    ]);
    let dom = String::from_utf8_lossy(&dom.stdout).into_owned();
    assert!(dom.contains("100000 came back"), "{dom}");
}

/// Every file below `dir` with its bytes.
fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut left = vec![dir.to_path_buf()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}
