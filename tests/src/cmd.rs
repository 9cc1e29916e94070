//! The only place where the harness starts programs, each under a deadline.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::Result;
use crate::wait::wait_for;

/// A program to be started.
#[expect(clippy::disallowed_methods, reason = "this is the harness's cmd.rs")]
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Where programs are looked for.
pub fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// How a program ended and what it printed.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs it to its end, which must come before the deadline. Output goes through files, so that a full pipe cannot
/// hold it up.
pub fn run(command: &mut Command, deadline: Duration) -> Result<Ended> {
    let shown = shown(command);
    let stdout = tempfile::NamedTempFile::new()?;
    let stderr = tempfile::NamedTempFile::new()?;
    let mut child = command
        .stdout(File::create(stdout.path())?)
        .stderr(File::create(stderr.path())?)
        .spawn()
        .with_context(|| format!("starting {shown}"))?;
    let status = match end_of(&mut child, &shown, deadline) {
        Ok(status) => status,
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
    };
    let read = |path| -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
    };
    Ok(Ended {
        status,
        stdout: read(stdout.path())?,
        stderr: read(stderr.path())?,
    })
}

/// Runs it and demands exit 0.
pub fn run_ok(command: &mut Command, deadline: Duration) -> Result<Ended> {
    let shown = shown(command);
    let ended = run(command, deadline)?;
    ensure!(
        ended.status.success(),
        "{shown}: {}\n{}{}",
        ended.status,
        ended.stdout.trim_end(),
        ended.stderr.trim_end()
    );
    Ok(ended)
}

/// The status of a child once it has ended.
pub fn end_of(child: &mut Child, what: &str, deadline: Duration) -> Result<ExitStatus> {
    wait_for(&format!("the end of {what}"), deadline, || {
        Ok(child.try_wait()?)
    })
}

/// A program by its name in PATH or in the system directories that a plain user's PATH leaves out.
pub fn find(name: &str) -> Result<std::path::PathBuf> {
    let path = search_path();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    for dir in dirs {
        let candidate = dir.join(name);
        if candidate.is_file() {
            return Ok(candidate);
        }
    }
    bail!("the program `{name}` is not installed");
}

fn shown(command: &Command) -> String {
    let args = command
        .get_args()
        .map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once(command.get_program().to_string_lossy().into_owned())
        .chain(args)
        .collect::<Vec<_>>()
        .join(" ")
}
