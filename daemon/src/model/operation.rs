//! The verbs by name, and an operation as recorded in the journal.

use super::id::OperationId;
use super::time::Time;

macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident = $word:literal)+) => {
        /// A verb: what an operation in the journal does. One file in `ops` each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Verb { $($(#[$doc])* $variant,)+ }

        impl Verb {
            /// Every verb.
            pub const ALL: &'static [Verb] = &[$(Verb::$variant,)+];

            /// The spelling in the journal, in logs and on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Verb::$variant => $word,)+ }
            }
        }
    };
}

operations! {
    /// Make a volume: empty, from a snapshot or from a volume.
    CreateVolume = "create_volume"
    /// Delete a volume; with cascade its snapshots too.
    DeleteVolume = "delete_volume"
    /// Make a volume larger.
    ExtendVolume = "extend_volume"
    /// Put a volume back to its newest snapshot.
    RevertVolume = "revert_volume"
    /// Keep a volume's content as of now.
    CreateSnapshot = "create_snapshot"
    /// Delete a snapshot.
    DeleteSnapshot = "delete_snapshot"
    /// Reserve a volume for a host, and connect it if the connector is already known.
    CreateAttachment = "create_attachment"
    /// Connect a reserved volume to the host that the connector names.
    UpdateAttachment = "update_attachment"
    /// Note that the host has the device.
    CompleteAttachment = "complete_attachment"
    /// Disconnect and release.
    DeleteAttachment = "delete_attachment"
    /// Legacy: hold a volume for an attach.
    ReserveVolume = "reserve_volume"
    /// Legacy: let go of a held volume.
    UnreserveVolume = "unreserve_volume"
    /// Legacy: connect a host.
    InitializeConnection = "initialize_connection"
    /// Legacy: note that the host has the device.
    AttachVolume = "attach_volume"
    /// Legacy: announce a detach.
    BeginDetaching = "begin_detaching"
    /// Legacy: take the announcement back.
    RollDetaching = "roll_detaching"
    /// Legacy: disconnect a host.
    TerminateConnection = "terminate_connection"
    /// Legacy: note that the host has let go.
    DetachVolume = "detach_volume"
    /// Offer a volume to another project.
    CreateTransfer = "create_transfer"
    /// Take a volume that is offered.
    AcceptTransfer = "accept_transfer"
    /// Withdraw the offer of a volume.
    DeleteTransfer = "delete_transfer"
    /// Say what a volume is, and make it so.
    ResetVolumeStatus = "reset_volume_status"
    /// Say what a snapshot is.
    ResetSnapshotStatus = "reset_snapshot_status"
    /// End an attachment whatever the volume's status.
    ForceDetach = "force_detach"
    /// Say whether hosts may write to a volume.
    UpdateReadonly = "update_readonly"
    /// Take over what lies in a pool as a volume.
    ManageVolume = "manage_volume"
    /// Hand a volume's bytes back and forget it.
    UnmanageVolume = "unmanage_volume"
    /// Take over what lies in a pool as a snapshot.
    ManageSnapshot = "manage_snapshot"
    /// Hand a snapshot's bytes back and forget it.
    UnmanageSnapshot = "unmanage_snapshot"
    /// Look at what could be taken over.
    ListManageable = "list_manageable"
    /// Give a volume another type.
    RetypeVolume = "retype_volume"
    /// Copy a volume or a snapshot into a backup store.
    CreateBackup = "create_backup"
    /// Make a volume read as a backup does.
    RestoreBackup = "restore_backup"
    /// Remove a backup from its store.
    DeleteBackup = "delete_backup"
    /// Say what a backup is.
    ResetBackupStatus = "reset_backup_status"
    /// Make the row of a backup that lies in a store.
    ImportBackup = "import_backup"
    /// Look whether a backup can be read.
    VerifyBackup = "verify_backup"
    /// Prove by doing it that a backup can be restored.
    DrillBackup = "drill_backup"
    /// Make the rows of all backups that lie in a store and have none.
    ImportStore = "import_store"
}

impl Verb {
    /// `None` for a word that this version does not know: an older or newer journal.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|verb| verb.as_str() == word)
    }
}

/// Where an operation is in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Recorded, not yet taken up.
    Queued,
    /// Its steps are being done.
    Running,
    /// A step failed or a cancel was asked for; what was done is being undone.
    Undoing,
    /// Ended as asked.
    Done,
    /// Ended in the table's `failed`.
    Failed,
    /// Ended where it began, because somebody asked.
    Cancelled,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Phase; 6] = [
        Phase::Queued,
        Phase::Running,
        Phase::Undoing,
        Phase::Done,
        Phase::Failed,
        Phase::Cancelled,
    ];

    /// The spelling in the journal and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Queued => "queued",
            Phase::Running => "running",
            Phase::Undoing => "undoing",
            Phase::Done => "done",
            Phase::Failed => "failed",
            Phase::Cancelled => "cancelled",
        }
    }

    /// `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word)
    }

    /// Whether the operation will change nothing more.
    pub fn is_over(self) -> bool {
        matches!(self, Phase::Done | Phase::Failed | Phase::Cancelled)
    }
}

/// An operation as recorded: queue entry and journal in one.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// What it does.
    pub verb: Verb,
    /// Who takes it next: `scheduler`, `volume:<host@backend>:<lane>`, or `backup:<host@store>` with or without
    /// `:look`.
    pub queue: String,
    /// Where it is.
    pub phase: Phase,
    /// The project it is for.
    pub project_id: String,
    /// Who began it; empty in rows of before the record kept it.
    pub user_id: String,
    /// The project that the object belonged to when it was begun; an administrator's own is another one.
    pub owner_id: String,
    /// The request that began it.
    pub request_id: String,
    /// The main object's id (volume, snapshot, attachment or backup), or the address of a pool or store.
    pub object_id: String,
    /// What was asked and what earlier steps learned; JSON text that only `ops` reads.
    pub input: String,
    /// How many steps are recorded as done (while undoing: still to be undone).
    pub steps_done: usize,
    /// Bytes moved so far.
    pub bytes_done: i64,
    /// Bytes to move in all; 0 while unknown.
    pub bytes_total: i64,
    /// Whether somebody asked to cancel it.
    pub cancel_requested: bool,
    /// Why it failed, in words for the owner of the object.
    pub error: Option<String>,
    /// When it was begun.
    pub created_at: Time,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// By when it should have ended.
    pub deadline_at: Time,
}
