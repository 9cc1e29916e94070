//! Reading the registry, and the coming and going of sessions: what logins ask, whom they make a
//! session for, and when a session is forgotten.

use super::{Export, Registry};
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
        let Kind::Normal { target, grant } = &admission.kind else {
            return Err(Status::TargetError);
        };
        let older = self.lock().end(|session| {
            session.target == *target
                && session.initiator == admission.initiator
                && session.isid == admission.isid
        });
        self.drain(older).await.map_err(|_| Status::Unavailable)?;
        let mut state = self.lock();
        let export = state.exports.get(target).ok_or(Status::NotFound)?;
        // The right that was proved, not a later one under the same name.
        if !export.grants.iter().any(|known| Arc::ptr_eq(known, grant)) {
            return Err(Status::AuthenticationFailure);
        }
        let lun = Arc::clone(export.lun.as_ref().map_err(|_| Status::Unavailable)?);
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
        Ok(session)
    }

    /// Forgets a session that has ended and is drained.
    pub fn forget(&self, session: &Session) {
        let mut state = self.lock();
        state.sessions.retain(|known| known.id != session.id);
        state.ending.retain(|known| known.id != session.id);
        drop(state);
        session.lun.leave(&session.nexus);
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
