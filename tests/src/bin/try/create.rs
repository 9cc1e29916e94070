//! A volume type, and a volume of it.

use anyhow::ensure;
use ashlar_tests::Result;

use crate::story::{Story, text};

/// The volume's id.
pub(crate) fn chapter(story: &mut Story) -> Result<String> {
    story.heading("A volume");
    story.step("create the volume type `embedded`", |story| {
        story
            .cli
            .one(&["type", "create", "embedded", "--description", "file pool"])
    })?;
    let volume = story.step(
        "create the 1 GiB volume `data` and wait until available",
        |story| {
            let args = [
                "volume", "create", "data", "--size", "1G", "--type", "embedded", "--wait",
            ];
            story.cli.one(&args)
        },
    )?;
    ensure!(
        volume["status"] == "available",
        "the volume is {}",
        volume["status"]
    );
    ensure!(
        volume["volume_type"] == "embedded",
        "its type is {}",
        volume["volume_type"]
    );
    story.note(&format!("volume {}", text(&volume, "id")));
    Ok(text(&volume, "id"))
}
