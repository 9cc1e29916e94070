//! The journal as history: in which objects' journals an operation stands, and how long what is over is kept.
//!
//! An operation stands in the journal of its own object by its row, and in those of the others by `journal_objects`.
//! Only operations that are over are ever removed, with their steps and entries, and the placements of volumes that are
//! gone with them.

use super::Store;
use super::batch::{Batch, Query, Sql, StoreError, Value};
use super::list::{Comparison, Filter};
use crate::model::id::OperationId;
use crate::model::time::Time;

/// How long an operation that is over stays in the journal.
pub const RETENTION_S: u64 = 90 * 24 * 3600;
/// Operations that are over and kept at most, whatever their age.
pub const RETENTION_OPERATIONS: i64 = 500_000;
/// Operations that one commit of the pruning removes at most: some ten milliseconds of the writer's time.
pub const PRUNE_PIECE: i64 = 200;

/// Which operations a piece of the pruning takes; the same ones in each of its statements, since what is over stays as
/// it is. By its phase nothing could be found in order, so the index of ends leads. Parameters: a time, limit.
macro_rules! piece {
    ($column:literal) => {
        concat!(
            "(SELECT t.",
            $column,
            " FROM operations t WHERE t.finished_at < $1 AND t.phase NOT IN ('queued', 'running', 'undoing') \
             ORDER BY t.finished_at, t.id LIMIT CAST($2 AS BIGINT))"
        )
    };
}

const ENTER: Sql = Sql {
    name: "journal.enter",
    text: "INSERT INTO journal_objects (object_id, operation_id) VALUES ($1, $2)",
};

/// The end of the oldest of the newest so many. Parameters: how many others there are.
const OLDEST_KEPT: Sql = Sql {
    name: "journal.oldest_kept",
    text: "SELECT t.finished_at FROM operations t WHERE t.finished_at IS NOT NULL \
           ORDER BY t.finished_at DESC LIMIT 1 OFFSET CAST($1 AS BIGINT)",
};

const PIECE: Sql = Sql {
    name: "journal.piece",
    text: concat!(
        "SELECT COUNT(*) FROM operations o WHERE o.id IN ",
        piece!("id")
    ),
};

const PRUNE_PLACEMENTS: Sql = Sql {
    name: "journal.prune_placements",
    text: concat!(
        "DELETE FROM placements WHERE volume_id IN ",
        piece!("object_id"),
        " AND NOT EXISTS (SELECT 1 FROM volumes v WHERE v.id = placements.volume_id)"
    ),
};

const PRUNE_STEPS: Sql = Sql {
    name: "journal.prune_steps",
    text: concat!(
        "DELETE FROM operation_steps WHERE operation_id IN ",
        piece!("id")
    ),
};

const PRUNE_ENTRIES: Sql = Sql {
    name: "journal.prune_entries",
    text: concat!(
        "DELETE FROM journal_objects WHERE operation_id IN ",
        piece!("id")
    ),
};

const PRUNE_OPERATIONS: Sql = Sql {
    name: "journal.prune_operations",
    text: concat!("DELETE FROM operations WHERE id IN ", piece!("id")),
};

pub(super) const ALL: &[Sql] = &[
    ENTER,
    OLDEST_KEPT,
    PIECE,
    PRUNE_PLACEMENTS,
    PRUNE_STEPS,
    PRUNE_ENTRIES,
    PRUNE_OPERATIONS,
];

/// Enters an operation into the journal of an object that is not its own.
pub fn enter(batch: &mut Batch, operation: OperationId, object_id: &str) {
    batch.add(ENTER, vec![object_id.into(), operation.to_string().into()]);
}

/// The operations in the journal of an object; for lists of operations.
pub fn of_object(object_id: &str) -> Filter {
    meets(
        "t.id IN (SELECT o.id FROM operations o WHERE o.object_id = ? \
         UNION ALL SELECT j.operation_id FROM journal_objects j WHERE j.object_id = ?)",
        object_id,
    )
}

/// The operations that a project may know of: those that it began, and those on what was its own at the time.
pub fn of_project(project_id: &str) -> Filter {
    meets("(t.project_id = ? OR t.owner_id = ?)", project_id)
}

fn meets(condition: &'static str, value: &str) -> Filter {
    Filter {
        comparison: Comparison::Meets(condition),
        ..Filter::equal("id", value)
    }
}

/// Removes a piece of the operations that ended before `oldest_at`, or are beyond `keep`; whether there may be more.
pub async fn prune(store: &Store, keep: i64, oldest_at: &Time) -> Result<bool, StoreError> {
    let values = vec![(keep - 1).max(0).into()];
    let by_count = store.row(Query::of(OLDEST_KEPT, values)).await?;
    let by_count = by_count.map(|row| row.text(0).map(str::to_owned));
    let by_count = by_count.transpose()?.unwrap_or_default();
    let before = by_count.as_str().max(oldest_at.as_str());
    let values: Vec<Value> = vec![before.into(), PRUNE_PIECE.into()];
    let found = store.row(Query::of(PIECE, values.clone())).await?;
    let found = found.map_or(Ok(0), |row| row.int(0))?;
    if found == 0 {
        return Ok(false);
    }
    let mut batch = Batch::new();
    for sql in [
        PRUNE_PLACEMENTS,
        PRUNE_STEPS,
        PRUNE_ENTRIES,
        PRUNE_OPERATIONS,
    ] {
        batch.add(sql, values.clone());
    }
    // It gives room back, so it may also run while the disk is full.
    batch.essential();
    store.write(batch).await?;
    Ok(found == PRUNE_PIECE)
}
