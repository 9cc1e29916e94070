//! A record that cannot be trusted any more: the daemon says so and ends, answers nothing wrong, and does not start on
//! it again. The target goes on serving whatever it served.

use std::io::{Seek as _, Write as _};
use std::path::Path;

use anyhow::ensure;
use ashlar_tests::Result;
use ashlar_tests::client::id;
use ashlar_tests::config::Config;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::wait::SOON;
use serde_json::json;

#[test]
fn a_damaged_record_ends_the_daemon_in_words() -> Result<()> {
    let mut daemon = Daemon::start(Config::default())?;
    let done = damage_and_see(&mut daemon);
    done.map_err(|error| error.context(daemon.last_words()))
}

fn damage_and_see(daemon: &mut Daemon) -> Result<()> {
    let client = daemon.client()?;
    let volume = id(&client.make_volume("kept", 1)?)?;
    let record = daemon.state_dir().join("ashlar.db");
    let log = daemon.state_dir().join("ashlar.db-wal");
    for path in [&record, &log] {
        overwrite(path)?;
    }
    // Whatever is answered until the end: no request is accepted, and the volume is not said to be gone.
    let body = json!({"volume": {"name": "lost", "size": 1}});
    for _ in 0..20 {
        if let Ok(answer) = client.post("/volumes", &body) {
            ensure!(
                answer.status >= 500,
                "accepted on a damaged record: {}",
                answer.text
            );
        }
        if let Ok(answer) = client.get(&format!("/volumes/{volume}")) {
            ensure!(answer.status != 404, "{}", answer.text);
        }
        if daemon.exited()?.is_some() {
            break;
        }
    }
    let ended = daemon.wait_end(SOON)?;
    ensure!(
        !ended.success(),
        "a daemon that lost its record ended as if all were well"
    );
    let words = daemon.whole_log();
    ensure!(
        words.contains("the record failed"),
        "it did not say why it ended"
    );

    // And it does not start on what is left, as if there had never been anything.
    ensure!(
        daemon.start_again().is_err(),
        "it started on a damaged record"
    );
    ensure!(
        std::fs::metadata(&record)?.len() > 0,
        "the damaged record was thrown away"
    );
    Ok(())
}

/// Damages a file without changing its length, as a failing disk would.
fn overwrite(path: &Path) -> Result<()> {
    let len = usize::try_from(std::fs::metadata(path)?.len())?;
    let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
    file.rewind()?;
    file.write_all(&vec![0xA5; len])?;
    file.sync_all()?;
    Ok(())
}
