//! The one conditional UPDATE by which every status changes: `... WHERE id = $1 AND status IN (from)`.
//!
//! Status is the lock (Cinder's api_conditional_updates says the same): no read-then-write anywhere. The lists come
//! out of THE TABLE and are padded to a fixed length, so that the texts are constants.

use super::batch::{Batch, Sql, Value};
use crate::model::status::Word;
use crate::model::time::Time;

/// The longest `from` that the texts below have room for; a test compares it with THE TABLE.
pub const FROM_MAX: usize = 10;

/// Which table a status lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noun {
    /// Volumes.
    Volume,
    /// Snapshots.
    Snapshot,
    /// Attachments.
    Attachment,
    /// Backups.
    Backup,
}

impl Noun {
    /// As messages name it; also the name of the guard on its status.
    pub fn as_str(self) -> &'static str {
        match self {
            Noun::Volume => "volume",
            Noun::Snapshot => "snapshot",
            Noun::Attachment => "attachment",
            Noun::Backup => "backup",
        }
    }

    fn change(self) -> Sql {
        match self {
            Noun::Volume => CHANGE_VOLUME,
            Noun::Snapshot => CHANGE_SNAPSHOT,
            Noun::Attachment => CHANGE_ATTACHMENT,
            Noun::Backup => CHANGE_BACKUP,
        }
    }

    fn hold(self) -> Sql {
        match self {
            Noun::Volume => HOLD_VOLUME,
            Noun::Snapshot => HOLD_SNAPSHOT,
            Noun::Attachment => HOLD_ATTACHMENT,
            Noun::Backup => HOLD_BACKUP,
        }
    }
}

const CHANGE_VOLUME: Sql = Sql {
    name: "statuses.change_volume",
    text: "UPDATE volumes SET status = $2, updated_at = $3 \
           WHERE id = $1 AND status IN ($4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
};
const CHANGE_SNAPSHOT: Sql = Sql {
    name: "statuses.change_snapshot",
    text: "UPDATE snapshots SET status = $2, updated_at = $3 \
           WHERE id = $1 AND status IN ($4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
};
const CHANGE_ATTACHMENT: Sql = Sql {
    name: "statuses.change_attachment",
    text: "UPDATE attachments SET status = $2, updated_at = $3 \
           WHERE id = $1 AND status IN ($4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
};
const CHANGE_BACKUP: Sql = Sql {
    name: "statuses.change_backup",
    text: "UPDATE backups SET status = $2, updated_at = $3 \
           WHERE id = $1 AND status IN ($4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
};
const HOLD_VOLUME: Sql = Sql {
    name: "statuses.hold_volume",
    text: "UPDATE volumes SET id = id \
           WHERE id = $1 AND status IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
};
const HOLD_SNAPSHOT: Sql = Sql {
    name: "statuses.hold_snapshot",
    text: "UPDATE snapshots SET id = id \
           WHERE id = $1 AND status IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
};
const HOLD_ATTACHMENT: Sql = Sql {
    name: "statuses.hold_attachment",
    text: "UPDATE attachments SET id = id \
           WHERE id = $1 AND status IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
};
const HOLD_BACKUP: Sql = Sql {
    name: "statuses.hold_backup",
    text: "UPDATE backups SET id = id \
           WHERE id = $1 AND status IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
};

/// A volume's status out of its remaining attachments; one in an error status or in another operation's keeps it.
/// An attachment whose host could not be shut out counts as attached: that host may still write.
/// The oracle is `model::status::volume_status_from`.
const FROM_ATTACHMENTS: Sql = Sql {
    name: "statuses.from_attachments",
    text: "UPDATE volumes SET updated_at = $2, status = CASE \
           WHEN EXISTS (SELECT 1 FROM attachments a WHERE a.volume_id = volumes.id AND a.status IN ('attached', 'error_detaching')) \
           THEN 'in-use' \
           WHEN EXISTS (SELECT 1 FROM attachments a WHERE a.volume_id = volumes.id AND a.status = 'attaching') \
           THEN 'attaching' \
           WHEN EXISTS (SELECT 1 FROM attachments a WHERE a.volume_id = volumes.id AND a.status = 'reserved') \
           THEN 'reserved' ELSE 'available' END \
           WHERE id = $1 AND status IN ('available', 'reserved', 'attaching', 'in-use', 'detaching')",
};

pub(super) const ALL: &[Sql] = &[
    CHANGE_VOLUME,
    CHANGE_SNAPSHOT,
    CHANGE_ATTACHMENT,
    CHANGE_BACKUP,
    HOLD_VOLUME,
    HOLD_SNAPSHOT,
    HOLD_ATTACHMENT,
    HOLD_BACKUP,
    FROM_ATTACHMENTS,
];

/// Adds the guard that moves an object from one of `from` to `to`.
pub fn change<S: Word>(batch: &mut Batch, noun: Noun, id: &str, from: &[S], to: S) {
    let mut values: Vec<Value> = vec![id.into(), to.word().into(), Time::now().as_str().into()];
    values.extend(padded(from));
    batch.guard(noun.as_str(), noun.change(), values);
}

/// Adds the guard that an object is in one of `from` now; it also locks the row until the batch commits.
pub fn hold<S: Word>(batch: &mut Batch, noun: Noun, id: &str, from: &[S]) {
    let mut values: Vec<Value> = vec![id.into()];
    values.extend(padded(from));
    batch.guard(noun.as_str(), noun.hold(), values);
}

/// Adds the change of a volume's status to what its attachments say.
pub fn from_attachments(batch: &mut Batch, volume_id: &str) {
    batch.add(
        FROM_ATTACHMENTS,
        vec![volume_id.into(), Time::now().as_str().into()],
    );
}

/// `from`, repeated at its end up to the length of the texts; an empty list matches no status at all.
fn padded<S: Word>(from: &[S]) -> impl Iterator<Item = Value> {
    let last = from.last().map_or("", |status| status.word());
    let words: Vec<Value> = from
        .iter()
        .map(|status| Value::from(status.word()))
        .collect();
    words
        .into_iter()
        .chain(std::iter::repeat(Value::from(last)))
        .take(FROM_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::status::{End, Move, TABLE};

    #[test]
    fn the_table_fits() {
        // One that may begin in any status begins in the one that was read.
        fn fits<S: Word>(one: Option<Move<S>>) -> bool {
            one.is_none_or(|one| {
                one.from.len() <= FROM_MAX
                    || (one.from == S::EVERY && one.done != End::FromAttachments)
            })
        }
        for row in TABLE {
            let verb = row.verb.as_str();
            assert!(fits(row.volume), "{verb}");
            assert!(fits(row.snapshot) && fits(row.attachment), "{verb}");
            assert!(fits(row.backup), "{verb}");
            assert!(row.source_volume.len() <= FROM_MAX && row.source_snapshot.len() <= FROM_MAX);
            assert!(row.source_backup.len() <= FROM_MAX, "{verb}");
        }
    }
}
