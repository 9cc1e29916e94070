//! The journal in the record: operations, their steps, and the objects they claim. Queue and journal are one table.

use super::Store;
use super::batch::{Batch, Query, Row, Sql, StoreError, Value};
use super::list::{self, ListError, ListRequest, Shape};
use super::statuses::Noun;
use crate::model::id::{OperationId, VolumeId};
use crate::model::operation::{Operation, Phase, Verb};
use crate::model::time::Time;

/// At most so many operations that are not over; further requests are refused until some have ended.
pub const LIVE_MAX: i64 = 10_000;

/// What of operations may be listed.
pub const SHAPE: Shape = Shape {
    select: "SELECT t.id, t.verb, t.queue, t.phase, t.project_id, t.request_id, t.object_id, t.input, t.steps_done, \
             t.bytes_done, t.bytes_total, t.cancel_requested, t.error, t.created_at, t.finished_at, t.deadline_at, \
             t.user_id, t.owner_id FROM operations t",
    count: "SELECT COUNT(*) FROM operations t",
    columns: &[
        "id",
        "verb",
        "queue",
        "phase",
        "project_id",
        "request_id",
        "object_id",
        "created_at",
        "finished_at",
    ],
};

/// After [`SHAPE`]'s select. Parameters: queue, created_at and id of the last one seen, limit.
const LIVE: &str = " WHERE t.queue = $1 AND t.phase IN ('queued', 'running', 'undoing') \
                    AND (t.created_at > $2 OR (t.created_at = $2 AND t.id > $3)) \
                    ORDER BY t.created_at, t.id LIMIT CAST($4 AS BIGINT)";

/// A guard named `room`: touches no row when too many operations live.
const INSERT: Sql = Sql {
    name: "operations.insert",
    text: "INSERT INTO operations (id, verb, queue, phase, project_id, request_id, object_id, input, steps_done, \
           bytes_done, bytes_total, cancel_requested, error, created_at, finished_at, deadline_at, \
           user_id, owner_id) SELECT $1, $2, $3, $4, $5, $6, $7, $8, CAST($9 AS BIGINT), 0, 0, 0, NULL, $10, CAST($11 AS TEXT), $12, \
           $14, $15 \
           WHERE (SELECT COUNT(*) FROM operations o WHERE o.phase IN ('queued', 'running', 'undoing')) \
           < CAST($13 AS BIGINT)",
};

const CLAIM: Sql = Sql {
    name: "operations.claim",
    text: "INSERT INTO claims (object_id, operation_id, mode) SELECT $1, $2, $3 WHERE NOT EXISTS \
           (SELECT 1 FROM claims c WHERE c.object_id = $1 AND (c.mode = 'exclusive' OR $3 = 'exclusive'))",
};

const LOCK_VOLUME: Sql = Sql {
    name: "operations.lock_volume",
    text: "UPDATE volumes SET id = id WHERE id = $1",
};
const LOCK_SNAPSHOT: Sql = Sql {
    name: "operations.lock_snapshot",
    text: "UPDATE snapshots SET id = id WHERE id = $1",
};
const LOCK_ATTACHMENT: Sql = Sql {
    name: "operations.lock_attachment",
    text: "UPDATE attachments SET id = id WHERE id = $1",
};
const LOCK_BACKUP: Sql = Sql {
    name: "operations.lock_backup",
    text: "UPDATE backups SET id = id WHERE id = $1",
};

const FREE_VOLUME: Sql = Sql {
    name: "operations.free_volume",
    text: "UPDATE volumes SET id = id WHERE id = $1 AND NOT EXISTS \
           (SELECT 1 FROM claims c WHERE c.object_id = $1 AND c.mode = 'exclusive')",
};

const FREE_SNAPSHOT: Sql = Sql {
    name: "operations.free_snapshot",
    text: "UPDATE snapshots SET id = id WHERE id = $1 AND NOT EXISTS \
           (SELECT 1 FROM claims c WHERE c.object_id = $1 AND c.mode = 'exclusive')",
};
const FREE_ATTACHMENT: Sql = Sql {
    name: "operations.free_attachment",
    text: "UPDATE attachments SET id = id WHERE id = $1 AND NOT EXISTS \
           (SELECT 1 FROM claims c WHERE c.object_id = $1 AND c.mode = 'exclusive')",
};
const FREE_BACKUP: Sql = Sql {
    name: "operations.free_backup",
    text: "UPDATE backups SET id = id WHERE id = $1 AND NOT EXISTS \
           (SELECT 1 FROM claims c WHERE c.object_id = $1 AND c.mode = 'exclusive')",
};

const RELEASE: Sql = Sql {
    name: "operations.release",
    text: "DELETE FROM claims WHERE operation_id = $1",
};

const HOLDER: Sql = Sql {
    name: "operations.holder",
    text: "SELECT o.id, o.verb FROM claims c JOIN operations o ON o.id = c.operation_id WHERE c.object_id = $1 \
           ORDER BY c.mode, o.created_at LIMIT 1",
};

const RECORD_STEP: Sql = Sql {
    name: "operations.record_step",
    text: "UPDATE operations SET steps_done = $2, phase = $3, queue = $4, bytes_done = 0, bytes_total = 0, \
           bytes_per_s = 0, progress_at = NULL \
           WHERE id = $1 AND phase IN ('queued', 'running', 'undoing')",
};

const INSERT_STEP: Sql = Sql {
    name: "operations.insert_step",
    text: "INSERT INTO operation_steps (operation_id, position, name, direction, started_at, finished_at) \
           VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (operation_id, position, direction) DO NOTHING",
};

const FINISH: Sql = Sql {
    name: "operations.finish",
    text: "UPDATE operations SET phase = $2, error = $3, finished_at = $4 \
           WHERE id = $1 AND phase IN ('queued', 'running', 'undoing')",
};

const UNDO: Sql = Sql {
    name: "operations.undo",
    text: "UPDATE operations SET phase = 'undoing', steps_done = $2, error = $3 \
           WHERE id = $1 AND phase IN ('queued', 'running')",
};

const PROGRESS: Sql = Sql {
    name: "operations.progress",
    text: "UPDATE operations SET bytes_done = $2, bytes_total = $3, bytes_per_s = $4, progress_at = $5 WHERE id = $1",
};

const PLACEMENT: Sql = Sql {
    name: "operations.placement",
    text: "SELECT explanation FROM placements WHERE volume_id = $1 ORDER BY created_at DESC LIMIT 1",
};

const PACE: Sql = Sql {
    name: "operations.pace",
    text: "SELECT t.bytes_per_s, t.progress_at, \
           (SELECT MAX(s.finished_at) FROM operation_steps s WHERE s.operation_id = t.id), \
           (SELECT COUNT(*) FROM operations o WHERE o.queue = t.queue AND o.phase IN ('queued', 'running', 'undoing') \
           AND (o.created_at < t.created_at OR (o.created_at = t.created_at AND o.id < t.id))) \
           FROM operations t WHERE t.id = $1",
};

/// Parameters: id. A guard: the operation was not over.
const REQUEST_CANCEL: Sql = Sql {
    name: "operations.request_cancel",
    text: "UPDATE operations SET cancel_requested = 1 WHERE id = $1 AND phase IN ('queued', 'running')",
};

const STEPS: Sql = Sql {
    name: "operations.steps",
    text: "SELECT position, name, direction, started_at, finished_at FROM operation_steps WHERE operation_id = $1 \
           ORDER BY started_at, position",
};

/// Parameters: volume_id, operation_id, explanation, created_at.
pub const INSERT_PLACEMENT: Sql = Sql {
    name: "operations.insert_placement",
    text: "INSERT INTO placements (volume_id, operation_id, explanation, created_at) VALUES ($1, $2, $3, $4) \
           ON CONFLICT (volume_id, operation_id) DO NOTHING",
};

pub(super) const ALL: &[Sql] = &[
    INSERT,
    CLAIM,
    LOCK_VOLUME,
    LOCK_SNAPSHOT,
    LOCK_ATTACHMENT,
    LOCK_BACKUP,
    FREE_VOLUME,
    FREE_SNAPSHOT,
    FREE_ATTACHMENT,
    FREE_BACKUP,
    RELEASE,
    HOLDER,
    RECORD_STEP,
    INSERT_STEP,
    FINISH,
    UNDO,
    PROGRESS,
    PLACEMENT,
    PACE,
    REQUEST_CANCEL,
    STEPS,
    INSERT_PLACEMENT,
];

/// How an operation holds an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Nobody else may hold it.
    Exclusive,
    /// Others may read it too.
    Shared,
}

/// A step as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRecord {
    /// Its place in the operation.
    pub position: i64,
    /// Its name.
    pub name: String,
    /// `do` or `undo`.
    pub direction: String,
    /// When it began.
    pub started_at: Time,
    /// When it was recorded.
    pub finished_at: Time,
}

/// The operation, or `None`.
pub async fn get(store: &Store, id: OperationId) -> Result<Option<Operation>, StoreError> {
    let row = list::one(store, &SHAPE, "id", id.to_string()).await?;
    row.map(|row| read(&row)).transpose()
}

/// A page of operations. One of another version, which this one cannot read, is left out: it must not hide the others.
pub async fn list(store: &Store, request: &ListRequest) -> Result<Vec<Operation>, ListError> {
    let rows = list::page(store, &SHAPE, request).await?;
    Ok(rows.iter().filter_map(|row| read(row).ok()).collect())
}

/// A part of a queue, oldest first.
#[derive(Debug, Default)]
pub struct Part {
    /// What this version can read.
    pub operations: Vec<Operation>,
    /// The ids of those that it cannot: rows of another version.
    pub unreadable: Vec<String>,
    /// Where the next part begins; `None` at the end of the queue.
    pub next: Option<Place>,
}

/// A place in a queue: after the operation of this time and id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    created_at: String,
    id: String,
}

/// At most `limit` operations of a queue that are not over, from `after` on. A row that this version cannot read
/// does not hide the others.
pub async fn live(
    store: &Store,
    queue: &str,
    after: &Place,
    limit: usize,
) -> Result<Part, StoreError> {
    let values = vec![
        queue.into(),
        after.created_at.as_str().into(),
        after.id.as_str().into(),
        number(limit),
    ];
    let text = format!("{}{LIVE}", SHAPE.select).into();
    let rows = store.rows(Query { text, values }).await?;
    let mut part = Part::default();
    for row in &rows {
        match read(row) {
            Ok(operation) => part.operations.push(operation),
            Err(_) => part.unreadable.push(row.text(0)?.to_owned()),
        }
    }
    if let Some(last) = rows.last().filter(|_| rows.len() == limit) {
        part.next = Some(Place {
            id: last.text(0)?.to_owned(),
            created_at: last.text(13)?.to_owned(),
        });
    }
    Ok(part)
}

/// The recorded steps of an operation, in the order they were done.
pub async fn steps(store: &Store, id: OperationId) -> Result<Vec<StepRecord>, StoreError> {
    let rows = store
        .rows(Query::of(STEPS, vec![id.to_string().into()]))
        .await?;
    let read = |row: &Row| {
        Ok(StepRecord {
            position: row.int(0)?,
            name: row.text(1)?.to_owned(),
            direction: row.text(2)?.to_owned(),
            started_at: Time::from_stored(row.text(3)?.to_owned()),
            finished_at: Time::from_stored(row.text(4)?.to_owned()),
        })
    };
    rows.iter().map(read).collect()
}

/// Who holds an object: the operation's id and verb.
pub async fn holder(
    store: &Store,
    object_id: &str,
) -> Result<Option<(String, String)>, StoreError> {
    let row = store.row(Query::of(HOLDER, vec![object_id.into()])).await?;
    row.map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())))
        .transpose()
}

/// Adds an operation; the guard is named `room`.
pub fn insert(batch: &mut Batch, operation: &Operation) {
    let values = vec![
        operation.id.to_string().into(),
        operation.verb.as_str().into(),
        operation.queue.as_str().into(),
        operation.phase.as_str().into(),
        operation.project_id.as_str().into(),
        operation.request_id.as_str().into(),
        operation.object_id.as_str().into(),
        operation.input.as_str().into(),
        number(operation.steps_done),
        operation.created_at.as_str().into(),
        operation.finished_at.as_ref().map(Time::as_str).into(),
        operation.deadline_at.as_str().into(),
        LIVE_MAX.into(),
        operation.user_id.as_str().into(),
        operation.owner_id.as_str().into(),
    ];
    batch.guard("room", INSERT, values);
}

/// Adds a claim of an object by an operation. The object's row is locked first, so that on an engine with many
/// writers two claims of one object are decided one after the other; the guard on the claim is named `claim`.
pub fn claim(batch: &mut Batch, operation: OperationId, noun: Noun, object_id: &str, mode: Mode) {
    let lock = match noun {
        Noun::Volume => LOCK_VOLUME,
        Noun::Snapshot => LOCK_SNAPSHOT,
        Noun::Attachment => LOCK_ATTACHMENT,
        Noun::Backup => LOCK_BACKUP,
    };
    let mode = match mode {
        Mode::Exclusive => "exclusive",
        Mode::Shared => "shared",
    };
    batch.guard(noun.as_str(), lock, vec![object_id.into()]);
    batch.guard(
        "claim",
        CLAIM,
        vec![object_id.into(), operation.to_string().into(), mode.into()],
    );
}

/// Adds the guard, named `claim`, that no operation holds the object exclusively; for changes that need no step.
///
/// The row is locked first: on PostgreSQL a statement that had to wait for a lock still looks at other tables as they
/// were when it began, so only the next one sees the claim of whom it waited for.
pub fn is_free(batch: &mut Batch, noun: Noun, id: &str) {
    let (lock, free) = match noun {
        Noun::Volume => (LOCK_VOLUME, FREE_VOLUME),
        Noun::Snapshot => (LOCK_SNAPSHOT, FREE_SNAPSHOT),
        Noun::Attachment => (LOCK_ATTACHMENT, FREE_ATTACHMENT),
        Noun::Backup => (LOCK_BACKUP, FREE_BACKUP),
    };
    batch.guard(noun.as_str(), lock, vec![id.into()]);
    batch.guard("claim", free, vec![id.into()]);
}

/// Adds the record of a step done (or undone), and where the operation goes on.
pub fn record_step(batch: &mut Batch, operation: &Operation, step: &StepRecord) {
    let id = operation.id.to_string();
    let values = vec![
        id.as_str().into(),
        number(operation.steps_done),
        operation.phase.as_str().into(),
        operation.queue.as_str().into(),
    ];
    batch.guard("operation", RECORD_STEP, values);
    let values = vec![
        id.into(),
        step.position.into(),
        step.name.as_str().into(),
        step.direction.as_str().into(),
        step.started_at.as_str().into(),
        step.finished_at.as_str().into(),
    ];
    batch.add(INSERT_STEP, values);
}

/// Adds the end of an operation and the release of everything it held.
pub fn finish(batch: &mut Batch, id: OperationId, phase: Phase, error: Option<&str>) {
    let id = id.to_string();
    let values = vec![
        id.as_str().into(),
        phase.as_str().into(),
        error.into(),
        Time::now().as_str().into(),
    ];
    batch.guard("operation", FINISH, values);
    batch.add(RELEASE, vec![id.into()]);
}

/// The turn from doing to undoing: `steps` are to be undone, from the last to the first.
pub fn turn(id: OperationId, steps: usize, error: &str) -> Batch {
    let mut batch = Batch::new();
    batch.guard(
        "operation",
        UNDO,
        vec![id.to_string().into(), number(steps), error.into()],
    );
    batch
}

/// How far a step is, and how fast.
pub fn progress(id: OperationId, bytes_done: i64, bytes_total: i64, bytes_per_s: i64) -> Batch {
    let mut batch = Batch::new();
    let values = vec![
        id.to_string().into(),
        bytes_done.into(),
        bytes_total.into(),
        bytes_per_s.into(),
        Time::now().as_str().into(),
    ];
    batch.add(PROGRESS, values);
    batch
}

/// The newest explanation of where a volume was placed; JSON.
pub async fn placement(store: &Store, volume: VolumeId) -> Result<Option<String>, StoreError> {
    let row = store
        .row(Query::of(PLACEMENT, vec![volume.to_string().into()]))
        .await?;
    row.map(|row| row.text(0).map(str::to_owned)).transpose()
}

/// How an operation that is not over gets on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pace {
    /// Bytes a second that the present step moves; 0 while unknown.
    pub bytes_per_s: i64,
    /// When it last moved any.
    pub progress_at: Option<Time>,
    /// When the last step was recorded.
    pub step_at: Option<Time>,
    /// Operations of the same queue that were begun before it and are not over.
    pub ahead: i64,
}

/// How an operation gets on; `None` if there is no such.
pub async fn pace(store: &Store, id: OperationId) -> Result<Option<Pace>, StoreError> {
    let row = store
        .row(Query::of(PACE, vec![id.to_string().into()]))
        .await?;
    let time = |row: &Row, column| -> Result<Option<Time>, StoreError> {
        let text = row.optional_text(column)?;
        Ok(text.map(|text| Time::from_stored(text.to_owned())))
    };
    row.map(|row| {
        Ok(Pace {
            bytes_per_s: row.int(0)?,
            progress_at: time(&row, 1)?,
            step_at: time(&row, 2)?,
            ahead: row.int(3)?,
        })
    })
    .transpose()
}

/// The wish that an operation should stop; the guard `operation` fails when it is over or being undone.
pub fn request_cancel(id: OperationId) -> Batch {
    let mut batch = Batch::new();
    batch.guard("operation", REQUEST_CANCEL, vec![id.to_string().into()]);
    batch
}

fn number(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn read(row: &Row) -> Result<Operation, StoreError> {
    Ok(Operation {
        id: row.parsed(0, |text| text.parse().ok())?,
        verb: row.parsed(1, Verb::parse)?,
        queue: row.text(2)?.to_owned(),
        phase: row.parsed(3, Phase::parse)?,
        project_id: row.text(4)?.to_owned(),
        request_id: row.text(5)?.to_owned(),
        object_id: row.text(6)?.to_owned(),
        input: row.text(7)?.to_owned(),
        steps_done: usize::try_from(row.int(8)?)
            .map_err(|_| StoreError::Unreadable { column: 8 })?,
        bytes_done: row.int(9)?,
        bytes_total: row.int(10)?,
        cancel_requested: row.int(11)? != 0,
        error: row.optional_text(12)?.map(str::to_owned),
        created_at: Time::from_stored(row.text(13)?.to_owned()),
        finished_at: row
            .optional_text(14)?
            .map(|text| Time::from_stored(text.to_owned())),
        deadline_at: Time::from_stored(row.text(15)?.to_owned()),
        user_id: row.text(16)?.to_owned(),
        owner_id: row.text(17)?.to_owned(),
    })
}
