//! The target process of one state directory, seen from outside: its pid, its portal, its end.

use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::bail;
use rustix::process::{Pid, Signal, kill_process};

use crate::{Result, cmd};

/// It has nothing to finish but the answers in flight.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// Below the range that the kernel gives to outgoing connections, so that none of those takes our port.
const PORT_FIRST: u16 = 20_000;
const PORT_COUNT: u16 = 10_000;

/// A loopback address where nothing listens; two processes that ask at once begin at different places.
pub fn free_portal() -> Result<String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % u32::from(PORT_COUNT))?.wrapping_mul(7);
    for _ in 0..PORT_COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORT_FIRST + start.wrapping_add(step) % PORT_COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(format!("127.0.0.1:{port}"));
        }
    }
    bail!("no free port for a portal");
}

/// The pid of the target process of this state directory, if it runs.
pub fn pid(state_dir: &Path) -> Option<Pid> {
    // The directory of the test is in its arguments, whether as configuration or as state directory.
    let ours = state_dir.parent()?.as_os_str().as_encoded_bytes();
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(number) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        let cmdline = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = cmdline.split(|byte| *byte == 0).collect();
        let is_target = words.get(1) == Some(&b"target".as_slice());
        let is_ours = words.iter().any(|word| word.starts_with(ours));
        if is_target && is_ours && !words.contains(&b"--stop".as_slice()) {
            return Pid::from_raw(number);
        }
    }
    None
}

/// SIGKILL to it. Returns the pid that is no more.
pub fn kill(state_dir: &Path) -> Result<Pid> {
    let Some(pid) = pid(state_dir) else {
        bail!("no target process runs for {}", state_dir.display());
    };
    kill_process(pid, Signal::KILL)?;
    Ok(pid)
}

/// Ends it as an administrator would, by force if that does not help. Nothing running is no failure.
pub fn stop(ashlard: &Path, state_dir: &Path) {
    if pid(state_dir).is_none() {
        return;
    }
    let mut command = cmd::program(ashlard);
    command
        .arg("target")
        .arg("--state-dir")
        .arg(state_dir)
        .arg("--stop");
    let _ = cmd::run(&mut command, STOP_DEADLINE);
    if let Some(pid) = pid(state_dir) {
        let _ = kill_process(pid, Signal::KILL);
    }
}
