//! Volume types in the record.

use super::Store;
use super::batch::{Query, Row, Sql, StoreError, Value};
use super::json::{map_text, read_map};
use super::list::{self, Comparison, Filter, ListError, ListRequest, Shape};
use crate::model::id::{QosSpecsId, VolumeTypeId};
use crate::model::time::Time;
use crate::model::volume_type::{ControlLocation, Encryption, VolumeType};
use serde::{Deserialize, Serialize};

/// What of volume types may be listed.
pub const SHAPE: Shape = Shape {
    select: "SELECT t.id, t.name, t.description, t.is_public, t.extra_specs, t.created_at, t.updated_at, \
             t.qos_specs_id, t.encryption FROM volume_types t",
    count: "SELECT COUNT(*) FROM volume_types t",
    columns: &[
        "id",
        "name",
        "description",
        "is_public",
        "extra_specs",
        "created_at",
        "updated_at",
        "qos_specs_id",
    ],
};

/// That a project may use the type: it is public, or the project has access.
const OPEN_TO: &str = "(t.is_public = 1 OR EXISTS \
    (SELECT 1 FROM volume_type_projects a WHERE a.volume_type_id = t.id AND a.project_id = ?))";

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

/// Parameters: id, name, updated_at.
pub const SET_NAME: Sql = Sql {
    name: "volume_types.set_name",
    text: "UPDATE volume_types SET name = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, description, updated_at.
pub const SET_DESCRIPTION: Sql = Sql {
    name: "volume_types.set_description",
    text: "UPDATE volume_types SET description = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, is_public, updated_at.
pub const SET_PUBLIC: Sql = Sql {
    name: "volume_types.set_public",
    text: "UPDATE volume_types SET is_public = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, extra specs as looked at, extra specs as they are to be, updated_at. A guard: nobody changed them.
pub const SET_EXTRA_SPECS: Sql = Sql {
    name: "volume_types.set_extra_specs",
    text: "UPDATE volume_types SET extra_specs = $3, updated_at = $4 WHERE id = $1 AND extra_specs = $2",
};

/// Parameters: id. A guard: the type is there. Also makes whoever changes its row, or looks at what refers to it in a later
/// statement of the batch, wait for one another.
pub const LOCK: Sql = Sql {
    name: "volume_types.lock",
    text: "UPDATE volume_types SET id = id WHERE id = $1",
};

/// Parameters: id. A guard: the type is there and says nothing of encryption. Who makes a volume of it, or gives it one,
/// asks this in the same batch: plain data must never lie under a label that says encrypted.
pub const IS_PLAIN: Sql = Sql {
    name: "volume_types.is_plain",
    text: "UPDATE volume_types SET id = id WHERE id = $1 AND encryption IS NULL",
};

/// Parameters: id. A guard, after [`LOCK`]: no volume has the type.
pub const IS_UNUSED: Sql = Sql {
    name: "volume_types.is_unused",
    text: "UPDATE volume_types SET id = id WHERE id = $1 \
           AND NOT EXISTS (SELECT 1 FROM volumes v WHERE v.volume_type_id = volume_types.id) \
           AND NOT EXISTS (SELECT 1 FROM retypes r WHERE r.volume_type_id = volume_types.id)",
};

/// Parameters: id. A guard, after [`LOCK`]: the type is no project's default.
pub const IS_NO_DEFAULT: Sql = Sql {
    name: "volume_types.is_no_default",
    text: "UPDATE volume_types SET id = id WHERE id = $1 \
           AND NOT EXISTS (SELECT 1 FROM default_types d WHERE d.volume_type_id = volume_types.id)",
};

/// Parameters: id.
pub const DELETE: Sql = Sql {
    name: "volume_types.delete",
    text: "DELETE FROM volume_types WHERE id = $1",
};

/// Parameters: id, encryption, updated_at. A guard: there is none yet.
pub const ADD_ENCRYPTION: Sql = Sql {
    name: "volume_types.add_encryption",
    text: "UPDATE volume_types SET encryption = $2, updated_at = $3 WHERE id = $1 AND encryption IS NULL",
};

/// Parameters: id, encryption as looked at, encryption as it is to be, updated_at. A guard: nobody changed it meanwhile.
pub const SET_ENCRYPTION: Sql = Sql {
    name: "volume_types.set_encryption",
    text: "UPDATE volume_types SET encryption = $3, updated_at = $4 WHERE id = $1 AND encryption = $2",
};

/// Parameters: id, updated_at. A guard: there was one.
pub const REMOVE_ENCRYPTION: Sql = Sql {
    name: "volume_types.remove_encryption",
    text: "UPDATE volume_types SET encryption = NULL, updated_at = $2 WHERE id = $1 AND encryption IS NOT NULL",
};

/// Parameters: id, QoS specs, updated_at. A guard: it has none, or these.
pub const ASSOCIATE: Sql = Sql {
    name: "volume_types.associate",
    text: "UPDATE volume_types SET qos_specs_id = $2, updated_at = $3 \
           WHERE id = $1 AND (qos_specs_id IS NULL OR qos_specs_id = $2)",
};

/// Parameters: id, QoS specs, updated_at.
pub const DISASSOCIATE: Sql = Sql {
    name: "volume_types.disassociate",
    text: "UPDATE volume_types SET qos_specs_id = NULL, updated_at = $3 WHERE id = $1 AND qos_specs_id = $2",
};

/// Parameters: QoS specs, updated_at.
pub const DISASSOCIATE_ALL: Sql = Sql {
    name: "volume_types.disassociate_all",
    text: "UPDATE volume_types SET qos_specs_id = NULL, updated_at = $2 WHERE qos_specs_id = $1",
};

const HAS_ACCESS: Sql = Sql {
    name: "volume_types.has_access",
    text: "SELECT 1 FROM volume_type_projects WHERE volume_type_id = $1 AND project_id = $2",
};

const NAMES: Sql = Sql {
    name: "volume_types.names",
    text: "SELECT id, name FROM volume_types ORDER BY name",
};

pub(super) const ALL: &[Sql] = &[
    INSERT,
    INSERT_IF_ABSENT,
    SET_NAME,
    SET_DESCRIPTION,
    SET_PUBLIC,
    SET_EXTRA_SPECS,
    LOCK,
    IS_PLAIN,
    IS_UNUSED,
    IS_NO_DEFAULT,
    DELETE,
    ADD_ENCRYPTION,
    SET_ENCRYPTION,
    REMOVE_ENCRYPTION,
    ASSOCIATE,
    DISASSOCIATE,
    DISASSOCIATE_ALL,
    HAS_ACCESS,
    NAMES,
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

/// The filter that leaves the types that a project may use.
pub fn open_to(project_id: &str) -> Filter {
    Filter {
        column: "id",
        comparison: Comparison::Meets(OPEN_TO),
        values: vec![project_id.into()],
    }
}

/// Whether a project may use a private type.
pub async fn has_access(
    store: &Store,
    id: VolumeTypeId,
    project_id: &str,
) -> Result<bool, StoreError> {
    let values = vec![id.to_string().into(), project_id.into()];
    Ok(store.row(Query::of(HAS_ACCESS, values)).await?.is_some())
}

/// Every type's id and name, by name.
pub async fn names(store: &Store) -> Result<Vec<(VolumeTypeId, String)>, StoreError> {
    let rows = store.rows(Query::of(NAMES, Vec::new())).await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.parsed(0, |text| text.parse().ok())?,
                row.text(1)?.to_owned(),
            ))
        })
        .collect()
}

/// The types with these QoS specs, the oldest first.
pub async fn with_qos_specs(store: &Store, id: QosSpecsId) -> Result<Vec<VolumeType>, StoreError> {
    let rows = list::with(store, &SHAPE, "qos_specs_id", id.to_string()).await?;
    rows.iter().map(read).collect()
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
        qos_specs_id: row.optional_parsed(7, |text| text.parse().ok())?,
        encryption: row.optional_parsed(8, read_encryption)?,
    })
}

/// An encryption as the column has it.
#[derive(Serialize, Deserialize)]
struct Written {
    id: String,
    provider: String,
    control_location: String,
    cipher: Option<String>,
    key_size_bits: Option<i64>,
    created_at: String,
    updated_at: Option<String>,
}

/// The text of the column `encryption`; equal for equal ones.
pub fn encryption_text(encryption: &Encryption) -> String {
    let written = Written {
        id: encryption.id.to_string(),
        provider: encryption.provider.clone(),
        control_location: encryption.control_location.as_str().to_owned(),
        cipher: encryption.cipher.clone(),
        key_size_bits: encryption.key_size_bits,
        created_at: encryption.created_at.as_str().to_owned(),
        updated_at: (encryption.updated_at.as_ref()).map(|time| time.as_str().to_owned()),
    };
    serde_json::to_string(&written).unwrap_or_default()
}

fn read_encryption(text: &str) -> Option<Encryption> {
    let written: Written = serde_json::from_str(text).ok()?;
    Some(Encryption {
        id: written.id.parse().ok()?,
        provider: written.provider,
        control_location: ControlLocation::parse(&written.control_location)?,
        cipher: written.cipher,
        key_size_bits: written.key_size_bits,
        created_at: Time::from_stored(written.created_at),
        updated_at: written.updated_at.map(Time::from_stored),
    })
}
