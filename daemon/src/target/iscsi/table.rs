//! The persisted export table: what survives a SIGKILL of the target, secrets included. A file of
//! mode 0600 in a directory of mode 0700, replaced as a whole (written beside, synced, renamed, the
//! directory synced), so that a crash leaves the old table or the new one.

use super::limits::TABLE_LEN_MAX;
use crate::target::{Chap, Credentials};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;
use uuid::Uuid;

/// Layout of the file; a later layout gets another number, and an unknown one is refused.
const VERSION: u32 = 1;
const NAME: &str = "exports.json";
const NAME_BESIDE: &str = "exports.json.new";

/// Why the table could not be read or written.
#[derive(Debug, Error)]
pub enum TableError {
    /// The file system failed.
    #[error("the export table {path} could not be {doing}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Its reason.
        #[source]
        source: io::Error,
    },
    /// The file is not what we write.
    #[error("the export table {path} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was noticed.
        #[source]
        source: serde_json::Error,
    },
    /// The file is a later version's.
    #[error("the export table {path} has version {version}, this program reads version {VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        version: u32,
    },
}

/// A secret that may be written to the table and sent over the control socket, and nowhere else.
#[derive(Debug, Clone)]
pub struct Secret(pub SecretString);

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (one, other) = (
            self.0.expose_secret().as_bytes(),
            other.0.expose_secret().as_bytes(),
        );
        bool::from(subtle::ConstantTimeEq::ct_eq(one, other))
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// CHAP credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChapRecord {
    /// The user.
    pub user: String,
    /// Its secret.
    pub secret: Secret,
}

impl ChapRecord {
    /// As the table keeps them.
    pub fn of(user: &str, secret: &SecretString) -> Self {
        Self {
            user: user.to_owned(),
            secret: Secret(secret.clone()),
        }
    }

    fn to_credentials(&self) -> Credentials {
        Credentials {
            user: self.user.clone(),
            secret: self.secret.0.clone(),
        }
    }
}

/// One initiator's right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRecord {
    /// Its IQN, lower case.
    pub initiator: String,
    /// What it proves.
    pub chap: ChapRecord,
    /// What we prove to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutual: Option<ChapRecord>,
    /// Whether its writes are refused.
    #[serde(default)]
    pub read_only: bool,
}

impl AccessRecord {
    /// As the login wants it.
    pub fn to_chap(&self) -> Chap {
        let Credentials { user, secret } = self.chap.to_credentials();
        Chap {
            user,
            secret,
            mutual: self.mutual.as_ref().map(ChapRecord::to_credentials),
        }
    }
}

/// One export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportRecord {
    /// The volume.
    pub volume_id: Uuid,
    /// The file or device served.
    pub path: PathBuf,
    /// How much of it.
    pub len_bytes: u64,
    /// Who may.
    pub access: Vec<AccessRecord>,
}

/// The whole table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    version: u32,
    /// Every export.
    pub exports: Vec<ExportRecord>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            version: VERSION,
            exports: Vec::new(),
        }
    }
}

impl Table {
    /// Reads the table of a directory; none is an empty one.
    pub fn load(dir: &Path) -> Result<Self, TableError> {
        let path = dir.join(NAME);
        let failed = |source| TableError::Io {
            path: path.clone(),
            doing: "read",
            source,
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        let mut text = String::new();
        file.take(TABLE_LEN_MAX)
            .read_to_string(&mut text)
            .map_err(failed)?;
        let damaged = |source| TableError::Damaged {
            path: path.clone(),
            source,
        };
        // The version first: a later layout may have fields that we do not know.
        let head: Head = serde_json::from_str(&text).map_err(damaged)?;
        if head.version != VERSION {
            return Err(TableError::Version {
                path,
                version: head.version,
            });
        }
        serde_json::from_str(&text).map_err(damaged)
    }

    /// Replaces the table of a directory; on return it survives a power cut.
    pub fn save(&self, dir: &Path) -> Result<(), TableError> {
        let path = dir.join(NAME);
        let failed = |source| TableError::Io {
            path: path.clone(),
            doing: "written",
            source,
        };
        let text = serde_json::to_vec_pretty(self).map_err(|source| TableError::Damaged {
            path: path.clone(),
            source,
        })?;
        if text.len() as u64 > TABLE_LEN_MAX {
            // It could not be read back.
            return Err(failed(io::ErrorKind::FileTooLarge.into()));
        }
        replace(dir, &text).map_err(failed)
    }
}

#[derive(Deserialize)]
struct Head {
    version: u32,
}

fn replace(dir: &Path, text: &[u8]) -> io::Result<()> {
    let beside = dir.join(NAME_BESIDE);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&beside, dir.join(NAME))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{AccessRecord, ChapRecord, ExportRecord, Secret, Table, TableError};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_table_comes_back_with_its_secrets_and_shows_them_to_nobody() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Table::load(dir.path()).unwrap(), Table::default());
        let chap = ChapRecord {
            user: "user".into(),
            secret: Secret("hidden-secret".into()),
        };
        let access = AccessRecord {
            initiator: "iqn.a".into(),
            chap,
            mutual: None,
            read_only: true,
        };
        let export = ExportRecord {
            volume_id: uuid::Uuid::from_u128(7),
            path: "/volumes/a".into(),
            len_bytes: 1024,
            access: vec![access],
        };
        let table = Table {
            exports: vec![export],
            ..Table::default()
        };
        table.save(dir.path()).unwrap();
        assert_eq!(Table::load(dir.path()).unwrap(), table);
        let mode = std::fs::metadata(dir.path().join("exports.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{table:?}").contains("hidden-secret"));
    }

    #[test]
    fn a_later_version_and_a_damaged_file_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exports.json");
        std::fs::write(&path, r#"{"version":2,"news":1}"#).unwrap();
        assert!(matches!(
            Table::load(dir.path()),
            Err(TableError::Version { version: 2, .. })
        ));
        std::fs::write(&path, r#"{"version":1,"exp"#).unwrap();
        assert!(matches!(
            Table::load(dir.path()),
            Err(TableError::Damaged { .. })
        ));
    }
}
