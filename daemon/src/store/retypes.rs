//! Volumes on their way to another type. The row keeps the new type from being deleted meanwhile; the old one is kept
//! by the volume itself. Of a volume that moves to get it, the row also says where to.

use super::Store;
use super::batch::{Query, Sql, StoreError};
use crate::model::id::VolumeId;

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

/// Parameters: volume_id, host. The pool that the volume moves to.
pub const CHOOSE: Sql = Sql {
    name: "retypes.choose",
    text: "UPDATE retypes SET host = $2 WHERE volume_id = $1",
};

/// Parameters: volume id, the pool that it leaves, the pool that it moves to.
pub const MOVE: Sql = Sql {
    name: "retypes.move",
    text: "UPDATE volumes SET host = $3 WHERE id = $1 AND host = $2",
};

const DESTINATION: Sql = Sql {
    name: "retypes.destination",
    text: "SELECT host FROM retypes WHERE volume_id = $1 AND host IS NOT NULL",
};

pub(super) const ALL: &[Sql] = &[INSERT, STILL_HAS, DELETE, APPLY, CHOOSE, MOVE, DESTINATION];

/// The pool that a retype under way moves the volume to; `None` where it moves to none.
pub async fn destination(store: &Store, volume: VolumeId) -> Result<Option<String>, StoreError> {
    let query = Query::of(DESTINATION, vec![volume.to_string().into()]);
    let row = store.row(query).await?;
    row.map(|row| Ok(row.text(0)?.to_owned())).transpose()
}
