//! FIEMAP: which extents of a file it shares with other files (reflinks), asked of the file system.
//!
//! Knows no pool and no driver. A file system without FIEMAP answers `EOPNOTSUPP`; callers treat that as an error,
//! never as "nothing is shared".

use rustix::fd::AsFd;
use rustix::io::{self, Errno};
use rustix::ioctl;
use std::ops::Range;

/// Extents asked for in one call: 32 are 1.8 KiB on the stack, and a caller's slice rarely has more.
const EXTENTS_PER_CALL: usize = 32;
/// The same, as the kernel counts.
const EXTENT_COUNT: u32 = 32;
/// Calls for one range: file systems cut extents at 4 KiB or more, so that this many cover 1 GiB at the worst.
const CALLS_MAX: usize = 8192;

// Values of <linux/fiemap.h>.
const FLAG_SYNC: u32 = 0x0001;
const EXTENT_LAST: u32 = 0x0001;
const EXTENT_SHARED: u32 = 0x2000;

/// `struct fiemap_extent`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Extent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

/// `struct fiemap` without its flexible array; its size is part of the request's number.
#[repr(C)]
struct Header {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
}

/// `struct fiemap` with room for the extents that the kernel writes behind it.
#[repr(C)]
struct Request {
    header: Header,
    extents: [Extent; EXTENTS_PER_CALL],
}

const FS_IOC_FIEMAP: ioctl::Opcode = ioctl::opcode::read_write::<Header>(b'f', 11);

/// The parts of `range` whose blocks also belong to another file, sorted and apart. Dirty pages of the file are
/// written back first, since they have no blocks yet.
pub fn shared_ranges(fd: impl AsFd, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
    let mut shared: Vec<Range<u64>> = Vec::new();
    let mut at = range.start;
    for _ in 0..CALLS_MAX {
        if at >= range.end {
            return Ok(shared);
        }
        let (extents, count) = extents_from(&fd, at, range.end - at)?;
        let Some(found) = extents.get(..count).filter(|found| !found.is_empty()) else {
            return Ok(shared);
        };
        for extent in found {
            let start = extent.logical.max(range.start);
            let end = extent.logical.saturating_add(extent.length).min(range.end);
            if extent.flags & EXTENT_SHARED != 0 && start < end {
                match shared.last_mut().filter(|last| last.end >= start) {
                    Some(last) => last.end = last.end.max(end),
                    None => shared.push(start..end),
                }
            }
            at = at.max(end);
        }
        let was_last = found
            .last()
            .is_some_and(|extent| extent.flags & EXTENT_LAST != 0);
        if was_last || count < EXTENTS_PER_CALL {
            return Ok(shared);
        }
    }
    Err(Errno::OVERFLOW)
}

#[expect(
    unsafe_code,
    reason = "FIEMAP has no safe wrapper; the call is made here only"
)]
fn extents_from(
    fd: impl AsFd,
    start: u64,
    length: u64,
) -> io::Result<([Extent; EXTENTS_PER_CALL], usize)> {
    let mut request = Request {
        header: Header {
            start,
            length,
            flags: FLAG_SYNC,
            mapped_extents: 0,
            extent_count: EXTENT_COUNT,
            reserved: 0,
        },
        extents: [Extent::default(); EXTENTS_PER_CALL],
    };
    // SAFETY: the opcode is FS_IOC_FIEMAP, for which the kernel expects a `struct fiemap` followed by `extent_count`
    // of `struct fiemap_extent`: `Request` is both, in C layout, with no padding between (32 and 56 bytes, 8-aligned),
    // and `extent_count` is the true length of its array. The kernel writes plain integers only, every bit pattern of
    // which is valid, and keeps no pointer after the call.
    unsafe {
        let updater = ioctl::Updater::<FS_IOC_FIEMAP, Request>::new(&mut request);
        ioctl::ioctl(fd, updater)?;
    }
    let count = usize::try_from(request.header.mapped_extents)
        .unwrap_or(EXTENTS_PER_CALL)
        .min(EXTENTS_PER_CALL);
    Ok((request.extents, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn layout_is_the_kernels() {
        assert_eq!(usize::try_from(EXTENT_COUNT), Ok(EXTENTS_PER_CALL));
        assert_eq!(size_of::<Header>(), 32);
        assert_eq!(size_of::<Extent>(), 56);
        assert_eq!(std::mem::offset_of!(Request, extents), 32);
        assert_eq!(FS_IOC_FIEMAP, 0xC020_660B);
    }

    #[test]
    fn a_file_of_its_own_shares_nothing() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 64 << 10]).unwrap();
        match shared_ranges(&file, 0..64 << 10) {
            Ok(shared) => assert_eq!(shared, []),
            // tmpfs has no FIEMAP, and says so.
            Err(error) => assert_eq!(error, Errno::OPNOTSUPP),
        }
    }
}
