//! Volumes on their way to another type. The row keeps the new type from being deleted meanwhile; the old one is kept
//! by the volume itself.

use super::batch::Sql;

/// Parameters: volume_id, volume_type_id. A guard: the type is still there.
pub const INSERT: Sql = Sql {
    name: "retypes.insert",
    text: "INSERT INTO retypes (volume_id, volume_type_id) SELECT $1, t.id FROM volume_types t WHERE t.id = $2",
};

/// Parameters: volume id, volume_type_id. A guard: the volume still has the type that was read, to which its quota is to
/// be given back.
pub const STILL_HAS: Sql = Sql {
    name: "retypes.still_has",
    text: "UPDATE volumes SET id = id WHERE id = $1 AND volume_type_id = $2",
};

/// Parameters: volume_id.
pub const DELETE: Sql = Sql {
    name: "retypes.delete",
    text: "DELETE FROM retypes WHERE volume_id = $1",
};

/// Parameters: volume id, volume_type_id, multiattach, updated_at.
pub const APPLY: Sql = Sql {
    name: "retypes.apply",
    text: "UPDATE volumes SET volume_type_id = $2, multiattach = $3, updated_at = $4 WHERE id = $1",
};

pub(super) const ALL: &[Sql] = &[INSERT, STILL_HAS, DELETE, APPLY];
