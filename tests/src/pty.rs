//! A program on a terminal of its own: a pseudo terminal, an emulator that answers no question, and keys.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::wait::{SOON, wait_for};
use crate::{Result, cmd};

/// What the emulator has seen.
struct Seen {
    parser: vt100::Parser,
    len_bytes: usize,
}

/// A program on a terminal.
pub struct Terminal {
    child: Child,
    master: File,
    slave: File,
    seen: Arc<Mutex<Seen>>,
    before: Termios,
}

impl Terminal {
    /// Starts a program on a terminal of this size and kind, which is its controlling terminal.
    pub fn start(
        program: &Path,
        args: &[&str],
        env: &[(&str, &str)],
        size: (u16, u16),
    ) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?.into_string()?;
        let slave = File::options().read(true).write(true).open(&name)?;
        let (width, height) = size;
        let window = Winsize {
            ws_row: height,
            ws_col: width,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, window)?;
        let before = tcgetattr(&slave)?;
        let mut command = cmd::program("setsid");
        command
            .arg("--ctty")
            .arg(program)
            .args(args)
            .envs(env.iter().copied());
        command.stdin(Stdio::from(slave.try_clone()?));
        command
            .stdout(Stdio::from(slave.try_clone()?))
            .stderr(Stdio::from(slave.try_clone()?));
        let child = command
            .spawn()
            .context("starting a program on a terminal")?;
        let rows = height.try_into().context("no rows")?;
        let columns = width.try_into().context("no columns")?;
        let seen = Arc::new(Mutex::new(Seen {
            parser: vt100::Parser::new(rows, columns, 0),
            len_bytes: 0,
        }));
        let master = File::from(master);
        read_on(master.try_clone()?, Arc::clone(&seen));
        Ok(Self {
            child,
            master,
            slave,
            seen,
            before,
        })
    }

    /// Types.
    pub fn send(&mut self, keys: &str) -> Result<()> {
        self.master.write_all(keys.as_bytes())?;
        Ok(())
    }

    /// Until the screen shows this.
    pub fn shows(&mut self, text: &str) -> Result<()> {
        let waited = wait_for(&format!("`{text}` on the screen"), SOON, || {
            Ok(self.screen().contains(text).then_some(()))
        });
        waited.with_context(|| format!("the screen:\n{}", self.screen()))
    }

    /// Until one row of the screen holds all of these.
    pub fn shows_row(&mut self, words: &[&str]) -> Result<()> {
        let waited = wait_for(&format!("a row with {words:?}"), SOON, || {
            let is_there = self
                .screen()
                .lines()
                .any(|line| words.iter().all(|word| line.contains(word)));
            Ok(is_there.then_some(()))
        });
        waited.with_context(|| format!("the screen:\n{}", self.screen()))
    }

    /// Until the screen no longer shows this.
    pub fn hides(&mut self, text: &str) -> Result<()> {
        let waited = wait_for(&format!("`{text}` to leave the screen"), SOON, || {
            Ok((!self.screen().contains(text)).then_some(()))
        });
        waited.with_context(|| format!("the screen:\n{}", self.screen()))
    }

    /// What the screen shows.
    pub fn screen(&self) -> String {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .parser
            .screen()
            .contents()
    }

    /// How many bytes came so far.
    pub fn len_bytes(&self) -> usize {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len_bytes
    }

    /// A signal to the program.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)?;
        Ok(())
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// How it ended.
    pub fn end(&mut self, deadline: Duration) -> Result<ExitStatus> {
        cmd::end_of(&mut self.child, "the program on the terminal", deadline)
    }

    /// That the terminal is as it was: its modes, the screen of before, the cursor.
    pub fn is_restored(&self) -> Result<()> {
        let now = tcgetattr(&self.slave)?;
        ensure!(
            now.local_modes == self.before.local_modes,
            "local modes: {:?}",
            now.local_modes
        );
        ensure!(
            now.local_modes.contains(LocalModes::ECHO),
            "it does not echo"
        );
        ensure!(
            now.input_modes == self.before.input_modes,
            "input modes: {:?}",
            now.input_modes
        );
        ensure!(
            now.output_modes == self.before.output_modes,
            "output modes: {:?}",
            now.output_modes
        );
        wait_for("the screen of before", SOON, || {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let screen = seen.parser.screen();
            let is_back =
                !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste();
            Ok(is_back.then_some(()))
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Feeds the emulator until the terminal is gone.
fn read_on(mut master: File, seen: Arc<Mutex<Seen>>) {
    std::thread::spawn(move || {
        let mut bytes = [0; 8192];
        while let Ok(len) = master.read(&mut bytes) {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.parser.process(&bytes[..len]);
            seen.len_bytes += len;
            if len == 0 {
                return;
            }
        }
    });
}

/// `TERM` and an endpoint.
pub fn environment<'a>(term: &'a str, endpoint: &'a str) -> Result<[(&'a str, &'a str); 3]> {
    if endpoint.is_empty() {
        bail!("no endpoint");
    }
    Ok([
        ("TERM", term),
        ("ASHLAR_ENDPOINT", endpoint),
        ("NO_COLOR", "1"),
    ])
}
