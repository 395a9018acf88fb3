//! Known attacks: paths that scanners ask for and payloads that they send, a curated list.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};

/// What kind of attack a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// A file that is never meant to be served: secrets, repositories, back-ups.
    Secret,
    /// A well-known hole, or the console of something that is not there.
    Exploit,
    /// Climbing out of the document root.
    Traversal,
    Injection,
}

/// Finds known attacks, in one pass over path and query.
#[derive(Clone, Debug)]
pub struct Signatures {
    /// `None` cannot be: the lists are constants, far below the automaton's bounds.
    paths: Option<Arc<AhoCorasick>>,
    queries: Option<Arc<AhoCorasick>>,
}

/// In paths, without regard to case.
const PATHS: &[(&str, Signature)] = &[
    ("/.env", Signature::Secret),
    ("/.git/", Signature::Secret),
    ("/.svn/", Signature::Secret),
    ("/.aws/", Signature::Secret),
    ("/.ssh/", Signature::Secret),
    ("/.ds_store", Signature::Secret),
    ("/.htpasswd", Signature::Secret),
    ("/.htaccess", Signature::Secret),
    ("/id_rsa", Signature::Secret),
    ("/wp-config.", Signature::Secret),
    ("/web.config", Signature::Secret),
    ("/config.php.bak", Signature::Secret),
    ("/backup.zip", Signature::Secret),
    ("/backup.sql", Signature::Secret),
    ("/dump.sql", Signature::Secret),
    ("/database.sql", Signature::Secret),
    ("/phpmyadmin", Signature::Exploit),
    ("/pma/", Signature::Exploit),
    ("/myadmin", Signature::Exploit),
    ("/mysqladmin", Signature::Exploit),
    ("/phpinfo.php", Signature::Exploit),
    ("/cgi-bin/", Signature::Exploit),
    ("/hnap1", Signature::Exploit),
    ("/boaform/", Signature::Exploit),
    ("/gponform/", Signature::Exploit),
    ("/vendor/phpunit", Signature::Exploit),
    ("/eval-stdin.php", Signature::Exploit),
    ("/solr/admin", Signature::Exploit),
    ("/jmx-console", Signature::Exploit),
    ("/manager/html", Signature::Exploit),
    ("/actuator/", Signature::Exploit),
    ("/server-status", Signature::Exploit),
    ("/_ignition/", Signature::Exploit),
    ("/telescope/requests", Signature::Exploit),
    ("/owa/auth", Signature::Exploit),
    ("/autodiscover/", Signature::Exploit),
    ("/ecp/", Signature::Exploit),
    ("/shell.php", Signature::Exploit),
    ("/c99.php", Signature::Exploit),
    ("/r57.php", Signature::Exploit),
    ("/wlwmanifest.xml", Signature::Exploit),
    ("/muieblackcat", Signature::Exploit),
    ("/w00tw00t", Signature::Exploit),
    ("/timthumb.php", Signature::Exploit),
    ("/invoker/jmxinvokerservlet", Signature::Exploit),
    ("/admin/config.php", Signature::Exploit), // FreePBX
    ("/sdk/weblanguage", Signature::Exploit),  // CVE-2021-36260
    ("/nmaplowercheck", Signature::Exploit),
    ("/nice%20ports", Signature::Exploit), // nmap, as the one above
    ("/evox/about", Signature::Exploit),   // nmap
    ("/goform/", Signature::Exploit),
    ("/setup.cgi", Signature::Exploit),
    ("/remote/fgt_lang", Signature::Exploit),   // CVE-2018-13379
    ("/dana-na/", Signature::Exploit),          // CVE-2019-11510
    ("/tmui/login.jsp", Signature::Exploit),    // CVE-2020-5902
    ("/+cscoe+/", Signature::Exploit),          // CVE-2020-3452
    ("/api/jsonws/invoke", Signature::Exploit), // CVE-2020-7961
    ("/druid/index.html", Signature::Exploit),
    ("/containers/json", Signature::Exploit), // Docker's API
    ("/adminer.php", Signature::Exploit),
    ("/.vscode/sftp.json", Signature::Secret),
    ("/sftp-config.json", Signature::Secret),
    ("/docker-compose.yml", Signature::Secret),
    ("/.npmrc", Signature::Secret),
    ("/.bash_history", Signature::Secret),
    ("/etc/shadow", Signature::Traversal),
    ("/../", Signature::Traversal),
    ("/..\\", Signature::Traversal),
    ("\\..\\", Signature::Traversal),
    // A path that cannot be read one way only is looked at as it came.
    ("%2e%2e", Signature::Traversal),
    ("..%2f", Signature::Traversal),
    ("..%5c", Signature::Traversal),
    ("/etc/passwd", Signature::Traversal),
    ("/win.ini", Signature::Traversal),
    ("<script", Signature::Injection),
    ("union select", Signature::Injection),
];

/// In queries, decoded or not, without regard to case.
const QUERIES: &[(&str, Signature)] = &[
    ("../..", Signature::Traversal),
    ("..%2f", Signature::Traversal),
    ("%2e%2e", Signature::Traversal),
    ("etc/passwd", Signature::Traversal),
    ("etc%2fpasswd", Signature::Traversal),
    ("win.ini", Signature::Traversal),
    ("boot.ini", Signature::Traversal),
    ("<script", Signature::Injection),
    ("%3cscript", Signature::Injection),
    ("onerror=", Signature::Injection),
    ("onerror%3d", Signature::Injection),
    ("javascript:alert", Signature::Injection),
    ("alert(", Signature::Injection),
    ("alert%28", Signature::Injection),
    ("union+select", Signature::Injection),
    ("union%20select", Signature::Injection),
    ("union+all+select", Signature::Injection),
    ("union%20all%20select", Signature::Injection),
    ("information_schema", Signature::Injection),
    ("or+1=1", Signature::Injection),
    ("or%201=1", Signature::Injection),
    ("or%201%3d1", Signature::Injection),
    ("sleep(", Signature::Injection),
    ("sleep%28", Signature::Injection),
    ("benchmark(", Signature::Injection),
    ("waitfor+delay", Signature::Injection),
    ("waitfor%20delay", Signature::Injection),
    ("allow_url_include", Signature::Exploit),
    ("auto_prepend_file", Signature::Exploit),
    ("php://input", Signature::Exploit),
    ("php://filter", Signature::Exploit),
    ("${jndi:", Signature::Exploit),
    ("%24%7bjndi", Signature::Exploit),
    ("wget+http", Signature::Exploit),
    ("wget%20http", Signature::Exploit),
    ("invokefunction", Signature::Exploit),
    (";cat+/", Signature::Exploit),
    ("%7ccat%20/", Signature::Exploit),
];

impl Signatures {
    pub fn new() -> Self {
        Signatures { paths: compile(PATHS), queries: compile(QUERIES) }
    }

    pub fn find(&self, path: &str, query: Option<&str>) -> Option<Signature> {
        let at = |found: aho_corasick::Match, list: &[(&str, Signature)]| {
            list.get(found.pattern().as_usize()).map(|(_, signature)| *signature)
        };
        let in_path =
            self.paths.as_ref().and_then(|paths| paths.find(path)).and_then(|found| at(found, PATHS));
        in_path.or_else(|| self.queries.as_ref()?.find(query?).and_then(|found| at(found, QUERIES)))
    }
}

impl Default for Signatures {
    fn default() -> Self {
        Signatures::new()
    }
}

fn compile(list: &[(&str, Signature)]) -> Option<Arc<AhoCorasick>> {
    let mut builder = AhoCorasick::builder();
    builder.ascii_case_insensitive(true).match_kind(MatchKind::LeftmostFirst);
    builder.build(list.iter().map(|(pattern, _)| pattern)).ok().map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: known attacks are found in whatever case, and what people ask for is none.
    #[test]
    fn attacks_and_pages() {
        let signatures = Signatures::new();
        assert_eq!(signatures.find("/.ENV", None), Some(Signature::Secret));
        assert_eq!(signatures.find("/blog/wp-config.php.bak", None), Some(Signature::Secret));
        assert_eq!(signatures.find("/item", Some("id=1 UNION%20SELECT 1")), Some(Signature::Injection));
        for climb in ["/static/..%2F..%2Fetc/hosts", "/%2e%2e%5cboot", "/a/%2E%2E/b", "/..%5c..%5cx"] {
            assert_eq!(signatures.find(climb, None), Some(Signature::Traversal), "{climb}");
        }
        for page in ["/", "/environment", "/git/guide", "/docs/passwords", "/2015/08/union"] {
            assert_eq!(signatures.find(page, Some("q=select+a+union&page=2")), None, "{page}");
        }
    }
}
