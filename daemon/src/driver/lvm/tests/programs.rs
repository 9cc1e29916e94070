//! LVM's own programs over the groups in memory. They know the arguments that `tools.rs` gives them, and refuse others.

use super::super::report::{LV_COLUMNS, VG_COLUMNS};
use super::metadata::HeldMetadata;
use crate::cmd::{Ended, Programs};
use ashlar_dbus::fake::fates::{Failure, Fates};
use ashlar_dbus::fake::groups::{Group, Groups, Kind, Refused, SharedGroups, Volume, locked};
use async_trait::async_trait;
use serde_json::{Map, Value, json};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct StandIn {
    pub(super) groups: SharedGroups,
    pub(super) fates: Arc<Fates>,
    /// The node of every group's only disk.
    pub(super) disk: PathBuf,
    pub(super) metadata: HeldMetadata,
}

#[async_trait]
impl Programs for StandIn {
    async fn run(&self, program: &str, args: &[&str], _deadline: Duration) -> io::Result<Ended> {
        let run = || {
            let groups = &mut locked(&self.groups);
            let told = self.metadata.run(groups, program, args);
            told.unwrap_or_else(|| run(groups, &self.disk, program, args))
        };
        let ended = |code, stdout, stderr| Ended {
            code,
            stdout,
            stderr,
        };
        Ok(match self.fates.act(run).await {
            Ok(stdout) => ended(Some(0), stdout, String::new()),
            Err(Failure::Refused(why)) => ended(Some(5), String::new(), format!("  {why}\n")),
            Err(Failure::Killed) => ended(None, String::new(), String::new()),
        })
    }
}

fn run(groups: &mut Groups, disk: &Path, program: &str, args: &[&str]) -> Result<String, Refused> {
    const REPORT: [&str; 6] = ["--reportformat", "json", "--units", "b", "--nosuffix", "-o"];
    let done = |done: Result<(), Refused>| done.map(|()| String::new());
    let path = |path: &str| {
        let (vg, lv) = path.split_once('/').unwrap();
        (vg.to_owned(), lv.to_owned())
    };
    match (program, args) {
        ("lvs", [report @ .., columns, vg]) if *report == REPORT => {
            assert_eq!(*columns, LV_COLUMNS);
            let group = groups.group(vg)?;
            let volumes = group.volumes.iter();
            // A merging snapshot is hidden.
            let rows: Vec<Value> = volumes
                .filter(|(_, volume)| !volume.is_merging)
                .map(|(name, volume)| picked(columns, &lv_row(group, name, volume)))
                .collect();
            Ok(json!({"report": [{"lv": rows}]}).to_string())
        }
        ("vgs", [report @ .., columns, vg]) if *report == REPORT => {
            assert_eq!(*columns, VG_COLUMNS);
            let mut row = vg_row(vg, groups.group(vg)?);
            row["pv_name"] = json!(disk.display().to_string());
            let row = picked(columns, &row);
            Ok(json!({"report": [{"vg": [row]}]}).to_string())
        }
        ("vgchange", ["-q", "--addtag", tag, vg]) => done(groups.mark_group(vg, tag)),
        ("lvchange", ["-q", "-y", "-ay", "-K", of]) => {
            let (vg, lv) = path(of);
            groups.activate(&vg, &lv, true).map(|_| String::new())
        }
        ("lvchange", ["-q", "--poll", "y", of]) => {
            let (vg, lv) = path(of);
            done(groups.finish_merges(&vg, &lv))
        }
        ("lvchange", ["-q", changes @ .., of]) if !changes.is_empty() => {
            let (vg, lv) = path(of);
            let (mut add, mut remove, mut unskip) = (Vec::new(), Vec::new(), false);
            for change in changes.chunks(2) {
                match change {
                    ["--addtag", tag] => add.push(*tag),
                    ["--deltag", tag] => remove.push(*tag),
                    ["--setactivationskip", "n"] => unskip = true,
                    other => panic!("lvchange does not know {other:?}"),
                }
            }
            done(groups.mark(&vg, &lv, &add, &remove, unskip))
        }
        ("lvconvert", ["-q", "--merge", "-i", "1", of]) => {
            let (vg, lv) = path(of);
            done(groups.merge(&vg, &lv))
        }
        ("lvconvert", ["-q", "-y", "--splitsnapshot", of]) => {
            let (vg, lv) = path(of);
            done(groups.split(&vg, &lv))
        }
        other => panic!("unknown: {other:?}"),
    }
}

/// The columns that were asked for, each of which there is.
fn picked(columns: &str, row: &Value) -> Value {
    let names = columns.split(',');
    let picked: Map<String, Value> = names
        .map(|name| (name.to_owned(), row[name].clone()))
        .collect();
    assert!(picked.values().all(Value::is_string), "{columns}");
    Value::Object(picked)
}

fn lv_row(group: &Group, name: &str, volume: &Volume) -> Value {
    let is_tracked = matches!(volume.kind, Kind::ThinPool | Kind::Snapshot { .. });
    let used_percent = 100.0 * as_f64(volume.used_bytes) / as_f64(volume.size_bytes);
    let is_origin = group
        .volumes
        .values()
        .any(|other| other.is_classic_snapshot_of(name));
    let is_merged_into = group
        .volumes
        .values()
        .any(|other| other.is_merging && other.is_classic_snapshot_of(name));
    let origin_size = match volume.kind {
        Kind::Snapshot { len_bytes } => len_bytes.to_string(),
        Kind::Thick | Kind::Thin { .. } if is_origin => volume.size_bytes.to_string(),
        Kind::Thick | Kind::Thin { .. } | Kind::ThinPool => String::new(),
    };
    json!({
        "lv_name": name,
        "lv_size": volume.size_bytes.to_string(),
        "origin_size": origin_size,
        "pool_lv": volume.pool().unwrap_or_default(),
        "origin": volume.origin.clone().unwrap_or_default(),
        "lv_attr": attributes(volume, is_origin, is_merged_into),
        "lv_tags": words(&volume.tags),
        "data_percent": if is_tracked { format!("{used_percent:.2}") } else { String::new() },
        "metadata_percent": match volume.kind {
            Kind::ThinPool => format!("{:.2}", volume.metadata_percent),
            Kind::Thick | Kind::Thin { .. } | Kind::Snapshot { .. } => String::new(),
        },
        "lv_skip_activation": if volume.is_skipped { "skip activation" } else { "" },
        "kernel_discards": "",
    })
}

fn vg_row(name: &str, group: &Group) -> Value {
    json!({
        "vg_name": name,
        "vg_uuid": format!("uuid-of-{name}"),
        "vg_size": group.size_bytes.to_string(),
        "vg_free": group.free_bytes().to_string(),
        "vg_extent_size": group.extent_bytes().to_string(),
        "vg_missing_pv_count": group.missing_disks.to_string(),
        "vg_tags": words(&group.tags),
    })
}

/// As lvs(8) describes them.
fn attributes(volume: &Volume, is_origin: bool, is_merged_into: bool) -> String {
    let (kind, target) = match volume.kind {
        Kind::Thick if is_merged_into => ('O', 's'),
        Kind::Thick if is_origin => ('o', 's'),
        Kind::Thick => ('-', '-'),
        Kind::ThinPool => ('t', 't'),
        Kind::Thin { .. } if is_origin => ('o', 't'),
        Kind::Thin { .. } => ('V', 't'),
        Kind::Snapshot { .. } => ('s', 's'),
    };
    let state = match (volume.is_active, volume.is_invalid) {
        (true, true) => 'I',
        (true, false) => 'a',
        (false, _) => '-',
    };
    let flag = |is_set: bool, letter: char| if is_set { letter } else { '-' };
    let zeroes = volume.zeroes && matches!(volume.kind, Kind::ThinPool | Kind::Thin { .. });
    [
        kind,
        'w',
        'i',
        '-',
        state,
        flag(volume.is_open, 'o'),
        target,
        flag(zeroes, 'z'),
        '-',
        flag(volume.is_skipped, 'k'),
    ]
    .into_iter()
    .collect()
}

fn words(tags: &std::collections::BTreeSet<String>) -> String {
    tags.iter().cloned().collect::<Vec<_>>().join(",")
}

#[expect(clippy::cast_precision_loss, reason = "a percentage with two digits")]
fn as_f64(bytes: u64) -> f64 {
    bytes as f64
}
