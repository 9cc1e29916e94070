//! The real `ashlard` on a state directory of its own: start, kill, start again, stop.
//!
//! Waits for readiness by asking, never by sleeping. Ends what it started by process id: the daemon it spawned, and
//! the target process of exactly this state directory.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::config::Config;
use crate::wait::{SOON, wait_for};
use crate::{Result, binary, cmd, target};

/// How much of the log is shown when something failed.
const LAST_WORDS_LINES: usize = 40;

/// A daemon under test, and everything it owns.
#[derive(Debug)]
pub struct Daemon {
    program: PathBuf,
    dir: tempfile::TempDir,
    config: Config,
    portal: String,
    child: Option<Child>,
    beside: Option<Child>,
    state_disk_mib: Option<u32>,
    starts: u32,
}

impl Daemon {
    /// Starts one on a fresh directory and waits until it answers.
    pub fn start(config: Config) -> Result<Self> {
        let mut daemon = Self::prepared(config)?;
        daemon.start_again()?;
        Ok(daemon)
    }

    /// A fresh directory, nothing started yet.
    pub fn prepared(config: Config) -> Result<Self> {
        Self::of(binary::ashlard()?, config)
    }

    /// The same for a given build of `ashlard`.
    pub fn of(program: PathBuf, config: Config) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("ashlar-").tempdir()?;
        std::fs::create_dir(dir.path().join("state"))?;
        std::fs::create_dir(dir.path().join("pool"))?;
        std::fs::create_dir(dir.path().join("other"))?;
        let portal = target::free_portal()?;
        Ok(Self {
            program,
            dir,
            config,
            portal,
            child: None,
            beside: None,
            state_disk_mib: None,
            starts: 0,
        })
    }

    /// The same on a state disk of its own, of this size: a tmpfs that only the daemon sees, in a mount namespace that
    /// any user may make. It is gone when the daemon is.
    pub fn on_small_disk(config: Config, len_mib: u32) -> Result<Self> {
        let mut daemon = Self::prepared(config)?;
        daemon.state_disk_mib = Some(len_mib);
        daemon.start_again()?;
        Ok(daemon)
    }

    /// A path of the state directory, also where only the daemon sees it.
    pub fn inside(&self, name: &str) -> Result<PathBuf> {
        let pid = self.child.as_ref().context("ashlard is not running")?.id();
        let state = self.state_dir();
        Ok(PathBuf::from(format!("/proc/{pid}/root{}", state.display())).join(name))
    }

    /// Starts the daemon on the directory it had and waits until it answers.
    pub fn start_again(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_ready()
    }

    /// The same with another configuration.
    pub fn start_with(&mut self, config: Config) -> Result<()> {
        self.set(config);
        self.start_again()
    }

    /// The configuration of the next start.
    pub fn set(&mut self, config: Config) {
        self.config = config;
    }

    /// Spawns it without waiting for anything.
    pub fn spawn(&mut self) -> Result<()> {
        self.starts += 1;
        let file = self.dir.path().join("ashlar.toml");
        let text = self
            .config
            .to_toml(self.dir.path(), &self.socket(), &self.portal);
        std::fs::write(&file, text)?;
        let log = File::create(self.log_path(self.starts))?;
        let mut command = self.command();
        command
            .arg("--config")
            .arg(&file)
            .stderr(log.try_clone()?)
            .stdout(log);
        self.child = Some(command.spawn().context("starting ashlard")?);
        Ok(())
    }

    /// A second process of the same system, with roles of its own.
    pub fn spawn_beside(&mut self, config: &Config) -> Result<()> {
        self.starts += 1;
        let file = self.dir.path().join("beside.toml");
        let text = config.to_toml(self.dir.path(), &self.socket(), &self.portal);
        std::fs::write(&file, text)?;
        let log = File::create(self.log_path(self.starts))?;
        let mut command = cmd::program(&self.program);
        command
            .arg("--config")
            .arg(&file)
            .stderr(log.try_clone()?)
            .stdout(log);
        self.beside = Some(command.spawn().context("starting a second ashlard")?);
        Ok(())
    }

    /// SIGKILL to the second process.
    pub fn kill_beside(&mut self) -> Result<()> {
        if let Some(mut child) = self.beside.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Until it answers on its socket, and its repository of backups is open: deriving a key takes time on a busy machine.
    pub fn wait_ready(&mut self) -> Result<()> {
        self.wait_answers()?;
        if self.config.store != "restic" {
            return Ok(());
        }
        let client = self.client()?;
        let open = wait_for("the repository to be open", SOON * 4, || {
            let services = client.all("/os-services?binary=cinder-backup", "services")?;
            Ok(services
                .iter()
                .any(|one| one["state"] == "up")
                .then_some(()))
        });
        open.map_err(|error| error.context(self.last_words()))
    }

    fn wait_answers(&mut self) -> Result<()> {
        let client = self.client()?;
        let ready = wait_for("ashlard to answer", SOON, || {
            if let Some(status) = self.exited()? {
                bail!("ashlard ended at start: {status}");
            }
            Ok(client.is_up().then_some(()))
        });
        ready.map_err(|error| error.context(self.last_words()))
    }

    /// The process that was started last, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?),
            None => Ok(None),
        }
    }

    /// SIGKILL, as a power cut would; the target process goes on.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Until it has ended by itself.
    pub fn wait_end(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let Some(mut child) = self.child.take() else {
            bail!("ashlard was not running");
        };
        let ended = cmd::end_of(&mut child, "ashlard", deadline);
        if ended.is_err() {
            self.child = Some(child);
        }
        ended
    }

    /// SIGTERM, and exit 0 before the deadline; then the target process too.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(child) = &self.child {
            kill_process(Pid::from_child(child), Signal::TERM)?;
            let status = self
                .wait_end(SOON)
                .map_err(|error| error.context(self.last_words()))?;
            if !status.success() {
                bail!(
                    "ashlard ended with {status} on SIGTERM\n{}",
                    self.last_words()
                );
            }
        }
        target::stop(&self.program, &self.state_dir());
        Ok(())
    }

    /// Speaks to it over the unix socket, as whoever runs the tests.
    pub fn client(&self) -> Result<Client> {
        Client::unix(&self.socket())
    }

    /// Speaks to it over TCP, without a token.
    pub fn tcp_client(&self) -> Result<Client> {
        let path = self.state_dir().join("api.addr");
        let addr = wait_for("the address of the TCP port", SOON, || {
            Ok(std::fs::read_to_string(&path)
                .ok()
                .filter(|text| !text.trim().is_empty()))
        })?;
        Client::tcp(addr.trim())
    }

    /// Its unix socket.
    pub fn socket(&self) -> PathBuf {
        match self.state_disk_mib {
            Some(_) => self.dir().join("api.sock"),
            None => self.state_dir().join("api.sock"),
        }
    }

    fn command(&self) -> Command {
        let Some(len_mib) = self.state_disk_mib else {
            return cmd::program(&self.program);
        };
        let mut command = cmd::program("unshare");
        let mount = "mount -t tmpfs -o mode=700,size=$1m none \"$2\" && shift 2 && exec \"$@\"";
        command.args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            mount,
            "sh",
        ]);
        command
            .arg(len_mib.to_string())
            .arg(self.state_dir())
            .arg(&self.program);
        command
    }

    /// What it owns.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Where its volumes lie.
    pub fn pool_dir(&self) -> PathBuf {
        self.dir.path().join("pool")
    }

    /// Where those of the backend `other` lie, if there is one.
    pub fn other_pool_dir(&self) -> PathBuf {
        self.dir.path().join("other")
    }

    /// Where its backups lie, in the store `nas`.
    pub fn backup_dir(&self) -> PathBuf {
        self.dir.path().join("nas")
    }

    /// The directory of all of this.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where its target listens.
    pub fn portal(&self) -> &str {
        &self.portal
    }

    /// The configuration it was last started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The end of the log of the last two starts.
    pub fn last_words(&self) -> String {
        let first = self.starts.saturating_sub(1).max(1);
        let mut words = String::new();
        for start in first..=self.starts {
            let log = std::fs::read(self.log_path(start)).unwrap_or_default();
            let log = String::from_utf8_lossy(&log).into_owned();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines.len().saturating_sub(LAST_WORDS_LINES);
            words.push_str(&format!("--- log of start {start}, its end\n"));
            words.push_str(&lines[tail..].join("\n"));
            words.push('\n');
        }
        words
    }

    /// The whole log of every start, to look for what must not be there.
    pub fn whole_log(&self) -> String {
        let logs = (1..=self.starts).map(|start| std::fs::read(self.log_path(start)));
        logs.flatten()
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .collect()
    }

    fn log_path(&self, start: u32) -> PathBuf {
        self.dir.path().join(format!("log.{start}"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "{}", self.last_words());
        }
        let _ = self.kill();
        let _ = self.kill_beside();
        target::stop(&self.program, &self.state_dir());
    }
}
