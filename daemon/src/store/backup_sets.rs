//! Backup sets in the record. Their runs are in `backup_runs.rs`; their backups carry the set's id and outlive it.

use super::Store;
use super::batch::{Batch, Row, Sql, StoreError, Value};
use super::json::{map_text, read_map};
use super::list::{self, Comparison, Direction, Filter, ListError, ListRequest, Shape};
use crate::model::backup_set::{BackupSet, How, Selection};
use crate::model::id::BackupSetId;
use crate::model::retention::Retention;
use crate::model::time::Time;
use std::collections::BTreeMap;

/// Sets of one project.
pub const SETS_MAX: i64 = 200;

/// What of sets may be listed.
pub const SHAPE: Shape = Shape {
    select: "SELECT t.id, t.project_id, t.user_id, t.name, t.description, t.selects, t.selected, t.cron, t.store, \
             t.is_incremental, t.full_every, t.may_be_attached, t.keep_last, t.keep_hourly, t.keep_daily, \
             t.keep_weekly, t.keep_monthly, t.keep_yearly, t.is_enabled, t.next_at, t.created_at, t.updated_at \
             FROM backup_sets t",
    count: "SELECT COUNT(*) FROM backup_sets t",
    columns: &[
        "id",
        "project_id",
        "name",
        "is_enabled",
        "next_at",
        "created_at",
        "updated_at",
    ],
};

/// Parameters: [`values`], [`SETS_MAX`]. A guard: the project has room for another one.
pub const INSERT: Sql = Sql {
    name: "backup_sets.insert",
    text: "INSERT INTO backup_sets (id, project_id, user_id, name, description, selects, selected, cron, store, \
           is_incremental, full_every, may_be_attached, keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, \
           keep_yearly, is_enabled, next_at, created_at, updated_at) \
           SELECT $1, $2, $3, $4, CAST($5 AS TEXT), $6, $7, CAST($8 AS TEXT), CAST($9 AS TEXT), CAST($10 AS BIGINT), \
           CAST($11 AS BIGINT), CAST($12 AS BIGINT), CAST($13 AS BIGINT), CAST($14 AS BIGINT), CAST($15 AS BIGINT), \
           CAST($16 AS BIGINT), CAST($17 AS BIGINT), CAST($18 AS BIGINT), CAST($19 AS BIGINT), CAST($20 AS TEXT), $21, \
           CAST($22 AS TEXT) \
           WHERE (SELECT COUNT(*) FROM backup_sets s WHERE s.project_id = $2) < CAST($23 AS BIGINT)",
};

/// Parameters: [`values`]. A guard: the set is there. Its id, owner and time of creation stay.
pub const UPDATE: Sql = Sql {
    name: "backup_sets.update",
    text: "UPDATE backup_sets SET name = $4, description = $5, selects = $6, selected = $7, cron = $8, store = $9, \
           is_incremental = $10, full_every = $11, may_be_attached = $12, keep_last = $13, keep_hourly = $14, \
           keep_daily = $15, keep_weekly = $16, keep_monthly = $17, keep_yearly = $18, is_enabled = $19, next_at = $20, \
           updated_at = $22 WHERE id = $1 AND project_id = $2 AND user_id = $3 AND created_at = $21",
};

/// Parameters: id, next_at as it was, next_at as it will be. A guard: of two that find a set due, one begins its run.
const ADVANCE: Sql = Sql {
    name: "backup_sets.advance",
    text: "UPDATE backup_sets SET next_at = $3 WHERE id = $1 AND next_at = $2 AND is_enabled = 1",
};

/// Parameters: id. Holds the set, so that on an engine with many writers two runs of it are decided one after the other.
const HOLD: Sql = Sql {
    name: "backup_sets.hold",
    text: "UPDATE backup_sets SET id = id WHERE id = $1",
};

const DELETE_VOLUMES: Sql = Sql {
    name: "backup_sets.delete_volumes",
    text: "DELETE FROM backup_run_volumes WHERE run_id IN (SELECT r.id FROM backup_runs r WHERE r.set_id = $1)",
};
const DELETE_RUNS: Sql = Sql {
    name: "backup_sets.delete_runs",
    text: "DELETE FROM backup_runs WHERE set_id = $1",
};
const DELETE: Sql = Sql {
    name: "backup_sets.delete",
    text: "DELETE FROM backup_sets WHERE id = $1",
};

pub(super) const ALL: &[Sql] = &[
    INSERT,
    UPDATE,
    ADVANCE,
    HOLD,
    DELETE_VOLUMES,
    DELETE_RUNS,
    DELETE,
];

/// The set, or `None`.
pub async fn get(store: &Store, id: BackupSetId) -> Result<Option<BackupSet>, StoreError> {
    let row = list::one(store, &SHAPE, "id", id.to_string()).await?;
    row.map(|row| read(&row)).transpose()
}

/// A page of sets.
pub async fn list(store: &Store, request: &ListRequest) -> Result<Vec<BackupSet>, ListError> {
    let rows = list::page(store, &SHAPE, request).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// At most `limit` enabled sets whose time has come at `now` and that have no run under way, the longest due first.
pub async fn due(store: &Store, now: &Time, limit: i64) -> Result<Vec<BackupSet>, ListError> {
    let request = ListRequest {
        filters: vec![
            Filter::equal("is_enabled", 1_i64),
            Filter {
                comparison: Comparison::LessOrEqual,
                ..Filter::equal("next_at", now.as_str())
            },
            Filter {
                comparison: Comparison::Meets(
                    "NOT EXISTS (SELECT 1 FROM backup_runs r WHERE r.set_id = t.id AND r.finished_at IS NULL)",
                ),
                ..Filter::equal("id", "")
            },
        ],
        sort: vec![("next_at", Direction::Ascending)],
        limit,
        ..ListRequest::default()
    };
    list(store, &request).await
}

/// Adds the move of a set from the time that is due to its next; the guard is named `set`.
pub fn advance(batch: &mut Batch, set: &BackupSet, next_at: Option<&Time>) {
    let values = vec![
        set.id.to_string().into(),
        set.next_at.as_ref().map(Time::as_str).into(),
        next_at.map(Time::as_str).into(),
    ];
    batch.guard("set", ADVANCE, values);
}

/// Adds that the set is there, and held until the batch is over; the guard is named `set`.
pub fn hold(batch: &mut Batch, id: BackupSetId) {
    batch.guard("set", HOLD, vec![id.to_string().into()]);
}

/// The removal of a set with what is known of its runs; the guard is named `set`. Its backups stay.
pub fn delete(id: BackupSetId) -> Batch {
    let mut batch = Batch::new();
    let id = || vec![id.to_string().into()];
    // First the set: who begins a run of it holds it, too.
    batch.guard("set", DELETE, id());
    batch.add(DELETE_VOLUMES, id());
    batch.add(DELETE_RUNS, id());
    batch.essential();
    batch
}

/// The parameters of [`UPDATE`], and the first ones of [`INSERT`].
pub fn values(set: &BackupSet) -> Vec<Value> {
    let (selects, selected) = selection_text(&set.selection);
    let kept = &set.retention;
    vec![
        set.id.to_string().into(),
        set.project_id.as_str().into(),
        set.user_id.as_str().into(),
        set.name.as_str().into(),
        set.description.clone().into(),
        selects.into(),
        selected.into(),
        set.cron.as_ref().map(ToString::to_string).into(),
        set.how.store.clone().into(),
        i64::from(set.how.is_incremental).into(),
        i64::from(set.how.full_every).into(),
        i64::from(set.how.may_be_attached).into(),
        i64::from(kept.last).into(),
        i64::from(kept.hourly).into(),
        i64::from(kept.daily).into(),
        i64::from(kept.weekly).into(),
        i64::from(kept.monthly).into(),
        i64::from(kept.yearly).into(),
        i64::from(set.is_enabled).into(),
        set.next_at.as_ref().map(Time::as_str).into(),
        set.created_at.as_str().into(),
        set.updated_at.as_ref().map(Time::as_str).into(),
    ]
}

/// What kind of selection, and what it says.
fn selection_text(selection: &Selection) -> (&'static str, String) {
    match selection {
        Selection::Volumes(ids) => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            ("volumes", ids.join(","))
        }
        Selection::Named(pattern) => ("named", pattern.clone()),
        Selection::OfType(name) => ("type", name.clone()),
        Selection::With { key, value } => {
            let pair = BTreeMap::from([(key.clone(), value.clone())]);
            ("metadata", map_text(&pair))
        }
        Selection::Project => ("project", String::new()),
    }
}

fn read_selection(selects: &str, selected: &str) -> Option<Selection> {
    match selects {
        "volumes" => {
            let ids = selected.split(',').filter(|id| !id.is_empty());
            Some(Selection::Volumes(
                ids.map(|id| id.parse().ok()).collect::<Option<_>>()?,
            ))
        }
        "named" => Some(Selection::Named(selected.to_owned())),
        "type" => Some(Selection::OfType(selected.to_owned())),
        "metadata" => {
            let (key, value) = read_map(selected)?.into_iter().next()?;
            Some(Selection::With { key, value })
        }
        "project" => Some(Selection::Project),
        _ => None,
    }
}

fn read(row: &Row) -> Result<BackupSet, StoreError> {
    let time = |text: &str| Time::from_stored(text.to_owned());
    let count =
        |column| u32::try_from(row.int(column)?).map_err(|_| StoreError::Unreadable { column });
    let selects = row.text(5)?;
    Ok(BackupSet {
        id: row.parsed(0, |text| text.parse().ok())?,
        project_id: row.text(1)?.to_owned(),
        user_id: row.text(2)?.to_owned(),
        name: row.text(3)?.to_owned(),
        description: row.optional_text(4)?.map(str::to_owned),
        selection: row.parsed(6, |selected| read_selection(selects, selected))?,
        cron: row.optional_parsed(7, |text| text.parse().ok())?,
        how: How {
            store: row.optional_text(8)?.map(str::to_owned),
            is_incremental: row.int(9)? != 0,
            full_every: count(10)?,
            may_be_attached: row.int(11)? != 0,
        },
        retention: Retention {
            last: count(12)?,
            hourly: count(13)?,
            daily: count(14)?,
            weekly: count(15)?,
            monthly: count(16)?,
            yearly: count(17)?,
        },
        is_enabled: row.int(18)? != 0,
        next_at: row.optional_text(19)?.map(time),
        created_at: time(row.text(20)?),
        updated_at: row.optional_text(21)?.map(time),
    })
}
