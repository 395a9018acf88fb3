//! Where the account and the certificates of one directory are kept: files for their owner alone, written whole.
//!
//! | file | |
//! |---|---|
//! | `DIRECTORY/account.json` | the account's URL and key |
//! | `DIRECTORY/NAME.pem` | the key of a certificate, then its chain: one file, so that they always fit each other |
//!
//! DIRECTORY is made from the directory's URL: what one authority issued is never taken for another's.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use instant_acme::AccountCredentials;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use webpki::EndEntityCert;

use crate::policy::tls::Certificate;
use crate::proxy::tls::Validity;

const OWNER_ONLY: u32 = 0o600;
const OWNER_ONLY_DIRECTORY: u32 = 0o700;
/// No key with its chain comes near it.
const BYTES_MAX: u64 = 1 << 20;

/// What is wrong with a file, or with the directory.
#[derive(Debug, Error)]
pub(super) enum StoreError {
    #[error("{}: {why}", path.display())]
    Io { path: PathBuf, why: io::Error },
    #[error("{} is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
}

/// A certificate that was issued, and for how long it is good.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) certificate: Certificate,
    pub(super) validity: Validity,
}

/// The files of one directory.
#[derive(Clone, Debug)]
pub(super) struct Store {
    directory: PathBuf,
}

impl Store {
    /// Below `state_dir`, for what the directory at `url` issues. Touches nothing.
    pub(super) fn new(state_dir: &Path, url: &str) -> Self {
        let host = url.trim_start_matches("https://").split(['/', ':']).next().unwrap_or_default();
        let host: String = host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let hash: [u8; 32] = Sha256::digest(url).into();
        let [a, b, c, d, ..] = hash;
        Store { directory: state_dir.join(format!("{host}-{:08x}", u32::from_be_bytes([a, b, c, d]))) }
    }

    /// Makes the directory where it is missing, and sees that files can be written there.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(OWNER_ONLY_DIRECTORY).create(&self.directory);
        made.map_err(|why| of(&self.directory, why))?;
        let probe = self.directory.join(".probe");
        create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(|why| of(&self.directory, why))
    }

    /// `None`: there is none yet.
    pub(super) fn account(&self) -> Result<Option<AccountCredentials>, StoreError> {
        let path = self.account_path();
        let Some(bytes) = read(&path)? else { return Ok(None) };
        // The error's text could hold a part of the key.
        let credentials = serde_json::from_slice(&bytes);
        credentials.map(Some).map_err(|_| damaged(&path, "it is no account in JSON"))
    }

    pub(super) fn save_account(&self, account: &AccountCredentials) -> Result<(), StoreError> {
        let path = self.account_path();
        let bytes = serde_json::to_vec(account).map_err(|why| of(&path, io::Error::other(why)))?;
        write(&path, &bytes)
    }

    /// Puts the account's file aside, where a person can look at it. Returns where.
    pub(super) fn set_account_aside(&self) -> Result<PathBuf, StoreError> {
        let (path, aside) = (self.account_path(), self.directory.join("account.json.old"));
        fs::rename(&path, &aside).map_err(|why| of(&path, why))?;
        Ok(aside)
    }

    /// `None`: there is none yet for this name.
    pub(super) fn certificate(&self, name: &str) -> Result<Option<Kept>, StoreError> {
        let path = self.certificate_path(name);
        let Some(bytes) = read(&path)? else { return Ok(None) };
        parse(name, &path, &bytes).map(Some).map_err(|why| StoreError::Damaged { path, why })
    }

    /// Keeps a certificate: the key and the chain, both in PEM. Returns it as it will be read.
    pub(super) fn save_certificate(&self, name: &str, key: &str, chain: &str) -> Result<Kept, StoreError> {
        let path = self.certificate_path(name);
        let text = format!("{}\n{}\n", key.trim_end(), chain.trim_end());
        let kept = parse(name, &path, text.as_bytes()).map_err(|why| damaged(&path, &why))?;
        write(&path, text.as_bytes())?;
        Ok(kept)
    }

    /// Whether others than the owner may read the key of this name's certificate: the file, if so.
    pub(super) fn open_to_others(&self, name: &str) -> Option<PathBuf> {
        let path = self.certificate_path(name);
        let mode = fs::metadata(&path).ok()?.permissions().mode();
        (mode & 0o077 != 0).then_some(path)
    }

    fn account_path(&self) -> PathBuf {
        self.directory.join("account.json")
    }

    /// A host name has no character that means something in a path.
    fn certificate_path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.pem"))
    }
}

fn parse(name: &str, path: &Path, pem: &[u8]) -> Result<Kept, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or("it has no certificate in PEM")?;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| "it has no private key in PEM")?;
    let own = chain.first().ok_or("it has no certificate in PEM")?;
    let has_name = EndEntityCert::try_from(own).is_ok_and(|own| {
        own.valid_dns_names().any(|of_certificate| of_certificate.eq_ignore_ascii_case(name))
    });
    if !has_name {
        return Err(format!("its certificate is not for {name}"));
    }
    let validity = Validity::of(own).ok_or("its certificate cannot be read")?;
    let file = path.display().to_string().into();
    Ok(Kept { certificate: Certificate { file, chain, key: Arc::new(key) }, validity })
}

/// `None`: there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(of(path, why)),
    };
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(|why| of(path, why))?;
    Ok(Some(bytes))
}

/// Beside it first, and then in its place: there is the old file or the new one at any time.
fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let written = || {
        let mut file = create(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    written().map_err(|why| of(path, why))
}

/// Anew: whoever could read one that was there cannot read this.
fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)
}

fn of(path: &Path, why: io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), why }
}

fn damaged(path: &Path, why: &str) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), why: why.to_owned() }
}
