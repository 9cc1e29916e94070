//! Attachments (3.27): list, show, create, update, complete (3.44), delete.

use super::connection::{connector, flat, mode, mountpoint, required_connector};
use crate::api::Api;
use crate::api::body::{self, Object, only};
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, no_content, ok};
use crate::api::filter::{Kind, Rule};
use crate::api::page::{self, Listing, Wanted};
use crate::model::attachment::Attachment;
use crate::model::caller::Role;
use crate::model::id::AttachmentId;
use crate::model::time::Time;
use crate::ops::{
    complete_attachment, connected, create_attachment, delete_attachment, update_attachment,
    visible_attachment,
};
use crate::store::attachments;
use axum::extract::State;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The collection in paths and bodies.
const COLLECTION: &str = "attachments";

/// The noun in Cinder's words.
const NOUN: &str = "Volume attachment";

/// The only action.
const COMPLETE: &str = "os-complete";

/// What attachments can be listed by.
pub(in crate::api) const LISTING: Listing = Listing {
    sort: &[
        ("id", "id"),
        ("volume_id", "volume_id"),
        ("instance_uuid", "instance_uuid"),
        ("attach_status", "status"),
        ("created_at", "created_at"),
        ("updated_at", "updated_at"),
    ],
    filters: &[
        Rule {
            wire: "volume_id",
            column: "volume_id",
            kind: Kind::Text,
            since: 0,
            for_admins: false,
        },
        Rule {
            wire: "instance_id",
            column: "instance_uuid",
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
            wire: "attach_status",
            column: "status",
            kind: Kind::Text,
            since: 0,
            for_admins: false,
        },
        Rule {
            wire: "id",
            column: "id",
            kind: Kind::Text,
            since: 0,
            for_admins: true,
        },
    ],
    of_projects: true,
    strict_from: 31,
};

/// `POST /attachments`.
fn create_request(
    call: &Call,
    body: &Map<String, Value>,
) -> Result<create_attachment::Request, Fault> {
    only(body, &["attachment"])?;
    let attachment = Object::within(body, "attachment")?;
    let keys = ["volume_uuid", "instance_uuid", "connector", "mode"];
    let known = if call.version.at_least(54) {
        keys.len()
    } else {
        keys.len() - 1
    };
    attachment.only(&keys[..known])?;
    let sent = attachment.value("connector");
    Ok(create_attachment::Request {
        volume_id: attachment.required_id("volume_uuid")?,
        instance_uuid: attachment
            .id::<Uuid>("instance_uuid")?
            .map(|id| id.to_string()),
        connector: connector(&attachment)?,
        mountpoint: mountpoint(sent)?,
        mode: mode(attachment.word("mode", &["rw", "ro"])?, sent)?,
    })
}

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    let (wanted, found) = read(&api, &call).await?;
    let objects = found.iter().map(summary).collect();
    Ok(ok(&page::body(
        &call, &wanted, COLLECTION, COLLECTION, objects, None,
    )))
}

pub(in crate::api) async fn list_detail(State(api): State<Api>, call: Call) -> Answer {
    let (wanted, found) = read(&api, &call).await?;
    let mut objects = Vec::with_capacity(found.len());
    for attachment in &found {
        objects.push(detail(&api, &call, attachment).await?);
    }
    Ok(ok(&page::body(
        &call,
        &wanted,
        COLLECTION,
        "attachments/detail",
        objects,
        None,
    )))
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let attachment = visible_attachment(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    Ok(ok(
        &json!({"attachment": detail(&api, &call, &attachment).await?}),
    ))
}

pub(in crate::api) async fn create(State(api): State<Api>, call: Call) -> Answer {
    let request = create_request(&call, &call.json()?)?;
    let attachment = create_attachment::begin(&api.ctx, &call.caller, request).await?;
    Ok(ok(
        &json!({"attachment": detail(&api, &call, &attachment).await?}),
    ))
}

pub(in crate::api) async fn update(State(api): State<Api>, call: Call) -> Answer {
    let body = call.json()?;
    only(&body, &["attachment"])?;
    let said = Object::within(&body, "attachment")?;
    said.only(&["connector"])?;
    let connector = required_connector(&said)?;
    let device = mountpoint(said.value("connector"))?;
    let id = call.id(NOUN)?;
    let attachment =
        update_attachment::begin(&api.ctx, &call.caller, id, connector, device).await?;
    Ok(ok(
        &json!({"attachment": detail(&api, &call, &attachment).await?}),
    ))
}

pub(in crate::api) async fn act(State(api): State<Api>, call: Call) -> Answer {
    let body = call.json()?;
    // Clients send the attachment's id, an empty object or null under it; all mean the same (W13).
    let (name, _) = body::action(&body)?;
    if name != COMPLETE {
        return Err(Fault::no_such_action(&shown(name)));
    }
    if !call.version.at_least(44) {
        return Err(Fault::no_route());
    }
    complete_attachment::begin(&api.ctx, &call.caller, call.id::<AttachmentId>(NOUN)?).await?;
    Ok(no_content())
}

pub(in crate::api) async fn delete(State(api): State<Api>, call: Call) -> Answer {
    let rest = delete_attachment::begin(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    let rest: Vec<Value> = rest.iter().map(summary).collect();
    Ok(ok(&json!({ COLLECTION: rest })))
}

async fn read(api: &Api, call: &Call) -> Result<(Wanted, Vec<Attachment>), Fault> {
    let wanted = LISTING.read(call)?;
    if wanted.nothing {
        return Ok((wanted, Vec::new()));
    }
    let listed = attachments::list(&api.ctx.store, &wanted.request).await;
    let found = listed.map_err(|error| page::fault(NOUN, error))?;
    Ok((wanted, found))
}

fn summary(attachment: &Attachment) -> Value {
    json!({
        "id": attachment.id.to_string(),
        "status": attachment.status.as_str(),
        "instance": attachment.instance_uuid,
        "volume_id": attachment.volume_id.to_string(),
    })
}

async fn detail(api: &Api, call: &Call, attachment: &Attachment) -> Result<Value, Fault> {
    // With the credentials a reader could log in and write.
    let may_connect = call.caller.role > Role::Reader;
    let connection = match &attachment.connector {
        Some(_) if may_connect => {
            connected(&api.ctx, attachment.volume_id, attachment.mode).await?
        }
        Some(_) | None => None,
    };
    let id = attachment.id.to_string();
    let mut view = summary(attachment);
    // Times that are not are empty texts here, unlike everywhere else.
    view["attached_at"] = json!(attachment.attached_at.as_ref().map_or("", Time::as_str));
    view["detached_at"] = json!(attachment.detached_at.as_ref().map_or("", Time::as_str));
    view["attach_mode"] = json!(attachment.mode.as_str());
    view["connection_info"] = flat(connection.as_ref(), attachment.connector.as_ref(), &id);
    Ok(view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{self, Asks};
    use crate::model::attachment::AttachMode;
    use crate::model::id::VolumeId;

    fn create(minor: u16, attachment: &Value) -> Result<create_attachment::Request, u16> {
        let call = testing::call(&Asks {
            minor,
            ..Asks::default()
        });
        let body = json!({"attachment": attachment});
        create_request(&call, body.as_object().unwrap()).map_err(|fault| fault.code())
    }

    #[test]
    fn reserve_and_connect_at_once() {
        let id = VolumeId::random().to_string();
        let request = create(
            27,
            &json!({"volume_uuid": id, "instance_uuid": null, "connector": null}),
        )
        .unwrap();
        assert_eq!(
            (request.connector, request.mode),
            (None, AttachMode::ReadWrite)
        );
        let connector = json!({"initiator": "iqn.a", "mountpoint": "/dev/vdb", "mode": "ro"});
        let request = create(27, &json!({"volume_uuid": id, "connector": connector})).unwrap();
        assert_eq!(request.mountpoint.as_deref(), Some("/dev/vdb"));
        assert_eq!(request.mode, AttachMode::ReadOnly);
        // The mode is a key of its own from 3.54 on.
        let with_mode = json!({"volume_uuid": id, "mode": "ro"});
        assert_eq!(create(53, &with_mode).unwrap_err(), 400);
        assert_eq!(create(54, &with_mode).unwrap().mode, AttachMode::ReadOnly);
    }

    #[test]
    fn wrong_requests() {
        let id = VolumeId::random().to_string();
        for bad in [
            json!({}),
            json!({"volume_uuid": "x"}),
            json!({"volume_uuid": null}),
            json!({"volume_uuid": id, "x": 1}),
            json!({"volume_uuid": id, "connector": "c"}),
            json!({"volume_uuid": id, "connector": {}}),
            json!({"volume_uuid": id, "instance_uuid": "i"}),
            json!({"volume_uuid": id, "mode": "wx"}),
        ] {
            assert_eq!(create(60, &bad).unwrap_err(), 400, "{bad}");
        }
    }
}
