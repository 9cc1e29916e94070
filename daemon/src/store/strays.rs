//! Where bytes of a volume may lie beside those that count.
//!
//! The bytes that count lie where the volume's row says. A move writes its destination here before it copies anything;
//! when the volume's row changes over, the two places change roles in the same transaction. So at any instant a place of
//! a volume is in its row or in here, never in both, and whatever is in here may be cleared away.

use super::Store;
use super::batch::{Batch, Query, Sql, StoreError};
use crate::model::id::VolumeId;

/// Parameters: volume_id, host. Touches no row where the bytes that count lie.
const EXPECT: Sql = Sql {
    name: "strays.expect",
    text: "INSERT INTO strays (volume_id, host) SELECT $1, $2 \
           WHERE NOT EXISTS (SELECT 1 FROM volumes v WHERE v.id = $1 AND v.host = $2) \
           ON CONFLICT (volume_id, host) DO NOTHING",
};

/// Parameters: volume_id. What lies where the volume's row says counts now.
const SETTLE: Sql = Sql {
    name: "strays.settle",
    text: "DELETE FROM strays WHERE volume_id = $1 \
           AND host = (SELECT v.host FROM volumes v WHERE v.id = strays.volume_id)",
};

/// Parameters: volume_id, host.
const GONE: Sql = Sql {
    name: "strays.gone",
    text: "DELETE FROM strays WHERE volume_id = $1 AND host = $2",
};

/// What counts is left out here too, so that nothing read from here can ever be it.
const OF_VOLUME: Sql = Sql {
    name: "strays.of_volume",
    text: "SELECT s.host FROM strays s JOIN volumes v ON v.id = s.volume_id \
           WHERE s.volume_id = $1 AND (v.host IS NULL OR v.host <> s.host) ORDER BY s.host",
};

pub(super) const ALL: &[Sql] = &[EXPECT, SETTLE, GONE, OF_VOLUME];

/// Adds that bytes of the volume may lie at `host` which do not count.
pub fn expect(batch: &mut Batch, volume: VolumeId, host: &str) {
    batch.add(EXPECT, vec![volume.to_string().into(), host.into()]);
}

/// Adds that what lies where the volume's row says is no stray; for the transaction that changes the row.
pub fn settle(batch: &mut Batch, volume: VolumeId) {
    batch.add(SETTLE, vec![volume.to_string().into()]);
}

/// Adds that nothing of the volume lies at `host` any more.
pub fn gone(batch: &mut Batch, volume: VolumeId, host: &str) {
    batch.add(GONE, vec![volume.to_string().into(), host.into()]);
}

/// Every place where bytes of the volume may lie that do not count.
pub async fn of_volume(store: &Store, volume: VolumeId) -> Result<Vec<String>, StoreError> {
    let query = Query::of(OF_VOLUME, vec![volume.to_string().into()]);
    let rows = store.rows(query).await?;
    rows.iter().map(|row| Ok(row.text(0)?.to_owned())).collect()
}
