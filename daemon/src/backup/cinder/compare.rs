//! Comparing what a backup was restored into with the backup's sha256 file, which is of the whole volume whatever it stands on.

use super::catalogue::{Catalogue, Link, metadata};
use super::files::Files;
use super::hashes::Hash;
use super::layer::{hashes, misread};
use super::metadata::Object;
use crate::backup::worker::device::Opened;
use crate::backup::worker::pipe::Failure;
use crate::driver::Work;
use crate::model::id::BackupId;
use sha2::{Digest as _, Sha256};
use std::ops::Range;

/// Read at once, whatever length a chunk claims to have.
const PIECE_BYTES: u64 = 1 << 20;

/// That `device` has the bytes of the backup `id`, and zeros beyond them.
pub(super) fn compare(
    files: &Files,
    id: BackupId,
    device: &Opened,
    work: &Work,
) -> Result<(), Failure> {
    let chain = Catalogue::open(files)?.chain(id)?;
    let Some(link) = chain.last() else {
        let backup = id.to_string();
        return Err(Failure::Absent { backup });
    };
    let Some(mut hashes) = hashes(files, link)? else {
        let why = "it is so old that it has no sha256 file; there is nothing to compare with";
        return Err(Failure::Unavailable(format!("backup {id}: {why}")));
    };
    device.holds(link.len_bytes())?;
    let chunk_bytes = hashes.chunk_bytes();
    let len_bytes = data_end(files, &chain)?.min(link.len_bytes());
    let mut at = 0;
    while at < len_bytes {
        let next = hashes
            .next()
            .map_err(|error| misread(files, link, &error))?;
        let Some(hash) = next else {
            return Err(link.damaged("its sha256 file ends before its data"));
        };
        let end = at.saturating_add(chunk_bytes).min(len_bytes);
        if digest(device, at..end, link, work)? != hash {
            return Err(device.differs(at));
        }
        at = end;
    }
    device.is_zero_in(at..device.len_bytes())
}

/// Where the last object of a chain ends: the last chunk is no longer than that.
fn data_end(files: &Files, chain: &[Link]) -> Result<u64, Failure> {
    let mut end = 0;
    for link in chain {
        let objects = metadata(files, &link.found)?.objects;
        end = objects.iter().map(Object::end).fold(end, u64::max);
    }
    Ok(end)
}

fn digest(device: &Opened, range: Range<u64>, link: &Link, work: &Work) -> Result<Hash, Failure> {
    let mut hasher = Sha256::new();
    let mut at = range.start;
    while at < range.end {
        if work.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        let len_bytes = (range.end - at).min(PIECE_BYTES);
        hasher.update(device.read(at, len_bytes)?);
        at += len_bytes;
        work.report(at, link.len_bytes());
    }
    Ok(hasher.finalize().into())
}
