//! Snapshot while attached, write more, detach, revert, extend, and two copies.

use anyhow::ensure;
use ashlar_tests::Result;
use ashlar_tests::tree;

use crate::attach::{IMAGE_LEN, Written};
use crate::story::{Story, text};

/// The ids of what was made from the volume.
pub(crate) struct Copies {
    /// The snapshot.
    pub(crate) snapshot: String,
    /// A volume made from the snapshot.
    pub(crate) from_snapshot: String,
    /// A clone of the volume.
    pub(crate) clone: String,
}

/// Leaves the volume detached, reverted and extended.
pub(crate) fn chapter(story: &mut Story, volume: &str, written: &Written) -> Result<Copies> {
    story.heading("Snapshot, revert, extend, copies");
    let snapshot = story.step("snapshot it while it is attached", |story| {
        story
            .cli
            .one(&["snapshot", "create", volume, "monday", "--wait"])
    })?;
    let snapshot = text(&snapshot, "id");
    story.step("write more: the same files damaged, and others", |story| {
        write_more(story, written)
    })?;
    story.step("detach", |story| {
        story
            .cli
            .done(&["attachment", "delete", &written.attachment_id, "--yes"])?;
        let volume = story.cli.one(&["volume", "show", volume])?;
        ensure!(
            volume["status"] == "available",
            "the volume is {}",
            volume["status"]
        );
        Ok(())
    })?;
    story.step("revert to the snapshot", |story| {
        story
            .cli
            .done(&["volume", "revert", volume, &snapshot, "--yes", "--wait"])
    })?;
    story.step("extend to 2 GiB", |story| {
        let volume = story
            .cli
            .one(&["volume", "extend", volume, "+1G", "--wait"])?;
        ensure!(volume["size"] == 2, "its size is {}", volume["size"]);
        Ok(())
    })?;
    let refusal = story.step(
        "a revert is now refused, since the snapshot is smaller",
        |story| {
            story
                .cli
                .refused(&["volume", "revert", volume, &snapshot, "--yes"], 5)
        },
    )?;
    story.note(&refusal);
    let from_snapshot = story.step("create a second volume from the snapshot", |story| {
        story.cli.one(&[
            "volume",
            "create",
            "copy",
            "--snapshot",
            &snapshot,
            "--wait",
        ])
    })?;
    let clone = story.step("create a third as a clone of the first", |story| {
        story
            .cli
            .one(&["volume", "create", "clone", "--source", volume, "--wait"])
    })?;
    Ok(Copies {
        snapshot,
        from_snapshot: text(&from_snapshot, "id"),
        clone: text(&clone, "id"),
    })
}

/// Another file system over the first: what a careless evening does to a volume.
fn write_more(story: &Story, written: &Written) -> Result<()> {
    let dir = story.path("more");
    tree::copy_sources(&story.path("sources"), &dir)?;
    std::fs::write(dir.join("README.md"), "overwritten after the snapshot\n")?;
    std::fs::write(dir.join("more"), vec![0xa5; 8 << 20])?;
    let image = story.path("ext4.more");
    tree::make_ext4(&image, IMAGE_LEN, &dir)?;
    written.disk.write_image(&image, false)?;
    std::fs::remove_file(image)?;
    Ok(())
}
