//! A volume as Cinder shows it, by microversion and by who looks.

use crate::api::call::Call;
use crate::model::attachment::Attachment;
use crate::model::caller::Role;
use crate::model::status::{AttachmentStatus, VolumeStatus};
use crate::model::time::Time;
use crate::model::volume::Volume;
use serde_json::{Value, json};

/// The collection in paths and bodies.
pub(super) const COLLECTION: &str = "volumes";

/// The short form of lists.
pub(super) fn summary(call: &Call, volume: &Volume) -> Value {
    let id = volume.id.to_string();
    json!({
        "id": id,
        "name": volume.name,
        "links": call.links.of(COLLECTION, &id),
    })
}

/// The long form.
pub(super) fn detail(call: &Call, volume: &Volume, attachments: &[Attachment]) -> Value {
    let id = volume.id.to_string();
    let is_admin = call.caller.role == Role::Admin;
    let attached: Vec<Value> = attachments
        .iter()
        .filter(|one| one.volume_id == volume.id && one.status == AttachmentStatus::Attached)
        .map(|one| attachment(one, is_admin))
        .collect();
    let mut view = json!({
        "id": id,
        "status": shown_status(volume.status),
        "size": shown_size_gib(volume),
        "availability_zone": volume.availability_zone,
        "created_at": volume.created_at.as_str(),
        "updated_at": volume.updated_at.as_ref().map(Time::as_str),
        "name": volume.name,
        "description": volume.description,
        "volume_type": volume.volume_type,
        "snapshot_id": volume.snapshot_id.map(|id| id.to_string()),
        "source_volid": volume.source_volid.map(|id| id.to_string()),
        "metadata": metadata(volume),
        "links": call.links.of(COLLECTION, &id),
        "user_id": volume.user_id,
        // A text, unlike its neighbours: clients compare it with "true".
        "bootable": if volume.bootable { "true" } else { "false" },
        "encrypted": false,
        "replication_status": null,
        "consistencygroup_id": null,
        "multiattach": volume.multiattach,
        "attachments": attached,
        "os-vol-tenant-attr:tenant_id": volume.project_id,
    });
    if !volume.image_metadata.is_empty() {
        view["volume_image_metadata"] = json!(volume.image_metadata);
    }
    if is_admin {
        for_admins(call, volume, &mut view);
    }
    by_version(call, volume, &mut view);
    view
}

/// The owner's pairs, with the flag among them as Cinder shows it: in Python's spelling, over an owner's pair of that key.
fn metadata(volume: &Volume) -> Value {
    let mut pairs = json!(volume.metadata);
    if let Some(readonly) = volume.readonly {
        pairs["readonly"] = json!(if readonly { "True" } else { "False" });
    }
    pairs
}

fn for_admins(call: &Call, volume: &Volume, view: &mut Value) {
    view["migration_status"] = Value::Null;
    view["os-vol-host-attr:host"] = json!(volume.host);
    view["os-vol-mig-status-attr:migstat"] = Value::Null;
    view["os-vol-mig-status-attr:name_id"] = Value::Null;
    if call.version.at_least(21) {
        view["provider_id"] = Value::Null;
    }
    if call.version.at_least(61) {
        view["cluster_name"] = Value::Null;
    }
}

fn by_version(call: &Call, volume: &Volume, view: &mut Value) {
    if call.version.at_least(13) {
        view["group_id"] = Value::Null;
    }
    if call.version.at_least(48) {
        // One target a volume: hosts need not take turns.
        view["shared_targets"] = json!(false);
        view["service_uuid"] = Value::Null;
    }
    if call.version.at_least(63) {
        view["volume_type_id"] = json!(volume.volume_type_id.to_string());
    }
    if call.version.at_least(65) {
        view["consumes_quota"] = json!(true);
    }
}

fn attachment(one: &Attachment, is_admin: bool) -> Value {
    let volume_id = one.volume_id.to_string();
    json!({
        // The volume's id, not the attachment's: an old habit that clients know.
        "id": volume_id,
        "attachment_id": one.id.to_string(),
        "volume_id": volume_id,
        "server_id": one.instance_uuid,
        "host_name": one.attached_host.as_ref().filter(|_| is_admin),
        "device": one.mountpoint,
        "attached_at": one.attached_at.as_ref().map(Time::as_str),
    })
}

/// While it is being taken over its size is not known yet; Cinder says 0.
fn shown_size_gib(volume: &Volume) -> i64 {
    if volume.status == VolumeStatus::Managing {
        0
    } else {
        volume.size_gib.get()
    }
}

/// Three statuses are shown as older clients know them.
fn shown_status(status: VolumeStatus) -> &'static str {
    let shown = if status == VolumeStatus::Managing {
        VolumeStatus::Creating
    } else if status == VolumeStatus::ErrorManaging {
        VolumeStatus::Error
    } else if status == VolumeStatus::ErrorManagingDeleting {
        VolumeStatus::Deleting
    } else {
        status
    };
    shown.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{self, Asks};
    use crate::model::attachment::AttachMode;
    use crate::model::id::{AttachmentId, VolumeId, VolumeTypeId};
    use crate::model::size::Gib;
    use std::collections::BTreeSet;

    fn volume() -> Volume {
        Volume {
            id: VolumeId::random(),
            project_id: "p".to_owned(),
            user_id: "u".to_owned(),
            name: None,
            description: Some("d".to_owned()),
            size_gib: Gib::new(7).unwrap(),
            status: VolumeStatus::InUse,
            host: Some("h@b#p".to_owned()),
            availability_zone: "nova".to_owned(),
            volume_type_id: VolumeTypeId::random(),
            volume_type: "__DEFAULT__".to_owned(),
            snapshot_id: None,
            source_volid: None,
            multiattach: false,
            bootable: false,
            metadata: [("k".to_owned(), "v".to_owned())].into(),
            readonly: None,
            image_metadata: Default::default(),
            created_at: Time::from_stored("2026-11-22T18:43:43.000000".to_owned()),
            updated_at: None,
        }
    }

    fn keys(asks: &Asks<'_>) -> BTreeSet<String> {
        let view = detail(&testing::call(asks), &volume(), &[]);
        view.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn fields_by_version_and_role() {
        let base = keys(&Asks::default());
        assert_eq!(base.len(), 21);
        let added = |minor, admin| -> Vec<String> {
            let asked = keys(&Asks {
                minor,
                admin,
                ..Asks::default()
            });
            asked.difference(&base).cloned().collect()
        };
        assert_eq!(added(12, false), Vec::<String>::new());
        assert_eq!(added(13, false), ["group_id"]);
        assert_eq!(
            added(48, false),
            ["group_id", "service_uuid", "shared_targets"]
        );
        assert_eq!(
            added(65, false),
            [
                "consumes_quota",
                "group_id",
                "service_uuid",
                "shared_targets",
                "volume_type_id"
            ]
        );
        assert_eq!(
            added(0, true),
            [
                "migration_status",
                "os-vol-host-attr:host",
                "os-vol-mig-status-attr:migstat",
                "os-vol-mig-status-attr:name_id"
            ]
        );
        assert!(added(21, true).contains(&"provider_id".to_owned()));
        assert!(added(61, true).contains(&"cluster_name".to_owned()));
    }

    #[test]
    fn types_that_clients_depend_on() {
        let view = detail(&testing::call(&Asks::default()), &volume(), &[]);
        assert_eq!(view["bootable"], "false");
        assert_eq!(view["encrypted"], false);
        assert_eq!(view["size"], 7);
        assert_eq!(view["metadata"]["k"], "v");
        assert_eq!(view["created_at"], "2026-11-22T18:43:43.000000");
        assert_eq!(view["updated_at"], Value::Null);
        assert_eq!(view["status"], "in-use");
    }

    #[test]
    fn only_attached_ones_and_the_host_for_admins() {
        let volume = volume();
        let one = |status| Attachment {
            id: AttachmentId::random(),
            volume_id: volume.id,
            project_id: "p".to_owned(),
            instance_uuid: Some("i".to_owned()),
            attached_host: Some("host".to_owned()),
            mountpoint: Some("/dev/vdb".to_owned()),
            mode: AttachMode::ReadWrite,
            status,
            connector: None,
            attached_at: None,
            detached_at: None,
            created_at: volume.created_at.clone(),
            updated_at: None,
        };
        let all = [
            one(AttachmentStatus::Attached),
            one(AttachmentStatus::Reserved),
        ];
        let shown = |admin| {
            let call = testing::call(&Asks {
                admin,
                ..Asks::default()
            });
            detail(&call, &volume, &all)["attachments"].clone()
        };
        assert_eq!(shown(false).as_array().unwrap().len(), 1);
        assert_eq!(shown(false)[0]["host_name"], Value::Null);
        assert_eq!(shown(true)[0]["host_name"], "host");
        assert_eq!(shown(true)[0]["id"], volume.id.to_string());
        assert_eq!(shown(true)[0]["attachment_id"], all[0].id.to_string());
        assert_eq!(shown(true)[0]["server_id"], "i");
        assert_eq!(shown(true)[0]["device"], "/dev/vdb");
    }

    #[test]
    fn masked_statuses() {
        assert_eq!(shown_status(VolumeStatus::Managing), "creating");
        assert_eq!(shown_status(VolumeStatus::ErrorManaging), "error");
        assert_eq!(
            shown_status(VolumeStatus::ErrorManagingDeleting),
            "deleting"
        );
        assert_eq!(
            shown_status(VolumeStatus::ErrorExtending),
            "error_extending"
        );
    }
}
