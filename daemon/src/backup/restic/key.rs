//! A store's password, and the directory where this Ashlar keeps what it knows of its stores.
//!
//! A password is made once, before the repository that it opens. Where a repository is and its password is not, none is
//! made: it would be one that opens nothing.

use super::Settings;
use crate::backup::worker::lock;
use crate::backup::worker::pipe::Failure;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Random bytes of a password that is made here: more than can be guessed, and than can be remembered.
const RANDOM_BYTES: usize = 32;
/// A password file is a line, not an image.
const PASSWORD_LEN_MAX: u64 = 64 << 10;

/// A repository as a worker finds it.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::backup) struct Place {
    /// The store's name.
    pub(in crate::backup) store: String,
    /// The repository's directory.
    pub(in crate::backup) directory: PathBuf,
    /// Opens it.
    pub(in crate::backup) password: String,
    /// Where locks and what is known of the store are kept, between workers and across restarts.
    pub(in crate::backup) keep: PathBuf,
    /// How long what nobody needs stays before it is deleted. Zero is only right when nobody else uses the repository:
    /// then it is deleted at once, while no other job runs.
    pub(in crate::backup) keep_deleted_s: u64,
}

/// Without the password.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("store", &self.store)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// What a worker is told of the store.
pub(super) fn place(settings: &Settings) -> Result<Place, Failure> {
    let name = &settings.name;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(is_plain) {
        let why = format!("{name:?} is no name for a store: use letters, digits, -, _ and .");
        return Err(Failure::Unavailable(why));
    }
    let keep = lock::keep(&settings.state_dir)?;
    let made_here = keep.join(format!("{name}.key"));
    let path = settings.password_file.as_ref().unwrap_or(&made_here);
    if settings.password_file.is_none() && !is_there(path)? {
        let config = settings.directory.join("config");
        if is_there(&config)? {
            return Err(Failure::WrongKey(format!(
                "{} is not there; put the repository's password into it",
                path.display()
            )));
        }
        make(&keep, path).map_err(|error| unusable(path, &error))?;
    }
    Ok(Place {
        store: name.clone(),
        directory: settings.directory.clone(),
        password: read(path)?,
        keep,
        keep_deleted_s: settings.keep_deleted.as_secs(),
    })
}

fn read(path: &Path) -> Result<String, Failure> {
    use std::io::Read as _;
    let wrong = |why: String| Failure::WrongKey(format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut text = String::new();
    let read = file.take(PASSWORD_LEN_MAX).read_to_string(&mut text);
    read.map_err(|error| wrong(error.to_string()))?;
    match text.lines().next().map(str::trim) {
        Some(password) if !password.is_empty() => Ok(password.to_owned()),
        Some(_) | None => Err(wrong("its first line is empty".to_owned())),
    }
}

/// Makes a password at `path`, unless somebody else was faster.
fn make(keep: &Path, path: &Path) -> io::Result<()> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    password.push('\n');
    let temporary = PathBuf::from(format!("{}.{}", path.display(), uuid::Uuid::new_v4()));
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    let written = file
        .write_all(password.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => Ok(()),
        });
    fs::remove_file(&temporary)?;
    written?;
    File::open(keep)?.sync_all()
}

fn is_there(path: &Path) -> Result<bool, Failure> {
    path.try_exists().map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::Unavailable(format!("{} cannot be used: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_password_is_made_once_and_only_before_its_repository() {
        let top = tempfile::tempdir().unwrap();
        let settings = Settings {
            name: "one".to_owned(),
            directory: top.path().join("store"),
            password_file: None,
            state_dir: top.path().join("state"),
            bytes_per_s: 0,
            keep_deleted: Settings::KEEP_DELETED,
        };
        fs::create_dir(&settings.directory).unwrap();
        let made = place(&settings).unwrap();
        assert_eq!(made.password.len(), 2 * RANDOM_BYTES);
        assert!(!format!("{made:?}").contains(&made.password));
        let file = settings.state_dir.join("backup/one.key");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(settings.state_dir.join("backup"))
                .unwrap()
                .count(),
            1
        );
        assert_eq!(place(&settings).unwrap().password, made.password);
        fs::remove_file(&file).unwrap();
        fs::write(settings.directory.join("config"), "x").unwrap();
        assert!(matches!(place(&settings), Err(Failure::WrongKey(_))));
        let given = Settings {
            password_file: Some(top.path().join("given")),
            ..settings.clone()
        };
        assert!(matches!(place(&given), Err(Failure::WrongKey(_))));
        fs::write(top.path().join("given"), "secret \nmore").unwrap();
        assert_eq!(place(&given).unwrap().password, "secret");
        let odd = Settings {
            name: "../x".to_owned(),
            ..given
        };
        assert!(matches!(place(&odd), Err(Failure::Unavailable(_))));
    }
}
