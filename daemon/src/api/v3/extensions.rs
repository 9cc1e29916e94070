//! Cinder's extensions by their aliases, as older clients look for what a Cinder has. An extension is listed when its
//! routes are in the route table, so that the list cannot say more than is there.

use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, ok};
use crate::api::routes::ROUTES;
use serde_json::{Value, json};

/// An extension of Cinder's.
struct Extension {
    name: &'static str,
    alias: &'static str,
    description: &'static str,
    updated: &'static str,
    /// A route that is there when the extension is.
    route: &'static str,
}

const fn extension(
    (name, alias): (&'static str, &'static str),
    description: &'static str,
    updated: &'static str,
    route: &'static str,
) -> Extension {
    Extension {
        name,
        alias,
        description,
        updated,
        route,
    }
}

/// All that a part of Ashlar answers for, or will.
const EXTENSIONS: &[Extension] = &[
    extension(
        ("VolumeTypeEncryption", "encryption"),
        "Encryption of a volume type.",
        "2013-07-01T00:00:00+00:00",
        "/v3/types/{id}/encryption",
    ),
    extension(
        ("Backups", "backups"),
        "Backups of volumes.",
        "2012-12-12T00:00:00+00:00",
        "/v3/backups",
    ),
    extension(
        ("Capabilities", "capabilities"),
        "What a backend can do.",
        "2015-08-31T00:00:00+00:00",
        "/v3/capabilities/{id}",
    ),
    extension(
        ("AvailabilityZones", "os-availability-zone"),
        "The availability zones.",
        "2013-06-27T00:00:00+00:00",
        "/v3/os-availability-zone",
    ),
    extension(
        ("ExtendedServices", "os-extended-services"),
        "Why a service is disabled, and whether it is frozen.",
        "2014-01-10T00:00:00-00:00",
        "/v3/os-services/disable-log-reason",
    ),
    extension(
        (
            "ExtendedSnapshotAttributes",
            "os-extended-snapshot-attributes",
        ),
        "Project and progress of a snapshot.",
        "2012-06-19T00:00:00+00:00",
        "/v3/snapshots/{id}",
    ),
    extension(
        ("Hosts", "os-hosts"),
        "The hosts of services, for administrators.",
        "2011-06-29T00:00:00+00:00",
        "/v3/os-hosts",
    ),
    extension(
        ("QuotaClasses", "os-quota-class-sets"),
        "Default quotas.",
        "2012-03-12T00:00:00+00:00",
        "/v3/os-quota-class-sets/{id}",
    ),
    extension(
        ("Quotas", "os-quota-sets"),
        "Quotas of projects.",
        "2011-08-08T00:00:00+00:00",
        "/v3/os-quota-sets/{id}",
    ),
    extension(
        ("Services", "os-services"),
        "The services, for administrators.",
        "2012-10-28T00:00:00-00:00",
        "/v3/os-services",
    ),
    extension(
        ("SnapshotManage", "os-snapshot-manage"),
        "Snapshots that a backend has already become Cinder's.",
        "2014-12-31T00:00:00+00:00",
        "/v3/os-snapshot-manage",
    ),
    extension(
        ("TypesExtraSpecs", "os-types-extra-specs"),
        "Extra specs of volume types.",
        "2011-08-24T00:00:00+00:00",
        "/v3/types/{id}/extra_specs",
    ),
    extension(
        ("TypesManage", "os-types-manage"),
        "Volume types are made, changed and deleted.",
        "2011-08-24T00:00:00+00:00",
        "/v3/types",
    ),
    extension(
        ("UsedLimits", "os-used-limits"),
        "What of its limits a project uses.",
        "2013-10-03T00:00:00+00:00",
        "/v3/limits",
    ),
    extension(
        ("VolumeHostAttribute", "os-vol-host-attr"),
        "Where a volume lies, for administrators.",
        "2011-11-03T00:00:00+00:00",
        "/v3/volumes/{id}",
    ),
    extension(
        ("VolumeTenantAttribute", "os-vol-tenant-attr"),
        "Whose a volume is.",
        "2011-11-03T00:00:00+00:00",
        "/v3/volumes/{id}",
    ),
    extension(
        ("VolumeActions", "os-volume-actions"),
        "Actions of volumes.",
        "2012-05-31T00:00:00+00:00",
        "/v3/volumes/{id}/action",
    ),
    extension(
        ("VolumeEncryptionMetadata", "os-volume-encryption-metadata"),
        "How a volume is encrypted.",
        "2013-07-10T00:00:00+00:00",
        "/v3/volumes/{id}/encryption",
    ),
    extension(
        ("VolumeManage", "os-volume-manage"),
        "Volumes that a backend has already become Cinder's.",
        "2014-02-10T00:00:00+00:00",
        "/v3/os-volume-manage",
    ),
    extension(
        ("VolumeTransfer", "os-volume-transfer"),
        "A volume changes its project.",
        "2013-05-29T00:00:00+00:00",
        "/v3/os-volume-transfer",
    ),
    extension(
        ("VolumeTypeAccess", "os-volume-type-access"),
        "Who may use a private volume type.",
        "2014-06-26T00:00:00Z",
        "/v3/types/{id}/os-volume-type-access",
    ),
    extension(
        ("Qos_specs_manage", "qos-specs"),
        "Quality of service specs.",
        "2013-08-02T00:00:00+00:00",
        "/v3/qos-specs",
    ),
    extension(
        ("Scheduler_stats", "scheduler-stats"),
        "The pools, for administrators.",
        "2014-09-07T00:00:00+00:00",
        "/v3/scheduler-stats/get_pools",
    ),
];

fn is_here(one: &&Extension) -> bool {
    ROUTES.iter().any(|route| route.path == one.route)
}

pub(in crate::api) async fn list(_call: Call) -> Answer {
    let shown: Vec<Value> = EXTENSIONS.iter().filter(is_here).map(view).collect();
    Ok(ok(&json!({"extensions": shown})))
}

pub(in crate::api) async fn show(call: Call) -> Answer {
    let alias = call.path("id");
    let found = EXTENSIONS
        .iter()
        .filter(is_here)
        .find(|one| one.alias == alias);
    match found {
        Some(one) => Ok(ok(&json!({"extension": view(one)}))),
        None => Err(Fault::not_found("Extension", &shown(alias))),
    }
}

fn view(one: &Extension) -> Value {
    json!({
        "name": one.name,
        "alias": one.alias,
        "description": one.description,
        "updated": one.updated,
        "links": [],
    })
}
