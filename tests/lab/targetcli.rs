//! Case 2: what targetcli shows, saves and restores is ours; what others made stays theirs.

use anyhow::ensure;
use ashlar_tests::Result;
use ashlar_tests::client::{Client, id};
use ashlar_tests::lab::PATIENCE;
use ashlar_tests::lab::shell::Shell;
use ashlar_tests::lab::storage::Setup;
use ashlar_tests::wait::wait_for;
use serde_json::{Value, json};

use crate::main_job::volume_type;
use crate::rig::Place;

const FOREIGN: &str = "iqn.2003-01.org.linux-iscsi.other:x";
pub(crate) const SAVED: &str = "/etc/rtslib-fb-target/saveconfig.json";
/// A target that an administrator made by hand, with an initiator of its own.
const MAKE_FOREIGN: &str = "truncate -s 64M /var/tmp/foreign.img && targetcli >/dev/null <<'END'
set global auto_add_default_portal=false auto_save_on_exit=false
backstores/fileio create foreign /var/tmp/foreign.img
iscsi/ create iqn.2003-01.org.linux-iscsi.other:x
iscsi/iqn.2003-01.org.linux-iscsi.other:x/tpg1/luns create /backstores/fileio/foreign
iscsi/iqn.2003-01.org.linux-iscsi.other:x/tpg1/portals create 127.0.0.1 3261
iscsi/iqn.2003-01.org.linux-iscsi.other:x/tpg1/acls create iqn.1993-08.org.debian:01:other
iscsi/iqn.2003-01.org.linux-iscsi.other:x/tpg1/acls/iqn.1993-08.org.debian:01:other set auth userid=u password=secretsecret
saveconfig
END";
const REMOVE_FOREIGN: &str = "targetcli >/dev/null <<'END'
set global auto_save_on_exit=false
iscsi/ delete iqn.2003-01.org.linux-iscsi.other:x
backstores/fileio delete foreign
saveconfig
END
rm -f /var/tmp/foreign.img /etc/rtslib-fb-target/backup/*";

pub(crate) fn case(place: &Place) -> Result<()> {
    let setup = Setup {
        portals: vec!["10.77.0.1:3260", "[fd77::1]:3260"],
        ..Setup::default()
    };
    place.one(setup, |storage| {
        let (client, shell) = (storage.client()?, &storage.guest.shell);
        shell.run(MAKE_FOREIGN)?;
        let foreign = tree(shell, FOREIGN)?;
        let foreign_saved = saved(shell, SAVED, FOREIGN)?;

        let volumes = two_volumes(&client)?;
        let iqns: Vec<String> = volumes
            .iter()
            .map(|(volume, _)| format!("iqn.2010-10.org.openstack:volume-{volume}"))
            .collect();
        targetcli_shows(shell, &iqns)?;
        let ours = trees(shell, &iqns)?;
        let saved_by_us = [
            saved(shell, SAVED, &iqns[0])?,
            saved(shell, SAVED, &iqns[1])?,
        ];

        // What rtslib would save of the kernel is what we saved.
        shell.run("targetctl save /tmp/by-rtslib.json")?;
        for (iqn, by_us) in iqns.iter().zip(&saved_by_us) {
            let by_rtslib = saved(shell, "/tmp/by-rtslib.json", iqn)?;
            ensure!(
                by_rtslib == *by_us,
                "of {iqn} rtslib saves\n{by_rtslib}\nand we saved\n{by_us}"
            );
        }

        // Cleared and restored without us: the same, from what we saved.
        storage.stop_daemon()?;
        shell.run("targetctl clear")?;
        ensure!(
            trees(shell, &iqns)?.is_empty(),
            "targetctl clear left something of ours"
        );
        let restored = shell.run(&format!("targetctl restore {SAVED} 2>&1"))?;
        ensure!(
            trees(shell, &iqns)? == ours,
            "targetctl restored something else: {restored}"
        );
        ensure!(
            tree(shell, FOREIGN)? == foreign,
            "what others made differs after targetctl restore"
        );
        storage.start_daemon()?;
        ensure!(
            trees(shell, &iqns)? == ours,
            "a start of ashlard changed what is exported"
        );

        comes_back_under_us(shell, &iqns, &ours)?;

        for (volume, attachment) in &volumes {
            client
                .delete(&format!("/attachments/{attachment}"))?
                .expect(200)?;
            client.destroy("/volumes", volume)?;
        }
        ensure!(
            tree(shell, FOREIGN)? == foreign,
            "what others made has changed"
        );
        ensure!(
            saved(shell, SAVED, FOREIGN)? == foreign_saved,
            "what others saved has changed"
        );
        shell.run(REMOVE_FOREIGN)?;
        Ok(())
    })
}

/// Under a running daemon: the service's restart, and a clearing that nobody asked it for.
fn comes_back_under_us(shell: &Shell, iqns: &[String], ours: &str) -> Result<()> {
    shell.run("systemctl restart rtslib-fb-targetctl")?;
    comes_back(shell, iqns, ours)?;
    shell.run("targetctl clear")?;
    comes_back(shell, iqns, ours)?;
    shell.run(&format!("targetctl restore {SAVED}"))?;
    comes_back(shell, iqns, ours)
}

/// A thin and a thick one, each let out to an initiator.
fn two_volumes(client: &Client) -> Result<Vec<(String, String)>> {
    let mut made = Vec::new();
    for provisioning in ["thin", "thick"] {
        let kind = volume_type(client, provisioning)?;
        let gib = json!({"size": 1, "volume_type": kind});
        let gib = if provisioning == "thin" {
            gib
        } else {
            json!({"size": 1, "volume_type": kind, "name": "thick"})
        };
        let volume = id(&client.make("/volumes", "volume", &gib, "available")?)?;
        let connector = json!({"initiator": "iqn.1993-08.org.debian:01:Somebody", "host": "h", "ip": "10.77.0.9"});
        let body = json!({"attachment": {"volume_uuid": volume, "connector": connector}});
        let attachment = client.post("/attachments", &body)?.expect(200)?;
        made.push((volume, id(&attachment.body["attachment"])?));
    }
    Ok(made)
}

fn targetcli_shows(shell: &Shell, iqns: &[String]) -> Result<()> {
    let shown = shell.run("targetcli ls")?;
    for iqn in iqns {
        let lines = |what: &str| shown.lines().filter(|line| line.contains(what)).count();
        ensure!(
            lines(iqn) >= 2,
            "targetcli does not show the backstore and the target {iqn}:\n{shown}"
        );
    }
    for what in [
        "iqn.1993-08.org.debian:01:somebody",
        "10.77.0.1:3260",
        "[fd77::1]:3260",
        "Mapped LUNs: 1",
    ] {
        ensure!(
            shown.contains(what),
            "targetcli does not show {what}:\n{shown}"
        );
    }
    Ok(())
}

fn comes_back(shell: &Shell, iqns: &[String], wanted: &str) -> Result<()> {
    let mut now = String::new();
    let back = wait_for("the exports to come back", PATIENCE / 2, || {
        now = trees(shell, iqns)?;
        Ok((now == wanted).then_some(()))
    });
    back.map_err(|error| error.context(format!("it is\n{now}\nand was\n{wanted}")))
}

fn trees(shell: &Shell, iqns: &[String]) -> Result<String> {
    let trees: Result<Vec<String>> = iqns.iter().map(|iqn| tree(shell, iqn)).collect();
    Ok(trees?.concat())
}

/// Everything below a target and its backstore, with every value that stays. A backstore's number is not its own.
fn tree(shell: &Shell, iqn: &str) -> Result<String> {
    let backstore = if iqn == FOREIGN { "foreign" } else { iqn };
    let not = "-not -path '*statistics*' -not -name info -not -name action -not -name 'alua*'";
    shell.run(&format!(
        "cd /sys/kernel/config/target && for top in core/*/{backstore} iscsi/{iqn}; do [ -d $top ] || continue; \
         find $top {not} -type d; find $top {not} -type l -printf '%p -> %l\\n' | sed 's,-> .*/target/,-> ,'; \
         find $top {not} -type f -readable -print0 | xargs -0 grep -a '' 2>/dev/null; done | tr -d '\\0' | sort \
         | sed 's/_[0-9]*\\/iqn/_N\\/iqn/g; s/\\(fileio\\|iblock\\)_[0-9]*/\\1_N/g'"
    ))
}

/// What a saved file has of a target and its backstore. The order of portals means nothing, and the group that every
/// backstore is in by itself is saved by rtslib and passed over when it restores.
pub(crate) fn saved(shell: &Shell, file: &str, iqn: &str) -> Result<String> {
    let whole: Value = serde_json::from_str(&shell.run(&format!("cat {file}"))?)?;
    let name = if iqn == FOREIGN { "foreign" } else { iqn };
    let of = |list: &str, key: &str, name: &str| -> Vec<Value> {
        let items = whole[list].as_array().cloned().unwrap_or_default();
        items.into_iter().filter(|item| item[key] == name).collect()
    };
    let mut both = json!({"backstore": of("storage_objects", "name", name), "target": of("targets", "wwn", iqn)});
    ensure!(both["target"] != json!([]), "{file} has nothing of {iqn}");
    if let Some(groups) = both["backstore"][0]["alua_tpgs"].as_array_mut() {
        groups.retain(|group| group["name"] != "default_tg_pt_gp");
    }
    if let Some(portals) = both["target"][0]["tpgs"][0]["portals"].as_array_mut() {
        portals.sort_by_key(Value::to_string);
    }
    Ok(serde_json::to_string_pretty(&both)?)
}
