//! Case 1: what a user does with a volume in its life, with a file system mounted on another host.

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use ashlar_tests::client::{Client, id};
use ashlar_tests::lab::host::{Host, Lun};
use ashlar_tests::lab::storage::{GROUP, Setup, Storage};
use serde_json::{Value, json};

use crate::rig::Place;

const GIB: u64 = 1 << 30;

pub(crate) fn thin(place: &Place) -> Result<()> {
    place.two(Setup::default(), |storage, host| {
        job(storage, host, "thin", "xfs")
    })
}

pub(crate) fn thick(place: &Place) -> Result<()> {
    let setup = Setup {
        more: "thin_pool_percent = 20",
        ..Setup::default()
    };
    place.two(setup, |storage, host| job(storage, host, "thick", "ext4"))
}

fn job(
    storage: &mut Storage,
    host: &mut Host,
    provisioning: &str,
    file_system: &str,
) -> Result<()> {
    let client = storage.client()?;
    let kind = volume_type(&client, provisioning)?;
    let new = json!({"name": "data", "size": 1, "volume_type": kind});
    let volume = client.make("/volumes", "volume", &new, "available")?;
    let volume = id(&volume)?;
    ensure!(
        pool_of(&client, &volume)?.ends_with(if provisioning == "thin" {
            "#vg0-pool"
        } else {
            "#vg0"
        }),
        "a {provisioning} volume is in {}",
        pool_of(&client, &volume)?
    );

    // A file system with files, which come back after detach and attach.
    let (attachment, lun) = attach(&client, host, &volume)?;
    host.format(&lun, file_system, "/mnt/data")?;
    let before = host.write_files("/mnt/data/before", 24)?;
    host.unmount("/mnt/data")?;
    detach(&client, host, &attachment, &lun)?;
    let (attachment, lun) = attach(&client, host, &volume)?;
    host.mount(&lun, "/mnt/data")?;
    ensure!(
        host.sums("/mnt/data/before")? == before,
        "the files differ after detach and attach"
    );

    grow(&client, host, &volume, &lun, file_system)?;

    // A snapshot under the mounted file system, then something else written.
    host.guest
        .shell
        .run("sync -f /mnt/data; fsfreeze -f /mnt/data")?;
    let snapshot = json!({"volume_id": volume, "name": "kept", "force": true});
    let snapshot = client.make("/snapshots", "snapshot", &snapshot, "available");
    host.guest.shell.run("fsfreeze -u /mnt/data")?;
    let snapshot = id(&snapshot?)?;
    let after = host.write_files("/mnt/data/after", 16)?;

    // The storage node reboots under the mount: I/O waits, and goes on.
    restart_under_load(storage, host)?;
    ensure!(
        host.sums("/mnt/data/after")? == after,
        "the files differ after a reboot of the storage node"
    );
    let client = storage.client()?;

    let new = json!({"name": "copy", "size": 2, "snapshot_id": snapshot, "volume_type": kind});
    host.unmount("/mnt/data")?;
    let copies = copies(&client, host, &new, &before)?;

    // Reverted, the volume has nothing but that.
    detach(&client, host, &attachment, &lun)?;
    client
        .at("3.40")
        .act(&volume, "revert", &json!({"snapshot_id": snapshot}), 202)?;
    client.wait_status("/volumes", "volume", &volume, "available")?;
    let (attachment, lun) = attach(&client, host, &volume)?;
    host.mount(&lun, "/mnt/data")?;
    ensure!(
        host.sums("/mnt/data/before")? == before,
        "the files differ after the revert"
    );
    ensure!(
        !host.guest.shell.run("ls /mnt/data")?.contains("after"),
        "the revert kept what came later"
    );
    host.unmount("/mnt/data")?;
    host.guest.shell.run("rmdir /mnt/data")?;
    detach(&client, host, &attachment, &lun)?;

    for copy in copies.iter().rev() {
        client.destroy("/volumes", copy)?;
    }
    client.destroy("/snapshots", &snapshot)?;
    client.destroy("/volumes", &volume)
}

/// Grown while it is mounted.
fn grow(client: &Client, host: &Host, volume: &str, lun: &Lun, file_system: &str) -> Result<()> {
    client
        .at("3.42")
        .act(volume, "os-extend", &json!({"new_size": 2}), 202)?;
    client.wait_status("/volumes", "volume", volume, "in-use")?;
    host.rescan(lun, 2 * GIB)?;
    let grow = if file_system == "xfs" {
        "xfs_growfs /mnt/data"
    } else {
        "resize2fs $(findmnt -n -o SOURCE /mnt/data)"
    };
    host.guest.shell.run(grow)?;
    let room = host
        .guest
        .shell
        .run("df --output=size -B1 /mnt/data | tail -1")?;
    ensure!(
        room.trim().parse::<u64>()? > GIB * 3 / 2,
        "the file system has {room} bytes after it was grown"
    );
    Ok(())
}

/// A volume made of the snapshot, and one made of that, have what was there then.
fn copies(client: &Client, host: &Host, new: &Value, before: &str) -> Result<[String; 2]> {
    let copy = id(&client.make("/volumes", "volume", new, "available")?)?;
    let mut clone = json!({"name": "clone", "size": 2, "source_volid": copy});
    clone["volume_type"] = new["volume_type"].clone();
    let clone = id(&client.make("/volumes", "volume", &clone, "available")?)?;
    for one in [&copy, &clone] {
        let (attachment, lun) = attach(client, host, one)?;
        host.mount(&lun, "/mnt/copy")?;
        ensure!(
            host.sums("/mnt/copy/before")? == before,
            "the copy's files differ"
        );
        let has_after = host.guest.shell.run("ls /mnt/copy")?.contains("after");
        ensure!(
            !has_after,
            "the copy has what was written after its snapshot"
        );
        host.unmount("/mnt/copy")?;
        host.guest.shell.run("rmdir /mnt/copy")?;
        detach(client, host, &attachment, &lun)?;
    }
    Ok([copy, clone])
}

/// A type whose volumes are thin, or thick.
pub(crate) fn volume_type(client: &Client, provisioning: &str) -> Result<String> {
    let is_thin = if provisioning == "thin" {
        "<is> True"
    } else {
        "<is> False"
    };
    let body = json!({"volume_type": {
        "name": provisioning, "extra_specs": {"thin_provisioning_support": is_thin},
    }});
    client.post("/types", &body)?.expect(200)?;
    Ok(provisioning.to_owned())
}

fn pool_of(client: &Client, volume: &str) -> Result<String> {
    let volume = client.get(&format!("/volumes/{volume}"))?.expect(200)?;
    let host = volume.body["volume"]["os-vol-host-attr:host"].as_str();
    host.map(str::to_owned)
        .with_context(|| format!("no host in {} ({GROUP})", volume.text))
}

/// Attaches, logs in, completes.
pub(crate) fn attach(client: &Client, host: &Host, volume: &str) -> Result<(String, Lun)> {
    let body = json!({"attachment": {"volume_uuid": volume, "connector": host.connector()}});
    let made = client.post("/attachments", &body)?.expect(200)?;
    let attachment = &made.body["attachment"];
    let lun = host.log_in(&attachment["connection_info"])?;
    let attachment = id(attachment)?;
    let complete = json!({"os-complete": Value::Null});
    client
        .post(&format!("/attachments/{attachment}/action"), &complete)?
        .expect(204)?;
    Ok((attachment, lun))
}

/// Logs out and detaches.
pub(crate) fn detach(client: &Client, host: &Host, attachment: &str, lun: &Lun) -> Result<()> {
    host.log_out(lun)?;
    client
        .delete(&format!("/attachments/{attachment}"))?
        .expect(200)?;
    Ok(())
}

/// A host goes on writing all the while its storage node is rebooted; every line that it heard to be on the disk is.
fn restart_under_load(storage: &mut Storage, host: &Host) -> Result<()> {
    let writes = "n=0; until [ -e /run/enough ]; do n=$((n+1)); echo line $n >> /mnt/data/lines && \
                  sync -f /mnt/data || exit 1; done; echo $n > /run/written";
    let mut writing = host.guest.shell.start(writes)?;
    storage.guest.reboot()?;
    storage.wait_ready()?;
    host.guest.shell.run("touch /run/enough")?;
    let ended = ashlar_tests::cmd::end_of(
        &mut writing,
        "the writes during the reboot",
        ashlar_tests::lab::PATIENCE,
    )?;
    ensure!(
        ended.success(),
        "the writes during the reboot ended with {ended}"
    );
    let lines = host.guest.shell.run(
        "sync; echo 3 > /proc/sys/vm/drop_caches; wc -l < /mnt/data/lines; cat /run/written; \
         rm /mnt/data/lines /run/enough /run/written",
    )?;
    let counts: Vec<&str> = lines.split_whitespace().collect();
    ensure!(
        matches!(counts[..], [found, written] if found == written && written != "0"),
        "lines found and lines written: {counts:?}"
    );
    Ok(())
}
