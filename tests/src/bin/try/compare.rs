//! Everything read back over iSCSI and compared with what was written.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::ensure;
use ashlar_tests::Result;
use ashlar_tests::initiator::Disk;
use ashlar_tests::tree::{self, Sums};

use crate::keep::Copies;
use crate::story::{Story, text};

/// Leaves every volume detached.
pub(crate) fn chapter(story: &mut Story, volume: &str, copies: &Copies, sums: &Sums) -> Result<()> {
    story.heading("Read back");
    let all = [
        ("the reverted volume", volume),
        ("the volume from the snapshot", &copies.from_snapshot),
        ("the clone", &copies.clone),
    ];
    for (name, id) in all {
        let what = format!(
            "{name}: e2fsck -fn is clean, {} sha256 sums are equal",
            sums.len()
        );
        story.step(&what, |story| {
            story.on_host(id, |story, disk| same_files(story, disk, sums))
        })?;
    }
    story.step("a new volume reads as zeros", |story| {
        let fresh = story
            .cli
            .one(&["volume", "create", "fresh", "--size", "1G", "--wait"])?;
        let id = text(&fresh, "id");
        let image = story.path("fresh");
        story.on_host(&id, |_, disk| disk.read_image(&image))?;
        ensure!(is_zero(&image)?, "a new volume holds data");
        std::fs::remove_file(image)?;
        story
            .cli
            .done(&["volume", "delete", &id, "--yes-delete", "fresh", "--wait"])
    })
}

fn same_files(story: &Story, disk: &Disk, sums: &Sums) -> Result<()> {
    let image = story.path("read-back");
    disk.read_image(&image)?;
    tree::check_ext4(&image)?;
    let dir = story.path("read-back.files");
    tree::dump_ext4(&image, &dir)?;
    let found = tree::sums(&dir)?;
    ensure!(
        found.len() == sums.len(),
        "{} files instead of {}",
        found.len(),
        sums.len()
    );
    for (path, sum) in sums {
        ensure!(
            found.get(path) == Some(sum),
            "{} is not what was written",
            path.display()
        );
    }
    std::fs::remove_dir_all(dir)?;
    std::fs::remove_file(image)?;
    Ok(())
}

fn is_zero(image: &Path) -> Result<bool> {
    const CHUNK_LEN: usize = 1 << 20;
    let zeros = vec![0; CHUNK_LEN];
    let mut buffer = vec![0; CHUNK_LEN];
    let mut file = File::open(image)?;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(true),
            len if buffer[..len] != zeros[..len] => return Ok(false),
            _ => {}
        }
    }
}
