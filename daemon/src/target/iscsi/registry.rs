//! All exports and all sessions of the process, under one lock, so that a login that is under way
//! and a `deny` can never miss each other: a session is admitted only while the very right that it
//! proved is still in the table.
//!
//! Every change is first persisted, then in force, then (where it ends sessions) drained; a crash in
//! between ends all sessions anyway, and the caller, unanswered, repeats. Changes are made one after the
//! other, but drained beside each other: a volume whose disk hangs holds up no other.

mod admission;

use super::backing::Backing;
use super::limits::{ACL_MAX, EXPORTS_MAX};
use super::login::Grant;
use super::lun::Lun;
use super::session::Session;
use super::table::{AccessRecord, ExportRecord, Table, TableError};
use crate::driver::Done;
use crate::model::id::{SessionId, VolumeId};
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thiserror::Error;
use uuid::Uuid;

/// Why an export could not be changed.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// The volume is not exported.
    #[error("the volume is not exported")]
    NotExported,
    /// The table could not be persisted; nothing has changed.
    #[error("the export table could not be saved; nothing has changed")]
    NotSaved(#[source] TableError),
    /// The file behind the volume could not be opened.
    #[error("the device of the volume could not be opened")]
    NotOpened(#[source] io::Error),
    /// A limit would be passed.
    #[error("there are {max} {what} already, which is the limit")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// The request names something impossible.
    #[error("{0}")]
    Invalid(&'static str),
    /// Sessions did not end in time; the change is in force, a write may still be under way.
    #[error("a write of an ended session is still under way; ask again")]
    NotDrained,
}

struct Export {
    record: ExportRecord,
    grants: Vec<Arc<Grant>>,
    /// Or why it cannot be served now.
    lun: Result<Arc<Lun>, String>,
}

#[derive(Default)]
struct State {
    exports: BTreeMap<String, Export>,
    sessions: Vec<Arc<Session>>,
    /// Ended, perhaps with a write still under way.
    ending: Vec<Arc<Session>>,
    last_id: u64,
}

/// Exports and sessions.
pub struct Registry {
    dir: PathBuf,
    iqn_prefix: String,
    portals: Vec<String>,
    state: Mutex<State>,
    change: tokio::sync::Mutex<()>,
}

impl Registry {
    /// Reads the table and opens what it lists. What cannot be opened is kept, and not served.
    pub fn load(dir: &Path, iqn_prefix: &str, portals: Vec<String>) -> Result<Self, TableError> {
        let registry = Self {
            dir: dir.to_owned(),
            iqn_prefix: iqn_prefix.to_lowercase(),
            portals,
            state: Mutex::default(),
            change: tokio::sync::Mutex::default(),
        };
        let table = Table::load(dir)?;
        let mut state = registry.lock();
        for record in table.exports {
            let lun = open(&record).map_err(|error| error.to_string());
            if let Err(why) = &lun {
                tracing::error!(volume = %record.volume_id, why, "an export cannot be served");
            }
            let grants = record.access.iter().map(grant).collect();
            state.exports.insert(
                registry.iqn(record.volume_id),
                Export {
                    record,
                    grants,
                    lun,
                },
            );
        }
        drop(state);
        Ok(registry)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The IQN of a volume's target.
    pub fn iqn(&self, volume_id: Uuid) -> String {
        format!("{}volume-{}", self.iqn_prefix, volume_id.hyphenated())
    }

    /// Persists the table as it will be with `edit` applied.
    async fn save(&self, edit: impl FnOnce(&mut Vec<ExportRecord>)) -> Result<(), ChangeError> {
        let mut table = Table::default();
        table.exports = self
            .lock()
            .exports
            .values()
            .map(|export| export.record.clone())
            .collect();
        edit(&mut table.exports);
        let dir = self.dir.clone();
        let saved = tokio::task::spawn_blocking(move || table.save(&dir)).await;
        match saved {
            Ok(saved) => saved.map_err(ChangeError::NotSaved),
            Err(error) => {
                let (path, source) = (self.dir.clone(), io::Error::other(error));
                Err(ChangeError::NotSaved(TableError::Io {
                    path,
                    doing: "written",
                    source,
                }))
            }
        }
    }

    fn record(&self, volume_id: Uuid) -> Option<ExportRecord> {
        self.lock()
            .exports
            .get(&self.iqn(volume_id))
            .map(|export| export.record.clone())
    }

    /// Makes a volume reachable, or changes what is served for it.
    pub async fn export(&self, wanted: ExportRecord) -> Result<Done, ChangeError> {
        let change = self.change.lock().await;
        let iqn = self.iqn(wanted.volume_id);
        let (known, served, count) = {
            let state = self.lock();
            let known = state.exports.get(&iqn);
            let served = known.and_then(|export| export.lun.as_ref().ok().cloned());
            let known = known.map(|export| export.record.clone());
            (known, served, state.exports.len())
        };
        if known.is_none() && count >= EXPORTS_MAX {
            return Err(ChangeError::Full {
                what: "exports",
                max: EXPORTS_MAX,
            });
        }
        let record = ExportRecord {
            access: known
                .as_ref()
                .map_or_else(Vec::new, |known| known.access.clone()),
            ..wanted
        };
        let opening = record.clone();
        let opened = tokio::task::spawn_blocking(move || open_beside(&opening, served)).await;
        let (lun, is_same_file) = opened
            .map_err(io::Error::other)
            .flatten()
            .map_err(ChangeError::NotOpened)?;
        if let Some(known) = known.filter(|_| is_same_file) {
            if known == record {
                return Ok(Done::AlreadySo);
            }
            if record.len_bytes < known.len_bytes {
                return Err(ChangeError::Invalid(
                    "a volume that is served never shrinks",
                ));
            }
        }
        let saved = record.clone();
        self.save(move |exports| put(exports, saved)).await?;
        let ended = {
            let mut state = self.lock();
            match state.exports.get_mut(&iqn).filter(|_| is_same_file) {
                // Another length of the same file: those who are logged in stay.
                Some(export) => {
                    lun.resize(record.len_bytes);
                    export.record = record;
                    Vec::new()
                }
                None => {
                    let export = Export {
                        grants: record.access.iter().map(grant).collect(),
                        record,
                        lun: Ok(lun),
                    };
                    state.exports.insert(iqn.clone(), export);
                    state.end(|session| session.target == iqn)
                }
            }
        };
        drop(change);
        self.drain(ended).await.map(|()| Done::Changed)
    }

    /// Takes a volume's export away and ends its sessions.
    pub async fn unexport(&self, volume_id: Uuid) -> Result<Done, ChangeError> {
        let change = self.change.lock().await;
        let iqn = self.iqn(volume_id);
        let known = self.record(volume_id).is_some();
        if known {
            self.save(|exports| exports.retain(|export| export.volume_id != volume_id))
                .await?;
        }
        let ended = {
            let mut state = self.lock();
            state.exports.remove(&iqn);
            // Also those of an earlier call that ran out of time.
            state.end(|session| session.target == iqn)
        };
        drop(change);
        self.drain(ended).await?;
        Ok(if known {
            Done::Changed
        } else {
            Done::AlreadySo
        })
    }

    /// Lets an initiator in, with these credentials from now on.
    pub async fn allow(
        &self,
        volume_id: Uuid,
        mut access: AccessRecord,
    ) -> Result<Done, ChangeError> {
        access.initiator = access.initiator.to_lowercase();
        check_access(&access).map_err(ChangeError::Invalid)?;
        let change = self.change.lock().await;
        let record = self.record(volume_id).ok_or(ChangeError::NotExported)?;
        let place = record
            .access
            .iter()
            .position(|known| known.initiator == access.initiator);
        let known = place.map(|place| &record.access[place]);
        if known == Some(&access) {
            return Ok(Done::AlreadySo);
        }
        if known.is_none() && record.access.len() >= ACL_MAX {
            return Err(ChangeError::Full {
                what: "initiators",
                max: ACL_MAX,
            });
        }
        // Those who are logged in keep what they proved, but not the right to write.
        let ends = known.is_some_and(|known| known.read_only != access.read_only);
        let mut changed = record;
        changed
            .access
            .retain(|known| known.initiator != access.initiator);
        changed.access.push(access.clone());
        let ended = self.replace(changed, |session| {
            ends && session.initiator == access.initiator
        });
        let ended = ended.await?;
        drop(change);
        self.drain(ended).await.map(|()| Done::Changed)
    }

    /// Shuts an initiator out and ends its sessions.
    pub async fn deny(&self, volume_id: Uuid, initiator: &str) -> Result<Done, ChangeError> {
        let initiator = initiator.to_lowercase();
        let change = self.change.lock().await;
        let iqn = self.iqn(volume_id);
        let record = self.record(volume_id);
        let has = |access: &AccessRecord| access.initiator == initiator;
        let (ended, done) = match record {
            Some(mut record) if record.access.iter().any(has) => {
                record.access.retain(|access| !has(access));
                let of = |session: &Session| session.initiator == initiator;
                (self.replace(record, of).await?, Done::Changed)
            }
            _ => {
                let of =
                    |session: &Session| session.target == iqn && session.initiator == initiator;
                (self.lock().end(of), Done::AlreadySo)
            }
        };
        drop(change);
        self.drain(ended).await.map(|()| done)
    }

    /// Puts another access list in force; answers the sessions that it ends.
    async fn replace(
        &self,
        record: ExportRecord,
        ends: impl Fn(&Session) -> bool,
    ) -> Result<Vec<Arc<Session>>, ChangeError> {
        let iqn = self.iqn(record.volume_id);
        let saved = record.clone();
        self.save(move |exports| put(exports, saved)).await?;
        let ended = {
            let mut state = self.lock();
            if let Some(export) = state.exports.get_mut(&iqn) {
                let kept = std::mem::take(&mut export.grants);
                let keep = |access: &AccessRecord| {
                    let same = export.record.access.contains(access);
                    let known = kept
                        .iter()
                        .find(|grant| grant.initiator == access.initiator);
                    known
                        .filter(|_| same)
                        .map_or_else(|| grant(access), Arc::clone)
                };
                export.grants = record.access.iter().map(keep).collect();
                export.record = record;
            }
            state.end(|session| session.target == iqn && ends(session))
        };
        Ok(ended)
    }

    /// Serves a volume at a greater length. Already so when it is that long, or not exported.
    pub async fn resize(&self, volume_id: Uuid, len_bytes: u64) -> Result<Done, ChangeError> {
        match self.record(volume_id) {
            Some(record) if record.len_bytes < len_bytes => {
                self.export(ExportRecord {
                    len_bytes,
                    ..record
                })
                .await
            }
            Some(_) | None => Ok(Done::AlreadySo),
        }
    }

    /// Ends one session without shutting anybody out; already so when there is none of this name.
    pub async fn kick(&self, name: SessionId) -> Result<Done, ChangeError> {
        let (is_live, ended) = {
            let mut state = self.lock();
            let is_live = state.sessions.iter().any(|session| session.name == name);
            (is_live, state.end(|session| session.name == name))
        };
        // One that ended earlier is still waited for, and is not ended again.
        self.drain(ended).await?;
        Ok(if is_live {
            Done::Changed
        } else {
            Done::AlreadySo
        })
    }

    /// Waits until nothing of ended sessions is under way.
    async fn drain(&self, ended: Vec<Arc<Session>>) -> Result<(), ChangeError> {
        let finished = ended.iter().map(|session| session.finish());
        let finished = futures_util::future::join_all(finished).await;
        if finished.into_iter().all(|finished| finished) {
            return Ok(());
        }
        Err(ChangeError::NotDrained)
    }
}

impl State {
    /// Ends sessions: they take no commands any more. Answers all that are not drained yet, those
    /// ended earlier among them.
    fn end(&mut self, which: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let (ended, kept) = std::mem::take(&mut self.sessions)
            .into_iter()
            .partition(|one| which(one));
        self.sessions = kept;
        self.ending.extend::<Vec<_>>(ended);
        let of = self.ending.iter().filter(|session| which(session));
        of.inspect(|session| session.end.cancel())
            .cloned()
            .collect()
    }
}

fn open(record: &ExportRecord) -> io::Result<Arc<Lun>> {
    let backing = Backing::open(&record.path, record.len_bytes)?;
    Ok(Arc::new(Lun::new(
        VolumeId::from(record.volume_id),
        backing,
        record.len_bytes,
    )))
}

/// Opens what is to be served. When that is the very file that `served` has open, `served` goes on, with whoever
/// uses it; the same name may lead to another file by now (a revert puts one in its place).
fn open_beside(record: &ExportRecord, served: Option<Arc<Lun>>) -> io::Result<(Arc<Lun>, bool)> {
    let lun = open(record)?;
    match served {
        Some(served) if served.backing.is_same_file(&lun.backing)? => Ok((served, true)),
        Some(_) | None => Ok((lun, false)),
    }
}

fn grant(access: &AccessRecord) -> Arc<Grant> {
    Arc::new(Grant {
        initiator: access.initiator.clone(),
        chap: access.to_chap(),
        read_only: access.read_only,
    })
}

fn put(exports: &mut Vec<ExportRecord>, record: ExportRecord) {
    exports.retain(|export| export.volume_id != record.volume_id);
    exports.push(record);
}

/// Names and secrets that CHAP can work with.
fn check_access(access: &AccessRecord) -> Result<(), &'static str> {
    let both = std::iter::once(&access.chap).chain(&access.mutual);
    for chap in both {
        if chap.user.is_empty() || chap.user.len() > 255 || chap.user.contains('\0') {
            return Err("a CHAP user has 1 to 255 characters");
        }
        let len = chap.secret.0.expose_secret().len();
        if !(12..=255).contains(&len) {
            return Err("a CHAP secret has 12 to 255 characters");
        }
    }
    if access
        .mutual
        .as_ref()
        .is_some_and(|mutual| mutual.secret == access.chap.secret)
    {
        return Err("the two CHAP secrets of mutual authentication must differ");
    }
    if access.initiator.is_empty() || access.initiator.len() > 223 {
        return Err("an initiator's name has 1 to 223 characters");
    }
    Ok(())
}
