//! The only I/O of the configuration: its files are read here, and nothing else is.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::diagnostic::{Diagnostic, Diagnostics, Problems};
use super::place::{At, FileId, Place, SourceFile};
use super::reader::{Table, TableKind};
use super::{Config, NamedFiles, accounts, clauses};
use crate::policy::Policy;
use crate::policy::compile::compile;

/// A configuration that can run.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub policy: Policy,
    /// What is probably not meant, though it can run. May be empty.
    pub warnings: Diagnostics,
    /// Every file that was read: when one changes, the configuration has changed.
    pub files: Vec<PathBuf>,
    /// Of what they held when they were read, to compare with [`fingerprint`] later.
    pub fingerprint: u64,
}

/// A hash of what `files` hold now. A file that cannot be read differs from every file that can.
///
/// Comparable within one process only.
pub fn fingerprint(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file).ok().hash(&mut hasher);
    }
    hasher.finish()
}

/// Ten million accounts are about two gigabytes.
const TEXT_BYTES_MAX: u64 = 4 << 30;
const KEY_FILE_BYTES_MAX: u64 = 1 << 20;
/// A million revoked certificates.
const REVOCATIONS_BYTES_MAX: u64 = 64 << 20;
/// The largest that is known is a hundredth of this.
const ASN_DATABASE_BYTES_MAX: u64 = 1 << 30;

/// The policy that is in force where `[policy] file` names no other.
const SHIPPED_POLICY: &str = include_str!("../../config/policy.toml");

/// Reads the configuration at `path` and the files that it names, relative to its directory.
///
/// A file that cannot be read is an error like any other, at the place where it is named.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    let mut reading = Reading::default();
    let name = path.display().to_string();
    let directory = path.parent().unwrap_or(Path::new(""));
    match read_text(path) {
        Ok(text) => {
            reading.watched.push(path.to_owned());
            Some(text.as_bytes()).hash(&mut reading.contents);
            reading.finish(name, text, directory)
        }
        Err(why) => {
            let file = reading.add_source(name.clone(), String::new());
            let place = Place { file, start: 0, end: 0 };
            reading.problems.add(
                Diagnostic::error(place, format!("cannot read {name}: {why}"))
                    .expected("a configuration file in TOML"),
            );
            Err(reading.problems.into_diagnostics(reading.sources))
        }
    }
}

/// Reads a configuration from memory; `name` stands for its file in messages, and the files that it names are
/// relative to `directory`.
pub fn from_str(name: &str, text: &str, directory: &Path) -> Result<Loaded, Diagnostics> {
    Reading::default().finish(name.to_owned(), text.to_owned(), directory)
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Reading {
    sources: Vec<SourceFile>,
    watched: Vec<PathBuf>,
    /// Of what was read from `watched`, in their order.
    contents: DefaultHasher,
    problems: Problems,
}

impl Reading {
    fn finish(mut self, name: String, text: String, directory: &Path) -> Result<Loaded, Diagnostics> {
        let file = self.add_source(name, text);
        let config = self.table(file, &super::ROOT, Config::read).map(|mut config| {
            config.clauses = self.clauses(&config, directory);
            config.accounts = self.accounts(&config, directory);
            config.named = self.named(&config, directory);
            config
        });
        let policy = config.and_then(|config| compile(&config, directory, &self.problems));
        let failed = self.problems.has_errors();
        let found = self.problems.into_diagnostics(self.sources);
        match policy {
            Some(policy) if !failed => Ok(Loaded {
                policy,
                warnings: found,
                files: self.watched,
                fingerprint: self.contents.finish(),
            }),
            _ => Err(found),
        }
    }

    fn clauses(&mut self, config: &Config, directory: &Path) -> Vec<clauses::Clause> {
        let file = match &config.policy_file {
            Some(written) => self.add_file(directory, written),
            None => Some(self.add_source("the built-in policy".to_owned(), SHIPPED_POLICY.to_owned())),
        };
        file.and_then(|file| self.table(file, &clauses::POLICY_FILE, clauses::read)).unwrap_or_default()
    }

    fn accounts(&mut self, config: &Config, directory: &Path) -> Option<accounts::AccountsFile> {
        let written = config.identity.accounts_file.as_ref()?;
        let file = self.add_file(directory, written)?;
        self.table(file, &accounts::ACCOUNTS_FILE, accounts::read)
    }

    fn named(&mut self, config: &Config, directory: &Path) -> NamedFiles {
        let mut named = NamedFiles::default();
        let certificates = config.tls.iter().flat_map(|tls| &tls.value).flat_map(|tls| &tls.certificates);
        let of_tls = certificates.flat_map(|it| [&it.value.chain, &it.value.key]);
        let of_upstreams = config.upstreams.value.iter().filter_map(|upstream| upstream.tls.as_ref());
        let of_upstreams =
            of_upstreams.filter_map(|tls| tls.value.as_ref()).flat_map(super::upstreams::Tls::files);
        let of_acme = config.acme().into_iter().flat_map(|acme| acme.value.files());
        let keys = config.identity.key_files().chain(of_tls).chain(of_acme).chain(of_upstreams);
        let keys = keys.map(|file| (file, false));
        for (file, of_revocations) in keys.chain(config.files_of_client_certificates()) {
            let bytes_max = if of_revocations { REVOCATIONS_BYTES_MAX } else { KEY_FILE_BYTES_MAX };
            if !named.keys.contains_key(&file.value)
                && let Some(bytes) = self.read_named(directory, file, bytes_max)
            {
                named.keys.insert(file.value.clone(), bytes);
            }
        }
        let database = config.identity.asn_database.as_ref();
        named.asn_database =
            database.and_then(|file| self.read_named(directory, file, ASN_DATABASE_BYTES_MAX));
        named
    }

    /// Reads a file of text that the configuration names at `place`.
    fn add_file(&mut self, directory: &Path, file: &At<String>) -> Option<FileId> {
        let path = directory.join(&file.value);
        let bytes = self.read_named(directory, file, TEXT_BYTES_MAX)?;
        match into_text(bytes) {
            Ok(text) => Some(self.add_source(path.display().to_string(), text)),
            Err(why) => {
                self.report_unreadable(&path, file.place, &why);
                None
            }
        }
    }

    /// Reads a file that the configuration names; relative names are below `directory`.
    fn read_named(&mut self, directory: &Path, file: &At<String>, bytes_max: u64) -> Option<Vec<u8>> {
        let path = directory.join(&file.value);
        let bytes = read_bytes(&path, bytes_max);
        bytes.as_ref().ok().hash(&mut self.contents);
        // Watched even if it cannot be read now: writing it is how the operator repairs the configuration.
        self.watched.push(path.clone());
        bytes.map_err(|why| self.report_unreadable(&path, file.place, &why)).ok()
    }

    fn report_unreadable(&self, path: &Path, place: Place, why: &str) {
        self.problems.add(
            Diagnostic::error(place, format!("cannot read {}: {why}", path.display()))
                .expected("a readable file, relative to the configuration's directory"),
        );
    }

    fn add_source(&mut self, name: String, text: String) -> FileId {
        // Three files at most are ever read.
        let id = FileId(u16::try_from(self.sources.len()).unwrap_or(u16::MAX));
        self.sources.push(SourceFile { name, text });
        id
    }

    /// Parses one file and reads its root. `None` if it is not TOML, which is reported.
    fn table<T>(
        &self,
        file: FileId,
        kind: &'static TableKind,
        read: impl FnOnce(&Table<'_>) -> T,
    ) -> Option<T> {
        let text = self.sources.get(usize::from(file.0)).map_or("", |source| source.text.as_str());
        let (root, faults) = DeTable::parse_recoverable(text);
        for fault in &faults {
            self.problems.add(syntax_error(file, text, fault));
        }
        // What a duplicate leaves behind is whole; what other faults leave behind would raise false alarms.
        if faults.iter().any(|fault| fault.message() != DUPLICATE_KEY) {
            return None;
        }
        Some(read(&Table::root(root.get_ref(), file, kind, &self.problems)))
    }
}

/// How the TOML parser reports a key or table that is written twice.
const DUPLICATE_KEY: &str = "duplicate key";

fn syntax_error(file: FileId, text: &str, fault: &toml::de::Error) -> Diagnostic {
    let span = fault.span().unwrap_or(text.len()..text.len());
    let place = Place { file, start: span.start, end: span.end };
    if fault.message() == DUPLICATE_KEY {
        let name = text.get(span).unwrap_or_default();
        return Diagnostic::error(place, format!("`{name}` is written twice"))
            .expected("each key and each table once");
    }
    let (message, expected) =
        fault.message().split_once(", expected ").unwrap_or((fault.message(), "nothing"));
    let error = Diagnostic::error(place, format!("not TOML: {message}"));
    match (message, expected) {
        // An address without quotes begins like a number.
        ("invalid float" | "invalid integer" | "invalid datetime", "nothing") => {
            error.expected("a number, or text in quotes: \"…\"")
        }
        (_, "nothing") => error,
        _ => error.expected(expected),
    }
}

/// The text of a file, or why there is none.
fn read_text(path: &Path) -> Result<String, String> {
    into_text(read_bytes(path, TEXT_BYTES_MAX)?)
}

/// The contents of a file, or why there are none.
fn read_bytes(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let told = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    };
    let file = std::fs::File::open(path).map_err(told)?;
    let mut bytes = Vec::new();
    // One more than allowed, so that too many are noticed; a pipe has no length to ask for.
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("it is larger than {bytes_max} bytes"));
    }
    Ok(bytes)
}

fn into_text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let line = memchr::memchr_iter(
            b'\n',
            error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default(),
        )
        .count()
            + 1;
        format!("line {line} is not UTF-8")
    })
}
