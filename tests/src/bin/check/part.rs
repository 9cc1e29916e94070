//! A part of the check: a command, its log, its time and its count.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use ashlar_tests::{Result, binary, cmd};

use crate::count::Count;

/// No part of it takes that long on two cores, not even the lab when it has to build its image first.
const DEADLINE: Duration = Duration::from_secs(4000);
/// Enough to hold the runner's list of failures.
const LINES_SHOWN: usize = 150;

/// What is run.
pub(crate) struct Part {
    name: String,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    is_one: bool,
    is_shown: bool,
    /// Why there is nothing to run here.
    nothing: Option<&'static str>,
}

impl Part {
    /// cargo with these arguments.
    pub(crate) fn cargo(name: &str, args: &[&str]) -> Self {
        let args = args.iter().map(OsString::from).collect();
        Self {
            name: name.to_owned(),
            args,
            env: Vec::new(),
            is_one: false,
            is_shown: false,
            nothing: None,
        }
    }

    /// Only a line that says why.
    pub(crate) fn nothing(name: &str, why: &'static str) -> Self {
        Self {
            nothing: Some(why),
            ..Self::cargo(name, &[])
        }
    }

    /// The same with a variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// It has no runner that counts: it is one test by itself.
    pub(crate) fn counts_as_one(self) -> Self {
        Self {
            is_one: true,
            ..self
        }
    }

    /// What it writes is shown as it comes, beside being logged.
    pub(crate) fn shown(self) -> Self {
        Self {
            is_shown: true,
            ..self
        }
    }

    fn command(&self) -> Command {
        let mut command = binary::cargo();
        command.args(&self.args).current_dir(binary::workspace());
        // A failed test says where and why; the frames below it are the test runner's.
        command
            .env("RUST_BACKTRACE", "0")
            .envs(self.env.iter().cloned());
        command
    }
}

/// Runs a part and says how it went. A part that failed without a failed test counts as one failure.
pub(crate) fn run(part: &Part) -> Result<Count> {
    if let Some(why) = part.nothing {
        say(&format!("{:<46} {why}", part.name));
        return Ok(Count::default());
    }
    let start = Instant::now();
    let path = log_path(&part.name)?;
    let log = File::create(&path)?;
    let stdout = match part.is_shown {
        true => Stdio::piped(),
        false => log.try_clone()?.into(),
    };
    let mut command = part.command();
    let mut child = command.stdout(stdout).stderr(log.try_clone()?).spawn()?;
    let stdout = child.stdout.take();
    let showing = stdout.map(|stdout| std::thread::spawn(move || show(stdout, log)));
    let ended = cmd::end_of(&mut child, &part.name, DEADLINE);
    if ended.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    if let Some(showing) = showing {
        let _ = showing.join();
    }
    let is_ok = ended.as_ref().is_ok_and(std::process::ExitStatus::success);
    let output = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
    let mut count = Count::read(&output);
    if part.is_one && is_ok {
        count.passed += 1;
    }
    if !is_ok && count.failed == 0 {
        count.failed += 1;
    }
    if !is_ok && count.names.is_empty() {
        count.names.push(format!("see {}", path.display()));
    }
    for name in &mut count.names {
        *name = format!("{}: {name}", part.name);
    }
    let took_s = start.elapsed().as_secs_f32();
    let how = if is_ok { "ok" } else { "FAILED" };
    say(&format!(
        "{:<46} {how:<6} {took_s:>7.1} s  {}",
        part.name,
        shown(&count)
    ));
    for line in output.lines().filter(|line| line.starts_with("skipped: ")) {
        say(&format!("    {line}"));
    }
    if let Err(error) = ended {
        say(&format!("{error:#}"));
    }
    if !is_ok {
        say(&failures(&output));
        say(&format!("the whole of it is in {}", path.display()));
    }
    Ok(count)
}

fn show(output: ChildStdout, mut log: File) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        say(&format!("    {line}"));
        let _ = writeln!(log, "{line}");
    }
}

fn shown(count: &Count) -> String {
    if *count == Count::default() {
        String::new()
    } else {
        count.to_string()
    }
}

/// What the runner says of failures, or the end of the output.
fn failures(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let is_start = |line: &&str| line.starts_with("---- ") || line.starts_with("error");
    let first = lines.iter().position(is_start);
    let start = first.unwrap_or(lines.len().saturating_sub(LINES_SHOWN / 3));
    let end = lines.len().min(start + LINES_SHOWN);
    lines[start..end]
        .iter()
        .map(|line| format!("    {line}\n"))
        .collect()
}

fn log_path(name: &str) -> Result<PathBuf> {
    let dir = binary::workspace().join("target/check");
    std::fs::create_dir_all(&dir)?;
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    Ok(dir.join(format!(
        "{}.log",
        name.chars().map(word).collect::<String>()
    )))
}

/// A line to standard output.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
