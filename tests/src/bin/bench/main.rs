//! `make bench`: what Ashlar reaches, figure beside goal, as a client on the same machine sees it.
//!
//! Release build, over loopback TCP, the daemon as a user runs it. The rounds of all figures are interleaved, so that
//! a busy minute spoils one round of each and not all rounds of one; the median counts. `ONLY=word` picks figures by
//! a part of their name. Each figure is also a line of `target/bench/core.jsonl`.

mod attach;
mod backup;
mod events;
mod figure;
mod flows;
mod http;
mod many;
mod memory;
mod reads;
mod rig;
mod start;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use ashlar_tests::{Result, binary, cmd, qemu};

use crate::figure::{Figure, Measured};
use crate::rig::Rig;

/// Every figure, in the order of the table.
const FIGURES: &[&[Figure]] = &[
    start::FIGURES,
    memory::FIGURES,
    flows::FIGURES,
    reads::FIGURES,
    attach::FIGURES,
    events::FIGURES,
    backup::FIGURES,
];

/// How often a figure is taken that does not say otherwise.
const ROUNDS: usize = 3;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let only = std::env::var_os("ONLY").unwrap_or_default();
    let only = only.to_string_lossy().into_owned();
    let figures = FIGURES.iter().copied().flatten();
    let mut chosen: Vec<Measured> = figures
        .filter(|figure| figure.name.contains(only.as_str()))
        .map(Measured::new)
        .collect();
    anyhow::ensure!(!chosen.is_empty(), "no figure's name contains {only:?}");
    install();
    let mut rig = Rig::new()?;
    for round in 0..ROUNDS {
        for measured in &mut chosen {
            measured.take(round, &mut rig);
        }
    }
    drop(rig);
    let dir = binary::workspace().join("target/bench");
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let lines: String = chosen.iter().map(Measured::json_line).collect();
    std::fs::write(dir.join("core.jsonl"), lines)?;
    for line in figure::table(&chosen) {
        say(&line);
    }
    let failed: Vec<_> = chosen.iter().filter(|one| one.is_broken()).collect();
    anyhow::ensure!(
        failed.is_empty(),
        "{} figures could not be taken",
        failed.len()
    );
    Ok(())
}

/// What is compared with, from Debian's packages; without it, or root to install it, its figure says so.
fn install() {
    let wanted = ["wrk", "restic"];
    let missing: Vec<&str> = wanted
        .into_iter()
        .filter(|name| cmd::find(name).is_err())
        .collect();
    if missing.is_empty() || !rustix::process::geteuid().is_root() {
        return;
    }
    if let Err(error) = qemu::apt_update().and_then(|()| qemu::apt_install(&missing)) {
        say(&format!("{error:#}"));
    }
}

/// A line for whoever watches.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
