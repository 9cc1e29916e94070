//! Case 3: the power is cut at a kill point, and the disks lose what they were not told to keep.
//!
//! The daemon dies at the point, the guest with it; the volume group's disk and the one with the record are put
//! together again from what had been flushed. After the boot the record, LVM, configfs and `saveconfig.json` must
//! agree, a volume that has nothing to do with it has its data, and the operation can be asked for again.

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use ashlar_tests::client::{Client, id};
use ashlar_tests::config::Fault;
use ashlar_tests::lab::PATIENCE;
use ashlar_tests::lab::storage::{Setup, Storage};
use ashlar_tests::seed::Seed;
use ashlar_tests::wait::wait_for;
use serde_json::{Value, json};

use crate::rig::Place;

/// Every step of what must survive a power cut, as `ashlard operations` has it.
const STEPS: &[(&str, &str)] = &[
    ("create_volume", "place"),
    ("create_volume", "make"),
    ("extend_volume", "check"),
    ("extend_volume", "grow"),
    ("create_snapshot", "capture"),
    ("delete_volume", "unexport"),
    ("delete_volume", "wipe"),
    ("delete_volume", "remove"),
    ("create_attachment", "export"),
    ("create_attachment", "allow"),
    ("delete_attachment", "deny"),
    ("delete_attachment", "unexport"),
];
const POINTS: &[&str] = &["before-effect", "after-effect", "after-record"];
/// How many of them `make check` tries.
const SAMPLE: usize = 8;
/// How many of its half a slow machine tries.
const SAMPLE_MIN: usize = 2;

pub(crate) fn first_half(place: &Place) -> Result<()> {
    some(place, 0)
}

pub(crate) fn second_half(place: &Place) -> Result<()> {
    some(place, 1)
}

/// Every second of the chosen points, one after the other in one guest; odd ones on thick volumes.
fn some(place: &Place, half: usize) -> Result<()> {
    let all: Vec<(&str, &str, &'static str)> = POINTS
        .iter()
        .flat_map(|point| {
            STEPS
                .iter()
                .map(move |(operation, step)| (*operation, *step, *point))
        })
        .collect();
    let chosen = if std::env::var_os("ASHLAR_FULL").is_some() {
        all
    } else {
        // The same eight every time: what is green today and red tomorrow was changed, not drawn.
        let mut seed = Seed::of_test("power cut", Some(4));
        let mut left = all;
        let mut drawn = Vec::new();
        for _ in 0..SAMPLE {
            let index = usize::try_from(seed.below(left.len() as u64))?;
            drawn.push(left.swap_remove(index));
        }
        drawn
    };
    let setup = Setup {
        is_power_cut: true,
        ..Setup::default()
    };
    place.one(setup, |storage| {
        let client = storage.client()?;
        for provisioning in ["thin", "thick"] {
            crate::main_job::volume_type(&client, provisioning)?;
        }
        let anchor = id(&client.make_volume("anchor", 1)?)?;
        let device = format!("vg0/volume-{anchor}");
        let shell = &storage.guest.shell;
        shell.run(&format!(
            "lvchange -ay -K {device} && dd if=/dev/urandom of=/dev/{device} bs=1M count=8 oflag=direct conv=fsync status=none && lvchange -an {device}"
        ))?;
        let sum = sum_of(storage, &device)?;
        let mine = chosen.into_iter().enumerate().filter(|(number, _)| number % 2 == half);
        for (done, (number, (operation, step, point))) in mine.enumerate() {
            if done >= SAMPLE_MIN && place.is_late() {
                place.left_out(&format!("its points after the first {done}"));
                break;
            }
            let provisioning = if number / 2 % 2 == 0 { "thin" } else { "thick" };
            let lost = cut_at(storage, provisioning, operation, step, point)
                .with_context(|| format!("the power was cut at {operation}/{step}/{point}, {provisioning}"))?;
            ensure!(sum_of(storage, &device)? == sum, "the anchor's data is gone after {operation}/{step}/{point}");
            crate::say(&format!("    {operation}/{step}/{point}, {provisioning}: ok, {lost} writes lost"));
        }
        storage.client()?.destroy("/volumes", &anchor)
    })
}

fn sum_of(storage: &Storage, device: &str) -> Result<String> {
    storage.guest.shell.run(&format!(
        "lvchange -ay -K {device} && dd if=/dev/{device} bs=1M count=8 iflag=direct status=none | sha256sum && lvchange -an {device}"
    ))
}

fn cut_at(
    storage: &mut Storage,
    provisioning: &str,
    operation: &str,
    step: &str,
    point: &'static str,
) -> Result<usize> {
    let before = storage.client()?;
    let volume = json!({"name": "cut", "size": 1, "volume_type": provisioning});
    // What the operation is done to is made before the fault is set.
    let mut made = None;
    if operation != "create_volume" {
        made = Some(id(&before.make(
            "/volumes",
            "volume",
            &volume,
            "available",
        )?)?);
    }
    let mut attachment = None;
    if operation == "delete_attachment" {
        attachment = Some(attach(&before, made.as_deref().unwrap_or_default())?);
    }
    let fault = Fault {
        operation: operation.to_owned(),
        step: step.to_owned(),
        point,
        arrival: 1,
        action: "kill",
    };
    storage.start_with_fault(fault)?;
    let client = storage.client()?;
    let volume_id = made.clone().unwrap_or_default();
    // The daemon dies in the middle of it: whether an answer comes is not known.
    let _answer = match operation {
        "create_volume" => client.post("/volumes", &json!({"volume": volume})),
        "extend_volume" => {
            client
                .at("3.42")
                .act(&volume_id, "os-extend", &json!({"new_size": 2}), 202)
        }
        "create_snapshot" => client.post(
            "/snapshots",
            &json!({"snapshot": {"volume_id": volume_id, "name": "cut"}}),
        ),
        "delete_volume" => client.delete(&format!("/volumes/{volume_id}")),
        "create_attachment" => client.post("/attachments", &attachment_body(&volume_id)),
        _ => client.delete(&format!("/attachments/{}", attachment.unwrap_or_default())),
    };
    wait_for("ashlard to die at the point", PATIENCE, || {
        let state = storage
            .guest
            .shell
            .try_run("systemctl is-active ashlard", PATIENCE)?;
        Ok((!state.status.success()).then_some(()))
    })?;
    let lost = storage.power_cycle()?;
    let client = storage.client()?;
    client.wait_quiet()?;
    all_agree(storage, &client)?;
    clear_away(&client)?;
    all_agree(storage, &client)?;
    Ok(lost)
}

fn attachment_body(volume: &str) -> Value {
    let connector =
        json!({"initiator": "iqn.1993-08.org.debian:01:cut", "host": "h", "ip": "10.77.0.9"});
    json!({"attachment": {"volume_uuid": volume, "connector": connector}})
}

fn attach(client: &Client, volume: &str) -> Result<String> {
    let made = client
        .post("/attachments", &attachment_body(volume))?
        .expect(200)?;
    id(&made.body["attachment"])
}

/// Nothing is stuck, and what the record says is what LVM, the kernel and the saved configuration have.
fn all_agree(storage: &Storage, client: &Client) -> Result<()> {
    let volumes = client.all("/volumes/detail", "volumes")?;
    let snapshots = client.all("/snapshots/detail", "snapshots")?;
    let mut wanted = Vec::new();
    for (items, prefix) in [(&volumes, "volume-"), (&snapshots, "_snapshot-")] {
        for item in items {
            let status = item["status"].as_str().unwrap_or_default();
            ensure!(
                !status.ends_with("ing") || status == "attaching",
                "{} is {status} and no operation is under way",
                item["id"]
            );
            // What could not be made has a row that says so, and nothing else.
            if status != "error" {
                wanted.push(format!("{prefix}{}", id(item)?));
            }
        }
    }
    wanted.sort();
    let shell = &storage.guest.shell;
    let found =
        shell.run("lvs --noheadings -o lv_name vg0 | tr -d ' ' | grep -v '^vg0-pool$' | sort")?;
    let found: Vec<&str> = found.lines().collect();
    ensure!(
        found == wanted,
        "LVM has {found:?} and the record {wanted:?}"
    );

    let attachments = client.all("/attachments", "attachments")?;
    let mut exported = Vec::new();
    for attachment in &attachments {
        let shown = client
            .get(&format!("/attachments/{}", id(attachment)?))?
            .expect(200)?;
        let iqn = shown.body["attachment"]["connection_info"]["target_iqn"].as_str();
        exported.extend(iqn.map(str::to_owned));
    }
    exported.sort();
    exported.dedup();
    for (what, look) in [
        (
            "configfs",
            "cd /sys/kernel/config/target/iscsi 2>/dev/null && ls -d iqn* 2>/dev/null | sort; true",
        ),
        (
            "the kernel's backstores",
            "cd /sys/kernel/config/target/core && ls -d */iqn* 2>/dev/null | sed 's,.*/,,' | sort",
        ),
        (
            "saveconfig.json",
            "sed -n 's/.*\"wwn\": \"\\(iqn[^\"]*\\)\".*/\\1/p' /etc/rtslib-fb-target/saveconfig.json 2>/dev/null | sort",
        ),
    ] {
        let same = wait_for("the exports", PATIENCE, || {
            let has = shell.run(look)?;
            Ok((has.lines().collect::<Vec<_>>() == exported).then_some(()))
        });
        same.with_context(|| {
            format!(
                "{what} differs from the record, which exports {exported:?}: {:?}",
                shell.run(look)
            )
        })?;
    }
    Ok(())
}

/// What was left can be taken away like anything else.
fn clear_away(client: &Client) -> Result<()> {
    for attachment in client.all("/attachments", "attachments")? {
        client
            .delete(&format!("/attachments/{}", id(&attachment)?))?
            .expect(200)?;
    }
    for snapshot in client.all("/snapshots/detail", "snapshots")? {
        client.destroy("/snapshots", &id(&snapshot)?)?;
    }
    for volume in client.all("/volumes/detail", "volumes")? {
        if volume["name"] != "anchor" {
            client.destroy("/volumes", &id(&volume)?)?;
        }
    }
    Ok(())
}
