//! `POST /volumes/{id}/action`: one key says which; what stands under it may be anything where it says nothing (W13).

use super::connection::{nested, required_connector};
use super::{admin_actions, image_metadata};
use crate::api::Api;
use crate::api::body::{self, Object};
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, accepted_empty, ok, ok_empty};
use crate::model::attachment::AttachMode;
use crate::model::id::{SnapshotId, VolumeId};
use crate::model::size::Gib;
use crate::ops::{
    attach_volume, begin_detaching, detach_volume, extend_volume, initialize_connection,
    reserve_volume, retype_volume, revert_volume, roll_detaching, terminate_connection,
    unmanage_volume, unreserve_volume, update_readonly, update_volume,
};
use axum::extract::State;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The actions there are, with the minor version from which each is one.
pub(in crate::api) const ACTIONS: &[(&str, u16)] = &[
    ("os-attach", 0),
    ("os-begin_detaching", 0),
    ("os-detach", 0),
    ("os-extend", 0),
    ("os-force_delete", 0),
    ("os-force_detach", 0),
    ("os-initialize_connection", 0),
    ("os-reserve", 0),
    ("os-reset_status", 0),
    ("os-retype", 0),
    ("os-roll_detaching", 0),
    ("os-set_bootable", 0),
    ("os-set_image_metadata", 0),
    ("os-show_image_metadata", 0),
    ("os-terminate_connection", 0),
    ("os-unmanage", 0),
    ("os-unreserve", 0),
    ("os-unset_image_metadata", 0),
    ("os-update_readonly_flag", 0),
    ("revert", 40),
];

/// `os-attach`.
fn attach_request(said: &Object<'_>) -> Result<attach_volume::Request, Fault> {
    said.only(&["instance_uuid", "mountpoint", "host_name", "mode"])?;
    let mountpoint = said.required_text("mountpoint")?;
    let instance_uuid = said.id::<Uuid>("instance_uuid")?.map(|id| id.to_string());
    let host_name = said.text("host_name")?;
    if instance_uuid.is_none() && host_name.is_none() {
        return Err(Fault::bad_request(
            "One of instance_uuid, host_name is required.",
        ));
    }
    let mode = said
        .word("mode", &["rw", "ro"])?
        .and_then(AttachMode::parse);
    Ok(attach_volume::Request {
        instance_uuid,
        host_name,
        mountpoint: Some(mountpoint),
        mode: mode.unwrap_or(AttachMode::ReadWrite),
    })
}

/// `os-extend`.
fn new_size(said: &Object<'_>) -> Result<Gib, Fault> {
    said.only(&["new_size"])?;
    let size_gib = said.required_size("new_size")?;
    Gib::new(size_gib).ok_or_else(|| Fault::bad_request("new_size is out of range"))
}

/// `os-retype`.
fn retype_request(said: &Object<'_>) -> Result<(String, retype_volume::Policy), Fault> {
    said.only(&["new_type", "migration_policy"])?;
    let policy = said.word("migration_policy", &["never", "on-demand"])?;
    let policy = match policy {
        Some("on-demand") => retype_volume::Policy::OnDemand,
        Some(_) | None => retype_volume::Policy::Never,
    };
    Ok((said.required_text("new_type")?, policy))
}

pub(in crate::api) async fn act(State(api): State<Api>, call: Call) -> Answer {
    let body = call.json()?;
    let name = chosen(&call, &body)?;
    let id = call.id("Volume")?;
    match name {
        "os-unmanage" => {
            unmanage_volume::begin(&api.ctx, &call.caller, id).await?;
            Ok(accepted_empty())
        }
        "os-attach" | "os-detach" | "os-reserve" | "os-unreserve" | "os-begin_detaching"
        | "os-roll_detaching" => hold(&api, &call, id, name, &body).await,
        "os-set_bootable" | "os-update_readonly_flag" => say(&api, &call, id, name, &body).await,
        "os-set_image_metadata" | "os-show_image_metadata" | "os-unset_image_metadata" => {
            image_metadata::act(&api, &call, id, name, &body).await
        }
        "os-reset_status" | "os-force_delete" | "os-force_detach" => {
            admin_actions::volume(&api, &call, id, name, &body).await
        }
        _ => change(&api, &call, id, name, &body).await,
    }
}

/// The action that the body names, if it is one at the requested version.
fn chosen(call: &Call, body: &Map<String, Value>) -> Result<&'static str, Fault> {
    let (asked, _) = body::action(body)?;
    let known = ACTIONS.iter().find(|(name, _)| *name == asked);
    let (name, since) = known.ok_or_else(|| Fault::no_such_action(&shown(asked)))?;
    if call.version.at_least(*since) {
        Ok(name)
    } else {
        Err(Fault::no_route())
    }
}

/// Actions that note what a host did or is about to do; when they answer, it is so.
async fn hold(
    api: &Api,
    call: &Call,
    id: VolumeId,
    name: &str,
    body: &Map<String, Value>,
) -> Answer {
    let (ctx, caller) = (&api.ctx, &call.caller);
    match name {
        "os-attach" => {
            let request = attach_request(&Object::within(body, name)?)?;
            attach_volume::begin(ctx, caller, id, request).await?;
        }
        "os-detach" => {
            let nothing = Map::new();
            let said = Object::within_or_empty(body, name, &nothing)?;
            said.only(&["attachment_id"])?;
            detach_volume::begin(ctx, caller, id, said.id("attachment_id")?).await?;
        }
        "os-reserve" => reserve_volume::begin(ctx, caller, id).await?,
        "os-unreserve" => unreserve_volume::begin(ctx, caller, id).await?,
        "os-begin_detaching" => begin_detaching::begin(ctx, caller, id).await?,
        "os-roll_detaching" => roll_detaching::begin(ctx, caller, id).await?,
        other => return Err(Fault::no_such_action(other)),
    }
    Ok(accepted_empty())
}

/// Actions that say one thing of the volume.
async fn say(
    api: &Api,
    call: &Call,
    id: VolumeId,
    name: &str,
    body: &Map<String, Value>,
) -> Answer {
    let (ctx, caller) = (&api.ctx, &call.caller);
    let said = Object::within(body, name)?;
    let required = |key: &'static str| {
        said.only(&[key])?;
        let flag = said.boolean(key)?;
        flag.ok_or_else(|| Fault::bad_request(format!("'{key}' is a required property")))
    };
    if name == "os-set_bootable" {
        let request = update_volume::Request {
            bootable: Some(required("bootable")?),
            ..Default::default()
        };
        update_volume::begin(ctx, caller, id, request).await?;
        return Ok(ok_empty());
    }
    update_readonly::begin(ctx, caller, id, required("readonly")?).await?;
    Ok(accepted_empty())
}

/// Actions that reach a backend.
async fn change(
    api: &Api,
    call: &Call,
    id: VolumeId,
    name: &str,
    body: &Map<String, Value>,
) -> Answer {
    let (ctx, caller) = (&api.ctx, &call.caller);
    let said = Object::within(body, name)?;
    match name {
        "os-extend" => {
            let may_be_attached = call.version.at_least(42);
            extend_volume::begin(ctx, caller, id, new_size(&said)?, may_be_attached).await?;
        }
        "os-retype" => {
            let (new_type, policy) = retype_request(&said)?;
            retype_volume::begin(ctx, caller, id, &new_type, policy).await?;
        }
        "revert" => {
            let snapshot: SnapshotId = said.required_id("snapshot_id")?;
            revert_volume::begin(ctx, caller, id, snapshot).await?;
        }
        "os-initialize_connection" => {
            let connector = required_connector(&said)?;
            let connected =
                initialize_connection::begin(ctx, caller, id, connector.clone()).await?;
            return Ok(ok(
                &json!({"connection_info": nested(&connected, &connector)}),
            ));
        }
        "os-terminate_connection" => {
            terminate_connection::begin(ctx, caller, id, required_connector(&said)?).await?;
        }
        other => return Err(Fault::no_such_action(other)),
    }
    Ok(accepted_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attach(said: &Value) -> Result<attach_volume::Request, u16> {
        let body = json!({"os-attach": said});
        let object =
            Object::within(body.as_object().unwrap(), "os-attach").map_err(|fault| fault.code())?;
        attach_request(&object).map_err(|fault| fault.code())
    }

    #[test]
    fn an_attach_names_who_and_where() {
        let id = Uuid::new_v4().to_string();
        let request = attach(&json!({"instance_uuid": id, "mountpoint": "/dev/vdc"})).unwrap();
        assert_eq!(request.instance_uuid.as_deref(), Some(id.as_str()));
        assert_eq!(request.mode, AttachMode::ReadWrite);
        let request =
            attach(&json!({"host_name": "h", "mountpoint": "/dev/vdc", "mode": "ro"})).unwrap();
        assert_eq!(request.mode, AttachMode::ReadOnly);
        for bad in [
            json!({"mountpoint": "/dev/vdc"}),
            json!({"host_name": "h"}),
            json!({"host_name": "h", "mountpoint": ""}),
            json!({"host_name": "h", "mountpoint": "/d", "mode": "wx"}),
            json!({"instance_uuid": "x", "mountpoint": "/d"}),
            json!({"host_name": "h", "mountpoint": "/d", "x": 1}),
            json!(null),
        ] {
            assert_eq!(attach(&bad).unwrap_err(), 400, "{bad}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_holds_each_once() {
        let names: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
    }
}
