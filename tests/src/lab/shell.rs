//! The way into a guest: ssh over one connection that is made once.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::PATIENCE;
use crate::wait::wait_for;
use crate::{Result, cmd};

/// A guest under emulation boots in less than a minute on an idle machine.
const BOOT_DEADLINE: Duration = Duration::from_secs(400);
const CONNECT_DEADLINE: Duration = Duration::from_secs(20);

/// An open way in.
#[derive(Debug)]
pub struct Shell {
    socket: PathBuf,
    key: PathBuf,
    port: u16,
    master: Option<Child>,
}

impl Shell {
    /// To the guest whose port 22 is `port` here.
    pub fn new(dir: &Path, key: &Path, port: u16) -> Self {
        Self {
            socket: dir.join("ssh"),
            key: key.to_owned(),
            port,
            master: None,
        }
    }

    /// Tries until the guest lets us in.
    pub fn connect(&mut self) -> Result<()> {
        self.close();
        let end = std::time::Instant::now() + BOOT_DEADLINE;
        loop {
            let _gone = std::fs::remove_file(&self.socket);
            let mut master = cmd::program("setpriv");
            master.args(["--pdeathsig", "KILL", "ssh", "-M", "-N"]);
            self.options(&mut master);
            master.stdout(Stdio::null()).stderr(Stdio::null());
            let mut master = master.spawn().context("starting ssh")?;
            let up = wait_for("ssh", CONNECT_DEADLINE, || {
                if self.socket.exists() {
                    return Ok(Some(true));
                }
                Ok(master.try_wait()?.map(|_ended| false))
            });
            if matches!(up, Ok(true)) {
                self.master = Some(master);
                return Ok(());
            }
            let _ = master.kill();
            let _ = master.wait();
            ensure!(
                std::time::Instant::now() < end,
                "the guest has not let us in within {} s",
                BOOT_DEADLINE.as_secs()
            );
        }
    }

    /// Runs a line of shell in the guest; what it printed. Anything but exit 0 is an error with what it said.
    pub fn run(&self, line: &str) -> Result<String> {
        self.run_within(line, PATIENCE)
    }

    /// The same with a deadline of its own.
    pub fn run_within(&self, line: &str, deadline: Duration) -> Result<String> {
        let ended = self.try_run(line, deadline)?;
        ensure!(
            ended.status.success(),
            "in the guest, `{line}`: {}\n{}{}",
            ended.status,
            ended.stdout.trim_end(),
            ended.stderr.trim_end()
        );
        Ok(ended.stdout)
    }

    /// The same, however it ends.
    pub fn try_run(&self, line: &str, deadline: Duration) -> Result<cmd::Ended> {
        let mut command = cmd::program("ssh");
        self.options(&mut command);
        command.arg(line);
        cmd::run(&mut command, deadline).with_context(|| format!("in the guest, `{line}`"))
    }

    /// Starts a line of shell in the guest and leaves it running.
    pub fn start(&self, line: &str) -> Result<Child> {
        let mut command = cmd::program("ssh");
        self.options(&mut command);
        command
            .arg(line)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(command.spawn()?)
    }

    /// Writes a file in the guest.
    pub fn put(&self, path: &str, text: &str) -> Result<()> {
        let mut file = tempfile::tempfile()?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        std::io::Seek::rewind(&mut file)?;
        let mut command = cmd::program("ssh");
        self.options(&mut command);
        command.stdin(file);
        command.arg(format!("mkdir -p \"$(dirname {path})\" && cat > {path}"));
        cmd::run_ok(&mut command, PATIENCE)?;
        Ok(())
    }

    /// Makes a socket of the guest's one of ours.
    pub fn forward(&self, here: &Path, there: &str) -> Result<()> {
        let ask = |what: &str| {
            let mut command = cmd::program("ssh");
            self.options(&mut command);
            command.args(["-O", what, "-L"]);
            command.arg(format!("{}:{there}", here.display()));
            cmd::run_ok(&mut command, CONNECT_DEADLINE)
        };
        // ssh forwards what it forwards already by doing nothing, also when our end of it is gone.
        let _was_none = ask("cancel");
        let _gone = std::fs::remove_file(here);
        ask("forward").map(|_| ())
    }

    /// Ends the connection.
    pub fn close(&mut self) {
        if let Some(mut master) = self.master.take() {
            let _ = master.kill();
            let _ = master.wait();
        }
    }

    fn options(&self, command: &mut Command) {
        command.arg("-S").arg(&self.socket).arg("-i").arg(&self.key);
        command.args(["-p", &self.port.to_string(), "-o", "LogLevel=ERROR"]);
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            "BatchMode=yes",
            "ConnectTimeout=10",
            "IdentitiesOnly=yes",
        ] {
            command.args(["-o", option]);
        }
        command.arg("root@127.0.0.1");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.close();
    }
}
