//! A retype that moves: from thin to thick in one group, and on to a thin pool of another. The bytes are the same, and nothing is
//! left where they were.

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use ashlar_tests::client::{Client, id};
use ashlar_tests::lab::shell::Shell;
use ashlar_tests::lab::storage::Setup;
use serde_json::json;

use crate::rig::Place;

pub(crate) fn case(place: &Place) -> Result<()> {
    let setup = Setup {
        second_group: Some("vg1"),
        ..Setup::default()
    };
    place.one(setup, |storage| {
        let (client, shell) = (storage.client()?, &storage.guest.shell);
        for (name, backend, is_thin) in [("thin", "default", "<is> True"), ("thick", "default", "<is> False"), ("other", "second", "<is> True")] {
            let specs = json!({"volume_backend_name": backend, "thin_provisioning_support": is_thin});
            let kind = json!({"volume_type": {"name": name, "extra_specs": specs}});
            client.post("/types", &kind)?.expect(200)?;
        }

        let new = json!({"volume": {"size": 1, "volume_type": "thin"}});
        let volume = id(&client.make("/volumes", "volume", &new["volume"], "available")?)?;
        let lv = format!("volume-{volume}");
        let device = format!("/dev/vg0/{lv}");
        shell.run(&format!(
            "lvchange -ay -K vg0/{lv}; dd if=/dev/urandom of={device} bs=1M count=24 oflag=direct conv=fsync status=none; \
             dd if=/dev/urandom of={device} bs=1M count=1 seek=1023 oflag=direct conv=fsync,notrunc status=none"
        ))?;
        let before = sum(shell, "vg0", &lv)?;
        for (kind, group, pool) in [("thick", "vg0", "default#vg0"), ("other", "vg1", "second#vg1-pool")] {
            let body = json!({"new_type": kind, "migration_policy": "on-demand"});
            client.act(&volume, "os-retype", &body, 202)?;
            client.wait_quiet()?;
            lies_in(&client, &volume, pool)?;
            ensure!(sum(shell, group, &lv)? == before, "its bytes differ after it moved to {pool}");
            let all = shell.run("lvs --noheadings -o vg_name,lv_name,lv_tags | grep -v -e '-pool'")?;
            let ours: Vec<&str> = all.lines().filter(|line| line.contains(&volume)).collect();
            ensure!(ours.len() == 1 && ours[0].contains(&lv), "it lies in more than one place:\n{all}");
        }
        client.destroy("/volumes", &volume)
    })
}

fn lies_in(client: &Client, volume: &str, pool: &str) -> Result<()> {
    let shown = client.get(&format!("/volumes/{volume}"))?.expect(200)?;
    let host = shown.body["volume"]["os-vol-host-attr:host"].as_str();
    let host = host.with_context(|| format!("no host in {}", shown.text))?;
    ensure!(host.ends_with(pool), "it lies in {host} instead of {pool}");
    let status = &shown.body["volume"]["status"];
    ensure!(status == "available", "it is {status}");
    Ok(())
}

/// No better hash: nobody forges here, and under emulation sha256 of a GiB takes a minute.
fn sum(shell: &Shell, group: &str, lv: &str) -> Result<String> {
    shell.run(&format!(
        "lvchange -ay -K {group}/{lv}; dd if=/dev/{group}/{lv} bs=4M iflag=direct status=none | md5sum"
    ))
}
