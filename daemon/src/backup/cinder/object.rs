//! Reading an object: unpacked as it goes by, and held to its length and hashes.

use super::catalogue::Link;
use super::files::Files;
use super::layer::{ChunkHashes, Piece};
use super::metadata::{Compression, Object};
use crate::backup::worker::pipe::Failure;
use md5::Md5;
use sha2::{Digest as _, Sha256};
use std::io::{self, BufReader, Read};

/// In memory at once, of what may have gigabytes.
const READ_BYTES: usize = 1 << 20;
/// What zstd may keep of what it wrote, as a power of two: 8 MiB, as levels up to 19 use. Cinder's own is 3.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Looks whether an object's file is there, and as long as it can be seen without reading that it must be.
pub(super) fn is_there(files: &Files, link: &Link, object: &Object) -> Result<(), Failure> {
    let len_bytes = files.len_of(&link.found.object(object.number));
    let len_bytes = len_bytes.map_err(|error| failed(files, link, object, &error))?;
    if object.compression == Compression::None && len_bytes != object.len_bytes {
        let why = format!(
            "its file has {len_bytes} bytes instead of {}",
            object.len_bytes
        );
        return Err(damaged(link, object, &why));
    }
    Ok(())
}

/// Takes a part of an object, with its place in the volume.
pub(super) type Take<'a> = dyn FnMut(&[u8], u64) -> Result<(), Failure> + 'a;

/// Reads an object. What `take` is given of it is proved only when this returned well.
pub(super) fn read(
    files: &Files,
    link: &Link,
    piece: &Piece,
    take: &mut Take<'_>,
) -> Result<(), Failure> {
    let object = &piece.object;
    let failed = |error: io::Error| failed(files, link, object, &error);
    let input = files.open(&link.found.object(object.number));
    let unpacked = input.and_then(|input| unpack(input, object.compression));
    let mut unpacked = unpacked.map_err(failed)?;
    let mut proof = Proof::new(piece);
    let mut buffer = vec![0; READ_BYTES];
    let mut done_bytes = 0;
    loop {
        let len = fill(&mut unpacked, &mut buffer).map_err(failed)?;
        let bytes = buffer.get(..len).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        if object.len_bytes - done_bytes < bytes.len() as u64 {
            let why = format!("it has more than its {} bytes", object.len_bytes);
            return Err(damaged(link, object, &why));
        }
        proof
            .add(bytes)
            .map_err(|why| damaged(link, object, &why))?;
        take(bytes, object.offset + done_bytes)?;
        done_bytes += bytes.len() as u64;
    }
    if done_bytes != object.len_bytes {
        let why = format!("it has {done_bytes} bytes instead of {}", object.len_bytes);
        return Err(damaged(link, object, &why));
    }
    proof.end(object).map_err(|why| damaged(link, object, &why))
}

/// What failed work with an object's file means.
fn failed(files: &Files, link: &Link, object: &Object, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::NotFound {
        return damaged(link, object, "its file is missing");
    }
    let path = link.found.object(object.number);
    files.misread(&path, error, |why| {
        damaged(link, object, &format!("it cannot be read: {why}"))
    })
}

fn damaged(link: &Link, object: &Object, why: &str) -> Failure {
    let path = link.found.object(object.number);
    link.damaged(&format!("object {}: {why}", path.display()))
}

fn unpack(input: impl Read + 'static, compression: Compression) -> io::Result<Box<dyn Read>> {
    let input = BufReader::new(input);
    Ok(match compression {
        Compression::None => Box::new(input),
        Compression::Zlib => Box::new(flate2::bufread::ZlibDecoder::new(input)),
        Compression::Bzip2 => Box::new(bzip2::bufread::BzDecoder::new(input)),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(input)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
    })
}

/// As much as there is and goes in.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

/// The hashes of what went by so far.
struct Proof<'a> {
    md5: Md5,
    chunks: Option<Chunks<'a>>,
}

struct Chunks<'a> {
    wanted: &'a ChunkHashes,
    /// The chunk that is being hashed.
    index: usize,
    hasher: Sha256,
    /// How much of it is still to come.
    left_bytes: u64,
}

impl<'a> Proof<'a> {
    fn new(piece: &'a Piece) -> Self {
        let chunks = piece.hashes.as_ref().map(|wanted| Chunks {
            wanted,
            index: 0,
            hasher: Sha256::new(),
            left_bytes: wanted.chunk_bytes,
        });
        Self {
            md5: Md5::new(),
            chunks,
        }
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.md5.update(bytes);
        match &mut self.chunks {
            Some(chunks) => chunks.add(bytes),
            None => Ok(()),
        }
    }

    fn end(self, object: &Object) -> Result<(), String> {
        if let Some(mut chunks) = self.chunks
            && chunks.left_bytes != chunks.wanted.chunk_bytes
        {
            // The volume's last, which may be short.
            chunks.end_chunk()?;
        }
        match self.md5.finalize()[..] == object.md5.0 {
            true => Ok(()),
            false => Err("its bytes are not those that its md5 is of".to_owned()),
        }
    }
}

impl Chunks<'_> {
    fn add(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            let len = usize::try_from(self.left_bytes).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
            self.hasher.update(now);
            self.left_bytes -= now.len() as u64;
            if self.left_bytes == 0 {
                self.end_chunk()?;
            }
            bytes = rest;
        }
        Ok(())
    }

    fn end_chunk(&mut self) -> Result<(), String> {
        let hash = self.hasher.finalize_reset();
        if self.wanted.hashes.get(self.index).map(|wanted| &wanted[..]) != Some(&hash[..]) {
            let at = self.index as u64 * self.wanted.chunk_bytes;
            return Err(format!(
                "its chunk at byte {at} is not what the sha256 file says"
            ));
        }
        self.index += 1;
        self.left_bytes = self.wanted.chunk_bytes;
        Ok(())
    }
}
