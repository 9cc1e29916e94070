//! What of root's powers the daemon needs: of the capabilities that the shipped unit leaves it, each is taken away in turn, and
//! something must come to grief, or LVM complain. With all of them the same life ends well, without a complaint.

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use ashlar_tests::client::{Client, id};
use ashlar_tests::lab::storage::{Setup, Storage};
use serde_json::json;

use crate::main_job::volume_type;
use crate::rig::Place;

const UNIT: &str = "/etc/systemd/system/ashlard.service";
const DROP_IN: &str = "/etc/systemd/system/ashlard.service.d/rights.conf";
const STORE: &str = "/var/backups/ashlar";

pub(crate) fn case(place: &Place) -> Result<()> {
    let setup = Setup {
        store: Some(STORE),
        ..Setup::default()
    };
    place.one(setup, |storage| {
        let client = storage.client()?;
        for provisioning in ["thin", "thick"] {
            volume_type(&client, provisioning)?;
        }
        lives(storage).context("with all of them")?;
        let shell = &storage.guest.shell;
        let named = shell.run(&format!("sed -n 's/^CapabilityBoundingSet=//p' {UNIT}"))?;
        ensure!(named.contains("CAP_"), "the unit names no capabilities");
        let mut idle = Vec::new();
        for capability in named.split_whitespace() {
            let less = format!("[Service]\nCapabilityBoundingSet=~{capability}\n");
            storage.guest.shell.put(DROP_IN, &less)?;
            let outcome = lives(storage);
            storage.guest.shell.run(&format!("rm {DROP_IN}"))?;
            storage.start_anew()?;
            clear_away(&storage.client()?)?;
            match outcome {
                Ok(()) => idle.push(capability.to_owned()),
                Err(error) => {
                    let why = error.root_cause().to_string();
                    crate::say(&format!(
                        "    without {capability}: {}",
                        why.lines().next().unwrap_or_default()
                    ));
                }
            }
        }
        ensure!(idle.is_empty(), "nothing needs {idle:?}");
        storage
            .guest
            .shell
            .run(&format!("rm -r {STORE}"))
            .map(|_| ())
    })
}

/// The life of a volume of either kind, by a daemon just started, in which all of LVM's programs and all of the target's files are used.
fn lives(storage: &Storage) -> Result<()> {
    let shell = &storage.guest.shell;
    let since = shell.run("date +%s")?;
    storage.start_anew()?;
    let client = storage.client()?;
    for provisioning in ["thin", "thick"] {
        life(&client, provisioning).with_context(|| format!("a {provisioning} volume"))?;
    }
    let complaints = shell.run(&format!(
        "journalctl -q --no-pager -o cat -u ashlard --since @{} | grep -i 'complain' || true",
        since.trim()
    ))?;
    ensure!(complaints.is_empty(), "{}", complaints.trim());
    Ok(())
}

fn life(client: &Client, provisioning: &str) -> Result<()> {
    let new = json!({"size": 1, "volume_type": provisioning});
    let volume = id(&client.make("/volumes", "volume", &new, "available")?)?;
    let connector =
        json!({"initiator": "iqn.1993-08.org.debian:01:h", "host": "h", "ip": "10.77.0.9"});
    let body = json!({"attachment": {"volume_uuid": volume, "connector": connector}});
    let made = client.post("/attachments", &body)?.expect(200)?;
    let attachment = id(&made.body["attachment"])?;
    client
        .delete(&format!("/attachments/{attachment}"))?
        .expect(200)?;
    let new = json!({"volume_id": volume});
    let snapshot = id(&client.make("/snapshots", "snapshot", &new, "available")?)?;
    client
        .at("3.40")
        .act(&volume, "revert", &json!({"snapshot_id": snapshot}), 202)?;
    client.wait_status("/volumes", "volume", &volume, "available")?;
    let new = json!({"volume_id": volume, "snapshot_id": snapshot});
    let backup = id(&client.make("/backups", "backup", &new, "available")?)?;
    client.destroy("/backups", &backup)?;
    client.destroy("/snapshots", &snapshot)?;
    client.destroy("/volumes", &volume)
}

/// What a life that came to grief has left.
fn clear_away(client: &Client) -> Result<()> {
    client.wait_quiet()?;
    for attachment in client.all("/attachments", "attachments")? {
        client
            .delete(&format!("/attachments/{}", id(&attachment)?))?
            .expect(200)?;
    }
    for (path, collection) in [
        ("/backups/detail", "backups"),
        ("/snapshots/detail", "snapshots"),
        ("/volumes/detail", "volumes"),
    ] {
        for item in client.all(path, collection)? {
            client.destroy(path.trim_end_matches("/detail"), &id(&item)?)?;
        }
    }
    Ok(())
}
