//! What a disk has after a power cut that it had not been told to keep: nothing.
//!
//! QEMU's `blklogwrites` writes down every write and flush of a disk. Replayed up to the last flush, the log is the
//! disk as it would be if its cache had lost everything since. The log's form is that of Linux' dm-log-writes
//! (`Documentation/admin-guide/device-mapper/log-writes.rst`): a superblock, then entries, each a sector of its own
//! and the data after it.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{bail, ensure};

use crate::Result;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FUA: u64 = 1 << 1;
const DISCARD: u64 = 1 << 2;
/// Entries have their sectors in these units, whatever the log's own sector is.
const LOG_LEN_MAX: u64 = 64 << 30;

/// One entry.
struct Entry {
    sector: u64,
    sectors: u64,
    flags: u64,
    /// Where its data is in the log.
    data: u64,
}

/// Writes into `disk`, which is as it was when the log was begun, all that a flush had made lasting. Returns how many
/// writes were lost.
pub fn replay(log: &Path, disk: &Path) -> Result<usize> {
    let mut log = BufReader::new(File::open(log)?);
    let (entries, sector_len) = entries(&mut log)?;
    let last = entries
        .iter()
        .rposition(|entry| entry.flags & (FLUSH | FUA) != 0);
    let kept = last.map_or(0, |last| last + 1);
    let mut disk = File::options().write(true).open(disk)?;
    for entry in &entries[..kept] {
        let len = entry.sectors * sector_len;
        if len == 0 {
            continue;
        }
        disk.seek(SeekFrom::Start(entry.sector * sector_len))?;
        if entry.flags & DISCARD != 0 {
            let copied = std::io::copy(&mut std::io::repeat(0).take(len), &mut disk)?;
            ensure!(copied == len, "the disk is shorter than its log");
            continue;
        }
        log.seek(SeekFrom::Start(entry.data))?;
        let copied = std::io::copy(&mut (&mut log).take(len), &mut disk)?;
        ensure!(copied == len, "the log ends within an entry");
    }
    disk.flush()?;
    let lost = entries[kept..].iter().filter(|entry| entry.sectors > 0);
    Ok(lost.count())
}

fn entries(log: &mut (impl Read + Seek)) -> Result<(Vec<Entry>, u64)> {
    let mut head = [0; 28];
    log.read_exact(&mut head)?;
    ensure!(word(&head, 0) == MAGIC, "this is no log of writes");
    let count = word(&head, 2);
    let sector_len = u64::from(u32::from_le_bytes([head[24], head[25], head[26], head[27]]));
    ensure!(
        (512..=4096).contains(&sector_len),
        "sectors of {sector_len} bytes"
    );
    let mut entries = Vec::new();
    let mut at = sector_len;
    for _ in 0..count {
        log.seek(SeekFrom::Start(at))?;
        let mut entry = [0; 32];
        log.read_exact(&mut entry)?;
        let entry = Entry {
            sector: word(&entry, 0),
            sectors: word(&entry, 1),
            flags: word(&entry, 2),
            data: at + sector_len,
        };
        let has_data = entry.flags & DISCARD == 0;
        at = entry.data
            + if has_data {
                entry.sectors * sector_len
            } else {
                0
            };
        if at > LOG_LEN_MAX {
            bail!("the log is not credible");
        }
        entries.push(entry);
    }
    Ok((entries, sector_len))
}

fn word(bytes: &[u8], number: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[number * 8..number * 8 + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(entries: &[(u64, u8, u64)]) -> Vec<u8> {
        let mut log = Vec::new();
        for number in [MAGIC, 1, entries.len() as u64] {
            log.extend(number.to_le_bytes());
        }
        log.extend(512_u32.to_le_bytes());
        log.resize(512, 0);
        for (sector, fill, flags) in entries {
            let sectors = u64::from(*fill != 0 || flags & DISCARD != 0);
            let start = log.len();
            for number in [*sector, sectors, *flags, 0] {
                log.extend(number.to_le_bytes());
            }
            log.resize(start + 512, 0);
            if *fill != 0 {
                log.resize(start + 1024, *fill);
            }
        }
        log
    }

    #[test]
    fn what_was_not_flushed_is_lost() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let (log_path, disk) = (dir.path().join("log"), dir.path().join("disk"));
        std::fs::write(&disk, [9; 2048])?;
        let written = [
            (0, 1, 0),
            (2, 0, DISCARD),
            (0, 0, FLUSH),
            (1, 2, FUA),
            (3, 4, 0),
        ];
        std::fs::write(&log_path, log(&written))?;
        assert_eq!(replay(&log_path, &disk)?, 1);
        let disk = std::fs::read(disk)?;
        let firsts: Vec<u8> = disk.chunks(512).map(|sector| sector[0]).collect();
        assert_eq!(firsts, [1, 2, 0, 9]);
        Ok(())
    }
}
