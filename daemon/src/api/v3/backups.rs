//! Backups: list, show, create, update, delete, restore; their records; and what administrators do to them.

use crate::api::Api;
use crate::api::body::{self, Object, invalid, only};
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, accepted, accepted_empty, created, ok};
use crate::api::filter::{Kind, Rule};
use crate::api::page::{self, Listing};
use crate::model::backup::Backup;
use crate::model::caller::Role;
use crate::model::status::BackupStatus;
use crate::model::time::Time;
use crate::ops::{
    create_backup, delete_backup, export_backup, import_backup, reset_backup_status,
    restore_backup, update_backup, visible_backup,
};
use crate::store::backups::{self, SHAPE};
use axum::extract::State;
use serde_json::{Map, Value, json};

/// The collection in paths and bodies.
const COLLECTION: &str = "backups";

const fn rule(wire: &'static str, column: &'static str) -> Rule {
    Rule {
        wire,
        column,
        kind: Kind::Text,
        since: 0,
        for_admins: false,
    }
}

/// What backups can be listed by.
pub(in crate::api) const LISTING: Listing = Listing {
    sort: &[
        ("id", "id"),
        ("name", "name"),
        ("display_name", "name"),
        ("status", "status"),
        ("volume_id", "volume_id"),
        ("container", "store"),
        ("size", "size_gib"),
        ("data_timestamp", "data_timestamp"),
        ("created_at", "created_at"),
        ("updated_at", "updated_at"),
    ],
    filters: &[
        rule("name", "name"),
        rule("status", "status"),
        rule("volume_id", "volume_id"),
        Rule {
            for_admins: true,
            ..rule("id", "id")
        },
        Rule {
            for_admins: true,
            ..rule("host", "host")
        },
        Rule {
            for_admins: true,
            ..rule("snapshot_id", "snapshot_id")
        },
        Rule {
            for_admins: true,
            ..rule("container", "store")
        },
    ],
    of_projects: true,
    strict_from: 31,
};

/// The actions there are, with the minor version from which each is one.
pub(in crate::api) const ACTIONS: &[(&str, u16)] =
    &[("os-force_delete", 0), ("os-reset_status", 0)];

/// `POST /backups`.
fn create_request(call: &Call, body: &Map<String, Value>) -> Result<create_backup::Request, Fault> {
    const KEYS: &[&str] = &[
        "volume_id",
        "snapshot_id",
        "container",
        "name",
        "description",
        "incremental",
        "force",
        "metadata",
        "availability_zone",
    ];
    only(body, &["backup"])?;
    let backup = Object::within(body, "backup")?;
    let known = match (call.version.at_least(43), call.version.at_least(51)) {
        (_, true) => KEYS.len(),
        (true, false) => KEYS.len() - 1,
        (false, false) => KEYS.len() - 2,
    };
    backup.only(KEYS.get(..known).unwrap_or(KEYS))?;
    let said = |key| Ok::<_, Fault>(backup.text(key)?.filter(|text| !text.is_empty()));
    Ok(create_backup::Request {
        volume_id: backup.required_id("volume_id")?,
        snapshot_id: backup.id("snapshot_id")?,
        store: said("container")?,
        name: backup.text("name")?,
        description: backup.text("description")?,
        metadata: backup.pairs("metadata")?.unwrap_or_default(),
        availability_zone: said("availability_zone")?,
        is_incremental: backup.boolean("incremental")?.unwrap_or(false),
        may_be_attached: backup.boolean("force")?.unwrap_or(false),
        of_run: None,
    })
}

/// `PUT /backups/{id}`.
fn update_request(call: &Call, body: &Map<String, Value>) -> Result<update_backup::Request, Fault> {
    const KEYS: &[&str] = &["name", "description", "metadata"];
    only(body, &["backup"])?;
    let backup = Object::within(body, "backup")?;
    let known = if call.version.at_least(43) { 3 } else { 2 };
    let known = KEYS.get(..known).unwrap_or(KEYS);
    backup.only(known)?;
    if !known.iter().any(|key| backup.has(key)) {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute backup. Nothing to update.",
        ));
    }
    let text = |key: &str| -> Result<Option<Option<String>>, Fault> {
        let text = backup.text(key)?;
        Ok(backup.has(key).then_some(text))
    };
    Ok(update_backup::Request {
        name: text("name")?,
        description: text("description")?,
        metadata: backup.pairs("metadata")?,
    })
}

/// `POST /backups/{id}/restore`.
fn restore_request(body: &Map<String, Value>) -> Result<restore_backup::Request, Fault> {
    only(body, &["restore"])?;
    let nothing = Map::new();
    let restore = Object::within_or_empty(body, "restore", &nothing)?;
    restore.only(&["volume_id", "name"])?;
    Ok(restore_backup::Request {
        volume_id: restore.id("volume_id")?,
        name: restore.text("name")?.filter(|name| !name.is_empty()),
    })
}

/// `POST /backups/import_record`: service and url.
fn import_request(body: &Map<String, Value>) -> Result<(String, String), Fault> {
    only(body, &["backup-record"])?;
    let record = Object::within(body, "backup-record")?;
    record.only(&["backup_service", "backup_url"])?;
    let service = record.required_text("backup_service")?;
    // As long as metadata makes it.
    let url = match record.value("backup_url") {
        Some(Value::String(url)) if !url.is_empty() => url.clone(),
        Some(other) => return Err(invalid("backup_url", other, "it is no text")),
        None => return Err(Fault::bad_request("'backup_url' is a required property")),
    };
    Ok((service, url))
}

fn reset_request(said: &Object<'_>) -> Result<BackupStatus, Fault> {
    said.only(&["status"])?;
    let word = said.required_text("status")?.to_lowercase();
    BackupStatus::parse(&word)
        .filter(|status| [BackupStatus::Available, BackupStatus::Error].contains(status))
        .ok_or_else(|| {
            let why = "valid statuses are: available, error";
            invalid("status", &Value::String(word), why)
        })
}

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    page_of(&api, &call, COLLECTION, summary).await
}

pub(in crate::api) async fn list_detail(State(api): State<Api>, call: Call) -> Answer {
    page_of(&api, &call, "backups/detail", detail).await
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let backup = visible_backup(&api.ctx, &call.caller, call.id("Backup")?).await?;
    Ok(ok(&json!({"backup": detail(&call, &backup)})))
}

pub(in crate::api) async fn create(State(api): State<Api>, call: Call) -> Answer {
    let request = create_request(&call, &call.json()?)?;
    let backup = create_backup::begin(&api.ctx, &call.caller, request).await?;
    Ok(accepted(&json!({"backup": summary(&call, &backup)})))
}

pub(in crate::api) async fn update(State(api): State<Api>, call: Call) -> Answer {
    let request = update_request(&call, &call.json()?)?;
    let id = call.id("Backup")?;
    let backup = update_backup::begin(&api.ctx, &call.caller, id, request).await?;
    Ok(ok(&json!({"backup": summary(&call, &backup)})))
}

pub(in crate::api) async fn delete(State(api): State<Api>, call: Call) -> Answer {
    delete_backup::begin(&api.ctx, &call.caller, call.id("Backup")?).await?;
    Ok(accepted_empty())
}

pub(in crate::api) async fn restore(State(api): State<Api>, call: Call) -> Answer {
    let request = restore_request(&call.json()?)?;
    let id = call.id("Backup")?;
    let volume = restore_backup::begin(&api.ctx, &call.caller, id, request).await?;
    Ok(accepted(&json!({"restore": {
        "backup_id": id.to_string(), "volume_id": volume.id.to_string(), "volume_name": volume.name,
    }})))
}

pub(in crate::api) async fn export_record(State(api): State<Api>, call: Call) -> Answer {
    let record = export_backup::record(&api.ctx, &call.caller, call.id("Backup")?).await?;
    Ok(ok(&json!({"backup-record": {
        "backup_service": export_backup::SERVICE, "backup_url": record.to_text(),
    }})))
}

pub(in crate::api) async fn import_record(State(api): State<Api>, call: Call) -> Answer {
    let (service, url) = import_request(&call.json()?)?;
    let backup = import_backup::begin(&api.ctx, &call.caller, &service, &url).await?;
    Ok(created(&json!({"backup": summary(&call, &backup)})))
}

pub(in crate::api) async fn act(State(api): State<Api>, call: Call) -> Answer {
    let body = call.json()?;
    let (asked, _) = body::action(&body)?;
    let known = ACTIONS.iter().find(|(name, _)| *name == asked);
    let (name, _) = known.ok_or_else(|| Fault::no_such_action(&shown(asked)))?;
    let (ctx, caller, id) = (&api.ctx, &call.caller, call.id("Backup")?);
    match *name {
        "os-reset_status" => {
            let status = reset_request(&Object::within(&body, name)?)?;
            reset_backup_status::begin(ctx, caller, id, status).await?;
        }
        // What stands under it may be anything.
        _ => delete_backup::begin_forced(ctx, caller, id).await?,
    }
    Ok(accepted_empty())
}

async fn page_of(api: &Api, call: &Call, path: &str, view: fn(&Call, &Backup) -> Value) -> Answer {
    let wanted = LISTING.read(call)?;
    let found = if wanted.nothing {
        Vec::new()
    } else {
        let listed = backups::list(&api.ctx.store, &wanted.request).await;
        listed.map_err(|error| page::fault("Backup", error))?
    };
    let count = page::count(&api.ctx.store, &SHAPE, &wanted).await?;
    let objects = found.iter().map(|backup| view(call, backup)).collect();
    Ok(ok(&page::body(
        call, &wanted, COLLECTION, path, objects, count,
    )))
}

fn summary(call: &Call, backup: &Backup) -> Value {
    json!({
        "id": backup.id.to_string(),
        "name": backup.name,
        "links": call.links.of(COLLECTION, &backup.id),
    })
}

fn detail(call: &Call, backup: &Backup) -> Value {
    let mut view = json!({
        "id": backup.id.to_string(),
        "status": backup.status.as_str(),
        "size": backup.size_gib.get(),
        "object_count": backup.object_count,
        "availability_zone": backup.availability_zone,
        "container": backup.store,
        "created_at": backup.created_at.as_str(),
        "updated_at": backup.updated_at.as_ref().map(Time::as_str),
        "name": backup.name,
        "description": backup.description,
        "fail_reason": backup.fail_reason,
        "volume_id": backup.volume_id.to_string(),
        "links": call.links.of(COLLECTION, &backup.id),
        "is_incremental": backup.parent_id.is_some(),
        // Each is whole by itself, whatever it was made on top of.
        "has_dependent_backups": false,
        "snapshot_id": backup.snapshot_id.map(|id| id.to_string()),
        "data_timestamp": backup.data_timestamp.as_str(),
    });
    let is_admin = call.caller.role == Role::Admin;
    if is_admin && call.version.at_least(18) {
        view["os-backup-project-attr:project_id"] = json!(backup.project_id);
    }
    if call.version.at_least(43) {
        view["metadata"] = json!(backup.metadata);
    }
    if is_admin && call.version.at_least(56) {
        view["user_id"] = json!(backup.user_id);
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{self, Asks};
    use crate::model::id::VolumeId;

    fn at(minor: u16) -> Call {
        testing::call(&Asks {
            minor,
            ..Asks::default()
        })
    }

    fn create(minor: u16, backup: &Value) -> Result<create_backup::Request, u16> {
        let body = json!({"backup": backup});
        create_request(&at(minor), body.as_object().unwrap()).map_err(|fault| fault.code())
    }

    #[test]
    fn what_is_asked_of_a_new_backup() {
        let id = VolumeId::random().to_string();
        let least = create(0, &json!({"volume_id": id})).unwrap();
        assert!(!least.is_incremental && !least.may_be_attached && least.store.is_none());
        let all = json!({"volume_id": id, "snapshot_id": null, "container": "nas", "name": " n ", "description": "d",
            "incremental": "true", "force": 1, "metadata": {"k": "v"}, "availability_zone": "z"});
        let all = create(51, &all).unwrap();
        assert!(all.is_incremental && all.may_be_attached);
        assert_eq!(
            (all.store.as_deref(), all.name.as_deref()),
            (Some("nas"), Some("n"))
        );
        assert_eq!(all.availability_zone.as_deref(), Some("z"));
        let with = |minor, key: &str, value: Value| {
            let mut said = json!({"volume_id": id});
            said[key] = value;
            create(minor, &said).map(drop)
        };
        assert_eq!(with(42, "metadata", json!({})), Err(400));
        assert_eq!(with(43, "metadata", json!({})), Ok(()));
        assert_eq!(with(50, "availability_zone", json!("z")), Err(400));
        assert_eq!(with(51, "availability_zone", json!("z")), Ok(()));
        assert_eq!(with(51, "colour", json!(1)), Err(400));
        assert_eq!(with(0, "container", json!("")), Ok(()));
        assert_eq!(with(0, "force", json!("maybe")), Err(400));
        assert_eq!(with(0, "snapshot_id", json!("x")), Err(400));
        assert_eq!(create(0, &json!({})).unwrap_err(), 400);
    }

    #[test]
    fn updates_restores_records_and_resets() {
        let code = |fault: Fault| fault.code();
        let update = |minor, said: Value| {
            update_request(&at(minor), json!({"backup": said}).as_object().unwrap()).map_err(code)
        };
        assert_eq!(update(9, json!({"name": null})).unwrap().name, Some(None));
        assert_eq!(update(9, json!({})).unwrap_err(), 400);
        assert_eq!(update(9, json!({"metadata": {}})).unwrap_err(), 400);
        assert!(update(43, json!({"metadata": {}})).is_ok());
        let restore = |said: Value| {
            restore_request(said.as_object().unwrap())
                .map_err(code)
                .map(|_| ())
        };
        for good in [
            json!({}),
            json!({"restore": null}),
            json!({"restore": {"name": "n"}}),
        ] {
            assert_eq!(restore(good), Ok(()));
        }
        assert_eq!(restore(json!({"restore": {"volume_id": "x"}})), Err(400));
        assert_eq!(restore(json!({"restore": {"size": 1}})), Err(400));
        let import = |said: Value| {
            import_request(json!({"backup-record": said}).as_object().unwrap()).map_err(code)
        };
        let said = json!({"backup_service": "s", "backup_url": "u"});
        assert_eq!(import(said), Ok(("s".to_owned(), "u".to_owned())));
        for bad in [
            json!({"backup_service": "s"}),
            json!({"backup_service": "s", "backup_url": 5}),
            json!({"backup_service": "", "backup_url": "u"}),
        ] {
            assert_eq!(import(bad), Err(400));
        }
        let reset = |word: &str| {
            let body = json!({"x": {"status": word}});
            reset_request(&Object::within(body.as_object().unwrap(), "x").unwrap()).map_err(code)
        };
        assert_eq!(reset("Error"), Ok(BackupStatus::Error));
        assert_eq!(reset("available"), Ok(BackupStatus::Available));
        assert_eq!(reset("restoring"), Err(400));
    }
}
