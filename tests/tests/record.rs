//! `ashlard db` against a real daemon: a backup under writes, its restore, and the record of an older version.

use anyhow::{Context as _, ensure};
use ashlar_tests::client::id;
use ashlar_tests::cmd::{self, Ended};
use ashlar_tests::config::Config;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::wait::{SOON, wait_for};
use ashlar_tests::{Result, binary, pool};
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The record as the first schema had it.
const FIRST_SCHEMA: &str = "tests/fixtures/record/schema-1.sql";

fn db(daemon: &Daemon, args: &[&str]) -> Result<Ended> {
    let mut command = cmd::program(binary::ashlard()?);
    command.arg("db").args(args);
    command
        .arg("--config")
        .arg(daemon.dir().join("ashlar.toml"));
    cmd::run(&mut command, SOON)
}

fn done(daemon: &Daemon, args: &[&str]) -> Result<String> {
    let ended = db(daemon, args)?;
    ensure!(ended.status.success(), "{args:?}: {ended:?}");
    Ok(ended.stdout)
}

fn refused(daemon: &Daemon, args: &[&str], words: &str) -> Result<()> {
    let ended = db(daemon, args)?;
    let said = format!("{}{}", ended.stdout, ended.stderr);
    ensure!(!ended.status.success(), "{args:?} was not refused: {said}");
    ensure!(
        said.contains(words),
        "{args:?} does not say {words:?}: {said}"
    );
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("not UTF-8")
}

fn with(config: Config, act: impl FnOnce(&mut Daemon) -> Result<()>) -> Result<()> {
    let mut daemon = Daemon::start(config)?;
    act(&mut daemon).map_err(|error| error.context(daemon.last_words()))
}

/// Which volumes there are, by name and status.
fn volumes(daemon: &Daemon) -> Result<Vec<String>> {
    let all = daemon.client()?.all("/volumes/detail", "volumes")?;
    let mut told: Vec<String> = all
        .iter()
        .map(|one| format!("{} {} {}", one["id"], one["name"], one["status"]))
        .collect();
    told.sort();
    Ok(told)
}

#[test]
fn a_record_is_restored_as_it_was_and_what_came_after_is_left_alone() -> Result<()> {
    with(Config::default(), |daemon| {
        let client = daemon.client()?;
        client.make_volume("kept", 1)?;
        let before = volumes(daemon)?;
        let backup = daemon.dir().join("backup");
        let told = done(daemon, &["backup", text(&backup)?])?;
        ensure!(told.contains("volumes 1, snapshots 0"), "{told}");
        refused(
            daemon,
            &["backup", text(&backup)?],
            "give the backup another name",
        )?;
        done(daemon, &["check"])?;
        done(daemon, &["check", text(&backup)?])?;

        let later = id(&client.make_volume("later", 1)?)?;
        refused(
            daemon,
            &["restore", text(&backup)?],
            "another ashlard runs the role",
        )?;
        ensure!(
            volumes(daemon)?.len() == 2,
            "a refused restore changed something"
        );
        daemon.stop()?;
        let told = done(daemon, &["restore", text(&backup)?])?;
        ensure!(
            told.contains("unknown files") && told.contains("is kept as"),
            "{told}"
        );
        let kept = std::fs::read_dir(daemon.state_dir())?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .any(|name| name.starts_with("ashlar.db.before-"));
        ensure!(kept, "the old record is gone");
        daemon.start_again()?;
        ensure!(volumes(daemon)? == before, "{:?}", volumes(daemon)?);
        ensure!(
            pool::ids(&daemon.pool_dir())?.contains(&later),
            "the bytes of a volume made since are gone"
        );

        // What the restore said: moved into import/ and managed, it is a volume again.
        let name = format!("volume-{later}");
        let from = daemon.pool_dir().join("volumes").join(&name);
        std::fs::rename(from, daemon.pool_dir().join("import").join(&name))?;
        let client = daemon.client()?;
        let body = json!({"volume": {"host": "host1@default#pool", "ref": {"source-name": name}, "name": "back"}});
        let made = client.post("/manageable_volumes", &body)?.expect(202)?;
        let back = id(&made.body["volume"])?;
        client.wait_quiet()?;
        let got = client.get(&format!("/volumes/{back}"))?.expect(200)?;
        ensure!(got.body["volume"]["status"] == "available", "{}", got.text);
        Ok(())
    })
}

#[test]
fn a_backup_under_writes_is_of_one_instant() -> Result<()> {
    let config = Config {
        driver: "fake",
        ..Config::default()
    };
    with(config, |daemon| {
        let client = daemon.client()?;
        let (stop, made) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| -> Result<()> {
            let writer = scope.spawn(|| -> Result<()> {
                while !stop.load(Ordering::SeqCst) && made.load(Ordering::SeqCst) < 90 {
                    client.make_volume("v", 1)?;
                    made.fetch_add(1, Ordering::SeqCst);
                }
                Ok(())
            });
            let looked = (0..3).try_for_each(|number: u64| {
                wait_for("some writes", SOON, || {
                    Ok((made.load(Ordering::SeqCst) > number * 5).then_some(()))
                })?;
                let backup = daemon.dir().join(format!("backup-{number}"));
                done(daemon, &["backup", text(&backup)?])?;
                // Quotas counted, operations and statuses belong together in it.
                done(daemon, &["check", text(&backup)?]).map(drop)
            });
            stop.store(true, Ordering::SeqCst);
            let wrote = writer
                .join()
                .map_err(|_| anyhow::anyhow!("the writer panicked"))?;
            looked.and(wrote)
        })
    })
}

/// A record that no daemon has open.
#[expect(
    clippy::disallowed_methods,
    reason = "what an older and a newer version left is put there by hand"
)]
fn open(record: &Path) -> Result<rusqlite::Connection> {
    Ok(rusqlite::Connection::open(record)?)
}

#[test]
fn the_record_of_the_first_schema_is_brought_up_to_date() -> Result<()> {
    let mut daemon = Daemon::prepared(Config::default())?;
    let record = daemon.state_dir().join("ashlar.db");
    let sql = std::fs::read_to_string(binary::workspace().join(FIRST_SCHEMA))?;
    open(&record)?.execute_batch(&sql)?;
    // The volume's bytes, which that version kept where this one does.
    let volume = "11111111-1111-4111-8111-111111111111";
    daemon.start_again().and_then(|()| daemon.stop())?;
    let path = daemon.pool_dir().join(format!("volumes/volume-{volume}"));
    std::fs::File::create(path)?.set_len(3 << 30)?;
    let done = upgraded(&mut daemon, volume);
    done.map_err(|error| error.context(daemon.last_words()))
}

fn upgraded(daemon: &mut Daemon, volume: &str) -> Result<()> {
    daemon.start_again()?;
    done(daemon, &["check"])?;
    let client = daemon.client()?;
    let shown = client.get(&format!("/volumes/{volume}"))?.expect(200)?;
    let shown = &shown.body["volume"];
    for (key, wanted) in [
        ("name", json!("old \u{fc} volume")),
        ("status", json!("in-use")),
        ("metadata", json!({"k": "v"})),
        ("bootable", json!("true")),
    ] {
        ensure!(shown[key] == wanted, "{key}: {shown}");
    }
    ensure!(client.all("/snapshots/detail", "snapshots")?.len() == 1);
    // And it is worked with: what was attached then is detached now.
    for attachment in client.all("/attachments/detail", "attachments")? {
        client
            .delete(&format!("/attachments/{}", id(&attachment)?))?
            .expect(200)?;
    }
    client.wait_quiet()?;
    let shown = client.get(&format!("/volumes/{volume}"))?.expect(200)?;
    ensure!(
        shown.body["volume"]["status"] == "available",
        "{}",
        shown.text
    );
    daemon.stop()
}

#[test]
fn a_newer_record_is_refused_with_what_to_do() -> Result<()> {
    let mut daemon = Daemon::start(Config::default())?;
    daemon.stop()?;
    let record = daemon.state_dir().join("ashlar.db");
    open(&record)?.pragma_update(None, "user_version", 10_000)?;
    let before = std::fs::read(&record)?;
    ensure!(
        daemon.start_again().is_err(),
        "it started on a newer record"
    );
    let words = daemon.last_words();
    for part in ["schema 10000", "run the newer version"] {
        ensure!(words.contains(part), "{words}");
    }
    ensure!(
        std::fs::read(&record)? == before,
        "it changed the newer record"
    );
    refused(&daemon, &["check"], "schema 10000")
}
