//! What of the objects an act concerns, in words: what is lost, what breaks, what is kept, and how grave that is.
//!
//! Texts hold no clock: they are hashed, and must be the same as long as the objects are.

use super::table::{Act, Noun};
use crate::api::error::Fault;
use crate::model::attachment::Attachment;
use crate::model::backup::Backup;
use crate::model::caller::Caller;
use crate::model::snapshot::Snapshot;
use crate::model::volume::Volume;
use crate::ops::retype_volume::{self, Policy};
use crate::ops::{
    Ctx, unreadable, visible_attachment, visible_backup, visible_snapshot, visible_volume,
};
use crate::store::list::{Filter, ListError, ListRequest};
use crate::store::{attachments, exports, snapshots, volumes};
use serde_json::{Value, json};
use std::str::FromStr;

/// Clones that a plan names; of more it gives the number.
const CLONES_MAX: i64 = 100;

const GIB: i64 = 1 << 30;

/// What an act concerns.
#[derive(Debug, Default)]
pub(super) struct Facts {
    id: String,
    name: Option<String>,
    lost: Vec<String>,
    breaks: Vec<String>,
    keeps: Vec<String>,
    level: Level,
    /// Bytes of provisioned size that return to the pool and the quota.
    pub(super) frees_bytes: i64,
    /// The same as a change of the quota, GiB.
    pub(super) gigabytes: i64,
    /// The ids of all objects that were looked at.
    concerns: Vec<String>,
    /// What of them counts, though no text says it.
    state: Vec<String>,
}

/// How an act is to be confirmed.
#[derive(Debug, Default, Clone, Copy)]
enum Level {
    /// Nothing is lost.
    #[default]
    Safe,
    /// A question.
    Confirm,
    /// The name is to be typed.
    TypeName,
}

/// A volume with all that hangs on it.
struct Family {
    volume: Volume,
    snapshots: Vec<Snapshot>,
    attachments: Vec<Attachment>,
    /// Hosts that are let in without an attachment, by Cinder's legacy calls.
    hosts: Vec<String>,
}

impl Facts {
    pub(super) fn view(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "lost": self.lost,
            "breaks": self.breaks,
            "keeps": self.keeps,
            "frees_bytes": self.frees_bytes,
            "level": match self.level {
                Level::Safe => "safe",
                Level::Confirm => "confirm",
                Level::TypeName => "type_name",
            },
        })
    }

    /// The ids of all objects that were looked at.
    pub(super) fn concerns(&self) -> &[String] {
        &self.concerns
    }

    /// What of them the hash minds beside the texts.
    pub(super) fn state(&self) -> &[String] {
        &self.state
    }

    fn of_volume(family: &Family) -> Self {
        let Family {
            volume,
            snapshots,
            attachments,
            hosts,
        } = family;
        let mut facts = Self {
            id: volume.id.to_string(),
            name: volume.name.clone(),
            ..Self::default()
        };
        let size = volume.size_gib.get();
        facts.mind(&volume.id, &format!("{} {size}", volume.status.as_str()));
        for one in snapshots {
            facts.mind(&one.id, one.status.as_str());
        }
        for one in attachments {
            facts.mind(&one.id, one.status.as_str());
        }
        facts.state.extend(hosts.iter().cloned());
        facts
    }

    fn mind(&mut self, id: &impl ToString, state: &str) {
        self.concerns.push(id.to_string());
        self.state.push(format!("{} {state}", id.to_string()));
    }

    fn frees(&mut self, gib: i64) {
        self.frees_bytes = self.frees_bytes.saturating_add(gib.saturating_mul(GIB));
        self.gigabytes = self.gigabytes.saturating_sub(gib);
    }

    fn loses_snapshots(&mut self, snapshots: &[Snapshot]) {
        for one in snapshots {
            let called = called(one.name.as_deref(), &one.id);
            self.lost.push(format!(
                "snapshot {called}, {} GiB, of {}",
                one.size_gib, one.created_at
            ));
            self.frees(one.size_gib.get());
        }
    }

    fn breaks_attachments<'a>(&mut self, attachments: impl Iterator<Item = &'a Attachment>) {
        for one in attachments {
            let host = one.attached_host.as_deref();
            let host = host
                .or(one.instance_uuid.as_deref())
                .unwrap_or("a host that did not say its name");
            self.breaks.push(format!(
                "attachment {} ({}): {host} loses the device",
                one.id,
                one.status.as_str()
            ));
        }
    }

    fn shuts_out(&mut self, hosts: &[String]) {
        for host in hosts {
            self.breaks.push(format!(
                "host {host}, let in without an attachment, loses the device"
            ));
        }
    }

    fn keeps_clones(&mut self, clones: &[Volume]) {
        for one in clones {
            let called = called(one.name.as_deref(), &one.id);
            self.keeps
                .push(format!("volume {called}, made from it, has its own copy"));
        }
    }
}

/// What an act concerns.
pub(super) async fn look(ctx: &Ctx, caller: &Caller, act: &Act) -> Result<Facts, Fault> {
    match act.noun() {
        Noun::Volume | Noun::VolumeInBody => {
            let volume = visible_volume(ctx, caller, id(act.id(), "Volume")?).await?;
            let family = family(ctx, volume).await?;
            let mut facts = volume_facts(ctx, act, &family).await?;
            if act.verb() == "retype_volume" {
                moves(ctx, caller, &mut facts, act, &family).await;
            }
            Ok(facts)
        }
        Noun::Snapshot => {
            let snapshot = visible_snapshot(ctx, caller, id(act.id(), "Snapshot")?).await?;
            snapshot_facts(ctx, act, &snapshot).await
        }
        Noun::Backup => {
            let backup = visible_backup(ctx, caller, id(act.id(), "Backup")?).await?;
            backup_facts(ctx, caller, act, &backup).await
        }
        Noun::Attachment => {
            let wanted = id(act.id(), "Volume attachment")?;
            let attachment = visible_attachment(ctx, caller, wanted).await?;
            let volume = visible_volume(ctx, caller, attachment.volume_id).await?;
            let name = volume.name.clone();
            let mut facts = Facts::of_volume(&family(ctx, volume).await?);
            facts.breaks_attachments(std::iter::once(&attachment));
            facts.keeps.push("the volume and what is on it".to_owned());
            facts.level = Level::Confirm;
            (facts.id, facts.name) = (attachment.id.to_string(), name);
            Ok(facts)
        }
        Noun::New => Ok(Facts {
            gigabytes: act.input().get("size").and_then(Value::as_i64).unwrap_or(0),
            ..Facts::default()
        }),
    }
}

async fn volume_facts(ctx: &Ctx, act: &Act, family: &Family) -> Result<Facts, Fault> {
    let mut facts = Facts::of_volume(family);
    let volume = &family.volume;
    let (size, named) = (
        volume.size_gib.get(),
        called(volume.name.as_deref(), &volume.id),
    );
    match act.verb() {
        "delete_volume" | "force_delete_volume" => {
            facts.level = Level::TypeName;
            facts
                .lost
                .push(format!("volume {named}, {size} GiB, and what is on it"));
            facts.frees(size);
            facts.shuts_out(&family.hosts);
            if act.flag("cascade") {
                facts.loses_snapshots(&family.snapshots);
            }
            let id = volume.id.to_string();
            facts.keeps_clones(&made_from(ctx, "source_volid", &id).await?);
        }
        "unmanage_volume" => {
            facts.level = Level::Confirm;
            facts.breaks.push(format!(
                "Ashlar forgets volume {named}: it can be managed again"
            ));
            facts.shuts_out(&family.hosts);
            facts.keeps.push("what is on it".to_owned());
            facts.frees(size);
        }
        "revert_volume" => reverts(&mut facts, act, family),
        "detach_volume" | "force_detach" => detaches(&mut facts, act, family),
        "reset_volume_status" => resets(&mut facts, act, family),
        "retype_volume" => {
            facts.level = Level::Confirm;
            facts.keeps.push("the volume and what is on it".to_owned());
        }
        "extend_volume" => {
            let new = act
                .input()
                .get("new_size")
                .and_then(Value::as_i64)
                .unwrap_or(size);
            facts.gigabytes = new.saturating_sub(size); // The client's number, which the act itself refuses.
            facts
                .keeps
                .push("what is on it; it cannot be made smaller again".to_owned());
        }
        _ => facts.keeps.push("what is on it".to_owned()),
    }
    Ok(facts)
}

fn reverts(facts: &mut Facts, act: &Act, family: &Family) {
    facts.level = Level::TypeName;
    let wanted = act.input().get("snapshot_id").and_then(Value::as_str);
    let snapshot = family
        .snapshots
        .iter()
        .find(|one| Some(one.id.to_string().as_str()) == wanted);
    let since = snapshot.map_or_else(
        || "the snapshot was taken".to_owned(),
        |one| {
            format!(
                "snapshot {} was taken at {}",
                called(one.name.as_deref(), &one.id),
                one.created_at
            )
        },
    );
    facts.lost.push(format!(
        "everything written to volume {} since {since}",
        called(family.volume.name.as_deref(), &family.volume.id)
    ));
    facts
        .keeps
        .push("the snapshot, and every older one".to_owned());
}

fn detaches(facts: &mut Facts, act: &Act, family: &Family) {
    facts.level = Level::Confirm;
    let wanted = act.input().get("attachment_id").and_then(Value::as_str);
    let theirs = family.attachments.iter();
    facts.breaks_attachments(theirs.filter(|one| wanted.is_none_or(|id| one.id.to_string() == id)));
    facts.keeps.push("the volume and what is on it".to_owned());
}

fn resets(facts: &mut Facts, act: &Act, family: &Family) {
    facts.level = Level::TypeName;
    let detaches = act.input().get("attach_status").and_then(Value::as_str) == Some("detached");
    if detaches {
        facts.breaks_attachments(family.attachments.iter());
        facts.shuts_out(&family.hosts);
    }
    facts.keeps.push("the volume and what is on it".to_owned());
}

/// A retype that moves the volume says from where to where. What is wrong with the request, its own refusal says.
async fn moves(ctx: &Ctx, caller: &Caller, facts: &mut Facts, act: &Act, family: &Family) {
    let said = |key: &str| act.input().get(key).and_then(Value::as_str);
    let policy = match said("migration_policy") {
        Some("on-demand") => Policy::OnDemand,
        Some(_) | None => Policy::Never,
    };
    let (volume, word) = (&family.volume, said("new_type").unwrap_or_default());
    let Ok(Some(moves)) = retype_volume::rehearse(ctx, caller, volume, word, policy).await else {
        return;
    };
    let to = moves.to.map_or_else(
        || "another pool, of which none has room for it now".to_owned(),
        |to| format!("pool {to}"),
    );
    facts.breaks.push(format!(
        "volume {} is moved from pool {} to {to}: up to {} GiB are copied, then the old ones are removed, and no host can \
         have it meanwhile",
        called(volume.name.as_deref(), &volume.id),
        moves.from,
        volume.size_gib
    ));
    facts.shuts_out(&family.hosts);
}

async fn backup_facts(
    ctx: &Ctx,
    caller: &Caller,
    act: &Act,
    backup: &Backup,
) -> Result<Facts, Fault> {
    let mut facts = Facts {
        id: backup.id.to_string(),
        name: backup.name.clone(),
        level: Level::Confirm,
        ..Facts::default()
    };
    facts.mind(&backup.id, backup.status.as_str());
    let named = called(backup.name.as_deref(), &backup.id);
    match act.verb() {
        "delete_backup" | "force_delete_backup" => {
            facts.lost.push(format!(
                "backup {named} of volume {}, {} GiB, of {}",
                backup.volume_id, backup.size_gib, backup.data_timestamp
            ));
            facts
                .keeps
                .push("every other backup: each is whole by itself".to_owned());
        }
        "restore_backup" => restores(ctx, caller, &mut facts, act, backup).await?,
        _ => facts.keeps.push("what is in the store".to_owned()),
    }
    Ok(facts)
}

/// A restore into a new volume loses nothing; one over a volume loses what that holds.
async fn restores(
    ctx: &Ctx,
    caller: &Caller,
    facts: &mut Facts,
    act: &Act,
    backup: &Backup,
) -> Result<(), Fault> {
    facts.keeps.push("the backup".to_owned());
    let Some(over) = act.input().get("volume_id").and_then(Value::as_str) else {
        facts.level = Level::Safe;
        facts.gigabytes = backup.size_gib.get();
        return Ok(());
    };
    let volume = visible_volume(ctx, caller, id(over, "Volume")?).await?;
    let family = family(ctx, volume).await?;
    let volume = &family.volume;
    let size = volume.size_gib.get();
    facts.mind(&volume.id, &format!("{} {size}", volume.status.as_str()));
    facts.level = Level::TypeName;
    facts.lost.push(format!(
        "everything on volume {}, {size} GiB",
        called(volume.name.as_deref(), &volume.id)
    ));
    if !family.snapshots.is_empty() {
        facts.keeps.push("the volume's snapshots".to_owned());
    }
    Ok(())
}

async fn snapshot_facts(ctx: &Ctx, act: &Act, snapshot: &Snapshot) -> Result<Facts, Fault> {
    let mut facts = Facts {
        id: snapshot.id.to_string(),
        name: snapshot.name.clone(),
        level: Level::Confirm,
        ..Facts::default()
    };
    facts.mind(&snapshot.id, snapshot.status.as_str());
    let size = snapshot.size_gib.get();
    let clones = made_from(ctx, "snapshot_id", &facts.id).await?;
    match act.verb() {
        "delete_snapshot" | "force_delete_snapshot" => {
            facts.loses_snapshots(std::slice::from_ref(snapshot));
            facts
                .keeps
                .push(format!("volume {}, which it is of", snapshot.volume_id));
            facts.keeps_clones(&clones);
        }
        "unmanage_snapshot" => {
            facts
                .breaks
                .push("Ashlar forgets the snapshot: it can be managed again".to_owned());
            facts.frees(size);
        }
        _ => {
            facts.level = Level::TypeName;
            facts
                .keeps
                .push("the snapshot and what is in it".to_owned());
        }
    }
    Ok(facts)
}

async fn family(ctx: &Ctx, volume: Volume) -> Result<Family, Fault> {
    let store = &ctx.store;
    let snapshots = snapshots::of_volume(store, volume.id)
        .await
        .map_err(unreadable)?;
    let attachments = attachments::of_volume(store, volume.id)
        .await
        .map_err(unreadable)?;
    let connected = exports::connections(store, volume.id)
        .await
        .map_err(unreadable)?;
    let legacy = connected
        .into_iter()
        .filter(|one| one.attachment_id.is_empty() && !one.is_leaving);
    let mut hosts: Vec<String> = legacy.map(|one| one.initiator).collect();
    hosts.sort();
    Ok(Family {
        volume,
        snapshots,
        attachments,
        hosts,
    })
}

/// Volumes that were made from an object.
async fn made_from(ctx: &Ctx, column: &'static str, id: &str) -> Result<Vec<Volume>, Fault> {
    let request = ListRequest {
        filters: vec![Filter::equal(column, id)],
        limit: CLONES_MAX,
        ..ListRequest::default()
    };
    volumes::list(&ctx.store, &request)
        .await
        .map_err(|error| match error {
            ListError::Store(source) => unreadable(source).into(),
            ListError::NoSuchMarker { .. } => Fault::erred(),
        })
}

fn called(name: Option<&str>, id: &impl ToString) -> String {
    name.filter(|name| !name.is_empty())
        .map_or_else(|| id.to_string(), str::to_owned)
}

fn id<T: FromStr>(text: &str, noun: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| Fault::not_found(noun, text))
}
