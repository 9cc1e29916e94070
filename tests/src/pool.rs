//! What lies in a file pool's directory.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::Result;

const IMPORT: &str = "import/";

/// A file of the pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its path below the pool.
    pub path: String,
    /// Its length.
    pub len_bytes: u64,
    /// What it takes on the disk.
    pub allocated_bytes: u64,
}

/// Every file of the pool, at any depth, in order.
pub fn entries(pool: &Path) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    walk(pool, pool, &mut found)?;
    found.sort();
    Ok(found)
}

/// The paths of every file of the pool; what lies in `import/` is the administrator's and not the pool's.
pub fn names(pool: &Path) -> Result<BTreeSet<String>> {
    let paths = entries(pool)?.into_iter().map(|entry| entry.path);
    Ok(paths.filter(|path| !path.starts_with(IMPORT)).collect())
}

/// The names of what an administrator laid into `import/`, or got back there.
pub fn foreign(pool: &Path) -> Result<BTreeSet<String>> {
    let paths = entries(pool)?.into_iter().map(|entry| entry.path);
    let name = |path: String| path.strip_prefix(IMPORT).map(str::to_owned);
    Ok(paths.filter_map(name).collect())
}

/// The UUIDs that the names of the pool's files hold.
pub fn ids(pool: &Path) -> Result<BTreeSet<String>> {
    Ok(names(pool)?.iter().filter_map(|name| id_in(name)).collect())
}

/// The first UUID in a name.
pub fn id_in(name: &str) -> Option<String> {
    const LEN: usize = 36;
    (0..name.len().saturating_sub(LEN - 1)).find_map(|start| {
        let part = name.get(start..start + LEN)?;
        uuid::Uuid::try_parse(part).ok().map(|_| part.to_owned())
    })
}

fn walk(top: &Path, dir: &Path, found: &mut Vec<Entry>) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = match entry.metadata() {
            Ok(meta) => meta,
            // The pool is alive: a file may go between the listing and the look.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        if meta.is_dir() {
            walk(top, &entry.path(), found)?;
            continue;
        }
        let path = entry.path();
        let path = path.strip_prefix(top)?.to_string_lossy().into_owned();
        found.push(Entry {
            path,
            len_bytes: meta.len(),
            allocated_bytes: meta.blocks() * 512,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_inside_names() {
        let id = "0b5d4c5e-0000-4000-8000-000000000001";
        assert_eq!(id_in(&format!("volume-{id}.raw")).as_deref(), Some(id));
        assert_eq!(id_in("volume-x"), None);
        assert_eq!(id_in(""), None);
    }
}
