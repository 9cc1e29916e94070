//! Reading the registry, and the coming and going of sessions: what logins ask, whom they make a
//! session for, and when a session is forgotten.

use super::{Export, Registry};
use crate::model::id::SessionId;
use crate::model::time::Time;
use crate::target::iscsi::limits::SESSIONS_PER_TARGET_MAX;
use crate::target::iscsi::login::{Admission, Directory, Grant, Kind, Status};
use crate::target::iscsi::lun::{Lun, Nexus};
use crate::target::iscsi::session::discovery::Listed;
use crate::target::iscsi::session::{Session, Tasks};
use crate::target::iscsi::table::ExportRecord;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

impl Registry {
    /// Every export as it is.
    pub fn exports(&self) -> Vec<ExportRecord> {
        self.lock()
            .exports
            .values()
            .map(|export| export.record.clone())
            .collect()
    }

    /// Every session.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        self.lock().sessions.clone()
    }

    /// The sessions of one target.
    pub fn sessions_of(&self, target: &str) -> Vec<Arc<Session>> {
        let state = self.lock();
        state
            .sessions
            .iter()
            .filter(|session| session.target == target)
            .cloned()
            .collect()
    }

    /// The volume, if it is served now.
    pub fn lun(&self, volume_id: Uuid) -> Option<Arc<Lun>> {
        self.lock()
            .exports
            .get(&self.iqn(volume_id))?
            .lun
            .as_ref()
            .ok()
            .cloned()
    }

    /// Every volume served.
    pub fn luns(&self) -> Vec<Arc<Lun>> {
        self.lock()
            .exports
            .values()
            .filter_map(|export| export.lun.as_ref().ok().cloned())
            .collect()
    }

    /// The targets an initiator may see; `local` is the address it came to.
    pub fn visible(&self, initiator: &str, local: SocketAddr) -> Vec<Listed> {
        let portals = if self.portals.is_empty() {
            vec![local.to_string()]
        } else {
            self.portals.clone()
        };
        let state = self.lock();
        let may = |export: &Export| {
            export
                .grants
                .iter()
                .any(|grant| grant.initiator == initiator)
        };
        let seen = state.exports.iter().filter(|(_, export)| may(export));
        seen.map(|(iqn, _)| Listed {
            iqn: iqn.clone(),
            portals: portals.clone(),
        })
        .collect()
    }

    /// Makes a session of a login that succeeded. An older session of the same initiator port is
    /// reinstated: it ends, and its last write with it, before the new one begins.
    pub async fn admit(
        &self,
        admission: &Admission,
        peer: SocketAddr,
    ) -> Result<Arc<Session>, Status> {
        loop {
            let older = match self.admit_alone(admission, peer)? {
                Ok(session) => return Ok(session),
                Err(older) => older,
            };
            let drained = self.drain(older.clone()).await;
            drained.map_err(|_| Status::Unavailable)?;
            // And again: another login of the port may have come before.
            older.iter().for_each(|session| self.forget(session));
        }
    }

    /// Makes the session, or ends those of the same port and answers them.
    fn admit_alone(
        &self,
        admission: &Admission,
        peer: SocketAddr,
    ) -> Result<Result<Arc<Session>, Vec<Arc<Session>>>, Status> {
        let Kind::Normal { target, grant } = &admission.kind else {
            return Err(Status::TargetError);
        };
        let mut state = self.lock();
        let export = state.exports.get(target).ok_or(Status::NotFound)?;
        // The right that was proved, not a later one under the same name.
        if !export.grants.iter().any(|known| Arc::ptr_eq(known, grant)) {
            return Err(Status::AuthenticationFailure);
        }
        let lun = Arc::clone(export.lun.as_ref().map_err(|_| Status::Unavailable)?);
        let older = state.end(|session| {
            session.target == *target
                && session.initiator == admission.initiator
                && session.isid == admission.isid
        });
        if !older.is_empty() {
            return Ok(Err(older));
        }
        let others = state
            .sessions
            .iter()
            .filter(|session| session.target == *target);
        if others.count() >= SESSIONS_PER_TARGET_MAX {
            return Err(Status::TooManyConnections);
        }
        state.last_id += 1;
        let id = state.last_id;
        let isid = admission
            .isid
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let port = format!("{},i,0x{isid}", admission.initiator);
        let nexus = Arc::new(Nexus::new(port, grant.read_only));
        lun.join(&nexus);
        let session = Arc::new(Session {
            id,
            name: SessionId::random(),
            since: Time::now(),
            tsih: u16::try_from(id % 0xffff).unwrap_or(0) + 1,
            target: target.clone(),
            initiator: admission.initiator.clone(),
            isid: admission.isid,
            peer,
            lun,
            nexus,
            end: CancellationToken::new(),
            tracker: TaskTracker::new(),
            tasks: Tasks::default(),
        });
        state.sessions.push(Arc::clone(&session));
        Ok(Ok(session))
    }

    /// Forgets a session that has ended and is drained; once, or what it gives up here would be taken from the
    /// newer session of its port.
    pub fn forget(&self, session: &Session) {
        let mut state = self.lock();
        let count = state.sessions.len() + state.ending.len();
        state.sessions.retain(|known| known.id != session.id);
        state.ending.retain(|known| known.id != session.id);
        if state.sessions.len() + state.ending.len() < count {
            session.lun.leave(&session.nexus);
        }
    }
}

impl Directory for Registry {
    fn grant(&self, initiator: &str, target: &str) -> Result<Arc<Grant>, Status> {
        let state = self.lock();
        let export = state.exports.get(target).ok_or(Status::NotFound)?;
        let grant = export
            .grants
            .iter()
            .find(|grant| grant.initiator == initiator);
        grant.cloned().ok_or(Status::Forbidden)
    }

    fn grants_of(&self, initiator: &str) -> Vec<Arc<Grant>> {
        let state = self.lock();
        let all = state.exports.values().flat_map(|export| &export.grants);
        all.filter(|grant| grant.initiator == initiator)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, Grant, Kind, Registry, Session};
    use crate::driver::Done;
    use crate::target::iscsi::negotiate::Parameters;
    use crate::target::iscsi::scsi::cdb::Command;
    use crate::target::iscsi::scsi::{Outcome, execute};
    use crate::target::iscsi::table::{AccessRecord, ChapRecord, ExportRecord, Secret};
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;
    use uuid::Uuid;

    const HOST: &str = "iqn.host";

    async fn exported(registry: &Registry, dir: &Path, volume_id: Uuid) -> Arc<Grant> {
        let path = dir.join(volume_id.to_string());
        std::fs::write(&path, [0; 4096]).unwrap();
        let (len_bytes, access) = (4096, Vec::new());
        let record = ExportRecord {
            volume_id,
            path,
            len_bytes,
            access,
        };
        registry.export(record).await.unwrap();
        let access = AccessRecord {
            initiator: HOST.into(),
            chap: ChapRecord {
                user: "user".into(),
                secret: Secret("twelve-letters".into()),
            },
            mutual: None,
            read_only: false,
        };
        registry.allow(volume_id, access).await.unwrap();
        let target = registry.iqn(volume_id);
        Arc::clone(&registry.lock().exports[&target].grants[0])
    }

    async fn session(registry: &Registry, target: &str, grant: &Arc<Grant>) -> Arc<Session> {
        let kind = Kind::Normal {
            target: target.to_owned(),
            grant: Arc::clone(grant),
        };
        let admission = Admission {
            kind,
            initiator: HOST.into(),
            isid: [0; 6],
            cid: 0,
            parameters: Parameters::default(),
        };
        let peer = "127.0.0.1:1".parse().unwrap();
        registry.admit(&admission, peer).await.unwrap()
    }

    #[tokio::test]
    async fn a_session_that_does_not_end_holds_up_no_other_volume() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Arc::new(Registry::load(dir.path(), "iqn.t:", Vec::new()).unwrap());
        let (hung, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let grant = exported(&registry, dir.path(), hung).await;
        let session = session(&registry, &registry.iqn(hung), &grant).await;
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        drop(session.tracker.spawn(released));
        let denying = tokio::spawn({
            let registry = Arc::clone(&registry);
            async move { registry.deny(hung, HOST).await }
        });
        session.end.cancelled().await;
        let beside = exported(&registry, dir.path(), other);
        let beside = tokio::time::timeout(Duration::from_secs(10), beside).await;
        assert!(beside.is_ok(), "it waited for the hung one");
        assert!(!denying.is_finished(), "a write may still be under way");
        release.send(()).unwrap();
        assert_eq!(denying.await.unwrap().unwrap(), Done::Changed);
    }

    #[tokio::test]
    async fn a_reinstated_session_gives_its_reservation_up_before_the_new_one_begins() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::load(dir.path(), "iqn.t:", Vec::new()).unwrap();
        let volume = Uuid::from_u128(1);
        let grant = exported(&registry, dir.path(), volume).await;
        let target = registry.iqn(volume);
        let older = session(&registry, &target, &grant).await;
        let newer = session(&registry, &target, &grant).await;
        assert!(older.end.is_cancelled());
        assert_eq!(registry.sessions_of(&target).len(), 1);
        let reserved = execute(newer.unit(), &Command::Reserve, &[], None);
        assert_eq!(reserved, Outcome::Good);
        // The older one's connection ends only now.
        registry.forget(&older);
        let stranger = newer
            .lun
            .reservations()
            .allows("iqn.other,i,0x0", &Command::TestUnitReady);
        assert!(!stranger, "the newer session's reservation is still there");
    }
}
