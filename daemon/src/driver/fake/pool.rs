//! What the fake holds: names and stamps instead of bytes, in memory and, when asked, in a small file that outlives
//! a SIGKILL.
//!
//! A volume that is asked for its device gets one with real bytes, its stamps: a sparse file, or a memory file of this
//! process. What hosts write there changes no stamps, and is what another pool reads when the volume moves.
//!
//! Names are those of the file driver (`volumes/volume-<uuid>`, `partial/...`, `trash/...`), so that leak checks read
//! the same on both.

use rustix::fs::{MemfdFlags, SeekFrom};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// One line a change, the last one of a name counts. Appending keeps a change as cheap in a full pool as in an empty.
const LOG: &str = "fake.jsonl";
const BLOCK_BYTES: usize = 4096;

/// An object: its length, and a stamp for each block of 4096 bytes that is not zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) len_bytes: u64,
    pub(super) blocks: BTreeMap<u64, u64>,
}

impl Content {
    /// What a device holds, whoever made it: of each block that is not zero, its first word.
    pub(super) fn of_device(path: &Path) -> io::Result<Self> {
        let file = fs::File::open(path)?;
        let len_bytes = rustix::fs::seek(&file, SeekFrom::End(0))?;
        let mut blocks = BTreeMap::new();
        let mut buffer = [0; BLOCK_BYTES];
        let mut at = 0;
        while at < len_bytes {
            // What knows no holes is looked through from here on.
            at = match rustix::fs::seek(&file, SeekFrom::Data(at)) {
                Ok(data) => data - data % BLOCK_BYTES as u64,
                Err(Errno::INVAL) => at,
                Err(Errno::NXIO) => break,
                Err(error) => return Err(error.into()),
            };
            file.read_exact_at(&mut buffer, at)?;
            let words = buffer
                .chunks_exact(8)
                .filter_map(|word| word.try_into().ok());
            if let Some(stamp) = words.map(u64::from_le_bytes).find(|word| *word != 0) {
                blocks.insert(at / BLOCK_BYTES as u64, stamp);
            }
            at += BLOCK_BYTES as u64;
        }
        Ok(Self { len_bytes, blocks })
    }

    /// Lays the stamps into a new device.
    fn stamp(&self, file: &fs::File) -> io::Result<()> {
        for (block, stamp) in &self.blocks {
            let bytes = stamp.to_le_bytes().repeat(BLOCK_BYTES / 8);
            file.write_all_at(&bytes, block * BLOCK_BYTES as u64)?;
        }
        Ok(())
    }
}

/// A line of the log: what is under a name from now on.
#[derive(Serialize, Deserialize)]
struct Line {
    name: String,
    content: Option<Content>,
}

/// Objects by name, with what a change replaced.
#[derive(Debug, Default)]
pub(super) struct Objects {
    by_name: BTreeMap<String, Content>,
    replaced: Vec<(String, Option<Content>)>,
}

impl Objects {
    pub(super) fn get(&self, name: &str) -> Option<&Content> {
        self.by_name.get(name)
    }

    pub(super) fn contains_key(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.by_name.keys()
    }

    pub(super) fn insert(&mut self, name: String, content: Content) {
        let old = self.by_name.insert(name.clone(), content);
        self.replaced.push((name, old));
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Content> {
        let old = self.by_name.remove(name)?;
        self.replaced.push((name.to_owned(), Some(old.clone())));
        Some(old)
    }

    /// What the changes since the last call come to, as lines of the log.
    fn lines(&self) -> io::Result<Vec<u8>> {
        let mut lines = Vec::new();
        for (name, _) in &self.replaced {
            let line = Line {
                name: name.clone(),
                content: self.by_name.get(name).cloned(),
            };
            serde_json::to_writer(&mut lines, &line).map_err(io::Error::other)?;
            lines.push(b'\n');
        }
        Ok(lines)
    }

    fn take_back(&mut self) {
        while let Some((name, old)) = self.replaced.pop() {
            match old {
                Some(content) => self.by_name.insert(name, content),
                None => self.by_name.remove(&name),
            };
        }
    }
}

/// All objects of the fake, and where they are kept.
#[derive(Debug, Default)]
pub(super) struct FakePool {
    objects: Objects,
    kept: Option<(PathBuf, fs::File)>,
    /// Devices of volumes, where there is no directory for them.
    in_memory: BTreeMap<String, fs::File>,
}

impl FakePool {
    /// Reads what an earlier process left in `directory`, and leaves out what was replaced since.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let mut objects = read(&directory.join(LOG))?;
        for (name, content) in objects.by_name.clone() {
            objects.insert(name, content);
        }
        let temporary = directory.join("fake.jsonl.new");
        fs::write(&temporary, objects.lines()?)?;
        fs::rename(&temporary, directory.join(LOG))?;
        objects.replaced.clear();
        // No fsync: the fake outlives its process, not its machine.
        let log = fs::OpenOptions::new()
            .append(true)
            .open(directory.join(LOG))?;
        let kept = Some((directory.to_owned(), log));
        Ok(Self {
            objects,
            kept,
            in_memory: BTreeMap::new(),
        })
    }

    pub(super) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Changes the objects; the change is kept, or an error says why not and nothing is changed.
    pub(super) fn change<T>(&mut self, act: impl FnOnce(&mut Objects) -> T) -> io::Result<T> {
        let value = act(&mut self.objects);
        let kept = match &mut self.kept {
            Some((directory, log)) => keep(&self.objects, directory, log),
            None => {
                let is_there = |name: &String| {
                    let homes = ["volumes", "snapshots"].map(|home| format!("{home}/{name}"));
                    homes.iter().any(|one| self.objects.contains_key(one))
                };
                self.in_memory.retain(|name, _| is_there(name));
                Ok(())
            }
        };
        match kept {
            Ok(()) => self.objects.replaced.clear(),
            Err(error) => {
                self.objects.take_back();
                return Err(error);
            }
        }
        Ok(value)
    }

    /// Takes a snapshot's device away; whether there was one.
    pub(super) fn close(&mut self, file_name: &str) -> io::Result<bool> {
        let Some((directory, _)) = &self.kept else {
            return Ok(self.in_memory.remove(file_name).is_some());
        };
        match fs::remove_file(directory.join(file_name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A volume's device, so that a target can open it, or a snapshot's; made when it is first asked for.
    pub(super) fn device(&mut self, file_name: &str, content: &Content) -> io::Result<PathBuf> {
        let Some((directory, _)) = &self.kept else {
            if !self.in_memory.contains_key(file_name) {
                let made = rustix::fs::memfd_create(file_name, MemfdFlags::CLOEXEC)?;
                let file = fs::File::from(made);
                content.stamp(&file)?;
                self.in_memory.insert(file_name.to_owned(), file);
            }
            let found = self.in_memory.get(file_name);
            let file = found.ok_or(io::ErrorKind::NotFound)?;
            grow(file, content.len_bytes)?;
            return Ok(format!("/proc/self/fd/{}", file.as_raw_fd()).into());
        };
        let path = directory.join(file_name);
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        if file.metadata()?.len() == 0 {
            content.stamp(&file)?;
        }
        grow(&file, content.len_bytes)?;
        Ok(path)
    }
}

fn read(log: &Path) -> io::Result<Objects> {
    let mut objects = Objects::default();
    let text = match fs::read_to_string(log) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(objects),
        Err(error) => return Err(error),
    };
    // What follows the last line's end was being written when the process was killed: nobody was told of it.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.lines() {
        let line: Line = serde_json::from_str(line).map_err(io::Error::other)?;
        match line.content {
            Some(content) => objects.by_name.insert(line.name, content),
            None => objects.by_name.remove(&line.name),
        };
    }
    Ok(objects)
}

fn keep(objects: &Objects, directory: &Path, log: &mut fs::File) -> io::Result<()> {
    log.write_all(&objects.lines()?)?;
    for (name, _) in &objects.replaced {
        let Some(file_name) = name.strip_prefix("volumes/") else {
            continue;
        };
        let path = directory.join(file_name);
        match objects.get(name) {
            // Hosts that use it see it grow; who has no device yet gets one when it is asked for.
            Some(content) => match fs::OpenOptions::new().write(true).open(&path) {
                Ok(file) => grow(&file, content.len_bytes)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            },
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            },
        }
    }
    Ok(())
}

fn grow(file: &fs::File, len_bytes: u64) -> io::Result<()> {
    if file.metadata()?.len() < len_bytes {
        file.set_len(len_bytes)?;
    }
    Ok(())
}
