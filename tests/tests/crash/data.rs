//! Data in the crash harness: a fixed sample of points carries stamps through the tour.
//!
//! What the tour does to volume `a` after it was stamped (snapshot, revert to that, extend) leaves the stamps as they
//! are, and `b` and `c` are copies: so every volume that is whole must show them, wherever the daemon died.

use anyhow::Context as _;
use ashlar_tests::Result;
use ashlar_tests::attached::Attached;
use ashlar_tests::client::{Client, id};
use ashlar_tests::qemu::{self, Qemu};
use ashlar_tests::seed::say;
use ashlar_tests::stamp::{self, BLOCK_LEN, Expected, Stamp};

/// One point in so many carries data.
const ONE_IN: usize = 5;
const BLOCKS: &[u64] = &[0, 1, 7, 100, 255];
const READ_LEN: u64 = 256 * BLOCK_LEN;

/// Whether the point of this number carries data here, and with what tools.
pub(crate) fn sampled(number: usize) -> Option<Qemu> {
    if number.is_multiple_of(ONE_IN) {
        qemu::ready(say).ok()
    } else {
        None
    }
}

/// Stamps a volume. `None` when the daemon died meanwhile, as it may have been told to.
pub(crate) fn stamp(client: &Client, qemu: &Qemu, volume_id: &str) -> Result<Option<Expected>> {
    let Ok(attached) = Attached::new(client, qemu, volume_id) else {
        return if client.is_up() {
            Err(anyhow::anyhow!("not attached"))
        } else {
            Ok(None)
        };
    };
    let dir = tempfile::tempdir()?;
    let mut expected = Expected::default();
    let by_us = Stamp {
        volume: 1,
        generation: 1,
    };
    stamp::write(&attached.disk, dir.path(), &mut expected, BLOCKS, by_us)?;
    match attached.release(client) {
        Ok(()) => Ok(Some(expected)),
        Err(error) if client.is_up() => Err(error),
        Err(_) => Ok(Some(expected)),
    }
}

/// Every volume that is whole holds the stamps, and nothing else.
pub(crate) fn verify(client: &Client, qemu: &Qemu, expected: &Expected) -> Result<()> {
    for volume in client.all("/volumes/detail", "volumes")? {
        if volume["status"] != "available" {
            continue;
        }
        let attached = Attached::new(client, qemu, &id(&volume)?)?;
        let checked = expected.check(0, &attached.disk.read(0, READ_LEN)?);
        checked.with_context(|| format!("the data of {volume}"))?;
        attached.release(client)?;
    }
    Ok(())
}
