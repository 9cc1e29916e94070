//! `ashlar volume ...`: create, set, unset, extend, delete. What is rarer is in `volume_acts.rs`.

use serde_json::{Value, json};

use super::rows::{self, Target, pairs, put};
use super::volume_acts as acts;
use crate::Session;
use crate::client::{Method, text};
use crate::failure::Failure;
use crate::find;
use crate::output::{Answer, Column};
use crate::places::{Api, SNAPSHOT, TYPE, VOLUME};
use crate::plan::{self, About};
use crate::size::{self, Size};
use crate::table::{Arg, Given, Noun, Verb};
use crate::wait;

pub(super) static NOUN: Noun = Noun {
    name: "volume",
    aliases: &["volumes", "vol"],
    about: "Volumes: create, show, set, extend, retype, revert, delete",
    place: &VOLUME,
    short: &[
        Column::text("id", "id"),
        Column::text("name", "name"),
        Column::text("status", "status"),
        Column::gib("size", "size"),
        Column::text("type", "volume_type"),
        Column::time("created", "created_at"),
    ],
    long: &[
        Column::text("id", "id"),
        Column::text("name", "name"),
        Column::text("description", "description"),
        Column::text("status", "status"),
        Column::gib("size", "size"),
        Column::text("type", "volume_type"),
        Column::text("zone", "availability_zone"),
        Column::text("from snapshot", "snapshot_id"),
        Column::text("from volume", "source_volid"),
        Column::text("bootable", "bootable"),
        Column::text("multiattach", "multiattach"),
        Column::text("encrypted", "encrypted"),
        Column::text("pool", "os-vol-host-attr:host"),
        Column::text("project", "os-vol-tenant-attr:tenant_id"),
        Column::text("attachments", "attachments"),
        Column::text("metadata", "metadata"),
        Column::text("image metadata", "volume_image_metadata"),
        Column::time("created", "created_at"),
        Column::time("updated", "updated_at"),
    ],
    verbs: &[
        CREATE,
        rows::list("List the volumes of the project").key("3"),
        rows::show("Show volumes").key("Enter"),
        SET,
        UNSET,
        EXTEND,
        acts::RETYPE,
        acts::REVERT,
        acts::MANAGE,
        acts::UNMANAGE,
        acts::MANAGEABLE,
        acts::SUMMARY,
        acts::RESET_STATE,
        DELETE,
        acts::FORCE_DELETE,
    ],
};

const CREATE: Verb = Verb::form(
    "create",
    "Create a volume: empty, from a snapshot, as a clone of a volume, or from an image",
    &[
        Arg::Maybe("name", "its name"),
        Arg::Option(
            "size",
            "its size: 10, 10G or 1T; may be left out with a source",
        ),
        Arg::Option("type", "its volume type"),
        Arg::Option("snapshot", "the snapshot to start from"),
        Arg::Option("source", "the volume to clone"),
        Arg::Option("image", "the id of the image to start from"),
        Arg::Option("backup", "the id of the backup to start from"),
        Arg::Option("description", "what it is for"),
        Arg::Option("zone", "its availability zone"),
        Arg::Repeated("meta", "metadata, KEY=VALUE"),
        Arg::Repeated(
            "hint",
            "scheduler hint, KEY=VALUE: same_host, different_host",
        ),
        Arg::Flag("exists-ok", "one of this name is no failure; it is shown"),
    ],
    create,
)
.key("n")
.plan("create_volume");

fn create<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    if let (true, Some(name)) = (given.flag("exists-ok"), given.option("name")) {
        let found = find::all(session, &VOLUME, &[("name", name)])?;
        if let Some(volume) = found.into_iter().find(|item| text(item, "name") == name) {
            return Ok(Answer::One(volume));
        }
    }
    let body = request(session, given)?;
    if session.dry_run
        && let Some(planned) = planned(session, given, &body)?
    {
        return Ok(Answer::Planned(vec![planned]));
    }
    let what = format!("creating the volume {}", given.word("name"));
    let answer = session
        .client
        .cinder(Method::Post, "/volumes", Some(&body))
        .map_err(|failure| failure.of(&what))?;
    let volume = find::inner(&answer, "volume");
    Ok(Answer::One(wait::settled(session, &VOLUME, volume)?))
}

/// What would come of the request: what is in its way, and which pool it would go to. Nothing where the server can say
/// neither.
fn planned(session: &Session, given: &Given<'_>, body: &Value) -> Result<Option<Value>, Failure> {
    let about = About {
        object_id: None,
        input: body["volume"].clone(),
    };
    let plan = plan::of(session, "create_volume", &about)?;
    let placement = session.client.reckon("/placement", body).ok();
    if plan.is_none() && placement.is_none() {
        return Ok(None);
    }
    let mut item = plan.as_ref().map_or_else(|| json!({}), plan::item);
    item["name"] = Value::from(given.word("name"));
    if let Some(placement) = placement.map(|answer| find::inner(&answer, "placement")) {
        let mut blocks = item["blocks"].as_array().cloned().unwrap_or_default();
        // No pool would take it: the create would end in error.
        if placement["winner"].is_null() {
            blocks.push(placement["reason"].clone());
            item["is_blocked"] = Value::from(true);
        }
        item["blocks"] = Value::from(blocks);
        item["placement"] = placement;
    }
    Ok(Some(item))
}

/// The body of the request.
pub(super) fn request(session: &Session, given: &Given<'_>) -> Result<Value, Failure> {
    let size_gib = match given.option("size").map(size::parse).transpose()? {
        Some(Size::Total(size_gib)) => Some(size_gib),
        Some(Size::More(_)) => {
            return Err(Failure::usage(
                "a new volume has no size to add to",
                "write --size 10G",
            ));
        }
        None => None,
    };
    let mut volume = json!({"metadata": pairs(&given.all("meta"))?});
    put(&mut volume, "name", given.option("name"));
    put(&mut volume, "description", given.option("description"));
    put(&mut volume, "availability_zone", given.option("zone"));
    put(&mut volume, "imageRef", given.option("image"));
    put(&mut volume, "backup_id", given.option("backup"));
    if let Some(word) = given.option("type") {
        let id = find::id(session, &TYPE, word)?;
        put(&mut volume, "volume_type", Some(&id));
    }
    let mut source_size = Value::Null;
    if let Some(word) = given.option("snapshot") {
        let snapshot = find::find(session, &SNAPSHOT, word)?;
        put(&mut volume, "snapshot_id", Some(&text(&snapshot, "id")));
        source_size = snapshot["size"].clone();
    }
    if let Some(word) = given.option("source") {
        let source = find::find(session, &VOLUME, word)?;
        put(&mut volume, "source_volid", Some(&text(&source, "id")));
        source_size = source["size"].clone();
    }
    volume["size"] = size_gib.map_or(source_size, Value::from);
    if volume["size"].is_null() {
        return Err(Failure::usage("the volume has no size", "write --size 10G"));
    }
    let mut body = json!({"volume": volume});
    let hints = given.all("hint");
    if !hints.is_empty() {
        body["OS-SCH-HNT:scheduler_hints"] = pairs(&hints)?;
    }
    Ok(body)
}

const SET: Verb = Verb::form(
    "set",
    "Change what is written about volumes",
    &[
        Arg::Many("volume", "names or ids"),
        Arg::Option("name", "a new name"),
        Arg::Option("description", "a new description"),
        Arg::Repeated("meta", "metadata to add or change, KEY=VALUE"),
        Arg::Repeated("image-meta", "image metadata to add or change, KEY=VALUE"),
        Arg::Option("bootable", "true or false"),
        Arg::Option("readonly", "true or false: whether hosts may only read"),
    ],
    set,
);

fn set<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let mut words = json!({});
    put(&mut words, "name", given.option("name"));
    put(&mut words, "description", given.option("description"));
    let meta = pairs(&given.all("meta"))?;
    let image_meta = pairs(&given.all("image-meta"))?;
    let bootable = given.option("bootable").map(rows::truth).transpose()?;
    let readonly = given.option("readonly").map(rows::truth).transpose()?;
    let mut calls: Vec<(Method, &str, Value)> = Vec::new();
    let is_given = |map: &Value| map.as_object().is_some_and(|map| !map.is_empty());
    if is_given(&words) {
        calls.push((Method::Put, "", json!({"volume": words})));
    }
    if is_given(&meta) {
        calls.push((Method::Post, "/metadata", json!({"metadata": meta})));
    }
    if is_given(&image_meta) {
        let body = json!({"os-set_image_metadata": {"metadata": image_meta}});
        calls.push((Method::Post, "/action", body));
    }
    if let Some(bootable) = bootable {
        let body = json!({"os-set_bootable": {"bootable": bootable}});
        calls.push((Method::Post, "/action", body));
    }
    if let Some(readonly) = readonly {
        let body = json!({"os-update_readonly_flag": {"readonly": readonly}});
        calls.push((Method::Post, "/action", body));
    }
    changes(session, given, &calls, "set")
}

const UNSET: Verb = Verb::form(
    "unset",
    "Take away metadata of volumes",
    &[
        Arg::Many("volume", "names or ids"),
        Arg::Repeated("meta", "a key of the metadata"),
        Arg::Repeated("image-meta", "a key of the image metadata"),
    ],
    unset,
);

fn unset<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let meta = given.all("meta");
    let paths: Vec<String> = meta
        .iter()
        .map(|key| format!("/metadata/{}", crate::text::path_segment(key)))
        .collect();
    let mut calls: Vec<(Method, &str, Value)> = paths
        .iter()
        .map(|path| (Method::Delete, path.as_str(), Value::Null))
        .collect();
    for key in given.all("image-meta") {
        let body = json!({"os-unset_image_metadata": {"key": key}});
        calls.push((Method::Post, "/action", body));
    }
    changes(session, given, &calls, "unset")
}

/// Several calls about each volume; the answer is the volumes afterwards.
fn changes<'s>(
    session: &'s Session,
    given: &Given<'_>,
    calls: &[(Method, &str, Value)],
    verb: &str,
) -> Result<Answer<'s>, Failure> {
    if calls.is_empty() {
        return Err(Failure::usage(
            "nothing was named to be changed",
            &format!("see `ashlar volume {verb} --help`"),
        ));
    }
    rows::each(session, given, "changing", |target: &Target| {
        for (method, path, body) in calls {
            let path = format!("/volumes/{}{path}", target.id);
            let body = Some(body).filter(|body| !body.is_null());
            let if_match = target.if_match.as_deref();
            session
                .client
                .guarded(Api::Cinder, *method, &path, body, if_match)?;
        }
        find::show(session, &VOLUME, &target.id).map(Some)
    })
}

const EXTEND: Verb = Verb::form(
    "extend",
    "Make a volume larger, in use or not",
    &[
        Arg::One("volume", "its name or id"),
        Arg::One("size", "the new size (1T), or so much more (+100G)"),
    ],
    extend,
)
.key("x")
.plan("extend_volume");

fn extend<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let size = size::parse(given.word("size"))?;
    rows::act(session, given, "extending", |target| {
        let now = target.item["size"].as_u64().unwrap_or(0);
        let new_size = match size {
            Size::Total(size_gib) => size_gib,
            Size::More(more_gib) => now.saturating_add(more_gib),
        };
        Ok(json!({"os-extend": {"new_size": new_size}}))
    })
}

const DELETE: Verb = Verb::type_name(
    "delete",
    "Delete volumes and what is in them",
    &[
        Arg::Many("volume", "names or ids; - reads them from standard input"),
        Arg::Flag("cascade", "their snapshots too"),
        rows::ABSENT_OK,
    ],
    delete,
)
.key("^D")
.plan("delete_volume");

fn delete<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let query = if given.flag("cascade") {
        "?cascade=true"
    } else {
        ""
    };
    rows::each(session, given, "deleting", |target| {
        rows::remove(session, given, target, query)?;
        Ok(None)
    })
}
