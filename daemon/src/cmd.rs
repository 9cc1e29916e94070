//! The only place where a program is started.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

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
