//! The runs of backup sets in the record, and what each does about its volumes.

use super::Store;
use super::batch::{Batch, Query, Row, Sql, StoreError, Value};
use super::list::{self, Comparison, Direction, Filter, ListError, ListRequest, Shape};
use crate::model::backup_run::{BackupRun, Cause, RunState, RunVolume};
use crate::model::id::{BackupId, BackupRunId, BackupSetId, VolumeId};
use crate::model::status::BackupStatus;
use crate::model::time::Time;

/// Runs that are remembered of one set, the newest.
pub const RUNS_MAX: i64 = 200;

/// What of runs may be listed.
pub const SHAPE: Shape = Shape {
    select: "SELECT t.id, t.set_id, t.project_id, t.cause, t.due_at, t.created_at, t.finished_at, t.problem, t.removed \
             FROM backup_runs t",
    count: "SELECT COUNT(*) FROM backup_runs t",
    columns: &[
        "id",
        "set_id",
        "project_id",
        "due_at",
        "created_at",
        "finished_at",
    ],
};

/// Parameters: id, set_id, project_id, cause, due_at, created_at, problem. A guard: no other run of the set is under way.
const INSERT: Sql = Sql {
    name: "backup_runs.insert",
    text: "INSERT INTO backup_runs (id, set_id, project_id, cause, due_at, created_at, problem, removed) \
           SELECT $1, $2, $3, $4, $5, $6, CAST($7 AS TEXT), 0 WHERE NOT EXISTS \
           (SELECT 1 FROM backup_runs r WHERE r.set_id = $2 AND r.finished_at IS NULL)",
};

const ADD_VOLUME: Sql = Sql {
    name: "backup_runs.add_volume",
    text: "INSERT INTO backup_run_volumes (run_id, volume_id, position, state, tries) VALUES ($1, $2, $3, 'waiting', 0)",
};

/// Parameters: run, volume, backup. A guard of the backup's begin: the run still waits for it, so that it is made once.
pub const TAKE: Sql = Sql {
    name: "backup_runs.take",
    text: "UPDATE backup_run_volumes SET state = 'begun', backup_id = $3, why = NULL \
           WHERE run_id = $1 AND volume_id = $2 AND state = 'waiting'",
};

/// Parameters: run, volume, when it is tried again, why.
const TRIED: Sql = Sql {
    name: "backup_runs.tried",
    text: "UPDATE backup_run_volumes SET tries = tries + 1, again_at = $3, why = $4 \
           WHERE run_id = $1 AND volume_id = $2 AND state = 'waiting'",
};

/// Parameters: run, volume, state before, state, why. A guard: of two that see the end, one records it.
const END: Sql = Sql {
    name: "backup_runs.end",
    text: "UPDATE backup_run_volumes SET state = $4, why = $5 WHERE run_id = $1 AND volume_id = $2 AND state = $3",
};

/// Parameters: run, now, removed, problem. A guard: it is not finished yet.
const FINISH: Sql = Sql {
    name: "backup_runs.finish",
    text: "UPDATE backup_runs SET finished_at = $2, removed = $3, problem = COALESCE(problem, $4) WHERE id = $1 AND finished_at IS NULL",
};

/// Parameters: set, how many are remembered.
const FORGET_VOLUMES: Sql = Sql {
    name: "backup_runs.forget_volumes",
    text: "DELETE FROM backup_run_volumes WHERE run_id IN (SELECT r.id FROM backup_runs r WHERE r.set_id = $1 \
           ORDER BY r.created_at DESC, r.id DESC LIMIT 1000 OFFSET CAST($2 AS BIGINT))",
};
const FORGET: Sql = Sql {
    name: "backup_runs.forget",
    text: "DELETE FROM backup_runs WHERE id IN (SELECT r.id FROM backup_runs r WHERE r.set_id = $1 \
           ORDER BY r.created_at DESC, r.id DESC LIMIT 1000 OFFSET CAST($2 AS BIGINT))",
};

/// The volumes whose backups are being made, with where they lie and what those backups are now. Parameters: limit.
const BEGUN: Sql = Sql {
    name: "backup_runs.begun",
    text: "SELECT v.run_id, v.volume_id, v.state, v.backup_id, v.tries, v.again_at, v.why, o.host, b.status, \
           b.fail_reason FROM backup_run_volumes v LEFT JOIN volumes o ON o.id = v.volume_id \
           LEFT JOIN backups b ON b.id = v.backup_id WHERE v.state = 'begun' ORDER BY v.run_id, v.position \
           LIMIT CAST($1 AS BIGINT)",
};

/// The volumes that wait, with where they lie; those that come first in their runs first, so that no long run keeps a
/// short one waiting. Parameters: limit, now.
const WAITING: Sql = Sql {
    name: "backup_runs.waiting",
    text: "SELECT v.run_id, v.volume_id, v.state, v.backup_id, v.tries, v.again_at, v.why, o.host \
           FROM backup_run_volumes v JOIN backup_runs r ON r.id = v.run_id \
           LEFT JOIN volumes o ON o.id = v.volume_id WHERE v.state = 'waiting' \
           AND (v.again_at IS NULL OR v.again_at <= $2) ORDER BY v.position, r.created_at, v.run_id \
           LIMIT CAST($1 AS BIGINT)",
};

/// Parameters: run.
const VOLUMES: Sql = Sql {
    name: "backup_runs.volumes",
    text: "SELECT v.run_id, v.volume_id, v.state, v.backup_id, v.tries, v.again_at, v.why \
           FROM backup_run_volumes v WHERE v.run_id = $1 ORDER BY v.position",
};

/// Parameters: run.
const COUNTS: Sql = Sql {
    name: "backup_runs.counts",
    text: "SELECT v.state, COUNT(*) FROM backup_run_volumes v WHERE v.run_id = $1 GROUP BY v.state",
};

pub(super) const ALL: &[Sql] = &[
    INSERT,
    ADD_VOLUME,
    TAKE,
    TRIED,
    END,
    FINISH,
    FORGET_VOLUMES,
    FORGET,
    BEGUN,
    WAITING,
    VOLUMES,
    COUNTS,
];

/// The run, or `None`.
pub async fn get(store: &Store, id: BackupRunId) -> Result<Option<BackupRun>, StoreError> {
    let row = list::one(store, &SHAPE, "id", id.to_string()).await?;
    row.map(|row| read(&row)).transpose()
}

/// A page of runs.
pub async fn list(store: &Store, request: &ListRequest) -> Result<Vec<BackupRun>, ListError> {
    let rows = list::page(store, &SHAPE, request).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// The newest run of a set, if it ever ran.
pub async fn newest(store: &Store, set: BackupSetId) -> Result<Option<BackupRun>, ListError> {
    let request = ListRequest {
        filters: vec![Filter::equal("set_id", set.to_string())],
        sort: vec![("created_at", Direction::Descending)],
        limit: 1,
        ..ListRequest::default()
    };
    Ok(list(store, &request).await?.into_iter().next())
}

/// At most `limit` runs that are under way and have nothing left to begin or to wait for, the oldest first.
pub async fn to_finish(store: &Store, limit: i64) -> Result<Vec<BackupRun>, ListError> {
    let request = ListRequest {
        filters: vec![
            Filter::equal("finished_at", Value::Null),
            Filter {
                comparison: Comparison::Meets(
                    "NOT EXISTS (SELECT 1 FROM backup_run_volumes v WHERE v.run_id = t.id \
                     AND v.state IN ('waiting', 'begun'))",
                ),
                ..Filter::equal("id", "")
            },
        ],
        sort: vec![("created_at", Direction::Ascending)],
        limit,
        ..ListRequest::default()
    };
    list(store, &request).await
}

/// Adds a run over these volumes; the guard that no other one of the set is under way is named `idle`.
pub fn insert(batch: &mut Batch, run: &BackupRun, volumes: &[VolumeId]) {
    let id = run.id.to_string();
    let values = vec![
        id.as_str().into(),
        run.set_id.to_string().into(),
        run.project_id.as_str().into(),
        run.cause.as_str().into(),
        run.due_at.as_str().into(),
        run.begun_at.as_str().into(),
        run.problem.clone().into(),
    ];
    batch.guard("idle", INSERT, values);
    for (position, volume) in (0..).zip(volumes) {
        let position: i64 = position;
        let values = vec![
            id.as_str().into(),
            volume.to_string().into(),
            position.into(),
        ];
        batch.add(ADD_VOLUME, values);
    }
}

/// The parameters of [`TAKE`].
pub fn take_values(run: BackupRunId, volume: VolumeId, backup: BackupId) -> Vec<Value> {
    vec![
        run.to_string().into(),
        volume.to_string().into(),
        backup.to_string().into(),
    ]
}

/// That it was tried in vain to begin a volume's backup, and when it is tried again.
pub fn tried(volume: &RunVolume, again_at: &Time, why: &str) -> Batch {
    let mut batch = Batch::new();
    let values = vec![
        volume.run_id.to_string().into(),
        volume.volume_id.to_string().into(),
        again_at.as_str().into(),
        why.into(),
    ];
    batch.add(TRIED, values);
    batch
}

/// Adds what became of a volume; the guard that this is not recorded yet is named `volume`.
pub fn end(batch: &mut Batch, volume: &RunVolume, state: RunState, why: Option<&str>) {
    let values = vec![
        volume.run_id.to_string().into(),
        volume.volume_id.to_string().into(),
        volume.state.as_str().into(),
        state.as_str().into(),
        why.into(),
    ];
    batch.guard("volume", END, values);
}

/// The end of a run, after which the oldest runs of the set are forgotten; the guard is named `run`.
pub fn finish(run: &BackupRun, now: &Time, removed: i64, problem: Option<&str>) -> Batch {
    let mut batch = Batch::new();
    let values = vec![
        run.id.to_string().into(),
        now.as_str().into(),
        removed.into(),
        problem.into(),
    ];
    batch.guard("run", FINISH, values);
    let old = || vec![run.set_id.to_string().into(), RUNS_MAX.into()];
    batch.add(FORGET_VOLUMES, old());
    batch.add(FORGET, old());
    batch
}

/// What became of a backup that a run began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The volume of the run.
    pub volume: RunVolume,
    /// Where the volume lies; `None` when it is gone.
    pub host: Option<String>,
    /// The backup's status; `None` when it is gone.
    pub status: Option<BackupStatus>,
    /// Why it went wrong, if it did.
    pub fail_reason: Option<String>,
}

/// At most `limit` volumes whose backups were begun, of all runs.
pub async fn begun(store: &Store, limit: i64) -> Result<Vec<Begun>, StoreError> {
    let rows = store.rows(Query::of(BEGUN, vec![limit.into()])).await?;
    let read = |row: &Row| {
        Ok(Begun {
            volume: read_volume(row)?,
            host: row.optional_text(7)?.map(str::to_owned),
            status: row.optional_parsed(8, BackupStatus::parse)?,
            fail_reason: row.optional_text(9)?.map(str::to_owned),
        })
    };
    rows.iter().map(read).collect()
}

/// At most `limit` volumes that wait and may be tried at `now`, of all runs, each with where it lies.
pub async fn waiting(
    store: &Store,
    limit: i64,
    now: &Time,
) -> Result<Vec<(RunVolume, Option<String>)>, StoreError> {
    let values = vec![limit.into(), now.as_str().into()];
    let rows = store.rows(Query::of(WAITING, values)).await?;
    let read = |row: &Row| Ok((read_volume(row)?, row.optional_text(7)?.map(str::to_owned)));
    rows.iter().map(read).collect()
}

/// Every volume of a run, in its order.
pub async fn volumes(store: &Store, run: BackupRunId) -> Result<Vec<RunVolume>, StoreError> {
    let rows = store
        .rows(Query::of(VOLUMES, vec![run.to_string().into()]))
        .await?;
    rows.iter().map(read_volume).collect()
}

/// How many volumes of a run are in each state.
pub async fn counts(store: &Store, run: BackupRunId) -> Result<Vec<(RunState, i64)>, StoreError> {
    let rows = store
        .rows(Query::of(COUNTS, vec![run.to_string().into()]))
        .await?;
    rows.iter()
        .map(|row| Ok((row.parsed(0, RunState::parse)?, row.int(1)?)))
        .collect()
}

fn time(text: &str) -> Time {
    Time::from_stored(text.to_owned())
}

fn read(row: &Row) -> Result<BackupRun, StoreError> {
    Ok(BackupRun {
        id: row.parsed(0, |text| text.parse().ok())?,
        set_id: row.parsed(1, |text| text.parse().ok())?,
        project_id: row.text(2)?.to_owned(),
        cause: row.parsed(3, Cause::parse)?,
        due_at: time(row.text(4)?),
        begun_at: time(row.text(5)?),
        finished_at: row.optional_text(6)?.map(time),
        problem: row.optional_text(7)?.map(str::to_owned),
        removed: row.int(8)?,
    })
}

fn read_volume(row: &Row) -> Result<RunVolume, StoreError> {
    Ok(RunVolume {
        run_id: row.parsed(0, |text| text.parse().ok())?,
        volume_id: row.parsed(1, |text| text.parse().ok())?,
        state: row.parsed(2, RunState::parse)?,
        backup_id: row.optional_parsed(3, |text| text.parse().ok())?,
        tries: row.int(4)?,
        again_at: row.optional_text(5)?.map(time),
        why: row.optional_text(6)?.map(str::to_owned),
    })
}
