//! Quotas in the record: a counter a project and resource, changed in the same transaction as what it counts.
//!
//! The guard is the statement itself: two racing requests touch the same row one after the other, on both engines,
//! so the limit is never exceeded. A project's own limit stands in the row of its counter, so that setting it and taking
//! from it meet there too; where it has none, the class `default` counts, and else what the caller names. What is counted
//! by volume type is named by the type's id (`gigabytes:<id>`), so that a type may be renamed.
//! "No limit" is the largest number here, and -1 for everybody else. A test compares the counters with the sums over the
//! rows.

use super::Store;
use super::batch::{Batch, Query, Row, Sql, StoreError, Value};
use crate::model::id::{SnapshotId, VolumeId, VolumeTypeId};
use std::collections::BTreeMap;

/// The class whose limits hold where a project has none of its own.
pub const DEFAULT_CLASS: &str = "default";

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Volumes.
    Volumes,
    /// Snapshots.
    Snapshots,
    /// GiB of volumes and snapshots.
    Gigabytes,
    /// GiB of one volume; nothing is counted.
    PerVolumeGigabytes,
    /// Backups.
    Backups,
    /// GiB of the volumes that backups are of.
    BackupGigabytes,
    /// Groups; none is made yet, the limit is kept.
    Groups,
}

impl Resource {
    /// Every one.
    pub const ALL: [Resource; 7] = [
        Resource::Volumes,
        Resource::Snapshots,
        Resource::Gigabytes,
        Resource::PerVolumeGigabytes,
        Resource::Backups,
        Resource::BackupGigabytes,
        Resource::Groups,
    ];

    /// Those that are also counted by volume type.
    pub const BY_TYPE: [Resource; 3] =
        [Resource::Volumes, Resource::Snapshots, Resource::Gigabytes];

    /// Cinder's spelling; also the guard's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Resource::Volumes => "volumes",
            Resource::Snapshots => "snapshots",
            Resource::Gigabytes => "gigabytes",
            Resource::PerVolumeGigabytes => "per_volume_gigabytes",
            Resource::Backups => "backups",
            Resource::BackupGigabytes => "backup_gigabytes",
            Resource::Groups => "groups",
        }
    }

    /// The guard's name where a volume type's limit is meant.
    pub fn guard_of_type(self) -> &'static str {
        match self {
            Resource::Volumes => "volumes of the type",
            Resource::Snapshots => "snapshots of the type",
            Resource::Gigabytes => "gigabytes of the type",
            Resource::PerVolumeGigabytes
            | Resource::Backups
            | Resource::BackupGigabytes
            | Resource::Groups => self.as_str(),
        }
    }
}

/// Whose volume type is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// This type.
    Type(VolumeTypeId),
    /// The type that this volume has when the statement runs; its row must be there.
    Volume(VolumeId),
    /// The type of this snapshot's volume; likewise.
    Snapshot(SnapshotId),
}

impl Of {
    /// The type, or the object whose type it is.
    fn split(self) -> Result<VolumeTypeId, String> {
        match self {
            Of::Type(id) => Ok(id),
            Of::Volume(id) => Err(id.to_string()),
            Of::Snapshot(id) => Err(id.to_string()),
        }
    }
}

/// A row of a project or of a class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counter {
    /// What is in use; nothing for a class.
    pub in_use: i64,
    /// The limit, -1 for none; `None` where others decide.
    pub limit: Option<i64>,
}

/// Parameters: project, resource, amount, limit where none is recorded. Touches no row when the limit would be exceeded.
const TAKE: Sql = Sql {
    name: "quotas.take",
    text: "INSERT INTO quota_usages (project_id, resource, in_use) \
           SELECT $1, $2, CAST($3 AS BIGINT) WHERE CAST($3 AS BIGINT) <= COALESCE( \
             (SELECT q.hard_limit FROM quota_usages q WHERE q.project_id = $1 AND q.resource = $2), \
             (SELECT c.hard_limit FROM quota_class_limits c WHERE c.class_name = 'default' AND c.resource = $2), \
             CAST($4 AS BIGINT)) \
           ON CONFLICT (project_id, resource) DO UPDATE SET in_use = quota_usages.in_use + excluded.in_use \
           WHERE quota_usages.in_use + excluded.in_use <= COALESCE(quota_usages.hard_limit, \
             (SELECT c.hard_limit FROM quota_class_limits c WHERE c.class_name = 'default' AND c.resource = $2), \
             CAST($4 AS BIGINT))",
};

/// Parameters: project, resource, amount. Whatever the limit.
const COUNT: Sql = Sql {
    name: "quotas.count",
    text: "INSERT INTO quota_usages (project_id, resource, in_use) VALUES ($1, $2, $3) \
           ON CONFLICT (project_id, resource) DO UPDATE SET in_use = quota_usages.in_use + excluded.in_use",
};

/// Parameters: project, resource without the type, amount, limit where none is recorded, volume or snapshot. The
/// same for the type that the volume has now.
const TAKE_OF_VOLUME: Sql = Sql {
    name: "quotas.take_of_volume",
    text: "INSERT INTO quota_usages (project_id, resource, in_use) \
           SELECT $1, CAST($2 AS TEXT) || ':' || v.volume_type_id, CAST($3 AS BIGINT) FROM volumes v \
           WHERE v.id = COALESCE((SELECT s.volume_id FROM snapshots s WHERE s.id = $5), $5) AND CAST($3 AS BIGINT) <= COALESCE( \
             (SELECT q.hard_limit FROM quota_usages q \
              WHERE q.project_id = $1 AND q.resource = CAST($2 AS TEXT) || ':' || v.volume_type_id), \
             (SELECT c.hard_limit FROM quota_class_limits c \
              WHERE c.class_name = 'default' AND c.resource = CAST($2 AS TEXT) || ':' || v.volume_type_id), \
             CAST($4 AS BIGINT)) \
           ON CONFLICT (project_id, resource) DO UPDATE SET in_use = quota_usages.in_use + excluded.in_use \
           WHERE quota_usages.in_use + excluded.in_use <= COALESCE(quota_usages.hard_limit, \
             (SELECT c.hard_limit FROM quota_class_limits c \
              WHERE c.class_name = 'default' AND c.resource = quota_usages.resource), \
             CAST($4 AS BIGINT))",
};

/// Parameters: project, resource, size, limit where none is recorded. Takes nothing: a guard that one object fits.
const FITS: Sql = Sql {
    name: "quotas.fits",
    text: "INSERT INTO quota_usages (project_id, resource, in_use) \
           SELECT $1, $2, 0 WHERE CAST($3 AS BIGINT) <= COALESCE( \
             (SELECT q.hard_limit FROM quota_usages q WHERE q.project_id = $1 AND q.resource = $2), \
             (SELECT c.hard_limit FROM quota_class_limits c WHERE c.class_name = 'default' AND c.resource = $2), \
             CAST($4 AS BIGINT)) \
           ON CONFLICT (project_id, resource) DO UPDATE SET in_use = quota_usages.in_use \
           WHERE CAST($3 AS BIGINT) <= COALESCE(quota_usages.hard_limit, \
             (SELECT c.hard_limit FROM quota_class_limits c WHERE c.class_name = 'default' AND c.resource = $2), \
             CAST($4 AS BIGINT))",
};

/// Parameters: project, resource, amount.
const GIVE_BACK: Sql = Sql {
    name: "quotas.give_back",
    text: "UPDATE quota_usages SET in_use = in_use - $3 WHERE project_id = $1 AND resource = $2",
};

/// Parameters: project, resource without the type, amount, volume or snapshot.
const GIVE_BACK_OF_VOLUME: Sql = Sql {
    name: "quotas.give_back_of_volume",
    text: "UPDATE quota_usages SET in_use = in_use - $3 WHERE project_id = $1 AND resource = \
           (SELECT CAST($2 AS TEXT) || ':' || v.volume_type_id FROM volumes v \
            WHERE v.id = COALESCE((SELECT s.volume_id FROM snapshots s WHERE s.id = $4), $4))",
};

/// Parameters: project, resource without the type, amount, volume.
const GIVE_BACK_OF_RETYPE: Sql = Sql {
    name: "quotas.give_back_of_retype",
    text: "UPDATE quota_usages SET in_use = in_use - $3 WHERE project_id = $1 AND resource = \
           (SELECT CAST($2 AS TEXT) || ':' || r.volume_type_id FROM retypes r JOIN volumes v ON v.id = r.volume_id \
            WHERE r.volume_id = $4 AND v.volume_type_id <> r.volume_type_id)",
};

/// Parameters: project, resource, limit. Touches no row when more is in use.
const SET_LIMIT: Sql = Sql {
    name: "quotas.set_limit",
    text: "INSERT INTO quota_usages (project_id, resource, in_use, hard_limit) VALUES ($1, $2, 0, $3) \
           ON CONFLICT (project_id, resource) DO UPDATE SET hard_limit = excluded.hard_limit \
           WHERE quota_usages.in_use <= excluded.hard_limit",
};

/// Parameters: project.
const FORGET_LIMITS: Sql = Sql {
    name: "quotas.forget_limits",
    text: "UPDATE quota_usages SET hard_limit = NULL WHERE project_id = $1",
};

/// Parameters: class, resource, limit.
const SET_CLASS_LIMIT: Sql = Sql {
    name: "quotas.set_class_limit",
    text: "INSERT INTO quota_class_limits (class_name, resource, hard_limit) VALUES ($1, $2, $3) \
           ON CONFLICT (class_name, resource) DO UPDATE SET hard_limit = excluded.hard_limit",
};

/// Parameters: the resources of a volume type that is no more.
const FORGET_TYPE: Sql = Sql {
    name: "quotas.forget_type",
    text: "DELETE FROM quota_usages WHERE resource IN ($1, $2, $3)",
};

/// Parameters: likewise.
const FORGET_TYPE_OF_CLASSES: Sql = Sql {
    name: "quotas.forget_type_of_classes",
    text: "DELETE FROM quota_class_limits WHERE resource IN ($1, $2, $3)",
};

const OF_PROJECT: Sql = Sql {
    name: "quotas.of_project",
    text: "SELECT resource, in_use, hard_limit FROM quota_usages WHERE project_id = $1",
};

const OF_CLASS: Sql = Sql {
    name: "quotas.of_class",
    text: "SELECT resource, CAST(0 AS BIGINT), hard_limit FROM quota_class_limits WHERE class_name = $1",
};

pub(super) const ALL: &[Sql] = &[
    TAKE,
    COUNT,
    TAKE_OF_VOLUME,
    FITS,
    GIVE_BACK,
    GIVE_BACK_OF_VOLUME,
    GIVE_BACK_OF_RETYPE,
    SET_LIMIT,
    FORGET_LIMITS,
    SET_CLASS_LIMIT,
    FORGET_TYPE,
    FORGET_TYPE_OF_CLASSES,
    OF_PROJECT,
    OF_CLASS,
];

/// What a resource is called in the record, in all or of a type.
pub fn recorded(resource: Resource, volume_type: Option<VolumeTypeId>) -> String {
    match volume_type {
        None => resource.as_str().to_owned(),
        Some(id) => format!("{}:{id}", resource.as_str()),
    }
}

/// Adds the guard that takes `amount`, within `limit` where the record has none (-1: no limit).
pub fn take(batch: &mut Batch, project_id: &str, resource: Resource, amount: i64, limit: i64) {
    let values = vec![
        project_id.into(),
        resource.as_str().into(),
        amount.into(),
        stored(limit).into(),
    ];
    batch.guard(resource.as_str(), TAKE, values);
}

/// Adds `amount` to the project's own counter whatever the limit: for what is there already, and only not known.
pub fn count(batch: &mut Batch, project_id: &str, resource: Resource, amount: i64) {
    let values = vec![project_id.into(), resource.as_str().into(), amount.into()];
    batch.add(COUNT, values);
}

/// Adds the guard that takes `amount` of a volume type; no limit where the record has none.
pub fn take_of_type(batch: &mut Batch, project_id: &str, of: Of, resource: Resource, amount: i64) {
    let guard = resource.guard_of_type();
    match of.split() {
        Ok(id) => {
            let resource = recorded(resource, Some(id));
            let values: Vec<Value> = vec![
                project_id.into(),
                resource.into(),
                amount.into(),
                i64::MAX.into(),
            ];
            batch.guard(guard, TAKE, values)
        }
        Err(object) => {
            let values: Vec<Value> = vec![
                project_id.into(),
                resource.as_str().into(),
                amount.into(),
                i64::MAX.into(),
                object.into(),
            ];
            batch.guard(guard, TAKE_OF_VOLUME, values)
        }
    };
}

/// Adds the guard that one volume of `size_gib` is within what one volume may have; `limit` as in [`take`].
pub fn fits(batch: &mut Batch, project_id: &str, size_gib: i64, limit: i64) {
    let resource = Resource::PerVolumeGigabytes.as_str();
    let values = vec![
        project_id.into(),
        resource.into(),
        size_gib.into(),
        stored(limit).into(),
    ];
    batch.guard(resource, FITS, values);
}

/// Adds the return of `amount` to the project's own counter only: for what is not counted by volume type.
pub fn give_back_in_all(batch: &mut Batch, project_id: &str, resource: Resource, amount: i64) {
    let values: Vec<Value> = vec![project_id.into(), resource.as_str().into(), amount.into()];
    batch.add(GIVE_BACK, values);
}

/// Adds the return of `amount`, to the project's own counter and to that of the volume type.
pub fn give_back(batch: &mut Batch, project_id: &str, of: Of, resource: Resource, amount: i64) {
    give_back_in_all(batch, project_id, resource, amount);
    give_back_of_type(batch, project_id, of, resource, amount);
}

/// Adds the return of `amount` to the counter of a volume type only; a negative amount counts what was not counted
/// before, whatever the limit.
pub fn give_back_of_type(
    batch: &mut Batch,
    project_id: &str,
    of: Of,
    resource: Resource,
    amount: i64,
) {
    match of.split() {
        Ok(id) => {
            let resource = recorded(resource, Some(id));
            let values: Vec<Value> = vec![project_id.into(), resource.into(), amount.into()];
            batch.add(GIVE_BACK, values)
        }
        Err(object) => {
            let values: Vec<Value> = vec![
                project_id.into(),
                resource.as_str().into(),
                amount.into(),
                object.into(),
            ];
            batch.add(GIVE_BACK_OF_VOLUME, values)
        }
    };
}

/// Adds the return of `amount` to the counter of the type that a volume is on its way to; nothing once it has it.
pub fn give_back_of_retype(
    batch: &mut Batch,
    project_id: &str,
    volume: VolumeId,
    resource: Resource,
    amount: i64,
) {
    let values: Vec<Value> = vec![
        project_id.into(),
        resource.as_str().into(),
        amount.into(),
        volume.to_string().into(),
    ];
    batch.add(GIVE_BACK_OF_RETYPE, values);
}

/// Adds the guard that sets a project's limit for a resource as [`recorded`]; not met when more is in use.
pub fn set_limit(batch: &mut Batch, project_id: &str, resource: String, limit: i64) {
    let values: Vec<Value> = vec![project_id.into(), resource.into(), stored(limit).into()];
    batch.guard("limit", SET_LIMIT, values);
}

/// Adds that a project has no limits of its own any more.
pub fn forget_limits(batch: &mut Batch, project_id: &str) {
    batch.add(FORGET_LIMITS, vec![project_id.into()]);
}

/// Adds a class's limit for a resource as [`recorded`].
pub fn set_class_limit(batch: &mut Batch, class: &str, resource: String, limit: i64) {
    let values: Vec<Value> = vec![class.into(), resource.into(), stored(limit).into()];
    batch.add(SET_CLASS_LIMIT, values);
}

/// Adds that a volume type's counters and limits go with it.
pub fn forget_type(batch: &mut Batch, id: VolumeTypeId) {
    let names = || -> Vec<Value> {
        let named = Resource::BY_TYPE.map(|resource| recorded(resource, Some(id)).into());
        named.into()
    };
    batch.add(FORGET_TYPE, names());
    batch.add(FORGET_TYPE_OF_CLASSES, names());
}

/// What is counted of a project and limited for it, by resource as [`recorded`]; and what class `class` says.
pub async fn of_project_and_class(
    store: &Store,
    project_id: &str,
    class: &str,
) -> Result<(BTreeMap<String, Counter>, BTreeMap<String, Counter>), StoreError> {
    let queries = vec![
        Query::of(OF_PROJECT, vec![project_id.into()]),
        Query::of(OF_CLASS, vec![class.into()]),
    ];
    let answers = store.read(queries).await?;
    let mut maps = answers.iter().map(|rows| rows.iter().map(read).collect());
    let mut next = || maps.next().unwrap_or_else(|| Ok(BTreeMap::new()));
    Ok((next()?, next()?))
}

/// What a class limits, by resource as [`recorded`].
pub async fn of_class(store: &Store, class: &str) -> Result<BTreeMap<String, Counter>, StoreError> {
    let rows = store.rows(Query::of(OF_CLASS, vec![class.into()])).await?;
    rows.iter().map(read).collect()
}

/// What a project uses, by resource as [`recorded`].
pub async fn usage(store: &Store, project_id: &str) -> Result<BTreeMap<String, i64>, StoreError> {
    let (counters, _) = of_project_and_class(store, project_id, DEFAULT_CLASS).await?;
    Ok(counters
        .into_iter()
        .map(|(resource, counter)| (resource, counter.in_use))
        .collect())
}

fn read(row: &Row) -> Result<(String, Counter), StoreError> {
    let limit = if row.0.get(2) == Some(&Value::Null) {
        None
    } else {
        Some(row.int(2)?)
    };
    let counter = Counter {
        in_use: row.int(1)?,
        limit: limit.map(|limit| if limit == i64::MAX { -1 } else { limit }),
    };
    Ok((row.text(0)?.to_owned(), counter))
}

fn stored(limit: i64) -> i64 {
    if limit < 0 { i64::MAX } else { limit }
}
