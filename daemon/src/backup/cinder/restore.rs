//! Writing a backup to a file or device: the full backup that it stands on, then each that stands on that, as Cinder does.
//!
//! Cinder believes what it reads. Here each object is read twice: looked at first, its md5 and its chunks' sha256, and
//! written when it was found good. That all objects are there is known before the first byte is written.

use super::catalogue::{Catalogue, Link, metadata};
use super::files::Files;
use super::layer::Layer;
use super::object;
use crate::backup::worker::device::Opened;
use crate::backup::worker::pipe::Failure;
use crate::driver::Work;
use crate::model::id::BackupId;
use std::sync::atomic::{AtomicU64, Ordering};

/// Made zero at once: where that means writing zeros, a cancel waits for no more.
const GAP_BYTES: u64 = 64 << 20;

/// Writes the backup `id` to `target`, and zeros wherever it has none.
pub(super) fn restore(
    files: &Files,
    id: BackupId,
    target: &Opened,
    is_blank: bool,
    work: &Work,
) -> Result<(), Failure> {
    let chain = Catalogue::open(files)?.chain(id)?;
    let len_bytes = chain.last().map_or(0, Link::len_bytes);
    target.holds(len_bytes)?;
    for link in &chain {
        is_whole(files, link)?;
    }
    if !is_blank {
        erase(target, work)?;
    }
    let total_bytes: u64 = chain.iter().map(|link| link.data_bytes).sum();
    let done_bytes = AtomicU64::new(0);
    let mut parent = None;
    for link in &chain {
        let write = |bytes: &[u8], at: u64| -> Result<(), Failure> {
            let room = usize::try_from(len_bytes.saturating_sub(at)).unwrap_or(usize::MAX);
            // A parent may be of a larger volume.
            let within = bytes.get(..room).unwrap_or(bytes);
            match parent {
                // Zeros are there already.
                None => target.write_nonzero(within, at)?,
                Some(_) => target.write(within, at)?,
            }
            let len = bytes.len() as u64;
            let before = done_bytes.fetch_add(len, Ordering::Relaxed);
            work.report(before + len, total_bytes);
            Ok(())
        };
        Layer::open(files, link, parent)?.each(|piece| {
            object::read(files, link, piece, &mut |_, _| Ok(()))?;
            object::read(files, link, piece, &mut |bytes, at| write(bytes, at))
        })?;
        parent = Some(link);
    }
    target.sync()?;
    work.report(total_bytes, total_bytes);
    Ok(())
}

/// Looks whether all objects of a backup are there.
pub(super) fn is_whole(files: &Files, link: &Link) -> Result<(), Failure> {
    let objects = metadata(files, &link.found)?.objects;
    let mut objects = objects.iter();
    objects.try_for_each(|object| object::is_there(files, link, object))
}

fn erase(target: &Opened, work: &Work) -> Result<(), Failure> {
    let mut at = 0;
    while at < target.len_bytes() {
        if work.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        let end = (at + GAP_BYTES).min(target.len_bytes());
        target.erase(at..end)?;
        at = end;
        work.report(at, target.len_bytes());
    }
    Ok(())
}
