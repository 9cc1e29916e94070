//! Case 7: `ashlar attachment connect` on a host, over two portals and without; no Nova is needed to use a volume.

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use ashlar_tests::client::id;
use ashlar_tests::lab::host::Host;
use ashlar_tests::lab::storage::{Setup, Storage};
use serde_json::{Value, json};

use crate::rig::Place;

const GIB: u64 = 1 << 30;

pub(crate) fn case(place: &Place) -> Result<()> {
    let setup = Setup {
        portals: vec!["10.77.0.1:3260", "10.77.1.1:3260"],
        listen: Some("10.77.0.1:8776"),
        ..Setup::default()
    };
    place.two(setup, |storage, host| {
        let client = storage.client()?;
        let volume = id(&client.make_volume("mine", 1)?)?;
        let ashlar = Ashlar::new(storage, host)?;

        // One path, a file system, what is in use is not taken away.
        let disk = ashlar.one("attachment connect mine")?;
        ensure!(disk["size_bytes"] == json!(GIB), "{disk}");
        ensure!(disk["portals"] == json!(["10.77.0.1:3260"]), "{disk}");
        let device = device(&disk)?;
        ensure!(device.starts_with("/dev/disk/by-id/wwn-0x6001405"), "{disk}");
        host.guest.shell.run(&format!("mkfs.ext4 -q -F {device} && mkdir -p /mnt/mine && mount {device} /mnt/mine"))?;
        let sums = host.write_files("/mnt/mine/files", 8)?;
        let refused = ashlar.refused("attachment disconnect mine --yes")?;
        ensure!(refused.contains("mounted at /mnt/mine") && refused.contains("nothing was changed"), "{refused}");

        // It grows under the mount, when connect is said again.
        client.at("3.42").act(&volume, "os-extend", &json!({"new_size": 2}), 202)?;
        client.wait_status("/volumes", "volume", &volume, "in-use")?;
        let disk = ashlar.one("attachment connect mine")?;
        ensure!(disk["size_bytes"] == json!(2 * GIB), "{disk}");
        host.guest.shell.run("resize2fs $(findmnt -n -o SOURCE /mnt/mine)")?;
        host.guest.shell.run("umount /mnt/mine")?;
        ashlar.one("attachment disconnect mine --yes")?;
        client.wait_status("/volumes", "volume", &volume, "available")?;
        let missing = ashlar.refused("attachment disconnect mine --yes")?;
        ensure!(missing.contains("no record"), "{missing}");

        // Two paths, one of which may go.
        host.guest.shell.run("systemctl unmask -q multipathd.service multipathd.socket && mpathconf >/dev/null 2>&1; systemctl start multipathd")?;
        let disk = ashlar.one("attachment connect mine")?;
        ensure!(disk["portals"].as_array().map(Vec::len) == Some(2), "{disk}");
        let device = self::device(&disk)?;
        ensure!(device.starts_with("/dev/disk/by-id/dm-uuid-mpath-36001405"), "{disk}");
        host.guest.shell.run(&format!("mount {device} /mnt/mine"))?;
        host.guest.shell.run("iscsiadm -m node -p 10.77.1.1:3260 --logout")?;
        ensure!(host.sums("/mnt/mine/files")? == sums, "the files differ over one path");
        host.guest.shell.run("umount /mnt/mine && rmdir /mnt/mine")?;
        ashlar.one("attachment disconnect mine --yes")?;
        host.guest.shell.run("systemctl stop multipathd.socket multipathd; rm -f /etc/multipath/wwids")?;

        ashlar.forget()?;
        client.destroy("/volumes", &volume)
    })
}

fn device(disk: &Value) -> Result<String> {
    disk["device"]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no device in {disk}"))
}

/// The command line on the host, with a token of its own.
pub(crate) struct Ashlar<'a> {
    host: &'a Host,
}

impl<'a> Ashlar<'a> {
    pub(crate) fn new(storage: &Storage, host: &'a Host) -> Result<Self> {
        let socket = "ASHLAR_ENDPOINT=unix:/var/lib/ashlar/api.sock";
        let made = storage.guest.shell.run(&format!(
            "{socket} ashlar token create admin --role admin -o json"
        ))?;
        let made: Value = serde_json::from_str(&made)?;
        let made = &made["items"][0];
        let secret = made["secret"]
            .as_str()
            .with_context(|| format!("no secret in {made}"))?;
        let ashlar = Self { host };
        ashlar.host.guest.shell.put(
            "/root/ashlar.env",
            &format!("export ASHLAR_ENDPOINT=http://10.77.0.1:8776 ASHLAR_TOKEN={secret}\n"),
        )?;
        Ok(ashlar)
    }

    pub(crate) fn one(&self, words: &str) -> Result<Value> {
        let said = self
            .host
            .guest
            .shell
            .run(&format!(". /root/ashlar.env; ashlar {words} -o json"))?;
        let said: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
        Ok(said["items"][0].clone())
    }

    fn refused(&self, words: &str) -> Result<String> {
        let line = format!(". /root/ashlar.env; ashlar {words}");
        let ended = self
            .host
            .guest
            .shell
            .try_run(&line, ashlar_tests::lab::PATIENCE)?;
        ensure!(
            !ended.status.success(),
            "`ashlar {words}` was not refused: {}",
            ended.stdout
        );
        Ok(ended.stderr)
    }

    pub(crate) fn forget(&self) -> Result<()> {
        self.host.guest.shell.run("rm /root/ashlar.env").map(|_| ())
    }
}
