//! A volume as Cinder shows it, by microversion and by who looks.

use crate::api::call::Call;
use crate::api::links::Link;
use crate::model::attachment::Attachment;
use crate::model::caller::Role;
use crate::model::id::{ServiceId, VolumeId};
use crate::model::status::{AttachmentStatus, VolumeStatus};
use crate::model::time::Time;
use crate::model::volume::Volume;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The collection in paths and bodies.
pub(super) const COLLECTION: &str = "volumes";

/// The short form of lists.
#[derive(Serialize)]
pub(super) struct Summary<'a> {
    id: Uuid,
    name: &'a Option<String>,
    links: [Link; 2],
}

/// The long form. Written straight to the wire: a page of a thousand is the largest answer there is.
///
/// What only some see, or only newer clients, is left out where it is `None`; `Some(())` is shown as null.
#[derive(Serialize)]
pub(super) struct Detail<'a> {
    id: Uuid,
    status: &'static str,
    size: i64,
    availability_zone: &'a str,
    #[serde(serialize_with = "time")]
    created_at: &'a Time,
    #[serde(serialize_with = "optional_time")]
    updated_at: &'a Option<Time>,
    name: &'a Option<String>,
    description: &'a Option<String>,
    volume_type: &'a str,
    snapshot_id: Option<Uuid>,
    source_volid: Option<Uuid>,
    metadata: BTreeMap<&'a str, &'a str>,
    links: [Link; 2],
    user_id: &'a str,
    /// A text, unlike its neighbours: clients compare it with "true".
    bootable: &'static str,
    encrypted: bool,
    replication_status: (),
    consistencygroup_id: (),
    multiattach: bool,
    attachments: Vec<Attached<'a>>,
    #[serde(rename = "os-vol-tenant-attr:tenant_id")]
    tenant_id: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    volume_image_metadata: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    for_admins: Option<ForAdmins<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_targets: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_uuid: Option<Option<Uuid>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume_type_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumes_quota: Option<bool>,
}

#[derive(Serialize)]
struct ForAdmins<'a> {
    migration_status: (),
    #[serde(rename = "os-vol-host-attr:host")]
    host: &'a Option<String>,
    #[serde(rename = "os-vol-mig-status-attr:migstat")]
    migstat: (),
    #[serde(rename = "os-vol-mig-status-attr:name_id")]
    name_id: (),
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_id: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_name: Option<()>,
}

#[derive(Serialize)]
struct Attached<'a> {
    /// The volume's id, not the attachment's: an old habit that clients know.
    id: Uuid,
    attachment_id: Uuid,
    volume_id: Uuid,
    server_id: &'a Option<String>,
    host_name: Option<&'a str>,
    device: &'a Option<String>,
    #[serde(serialize_with = "optional_time")]
    attached_at: &'a Option<Time>,
}

fn time<S: Serializer>(time: &Time, to: S) -> Result<S::Ok, S::Error> {
    time.as_str().serialize(to)
}

fn optional_time<S: Serializer>(time: &Option<Time>, to: S) -> Result<S::Ok, S::Error> {
    time.as_ref().map(Time::as_str).serialize(to)
}

/// A volume in the short form.
pub(super) fn summary<'a>(call: &Call, volume: &'a Volume) -> Summary<'a> {
    Summary {
        id: volume.id.uuid(),
        name: &volume.name,
        links: call.links.of(COLLECTION, &volume.id),
    }
}

/// A volume in the long form, with those of `attachments` that are its own, and the service that has it.
pub(super) fn detail<'a>(
    call: &Call,
    volume: &'a Volume,
    attachments: &'a [Attachment],
    service: Option<ServiceId>,
) -> Detail<'a> {
    let is_admin = call.caller.role == Role::Admin;
    let from = |minor| call.version.at_least(minor);
    Detail {
        id: volume.id.uuid(),
        status: shown_status(volume.status),
        size: shown_size_gib(volume),
        availability_zone: &volume.availability_zone,
        created_at: &volume.created_at,
        updated_at: &volume.updated_at,
        name: &volume.name,
        description: &volume.description,
        volume_type: &volume.volume_type,
        snapshot_id: volume.snapshot_id.map(|id| id.uuid()),
        source_volid: volume.source_volid.map(|id| id.uuid()),
        metadata: metadata(volume),
        links: call.links.of(COLLECTION, &volume.id),
        user_id: &volume.user_id,
        bootable: if volume.bootable { "true" } else { "false" },
        encrypted: false,
        replication_status: (),
        consistencygroup_id: (),
        multiattach: volume.multiattach,
        attachments: attached(volume.id, attachments, is_admin),
        tenant_id: &volume.project_id,
        volume_image_metadata: &volume.image_metadata,
        for_admins: is_admin.then(|| for_admins(call, volume)),
        group_id: from(13).then_some(()),
        // One target a volume: hosts need not take turns.
        shared_targets: from(48).then_some(false),
        service_uuid: from(48).then(|| service.map(ServiceId::uuid)),
        volume_type_id: from(63).then(|| volume.volume_type_id.uuid()),
        consumes_quota: from(65).then_some(true),
    }
}

/// The owner's pairs, with the flag among them as Cinder shows it: in Python's spelling, over an owner's pair of that key.
fn metadata(volume: &Volume) -> BTreeMap<&str, &str> {
    let pairs = volume.metadata.iter();
    let mut pairs: BTreeMap<_, _> = pairs.map(|(k, v)| (k.as_str(), v.as_str())).collect();
    if let Some(readonly) = volume.readonly {
        pairs.insert("readonly", if readonly { "True" } else { "False" });
    }
    pairs
}

fn for_admins<'a>(call: &Call, volume: &'a Volume) -> ForAdmins<'a> {
    ForAdmins {
        migration_status: (),
        host: &volume.host,
        migstat: (),
        name_id: (),
        provider_id: call.version.at_least(21).then_some(()),
        cluster_name: call.version.at_least(61).then_some(()),
    }
}

fn attached(volume: VolumeId, attachments: &[Attachment], is_admin: bool) -> Vec<Attached<'_>> {
    attachments
        .iter()
        .filter(|one| one.volume_id == volume && one.status == AttachmentStatus::Attached)
        .map(|one| Attached {
            id: volume.uuid(),
            attachment_id: one.id.uuid(),
            volume_id: volume.uuid(),
            server_id: &one.instance_uuid,
            host_name: one.attached_host.as_deref().filter(|_| is_admin),
            device: &one.mountpoint,
            attached_at: &one.attached_at,
        })
        .collect()
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
    use serde_json::{Value, json};
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
        let view = json!(detail(&testing::call(asks), &volume(), &[], None));
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
        let view = json!(detail(
            &testing::call(&Asks::default()),
            &volume(),
            &[],
            None
        ));
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
            json!(detail(&call, &volume, &all, None))["attachments"].clone()
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
