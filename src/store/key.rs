//! The key that hashes are made with which outlive the process.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::{OWNER_ONLY, sync_directory};

const ENGINE_BYTES: usize = 16;
const IDENTITY_BYTES: usize = 32;

/// Two keys: for what the engine counts by and must not keep, and for the names of credentials.
#[derive(Clone)]
pub struct Key {
    pub engine: [u8; ENGINE_BYTES],
    pub identity: [u8; IDENTITY_BYTES],
}

impl fmt::Debug for Key {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// The key in a file; where there is none, a new one, which is then there. A file of another length is no key of
    /// ours: it is an error, and stays as it is.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => Key::from_bytes(&bytes).ok_or_else(|| {
                let length = ENGINE_BYTES + IDENTITY_BYTES;
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} is not {length} bytes", path.display()),
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Key::create(path),
            Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        }
    }

    fn create(path: &Path) -> io::Result<Self> {
        let mut bytes = [0; ENGINE_BYTES + IDENTITY_BYTES];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        sync_directory(path)?;
        Key::from_bytes(&bytes).ok_or_else(|| io::Error::other("no key"))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (engine, identity) = bytes.split_at_checked(ENGINE_BYTES)?;
        Some(Key { engine: engine.try_into().ok()?, identity: identity.try_into().ok()? })
    }
}
