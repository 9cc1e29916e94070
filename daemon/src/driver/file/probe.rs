//! What the file system under a pool can do, found out by trying.

use super::layout::{Layout, Name, Partial, Place};
use super::pool_file::PoolFile;
use crate::driver::DriverError;

/// One extent, large enough not to be kept inline with the file's metadata.
static PROBE: [u8; 64 << 10] = [1; 64 << 10];

/// What the file system under a pool can do, as tried out when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abilities {
    /// Files can share blocks.
    pub(super) reflink: bool,
    /// Space can be taken before it is written.
    pub(super) thick: bool,
}

/// Tries out what the file system can do, on two files of its own.
pub(super) fn probe(layout: &Layout) -> Result<Abilities, DriverError> {
    let make = |text: &str| {
        let name = Name {
            text: text.to_owned(),
            home: Place::Partial,
        };
        layout.unlink(&layout.partial(&name))?;
        let partial = Partial::at(layout, &name);
        let file = PoolFile::create(partial.path(), text, layout.pool())?;
        Ok::<_, DriverError>((partial, file))
    };
    let (_one_partial, one) = make("probe-1")?;
    let (_other_partial, other) = make("probe-2")?;
    one.write_at(&PROBE, 0)?;
    let reflink = other.reflink_from(&one)?;
    let probe_bytes = PROBE.len() as u64;
    let thick = match one.allocate(probe_bytes..2 * probe_bytes, || Ok(())) {
        Ok(()) => true,
        Err(DriverError::Unsupported { .. }) => false,
        Err(error) => return Err(error),
    };
    Ok(Abilities { reflink, thick })
}
