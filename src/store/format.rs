//! The file of a snapshot.
//!
//! | bytes | |
//! |---|---|
//! | 8 | `weirsnap` |
//! | 4 | version, little-endian, as all numbers |
//! | 4, then so many | the head in postcard's encoding |
//! | 4, then so many | a part, and so on |
//! | 4 | zero: no more parts |
//! | 32 | SHA-256 of all that |

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use crate::engine::{SnapshotHead, SnapshotPart};

const MAGIC: [u8; 8] = *b"weirsnap";
/// Raised whenever what is written would be read as something else.
///
/// 2: upstream time in microseconds, and apart from bytes. 3: open findings.
const VERSION: u32 = 3;
/// No shard has parts this large; a length above it is damage.
const FRAME_BYTES_MAX: u32 = 256 << 20;
const CHECKSUM_BYTES: usize = 32;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error("it is no snapshot of weir")]
    NoSnapshot,
    #[error("it is of version {0}, and this weir reads version {VERSION}")]
    OtherVersion(u32),
    #[error("it ends too early")]
    Truncated,
    #[error("its checksum does not fit: it is damaged")]
    Checksum,
    #[error("its contents make no sense: {0}")]
    Nonsense(#[from] postcard::Error),
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
}

/// Reads the whole file without using it.
pub(super) fn verify(from: impl Read) -> Result<(), Damage> {
    let mut reader = Reader::begin(from)?;
    reader.head()?;
    while reader.part()?.is_some() {}
    reader.end()
}

/// Reads from a file that was verified, or is about to be.
#[derive(Debug)]
pub(super) struct Reader<R> {
    from: R,
    sum: Sha256,
}

impl<R: Read> Reader<R> {
    pub(super) fn begin(from: R) -> Result<Self, Damage> {
        let mut reader = Reader { from, sum: Sha256::new() };
        if reader.bytes::<8>()? != MAGIC {
            return Err(Damage::NoSnapshot);
        }
        match reader.number()? {
            VERSION => Ok(reader),
            other => Err(Damage::OtherVersion(other)),
        }
    }

    pub(super) fn head(&mut self) -> Result<SnapshotHead, Damage> {
        let frame = self.frame()?.ok_or(Damage::Truncated)?;
        Ok(postcard::from_bytes(&frame)?)
    }

    /// The next part; `None` after the last.
    pub(super) fn part(&mut self) -> Result<Option<SnapshotPart>, Damage> {
        let frame = self.frame()?;
        Ok(frame.map(|frame| postcard::from_bytes(&frame)).transpose()?)
    }

    fn end(mut self) -> Result<(), Damage> {
        let sum: [u8; CHECKSUM_BYTES] = self.sum.finalize_reset().into();
        if self.bytes::<CHECKSUM_BYTES>()? != sum {
            return Err(Damage::Checksum);
        }
        match self.bytes::<1>() {
            Err(Damage::Truncated) => Ok(()),
            Ok(_) => Err(Damage::Checksum),
            Err(other) => Err(other),
        }
    }

    fn frame(&mut self) -> Result<Option<Vec<u8>>, Damage> {
        let length = self.number()?;
        if length == 0 {
            return Ok(None);
        }
        if length > FRAME_BYTES_MAX {
            return Err(Damage::Checksum);
        }
        // A false length allocates no more than the file has.
        let mut frame = Vec::new();
        let read = (&mut self.from).take(length.into()).read_to_end(&mut frame).map_err(unreadable)?;
        if read < length as usize {
            return Err(Damage::Truncated);
        }
        self.sum.update(&frame);
        Ok(Some(frame))
    }

    fn number(&mut self) -> Result<u32, Damage> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes).map_err(unreadable)?;
        self.sum.update(bytes);
        Ok(bytes)
    }
}

fn unreadable(error: io::Error) -> Damage {
    if error.kind() == io::ErrorKind::UnexpectedEof { Damage::Truncated } else { Damage::Unreadable(error) }
}

/// Writes a file from its beginning.
#[derive(Debug)]
pub(super) struct Writer<W> {
    to: W,
    sum: Sha256,
    bytes: u64,
}

impl<W: Write> Writer<W> {
    pub(super) fn begin(to: W) -> io::Result<Self> {
        let mut writer = Writer { to, sum: Sha256::new(), bytes: 0 };
        writer.write(&MAGIC)?;
        writer.write(&VERSION.to_le_bytes())?;
        Ok(writer)
    }

    pub(super) fn head(&mut self, head: &SnapshotHead) -> io::Result<()> {
        self.frame(&postcard::to_stdvec(head).map_err(io::Error::other)?)
    }

    pub(super) fn part(&mut self, part: &SnapshotPart) -> io::Result<()> {
        self.frame(&postcard::to_stdvec(part).map_err(io::Error::other)?)
    }

    /// The file, not yet flushed, and its size.
    pub(super) fn end(mut self) -> io::Result<(W, u64)> {
        self.write(&[0; 4])?;
        let sum: [u8; CHECKSUM_BYTES] = self.sum.finalize_reset().into();
        self.write(&sum)?;
        Ok((self.to, self.bytes))
    }

    fn frame(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = u32::try_from(frame.len()).ok().filter(|&length| length <= FRAME_BYTES_MAX);
        self.write(&length.ok_or(io::ErrorKind::FileTooLarge)?.to_le_bytes())?;
        self.write(frame)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.bytes += bytes.len() as u64;
        self.to.write_all(bytes)
    }
}
