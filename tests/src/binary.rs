//! The programs under test, built first, once a run: a stale binary is impossible.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::Value;

use crate::Result;
use crate::cmd;

/// A cold build of everything on two busy cores.
const BUILD_DEADLINE: Duration = Duration::from_secs(1800);

/// The top of the workspace.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// `ashlard` with fault injection.
pub fn ashlard() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if let Some(given) = std::env::var_os("ASHLAR_TEST_BIN") {
        return Ok(PathBuf::from(given));
    }
    let build = || build("ashlard", &["--features", FAULTS]);
    once(&BUILT, build)
}

/// The command line.
pub fn ashlar() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&BUILT, || build("ashlar", &[]))
}

/// cargo: the one that runs us, if one does.
pub fn cargo() -> std::process::Command {
    cmd::program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The feature with which the tests build the daemon.
pub const FAULTS: &str = "ashlar-daemon/faults";

/// Builds a program of the workspace with cargo and returns the file that cargo names. The whole workspace is named,
/// here and in the Makefile, so that dependencies have the same features each time and are compiled once.
pub fn build(program: &str, args: &[&str]) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = cmd::program(cargo);
    command
        .args(["build", "--workspace", "--bin", program])
        .args(args)
        .arg("--message-format=json-render-diagnostics");
    command.current_dir(workspace());
    let ended = cmd::run_ok(&mut command, BUILD_DEADLINE)?;
    let mut executables = ended
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    let executable = executables.next_back();
    executable.with_context(|| format!("cargo made no program {program}"))
}

fn once(
    slot: &OnceLock<Result<PathBuf, String>>,
    build: impl FnOnce() -> Result<PathBuf>,
) -> Result<PathBuf> {
    let built = slot.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(|error| anyhow!(error))
}
