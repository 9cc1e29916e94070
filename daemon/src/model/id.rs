//! Typed ids: a snapshot's id cannot be passed where a volume's is wanted.
//!
//! All are random UUIDs (version 4), as Cinder's are, printed in lower case with hyphens.

use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The text was not a UUID; a client that sent it asked for an object that cannot exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct NotAnId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh random id.
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The bare UUID, for what is derived from it (serial numbers, file names).
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                // Only the hyphenated form: braces, URNs and bare hex are other spellings of one id, and an
                // object must have one name.
                if text.len() != 36 {
                    return Err(NotAnId);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| NotAnId)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.hyphenated())
            }
        }
    )+};
}

ids! {
    /// An iSCSI session of the target, for as long as it lasts.
    SessionId
    /// An offer of a volume to another project.
    TransferId
    /// A volume.
    VolumeId
    /// A snapshot of a volume.
    SnapshotId
    /// A copy of a volume in a backup store.
    BackupId
    /// A backup set: which volumes are backed up when.
    BackupSetId
    /// One run of a backup set.
    BackupRunId
    /// An attachment: one host's claim on a volume.
    AttachmentId
    /// A volume type.
    VolumeTypeId
    /// Quality of service specs.
    QosSpecsId
    /// What a volume type says of encryption.
    EncryptionId
    /// An operation in the journal.
    OperationId
    /// An access token (not its secret).
    TokenId
    /// A service: a role of a daemon, as Cinder's clients know it.
    ServiceId
    /// A message: why something that was accepted went wrong.
    MessageId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_only() {
        let id = VolumeId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().to_uppercase().parse::<VolumeId>().is_ok());
        for bad in [
            "",
            "x",
            "{67e55044-10b1-426f-9247-bb680e5fe0c8}",
            "67e5504410b1426f9247bb680e5fe0c8",
        ] {
            assert_eq!(bad.parse::<VolumeId>(), Err(NotAnId), "{bad}");
        }
    }
}
