//! THE TABLE: which status each operation starts from, shows meanwhile, and ends in.
//!
//! `begin` builds its one conditional UPDATE from `from` and `during`; the worker takes `done` and `failed`; recovery
//! walks `during`; `docs/status.md` is printed from this file by a test. Spellings are Cinder's
//! (cinder/objects/fields.py), preconditions are those of cinder/volume/api.py unless a row says otherwise.

use super::operation::Verb;

mod words;
pub use words::{AttachmentStatus, BackupStatus, SnapshotStatus, VolumeStatus, Word};

/// Where an operation leaves an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End<S> {
    /// In this status.
    Is(S),
    /// In the status it had when the operation began.
    Previous,
    /// Its row is gone.
    Gone,
    /// In the status that the request names.
    AsAsked,
    /// In what its remaining attachments say (cinder-v3.md 2.4; cinder/db/api.py, `volume_detached`).
    FromAttachments,
}

/// What an operation does to the status of one noun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move<S: 'static> {
    /// The statuses it may begin in; none means that the operation makes the object.
    pub from: &'static [S],
    /// What is shown while it runs; `None` when it leaves the status alone.
    pub during: Option<S>,
    /// What it ends in.
    pub done: End<S>,
    /// What it ends in when a step failed and was undone.
    pub failed: End<S>,
}

/// A row of THE TABLE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The operation.
    pub verb: Verb,
    /// What it does to its volume.
    pub volume: Option<Move<VolumeStatus>>,
    /// What it does to its snapshot (of a cascade: to every snapshot).
    pub snapshot: Option<Move<SnapshotStatus>>,
    /// What it does to its attachment.
    pub attachment: Option<Move<AttachmentStatus>>,
    /// What it does to its backup.
    pub backup: Option<Move<BackupStatus>>,
    /// What a volume that it reads from must be.
    pub source_volume: &'static [VolumeStatus],
    /// What a snapshot that it reads from must be.
    pub source_snapshot: &'static [SnapshotStatus],
    /// What a backup that it reads from must be.
    pub source_backup: &'static [BackupStatus],
    /// What the table cannot say.
    pub note: &'static str,
}

impl Row {
    const fn of(verb: Verb, note: &'static str) -> Row {
        Row {
            verb,
            volume: None,
            snapshot: None,
            attachment: None,
            backup: None,
            source_volume: &[],
            source_snapshot: &[],
            source_backup: &[],
            note,
        }
    }
}

use AttachmentStatus as A;
use BackupStatus as B;
use SnapshotStatus as S;
use VolumeStatus as V;

/// THE TABLE.
pub const TABLE: &[Row] = &[
    Row {
        volume: Some(Move {
            from: &[],
            during: Some(V::Creating),
            done: End::Is(V::Available),
            failed: End::Is(V::Error),
        }),
        source_volume: &[V::Available, V::InUse],
        source_snapshot: &[S::Available],
        ..Row::of(
            Verb::CreateVolume,
            "size at least that of the source; an error volume keeps its quota until deleted",
        )
    },
    Row {
        volume: Some(Move {
            from: &[
                V::Available,
                V::Error,
                V::ErrorRestoring,
                V::ErrorExtending,
                V::ErrorManaging,
                V::ErrorUnmanaging,
                V::ErrorDeleting,
            ],
            during: Some(V::Deleting),
            done: End::Gone,
            failed: End::Is(V::ErrorDeleting),
        }),
        snapshot: Some(Move {
            from: &[S::Available, S::Error, S::ErrorDeleting],
            during: Some(S::Deleting),
            done: End::Gone,
            failed: End::Is(S::ErrorDeleting),
        }),
        ..Row::of(
            Verb::DeleteVolume,
            "not attached; snapshots only with cascade, else refused; unlike upstream a failed delete may be repeated; with force from any status",
        )
    },
    Row {
        volume: Some(Move {
            from: &[V::Available, V::InUse],
            during: Some(V::Extending),
            done: End::Previous,
            failed: End::Is(V::ErrorExtending),
        }),
        ..Row::of(
            Verb::ExtendVolume,
            "in-use from microversion 3.42; a failure gives the quota back",
        )
    },
    Row {
        volume: Some(Move {
            from: &[V::Available],
            during: Some(V::Reverting),
            done: End::Is(V::Available),
            failed: End::Is(V::Error),
        }),
        snapshot: Some(Move {
            from: &[S::Available],
            during: Some(S::Restoring),
            done: End::Is(S::Available),
            failed: End::Is(S::Available),
        }),
        ..Row::of(
            Verb::RevertVolume,
            "the newest snapshot, and of the volume's present size",
        )
    },
    Row {
        snapshot: Some(Move {
            from: &[],
            during: Some(S::Creating),
            done: End::Is(S::Available),
            failed: End::Is(S::Error),
        }),
        source_volume: &[V::Available, V::InUse],
        ..Row::of(
            Verb::CreateSnapshot,
            "in-use before microversion 3.66 only with force",
        )
    },
    Row {
        snapshot: Some(Move {
            from: &[S::Available, S::Error, S::ErrorDeleting],
            during: Some(S::Deleting),
            done: End::Gone,
            failed: End::Is(S::ErrorDeleting),
        }),
        ..Row::of(
            Verb::DeleteSnapshot,
            "unlike upstream a failed delete may be repeated; with force from any status",
        )
    },
    Row {
        volume: Some(Move {
            from: &[V::Available, V::Downloading],
            during: None,
            done: End::FromAttachments,
            failed: End::FromAttachments,
        }),
        attachment: Some(Move {
            from: &[],
            during: Some(A::Attaching),
            done: End::Is(A::Attaching),
            failed: End::Is(A::ErrorAttaching),
        }),
        ..Row::of(
            Verb::CreateAttachment,
            "shows at once what its attachments say; also from reserved, attaching and in-use when multiattach or for the same instance; without a connector it ends reserved at once",
        )
    },
    Row {
        volume: Some(Move {
            from: &[
                V::Reserved,
                V::Attaching,
                V::Available,
                V::InUse,
                V::Detaching,
            ],
            during: None,
            done: End::FromAttachments,
            failed: End::FromAttachments,
        }),
        attachment: Some(Move {
            from: &[A::Reserved, A::Attaching],
            during: Some(A::Attaching),
            done: End::Is(A::Attaching),
            failed: End::Is(A::ErrorAttaching),
        }),
        ..Row::of(
            Verb::UpdateAttachment,
            "a second host on a volume that is not multiattach is refused (409)",
        )
    },
    Row {
        volume: Some(Move {
            from: &[V::Attaching, V::Reserved, V::InUse, V::Detaching],
            during: None,
            done: End::FromAttachments,
            failed: End::FromAttachments,
        }),
        attachment: Some(Move {
            from: &[A::Attaching, A::Attached],
            during: None,
            done: End::Is(A::Attached),
            failed: End::Previous,
        }),
        ..Row::of(
            Verb::CompleteAttachment,
            "at once; upstream does not look at the previous status, here one that was never connected is refused",
        )
    },
    Row {
        volume: Some(Move {
            from: &[
                V::Available,
                V::Reserved,
                V::Attaching,
                V::InUse,
                V::Detaching,
                V::Error,
                V::ErrorExtending,
                V::ErrorRestoring,
                V::ErrorDeleting,
            ],
            during: Some(V::Detaching),
            done: End::FromAttachments,
            failed: End::FromAttachments,
        }),
        attachment: Some(Move {
            from: &[
                A::Reserved,
                A::Attaching,
                A::Attached,
                A::Detached,
                A::ErrorAttaching,
                A::ErrorDetaching,
            ],
            during: None,
            done: End::Gone,
            failed: End::Is(A::ErrorDetaching),
        }),
        ..Row::of(
            Verb::DeleteAttachment,
            "a volume in an error status keeps it",
        )
    },
    Row {
        volume: Some(Move {
            from: &[V::Available],
            during: None,
            done: End::Is(V::Attaching),
            failed: End::Previous,
        }),
        ..Row::of(Verb::ReserveVolume, "at once; multiattach also from in-use")
    },
    Row {
        volume: Some(Move {
            from: &[V::Attaching],
            during: None,
            done: End::FromAttachments,
            failed: End::Previous,
        }),
        ..Row::of(Verb::UnreserveVolume, "at once")
    },
    Row {
        volume: Some(Move {
            from: &[
                V::Available,
                V::Attaching,
                V::InUse,
                V::Reserved,
                V::Detaching,
            ],
            during: None,
            done: End::Previous,
            failed: End::Previous,
        }),
        ..Row::of(
            Verb::InitializeConnection,
            "upstream accepts any status but maintenance; here a volume that is being made or destroyed is refused",
        )
    },
    Row {
        volume: Some(Move {
            from: &[V::Available, V::Attaching],
            during: None,
            done: End::Is(V::InUse),
            failed: End::Previous,
        }),
        attachment: Some(Move {
            from: &[],
            during: None,
            done: End::Is(A::Attached),
            failed: End::Gone,
        }),
        ..Row::of(Verb::AttachVolume, "at once; multiattach also from in-use")
    },
    Row {
        volume: Some(Move {
            from: &[V::InUse],
            during: None,
            done: End::Is(V::Detaching),
            failed: End::Previous,
        }),
        ..Row::of(Verb::BeginDetaching, "at once")
    },
    Row {
        volume: Some(Move {
            from: &[V::Detaching],
            during: None,
            done: End::Is(V::InUse),
            failed: End::Previous,
        }),
        ..Row::of(Verb::RollDetaching, "at once")
    },
    Row {
        volume: Some(Move {
            from: &[
                V::Available,
                V::Attaching,
                V::InUse,
                V::Reserved,
                V::Detaching,
                V::Error,
            ],
            during: None,
            done: End::Previous,
            failed: End::Previous,
        }),
        ..Row::of(
            Verb::TerminateConnection,
            "the export stays while another attachment of the volume needs it",
        )
    },
    Row {
        volume: Some(Move {
            from: &[V::InUse, V::Detaching, V::Attaching, V::Error],
            during: None,
            done: End::FromAttachments,
            failed: End::FromAttachments,
        }),
        attachment: Some(Move {
            from: &[
                A::Attached,
                A::Attaching,
                A::Reserved,
                A::ErrorDetaching,
                A::ErrorAttaching,
            ],
            during: None,
            done: End::Gone,
            failed: End::Is(A::ErrorDetaching),
        }),
        ..Row::of(
            Verb::DetachVolume,
            "needs the attachment's id when there are several; a host that is still let in is shut out",
        )
    },
    Row {
        volume: Some(Move {
            from: &[V::Available],
            during: None,
            done: End::Previous,
            failed: End::Previous,
        }),
        ..Row::of(Verb::UpdateReadonly, "at once; no host is let in")
    },
    Row {
        volume: Some(Move {
            from: &[V::Available],
            during: None,
            done: End::Is(V::AwaitingTransfer),
            failed: End::Previous,
        }),
        ..Row::of(
            Verb::CreateTransfer,
            "at once; no host is let in, and snapshots that go with it are available",
        )
    },
    Row {
        volume: Some(Move {
            from: &[V::AwaitingTransfer],
            during: None,
            done: End::Is(V::Available),
            failed: End::Previous,
        }),
        ..Row::of(
            Verb::AcceptTransfer,
            "at once; volume, snapshots and what both projects use change hands together",
        )
    },
    Row {
        volume: Some(Move {
            from: &[V::AwaitingTransfer],
            during: None,
            done: End::Is(V::Available),
            failed: End::Previous,
        }),
        ..Row::of(Verb::DeleteTransfer, "at once")
    },
    Row {
        volume: Some(Move {
            from: VolumeStatus::ALL,
            during: Some(V::Detaching),
            done: End::AsAsked,
            failed: End::FromAttachments,
        }),
        ..Row::of(
            Verb::ResetVolumeStatus,
            "shown while it runs only when attachments end; what an operation alone shows while it runs cannot be asked for, and what is asked must be true",
        )
    },
    Row {
        snapshot: Some(Move {
            from: SnapshotStatus::ALL,
            during: None,
            done: End::AsAsked,
            failed: End::Previous,
        }),
        ..Row::of(
            Verb::ResetSnapshotStatus,
            "at once; what an operation alone shows while it runs cannot be asked for",
        )
    },
    Row {
        volume: Some(Move {
            from: &[
                V::Available,
                V::Reserved,
                V::Attaching,
                V::InUse,
                V::Detaching,
                V::Error,
                V::ErrorExtending,
                V::ErrorRestoring,
                V::ErrorDeleting,
                V::Maintenance,
            ],
            during: None,
            done: End::FromAttachments,
            failed: End::FromAttachments,
        }),
        attachment: Some(Move {
            from: AttachmentStatus::ALL,
            during: None,
            done: End::Gone,
            failed: End::Is(A::ErrorDetaching),
        }),
        ..Row::of(
            Verb::ForceDetach,
            "needs the attachment's id when there are several; a volume in an error status or in maintenance keeps it",
        )
    },
    Row {
        volume: Some(Move {
            from: &[],
            during: Some(V::Managing),
            done: End::Is(V::Available),
            failed: End::Is(V::ErrorManaging),
        }),
        ..Row::of(
            Verb::ManageVolume,
            "shown as creating and error; what could not be taken over is handed back, also by a later delete",
        )
    },
    Row {
        volume: Some(Move {
            from: &[
                V::Available,
                V::Error,
                V::ErrorRestoring,
                V::ErrorExtending,
                V::ErrorManaging,
                V::ErrorUnmanaging,
            ],
            during: Some(V::Unmanaging),
            done: End::Gone,
            failed: End::Is(V::ErrorUnmanaging),
        }),
        ..Row::of(
            Verb::UnmanageVolume,
            "not attached, no snapshots; unlike upstream a failed one may be repeated, or the volume deleted",
        )
    },
    Row {
        snapshot: Some(Move {
            from: &[],
            during: Some(S::Creating),
            done: End::Is(S::Available),
            failed: End::Is(S::Error),
        }),
        source_volume: &[V::Available, V::InUse],
        ..Row::of(
            Verb::ManageSnapshot,
            "not larger than its volume; what could not be taken over is handed back, also by a later delete",
        )
    },
    Row {
        snapshot: Some(Move {
            from: &[S::Available, S::Error],
            during: Some(S::Unmanaging),
            done: End::Gone,
            failed: End::Is(S::Error),
        }),
        ..Row::of(Verb::UnmanageSnapshot, "")
    },
    Row::of(
        Verb::ListManageable,
        "moves nothing; asks a pool's volume service what lies there that is not ours",
    ),
    Row {
        volume: Some(Move {
            from: &[V::Available, V::InUse],
            during: Some(V::Retyping),
            done: End::Previous,
            failed: End::Previous,
        }),
        ..Row::of(
            Verb::RetypeVolume,
            "to another type; a volume whose own pool cannot be of it is moved to one that can, if the migration policy is on-demand, it is available and it has no snapshots; multiattach changes only when available",
        )
    },
    Row {
        volume: Some(Move {
            from: &[V::Available, V::InUse],
            during: Some(V::BackingUp),
            done: End::Previous,
            failed: End::Previous,
        }),
        snapshot: Some(Move {
            from: &[S::Available],
            during: Some(S::BackingUp),
            done: End::Is(S::Available),
            failed: End::Is(S::Available),
        }),
        backup: Some(Move {
            from: &[],
            during: Some(B::Creating),
            done: End::Is(B::Available),
            failed: End::Is(B::Error),
        }),
        ..Row::of(
            Verb::CreateBackup,
            "in-use only with force; of a snapshot the volume is left alone",
        )
    },
    Row {
        volume: Some(Move {
            from: &[V::Available],
            during: Some(V::RestoringBackup),
            done: End::Is(V::Available),
            failed: End::Is(V::ErrorRestoring),
        }),
        backup: Some(Move {
            from: &[B::Available],
            during: Some(B::Restoring),
            done: End::Is(B::Available),
            failed: End::Is(B::Available),
        }),
        ..Row::of(
            Verb::RestoreBackup,
            "over a volume of at least the backup's size, or into a new one, which shows creating when it was asked for as a volume; a volume that was overwritten in part cannot be as before, also when it was cancelled",
        )
    },
    Row {
        backup: Some(Move {
            from: &[B::Available, B::Error, B::ErrorDeleting],
            during: Some(B::Deleting),
            done: End::Gone,
            failed: End::Is(B::ErrorDeleting),
        }),
        ..Row::of(
            Verb::DeleteBackup,
            "no backup depends on another; unlike upstream a failed delete may be repeated; with force from any status",
        )
    },
    Row {
        backup: Some(Move {
            from: BackupStatus::ALL,
            during: None,
            done: End::AsAsked,
            failed: End::Previous,
        }),
        ..Row::of(
            Verb::ResetBackupStatus,
            "at once; to available or error, and available must be true",
        )
    },
    Row {
        backup: Some(Move {
            from: &[],
            during: Some(B::Creating),
            done: End::Is(B::Available),
            failed: End::Is(B::Error),
        }),
        ..Row::of(
            Verb::ImportBackup,
            "makes the row of what lies in a store already",
        )
    },
    Row {
        source_backup: &[B::Available],
        ..Row::of(
            Verb::VerifyBackup,
            "moves nothing; one that is damaged fails it, and keeps what was found",
        )
    },
    Row {
        volume: Some(Move {
            from: &[],
            during: Some(V::RestoringBackup),
            done: End::Gone,
            failed: End::Is(V::ErrorRestoring),
        }),
        source_backup: &[B::Available],
        ..Row::of(
            Verb::DrillBackup,
            "into a scratch volume, which is compared with the store and deleted; one that failed, or was cancelled, leaves it without bytes, for its owner to delete",
        )
    },
    Row::of(
        Verb::ImportStore,
        "moves nothing; makes the rows, available, of all that lies in a store and has none",
    ),
];

/// What later issues bring, so that the table's readers know what is missing: operation, noun, from, during, done, failed.
pub const TO_COME: &[[&str; 6]] = &[
    [
        "create_group",
        "group",
        "(made)",
        "creating",
        "available",
        "error",
    ],
    [
        "delete_group",
        "group",
        "available, error",
        "deleting",
        "(gone)",
        "error",
    ],
];

/// The row of an operation.
pub fn row(verb: Verb) -> &'static Row {
    // Every verb has a row (tested), so the fallback is never taken; it keeps this function free of panics.
    TABLE
        .iter()
        .find(|row| row.verb == verb)
        .unwrap_or(&TABLE[0])
}

/// The statuses of a volume that only a live operation explains: shown while one runs and left behind by none.
pub fn volume_only_during() -> Vec<VolumeStatus> {
    only_during(TABLE.iter().filter_map(|row| row.volume))
}

/// The statuses of a snapshot that only a live operation explains.
pub fn snapshot_only_during() -> Vec<SnapshotStatus> {
    only_during(TABLE.iter().filter_map(|row| row.snapshot))
}

/// The statuses of a backup that only a live operation explains.
pub fn backup_only_during() -> Vec<BackupStatus> {
    only_during(TABLE.iter().filter_map(|row| row.backup))
}

fn only_during<S: Word>(moves: impl Iterator<Item = Move<S>>) -> Vec<S> {
    let moves: Vec<Move<S>> = moves.collect();
    let mut found: Vec<S> = Vec::new();
    for during in moves.iter().filter_map(|one| one.during) {
        let can_rest = moves
            .iter()
            .any(|one| one.done == End::Is(during) || one.failed == End::Is(during));
        if !can_rest && !found.contains(&during) {
            found.push(during);
        }
    }
    found
}

/// What a volume's attachments say it is: the strongest wins (cinder/db/api.py `_get_statuses_from_attachments`).
///
/// Upstream ignores all attachments in an error status. Here one that could not be detached counts as attached: its
/// host may still write, so the volume must not look free. This is the oracle for the SQL in `store/statuses.rs`.
pub fn volume_status_from(attachments: &[AttachmentStatus]) -> VolumeStatus {
    let has = |wanted| attachments.contains(&wanted);
    if has(A::Attached) || has(A::ErrorDetaching) {
        V::InUse
    } else if has(A::Attaching) {
        V::Attaching
    } else if has(A::Reserved) {
        V::Reserved
    } else {
        V::Available
    }
}

#[cfg(test)]
mod tests;
