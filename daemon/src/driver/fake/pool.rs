//! What the fake holds: names and stamps instead of bytes, in memory and, when asked, in a small file that outlives
//! a SIGKILL.
//!
//! Names are those of the file driver (`volumes/volume-<uuid>`, `partial/...`, `trash/...`), so that leak checks read
//! the same on both.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const STATE: &str = "fake.json";

/// An object: its length, and a stamp for each block of 4096 bytes that is not zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) len_bytes: u64,
    pub(super) blocks: BTreeMap<u64, u64>,
}

/// All objects of the fake, by name.
#[derive(Debug, Default)]
pub(super) struct FakePool {
    objects: BTreeMap<String, Content>,
    directory: Option<PathBuf>,
}

impl FakePool {
    /// Reads what an earlier process left in `directory`.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let objects = match fs::read(directory.join(STATE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        let directory = Some(directory.to_owned());
        Ok(Self { objects, directory })
    }

    pub(super) fn objects(&self) -> &BTreeMap<String, Content> {
        &self.objects
    }

    /// Changes the objects; the change is kept, or an error says why not and nothing is changed.
    pub(super) fn change<T>(
        &mut self,
        act: impl FnOnce(&mut BTreeMap<String, Content>) -> T,
    ) -> io::Result<T> {
        let mut changed = self.objects.clone();
        let value = act(&mut changed);
        if let Some(directory) = &self.directory {
            // No fsync: the fake outlives its process, not its machine.
            let temporary = directory.join("fake.json.new");
            fs::write(
                &temporary,
                serde_json::to_vec(&changed).map_err(io::Error::other)?,
            )?;
            fs::rename(&temporary, directory.join(STATE))?;
            make_devices(directory, &changed)?;
        }
        self.objects = changed;
        Ok(value)
    }

    /// Where a target finds a volume's (empty) file; it exists only when the fake has a directory.
    pub(super) fn device_path(&self, file_name: &str) -> PathBuf {
        match &self.directory {
            Some(directory) => directory.join(file_name),
            None => Path::new("/nonexistent/ashlar-fake").join(file_name),
        }
    }
}

/// Sparse files of the volumes' lengths, so that a target can open them. What hosts write there is not looked at.
fn make_devices(directory: &Path, objects: &BTreeMap<String, Content>) -> io::Result<()> {
    for (name, content) in objects {
        if let Some(file_name) = name.strip_prefix("volumes/") {
            let path = directory.join(file_name);
            let file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            if file.metadata()?.len() < content.len_bytes {
                file.set_len(content.len_bytes)?;
            }
        }
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let file_name = entry.file_name();
        let volume = file_name
            .to_str()
            .filter(|name| name.starts_with("volume-"));
        if volume.is_some_and(|name| !objects.contains_key(&format!("volumes/{name}"))) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
