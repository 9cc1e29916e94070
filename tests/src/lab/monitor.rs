//! QEMU's monitor: stop, migrate into a file, the state of it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::PATIENCE;
use crate::Result;
use crate::wait::wait_for;

/// The monitor answers at once even when the guest does not.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// A connection to the monitor of one guest.
#[derive(Debug)]
pub struct Monitor {
    lines: BufReader<UnixStream>,
}

impl Monitor {
    /// Connects as soon as the guest's process listens.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = wait_for("QEMU's monitor", Duration::from_secs(20), || {
            Ok(UnixStream::connect(socket).ok())
        })?;
        stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
        let mut monitor = Self {
            lines: BufReader::new(stream),
        };
        monitor.line()?;
        monitor.ask("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    /// One command and its answer; what the guest tells meanwhile is passed over.
    pub fn ask(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let request = json!({"execute": command, "arguments": arguments});
        writeln!(self.lines.get_mut(), "{request}")?;
        loop {
            let line = self.line()?;
            if let Some(error) = line.get("error") {
                bail!("QEMU refuses {command}: {error}");
            }
            if let Some(answer) = line.get("return") {
                return Ok(answer.clone());
            }
        }
    }

    /// Writes the stopped guest's memory into a file.
    pub fn save_memory(&mut self, file: &Path) -> Result<()> {
        self.ask("stop", &json!({}))?;
        let uri = format!("exec:cat > '{}'", file.display());
        // It may be a gigabyte, and nobody else needs the disk meanwhile.
        self.ask(
            "migrate-set-parameters",
            &json!({"max-bandwidth": 4_u64 << 30}),
        )?;
        self.ask("migrate", &json!({"uri": uri}))?;
        wait_for("the guest's memory to be written", PATIENCE, || {
            let told = self.ask("query-migrate", &json!({}))?;
            match told["status"].as_str().unwrap_or_default() {
                "completed" => Ok(Some(())),
                "failed" => bail!("{told}"),
                _ => Ok(None),
            }
        })
    }

    /// Until a thawed guest runs.
    pub fn wait_running(&mut self) -> Result<()> {
        wait_for("the thawed guest to run", PATIENCE, || {
            let told = self.ask("query-status", &json!({}))?;
            match told["status"].as_str().unwrap_or_default() {
                "running" => Ok(Some(())),
                // As it was frozen.
                "paused" | "postmigrate" => {
                    self.ask("cont", &json!({}))?;
                    Ok(None)
                }
                "internal-error" => bail!("{told}"),
                _ => Ok(None),
            }
        })
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line)?;
        if read == 0 {
            bail!("QEMU has ended");
        }
        serde_json::from_str(&line).with_context(|| line.clone())
    }
}
