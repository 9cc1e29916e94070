//! Which projects may use a private volume type, and which type each project's volumes get unasked, in the record.

use super::Store;
use super::batch::{Query, Row, Sql, StoreError};
use crate::model::id::VolumeTypeId;

/// Parameters: type, project. Its key is taken when the project has access already.
pub const ADD: Sql = Sql {
    name: "type_access.add",
    text: "INSERT INTO volume_type_projects (volume_type_id, project_id) VALUES ($1, $2)",
};

/// Parameters: type, project. A guard: it had access.
pub const REMOVE: Sql = Sql {
    name: "type_access.remove",
    text: "DELETE FROM volume_type_projects WHERE volume_type_id = $1 AND project_id = $2",
};

/// Parameters: type.
pub const REMOVE_ALL: Sql = Sql {
    name: "type_access.remove_all",
    text: "DELETE FROM volume_type_projects WHERE volume_type_id = $1",
};

/// Parameters: type. A guard: projects can be given access to it, since it is private.
pub const IS_PRIVATE: Sql = Sql {
    name: "type_access.is_private",
    text: "UPDATE volume_types SET id = id WHERE id = $1 AND is_public = 0",
};

/// Parameters: project, type.
pub const SET_DEFAULT: Sql = Sql {
    name: "type_access.set_default",
    text: "INSERT INTO default_types (project_id, volume_type_id) VALUES ($1, $2) \
           ON CONFLICT (project_id) DO UPDATE SET volume_type_id = excluded.volume_type_id",
};

/// Parameters: project.
pub const UNSET_DEFAULT: Sql = Sql {
    name: "type_access.unset_default",
    text: "DELETE FROM default_types WHERE project_id = $1",
};

const PROJECTS: Sql = Sql {
    name: "type_access.projects",
    text: "SELECT project_id FROM volume_type_projects WHERE volume_type_id = $1 ORDER BY project_id",
};

const DEFAULT_OF: Sql = Sql {
    name: "type_access.default_of",
    text: "SELECT project_id, volume_type_id FROM default_types WHERE project_id = $1",
};

const DEFAULTS: Sql = Sql {
    name: "type_access.defaults",
    text: "SELECT project_id, volume_type_id FROM default_types ORDER BY project_id",
};

pub(super) const ALL: &[Sql] = &[
    ADD,
    REMOVE,
    REMOVE_ALL,
    IS_PRIVATE,
    SET_DEFAULT,
    UNSET_DEFAULT,
    PROJECTS,
    DEFAULT_OF,
    DEFAULTS,
];

/// A project and the type that its volumes get unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultType {
    /// The project.
    pub project_id: String,
    /// The type.
    pub volume_type_id: VolumeTypeId,
}

/// The projects with access to a type.
pub async fn projects(store: &Store, id: VolumeTypeId) -> Result<Vec<String>, StoreError> {
    let rows = store
        .rows(Query::of(PROJECTS, vec![id.to_string().into()]))
        .await?;
    rows.iter().map(|row| Ok(row.text(0)?.to_owned())).collect()
}

/// A project's default type, if it has one of its own.
pub async fn default_of(
    store: &Store,
    project_id: &str,
) -> Result<Option<DefaultType>, StoreError> {
    let row = store
        .row(Query::of(DEFAULT_OF, vec![project_id.into()]))
        .await?;
    row.map(|row| read(&row)).transpose()
}

/// Every project's.
pub async fn defaults(store: &Store) -> Result<Vec<DefaultType>, StoreError> {
    let rows = store.rows(Query::of(DEFAULTS, Vec::new())).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<DefaultType, StoreError> {
    Ok(DefaultType {
        project_id: row.text(0)?.to_owned(),
        volume_type_id: row.parsed(1, |text| text.parse().ok())?,
    })
}
