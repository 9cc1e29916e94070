//! The end of the story on a terminal: the console on the daemon of the story, with something in it to look at.

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::Context as _;
use ashlar_tests::{Result, cmd};

use crate::story::Story;

/// Whether somebody sits there to look.
pub(crate) fn is_wanted() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Opens the console and comes back when it is left; the daemon runs on meanwhile.
pub(crate) fn chapter(story: &mut Story, ashlar: &Path, socket: &Path) -> Result<()> {
    story.heading("The console, to look round; q leaves it and ends the daemon");
    story.step("create two volumes and a snapshot to look at", |story| {
        for name in ["data", "logs"] {
            story
                .cli
                .done(&["volume", "create", name, "--size", "1G", "--wait"])?;
        }
        story
            .cli
            .done(&["snapshot", "create", "data", "monday", "--wait"])
    })?;
    let mut command = cmd::program(ashlar);
    command
        .arg("tui")
        .env("ASHLAR_ENDPOINT", format!("unix:{}", socket.display()))
        .stdin(std::process::Stdio::inherit());
    // The terminal's own locale says which characters it can show.
    match std::env::var_os("LC_ALL") {
        Some(locale) => command.env("LC_ALL", locale),
        None => command.env_remove("LC_ALL"),
    };
    let status = command.status().context("opening the console")?;
    anyhow::ensure!(status.success(), "the console ended with {status}");
    Ok(())
}
