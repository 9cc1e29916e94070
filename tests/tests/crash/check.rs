//! What must hold after recovery, whatever happened before: seen over the wire, in the pool, and at the portal.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use ashlar_tests::client::{Client, id};
use ashlar_tests::daemon::Daemon;
use ashlar_tests::initiator::INITIATOR;
use ashlar_tests::table::{self, Row};
use ashlar_tests::wait::{SOON, wait_for};
use ashlar_tests::{backups, discovery, pool};
use serde_json::{Value, json};

use crate::backing_up::{LAID, LAID_TOO};

/// Every row that the project's lists show, by noun.
pub(crate) struct World {
    /// Volumes.
    pub(crate) volumes: Vec<Value>,
    /// Snapshots.
    pub(crate) snapshots: Vec<Value>,
    /// Attachments.
    pub(crate) attachments: Vec<Value>,
    /// Backups.
    pub(crate) backups: Vec<Value>,
}

impl World {
    /// As the daemon tells it.
    pub(crate) fn of(client: &Client) -> Result<Self> {
        Ok(Self {
            volumes: client.all("/volumes/detail", "volumes")?,
            snapshots: client.all("/snapshots/detail", "snapshots")?,
            attachments: client.all("/attachments/detail", "attachments")?,
            backups: client.all("/backups/detail", "backups")?,
        })
    }

    fn noun(&self, noun: &str) -> &[Value] {
        match noun {
            "volume" => &self.volumes,
            "snapshot" => &self.snapshots,
            "backup" => &self.backups,
            _ => &self.attachments,
        }
    }

    fn ids(&self) -> Result<BTreeSet<String>> {
        self.volumes.iter().chain(&self.snapshots).map(id).collect()
    }
}

/// All of it, with `baseline` as the pool was when it was empty.
pub(crate) fn all(daemon: &Daemon, client: &Client, baseline: &BTreeSet<String>) -> Result<()> {
    client.wait_quiet()?;
    let world = World::of(client)?;
    let rows = table::rows()?;
    no_transient_status(&world, &rows)?;
    statuses_fit_attachments(&world)?;
    pool_holds_what_rows_say(daemon, &world, baseline)?;
    exports_are_what_attachments_say(daemon, &world)?;
    store_holds_what_rows_say(daemon, &world)?;
    quota_is_the_sum(client, &world)
}

/// Each backup that is available is in the store; and nobody else is, but what was laid there and what a failed delete
/// could not take away.
fn store_holds_what_rows_say(daemon: &Daemon, world: &World) -> Result<()> {
    let with = |statuses: &[&str]| -> Result<BTreeSet<String>> {
        let of = |item: &&Value| {
            item["status"]
                .as_str()
                .is_some_and(|is| statuses.contains(&is))
        };
        world.backups.iter().filter(of).map(id).collect()
    };
    let held = backups::ids(&daemon.backup_dir())?;
    let needed = with(&["available"])?;
    let mut allowed = with(&["available", "error_deleting"])?;
    allowed.extend([LAID, LAID_TOO].map(str::to_owned));
    ensure!(
        needed.is_subset(&held) && held.is_subset(&allowed),
        "to be in the store: {needed:?}\nmay be: {allowed:?}\nis: {held:?}"
    );
    Ok(())
}

fn no_transient_status(world: &World, rows: &[Row]) -> Result<()> {
    for noun in ["volume", "snapshot", "attachment", "backup"] {
        let transient = table::transient(rows, noun);
        for item in world.noun(noun) {
            let status = item["status"].as_str().unwrap_or_default();
            ensure!(
                !transient.contains(status),
                "no operation is live, yet {noun} {item}"
            );
        }
    }
    Ok(())
}

/// The status of a volume is what its attachments make it (cinder-v3.md 2.4).
fn statuses_fit_attachments(world: &World) -> Result<()> {
    let mut strongest: BTreeMap<&str, usize> = BTreeMap::new();
    const ORDER: &[&str] = &[
        "reserved",
        "detaching",
        "attaching",
        "attached",
        "error_detaching",
    ];
    for attachment in &world.attachments {
        let volume = attachment["volume_id"].as_str().unwrap_or_default();
        let status = attachment["status"].as_str().unwrap_or_default();
        if let Some(rank) = ORDER.iter().position(|known| *known == status) {
            let best = strongest.entry(volume).or_default();
            *best = rank.max(*best);
        }
    }
    for volume in &world.volumes {
        let status = volume["status"].as_str().unwrap_or_default();
        let rank = volume["id"].as_str().and_then(|id| strongest.get(id));
        let fits = match rank.map(|rank| ORDER[*rank]) {
            // A failed detach: the host may still be there, so nobody else may have it.
            Some("attached" | "error_detaching") => ["in-use", "detaching"].contains(&status),
            Some("reserved") => status == "reserved" || status == "attaching",
            Some(other) => status == other || status == "in-use",
            // Held by the legacy os-reserve, which has no attachment row.
            None => !["in-use", "reserved"].contains(&status),
        };
        ensure!(
            fits || status.starts_with("error"),
            "{volume}\nwith {:?}",
            world.attachments
        );
    }
    Ok(())
}

/// What lies in both pools; names of the other one begin with `other/`.
pub(crate) fn names(daemon: &Daemon) -> Result<BTreeSet<String>> {
    let mut names = pool::names(&daemon.pool_dir())?;
    let there = pool::names(&daemon.other_pool_dir())?;
    names.extend(there.iter().map(|name| format!("other/{name}")));
    Ok(names)
}

/// Each volume and snapshot that is whole has its bytes where its row says, and nowhere else; and nobody else has any.
fn pool_holds_what_rows_say(
    daemon: &Daemon,
    world: &World,
    baseline: &BTreeSet<String>,
) -> Result<()> {
    let known = world.ids()?;
    let whole = |item: &&Value| {
        !item["status"]
            .as_str()
            .unwrap_or_default()
            .starts_with("error")
    };
    let (mut here, mut there) = (BTreeSet::new(), BTreeSet::new());
    let rows = world.volumes.iter().chain(&world.snapshots);
    for item in rows.filter(whole) {
        let host = item["os-vol-host-attr:host"].as_str().unwrap_or_default();
        match host.contains("@other#") {
            true => there.insert(id(item)?),
            false => here.insert(id(item)?),
        };
    }
    let mut names = BTreeSet::new();
    let settled = wait_for("the pools to hold what the rows say", SOON, || {
        names = self::names(daemon)?;
        let is_known = |name: &String| match pool::id_in(name) {
            Some(id) => known.contains(&id),
            None => baseline.contains(name),
        };
        let (in_pool, in_other) = (
            pool::ids(&daemon.pool_dir())?,
            pool::ids(&daemon.other_pool_dir())?,
        );
        let is_held = here.is_subset(&in_pool) && there.is_subset(&in_other);
        let is_once = in_pool.is_disjoint(&in_other);
        Ok((names.iter().all(is_known) && is_held && is_once).then_some(()))
    });
    settled.with_context(|| format!("known: {known:?}\nto be here: {here:?}\nto be there: {there:?}\nin the pools: {names:?}"))
}

/// A target is shown for each volume that somebody is connected to, and for no other.
fn exports_are_what_attachments_say(daemon: &Daemon, world: &World) -> Result<()> {
    let mut needed = BTreeSet::new();
    let mut allowed = BTreeSet::new();
    for attachment in &world.attachments {
        let status = attachment["status"].as_str().unwrap_or_default();
        let volume = attachment["volume_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if status == "attached" && attachment["connection_info"]["target_iqn"].is_string() {
            needed.insert(volume.clone());
        }
        // A detach that failed may have left the host connected: that is what its status says.
        if ["attached", "attaching", "error_detaching"].contains(&status) {
            allowed.insert(volume);
        }
    }
    // Connected the old way, where there is no attachment yet or no longer.
    for volume in &world.volumes {
        let status = volume["status"].as_str().unwrap_or_default();
        if ["attaching", "detaching", "in-use"].contains(&status) {
            allowed.insert(id(volume)?);
        }
    }
    let mut shown = BTreeSet::new();
    let settled = wait_for("the exports to be what the attachments say", SOON, || {
        shown = discovery::targets(daemon.portal(), INITIATOR)?;
        let ids: BTreeSet<String> = shown.iter().filter_map(|iqn| pool::id_in(iqn)).collect();
        Ok((ids.is_subset(&allowed) && needed.is_subset(&ids)).then_some(()))
    });
    settled.with_context(|| {
        format!("must be exported: {needed:?}\nmay be: {allowed:?}\nis: {shown:?}")
    })
}

/// What changes hands is in one of the two at any time: in the pool as ours, or handed back.
pub(crate) fn nothing_is_lost(daemon: &Daemon, client: &Client, operation: &str) -> Result<()> {
    let names: &[&str] = match operation {
        "manage_volume" | "unmanage_volume" => &["d", "e"],
        "manage_snapshot" | "unmanage_snapshot" => &["u", "m"],
        _ => return Ok(()),
    };
    let foreign = pool::foreign(&daemon.pool_dir())?;
    let in_pool = pool::ids(&daemon.pool_dir())?;
    let world = World::of(client)?;
    let mut is_ours = false;
    for item in world.volumes.iter().chain(&world.snapshots) {
        let is_named = item["name"]
            .as_str()
            .is_some_and(|name| names.contains(&name));
        is_ours |= is_named && in_pool.contains(&id(item)?);
    }
    ensure!(
        is_ours || !foreign.is_empty(),
        "it is neither ours nor handed back: {in_pool:?}"
    );
    Ok(())
}

/// What could not be made has no bytes.
pub(crate) fn what_was_not_made_has_no_bytes(daemon: &Daemon, client: &Client) -> Result<()> {
    let world = World::of(client)?;
    let in_pool = pool::ids(&daemon.pool_dir())?;
    for item in world.volumes.iter().chain(&world.snapshots) {
        let is_left_over = item["status"] == "error" && in_pool.contains(&id(item)?);
        ensure!(
            !is_left_over,
            "it could not be made, yet it is in the pool: {item}"
        );
    }
    Ok(())
}

/// What counts against the quota is what there is, in all and by volume type.
fn quota_is_the_sum(client: &Client, world: &World) -> Result<()> {
    let path = format!("/os-quota-sets/{}?usage=true", client.project);
    let set = client.get(&path)?.expect(200)?.body["quota_set"].clone();
    let sizes = world.volumes.iter().chain(&world.snapshots);
    let gigabytes: u64 = sizes.map(|item| item["size"].as_u64().unwrap_or(0)).sum();
    let of_backups = world
        .backups
        .iter()
        .map(|item| item["size"].as_u64().unwrap_or(0));
    for (resource, wanted) in [
        ("backups", json!(world.backups.len())),
        ("backup_gigabytes", json!(of_backups.sum::<u64>())),
        ("volumes", json!(world.volumes.len())),
        ("snapshots", json!(world.snapshots.len())),
        ("gigabytes", json!(gigabytes)),
    ] {
        let in_use = &set[resource]["in_use"];
        ensure!(
            *in_use == wanted,
            "{resource} in use: {in_use}, rows say {wanted}"
        );
    }
    quota_of_types_is_the_sum(&set, world)
}

fn quota_of_types_is_the_sum(set: &Value, world: &World) -> Result<()> {
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    let mut count = |noun: &str, of: &Value, item: &Value| {
        let of = of["volume_type"].as_str().unwrap_or_default();
        *wanted.entry(format!("{noun}_{of}")).or_default() += 1;
        *wanted.entry(format!("gigabytes_{of}")).or_default() += item["size"].as_u64().unwrap_or(0);
    };
    for volume in &world.volumes {
        count("volumes", volume, volume);
    }
    for snapshot in &world.snapshots {
        let volume = world
            .volumes
            .iter()
            .find(|one| one["id"] == snapshot["volume_id"]);
        count("snapshots", volume.unwrap_or(&Value::Null), snapshot);
    }
    for (resource, quota) in set.as_object().into_iter().flatten() {
        let is_of_type = ["volumes_", "snapshots_", "gigabytes_"]
            .iter()
            .any(|noun| resource.starts_with(noun));
        let said = wanted.remove(resource).unwrap_or(0);
        ensure!(
            !is_of_type || quota["in_use"] == said,
            "{resource} in use: {}, rows say {said}",
            quota["in_use"]
        );
    }
    ensure!(wanted.is_empty(), "not in the quota set: {wanted:?}");
    Ok(())
}

/// The journal's newest operation of this name ended, and its object is where the table says.
pub(crate) fn end_is_in_the_table(client: &Client, operation: &str) -> Result<String> {
    let answer = client
        .ashlar(reqwest::Method::GET, "/operations", None)?
        .expect(200)?;
    let all = answer.body["operations"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut ours: Vec<&Value> = all
        .iter()
        .filter(|one| one["operation"] == operation || one["verb"] == operation)
        .collect();
    ours.sort_by_key(|one| one["created_at"].as_str().unwrap_or_default().to_owned());
    let last = ours
        .last()
        .with_context(|| format!("no {operation} in the journal"))?;
    let phase = last["phase"].as_str().unwrap_or_default().to_owned();
    let object = last["object_id"].as_str().unwrap_or_default();
    let world = World::of(client)?;
    for row in table::rows()?
        .iter()
        .filter(|row| row.operation == operation)
    {
        let found = world
            .noun(&row.noun)
            .iter()
            .find(|item| item["id"] == object);
        let wanted = if phase == "done" {
            &row.done
        } else {
            &row.failed
        };
        let Some(item) = found else { continue };
        let status = item["status"].as_str().unwrap_or_default();
        let fits = match wanted.as_str() {
            "(gone)" => false,
            // No statuses are listed of one that may begin in any.
            "(previous)" => row.from.is_empty() || row.from.iter().any(|from| from == status),
            "(from its attachments)" | "(as asked)" => true,
            // As the wire shows it.
            "error_managing" => status == "error",
            word => status == word,
        };
        ensure!(
            fits,
            "{operation} is {phase}, its {} should be {wanted}: {item}",
            row.noun
        );
    }
    Ok(phase)
}

/// Ends every attachment and every reservation.
pub(crate) fn let_go(client: &Client) -> Result<()> {
    for attachment in World::of(client)?.attachments {
        client
            .delete(&format!("/attachments/{}", id(&attachment)?))?
            .expect(200)?;
    }
    client.wait_quiet()?;
    let volumes = World::of(client)?.volumes;
    for volume in volumes
        .iter()
        .filter(|volume| volume["status"] == "attaching")
    {
        client.act(&id(volume)?, "os-unreserve", &Value::Null, 202)?;
    }
    Ok(())
}

/// Deletes everything over the API, as its owner would, and sees that nothing stays behind. What is in
/// `error_deleting` only an administrator may touch: it stays, and so may its bytes.
pub(crate) fn clean_up(
    daemon: &Daemon,
    client: &Client,
    baseline: &BTreeSet<String>,
) -> Result<()> {
    let_go(client)?;
    let world = World::of(client)?;
    for backup in &world.backups {
        client.destroy("/backups", &id(backup)?)?;
    }
    let is_stuck = |item: &Value| item["status"] == "error_deleting";
    for snapshot in world.snapshots.iter().filter(|item| !is_stuck(item)) {
        client.destroy("/snapshots", &id(snapshot)?)?;
    }
    let stuck: Vec<&Value> = world
        .snapshots
        .iter()
        .filter(|item| is_stuck(item))
        .collect();
    for volume in world.volumes.iter().filter(|item| !is_stuck(item)) {
        if !stuck
            .iter()
            .any(|snapshot| snapshot["volume_id"] == volume["id"])
        {
            client.destroy("/volumes", &id(volume)?)?;
        }
    }
    let world = World::of(client)?;
    pool_holds_what_rows_say(daemon, &world, baseline)?;
    store_holds_what_rows_say(daemon, &world)?;
    exports_are_what_attachments_say(daemon, &world)?;
    quota_is_the_sum(client, &world)
}
