//! The statuses themselves, in Cinder's spelling (cinder/objects/fields.py).

macro_rules! statuses {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the wire word is the documentation")]
        pub enum $name { $($variant,)+ }

        impl $name {
            /// Every status.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// Cinder's spelling.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }

            /// `None` for any other word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|status| status.as_str() == word)
            }
        }

        impl Word for $name {
            const EVERY: &'static [$name] = $name::ALL;

            fn word(self) -> &'static str {
                self.as_str()
            }
        }
    };
}

/// What all status types have in common: a spelling.
pub trait Word: Copy + PartialEq + 'static {
    /// Every status of the noun.
    const EVERY: &'static [Self];

    /// Cinder's spelling.
    fn word(self) -> &'static str;
}

statuses! {
    /// Where a volume is in its life.
    VolumeStatus {
        Creating = "creating"
        Available = "available"
        Deleting = "deleting"
        Error = "error"
        ErrorDeleting = "error_deleting"
        Managing = "managing"
        ErrorManaging = "error_managing"
        Attaching = "attaching"
        InUse = "in-use"
        Detaching = "detaching"
        Reserved = "reserved"
        Maintenance = "maintenance"
        Extending = "extending"
        ErrorExtending = "error_extending"
        Uploading = "uploading"
        Downloading = "downloading"
        Retyping = "retyping"
        BackingUp = "backing-up"
        ErrorBackingUp = "error_backing-up"
        RestoringBackup = "restoring-backup"
        ErrorRestoring = "error_restoring"
        AwaitingTransfer = "awaiting-transfer"
        Reverting = "reverting"
        Unmanaging = "unmanaging"
        ErrorUnmanaging = "error_unmanaging"
        ErrorManagingDeleting = "error_managing_deleting"
    }
}

statuses! {
    /// Where a snapshot is in its life.
    SnapshotStatus {
        Creating = "creating"
        Available = "available"
        Deleting = "deleting"
        Deleted = "deleted"
        Error = "error"
        ErrorDeleting = "error_deleting"
        Updating = "updating"
        Unmanaging = "unmanaging"
        BackingUp = "backing-up"
        Restoring = "restoring"
    }
}

statuses! {
    /// Where a backup is in its life.
    BackupStatus {
        Creating = "creating"
        Available = "available"
        Deleting = "deleting"
        Deleted = "deleted"
        Error = "error"
        ErrorDeleting = "error_deleting"
        Restoring = "restoring"
    }
}

statuses! {
    /// Where an attachment is in its life (also a volume's `attach_status`).
    AttachmentStatus {
        Attached = "attached"
        Attaching = "attaching"
        Detached = "detached"
        Reserved = "reserved"
        ErrorAttaching = "error_attaching"
        ErrorDetaching = "error_detaching"
        Deleted = "deleted"
    }
}
