//! `import/`: where an administrator lays raw images to be taken over, and finds again what was handed back.
//!
//! The directory is opened once for each call, without following a link, and everything in it is named relative to
//! that: no name leads out of the pool. A file changes hands by one rename that never replaces anything, so that at
//! every instant it has one of its two names. Its content is never looked into: every file is a raw image.
//!
//! Failures: what is against taking a file over is said in words ([`DriverError::NotManageable`]) and leaves it where
//! it lies; an error after the rename renames it back.

use super::grow;
use super::jobs::Stop;
use super::layout::{Layout, Name};
use super::pool_file::{PoolFile, fault};
use crate::driver::manageable::{Manageable, is_plain};
use crate::driver::{Done, DriverError};
use crate::model::size::{GIB, Gib};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use std::path::Path;

/// More files than this are not listed: nobody looks through such a list, and it is kept as one text.
const IMPORTS_MAX: usize = 10_000;

/// What makes a file the same file, whatever it is called.
type Identity = (u64, u64);

/// The directory, open.
pub(super) struct Imports<'a> {
    layout: &'a Layout,
    directory: OwnedFd,
    /// The pool's file system: a rename does not lead into another.
    device: u64,
}

/// A file that was found there.
struct Found {
    manageable: Manageable,
    identity: Identity,
}

impl<'a> Imports<'a> {
    pub(super) fn open(layout: &'a Layout) -> Result<Self, DriverError> {
        let path = layout.imports();
        let failed = |error: Errno| {
            let object = path.display().to_string();
            fault(layout.pool(), "opening", &object, error.into())
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&path, flags, Mode::empty()).map_err(failed)?;
        let device = rustix::fs::stat(layout.root()).map_err(failed)?.st_dev;
        Ok(Self {
            layout,
            directory,
            device,
        })
    }

    /// Every file there, by name; hidden ones are the administrator's own business.
    pub(super) fn list(&self) -> Result<Vec<Manageable>, DriverError> {
        let failed = |error: Errno| self.failed("listing", error);
        let mut found = Vec::new();
        for entry in Dir::read_from(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Some(name) = entry
                .file_name()
                .to_str()
                .ok()
                .filter(|name| is_plain(name))
            else {
                continue;
            };
            if found.len() == IMPORTS_MAX {
                let why = std::io::Error::other(format!("more than {IMPORTS_MAX} files"));
                let object = self.layout.imports().display().to_string();
                return Err(fault(self.layout.pool(), "listing", &object, why));
            }
            // Gone since: nothing to tell of.
            if let Some(file) = self.look(name)? {
                found.push(file.manageable);
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// The file called `name`, if it can be taken over.
    fn find(&self, name: &str) -> Result<Found, DriverError> {
        let refused = |why: &str| DriverError::NotManageable {
            name: name.to_owned(),
            why: why.to_owned(),
        };
        if !is_plain(name) {
            return Err(refused(
                "this is no plain file name; name a file in the pool's directory import",
            ));
        }
        let found = self
            .look(name)?
            .ok_or_else(|| refused("it is not in the pool's directory import; put it there"))?;
        match &found.manageable.why_not {
            None => Ok(found),
            Some(why) => Err(refused(why)),
        }
    }

    fn look(&self, name: &str) -> Result<Option<Found>, DriverError> {
        let stat = match rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.failed("looking", error)),
        };
        let manageable = Manageable {
            name: name.to_owned(),
            len_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            why_not: self.why_not(&stat),
        };
        Ok(Some(Found {
            manageable,
            identity: (stat.st_dev, stat.st_ino),
        }))
    }

    fn why_not(&self, stat: &Stat) -> Option<String> {
        let own = rustix::process::geteuid();
        let say = |why: &str| Some(why.to_owned());
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Symlink {
            return say("it is a symbolic link; put the file itself there");
        }
        if kind != FileType::RegularFile {
            return say("it is not a regular file");
        }
        if stat.st_dev != self.device {
            return say("it lies on another file system than the pool; copy it");
        }
        if stat.st_nlink != 1 {
            return say(
                "it has other names (hard links) by which it could be changed; remove those",
            );
        }
        if stat.st_uid != own.as_raw() && !own.is_root() {
            return Some(format!(
                "it belongs to user {}; give it to user {}, as whom ashlard runs",
                stat.st_uid,
                own.as_raw()
            ));
        }
        match rounded_up(u64::try_from(stat.st_size).unwrap_or(0)) {
            Some(_) => None,
            None if stat.st_size <= 0 => say("it is empty"),
            None => say("it is larger than any volume"),
        }
    }

    /// Gives the file `name` the path `to`, where nothing is.
    fn take(&self, name: &str, to: &Path) -> Result<(), DriverError> {
        rustix::fs::renameat_with(&self.directory, name, CWD, to, RenameFlags::NOREPLACE)
            .map_err(|error| self.failed("taking over", error))
    }

    /// Gives the file at `from` the name `name` here; `false` when something else has that name.
    fn put(&self, from: &Path, name: &str) -> Result<bool, DriverError> {
        match rustix::fs::renameat_with(CWD, from, &self.directory, name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(self.failed("handing back", error)),
        }
    }

    /// The names in it are on the disk afterwards.
    fn sync(&self) -> Result<(), DriverError> {
        rustix::fs::fsync(&self.directory)
            .map_err(|error| self.failed("writing a directory to the disk", error))
    }

    fn failed(&self, doing: &'static str, error: Errno) -> DriverError {
        let object = self.layout.imports().display().to_string();
        fault(self.layout.pool(), doing, &object, error.into())
    }
}

/// The size in whole GiB that holds `len_bytes`; `None` for nothing and for more than any volume has.
fn rounded_up(len_bytes: u64) -> Option<Gib> {
    Gib::new(i64::try_from(len_bytes.div_ceil(GIB)).ok()?)
}

/// The size that `source` would have as a volume, or that `name` has already.
pub(super) fn measure(layout: &Layout, name: &Name, source: &str) -> Result<Gib, DriverError> {
    let len_bytes = match PoolFile::open(&layout.home(name), &name.text, layout.pool(), false) {
        Ok(file) => file.len_bytes()?,
        Err(DriverError::Absent { .. }) => {
            Imports::open(layout)?.find(source)?.manageable.len_bytes
        }
        Err(error) => return Err(error),
    };
    rounded_up(len_bytes).ok_or_else(|| DriverError::NotManageable {
        name: source.to_owned(),
        why: format!("{len_bytes} bytes are no size of a volume"),
    })
}

/// What a file is to be once it is ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) len_bytes: u64,
    pub(super) thick: bool,
}

/// Takes `source` over as `name`.
pub(super) fn adopt(
    layout: &Layout,
    name: &Name,
    source: &str,
    shape: Shape,
    stop: &Stop,
) -> Result<Done, DriverError> {
    let home = layout.home(name);
    let imports = Imports::open(layout)?;
    if layout.is_at(&home)? {
        // An earlier call renamed it, and may have been killed before the rest.
        let file = PoolFile::open(&home, &name.text, layout.pool(), true)?;
        finish(&file, shape, stop)?;
        imports.sync()?;
        layout.sync(name.home)?;
        return Ok(Done::AlreadySo);
    }
    let found = imports.find(source)?;
    if found.manageable.len_bytes > shape.len_bytes {
        return Err(DriverError::NotManageable {
            name: source.to_owned(),
            why: "it has grown since it was measured; is somebody still writing it?".to_owned(),
        });
    }
    imports.take(source, &home)?;
    let kept = keep(layout, name, &found, shape, stop).and_then(|()| {
        imports.sync()?;
        layout.sync(name.home)
    });
    if let Err(error) = kept {
        give(&imports, &home, &[source.to_owned(), name.text.clone()])?;
        return Err(error);
    }
    Ok(Done::Changed)
}

/// Sees that what was renamed is what was looked at, and makes it whole.
fn keep(
    layout: &Layout,
    name: &Name,
    found: &Found,
    shape: Shape,
    stop: &Stop,
) -> Result<(), DriverError> {
    let file = PoolFile::open(&layout.home(name), &name.text, layout.pool(), true)?;
    if file.identity()? != found.identity {
        return Err(DriverError::NotManageable {
            name: found.manageable.name.clone(),
            why: "it was replaced while it was taken over".to_owned(),
        });
    }
    finish(&file, shape, stop).inspect_err(|_| {
        // Zeros beyond its end are not its content; should this fail too, no more than those are left.
        let _ = file.set_len_bytes(found.manageable.len_bytes);
    })
}

/// Nobody else may read it, and it is whole and on the disk.
fn finish(file: &PoolFile, shape: Shape, stop: &Stop) -> Result<(), DriverError> {
    file.set_private()?;
    if shape.thick {
        file.allocate(0..shape.len_bytes, || stop.check())?;
    }
    grow(file, shape.len_bytes, false, stop)?;
    Ok(())
}

/// Hands `name` back under the first of `names` that is free.
pub(super) fn release(layout: &Layout, name: &Name, names: &[String]) -> Result<Done, DriverError> {
    let home = layout.home(name);
    let imports = Imports::open(layout)?;
    let was_there = layout.is_at(&home)?;
    if was_there {
        give(&imports, &home, names)?;
    }
    // Even when it is not there: the call that renamed it may have been killed before it saw to the disk.
    imports.sync()?;
    layout.sync(name.home)?;
    Ok(super::changed(was_there))
}

fn give(imports: &Imports<'_>, home: &Path, names: &[String]) -> Result<(), DriverError> {
    for name in names {
        if imports.put(home, name)? {
            return Ok(());
        }
    }
    Err(imports.failed("handing back", Errno::EXIST))
}
