//! Quality of service specs in the record; which types have them stands with the types.

use super::Store;
use super::batch::{Query, Row, Sql, StoreError, Value};
use super::json::{map_text, read_map};
use super::list::{self, ListError, ListRequest, Shape};
use crate::model::id::{QosSpecsId, VolumeId};
use crate::model::qos::{Consumer, FrontEnd, QosSpecs};
use crate::model::size::Gib;
use crate::model::time::Time;

/// What of QoS specs may be listed.
pub const SHAPE: Shape = Shape {
    select: "SELECT t.id, t.name, t.consumer, t.specs, t.created_at, t.updated_at FROM qos_specs t",
    count: "SELECT COUNT(*) FROM qos_specs t",
    columns: &["id", "name", "consumer", "created_at", "updated_at"],
};

/// Parameters: [`insert_values`].
pub const INSERT: Sql = Sql {
    name: "qos_specs.insert",
    text: "INSERT INTO qos_specs (id, name, consumer, specs, created_at) VALUES ($1, $2, $3, $4, $5)",
};

/// Parameters: id, consumer and specs as looked at, consumer and specs as they are to be, updated_at. A guard: nobody
/// changed them meanwhile.
pub const UPDATE: Sql = Sql {
    name: "qos_specs.update",
    text: "UPDATE qos_specs SET consumer = $4, specs = $5, updated_at = $6 \
           WHERE id = $1 AND consumer = $2 AND specs = $3",
};

/// Parameters: id. A guard: they are there; who associates them meanwhile waits.
pub const LOCK: Sql = Sql {
    name: "qos_specs.lock",
    text: "UPDATE qos_specs SET id = id WHERE id = $1",
};

/// Parameters: id. A guard, after [`LOCK`]: no type has them.
pub const IS_UNUSED: Sql = Sql {
    name: "qos_specs.is_unused",
    text: "UPDATE qos_specs SET id = id WHERE id = $1 \
           AND NOT EXISTS (SELECT 1 FROM volume_types y WHERE y.qos_specs_id = qos_specs.id)",
};

/// Parameters: id.
pub const DELETE: Sql = Sql {
    name: "qos_specs.delete",
    text: "DELETE FROM qos_specs WHERE id = $1",
};

const OF_VOLUME: Sql = Sql {
    name: "qos_specs.of_volume",
    text: "SELECT q.id, q.name, q.consumer, q.specs, q.created_at, q.updated_at, v.size_gib FROM volumes v \
           JOIN volume_types y ON y.id = v.volume_type_id JOIN qos_specs q ON q.id = y.qos_specs_id WHERE v.id = $1",
};

pub(super) const ALL: &[Sql] = &[INSERT, UPDATE, LOCK, IS_UNUSED, DELETE, OF_VOLUME];

/// The specs, or `None`.
pub async fn get(store: &Store, id: QosSpecsId) -> Result<Option<QosSpecs>, StoreError> {
    let row = list::one(store, &SHAPE, "id", id.to_string()).await?;
    row.map(|row| read(&row)).transpose()
}

/// A page of specs.
pub async fn list(store: &Store, request: &ListRequest) -> Result<Vec<QosSpecs>, ListError> {
    let rows = list::page(store, &SHAPE, request).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// What a host that attaches a volume is to keep, by the volume's type and size.
pub async fn front_end(store: &Store, id: VolumeId) -> Result<Option<FrontEnd>, StoreError> {
    let row = store
        .row(Query::of(OF_VOLUME, vec![id.to_string().into()]))
        .await?;
    let Some(row) = row else { return Ok(None) };
    let size = Gib::new(row.int(6)?).ok_or(StoreError::Unreadable { column: 6 })?;
    Ok(read(&row)?.front_end(size))
}

/// The parameters of [`INSERT`].
pub fn insert_values(specs: &QosSpecs) -> Vec<Value> {
    vec![
        specs.id.to_string().into(),
        specs.name.as_str().into(),
        specs.consumer.as_str().into(),
        map_text(&specs.specs).into(),
        specs.created_at.as_str().into(),
    ]
}

fn read(row: &Row) -> Result<QosSpecs, StoreError> {
    Ok(QosSpecs {
        id: row.parsed(0, |text| text.parse().ok())?,
        name: row.text(1)?.to_owned(),
        consumer: row.parsed(2, Consumer::parse)?,
        specs: row.parsed(3, read_map)?,
        created_at: Time::from_stored(row.text(4)?.to_owned()),
        updated_at: row
            .optional_text(5)?
            .map(|text| Time::from_stored(text.to_owned())),
    })
}
