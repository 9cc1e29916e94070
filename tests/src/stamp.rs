//! Stamps: every block says which volume, which offset and which generation wrote it, so that a lost, stale or
//! misplaced block cannot look right.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use anyhow::{bail, ensure};

use crate::Result;
use crate::initiator::Disk;

/// The unit of stamping: a page, as file systems write.
pub const BLOCK_LEN: u64 = 4096;
/// The sector is stamped too, so that a torn block is seen.
const SECTOR_LEN: usize = 512;

/// What one write left behind: which volume it was for, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Number of the volume in this test.
    pub volume: u32,
    /// Counts up with every write of the test.
    pub generation: u64,
}

/// The block that this stamp puts at block number `block`.
pub fn block(stamp: Stamp, block: u64) -> Vec<u8> {
    let mut text = String::new();
    let mut bytes = Vec::new();
    let sectors = usize::try_from(BLOCK_LEN).unwrap_or(SECTOR_LEN) / SECTOR_LEN;
    for sector in 0..sectors {
        text.clear();
        let Stamp { volume, generation } = stamp;
        let _ = writeln!(text, "ashlar v{volume} b{block} s{sector} g{generation}");
        bytes.extend(text.bytes().cycle().take(SECTOR_LEN));
    }
    bytes
}

/// What a disk should hold: block number to stamp; a block that is not in it reads as zeros.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    blocks: BTreeMap<u64, Stamp>,
}

impl Expected {
    /// Notes a write.
    pub fn set(&mut self, block: u64, stamp: Stamp) {
        self.blocks.insert(block, stamp);
    }

    /// The blocks that were ever written.
    pub fn written(&self) -> impl Iterator<Item = u64> + '_ {
        self.blocks.keys().copied()
    }

    /// Compares what was read at `first_block` with what should be there.
    pub fn check(&self, first_block: u64, bytes: &[u8]) -> Result<()> {
        let step = usize::try_from(BLOCK_LEN)?;
        ensure!(
            bytes.len().is_multiple_of(step),
            "a torn read of {} bytes",
            bytes.len()
        );
        for (number, found) in (first_block..).zip(bytes.chunks(step)) {
            match self.blocks.get(&number) {
                Some(stamp) if found == block(*stamp, number) => {}
                None if found.iter().all(|byte| *byte == 0) => {}
                wanted => bail!(
                    "block {number} should be {wanted:?} and is {}",
                    describe(found)
                ),
            }
        }
        Ok(())
    }

    /// Reads the disk's first `len_bytes` and checks every block.
    pub fn check_disk(&self, disk: &Disk, len_bytes: u64) -> Result<()> {
        self.check(0, &disk.read(0, len_bytes)?)
    }

    /// Checks every block of an image of the whole disk.
    pub fn check_image(&self, image: &Path) -> Result<()> {
        const CHUNK_LEN: usize = 1 << 20;
        let zeros = vec![0; CHUNK_LEN];
        let mut buffer = vec![0; CHUNK_LEN];
        let mut file = std::fs::File::open(image)?;
        let mut number = 0;
        let mut written = self.written().peekable();
        while number * BLOCK_LEN < file.metadata()?.len() {
            file.read_exact(&mut buffer)?;
            let next = number + u64::try_from(CHUNK_LEN)? / BLOCK_LEN;
            let mut is_written = false;
            while written.next_if(|block| *block < next).is_some() {
                is_written = true;
            }
            // Comparing whole chunks is what makes a gigabyte of holes cheap.
            if is_written || buffer != zeros {
                self.check(number, &buffer)?;
            }
            number = next;
        }
        Ok(())
    }
}

fn describe(found: &[u8]) -> String {
    if found.iter().all(|byte| *byte == 0) {
        return "zeros".to_owned();
    }
    let text = String::from_utf8_lossy(&found[..found.len().min(SECTOR_LEN)]).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Writes stamped blocks in one login, all of them flushed at the end.
pub fn write(
    disk: &Disk,
    dir: &Path,
    expected: &mut Expected,
    at: &[u64],
    stamp: Stamp,
) -> Result<()> {
    let mut commands = Vec::new();
    for number in at {
        let file = dir.join(format!("stamp-{}-{number}", stamp.generation));
        std::fs::write(&file, block(stamp, *number))?;
        let offset = number * BLOCK_LEN;
        commands.push(format!(
            "write -q -s {} {offset} {BLOCK_LEN}",
            file.display()
        ));
        expected.set(*number, stamp);
    }
    commands.push("flush".to_owned());
    disk.io(&commands)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        volume: 1,
        generation: 7,
    };

    #[test]
    fn a_right_block_passes_and_a_stale_misplaced_torn_or_lost_one_does_not() {
        let mut expected = Expected::default();
        expected.set(3, STAMP);
        assert!(expected.check(3, &block(STAMP, 3)).is_ok());
        assert!(expected.check(4, &vec![0; 4096]).is_ok());
        let stale = block(
            Stamp {
                generation: 6,
                ..STAMP
            },
            3,
        );
        let mut torn = block(STAMP, 3);
        torn[512..1024].copy_from_slice(&stale[512..1024]);
        for bad in [stale, torn, block(STAMP, 2), vec![0; 4096]] {
            assert!(expected.check(3, &bad).is_err());
        }
        assert!(expected.check(4, &block(STAMP, 4)).is_err());
    }
}
