//! Services in the record: each process says every few seconds which it runs; the administrator decides about them.

use super::Store;
use super::batch::{Query, Row, Sql, StoreError, Value};
use crate::model::backup::StoreKind;
use crate::model::id::ServiceId;
use crate::model::service::{Binary, Service};
use crate::model::time::Time;
use std::time::Duration;

/// A service that was not heard for so long is down (Cinder's `service_down_time`).
pub const DOWN_AFTER: Duration = Duration::from_secs(60);

const LIST: Sql = Sql {
    name: "services.list",
    text: "SELECT v.id, v.binary_name, v.host, v.availability_zone, v.disabled, v.disabled_reason, v.frozen, \
           v.created_at, v.heard_at, v.changed_at, s.kind FROM services v LEFT JOIN backup_stores s \
           ON s.host = v.host AND v.binary_name = 'cinder-backup' ORDER BY v.binary_name, v.host",
};

/// Parameters: a fresh id, binary, host, availability_zone, heard_at. The first beat makes the row; what the
/// administrator decided stays through all others.
pub const BEAT: Sql = Sql {
    name: "services.beat",
    text: "INSERT INTO services (id, binary_name, host, availability_zone, disabled, frozen, created_at, heard_at) \
           VALUES ($1, $2, $3, $4, 0, 0, $5, $5) ON CONFLICT (binary_name, host) DO UPDATE SET \
           availability_zone = excluded.availability_zone, heard_at = excluded.heard_at",
};

/// Parameters: binary, host, disabled, disabled_reason, changed_at. A guard: there is such a service.
pub const SET_DISABLED: Sql = Sql {
    name: "services.set_disabled",
    text: "UPDATE services SET disabled = $3, disabled_reason = $4, changed_at = $5 \
           WHERE binary_name = $1 AND host = $2",
};

/// Parameters: host, disabled, changed_at. A guard: a service has that host.
pub const SET_HOST_DISABLED: Sql = Sql {
    name: "services.set_host_disabled",
    text: "UPDATE services SET disabled = $2, disabled_reason = NULL, changed_at = $3 WHERE host = $1",
};

/// Parameters: host, frozen, changed_at. A guard: there is such a volume service.
pub const SET_FROZEN: Sql = Sql {
    name: "services.set_frozen",
    text: "UPDATE services SET frozen = $2, changed_at = $3 WHERE binary_name = 'cinder-volume' AND host = $1",
};

/// Parameters: volume id, the volume service's host. A guard: what the service has may be changed.
pub const IS_THAWED: Sql = Sql {
    name: "services.is_thawed",
    text: "UPDATE volumes SET id = id WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM services s \
           WHERE s.binary_name = 'cinder-volume' AND s.host = $2 AND s.frozen = 1)",
};

/// Parameters: the first and the first other address that can begin with `host@backend#`.
const USED_BY_PROJECT: Sql = Sql {
    name: "services.used_by_project",
    text: "SELECT u.project_id, CAST(SUM(u.volumes) AS BIGINT), CAST(SUM(u.volume_gib) AS BIGINT), \
           CAST(SUM(u.snapshots) AS BIGINT), CAST(SUM(u.snapshot_gib) AS BIGINT) FROM \
           (SELECT v.project_id, 1 AS volumes, v.size_gib AS volume_gib, 0 AS snapshots, 0 AS snapshot_gib \
           FROM volumes v WHERE v.host >= $1 AND v.host < $2 \
           UNION ALL SELECT s.project_id, 0, 0, 1, s.size_gib FROM snapshots s WHERE s.host >= $1 AND s.host < $2) u \
           GROUP BY u.project_id ORDER BY u.project_id",
};

pub(super) const ALL: &[Sql] = &[
    LIST,
    BEAT,
    SET_DISABLED,
    SET_HOST_DISABLED,
    SET_FROZEN,
    IS_THAWED,
    USED_BY_PROJECT,
];

/// What one project has in a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// The project.
    pub project_id: String,
    /// Its volumes there.
    pub volumes: i64,
    /// Their sizes together.
    pub volume_gib: i64,
    /// Its snapshots there.
    pub snapshots: i64,
    /// Their sizes together.
    pub snapshot_gib: i64,
}

/// Every service that was ever heard, by binary and host.
pub async fn list(store: &Store) -> Result<Vec<Service>, StoreError> {
    read_all(&store.rows(query()).await?)
}

/// The read behind [`list`], for those who want another noun from the same view.
pub(super) fn query() -> Query {
    Query::of(LIST, Vec::new())
}

/// The services in the answer to [`query`].
pub(super) fn read_all(rows: &[Row]) -> Result<Vec<Service>, StoreError> {
    let now = Time::now();
    rows.iter().map(|row| read(row, &now)).collect()
}

/// What each project has in the backend `host@backend`.
pub async fn used_by_project(store: &Store, host: &str) -> Result<Vec<Used>, StoreError> {
    // `$` is the character after `#`, and texts compare bytewise: the range is "begins with `host@backend#`".
    let values = vec![format!("{host}#").into(), format!("{host}$").into()];
    let rows = store.rows(Query::of(USED_BY_PROJECT, values)).await?;
    rows.iter().map(read_used).collect()
}

/// The parameters of [`BEAT`].
pub fn beat_values(binary: Binary, host: &str, availability_zone: &str) -> Vec<Value> {
    vec![
        ServiceId::random().to_string().into(),
        binary.as_str().into(),
        host.into(),
        availability_zone.into(),
        Time::now().as_str().into(),
    ]
}

fn read(row: &Row, now: &Time) -> Result<Service, StoreError> {
    let heard_at = Time::from_stored(row.text(8)?.to_owned());
    Ok(Service {
        id: row.parsed(0, |text| text.parse().ok())?,
        binary: row.parsed(1, Binary::parse)?,
        host: row.text(2)?.to_owned(),
        availability_zone: row.text(3)?.to_owned(),
        is_disabled: row.int(4)? != 0,
        disabled_reason: row.optional_text(5)?.map(str::to_owned),
        is_frozen: row.int(6)? != 0,
        created_at: Time::from_stored(row.text(7)?.to_owned()),
        is_up: now.seconds_since(&heard_at) <= DOWN_AFTER.as_secs_f64(),
        heard_at,
        changed_at: row
            .optional_text(9)?
            .map(|text| Time::from_stored(text.to_owned())),
        store_kind: row.optional_text(10)?.and_then(StoreKind::parse),
    })
}

fn read_used(row: &Row) -> Result<Used, StoreError> {
    Ok(Used {
        project_id: row.text(0)?.to_owned(),
        volumes: row.int(1)?,
        volume_gib: row.int(2)?,
        snapshots: row.int(3)?,
        snapshot_gib: row.int(4)?,
    })
}
