//! The command line, run as a user runs it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::{Result, cmd};

/// Every wait of the command line itself is shorter.
const DEADLINE: Duration = Duration::from_secs(150);

/// `ashlar`, told where the daemon is.
#[derive(Debug, Clone)]
pub struct Cli {
    program: PathBuf,
    endpoint: String,
    token: Option<String>,
    environment: Vec<(String, String)>,
}

impl Cli {
    /// Over the unix socket of a daemon.
    pub fn new(program: PathBuf, socket: &Path) -> Self {
        Self {
            program,
            endpoint: format!("unix:{}", socket.display()),
            token: None,
            environment: Vec::new(),
        }
    }

    /// Over TCP with a token.
    pub fn over_tcp(program: PathBuf, addr: &str, token: &str) -> Self {
        Self {
            program,
            endpoint: format!("http://{addr}"),
            token: Some(token.to_owned()),
            environment: Vec::new(),
        }
    }

    /// The one object that a command answers with.
    pub fn one(&self, args: &[&str]) -> Result<Value> {
        self.all(args)?
            .pop()
            .with_context(|| format!("`ashlar {}` said nothing", args.join(" ")))
    }

    /// The objects that a command answers with.
    pub fn all(&self, args: &[&str]) -> Result<Vec<Value>> {
        let ended = self.run(&[args, &["-o", "json"]].concat())?;
        ensure!(
            ended.status.success(),
            "`ashlar {}`: {}\n{}",
            args.join(" "),
            ended.status,
            ended.stderr
        );
        if ended.stdout.is_empty() {
            return Ok(Vec::new());
        }
        let document: Value = serde_json::from_str(&ended.stdout)?;
        document["items"].as_array().cloned().context("no `items`")
    }

    /// A command that must succeed; what it prints does not matter.
    pub fn done(&self, args: &[&str]) -> Result<()> {
        self.all(args).map(|_| ())
    }

    /// A command that must be refused with this exit code; returns what it told the user.
    pub fn refused(&self, args: &[&str], exit: i32) -> Result<String> {
        let ended = self.run(args)?;
        if ended.status.code() != Some(exit) {
            let shown = args.join(" ");
            bail!(
                "`ashlar {shown}` should end with {exit}: {}\n{}",
                ended.status,
                ended.stderr
            );
        }
        Ok(ended.stderr.trim().to_owned())
    }

    /// The same with a variable of the environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A command, however it ends.
    pub fn run(&self, args: &[&str]) -> Result<cmd::Ended> {
        let mut command = self.command(&self.program);
        command.args(args);
        cmd::run(&mut command, DEADLINE)
    }

    /// A command that is given something to read.
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Result<cmd::Ended> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), input)?;
        let mut command = self.command(&self.program);
        command.args(args).stdin(std::fs::File::open(file.path())?);
        cmd::run(&mut command, DEADLINE)
    }

    /// A script for a shell that finds the program by its name.
    pub fn shell(&self, shell: &str, script: &str) -> Result<cmd::Ended> {
        let directory = self.program.parent().context("the program is nowhere")?;
        let path = cmd::search_path();
        let path = std::iter::once(directory.to_owned()).chain(std::env::split_paths(&path));
        let mut command = self.command(shell);
        command
            .env("PATH", std::env::join_paths(path)?)
            .args(["-c", script]);
        cmd::run(&mut command, DEADLINE)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> std::process::Command {
        let mut command = cmd::program(program);
        command
            .env("ASHLAR_ENDPOINT", &self.endpoint)
            // Neither contexts nor a cache of whoever runs the tests.
            .env("HOME", "/nonexistent")
            .env_remove("ASHLAR_TOKEN")
            .env_remove("XDG_CACHE_HOME")
            .env_remove("XDG_CONFIG_HOME");
        if let Some(token) = &self.token {
            command.env("ASHLAR_TOKEN", token);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}
