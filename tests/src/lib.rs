//! Black box tests of Ashlar: the harness.
//!
//! It knows the wire, the files and what a host sees over iSCSI; it links no other member of the workspace, so that a
//! misspelt field cannot pass on both sides. The rings and how to run each:
//!
//! | ring | what | command |
//! | --- | --- | --- |
//! | 1 pure, 2 edges | beside the code | `cargo test -p ashlar-daemon -p ashlar-dbus -p ashlar` |
//! | 3 daemon | `tests/tests`: the real binary over the wire | `cargo test -p ashlar-tests` |
//! | 4 machine | the real kernel in a guest | `make lab` |
//!
//! Variables: `ASHLAR_TEST_BIN` (an `ashlard` built with the feature `faults`, instead of building one), `ASHLAR_SEED`
//! (replays a random test), `ASHLAR_FULL=1` (every case where a sample is the default).

pub mod attached;
pub mod backups;
pub mod binary;
pub mod callers;
pub mod cli;
pub mod client;
pub mod cmd;
pub mod config;
pub mod daemon;
pub mod discovery;
pub mod initiator;
pub mod lab;
pub mod pool;
pub mod pty;
pub mod qemu;
pub mod seed;
pub mod stamp;
pub mod table;
pub mod target;
pub mod tree;
pub mod venv;
pub mod wait;
pub mod wire;

/// What a test may say when it cannot go on.
pub type Result<T, E = anyhow::Error> = anyhow::Result<T, E>;

/// Runs the checks of a test against a daemon of its own; on any failure the daemon's last words are printed.
pub fn with_daemon(
    config: config::Config,
    checks: impl FnOnce(&mut daemon::Daemon) -> Result<()>,
) -> Result<()> {
    let mut daemon = daemon::Daemon::start(config)?;
    let checked = checks(&mut daemon);
    match checked {
        Ok(()) => daemon.stop(),
        Err(error) => Err(error.context(daemon.last_words())),
    }
}
