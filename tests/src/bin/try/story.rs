//! A story in numbered steps, each with its time.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use ashlar_tests::Result;
use ashlar_tests::cli::Cli;
use ashlar_tests::initiator::{Disk, INITIATOR};
use ashlar_tests::qemu::Qemu;
use serde_json::Value;

/// Where the times stand on the line.
const TEXT_WIDTH: usize = 78;

/// The teller: counts steps, and holds what every chapter uses.
pub(crate) struct Story {
    /// The command line; every request goes through it.
    pub(crate) cli: Cli,
    /// The host's iSCSI client.
    pub(crate) qemu: Qemu,
    dir: tempfile::TempDir,
    begun: Instant,
    steps: u32,
}

impl Story {
    /// Nothing told yet.
    pub(crate) fn begin(cli: Cli, qemu: Qemu) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("ashlar-try-").tempdir()?;
        Ok(Self {
            cli,
            qemu,
            dir,
            begun: Instant::now(),
            steps: 0,
        })
    }

    /// Heading of a chapter.
    pub(crate) fn heading(&self, text: &str) {
        say(&format!("\n{text}"));
    }

    /// Does a step and prints it with its time.
    pub(crate) fn step<T>(
        &mut self,
        what: &str,
        act: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.steps += 1;
        let number = self.steps;
        let start = Instant::now();
        let done = act(self).map_err(|error| error.context(format!("step {number}: {what}")));
        let mark = if done.is_ok() { "" } else { "  FAILED" };
        let took_s = start.elapsed().as_secs_f32();
        say(&format!(
            "{number:>4}. {what:<TEXT_WIDTH$} {took_s:>6.2} s{mark}"
        ));
        done
    }

    /// A line beneath a step.
    pub(crate) fn note(&self, text: &str) {
        for line in text.lines() {
            say(&format!("        {line}"));
        }
    }

    /// A path in the host's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Attaches a volume to this host, uses it, and releases it again.
    pub(crate) fn on_host<T>(
        &mut self,
        volume_id: &str,
        act: impl FnOnce(&mut Self, &Disk) -> Result<T>,
    ) -> Result<T> {
        let attached =
            self.cli
                .one(&["attachment", "create", volume_id, "--initiator", INITIATOR])?;
        let id = text(&attached, "id");
        let shown = self.cli.one(&["attachment", "complete", &id])?;
        let disk = Disk::new(&self.qemu, &shown["connection_info"], INITIATOR)?;
        let done = act(self, &disk)?;
        self.cli.done(&["attachment", "delete", &id, "--yes"])?;
        Ok(done)
    }

    /// The last line.
    pub(crate) fn end(&self) -> String {
        format!(
            "\ntry: ok, {} steps, {:.1} s",
            self.steps,
            self.begun.elapsed().as_secs_f32()
        )
    }
}

/// The text of a field.
pub(crate) fn text(item: &Value, key: &str) -> String {
    item[key].as_str().unwrap_or_default().to_owned()
}

/// A line to standard output; a reader that went away is no failure.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
