//! The only place where a program is started.

use async_trait::async_trait;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What is read of a program's output; LVM's report of 10,000 volumes has some 4 MiB.
const OUTPUT_LEN_MAX: u64 = 32 << 20;

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

/// Runs programs that answer and end. There is nothing secret among their arguments.
#[async_trait]
pub trait Programs: Send + Sync {
    /// Runs `program` until it ends; ends it when `deadline` is over.
    async fn run(&self, program: &str, args: &[&str], deadline: Duration) -> io::Result<Ended>;
}

/// The programs of this machine, with plain English messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct OfThisMachine;

#[async_trait]
impl Programs for OfThisMachine {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that starts programs"
    )]
    async fn run(&self, program: &str, args: &[&str], deadline: Duration) -> io::Result<Ended> {
        let mut child = tokio::process::Command::new(program)
            .args(args)
            .env("LC_ALL", "C")
            // Sockets and files of ours, of which LVM would warn.
            .env("LVM_SUPPRESS_FD_WARNINGS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let whole = async {
            let (stdout, stderr) = tokio::try_join!(read(stdout), read(stderr))?;
            let status = child.wait().await?;
            Ok(Ended {
                code: status.code(),
                stdout,
                stderr,
            })
        };
        tokio::time::timeout(deadline, whole)
            .await
            .unwrap_or_else(|_elapsed| {
                let waited_s = deadline.as_secs();
                let why = format!("{program} did not end within {waited_s} s and was killed");
                Err(io::Error::new(io::ErrorKind::TimedOut, why))
            })
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(OUTPUT_LEN_MAX).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 == OUTPUT_LEN_MAX {
        return Err(io::Error::other(format!(
            "more than {OUTPUT_LEN_MAX} bytes of output"
        )));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Starts Ashlar's own target from the same binary, as a process of its own: not in our process group, so that what
/// ends us (Ctrl-C, a service manager's kill of the main process) leaves it serving. It logs to our stderr. There is
/// nothing secret among its arguments; it reads its exports from the state directory.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that starts programs"
)]
pub fn start_target(config: &Path) -> io::Result<u32> {
    let child = Command::new(std::env::current_exe()?)
        .arg("target")
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()?;
    let pid = child.id();
    // Reaped when it ends while we live; else its new parent does.
    let _reaper = std::thread::spawn(move || {
        let mut child = child;
        child.wait()
    });
    Ok(pid)
}

/// Starts a worker that makes or reads a backup. It is told what to do on its stdin, where the store's password is no
/// argument that others see; it ends when that is closed, and is killed when the child is dropped. It logs to our
/// stderr.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that starts programs"
)]
pub fn start_backup_worker(program: &Path) -> io::Result<tokio::process::Child> {
    tokio::process::Command::new(program)
        .arg("backup-worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // What ends us by the keyboard leaves it to us to end it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}
