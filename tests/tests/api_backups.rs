//! Backups over the wire, through the real daemon and the files of its pool and store: the bytes come back.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use ashlar_tests::client::{Client, id};
use ashlar_tests::config::Config;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::initiator::{INITIATOR, connector};
use ashlar_tests::wait::{SOON, wait_for};
use ashlar_tests::{Result, backups, pool, with_daemon};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

fn file(daemon: &Daemon, volume: &str) -> PathBuf {
    daemon.pool_dir().join(format!("volumes/volume-{volume}"))
}

/// Bytes at the start, in the middle and at the end, that differ by `seed`.
fn scribble(daemon: &Daemon, volume: &str, seed: u8) -> Result<()> {
    let file = fs::File::options().write(true).open(file(daemon, volume))?;
    let len = file.metadata()?.len();
    for at in [0, 4096 * 777 + 13, len / 2, len - 5000] {
        let bytes: Vec<u8> = (0..5000_u32)
            .map(|n| n.to_le_bytes()[0].wrapping_mul(seed))
            .collect();
        file.write_all_at(&bytes, at)?;
    }
    Ok(file.sync_all()?)
}

fn digest(daemon: &Daemon, volume: &str) -> Result<String> {
    let mut digest = Sha256::new();
    std::io::copy(
        &mut fs::File::open(file(daemon, volume))?,
        &mut Writer(&mut digest),
    )?;
    Ok(format!("{:x?}", digest.finalize()))
}

struct Writer<'a>(&'a mut Sha256);

impl std::io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A client that waits for repositories: each job derives a key, which takes seconds, and on a busy machine many.
fn patient(daemon: &Daemon) -> Result<Client> {
    let mut client = daemon.client()?;
    client.patience = SOON * 4;
    Ok(client)
}

fn back_up(client: &Client, body: &Value) -> Result<String> {
    let made = client
        .post("/backups", &json!({"backup": body}))?
        .expect(202)?;
    let backup = id(&made.body["backup"])?;
    client.wait_status("/backups", "backup", &backup, "available")?;
    Ok(backup)
}

fn restore(client: &Client, backup: &str, body: &Value) -> Result<String> {
    let path = format!("/backups/{backup}/restore");
    let answer = client.post(&path, &json!({"restore": body}))?.expect(202)?;
    let volume = answer.body["restore"]["volume_id"]
        .as_str()
        .context("no volume")?;
    client.wait_status("/volumes", "volume", volume, "available")?;
    client.wait_status("/backups", "backup", backup, "available")?;
    Ok(volume.to_owned())
}

#[test]
fn bytes_outlive_their_volume() -> Result<()> {
    outlive("fake", |daemon, count| {
        let ids = backups::ids(&daemon.backup_dir())?;
        ensure!(ids.len() == count, "{ids:?} are in the store");
        let names = pool::names(&daemon.backup_dir())?;
        ensure!(
            count > 0 || names.is_empty(),
            "{names:?} are left in the store"
        );
        Ok(())
    })
}

#[test]
fn bytes_outlive_their_volume_in_a_restic_repository() -> Result<()> {
    outlive("restic", |daemon, count| {
        let names = pool::names(&daemon.backup_dir().join("snapshots"))?;
        ensure!(names.len() == count, "the snapshots are {names:?}");
        Ok(())
    })
}

/// Backups in a store of this kind; `look` is told how many must be in it.
fn outlive(store: &'static str, look: fn(&Daemon, usize) -> Result<()>) -> Result<()> {
    let config = Config {
        store,
        ..Config::default()
    };
    with_daemon(config, |daemon| {
        let client = patient(daemon)?;
        let volume = id(&client.make_volume("v", 1)?)?;
        scribble(daemon, &volume, 3)?;
        let first = digest(daemon, &volume)?;
        let full = back_up(&client, &json!({"volume_id": volume, "name": "full"}))?;
        scribble(daemon, &volume, 7)?;
        let second = digest(daemon, &volume)?;
        let body = json!({"volume_id": volume, "incremental": true});
        let incremental = back_up(&client, &body)?;
        let shown = client
            .get(&format!("/backups/{incremental}"))?
            .expect(200)?;
        let shown = &shown.body["backup"];
        ensure!(
            shown["is_incremental"] == true && shown["has_dependent_backups"] == false,
            "{shown}"
        );
        look(daemon, 2)?;

        client.destroy("/volumes", &volume)?;
        // What the later one was made from goes first.
        let restored = restore(&client, &full, &json!({"name": "again"}))?;
        ensure!(
            digest(daemon, &restored)? == first,
            "the first backup came back otherwise"
        );
        client.destroy("/backups", &full)?;
        restore(&client, &incremental, &json!({"volume_id": restored}))?;
        ensure!(
            digest(daemon, &restored)? == second,
            "the second backup came back otherwise"
        );
        let body = json!({"volume": {"name": "made", "size": 2, "backup_id": incremental}});
        let made = id(&client.post("/volumes", &body)?.expect(202)?.body["volume"])?;
        client.wait_status("/volumes", "volume", &made, "available")?;
        let file = fs::File::open(file(daemon, &made))?;
        ensure!(
            file.metadata()?.len() == 2 << 30,
            "it is not as large as was asked"
        );
        let mut word = [0; 4];
        file.read_exact_at(&mut word, 1)?;
        ensure!(word == [7, 14, 21, 28], "{word:?}");
        client.destroy("/backups", &incremental)?;
        look(daemon, 0)
    })
}

#[test]
fn in_use_and_of_a_snapshot() -> Result<()> {
    with_daemon(Config::default(), |daemon| {
        let client = patient(daemon)?;
        let volume = id(&client.make_volume("v", 1)?)?;
        scribble(daemon, &volume, 5)?;
        let as_it_was = digest(daemon, &volume)?;
        let body = json!({"volume_id": volume, "name": "s"});
        let snapshot = id(&client.make("/snapshots", "snapshot", &body, "available")?)?;
        let body =
            json!({"attachment": {"volume_uuid": volume, "connector": connector(INITIATOR)}});
        let attached = client.post("/attachments", &body)?.expect(200)?;
        let path = format!("/attachments/{}/action", id(&attached.body["attachment"])?);
        client
            .post(&path, &json!({"os-complete": null}))?
            .expect(204)?;
        let refused = client.post("/backups", &json!({"backup": {"volume_id": volume}}))?;
        ensure!(
            refused.expect_fault(400)?.message().contains("force"),
            "another reason"
        );
        let in_use = back_up(&client, &json!({"volume_id": volume, "force": true}))?;
        let shown = client.get(&format!("/volumes/{volume}"))?.expect(200)?;
        ensure!(shown.body["volume"]["status"] == "in-use", "{}", shown.text);
        scribble(daemon, &volume, 9)?;
        let body = json!({"volume_id": volume, "snapshot_id": snapshot});
        let of_snapshot = back_up(&client, &body)?;
        for backup in [&in_use, &of_snapshot] {
            let restored = restore(&client, backup, &json!({}))?;
            ensure!(
                digest(daemon, &restored)? == as_it_was,
                "{backup} came back otherwise"
            );
        }
        let snapshots: Vec<String> = pool::names(&daemon.pool_dir())?
            .into_iter()
            .filter(|name| name.starts_with("snapshots/"))
            .collect();
        ensure!(
            snapshots.len() == 1,
            "the driver's snapshot is left: {snapshots:?}"
        );
        Ok(())
    })
}

/// What was begun, once it is over.
fn ended(client: &Client, begun: &Value) -> Result<Value> {
    let id = id(&begun["operation"])?;
    wait_for(&format!("operation {id} to end"), SOON, || {
        let path = format!("/operations/{id}");
        let shown = client.ashlar(Method::GET, &path, None)?.expect(200)?;
        let operation = shown.body["operation"].clone();
        Ok(operation["finished_at"].is_string().then_some(operation))
    })
}

fn verify(client: &Client, backup: &str) -> Result<Value> {
    let (path, body) = (
        format!("/backups/{backup}/verify"),
        json!({"depth": "data"}),
    );
    let begun = client
        .ashlar(Method::POST, &path, Some(&body))?
        .expect(202)?;
    ended(client, &begun.body)
}

fn store(client: &Client) -> Result<Value> {
    let shown = client
        .ashlar(Method::GET, "/backup-stores/nas", None)?
        .expect(200)?;
    Ok(shown.body["backup_store"].clone())
}

#[test]
fn a_fresh_ashlar_takes_over_a_repository() -> Result<()> {
    let config = Config {
        store: "restic",
        ..Config::default()
    };
    with_daemon(config, |daemon| {
        let client = patient(daemon)?;
        let volume = id(&client.make_volume("v", 1)?)?;
        scribble(daemon, &volume, 3)?;
        let first = digest(daemon, &volume)?;
        let full = back_up(&client, &json!({"volume_id": volume, "name": "full"}))?;
        scribble(daemon, &volume, 7)?;
        let second = digest(daemon, &volume)?;
        let body = json!({"volume_id": volume, "incremental": true, "metadata": {"k": "v"}});
        let incremental = back_up(&client, &body)?;
        let before = client.all("/backups/detail", "backups")?;

        // All is lost but the repository and its key.
        daemon.stop()?;
        let key = fs::read(daemon.state_dir().join("backup/nas.key"))?;
        for lost in [daemon.state_dir(), daemon.pool_dir()] {
            fs::remove_dir_all(&lost)?;
            fs::create_dir(&lost)?;
        }
        fs::create_dir(daemon.state_dir().join("backup"))?;
        fs::write(daemon.state_dir().join("backup/nas.key"), key)?;
        daemon.start_again()?;

        let client = patient(daemon)?;
        ensure!(
            client.all("/backups/detail", "backups")?.is_empty(),
            "not fresh"
        );
        let found = store(&client)?;
        ensure!(
            found["is_up"] == true && found["backups"] == 2 && found["rows"] == 0,
            "{found}"
        );
        for (made, there) in [(2, 0), (0, 2)] {
            let path = "/backup-stores/host1@nas/import";
            let begun = client.ashlar(Method::POST, path, None)?.expect(202)?;
            let over = ended(&client, &begun.body)?;
            ensure!(over["phase"] == "done", "{over}");
            let account = store(&client)?["last_import"].clone();
            let wanted = json!([2, made, there, 0]);
            let said = json!([
                account["found"],
                account["made"],
                account["already_there"],
                account["refused"]
            ]);
            ensure!(said == wanted, "{account}");
        }
        let path = format!("/os-quota-sets/{}?usage=true", client.project);
        let quota = client.get(&path)?.expect(200)?.body["quota_set"].clone();
        ensure!(
            quota["backups"]["in_use"] == 2 && quota["backup_gigabytes"]["in_use"] == 2,
            "{quota}"
        );
        let mut after = client.all("/backups/detail", "backups")?;
        for (one, was) in after.iter_mut().zip(&before) {
            one["updated_at"] = was["updated_at"].clone();
        }
        ensure!(after == before, "{after:?} are not {before:?}");
        for (backup, want) in [(&full, first), (&incremental, second)] {
            let restored = restore(&client, backup, &json!({}))?;
            ensure!(
                digest(daemon, &restored)? == want,
                "{backup} came back otherwise"
            );
        }
        Ok(())
    })
}

#[test]
fn what_is_damaged_is_found_and_said() -> Result<()> {
    let config = Config {
        store: "restic",
        ..Config::default()
    };
    with_daemon(config, |daemon| {
        let client = patient(daemon)?;
        let volume = id(&client.make_volume("v", 1)?)?;
        scribble(daemon, &volume, 3)?;
        let backup = back_up(&client, &json!({"volume_id": volume}))?;
        let over = verify(&client, &backup)?;
        ensure!(over["phase"] == "done", "{over}");
        let path = format!("/backups/{backup}");
        let shown = client.ashlar(Method::GET, &path, None)?.expect(200)?;
        ensure!(
            shown.body["backup"]["last_verified_result"] == "sound",
            "{}",
            shown.text
        );

        let packs = daemon.backup_dir().join("data");
        for pack in pool::names(&packs)? {
            let pack = packs.join(pack);
            let len = fs::metadata(&pack)?.len();
            let file = fs::File::options().write(true).open(&pack)?;
            file.write_all_at(&[0x5a; 64], len / 2)?;
        }
        let over = verify(&client, &backup)?;
        ensure!(over["phase"] == "failed", "{over}");
        let shown = client.ashlar(Method::GET, &path, None)?.expect(200)?;
        let shown = &shown.body["backup"];
        ensure!(shown["last_verified_result"] == "damaged", "{shown}");
        ensure!(
            shown["findings"]
                .as_array()
                .is_some_and(|all| !all.is_empty()),
            "{shown}"
        );
        let messages = client.get("/messages")?.expect(200)?;
        ensure!(messages.text.contains(&backup), "{}", messages.text);
        let path = format!("/journal?object_id={volume}");
        let journal = client.ashlar(Method::GET, &path, None)?.expect(200)?;
        let newest = &journal.body["journal"][0];
        ensure!(
            newest["what"] == "verify_backup" && newest["error"].is_string(),
            "{newest}"
        );
        client.destroy("/backups", &backup)
    })
}

#[test]
fn services_and_a_store_that_is_not_there() -> Result<()> {
    let config = Config {
        roles: vec!["api", "scheduler", "volume"],
        ..Config::default()
    };
    with_daemon(config, |daemon| {
        let client = patient(daemon)?;
        let volume = id(&client.make_volume("v", 1)?)?;
        let body = json!({"backup": {"volume_id": volume}});
        let refused = client.post("/backups", &body)?.expect_fault(503)?;
        let words = "Service cinder-backup could not be found.";
        ensure!(
            refused.message().starts_with(words),
            "{}",
            refused.message()
        );
        daemon.kill()?;
        daemon.start_with(Config::default())?;
        let client = patient(daemon)?;
        let services = client
            .get("/os-services?binary=cinder-backup")?
            .expect(200)?;
        let one = &services.body["services"][0];
        ensure!(
            one["host"] == "host1@nas" && one["state"] == "up",
            "{}",
            services.text
        );
        back_up(&client, &json!({"volume_id": volume})).map(|_| ())
    })
}
