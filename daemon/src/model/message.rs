//! Messages in Cinder's words: which event each is, and the fixed sentence that clients know it by.
//!
//! An event is `VOLUME_<resource>_<action>_<detail>`. Actions and details are Cinder's numbers and sentences; only those
//! that Ashlar can mean are here.

use super::id::MessageId;
use super::time::Time;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A volume.
    Volume,
    /// A snapshot.
    Snapshot,
    /// A backup.
    Backup,
}

impl Resource {
    /// Cinder's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Resource::Volume => "VOLUME",
            Resource::Snapshot => "VOLUME_SNAPSHOT",
            Resource::Backup => "VOLUME_BACKUP",
        }
    }
}

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $number:literal $words:literal)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = $words] $variant,)+
        }

        impl $name {
            /// Cinder's number.
            pub fn number(self) -> &'static str {
                match self { $($name::$variant => $number,)+ }
            }

            /// Cinder's words.
            pub fn words(self) -> &'static str {
                match self { $($name::$variant => $words,)+ }
            }
        }
    };
}

numbered! {
    /// What was being done.
    Action {
        ScheduleVolume "001" "schedule allocate volume"
        AttachVolume "002" "attach volume"
        UpdateAttachment "004" "update attachment"
        UnmanageVolume "006" "unmanage volume"
        ExtendVolume "007" "extend volume"
        CreateVolume "008" "create volume from backend storage"
        CreateSnapshot "009" "create snapshot"
        DeleteSnapshot "010" "delete snapshot"
        CreateBackup "013" "create backup"
        DeleteBackup "014" "delete backup"
        RestoreBackup "015" "restore backup"
    }
}

numbered! {
    /// What came of it.
    Detail {
        Unknown "001" "An unknown error occurred."
        NoBackend "003" "Could not find any available weighted backend."
        ExtendFailed "010" "Volume Driver failed to extend volume."
        CreateFailed "012" "Driver failed to create the volume."
        SnapshotCreateFailed "013" "Snapshot failed to create."
        SnapshotDeleteFailed "016" "Snapshot failed to delete."
        BackupCreateFailed "020" "Backup driver failed to create backup."
        AttachFailed "021" "Failed to attach volume."
        DetachFailed "022" "Failed to detach volume."
        BackupDeleteFailed "025" "Backup driver failed to delete backup."
        BackupRestoreFailed "026" "Backup driver failed to restore backup."
    }
}

/// What a message says has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// What was being done; `None` for what Cinder has no number for.
    pub action: Option<Action>,
    /// What came of it.
    pub detail: Detail,
}

impl Event {
    /// The event's id for a resource.
    pub fn id(self, resource: Resource) -> String {
        match self.action {
            Some(action) => format!(
                "VOLUME_{}_{}_{}",
                resource.as_str(),
                action.number(),
                self.detail.number()
            ),
            // Cinder's id, from before actions had numbers, of an error of which nothing more is known.
            None => "VOLUME_000001".to_owned(),
        }
    }

    /// Cinder's fixed sentence.
    pub fn sentence(self) -> String {
        match self.action {
            Some(action) => format!("{}:{}", action.words(), self.detail.words()),
            None => Detail::Unknown.words().to_owned(),
        }
    }
}

/// A message as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Whose it is: who asked for what went wrong.
    pub project_id: String,
    /// The request that began it.
    pub request_id: String,
    /// Cinder's word for what it is about.
    pub resource_type: String,
    /// What it is about.
    pub resource_uuid: String,
    /// Cinder's id of what happened.
    pub event_id: String,
    /// How bad it is; `ERROR`.
    pub message_level: String,
    /// Cinder's sentence, then ours.
    pub user_message: String,
    /// When it happened.
    pub created_at: Time,
    /// Until when it is kept.
    pub guaranteed_until: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cinders() {
        let event = Event {
            action: Some(Action::ScheduleVolume),
            detail: Detail::NoBackend,
        };
        assert_eq!(event.id(Resource::Volume), "VOLUME_VOLUME_001_003");
        assert_eq!(
            event.sentence(),
            "schedule allocate volume:Could not find any available weighted backend."
        );
        let unknown = Event {
            action: None,
            detail: Detail::DetachFailed,
        };
        assert_eq!(unknown.id(Resource::Snapshot), "VOLUME_000001");
        assert_eq!(unknown.sentence(), "An unknown error occurred.");
    }
}
