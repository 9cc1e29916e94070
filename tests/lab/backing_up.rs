//! Backups of logical volumes: a thin one that a host may be writing to, and a thick one, come back byte by byte, and nothing
//! that the copying needed stays. Of a thin one only what was written is read, and upon a snapshot's backup only what
//! differs from that snapshot.

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use ashlar_tests::client::{Client, id};
use ashlar_tests::lab::shell::Shell;
use ashlar_tests::lab::storage::Setup;
use serde_json::{Value, json};

use crate::main_job::volume_type;
use crate::rig::Place;

const STORE: &str = "/var/backups/ashlar";

pub(crate) fn case(place: &Place) -> Result<()> {
    let setup = Setup {
        store: Some(STORE),
        ..Setup::default()
    };
    place.one(setup, |storage| {
        let (client, shell) = (storage.client()?, &storage.guest.shell);
        for provisioning in ["thin", "thick"] {
            volume_type(&client, provisioning)?;
        }
        upon_snapshots(&client, shell)?;
        for (provisioning, is_in_use) in [("thin", true), ("thick", false)] {
            let new = json!({"size": 1, "volume_type": provisioning});
            let volume = id(&client.make("/volumes", "volume", &new, "available")?)?;
            let lv = format!("volume-{volume}");
            shell.run(&format!(
                "lvchange -ay -K vg0/{lv}; dd if=/dev/urandom of=/dev/vg0/{lv} bs=1M count=16 oflag=direct conv=fsync status=none; \
                 dd if=/dev/urandom of=/dev/vg0/{lv} bs=1M count=1 seek=1023 oflag=direct conv=fsync,notrunc status=none"
            ))?;
            let before = sum(shell, &lv)?;
            let attachment = is_in_use.then(|| attach(&client, &volume)).transpose()?;
            let new = json!({"volume_id": volume, "force": is_in_use});
            let backup = id(&client.make("/backups", "backup", &new, "available")?)?;
            let snapshots = shell.run("lvs --noheadings -o lv_name vg0 | grep -c _snapshot || true")?;
            ensure!(snapshots.trim() == "0", "{snapshots} snapshots are left");
            if let Some(attachment) = attachment {
                client.delete(&format!("/attachments/{attachment}"))?.expect(200)?;
            }
            client.destroy("/volumes", &volume)?;

            let answer = client.post(&format!("/backups/{backup}/restore"), &json!({"restore": {"name": "again"}}))?;
            let answer = answer.expect(202)?;
            let restored = answer.body["restore"]["volume_id"].as_str();
            let restored = restored.context("no volume")?;
            client.wait_status("/volumes", "volume", restored, "available")?;
            client.wait_status("/backups", "backup", &backup, "available")?;
            ensure!(
                sum(shell, &format!("volume-{restored}"))? == before,
                "a {provisioning} volume came back otherwise"
            );
            client.destroy("/volumes", restored)?;
            client.destroy("/backups", &backup)?;
        }
        shell.run(&format!("rm -r {STORE}")).map(|_| ())
    })
}

/// Two snapshots of a thin volume, the second backed up upon the first's backup.
fn upon_snapshots(client: &Client, shell: &Shell) -> Result<()> {
    let new = json!({"size": 1, "volume_type": "thin"});
    let volume = id(&client.make("/volumes", "volume", &new, "available")?)?;
    let lv = format!("volume-{volume}");
    let mut made = Vec::new();
    for (place, written_mib, most_mib) in [(100, 16, 20), (500, 4, 8)] {
        shell.run(&format!(
            "lvchange -ay -K vg0/{lv}; dd if=/dev/urandom of=/dev/vg0/{lv} bs=1M count={written_mib} seek={place} oflag=direct conv=fsync,notrunc status=none"
        ))?;
        let new = json!({"volume_id": volume});
        let snapshot = id(&client.make("/snapshots", "snapshot", &new, "available")?)?;
        let new =
            json!({"volume_id": volume, "snapshot_id": snapshot, "incremental": !made.is_empty()});
        let backup = id(&client.make("/backups", "backup", &new, "available")?)?;
        let told = format!(
            "journalctl -q -o cat -u ashlard | grep 'copied.*{backup}' | sed 's/.*read_bytes=\\([0-9]*\\).*/\\1/'"
        );
        let read_bytes: u64 = shell
            .run(&told)?
            .trim()
            .parse()
            .context("no word of what was read")?;
        ensure!(
            (1..=most_mib << 20).contains(&read_bytes),
            "{read_bytes} bytes were read of {written_mib} MiB written"
        );
        made.push((snapshot, backup));
    }
    let before = sum(shell, &lv)?;
    let (_, last) = made.last().context("no backup")?;
    let answer = client.post(
        &format!("/backups/{last}/restore"),
        &json!({"restore": {"name": "again"}}),
    )?;
    let answer = answer.expect(202)?;
    let restored = answer.body["restore"]["volume_id"]
        .as_str()
        .context("no volume")?;
    client.wait_status("/volumes", "volume", restored, "available")?;
    client.wait_status("/backups", "backup", last, "available")?;
    ensure!(
        sum(shell, &format!("volume-{restored}"))? == before,
        "it came back otherwise"
    );
    client.destroy("/volumes", restored)?;
    for (snapshot, backup) in &made {
        client.destroy("/backups", backup)?;
        client.destroy("/snapshots", snapshot)?;
    }
    client.destroy("/volumes", &volume)
}

fn attach(client: &Client, volume: &str) -> Result<String> {
    let connector =
        json!({"initiator": "iqn.1993-08.org.debian:01:h", "host": "h", "ip": "10.77.0.9"});
    let body = json!({"attachment": {"volume_uuid": volume, "connector": connector}});
    let made = client.post("/attachments", &body)?.expect(200)?;
    let attachment = id(&made.body["attachment"])?;
    let complete = json!({"os-complete": Value::Null});
    client
        .post(&format!("/attachments/{attachment}/action"), &complete)?
        .expect(204)?;
    Ok(attachment)
}

/// No better hash: nobody forges here, and under emulation sha256 of a GiB takes a minute.
fn sum(shell: &Shell, lv: &str) -> Result<String> {
    shell.run(&format!(
        "lvchange -ay -K vg0/{lv}; dd if=/dev/vg0/{lv} bs=4M iflag=direct status=none | md5sum"
    ))
}
