//! Volume types in the record.

use super::Store;
use super::batch::{Row, Sql, StoreError, Value};
use super::json::{map_text, read_map};
use super::list::{self, ListError, ListRequest, Shape};
use crate::model::id::VolumeTypeId;
use crate::model::time::Time;
use crate::model::volume_type::VolumeType;

/// What of volume types may be listed.
pub const SHAPE: Shape = Shape {
    select: "SELECT t.id, t.name, t.description, t.is_public, t.extra_specs, t.created_at, t.updated_at \
             FROM volume_types t",
    count: "SELECT COUNT(*) FROM volume_types t",
    columns: &[
        "id",
        "name",
        "description",
        "is_public",
        "extra_specs",
        "created_at",
        "updated_at",
    ],
};

/// Parameters: [`insert_values`].
pub const INSERT: Sql = Sql {
    name: "volume_types.insert",
    text: "INSERT INTO volume_types (id, name, description, is_public, extra_specs, created_at) \
           VALUES ($1, $2, $3, $4, $5, $6)",
};

/// Parameters: [`insert_values`]. Does nothing when the name is taken; for the type that always exists.
pub const INSERT_IF_ABSENT: Sql = Sql {
    name: "volume_types.insert_if_absent",
    text: "INSERT INTO volume_types (id, name, description, is_public, extra_specs, created_at) \
           VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING",
};

/// Parameters: id, name, description, is_public, extra_specs, updated_at.
pub const UPDATE: Sql = Sql {
    name: "volume_types.update",
    text: "UPDATE volume_types SET name = $2, description = $3, is_public = $4, extra_specs = $5, updated_at = $6 \
           WHERE id = $1",
};

/// Parameters: id, extra specs as looked at, extra specs as they are to be, updated_at. A guard: nobody changed them.
pub const SET_EXTRA_SPECS: Sql = Sql {
    name: "volume_types.set_extra_specs",
    text: "UPDATE volume_types SET extra_specs = $3, updated_at = $4 WHERE id = $1 AND extra_specs = $2",
};

/// Parameters: id. A guard: no volume has the type.
pub const IS_UNUSED: Sql = Sql {
    name: "volume_types.is_unused",
    text: "UPDATE volume_types SET id = id WHERE id = $1 \
           AND NOT EXISTS (SELECT 1 FROM volumes v WHERE v.volume_type_id = volume_types.id) \
           AND NOT EXISTS (SELECT 1 FROM retypes r WHERE r.volume_type_id = volume_types.id)",
};

/// Parameters: id. A guard: deletes only a type that no volume has.
pub const DELETE_UNUSED: Sql = Sql {
    name: "volume_types.delete_unused",
    text: "DELETE FROM volume_types WHERE id = $1 \
           AND NOT EXISTS (SELECT 1 FROM volumes v WHERE v.volume_type_id = volume_types.id) \
           AND NOT EXISTS (SELECT 1 FROM retypes r WHERE r.volume_type_id = volume_types.id)",
};

pub(super) const ALL: &[Sql] = &[
    INSERT,
    INSERT_IF_ABSENT,
    UPDATE,
    SET_EXTRA_SPECS,
    IS_UNUSED,
    DELETE_UNUSED,
];

/// The type, or `None`.
pub async fn get(store: &Store, id: VolumeTypeId) -> Result<Option<VolumeType>, StoreError> {
    let row = list::one(store, &SHAPE, "id", id.to_string()).await?;
    row.map(|row| read(&row)).transpose()
}

/// The type by its unique name, or `None`.
pub async fn get_by_name(store: &Store, name: &str) -> Result<Option<VolumeType>, StoreError> {
    let row = list::one(store, &SHAPE, "name", name).await?;
    row.map(|row| read(&row)).transpose()
}

/// The type by id, or by name when the word is no id that exists: as Cinder resolves `volume_type`.
pub async fn find(store: &Store, word: &str) -> Result<Option<VolumeType>, StoreError> {
    if let Ok(id) = word.parse::<VolumeTypeId>()
        && let Some(found) = get(store, id).await?
    {
        return Ok(Some(found));
    }
    get_by_name(store, word).await
}

/// A page of types.
pub async fn list(store: &Store, request: &ListRequest) -> Result<Vec<VolumeType>, ListError> {
    let rows = list::page(store, &SHAPE, request).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// The parameters of [`INSERT`].
pub fn insert_values(volume_type: &VolumeType) -> Vec<Value> {
    vec![
        volume_type.id.to_string().into(),
        volume_type.name.as_str().into(),
        volume_type.description.clone().into(),
        i64::from(volume_type.is_public).into(),
        map_text(&volume_type.extra_specs).into(),
        volume_type.created_at.as_str().into(),
    ]
}

fn read(row: &Row) -> Result<VolumeType, StoreError> {
    Ok(VolumeType {
        id: row.parsed(0, |text| text.parse().ok())?,
        name: row.text(1)?.to_owned(),
        description: row.optional_text(2)?.map(str::to_owned),
        is_public: row.int(3)? != 0,
        extra_specs: row.parsed(4, read_map)?,
        created_at: Time::from_stored(row.text(5)?.to_owned()),
        updated_at: row
            .optional_text(6)?
            .map(|text| Time::from_stored(text.to_owned())),
    })
}
