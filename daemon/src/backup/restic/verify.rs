//! Looking whether backups can be read.

use super::repository::{Backup, Repository, explain};
use super::restore::{Entries, Entry, WRITERS, fetch};
use crate::backup::Depth;
use crate::backup::worker::pipe::Failure;
use crate::driver::Work;
use crate::model::id::BackupId;
use rustic_core::{
    DataId, FileType, Id, IndexedFullStatus, ReadBackend as _, Repository as Rustic, RusticError,
};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// More is not told of one look: it is the same damage over and over.
const FINDINGS_MAX: usize = 100;

/// What is wrong with one backup, or with all that the repository has.
pub(super) fn verify(
    repository: Repository,
    backup: Option<BackupId>,
    depth: Depth,
    work: &Work,
) -> Result<Vec<String>, Failure> {
    let mut findings = Vec::new();
    let backups = match backup {
        Some(id) => vec![(id, repository.backup(id)?)],
        None => {
            let (backups, unreadable) = repository.backups()?;
            findings.extend(unreadable);
            backups.into_iter().collect()
        }
    };
    let directory = repository.directory().clone();
    let packs = directory.list_with_size(FileType::Pack);
    let packs = packs.map_err(|error| explain(&directory, &error))?;
    let rustic = repository.indexed()?;
    let explained = |error: &RusticError| explain(&directory, error);
    let total_bytes: u64 = backups.iter().map(|(_, backup)| data_bytes(backup)).sum();
    let looking = Looking {
        rustic: &rustic,
        packs: packs.into_iter().collect(),
        depth,
        work,
        explain: &explained,
        total_bytes,
        state: Mutex::default(),
    };
    for (id, backup) in &backups {
        looking.look_through(*id, backup)?;
    }
    let state = looking
        .state
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    findings.extend(state.findings);
    if findings.len() > FINDINGS_MAX {
        let more = findings.len() - FINDINGS_MAX;
        findings.truncate(FINDINGS_MAX);
        findings.push(format!("and {more} more"));
    }
    Ok(findings)
}

fn data_bytes(backup: &Backup) -> u64 {
    let stored = backup.about.as_ref().and_then(|about| about.stored);
    stored.map_or(0, |stored| stored.data_bytes)
}

struct Looking<'a> {
    rustic: &'a Rustic<IndexedFullStatus>,
    packs: HashMap<Id, u32>,
    depth: Depth,
    work: &'a Work,
    explain: &'a (dyn Fn(&RusticError) -> Failure + Sync),
    total_bytes: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    findings: Vec<String>,
    done_bytes: u64,
    /// What was found good: backups share it, and it is read once.
    good: HashSet<DataId>,
}

impl Looking<'_> {
    fn look_through(&self, id: BackupId, backup: &Backup) -> Result<(), Failure> {
        let entries = match Entries::of(self.rustic, &backup.snapshot) {
            Ok(entries) => Mutex::new(entries),
            Err(error) => return self.found(id, "its tree", &error),
        };
        let ended: Vec<Result<(), Failure>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..WRITERS)
                .map(|_| scope.spawn(|| self.look_at_all(id, &entries)))
                .collect();
            let died = |_| {
                Err(Failure::Unavailable(
                    "a thread of the check died".to_owned(),
                ))
            };
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.map(|ended| ended.unwrap_or_else(died)).collect()
        });
        ended.into_iter().collect()
    }

    fn look_at_all(&self, id: BackupId, entries: &Mutex<Entries<'_>>) -> Result<(), Failure> {
        loop {
            if self.work.is_cancelled() {
                return Err(Failure::Cancelled);
            }
            let next = entries
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .next();
            match next {
                None => return Ok(()),
                Some(Ok(entry)) => self.look_at(id, &entry)?,
                Some(Err(error)) => self.found(id, "a directory of it", &error)?,
            }
        }
    }

    fn look_at(&self, id: BackupId, entry: &Entry) -> Result<(), Failure> {
        let place = format!("what begins at MiB {}", entry.index);
        let missing = match self.is_good(entry) {
            true => None,
            false => self.missing(entry),
        };
        match missing {
            Some(why) => self.tell(format!("backup {id}: {place}: {why}")),
            None if self.depth == Depth::Structure || self.is_good(entry) => {}
            None => match fetch(self.rustic, entry) {
                Ok(Ok(_)) => {
                    let content = entry.node.content.iter().flatten();
                    self.change(|state| state.good.extend(content));
                }
                Ok(Err(why)) => self.tell(format!("backup {id}: {place}: {why}")),
                Err(error) => self.found(id, &place, &error)?,
            },
        }
        self.change(|state| {
            state.done_bytes += entry.node.meta.size;
            self.work
                .report(state.done_bytes, self.total_bytes.max(state.done_bytes));
        });
        Ok(())
    }

    fn is_good(&self, entry: &Entry) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut content = entry.node.content.iter().flatten();
        content.all(|id| state.good.contains(id))
    }

    /// What an entry needs and the repository has not.
    fn missing(&self, entry: &Entry) -> Option<String> {
        for id in entry.node.content.iter().flatten() {
            let Ok(found) = self.rustic.get_index_entry(id) else {
                return Some(format!("piece {id} is in no index"));
            };
            let end = found.location.offset.saturating_add(found.location.length);
            match self.packs.get(&*found.pack) {
                None => return Some(format!("pack {} is missing", found.pack)),
                Some(len_bytes) if *len_bytes < end => {
                    return Some(format!("pack {} is cut short", found.pack));
                }
                Some(_) => {}
            }
        }
        None
    }

    /// Damage is found and told; anything else ends the look.
    fn found(&self, id: BackupId, place: &str, error: &RusticError) -> Result<(), Failure> {
        match (self.explain)(error) {
            Failure::Damaged(why) => {
                self.tell(format!("backup {id}: {place}: {why}"));
                Ok(())
            }
            failure @ (Failure::Absent { .. }
            | Failure::NoSpace(_)
            | Failure::WrongKey(_)
            | Failure::ReadOnly
            | Failure::Device { .. }
            | Failure::Cancelled
            | Failure::Unavailable(_)) => Err(failure),
        }
    }

    fn tell(&self, finding: String) {
        self.change(|state| state.findings.push(finding));
    }

    fn change(&self, act: impl FnOnce(&mut State)) {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
