//! How many there are, for meters: volumes by status, operations that are not over by queue and phase.

use super::Store;
use super::batch::{Query, Sql, StoreError};
use crate::model::operation::Phase;
use crate::model::status::VolumeStatus;
use std::collections::BTreeMap;

const VOLUMES: Sql = Sql {
    name: "counts.volumes",
    text: "SELECT status, COUNT(*) FROM volumes GROUP BY status",
};

const OPERATIONS: Sql = Sql {
    name: "counts.operations",
    text: "SELECT queue, phase, COUNT(*) FROM operations WHERE phase IN ('queued', 'running', 'undoing') \
           GROUP BY queue, phase ORDER BY queue, phase",
};

const ANSWER: Sql = Sql {
    name: "counts.answer",
    text: "SELECT CAST(1 AS BIGINT)",
};

pub(super) const ALL: &[Sql] = &[VOLUMES, OPERATIONS, ANSWER];

/// What was counted, from one view.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Volumes by status; every status is there.
    pub volumes: BTreeMap<&'static str, i64>,
    /// Operations that are not over: queue, phase, how many.
    pub operations: Vec<(String, Phase, i64)>,
}

/// Counts.
pub async fn count(store: &Store) -> Result<Counts, StoreError> {
    let queries = vec![
        Query::of(VOLUMES, Vec::new()),
        Query::of(OPERATIONS, Vec::new()),
    ];
    let answers = store.read(queries).await?;
    let [volumes, operations] = &answers[..] else {
        return Err(StoreError::Unreadable { column: 0 });
    };
    let mut counts = Counts::default();
    for status in VolumeStatus::ALL {
        counts.volumes.insert(status.as_str(), 0);
    }
    for row in volumes {
        let status = row.parsed(0, VolumeStatus::parse)?;
        counts.volumes.insert(status.as_str(), row.int(1)?);
    }
    for row in operations {
        let phase = row.parsed(1, Phase::parse)?;
        counts
            .operations
            .push((row.text(0)?.to_owned(), phase, row.int(2)?));
    }
    Ok(counts)
}

/// Reads next to nothing, to see whether the record answers.
pub async fn answer(store: &Store) -> Result<(), StoreError> {
    store.row(Query::of(ANSWER, Vec::new())).await.map(drop)
}
