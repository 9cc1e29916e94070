//! Quotas in the record: a counter a project and resource, changed in the same transaction as what it counts.
//!
//! The guard is the statement itself: two racing requests touch the same row one after the other, on both engines,
//! so the limit is never exceeded. A test compares the counters with the sums over the rows.

use super::Store;
use super::batch::{Batch, Query, Sql, StoreError, Value};
use std::collections::BTreeMap;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Volumes.
    Volumes,
    /// Snapshots.
    Snapshots,
    /// GiB of volumes and snapshots.
    Gigabytes,
}

impl Resource {
    /// Cinder's spelling; also the guard's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Resource::Volumes => "volumes",
            Resource::Snapshots => "snapshots",
            Resource::Gigabytes => "gigabytes",
        }
    }
}

/// Parameters: project, resource, amount, limit. Touches no row when the limit would be exceeded.
const TAKE: Sql = Sql {
    name: "quotas.take",
    text: "INSERT INTO quota_usages (project_id, resource, in_use) \
           SELECT $1, $2, CAST($3 AS BIGINT) WHERE CAST($3 AS BIGINT) <= CAST($4 AS BIGINT) \
           ON CONFLICT (project_id, resource) DO UPDATE SET in_use = quota_usages.in_use + excluded.in_use \
           WHERE quota_usages.in_use + excluded.in_use <= CAST($4 AS BIGINT)",
};

/// Parameters: project, resource, amount.
const GIVE_BACK: Sql = Sql {
    name: "quotas.give_back",
    text: "UPDATE quota_usages SET in_use = in_use - $3 WHERE project_id = $1 AND resource = $2",
};

const USAGE: Sql = Sql {
    name: "quotas.usage",
    text: "SELECT resource, in_use FROM quota_usages WHERE project_id = $1",
};

pub(super) const ALL: &[Sql] = &[TAKE, GIVE_BACK, USAGE];

/// Adds the guard that takes `amount` within `limit` (-1: no limit).
pub fn take(batch: &mut Batch, project_id: &str, resource: Resource, amount: i64, limit: i64) {
    let limit = if limit < 0 { i64::MAX } else { limit };
    let values = vec![
        project_id.into(),
        resource.as_str().into(),
        amount.into(),
        limit.into(),
    ];
    batch.guard(resource.as_str(), TAKE, values);
}

/// Adds the return of `amount`.
pub fn give_back(batch: &mut Batch, project_id: &str, resource: Resource, amount: i64) {
    let values: Vec<Value> = vec![project_id.into(), resource.as_str().into(), amount.into()];
    batch.add(GIVE_BACK, values);
}

/// What a project uses, by resource.
pub async fn usage(store: &Store, project_id: &str) -> Result<BTreeMap<String, i64>, StoreError> {
    let rows = store
        .rows(Query::of(USAGE, vec![project_id.into()]))
        .await?;
    rows.iter()
        .map(|row| Ok((row.text(0)?.to_owned(), row.int(1)?)))
        .collect()
}
