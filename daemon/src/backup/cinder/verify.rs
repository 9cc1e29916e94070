//! Looking whether backups can be read, as a restore reads them.

use super::catalogue::{Catalogue, Link, metadata};
use super::files::Files;
use super::layer::Layer;
use super::object;
use crate::backup::Depth;
use crate::backup::worker::pipe::Failure;
use crate::driver::Work;
use crate::model::id::BackupId;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// More is not told of one look: it is the same damage over and over.
const FINDINGS_MAX: usize = 100;

/// What is wrong with one backup and those that it stands on, or with all that the directory has.
pub(super) fn verify(
    files: &Files,
    backup: Option<BackupId>,
    depth: Depth,
    work: &Work,
) -> Result<Vec<String>, Failure> {
    let mut catalogue = Catalogue::open(files)?;
    let mut found = Findings::default();
    // Each with its parent; of all backups each is looked at once, whatever stands on it.
    let mut links: Vec<(Option<Link>, Link)> = Vec::new();
    match backup {
        Some(id) => {
            if let Some(chain) = found.or_damage(catalogue.chain(id))? {
                let parents = std::iter::once(None).chain(chain.iter().cloned().map(Some));
                links.extend(parents.zip(chain.iter().cloned()));
            }
        }
        None => {
            for id in catalogue.ids() {
                let chain = found.or_damage(catalogue.chain(id))?;
                let mut chain = chain.unwrap_or_default();
                if let Some(link) = chain.pop() {
                    links.push((chain.pop(), link));
                }
            }
        }
    }
    let looking = Looking {
        files,
        work,
        total_bytes: links.iter().map(|(_, link)| link.data_bytes).sum(),
        done_bytes: AtomicU64::new(0),
        found: Mutex::new(found),
    };
    for (parent, link) in &links {
        looking.look_at(parent.as_ref(), link, depth)?;
    }
    let found = looking.found.into_inner();
    Ok(found.unwrap_or_else(PoisonError::into_inner).told())
}

struct Looking<'a> {
    files: &'a Files,
    work: &'a Work,
    total_bytes: u64,
    done_bytes: AtomicU64,
    found: Mutex<Findings>,
}

impl Looking<'_> {
    fn look_at(&self, parent: Option<&Link>, link: &Link, depth: Depth) -> Result<(), Failure> {
        if let Err(why) = &link.volume {
            self.or_damage(Err(link.damaged(why)))?;
        }
        let looked = match depth {
            Depth::Structure => metadata(self.files, &link.found).and_then(|metadata| {
                let mut objects = metadata.objects.iter();
                objects.try_for_each(|object| {
                    self.or_damage(object::is_there(self.files, link, object))
                })
            }),
            Depth::Data => Layer::open(self.files, link, parent).and_then(|layer| {
                layer.each(|piece| {
                    let read = object::read(self.files, link, piece, &mut |bytes, _| {
                        let len = bytes.len() as u64;
                        let before = self.done_bytes.fetch_add(len, Ordering::Relaxed);
                        self.work.report(before + len, self.total_bytes);
                        Ok(())
                    });
                    self.or_damage(read)
                })
            }),
        };
        self.or_damage(looked)
    }

    fn or_damage(&self, looked: Result<(), Failure>) -> Result<(), Failure> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.or_damage(looked).map(drop)
    }
}

/// What was found, as far as it is told.
#[derive(Default)]
struct Findings {
    lines: Vec<String>,
    more: usize,
}

impl Findings {
    /// Damage is what is looked for; any other failure ends the look.
    fn or_damage<T>(&mut self, looked: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match looked {
            Ok(good) => Ok(Some(good)),
            Err(Failure::Damaged(why)) => {
                match self.lines.len() < FINDINGS_MAX {
                    true => self.lines.push(why),
                    false => self.more += 1,
                }
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    fn told(mut self) -> Vec<String> {
        if self.more > 0 {
            self.lines.push(format!("and {} more", self.more));
        }
        self.lines.sort();
        self.lines
    }
}
