//! Case 4, what breaks under the daemon: full pools, a disk that goes, udisks2 and the bus that end. Each is told in
//! words, nothing else stops, and it goes on when the cause is gone.

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use ashlar_tests::client::{Client, id};
use ashlar_tests::lab::PATIENCE;
use ashlar_tests::lab::shell::Shell;
use ashlar_tests::lab::storage::Setup;
use ashlar_tests::wait::wait_for;
use serde_json::{Value, json};

use crate::main_job::volume_type;
use crate::rig::Place;

pub(crate) fn full_pools(place: &Place) -> Result<()> {
    let setup = Setup {
        more: "thin_pool_percent = 5\ndata_full_percent = 60",
        ..Setup::default()
    };
    place.one(setup, |storage| {
        let (client, shell) = (storage.client()?, &storage.guest.shell);
        let (thin, thick) = (volume_type(&client, "thin")?, volume_type(&client, "thick")?);

        // Thick: 15 GiB are left, so a volume of 16 has no place, and says where and why.
        let large = client.post("/volumes", &json!({"volume": {"size": 16, "volume_type": thick, "name": "large"}}))?;
        let large = id(&large.expect(202)?.body["volume"])?;
        client.wait_status("/volumes", "volume", &large, "error")?;
        let why = client.get(&format!("/messages?resource_uuid={large}"))?.body.to_string();
        ensure!(why.contains("No valid backend") || why.contains("room"), "nobody says why: {why}");
        client.destroy("/volumes", &large)?;

        // Thin: the pool of 800 MiB fills up by writes; past its guard it takes nothing new.
        let volume = id(&client.make("/volumes", "volume", &json!({"size": 1, "volume_type": thin}), "available")?)?;
        let device = format!("vg0/volume-{volume}");
        shell.run(&format!(
            "lvchange -ay -K {device} && dd if=/dev/zero of=/dev/{device} bs=1M count=560 oflag=direct status=none && lvchange -an {device}"
        ))?;
        let closed = wait_for("the pool to close", PATIENCE, || {
            let pool = pool(&client, "vg0-pool")?;
            Ok(pool["capabilities"]["closed_because"].as_str().map(str::to_owned))
        })?;
        ensure!(closed.contains("data of thin pool vg0-pool") && closed.contains("lvextend"), "{closed}");
        let refused = client.post("/volumes", &json!({"volume": {"size": 1, "volume_type": thin, "name": "late"}}))?;
        let refused = id(&refused.expect(202)?.body["volume"])?;
        client.wait_status("/volumes", "volume", &refused, "error")?;
        client.destroy("/volumes", &refused)?;
        let thick = id(&client.make("/volumes", "volume", &json!({"size": 1, "volume_type": thick}), "available")?)?;
        client.destroy("/volumes", &thick)?;

        // Room again: open again.
        client.destroy("/volumes", &volume)?;
        wait_for("the pool to open", PATIENCE, || {
            Ok(pool(&client, "vg0-pool")?["capabilities"]["closed_because"].is_null().then_some(()))
        })
    })
}

pub(crate) fn services_that_end(place: &Place) -> Result<()> {
    place.one(Setup::default(), |storage| {
        let (client, shell) = (storage.client()?, &storage.guest.shell);

        // udisksd dies while it makes a volume.
        let made = client.post("/volumes", &json!({"volume": {"size": 1, "name": "first"}}))?.expect(202)?;
        let first = id(&made.body["volume"])?;
        shell.run("for n in $(seq 100); do pgrep -x lvcreate >/dev/null && break; done; pkill -9 -x udisksd")?;
        client.wait_quiet()?;
        is_whole_or_error(&client, shell, &first)?;

        // The bus itself, and what is on it, between two operations.
        shell.run("systemctl restart dbus; systemctl try-restart udisks2")?;
        let second = id(&client.make_volume("second", 1)?)?;
        client.destroy("/volumes", &second)?;
        client.destroy("/volumes", &first)
    })
}

/// The disk of a group with two goes, and comes back.
pub(crate) fn a_disk_that_goes(place: &Place) -> Result<()> {
    place.one(Setup::default(), |storage| {
        let (client, shell) = (storage.client()?, &storage.guest.shell);
        let volume = id(&client.make_volume("stays", 1)?)?;
        shell.run("vgextend -q vg0 /dev/vdc")?;
        let virtio = shell.run("basename $(readlink -f /sys/block/vdc/device)")?;
        let virtio = virtio.trim();
        shell.run(&format!(
            "echo {virtio} > /sys/bus/virtio/drivers/virtio_blk/unbind"
        ))?;
        let state = |wanted: &'static str| {
            wait_for(&format!("the backend to be {wanted}"), PATIENCE, || {
                let services = client
                    .at("3.67")
                    .all("/os-services?binary=cinder-volume", "services")?;
                Ok(services
                    .iter()
                    .any(|service| service["backend_state"] == wanted)
                    .then_some(()))
            })
        };
        state("down")?;
        let log = storage.last_words();
        ensure!(
            log.contains("disks of the volume group vg0 are missing"),
            "the log does not say it:\n{log}"
        );
        let refused = client.post("/volumes", &json!({"volume": {"size": 1, "name": "late"}}))?;
        let refused = id(&refused.expect(202)?.body["volume"])?;
        client.wait_status("/volumes", "volume", &refused, "error")?;
        ensure!(
            client.get(&format!("/volumes/{volume}"))?.status == 200,
            "the daemon does not answer any more"
        );

        shell.run(&format!(
            "echo {virtio} > /sys/bus/virtio/drivers/virtio_blk/bind; udevadm settle -t 60"
        ))?;
        state("up")?;
        shell.run("vgreduce -q vg0 /dev/vdc && pvremove -q /dev/vdc")?;
        client.destroy("/volumes", &refused)?;
        client.destroy("/volumes", &volume)
    })
}

fn pool(client: &Client, name: &str) -> Result<Value> {
    let pools = client
        .get("/scheduler-stats/get_pools?detail=true")?
        .expect(200)?;
    let pools = pools.body["pools"].as_array().cloned().unwrap_or_default();
    let found = pools.into_iter().find(|pool| {
        pool["name"]
            .as_str()
            .is_some_and(|it| it.ends_with(&format!("#{name}")))
    });
    found.with_context(|| format!("no pool {name}"))
}

fn is_whole_or_error(client: &Client, shell: &Shell, volume: &str) -> Result<()> {
    let shown = client.get(&format!("/volumes/{volume}"))?.expect(200)?;
    let status = shown.body["volume"]["status"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let lvs = shell.run("lvs --noheadings -o lv_name vg0")?;
    let has_lv = lvs.contains(&format!("volume-{volume}"));
    match status.as_str() {
        "available" => ensure!(has_lv, "it is available and has no logical volume:\n{lvs}"),
        "error" => ensure!(!has_lv, "it is error and has a logical volume:\n{lvs}"),
        other => anyhow::bail!("it is {other}"),
    }
    ensure!(
        !lvs.contains("ashlar-new"),
        "something half made is left:\n{lvs}"
    );
    Ok(())
}
