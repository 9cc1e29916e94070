//! Actions of administrators on volumes and snapshots: say what one is, delete it or end an attachment whatever it is.

use crate::api::Api;
use crate::api::body::{Object, invalid};
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, accepted_empty};
use crate::model::id::{AttachmentId, SnapshotId, VolumeId};
use crate::model::status::{SnapshotStatus, VolumeStatus, Word};
use crate::ops::{
    delete_snapshot, delete_volume, force_detach, reset_snapshot_status, reset_volume_status,
};
use serde_json::{Map, Value};

/// `os-reset_status` of a volume.
fn reset_request(said: &Object<'_>) -> Result<reset_volume_status::Request, Fault> {
    said.only(&["status", "attach_status", "migration_status"])?;
    let status = status_of(said, "status", VolumeStatus::parse)?;
    let is_attached = lower(said, "attach_status")?
        .map(|word| match word.as_str() {
            "attached" => Ok(true),
            "detached" => Ok(false),
            _ => Err(Fault::bad_request(
                "Volume attach status is invalid, valid statuses are: attached, detached.",
            )),
        })
        .transpose()?;
    let migration = lower(said, "migration_status")?;
    if status.is_none() && is_attached.is_none() && migration.is_none() {
        return Err(Fault::bad_request(
            "Must specify 'status', 'attach_status' or 'migration_status' for update.",
        ));
    }
    // No volume here ever migrates: that none does is all that can be said of it.
    if migration.is_some_and(|word| word != "none") {
        return Err(Fault::bad_request(
            "No volume migrates here: its migration status can only be none.",
        ));
    }
    Ok(reset_volume_status::Request {
        status,
        is_attached,
    })
}

/// `os-reset_status` of a snapshot.
fn snapshot_request(said: &Object<'_>) -> Result<SnapshotStatus, Fault> {
    said.only(&["status"])?;
    status_of(said, "status", SnapshotStatus::parse)?
        .ok_or_else(|| Fault::bad_request("'status' is a required property"))
}

/// `os-force_detach`: which attachment, and whose legacy connection.
fn detach_request(said: &Object<'_>) -> Result<(Option<AttachmentId>, Option<String>), Fault> {
    said.only(&["attachment_id", "connector"])?;
    let connector = said.value("connector");
    if connector.is_some_and(|value| !value.is_object() && !value.is_string()) {
        return Err(Fault::bad_request(
            "connector is not of type 'string', 'object', 'null'",
        ));
    }
    let initiator = connector
        .and_then(|connector| connector.get("initiator"))
        .and_then(Value::as_str)
        .filter(|initiator| !initiator.contains('\0'))
        .map(str::to_lowercase);
    Ok((said.id("attachment_id")?, initiator))
}

/// A text in lower case, as Cinder reads statuses; an empty one says nothing.
fn lower(said: &Object<'_>, key: &str) -> Result<Option<String>, Fault> {
    let text = said.text(key)?.filter(|text| !text.is_empty());
    Ok(text.map(|text| text.to_lowercase()))
}

fn status_of<S: Word>(
    said: &Object<'_>,
    key: &str,
    parse: fn(&str) -> Option<S>,
) -> Result<Option<S>, Fault> {
    let Some(word) = lower(said, key)? else {
        return Ok(None);
    };
    parse(&word).map(Some).ok_or_else(|| {
        let known: Vec<&str> = S::EVERY.iter().map(|status| status.word()).collect();
        let why = format!("valid statuses are: {}", known.join(", "));
        invalid(key, &Value::String(word), &why)
    })
}

/// Those on volumes.
pub(super) async fn volume(
    api: &Api,
    call: &Call,
    id: VolumeId,
    name: &str,
    body: &Map<String, Value>,
) -> Answer {
    let (ctx, caller) = (&api.ctx, &call.caller);
    match name {
        "os-reset_status" => {
            let request = reset_request(&Object::within(body, name)?)?;
            reset_volume_status::begin(ctx, caller, id, request).await?;
        }
        "os-force_detach" => {
            let nothing = Map::new();
            let said = Object::within_or_empty(body, name, &nothing)?;
            let (attachment, initiator) = detach_request(&said)?;
            force_detach::begin(ctx, caller, id, attachment, initiator).await?;
        }
        // What stands under it may be anything.
        _ => delete_volume::begin_forced(ctx, caller, id, false).await?,
    }
    Ok(accepted_empty())
}

/// Those on snapshots.
pub(super) async fn snapshot(
    api: &Api,
    call: &Call,
    id: SnapshotId,
    name: &str,
    body: &Map<String, Value>,
) -> Answer {
    let (ctx, caller) = (&api.ctx, &call.caller);
    match name {
        "os-reset_status" => {
            let status = snapshot_request(&Object::within(body, name)?)?;
            reset_snapshot_status::begin(ctx, caller, id, status).await?;
        }
        _ => delete_snapshot::begin_forced(ctx, caller, id).await?,
    }
    Ok(accepted_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with<T>(said: &Value, read: fn(&Object<'_>) -> Result<T, Fault>) -> Result<T, u16> {
        let body = json!({"x": said});
        let object = Object::within(body.as_object().unwrap(), "x").unwrap();
        read(&object).map_err(|fault| fault.code())
    }

    #[test]
    fn what_a_volume_may_be_called() {
        let request = with(&json!({"status": "In-Use"}), reset_request).unwrap();
        assert_eq!(request.status, Some(VolumeStatus::InUse));
        let both =
            json!({"status": "available", "attach_status": "DETACHED", "migration_status": "none"});
        let request = with(&both, reset_request).unwrap();
        assert_eq!(request.is_attached, Some(false));
        for bad in [
            json!({}),
            json!({"status": null}),
            json!({"status": ""}),
            json!({"status": "fine"}),
            json!({"attach_status": "reserved"}),
            json!({"migration_status": "migrating"}),
            json!({"status": "error", "colour": 1}),
            json!({"status": 5}),
        ] {
            assert_eq!(with(&bad, reset_request).unwrap_err(), 400, "{bad}");
        }
    }

    #[test]
    fn what_a_snapshot_may_be_called() {
        let said = json!({"status": "Error"});
        assert_eq!(with(&said, snapshot_request), Ok(SnapshotStatus::Error));
        for bad in [
            json!({}),
            json!({"status": null}),
            json!({"status": "in-use"}),
        ] {
            assert_eq!(with(&bad, snapshot_request), Err(400), "{bad}");
        }
    }

    #[test]
    fn which_attachment_and_whose_connection() {
        let id = AttachmentId::random();
        let said =
            json!({"attachment_id": id.to_string(), "connector": {"initiator": "IQN.A", "x": 1}});
        let expected = (Some(id), Some("iqn.a".to_owned()));
        assert_eq!(with(&said, detach_request), Ok(expected));
        let said = json!({"attachment_id": null, "connector": "c"});
        assert_eq!(with(&said, detach_request), Ok((None, None)));
        for bad in [
            json!({"attachment_id": "x"}),
            json!({"connector": 5}),
            json!({"x": 1}),
        ] {
            assert_eq!(with(&bad, detach_request), Err(400), "{bad}");
        }
    }
}
