//! The kernel's target as a tree of directories, links and attributes: the only place that touches configfs.
//!
//! A `mkdir` makes an object with its attributes, a write sets one, a link joins two objects, an `rmdir` removes one.
//! The kernel may block in any of them, an `rmdir` while it waits for a session's commands (targetcli-fb issues 178 and
//! 195: for ever). So each runs in a thread of its own with a deadline; one that is stuck costs that thread and its
//! object, and nothing else waits for it.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where the kernel's target is.
pub const ROOT: &str = "/sys/kernel/config/target";
/// A session's commands end within the initiator's own timeouts, 30 s at most as it is usually set.
const DEADLINE: Duration = Duration::from_secs(60);
/// An attribute is at most a page.
const ATTRIBUTE_LEN_MAX: usize = 4096;

/// The acts, each on a path relative to the root.
pub trait Configfs: Send + Sync + 'static {
    /// Makes an object.
    fn mkdir(&self, path: &Path) -> io::Result<()>;
    /// Removes an object.
    fn rmdir(&self, path: &Path) -> io::Result<()>;
    /// Sets an attribute, exactly to `value`: the kernel keeps a line's end in names and secrets.
    fn write(&self, path: &Path, value: &[u8]) -> io::Result<()>;
    /// An attribute, without its line's end.
    fn read(&self, path: &Path) -> io::Result<String>;
    /// Joins the object `to` into the object that `link` is in.
    fn link(&self, to: &Path, link: &Path) -> io::Result<()>;
    /// Takes a link out.
    fn unlink(&self, link: &Path) -> io::Result<()>;
    /// What is in an object.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
}

/// Something in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// An object, or a group of them.
    Directory,
    /// A link to an object.
    Link,
    /// An attribute that may be set.
    Writable,
    /// An attribute that only tells.
    ReadOnly,
}

/// The kernel's.
#[derive(Debug, Clone)]
pub struct Mounted {
    root: PathBuf,
}

impl Mounted {
    /// The tree below `root`.
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }
}

impl Configfs for Mounted {
    fn mkdir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(self.root.join(path))
    }

    fn rmdir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(self.root.join(path))
    }

    fn write(&self, path: &Path, value: &[u8]) -> io::Result<()> {
        use std::io::Write as _;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .open(self.root.join(path))?;
        // In one call: each is one setting to the kernel.
        match file.write(value)? {
            written if written == value.len() => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        let file = std::fs::File::open(self.root.join(path))?;
        file.take(ATTRIBUTE_LEN_MAX as u64)
            .read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.trim_end_matches('\n').to_owned())
    }

    fn link(&self, to: &Path, link: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(self.root.join(to), self.root.join(link))
    }

    fn unlink(&self, link: &Path) -> io::Result<()> {
        std::fs::remove_file(self.root.join(link))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        use std::os::unix::fs::PermissionsExt as _;
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(self.root.join(path))? {
            let entry = entry?;
            let told = entry.metadata()?;
            let kind = match entry.file_type()? {
                kind if kind.is_symlink() => EntryKind::Link,
                kind if kind.is_dir() => EntryKind::Directory,
                _ if told.permissions().mode() & 0o200 != 0 => EntryKind::Writable,
                _ => EntryKind::ReadOnly,
            };
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry { name, kind });
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }
}

/// A tree whose acts have deadlines. Cheap to clone.
#[derive(Clone)]
pub struct Tree {
    configfs: Arc<dyn Configfs>,
    /// Objects on which a thread is still stuck: they are left alone until it comes back.
    stuck: Arc<Mutex<BTreeSet<PathBuf>>>,
    deadline: Duration,
}

impl Tree {
    /// A tree over `configfs`.
    pub fn over(configfs: Arc<dyn Configfs>) -> Self {
        Self {
            configfs,
            stuck: Arc::default(),
            deadline: DEADLINE,
        }
    }

    #[cfg(test)]
    pub(super) fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Makes an object unless it is there; whether it was made.
    pub async fn mkdir(&self, path: &Path) -> io::Result<bool> {
        let made = self.run(path, |configfs, path| configfs.mkdir(path)).await;
        unless(made, io::ErrorKind::AlreadyExists)
    }

    /// Removes an object if it is there; whether it was.
    pub async fn rmdir(&self, path: &Path) -> io::Result<bool> {
        let removed = self.run(path, |configfs, path| configfs.rmdir(path)).await;
        unless(removed, io::ErrorKind::NotFound)
    }

    /// Sets an attribute.
    pub async fn write(&self, path: &Path, value: &str) -> io::Result<()> {
        let value = value.as_bytes().to_vec();
        self.run(path, move |configfs, path| configfs.write(path, &value))
            .await
    }

    /// An attribute; `None` when its object is not there.
    pub async fn read(&self, path: &Path) -> io::Result<Option<String>> {
        absent(self.run(path, |configfs, path| configfs.read(path)).await)
    }

    /// Links unless it is so; whether it was made.
    pub async fn link(&self, to: &Path, link: &Path) -> io::Result<bool> {
        let to = to.to_owned();
        let made = self
            .run(link, move |configfs, link| configfs.link(&to, link))
            .await;
        unless(made, io::ErrorKind::AlreadyExists)
    }

    /// Takes a link out if it is there.
    pub async fn unlink(&self, link: &Path) -> io::Result<bool> {
        let taken = self.run(link, |configfs, link| configfs.unlink(link)).await;
        unless(taken, io::ErrorKind::NotFound)
    }

    /// What is in an object; `None` when it is not there.
    pub async fn list(&self, path: &Path) -> io::Result<Option<Vec<Entry>>> {
        absent(self.run(path, |configfs, path| configfs.list(path)).await)
    }

    /// The names of the objects in an object; none when it is not there.
    pub async fn objects(&self, path: &Path) -> io::Result<Vec<String>> {
        let entries = self.list(path).await?.unwrap_or_default();
        let objects = entries
            .into_iter()
            .filter(|entry| entry.kind == EntryKind::Directory);
        Ok(objects.map(|entry| entry.name).collect())
    }

    async fn run<T: Send + 'static>(
        &self,
        path: &Path,
        act: impl FnOnce(&dyn Configfs, &Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        if self.is_blocked(path) {
            let why = format!(
                "the kernel has not finished an earlier act on {} or in it",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        let (configfs, stuck, own) = (self.configfs.clone(), self.stuck.clone(), path.to_owned());
        let (answer, mut answered) = tokio::sync::oneshot::channel();
        // A thread of its own rather than one of a pool: whoever blocks in the kernel must not use the pool up.
        std::thread::Builder::new()
            .name("configfs".to_owned())
            .spawn(move || {
                let done = act(configfs.as_ref(), &own);
                // Under the lock, so that who gives up at this instant either hears it or is taken off the list.
                let mut stuck = stuck.lock().unwrap_or_else(PoisonError::into_inner);
                stuck.remove(&own);
                let _unheard = answer.send(done);
            })?;
        match tokio::time::timeout(self.deadline, &mut answered).await {
            Ok(Ok(done)) => done,
            Ok(Err(_gone)) => Err(io::Error::other("the thread ended early")),
            Err(_elapsed) => {
                let mut stuck = self.stuck();
                if let Ok(done) = answered.try_recv() {
                    return done;
                }
                stuck.insert(path.to_owned());
                let waited_s = self.deadline.as_secs();
                let why = format!(
                    "the kernel did not finish with {} within {waited_s} s; a host's command may be stuck below it",
                    path.display()
                );
                Err(io::Error::new(io::ErrorKind::TimedOut, why))
            }
        }
    }

    /// An object that is being removed is locked, and so is the one that it is in.
    fn is_blocked(&self, path: &Path) -> bool {
        let blocks = |stuck: &PathBuf| path.starts_with(stuck) || stuck.parent() == Some(path);
        self.stuck().iter().any(blocks)
    }

    fn stuck(&self) -> std::sync::MutexGuard<'_, BTreeSet<PathBuf>> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unless(done: io::Result<()>, kind: io::ErrorKind) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == kind => Ok(false),
        Err(error) => Err(error),
    }
}

fn absent<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree in a directory whose `rmdir` waits until it is let go, as the kernel's does below a stuck command.
    struct Blocking {
        tree: Mounted,
        let_go: Mutex<std::sync::mpsc::Receiver<()>>,
    }

    impl Configfs for Blocking {
        fn mkdir(&self, path: &Path) -> io::Result<()> {
            self.tree.mkdir(path)
        }

        fn rmdir(&self, path: &Path) -> io::Result<()> {
            let let_go = self
                .let_go
                .lock()
                .map_err(|_poisoned| io::ErrorKind::Other)?;
            let_go.recv().map_err(io::Error::other)?;
            self.tree.rmdir(path)
        }

        fn write(&self, path: &Path, value: &[u8]) -> io::Result<()> {
            self.tree.write(path, value)
        }

        fn read(&self, path: &Path) -> io::Result<String> {
            self.tree.read(path)
        }

        fn link(&self, to: &Path, link: &Path) -> io::Result<()> {
            self.tree.link(to, link)
        }

        fn unlink(&self, link: &Path) -> io::Result<()> {
            self.tree.unlink(link)
        }

        fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
            self.tree.list(path)
        }
    }

    #[tokio::test]
    async fn a_blocked_removal_blocks_nothing_else() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let (go, let_go) = std::sync::mpsc::channel();
        let blocking = Blocking {
            tree: Mounted::at(root.path()),
            let_go: Mutex::new(let_go),
        };
        let tree = Tree::over(Arc::new(blocking)).with_deadline(Duration::from_millis(500));
        let (stuck, other) = (Path::new("stuck"), Path::new("other"));
        assert!(tree.mkdir(stuck).await?);

        let given_up = tree.rmdir(stuck).await.map_err(|error| error.kind());
        assert_eq!(given_up, Err(io::ErrorKind::TimedOut));
        // What is stuck is left alone, at once; what is not is served.
        let again = tree.rmdir(stuck).await.map_err(|error| error.to_string());
        assert!(again.is_err_and(|why| why.contains("has not finished an earlier act")));
        assert!(tree.mkdir(other).await?);

        go.send(()).map_err(io::Error::other)?;
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while tree.mkdir(stuck).await.is_err() {
            assert!(std::time::Instant::now() < deadline, "never let go");
            tokio::task::yield_now().await;
        }
        assert_eq!(tree.objects(Path::new("")).await?, ["other", "stuck"]);
        Ok(())
    }
}
