//! What outlives the process: a snapshot of the state, in one file, and the key that its hashes were made with, in
//! another beside it.
//!
//! A snapshot is written whole beside the old one and then put in its place, so there is one or the other at any time,
//! also after a power cut. It is read only if it is whole: damaged, of another version or written under another
//! key, it is refused as a whole, and nothing of it is in the engine.

mod format;
mod key;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

pub use format::Damage;
pub use key::Key;

use crate::engine::{Engine, Extent, OtherKey};
use crate::time::Moment;

/// Nobody else needs to know who was here.
const OWNER_ONLY: u32 = 0o600;

/// Where the state is kept.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

/// Why a snapshot is not used.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    Damaged(#[from] Damage),
    #[error(transparent)]
    OtherKey(#[from] OtherKey),
}

impl Store {
    /// A store whose snapshot is at `path`, and the key beside it: the one that is there, or a new one.
    pub fn open(path: &Path) -> io::Result<(Self, Key)> {
        let key = Key::at(&beside(path, ".key"))?;
        Ok((Store { path: path.to_owned() }, key))
    }

    /// Puts the snapshot into an engine that has decided nothing yet: how many principals are known again, or
    /// `None` where there is no snapshot.
    pub fn load(&self, engine: &Engine, now: Moment) -> Result<Option<usize>, Refused> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        format::verify(BufReader::new(&mut file))?;
        io::Seek::rewind(&mut file)?;
        let mut reader = format::Reader::begin(BufReader::new(&mut file))?;
        let restore = engine.restore(reader.head()?, now)?;
        let mut known = 0;
        while let Some(part) = reader.part()? {
            known += restore.add(part);
        }
        Ok(Some(known))
    }

    /// Writes a snapshot and puts it in place of the last one; when this returns, it is on the disk. Its size in bytes.
    pub fn save(&self, engine: &Engine, extent: Extent, now: Moment) -> io::Result<u64> {
        let new = beside(&self.path, ".new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(OWNER_ONLY);
        let mut writer = format::Writer::begin(BufWriter::new(options.open(&new)?))?;
        let head = engine.snapshot_head();
        writer.head(&head)?;
        for part in engine.snapshot_parts(&head, extent, now) {
            writer.part(&part)?;
        }
        let (mut file, bytes) = writer.end()?;
        file.flush()?;
        file.get_ref().sync_all()?;
        fs::rename(&new, &self.path)?;
        sync_directory(&self.path)?;
        Ok(bytes)
    }
}

/// The path with something after its last name.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

/// A name is on the disk when its directory is.
fn sync_directory(of: &Path) -> io::Result<()> {
    let directory = of.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}
