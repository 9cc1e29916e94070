//! The only place where the command line starts programs, each under a deadline.
//!
//! Nothing secret may be among the arguments: everybody on the machine can read them.

use std::io::{self, Read as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A login to a portal that does not answer takes open-iscsi two minutes.
const DEADLINE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(20);
/// More is not read of what a program says.
const SAID_LEN_MAX: u64 = 64 << 10;

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it printed, and then what it complained of.
    pub(crate) said: String,
}

/// Runs a program to its end. An error means that it could not be started, or was too slow and was ended.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the command line's cmd.rs"
)]
pub(crate) fn run(program: &str, args: &[&str]) -> io::Result<Ended> {
    let mut command = Command::new(program);
    command.args(args).env("LC_ALL", "C").stdin(Stdio::null());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (out, err) = (listen(child.stdout.take()), listen(child.stderr.take()));
    let end = Instant::now() + DEADLINE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            let why = format!("{program} did not end within {} s", DEADLINE.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        std::thread::park_timeout(PAUSE);
    };
    let said = [out, err]
        .map(|heard| heard.join().unwrap_or_default())
        .concat();
    Ok(Ended {
        code: status.code(),
        said: said.trim().to_owned(),
    })
}

/// Reads a pipe to its end, so that whoever writes never waits.
fn listen(pipe: Option<impl io::Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let mut first = pipe.by_ref().take(SAID_LEN_MAX);
            let _cut_short = first.read_to_end(&mut bytes);
            let _cut_short = io::copy(&mut pipe, &mut io::sink());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_what_it_printed_and_how_it_ended_are_told() {
        let ended = run("sh", &["-c", "echo one; echo two >&2; exit 3"]).unwrap();
        assert_eq!(
            ended,
            Ended {
                code: Some(3),
                said: "one\ntwo".to_owned()
            }
        );
        assert_eq!(
            run("no-such-program", &[]).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
