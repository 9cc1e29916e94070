//! Real files for a real file system: the sources of this project, as an ext4 image, and back out of it again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use sha2::{Digest as _, Sha256};

use crate::{Result, cmd};

/// mkfs and e2fsck of a gigabyte that is mostly holes.
const E2FS_DEADLINE: Duration = Duration::from_secs(60);
/// What is not source: build results, the history, what a run leaves behind.
const NOT_SOURCES: &[&str] = &["target", ".git", "lost+found"];

/// SHA-256 of every file below a directory, by its path.
pub type Sums = BTreeMap<PathBuf, String>;

/// Copies the sources from `from` to `to`; returns how many files and bytes.
pub fn copy_sources(from: &Path, to: &Path) -> Result<(usize, u64)> {
    let (mut count, mut len_bytes) = (0, 0);
    for path in files(from)? {
        let copy = to.join(&path);
        if let Some(parent) = copy.parent() {
            std::fs::create_dir_all(parent)?;
        }
        len_bytes += std::fs::copy(from.join(&path), copy)?;
        count += 1;
    }
    ensure!(count > 0, "no sources in {}", from.display());
    Ok((count, len_bytes))
}

/// The sums of every file below `dir`.
pub fn sums(dir: &Path) -> Result<Sums> {
    let mut sums = Sums::new();
    for path in files(dir)? {
        let digest = Sha256::digest(std::fs::read(dir.join(&path))?);
        sums.insert(
            path,
            digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        );
    }
    Ok(sums)
}

/// A sparse raw image holding an ext4 file system with the files of `dir`.
pub fn make_ext4(image: &Path, len_bytes: u64, dir: &Path) -> Result<()> {
    std::fs::File::create(image)?.set_len(len_bytes)?;
    let mut command = cmd::program(cmd::find("mkfs.ext4")?);
    command
        .args(["-q", "-F", "-E", "root_owner,nodiscard", "-d"])
        .arg(dir)
        .arg(image);
    cmd::run_ok(&mut command, E2FS_DEADLINE).map(|_| ())
}

/// `e2fsck -fn`: clean, or an error with what it said.
pub fn check_ext4(image: &Path) -> Result<()> {
    let mut command = cmd::program(cmd::find("e2fsck")?);
    cmd::run_ok(command.args(["-f", "-n"]).arg(image), E2FS_DEADLINE).map(|_| ())
}

/// Takes every file out of an ext4 image, without mounting it.
pub fn dump_ext4(image: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    let mut command = cmd::program(cmd::find("debugfs")?);
    let request = format!("rdump / {}", to.display());
    cmd::run_ok(command.args(["-R", &request]).arg(image), E2FS_DEADLINE).map(|_| ())
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(dir, dir, &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(top: &Path, dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = entry.file_name();
        if NOT_SOURCES.iter().any(|other| name == *other) {
            continue;
        }
        if kind.is_dir() {
            walk(top, &entry.path(), found)?;
        } else if kind.is_file() {
            found.push(entry.path().strip_prefix(top)?.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_into_an_image_comes_out_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        std::fs::create_dir_all(source.join("deep/er")).unwrap();
        std::fs::write(source.join("a"), "one").unwrap();
        std::fs::write(source.join("deep/er/b"), vec![7; 100_000]).unwrap();
        let image = dir.path().join("image");
        make_ext4(&image, 16 << 20, &source).unwrap();
        check_ext4(&image).unwrap();
        let back = dir.path().join("back");
        dump_ext4(&image, &back).unwrap();
        assert_eq!(sums(&back).unwrap(), sums(&source).unwrap());
        std::fs::write(back.join("a"), "two").unwrap();
        assert_ne!(sums(&back).unwrap(), sums(&source).unwrap());
    }
}
