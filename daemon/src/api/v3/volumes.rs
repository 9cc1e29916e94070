//! Volumes: list, show, create, update, delete.

use super::volume_view::{COLLECTION, detail, summary};
use crate::api::Api;
use crate::api::body::{Object, only};
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, accepted, accepted_empty, ok};
use crate::api::filter::{Kind, Rule};
use crate::api::page::{self, Listing};
use crate::api::service_ids;
use crate::model::attachment::Attachment;
use crate::model::id::{BackupId, SnapshotId, VolumeId};
use crate::model::size::Gib;
use crate::model::status::VolumeStatus;
use crate::model::volume::Volume;
use crate::ops::{create_volume, delete_volume, unreadable, update_volume, visible_volume};
use crate::store::attachments;
use crate::store::list::{Filter, ListRequest};
use crate::store::volumes::{self, SHAPE};
use axum::extract::State;
use serde_json::{Map, Value, json};

/// From this minor version on an administrator may delete whatever the status; before, the word is ignored.
const FORCE_FROM: u16 = 23;

/// From this minor version on a volume may be made of a backup; before, there is none for it.
const BACKUP_FROM: u16 = 47;

/// A page shows at most so many attachments in all: a thousand volumes with many hosts each is no page to read.
const ATTACHMENTS_MAX: i64 = 20_000;

const fn rule(wire: &'static str, column: &'static str, kind: Kind) -> Rule {
    Rule {
        wire,
        column,
        kind,
        since: 0,
        for_admins: false,
    }
}

const fn since(minor: u16, rule: Rule) -> Rule {
    Rule {
        since: minor,
        ..rule
    }
}

const fn for_admins(rule: Rule) -> Rule {
    Rule {
        for_admins: true,
        ..rule
    }
}

/// What volumes can be listed by.
pub(in crate::api) const LISTING: Listing = Listing {
    sort: &[
        ("id", "id"),
        ("name", "name"),
        ("display_name", "name"),
        ("status", "status"),
        ("size", "size_gib"),
        ("host", "host"),
        ("availability_zone", "availability_zone"),
        ("bootable", "bootable"),
        ("created_at", "created_at"),
        ("updated_at", "updated_at"),
    ],
    filters: &[
        rule("name", "name", Kind::Text),
        rule("status", "status", Kind::Text),
        rule("metadata", "metadata", Kind::Pairs),
        rule("bootable", "bootable", Kind::Boolean),
        rule("migration_status", "id", Kind::NoneHas),
        rule("availability_zone", "availability_zone", Kind::Text),
        rule("size", "size_gib", Kind::Number),
        since(10, rule("group_id", "id", Kind::NoneHas)),
        since(60, rule("created_at", "created_at", Kind::Times)),
        since(60, rule("updated_at", "updated_at", Kind::Times)),
        since(65, rule("consumes_quota", "id", Kind::AlwaysTrue)),
        for_admins(since(
            4,
            rule("glance_metadata", "image_metadata", Kind::Pairs),
        )),
        for_admins(rule("id", "id", Kind::Text)),
        for_admins(rule("user_id", "user_id", Kind::Text)),
        for_admins(rule("host", "host", Kind::Text)),
        for_admins(rule("snapshot_id", "snapshot_id", Kind::Text)),
        for_admins(rule("source_volid", "source_volid", Kind::Text)),
        for_admins(rule("volume_type_id", "volume_type_id", Kind::Text)),
    ],
    of_projects: true,
    strict_from: 31,
};

const CREATE_KEYS: &[&str] = &[
    "name",
    "description",
    "display_name",
    "display_description",
    "volume_type",
    "metadata",
    "snapshot_id",
    "source_volid",
    "consistencygroup_id",
    "size",
    "availability_zone",
    "multiattach",
    "image_id",
    "imageRef",
    "group_id",
    "backup_id",
];

const UPDATE_KEYS: &[&str] = &[
    "name",
    "description",
    "display_name",
    "display_description",
    "metadata",
];

/// `POST /volumes`.
pub(in crate::api) fn create_request(
    call: &Call,
    body: &Map<String, Value>,
) -> Result<create_volume::Request, Fault> {
    only(body, &["volume", "OS-SCH-HNT:scheduler_hints"])?;
    let volume = Object::within(body, "volume")?;
    if call.version.at_least(53) {
        volume.only(CREATE_KEYS)?;
    }
    if body
        .get("OS-SCH-HNT:scheduler_hints")
        .is_some_and(|hints| !hints.is_object() && !hints.is_null())
    {
        return Err(Fault::bad_request(
            "OS-SCH-HNT:scheduler_hints is not of type 'object', 'null'",
        ));
    }
    refuse_absent_sources(call, &volume)?;
    let size = volume.size("size")?;
    Ok(create_volume::Request {
        size_gib: size.and_then(Gib::new),
        name: either(&volume, "name", "display_name")?,
        description: either(&volume, "description", "display_description")?,
        volume_type: volume.text("volume_type")?.filter(|word| !word.is_empty()),
        availability_zone: volume
            .text("availability_zone")?
            .filter(|zone| !zone.is_empty()),
        metadata: volume.pairs("metadata")?.unwrap_or_default(),
        from: source(call, &volume)?,
    })
}

/// The newer name of a key, or the older one.
fn either(object: &Object<'_>, newer: &str, older: &str) -> Result<Option<String>, Fault> {
    let older = object.text(older)?;
    Ok(object.text(newer)?.or(older))
}

fn source(call: &Call, volume: &Object<'_>) -> Result<create_volume::From, Fault> {
    use create_volume::From;
    let snapshot = volume.id::<SnapshotId>("snapshot_id")?;
    let other = volume.id::<VolumeId>("source_volid")?;
    let backup = match call.version.at_least(BACKUP_FROM) {
        true => volume.id::<BackupId>("backup_id")?,
        false => None,
    };
    match (snapshot, other, backup) {
        (None, None, None) => Ok(From::Nothing),
        (Some(snapshot), None, None) => Ok(From::Snapshot(snapshot)),
        (None, Some(volume), None) => Ok(From::Volume(volume)),
        (None, None, Some(backup)) => Ok(From::Backup(backup)),
        (Some(_) | None, Some(_) | None, Some(_) | None) => Err(Fault::bad_request(
            "May specify only one of snapshot_id, source_volid, backup_id: a volume has one source.",
        )),
    }
}

/// Sources that this Cinder does not have: an empty volume in their place would be a wrong answer.
fn refuse_absent_sources(call: &Call, volume: &Object<'_>) -> Result<(), Fault> {
    if volume.boolean("multiattach")? == Some(true) {
        return Err(Fault::bad_request(
            "multiattach parameter has been removed: use a volume type with the extra spec multiattach=\"<is> True\".",
        ));
    }
    let is_set = |key: &str| Ok::<_, Fault>(volume.text(key)?.filter(|text| !text.is_empty()));
    if is_set("image_id")?.or(is_set("imageRef")?).is_some() {
        return Err(Fault::bad_request(
            "Invalid image identifier or unable to access requested image.",
        ));
    }
    if let Some(id) = is_set("backup_id")?
        && !call.version.at_least(BACKUP_FROM)
    {
        return Err(Fault::not_found("Backup", &id));
    }
    match is_set("group_id")?.or(is_set("consistencygroup_id")?) {
        Some(id) => Err(Fault::not_found("Group", &id)),
        None => Ok(()),
    }
}

/// `PUT /volumes/{id}`.
fn update_request(call: &Call, body: &Map<String, Value>) -> Result<update_volume::Request, Fault> {
    only(body, &["volume"])?;
    let volume = Object::within(body, "volume")?;
    volume.only(UPDATE_KEYS)?;
    if call.version.at_least(53) && !UPDATE_KEYS.iter().any(|key| volume.has(key)) {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute volume. Nothing to update.",
        ));
    }
    let has = |newer, older| volume.has(newer) || volume.has(older);
    Ok(update_volume::Request {
        bootable: None,
        name: has("name", "display_name").then_some(either(&volume, "name", "display_name")?),
        description: has("description", "display_description").then_some(either(
            &volume,
            "description",
            "display_description",
        )?),
        metadata: volume.pairs("metadata")?,
    })
}

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    page_of(&api, &call, false).await
}

pub(in crate::api) async fn list_detail(State(api): State<Api>, call: Call) -> Answer {
    page_of(&api, &call, true).await
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let id = call.id("Volume")?;
    let volume = visible_volume(&api.ctx, &call.caller, id).await?;
    shown(&api, &call, &volume).await
}

pub(in crate::api) async fn create(State(api): State<Api>, call: Call) -> Answer {
    let request = create_request(&call, &call.json()?)?;
    let volume = create_volume::begin(&api.ctx, &call.caller, request).await?;
    Ok(accepted(
        &json!({"volume": detail(&call, &volume, &[], None)}),
    ))
}

pub(in crate::api) async fn update(State(api): State<Api>, call: Call) -> Answer {
    let request = update_request(&call, &call.json()?)?;
    let id = call.id("Volume")?;
    let volume = update_volume::begin(&api.ctx, &call.caller, id, request).await?;
    shown(&api, &call, &volume).await
}

pub(in crate::api) async fn delete(State(api): State<Api>, call: Call) -> Answer {
    let cascade = call.flag("cascade")?;
    let (ctx, caller, id) = (&api.ctx, &call.caller, call.id("Volume")?);
    if call.version.at_least(FORCE_FROM) && call.flag("force")? {
        delete_volume::begin_forced(ctx, caller, id, cascade).await?;
    } else {
        delete_volume::begin(ctx, caller, id, cascade).await?;
    }
    Ok(accepted_empty())
}

/// Nova asks this before every attach.
pub(in crate::api) async fn encryption(State(api): State<Api>, call: Call) -> Answer {
    visible_volume(&api.ctx, &call.caller, call.id("Volume")?).await?;
    Ok(ok(&json!({"encryption_key_id": null})))
}

async fn shown(api: &Api, call: &Call, volume: &Volume) -> Answer {
    let held = attachments::of_volume(&api.ctx.store, volume.id)
        .await
        .map_err(unreadable)?;
    service_ids::learn(api, call, std::slice::from_ref(volume)).await?;
    let service = api.service_ids().of(volume);
    Ok(ok(&json!({"volume": detail(call, volume, &held, service)})))
}

async fn page_of(api: &Api, call: &Call, is_long: bool) -> Answer {
    let wanted = LISTING.read(call)?;
    let found = if wanted.nothing {
        Vec::new()
    } else {
        let listed = volumes::list(&api.ctx.store, &wanted.request).await;
        listed.map_err(|error| page::fault("Volume", error))?
    };
    let count = page::count(&api.ctx.store, &SHAPE, &wanted).await?;
    let last = found.last().map(|volume| volume.id.to_string());
    if !is_long {
        let objects: Vec<_> = found.iter().map(|volume| summary(call, volume)).collect();
        let path = COLLECTION;
        return Ok(ok(&page::listed(
            call, &wanted, COLLECTION, path, objects, last, count,
        )));
    }
    let held = attachments_of(api, &found).await?;
    service_ids::learn(api, call, &found).await?;
    let objects: Vec<_> = found
        .iter()
        .map(|volume| detail(call, volume, &held, api.service_ids().of(volume)))
        .collect();
    let path = "volumes/detail";
    Ok(ok(&page::listed(
        call, &wanted, COLLECTION, path, objects, last, count,
    )))
}

/// The attachments of a page's volumes, in one read.
async fn attachments_of(api: &Api, volumes: &[Volume]) -> Result<Vec<Attachment>, Fault> {
    // Nothing is attached to these; they are most of a long page.
    let may_be_attached = |volume: &&Volume| {
        !matches!(
            volume.status,
            VolumeStatus::Available | VolumeStatus::Creating
        )
    };
    let mut volumes = volumes.iter().filter(may_be_attached).peekable();
    if volumes.peek().is_none() {
        return Ok(Vec::new());
    }
    let of_these = Filter {
        values: volumes.map(|volume| volume.id.to_string().into()).collect(),
        ..Filter::equal("volume_id", "")
    };
    let request = ListRequest {
        filters: vec![of_these, Filter::equal("status", "attached")],
        limit: ATTACHMENTS_MAX,
        ..ListRequest::default()
    };
    let listed = attachments::list(&api.ctx.store, &request).await;
    listed.map_err(|error| page::fault("Volume attachment", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{self, Asks};

    fn create(minor: u16, body: &Value) -> Result<create_volume::Request, u16> {
        let call = testing::call(&Asks {
            minor,
            ..Asks::default()
        });
        create_request(&call, body.as_object().unwrap()).map_err(|fault| fault.code())
    }

    #[test]
    fn what_clients_send() {
        let request = create(0, &json!({"volume": {
            "size": "2", "name": " n ", "description": null, "volume_type": "", "metadata": null,
            "snapshot_id": null, "source_volid": null, "consistencygroup_id": null, "imageRef": null,
            "availability_zone": null, "multiattach": false, "user_id": null, "attach_status": "detached",
        }, "OS-SCH-HNT:scheduler_hints": {"same_host": []}})).unwrap();
        assert_eq!(request.size_gib, Gib::new(2));
        assert_eq!(request.name.as_deref(), Some("n"));
        assert_eq!(request.volume_type, None);
        assert_eq!(request.from, create_volume::From::Nothing);
    }

    #[test]
    fn unknown_keys_from_3_53() {
        let body = json!({"volume": {"size": 1, "colour": "red"}});
        assert!(create(52, &body).is_ok());
        assert_eq!(create(53, &body).unwrap_err(), 400);
        assert_eq!(
            create(0, &json!({"volume": {"size": 1}, "colour": 1})).unwrap_err(),
            400
        );
    }

    #[test]
    fn sources_that_do_not_exist_are_never_an_empty_volume() {
        let id = VolumeId::random().to_string();
        let with = |key: &str, value: Value| {
            create(46, &json!({"volume": {"size": 1, key: value}})).unwrap_err()
        };
        assert_eq!(with("imageRef", json!(id)), 400);
        assert_eq!(with("backup_id", json!(id)), 404);
        assert_eq!(with("group_id", json!(id)), 404);
        assert_eq!(with("multiattach", json!("True")), 400);
        assert_eq!(with("snapshot_id", json!("x")), 400);
        let both = json!({"volume": {"size": 1, "snapshot_id": id, "source_volid": id}});
        assert_eq!(create(0, &both).unwrap_err(), 400);
        let backup = json!({"volume": {"backup_id": id}});
        let made_of = create(47, &backup).unwrap().from;
        assert_eq!(made_of, create_volume::From::Backup(id.parse().unwrap()));
        let both = json!({"volume": {"snapshot_id": id, "backup_id": id}});
        assert_eq!(create(47, &both).unwrap_err(), 400);
    }

    #[test]
    fn wrong_types_are_refused() {
        for volume in [
            json!({"size": 0}),
            json!({"size": -1}),
            json!({"size": 1.5}),
            json!({"size": "x"}),
            json!({"size": [1]}),
            json!({"size": 1, "name": 5}),
            json!({"size": 1, "metadata": []}),
            json!({"size": 1, "volume_type": {}}),
            json!({"size": 2_147_483_648_i64}),
        ] {
            assert_eq!(
                create(0, &json!({"volume": volume.clone()})).unwrap_err(),
                400,
                "{volume}"
            );
        }
        for body in [json!({}), json!({"volume": null}), json!({"volume": []})] {
            assert_eq!(create(0, &body).unwrap_err(), 400, "{body}");
        }
    }

    #[test]
    fn an_update_says_what_it_changes() {
        let update = |minor, body: Value| {
            let call = testing::call(&Asks {
                minor,
                ..Asks::default()
            });
            update_request(&call, body.as_object().unwrap()).map_err(|fault| fault.code())
        };
        let request = update(0, json!({"volume": {"description": null}})).unwrap();
        assert_eq!(request.name, None);
        assert_eq!(request.description, Some(None));
        assert!(update(52, json!({"volume": {}})).is_ok());
        assert_eq!(update(53, json!({"volume": {}})).unwrap_err(), 400);
        assert_eq!(update(0, json!({"volume": {"size": 2}})).unwrap_err(), 400);
    }
}
