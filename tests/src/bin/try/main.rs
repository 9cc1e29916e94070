//! `make try`: the main job on real data, told step by step, over the public API only.
//!
//! A private daemon with an embedded file pool in a fresh directory; a host that logs in over real iSCSI; a real file
//! system with real files. On a terminal it ends in the console. Needs no privileges. Exit 2 with one line to run when the host's side has no iSCSI client.

mod attach;
mod compare;
mod create;
mod finish;
mod keep;
mod look;
mod story;

use std::io::Write as _;
use std::process::ExitCode;

use ashlar_tests::cli::Cli;
use ashlar_tests::config::Config;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::{Result, binary, pool, qemu};

use crate::story::Story;

fn main() -> ExitCode {
    let qemu = match qemu::ready(story::say) {
        Ok(qemu) => qemu,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "try: {error:#}");
            return ExitCode::from(2);
        }
    };
    match tell(qemu) {
        Ok(line) => {
            story::say(&line);
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "try: failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tell(qemu: qemu::Qemu) -> Result<String> {
    let ashlard = binary::build("ashlard", &[])?;
    let ashlar = binary::ashlar()?;
    let mut daemon = Daemon::of(
        ashlard,
        Config {
            quota_count: 10,
            ..Config::default()
        },
    )?;
    let cli = Cli::new(ashlar.clone(), &daemon.socket());
    let mut story = Story::begin(cli, qemu)?;
    let told = story
        .step(
            "start a private daemon with an embedded file pool in a fresh directory",
            |_| daemon.start_again(),
        )
        .and_then(|()| chapters(&mut story, &daemon))
        .and_then(|()| match look::is_wanted() {
            true => look::chapter(&mut story, &ashlar, &daemon.socket()),
            false => Ok(()),
        });
    if let Err(error) = told {
        return Err(error.context(daemon.last_words()));
    }
    story.step("stop the daemon", |_| daemon.stop())?;
    Ok(story.end())
}

fn chapters(story: &mut Story, daemon: &Daemon) -> Result<()> {
    let before = pool::names(&daemon.pool_dir())?;
    let volume = create::chapter(story)?;
    let sums = attach::chapter(story, &volume)?;
    let copies = keep::chapter(story, &volume, &sums)?;
    compare::chapter(story, &volume, &copies, &sums.sources)?;
    finish::chapter(story, daemon, &before, &volume, &copies)
}
