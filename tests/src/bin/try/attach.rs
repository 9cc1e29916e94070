//! Reserve, connector in, connection info out, log in with CHAP, write a file system, complete.

use anyhow::ensure;
use ashlar_tests::initiator::{Disk, INITIATOR};
use ashlar_tests::tree::{self, Sums};
use ashlar_tests::{Result, binary};
use serde_json::Value;

use crate::story::{Story, text};

/// The length of the file system: that of the volume.
pub(crate) const IMAGE_LEN: u64 = 1 << 30;

/// What is on the volume, and through what it was written.
pub(crate) struct Written {
    /// The attachment, complete.
    pub(crate) attachment_id: String,
    /// The disk behind it.
    pub(crate) disk: Disk,
    /// What was written.
    pub(crate) sources: Sums,
}

/// Leaves the volume attached, with a file system on it.
pub(crate) fn chapter(story: &mut Story, volume: &str) -> Result<Written> {
    story.heading("Attached, over iSCSI with CHAP");
    let reserved = story.step("reserve the volume for a host", |story| {
        story.cli.one(&["attachment", "create", volume])
    })?;
    ensure!(
        reserved["status"] == "reserved",
        "the attachment is {}",
        reserved["status"]
    );
    let attachment_id = text(&reserved, "id");
    let info = connect(story, &attachment_id)?;
    let disk = Disk::new(&story.qemu, &info, INITIATOR)?;
    let sources = write(story, &disk)?;
    story.step("complete the attachment", |story| {
        story
            .cli
            .done(&["attachment", "complete", &attachment_id])?;
        let volume = story.cli.one(&["volume", "show", volume])?;
        ensure!(
            volume["status"] == "in-use",
            "the volume is {}",
            volume["status"]
        );
        Ok(())
    })?;
    Ok(Written {
        attachment_id,
        disk,
        sources,
    })
}

fn connect(story: &mut Story, attachment_id: &str) -> Result<Value> {
    let connected = story.step("the host's connector in, connection info out", |story| {
        let host = [
            "--initiator",
            INITIATOR,
            "--host",
            "host1",
            "--ip",
            "127.0.0.1",
        ];
        story
            .cli
            .one(&[&["attachment", "update", attachment_id], host.as_slice()].concat())
    })?;
    let info = connected["connection_info"].clone();
    story.note(&format!(
        "{} at {}",
        text(&info, "target_iqn"),
        text(&info, "target_portal")
    ));
    story.step(
        "logins without the CHAP secret or with a wrong one are refused",
        |story| {
            let disk = || Disk::new(&story.qemu, &info, INITIATOR);
            ensure!(
                !disk()?.with_secret(None)?.is_open(),
                "no secret was needed"
            );
            ensure!(
                !disk()?.with_secret(Some("wrong-secret-123"))?.is_open(),
                "any secret will do"
            );
            Ok(())
        },
    )?;
    Ok(info)
}

fn write(story: &mut Story, disk: &Disk) -> Result<Sums> {
    let dir = story.path("sources");
    let (count, len_bytes) = tree::copy_sources(&binary::workspace(), &dir)?;
    let image = story.path("ext4");
    let what = format!(
        "make an ext4 file system of {count} files, {} KiB",
        len_bytes >> 10
    );
    story.step(&what, |_| tree::make_ext4(&image, IMAGE_LEN, &dir))?;
    story.step("log in and write it through iSCSI", |_| {
        disk.write_image(&image, true)
    })?;
    std::fs::remove_file(image)?;
    tree::sums(&dir)
}
