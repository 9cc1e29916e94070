//! Snapshots: list, show, create, update, delete.

use crate::api::Api;
use crate::api::body::{Object, only};
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, accepted, accepted_empty, ok};
use crate::api::filter::{Kind, Rule};
use crate::api::page::{self, Listing};
use crate::model::snapshot::Snapshot;
use crate::model::status::SnapshotStatus;
use crate::model::time::Time;
use crate::ops::{create_snapshot, delete_snapshot, update_snapshot, visible_snapshot};
use crate::store::snapshots::{self, SHAPE};
use axum::extract::State;
use serde_json::{Map, Value, json};

/// The collection in paths and bodies.
const COLLECTION: &str = "snapshots";

/// What snapshots can be listed by.
pub(in crate::api) const LISTING: Listing = Listing {
    sort: &[
        ("id", "id"),
        ("name", "name"),
        ("display_name", "name"),
        ("status", "status"),
        ("volume_id", "volume_id"),
        ("volume_size", "size_gib"),
        ("created_at", "created_at"),
        ("updated_at", "updated_at"),
    ],
    filters: &[
        Rule {
            wire: "name",
            column: "name",
            kind: Kind::Text,
            since: 0,
            for_admins: false,
        },
        Rule {
            wire: "status",
            column: "status",
            kind: Kind::Text,
            since: 0,
            for_admins: false,
        },
        Rule {
            wire: "volume_id",
            column: "volume_id",
            kind: Kind::Text,
            since: 0,
            for_admins: false,
        },
        Rule {
            wire: "metadata",
            column: "metadata",
            kind: Kind::Pairs,
            since: 22,
            for_admins: false,
        },
        Rule {
            wire: "consumes_quota",
            column: "id",
            kind: Kind::AlwaysTrue,
            since: 65,
            for_admins: false,
        },
        Rule {
            wire: "id",
            column: "id",
            kind: Kind::Text,
            since: 0,
            for_admins: true,
        },
        Rule {
            wire: "host",
            column: "host",
            kind: Kind::Text,
            since: 0,
            for_admins: true,
        },
    ],
    of_projects: true,
    strict_from: 31,
};

/// `POST /snapshots`.
fn create_request(
    call: &Call,
    body: &Map<String, Value>,
) -> Result<create_snapshot::Request, Fault> {
    only(body, &["snapshot"])?;
    let snapshot = Object::within(body, "snapshot")?;
    snapshot.only(&[
        "name",
        "display_name",
        "description",
        "volume_id",
        "force",
        "metadata",
    ])?;
    let force = snapshot.boolean("force")?;
    let needs_no_force = call.version.at_least(66);
    if needs_no_force && force == Some(false) {
        return Err(Fault::bad_request(
            "Since microversion 3.66 a snapshot of a volume in use needs no 'force', and 'force' may not be false.",
        ));
    }
    let older = snapshot.text("display_name")?;
    Ok(create_snapshot::Request {
        volume_id: snapshot.required_id("volume_id")?,
        name: snapshot.text("name")?.or(older),
        description: snapshot.text("description")?,
        metadata: snapshot.pairs("metadata")?.unwrap_or_default(),
        may_be_attached: needs_no_force || force == Some(true),
    })
}

/// `PUT /snapshots/{id}`.
fn update_request(body: &Map<String, Value>) -> Result<update_snapshot::Request, Fault> {
    const KEYS: &[&str] = &["name", "display_name", "description", "display_description"];
    only(body, &["snapshot"])?;
    let snapshot = Object::within(body, "snapshot")?;
    snapshot.only(KEYS)?;
    if !KEYS.iter().any(|key| snapshot.has(key)) {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute snapshot. Nothing to update.",
        ));
    }
    let either = |newer: &str, older: &str| -> Result<Option<Option<String>>, Fault> {
        let texts = (snapshot.text(newer)?, snapshot.text(older)?);
        Ok((snapshot.has(newer) || snapshot.has(older)).then(|| texts.0.or(texts.1)))
    };
    Ok(update_snapshot::Request {
        name: either("name", "display_name")?,
        description: either("description", "display_description")?,
    })
}

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    page_of(&api, &call, COLLECTION, summary).await
}

pub(in crate::api) async fn list_detail(State(api): State<Api>, call: Call) -> Answer {
    page_of(&api, &call, "snapshots/detail", detail).await
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let snapshot = visible_snapshot(&api.ctx, &call.caller, call.id("Snapshot")?).await?;
    Ok(ok(&json!({"snapshot": detail(&call, &snapshot)})))
}

pub(in crate::api) async fn create(State(api): State<Api>, call: Call) -> Answer {
    let request = create_request(&call, &call.json()?)?;
    let snapshot = create_snapshot::begin(&api.ctx, &call.caller, request).await?;
    Ok(accepted(&json!({"snapshot": detail(&call, &snapshot)})))
}

pub(in crate::api) async fn update(State(api): State<Api>, call: Call) -> Answer {
    let request = update_request(&call.json()?)?;
    let id = call.id("Snapshot")?;
    let snapshot = update_snapshot::begin(&api.ctx, &call.caller, id, request).await?;
    Ok(ok(&json!({"snapshot": detail(&call, &snapshot)})))
}

pub(in crate::api) async fn delete(State(api): State<Api>, call: Call) -> Answer {
    delete_snapshot::begin(&api.ctx, &call.caller, call.id("Snapshot")?).await?;
    Ok(accepted_empty())
}

async fn page_of(
    api: &Api,
    call: &Call,
    path: &str,
    view: fn(&Call, &Snapshot) -> Value,
) -> Answer {
    let wanted = LISTING.read(call)?;
    let found = if wanted.nothing {
        Vec::new()
    } else {
        let listed = snapshots::list(&api.ctx.store, &wanted.request).await;
        listed.map_err(|error| page::fault("Snapshot", error))?
    };
    let count = page::count(&api.ctx.store, &SHAPE, &wanted).await?;
    let objects = found.iter().map(|snapshot| view(call, snapshot)).collect();
    Ok(ok(&page::body(
        call, &wanted, COLLECTION, path, objects, count,
    )))
}

fn summary(_call: &Call, snapshot: &Snapshot) -> Value {
    json!({
        "id": snapshot.id.to_string(),
        "created_at": snapshot.created_at.as_str(),
        "updated_at": snapshot.updated_at.as_ref().map(Time::as_str),
        "name": snapshot.name,
        "description": snapshot.description,
        "volume_id": snapshot.volume_id.to_string(),
        "status": snapshot.status.as_str(),
        "size": snapshot.size_gib.get(),
        "metadata": snapshot.metadata,
    })
}

pub(super) fn detail(call: &Call, snapshot: &Snapshot) -> Value {
    let mut view = summary(call, snapshot);
    let progress = if snapshot.status == SnapshotStatus::Available {
        "100%"
    } else {
        "0%"
    };
    view["os-extended-snapshot-attributes:project_id"] = json!(snapshot.project_id);
    view["os-extended-snapshot-attributes:progress"] = json!(progress);
    if call.version.at_least(14) {
        view["group_snapshot_id"] = Value::Null;
    }
    if call.version.at_least(41) {
        view["user_id"] = json!(snapshot.user_id);
    }
    if call.version.at_least(65) {
        view["consumes_quota"] = json!(true);
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{self, Asks};
    use crate::model::id::{SnapshotId, VolumeId};
    use crate::model::size::Gib;

    fn create(minor: u16, snapshot: &Value) -> Result<create_snapshot::Request, u16> {
        let call = testing::call(&Asks {
            minor,
            ..Asks::default()
        });
        let body = json!({"snapshot": snapshot});
        create_request(&call, body.as_object().unwrap()).map_err(|fault| fault.code())
    }

    #[test]
    fn force_until_3_66() {
        let id = VolumeId::random().to_string();
        let with = |minor, force: Value| create(minor, &json!({"volume_id": id, "force": force}));
        assert!(!with(65, json!(null)).unwrap().may_be_attached);
        assert!(!with(65, json!("False")).unwrap().may_be_attached);
        assert!(with(65, json!("True")).unwrap().may_be_attached);
        assert!(with(66, json!(null)).unwrap().may_be_attached);
        assert!(with(66, json!(true)).unwrap().may_be_attached);
        assert_eq!(with(66, json!(false)).unwrap_err(), 400);
        assert_eq!(with(0, json!("maybe")).unwrap_err(), 400);
    }

    #[test]
    fn wrong_requests() {
        let id = VolumeId::random().to_string();
        for bad in [
            json!({}),
            json!({"volume_id": "x"}),
            json!({"volume_id": null}),
            json!({"volume_id": id, "colour": 1}),
            json!({"volume_id": id, "metadata": {"k": 1}}),
        ] {
            assert_eq!(create(0, &bad).unwrap_err(), 400, "{bad}");
        }
        let update = |body: Value| update_request(body.as_object().unwrap());
        assert!(update(json!({"snapshot": {}})).is_err());
        assert_eq!(
            update(json!({"snapshot": {"name": null}})).unwrap().name,
            Some(None)
        );
    }

    #[test]
    fn fields_by_version() {
        let snapshot = Snapshot {
            id: SnapshotId::random(),
            volume_id: VolumeId::random(),
            project_id: "p".to_owned(),
            user_id: "u".to_owned(),
            name: None,
            description: None,
            size_gib: Gib::new(1).unwrap(),
            status: SnapshotStatus::Available,
            host: "h@b#p".to_owned(),
            metadata: Default::default(),
            created_at: Time::now(),
            updated_at: None,
        };
        let keys = |minor| {
            let call = testing::call(&Asks {
                minor,
                ..Asks::default()
            });
            detail(&call, &snapshot).as_object().unwrap().len()
        };
        assert_eq!([keys(0), keys(14), keys(41), keys(65)], [11, 12, 13, 14]);
        let view = detail(&testing::call(&Asks::default()), &snapshot);
        assert_eq!(view["os-extended-snapshot-attributes:progress"], "100%");
    }
}
