//! Where the bytes of volumes are kept, for tests that read and write them.

/// What a new part of a volume reads as before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Zeros, as a thin pool gives them.
    Zeros,
    /// Whatever the disks held, as of a thick volume.
    Leftovers,
}

/// The bytes of volumes, each known by its key.
pub trait Content: Send {
    /// A new volume.
    fn make(&mut self, key: u64, len_bytes: u64, holds: Holds);
    /// A new volume that reads as `from` does now, or one that is put back to it.
    fn copy(&mut self, from: u64, to: u64);
    /// Another length; what is cut is lost.
    fn resize(&mut self, key: u64, len_bytes: u64, holds: Holds);
    /// A volume is no more.
    fn remove(&mut self, key: u64);
    /// The device node of a volume appears.
    fn show(&mut self, vg: &str, lv: &str, key: u64);
    /// It goes.
    fn hide(&mut self, vg: &str, lv: &str);
}

/// Volumes without bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoContent;

impl Content for NoContent {
    fn make(&mut self, _key: u64, _len_bytes: u64, _holds: Holds) {}
    fn copy(&mut self, _from: u64, _to: u64) {}
    fn resize(&mut self, _key: u64, _len_bytes: u64, _holds: Holds) {}
    fn remove(&mut self, _key: u64) {}
    fn show(&mut self, _vg: &str, _lv: &str, _key: u64) {}
    fn hide(&mut self, _vg: &str, _lv: &str) {}
}
