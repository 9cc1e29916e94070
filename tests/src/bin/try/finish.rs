//! A volume with a snapshot cannot be deleted; then everything goes, and the pool is as it was.

use std::collections::BTreeSet;

use anyhow::ensure;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::{Result, pool};

use crate::keep::Copies;
use crate::story::Story;

/// Leaves nothing.
pub(crate) fn chapter(
    story: &mut Story,
    daemon: &Daemon,
    before: &BTreeSet<String>,
    volume: &str,
    copies: &Copies,
) -> Result<()> {
    story.heading("The end of it");
    let refusal = story.step("a volume with a snapshot cannot be deleted", |story| {
        story
            .cli
            .refused(&["volume", "delete", volume, "--yes-delete", volume], 5)
    })?;
    story.note(&refusal);
    ensure!(refusal.contains("answer 400"), "the refusal is not a 400");
    story.step("delete the snapshot", |story| {
        story
            .cli
            .done(&["snapshot", "delete", &copies.snapshot, "--yes", "--wait"])
    })?;
    story.step(
        "delete the three volumes and the type, overwriting what they held",
        |story| {
            let ids = [volume, &copies.from_snapshot, &copies.clone];
            let mut args = vec!["volume", "delete"];
            args.extend(ids);
            for id in ids {
                args.extend(["--yes-delete", id]);
            }
            args.push("--wait");
            story.cli.done(&args)?;
            story.cli.done(&["type", "delete", "embedded", "--yes"])
        },
    )?;
    story.step("the pool holds not one file more than before", |_| {
        let after = pool::names(&daemon.pool_dir())?;
        ensure!(after == *before, "before: {before:?}\nafter: {after:?}");
        Ok(())
    })
}
