//! Volumes served by the kernel's own target (LIO), set up through configfs as targetcli sets it up.
//!
//! The kernel keeps what is exported; this process only changes it, so its restart cuts no session. Each call looks at
//! the tree and does what is missing, which is also how exports come back after a reboot or after `target.service`
//! cleared everything. Every change is entered in `saveconfig.json`, so that targetcli's own save and restore know it.
//! Only objects whose names are made of the configured prefix and a volume's id are touched, and only when ops asks.
//!
//! Failures: what the kernel refuses is told with the path and its reason. What it does not finish is given up after a
//! deadline and left alone (`configfs.rs`); no other export waits for it. The kernel tells hosts nothing of a new
//! size: they see it when they rescan.

mod backstore;
mod paths;
mod saveconfig;
mod saved;
mod sessions;
#[cfg(test)]
mod tests;

use super::configfs::{EntryKind, Tree};
use super::{
    Access, Address, Chap, Credentials, Export, ExportState, Session, Target, TargetError,
};
use crate::driver::{Device, Done, LiveWrites};
use crate::model::id::{SessionId, VolumeId};
use async_trait::async_trait;
use paths::Paths;
use secrecy::{ExposeSecret as _, SecretString};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;

/// What the kernel counts a session's bytes in.
const MBYTE: u64 = 1 << 20;
/// How the portal group is set, beside the kernel's defaults: nobody without an entry and a secret gets in.
const TPG_ATTRIBUTES: [(&str, &str); 3] = [
    ("authentication", "1"),
    ("generate_node_acls", "0"),
    ("demo_mode_write_protect", "1"),
];

/// What the kernel takes for "none" in place of a CHAP user or secret, also at its start. Before it was ever set it
/// reads empty, but an empty write changes nothing.
const NONE: &str = "NULL";

/// How the kernel's target is used.
#[derive(Debug, Clone)]
pub struct LioConfig {
    /// What the volume's name is appended to.
    pub iqn_prefix: String,
    /// Where initiators log in.
    pub portals: Vec<SocketAddr>,
    /// Where targetcli keeps what is to be there after a reboot.
    pub saveconfig: PathBuf,
    /// This boot of the kernel, which tells its sessions from those of another.
    pub boot_id: String,
}

/// The kernel's target. Cheap to clone.
#[derive(Clone)]
pub struct LioTarget {
    config: LioConfig,
    tree: Tree,
    /// Numbers of backstores are looked for and taken; `saveconfig.json` is read and written.
    turn: Arc<Mutex<()>>,
}

impl LioTarget {
    /// The target in `tree`; looks at nothing yet.
    pub fn new(config: LioConfig, tree: Tree) -> Self {
        Self {
            config,
            tree,
            turn: Arc::default(),
        }
    }

    #[cfg(test)]
    fn with_deadline(self, deadline: std::time::Duration) -> Self {
        Self {
            tree: self.tree.with_deadline(deadline),
            ..self
        }
    }

    fn paths(&self, volume: VolumeId) -> Paths {
        Paths::of(&self.config.iqn_prefix, volume)
    }

    async fn set_up(&self, volume: VolumeId, device: &Device) -> Result<Done, TargetError> {
        let paths = self.paths(volume);
        let failed = |error| refused("exporting", volume, &error);
        let (number, mut changed) = self.backstore(&paths, device).await.map_err(failed)?;
        changed |= self.portal_group(&paths, number).await.map_err(failed)?;
        self.save(&paths, number).await.map_err(failed)?;
        Ok(as_done(changed))
    }

    /// The target with its portal group, LUN and portals; nobody may log in yet.
    async fn portal_group(&self, paths: &Paths, number: u32) -> io::Result<bool> {
        let tree = &self.tree;
        tree.mkdir(Path::new("iscsi")).await?;
        let mut changed = tree.mkdir(&paths.target()).await?;
        changed |= tree.mkdir(&paths.tpg()).await?;
        for (name, value) in TPG_ATTRIBUTES {
            changed |= self
                .set(&paths.tpg().join("attrib").join(name), value)
                .await?;
        }
        changed |= tree.mkdir(&paths.lun()).await?;
        let lun = tree.list(&paths.lun()).await?.unwrap_or_default();
        if !lun.iter().any(|entry| entry.kind == EntryKind::Link) {
            let link = paths.lun().join(paths.alias());
            changed |= tree.link(&paths.backstore(number), &link).await?;
        }
        for portal in &self.config.portals {
            changed |= tree.mkdir(&paths.portal(portal)).await?;
        }
        let wanted: Vec<String> = self
            .config
            .portals
            .iter()
            .map(ToString::to_string)
            .collect();
        for found in tree.objects(&paths.portals()).await? {
            if !wanted.contains(&found) {
                changed |= tree.rmdir(&paths.portals().join(found)).await?;
            }
        }
        changed |= self.set(&paths.tpg().join("enable"), "1").await?;
        Ok(changed)
    }

    /// Sets an attribute unless it reads so already.
    async fn set(&self, path: &Path, value: &str) -> io::Result<bool> {
        if self.tree.read(path).await?.as_deref() == Some(value) {
            return Ok(false);
        }
        self.tree.write(path, value).await?;
        Ok(true)
    }

    async fn take_down(&self, volume: VolumeId) -> io::Result<Done> {
        let (paths, tree) = (self.paths(volume), &self.tree);
        let mut changed = false;
        if tree.list(&paths.tpg()).await?.is_some() {
            // First nobody new gets in, then those who are in are cut.
            changed |= self.set(&paths.tpg().join("enable"), "0").await?;
            for initiator in tree.objects(&paths.acls()).await? {
                changed |= self.remove_acl(&paths, &initiator).await?;
            }
            self.unlink_all(&paths.lun()).await?;
            tree.rmdir(&paths.lun()).await?;
            for portal in tree.objects(&paths.portals()).await? {
                tree.rmdir(&paths.portals().join(portal)).await?;
            }
        }
        changed |= tree.rmdir(&paths.tpg()).await?;
        changed |= tree.rmdir(&paths.target()).await?;
        changed |= self.remove_backstore(&paths).await?;
        self.forget(&paths).await?;
        Ok(as_done(changed))
    }

    async fn unlink_all(&self, path: &Path) -> io::Result<()> {
        for entry in self.tree.list(path).await?.unwrap_or_default() {
            if entry.kind == EntryKind::Link {
                self.tree.unlink(&path.join(entry.name)).await?;
            }
        }
        Ok(())
    }

    /// Removing an initiator's entry ends its sessions; the kernel returns once their commands are over.
    async fn remove_acl(&self, paths: &Paths, initiator: &str) -> io::Result<bool> {
        let acl = paths.acl(initiator);
        for mapped in self.tree.objects(&acl).await? {
            if mapped.starts_with("lun_") {
                self.unlink_all(&acl.join(&mapped)).await?;
                self.tree.rmdir(&acl.join(mapped)).await?;
            }
        }
        self.tree.rmdir(&acl).await
    }

    async fn let_in(&self, paths: &Paths, access: &Access) -> io::Result<bool> {
        let acl = paths.acl(&access.initiator);
        let mut changed = self.tree.mkdir(&acl).await?;
        // The secret before the LUN: at no instant could somebody in without it see anything.
        let auth = acl.join("auth");
        changed |= self.set(&auth.join("userid"), &access.chap.user).await?;
        changed |= self
            .set(&auth.join("password"), access.chap.secret.expose_secret())
            .await?;
        let mutual = access.chap.mutual.as_ref();
        let (user, secret) = mutual
            .map(|one| (&*one.user, one.secret.expose_secret()))
            .unzip();
        for (name, value) in [("userid_mutual", user), ("password_mutual", secret)] {
            changed |= self.set_or_none(&auth.join(name), value).await?;
        }
        let mapped = acl.join("lun_0");
        changed |= self.tree.mkdir(&mapped).await?;
        let link = mapped.join(paths.alias());
        let has_link = self.tree.list(&mapped).await?.unwrap_or_default();
        if !has_link.iter().any(|entry| entry.kind == EntryKind::Link) {
            changed |= self.tree.link(&paths.lun(), &link).await?;
        }
        let read_only = if access.read_only { "1" } else { "0" };
        changed |= self.set(&mapped.join("write_protect"), read_only).await?;
        Ok(changed)
    }

    /// Sets a CHAP user or secret, or takes it away.
    async fn set_or_none(&self, path: &Path, value: Option<&str>) -> io::Result<bool> {
        match value {
            Some(value) => self.set(path, value).await,
            None if self.chap(path).await?.is_none() => Ok(false),
            None => self.set(path, NONE).await,
        }
    }

    /// A CHAP user or secret, if there is one.
    async fn chap(&self, path: &Path) -> io::Result<Option<String>> {
        let read = self.tree.read(path).await?;
        Ok(read.filter(|value| !value.is_empty() && !value.starts_with(NONE)))
    }

    /// Who may log in with what, as the kernel has it; to let in again who was cut.
    async fn access(&self, paths: &Paths, initiator: &str) -> io::Result<Option<Access>> {
        let acl = paths.acl(initiator);
        let user = self.tree.read(&acl.join("auth/userid")).await?;
        let secret = self.tree.read(&acl.join("auth/password")).await?;
        let mutual_user = self.chap(&acl.join("auth/userid_mutual")).await?;
        let mutual_secret = self.chap(&acl.join("auth/password_mutual")).await?;
        let mutual = mutual_user.zip(mutual_secret);
        let protected = self.tree.read(&acl.join("lun_0/write_protect")).await?;
        Ok(user.zip(secret).map(|(user, secret)| Access {
            initiator: initiator.to_owned(),
            chap: Chap {
                user,
                secret: SecretString::from(secret),
                mutual: mutual.map(|(user, secret)| Credentials {
                    user,
                    secret: SecretString::from(secret),
                }),
            },
            read_only: protected.as_deref() == Some("1"),
        }))
    }

    async fn all(&self) -> io::Result<Vec<(VolumeId, Paths)>> {
        let names = self.tree.objects(Path::new("iscsi")).await?;
        let ours = names
            .iter()
            .filter_map(|name| Paths::read(&self.config.iqn_prefix, name));
        Ok(ours.collect())
    }

    /// Sessions of every export but those that the kernel is stuck in: one host's command must not hide all others.
    async fn told(&self) -> io::Result<Vec<(Session, Paths)>> {
        let mut found = Vec::new();
        for (volume, paths) in self.all().await? {
            match self.told_of(volume, &paths).await {
                Ok(told) => found.extend(told.into_iter().map(|one| (one, paths.clone()))),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    tracing::warn!(%volume, %error, "an export's sessions cannot be told");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn told_of(&self, volume: VolumeId, paths: &Paths) -> io::Result<Vec<Session>> {
        let mut found = Vec::new();
        for initiator in self.tree.objects(&paths.acls()).await? {
            let acl = paths.acl(&initiator);
            let info = self.tree.read(&acl.join("info")).await?.unwrap_or_default();
            let Some(told) = sessions::read(&info) else {
                continue;
            };
            let count = async |name: &str| -> io::Result<u64> {
                let path = acl.join("lun_0/statistics/scsi_auth_intr").join(name);
                let read = self.tree.read(&path).await?;
                Ok(read.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
            };
            let protected = self.tree.read(&acl.join("lun_0/write_protect")).await?;
            found.push(Session {
                id: sessions::id(&self.config.boot_id, volume, &initiator, &told),
                volume_id: volume,
                peer: told.peer,
                since: None,
                read_only: protected.as_deref() == Some("1"),
                reads: None,
                writes: None,
                read_bytes: count("read_mbytes").await?.saturating_mul(MBYTE),
                written_bytes: count("write_mbytes").await?.saturating_mul(MBYTE),
                last_io_at: None,
                quiet: None,
                initiator,
            });
        }
        Ok(found)
    }

    async fn cut(&self, paths: &Paths, initiator: &str) -> io::Result<()> {
        let access = self.access(paths, initiator).await?;
        self.remove_acl(paths, initiator).await?;
        match access {
            Some(access) => self.let_in(paths, &access).await.map(|_| ()),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Target for LioTarget {
    async fn export(&self, export: &Export) -> Result<Done, TargetError> {
        self.set_up(export.volume_id, &export.device).await
    }

    async fn unexport(&self, volume: VolumeId) -> Result<Done, TargetError> {
        let down = self.take_down(volume).await;
        down.map_err(|error| refused("taking the export away", volume, &error))
    }

    async fn allow(&self, volume: VolumeId, access: &Access) -> Result<Done, TargetError> {
        let paths = self.paths(volume);
        let doing = "letting an initiator in";
        let failed = |error: io::Error| refused(doing, volume, &error);
        if !paths::is_possible(&access.initiator) {
            return Err(failed(io::Error::other(
                "the initiator's name has letters that none may have",
            )));
        }
        if self
            .tree
            .list(&paths.tpg())
            .await
            .map_err(failed)?
            .is_none()
        {
            return Err(TargetError::NotExported { volume_id: volume });
        }
        let changed = self.let_in(&paths, access).await.map_err(failed)?;
        self.save_as_it_is(&paths).await.map_err(failed)?;
        Ok(as_done(changed))
    }

    async fn deny(&self, volume: VolumeId, initiator: &str) -> Result<Done, TargetError> {
        let paths = self.paths(volume);
        let failed = |error: io::Error| refused("shutting an initiator out", volume, &error);
        if !paths::is_possible(initiator) {
            return Ok(Done::AlreadySo);
        }
        let changed = self.remove_acl(&paths, initiator).await.map_err(failed)?;
        self.save_as_it_is(&paths).await.map_err(failed)?;
        Ok(as_done(changed))
    }

    /// The kernel reads a device's length whenever a host asks for it.
    async fn resize(&self, volume: VolumeId, _len_bytes: u64) -> Result<Done, TargetError> {
        let found = self.tree.list(&self.paths(volume).tpg()).await;
        let found = found.map_err(|error| refused("looking at the export", volume, &error))?;
        Ok(as_done(found.is_some()))
    }

    fn address(&self, volume: VolumeId) -> Address {
        Address {
            iqn: self.paths(volume).iqn,
            portals: self
                .config
                .portals
                .iter()
                .map(ToString::to_string)
                .collect(),
            lun: 0,
        }
    }

    async fn exports(&self) -> Result<Vec<ExportState>, TargetError> {
        let failed = |source| TargetError::Unavailable {
            doing: "listing exports",
            source,
        };
        let mut found = Vec::new();
        for (volume_id, paths) in self.all().await.map_err(failed)? {
            let Some(path) = self.served(&paths).await.map_err(failed)? else {
                continue;
            };
            let len_bytes = backstore::len_bytes(&path).await;
            let initiators = match self.tree.objects(&paths.acls()).await {
                // It is there, and one of its initiators is being shut out for as long as the kernel likes.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => Vec::new(),
                found => found.map_err(failed)?,
            };
            found.push(ExportState {
                volume_id,
                device: Device { path, len_bytes },
                initiators,
            });
        }
        Ok(found)
    }

    async fn sessions(&self) -> Result<Vec<Session>, TargetError> {
        let told = self
            .told()
            .await
            .map_err(|source| TargetError::Unavailable {
                doing: "listing sessions",
                source,
            })?;
        Ok(told.into_iter().map(|(session, _)| session).collect())
    }

    async fn sessions_of(&self, volume: VolumeId) -> Result<Vec<Session>, TargetError> {
        let told = self.told_of(volume, &self.paths(volume)).await;
        told.map_err(|source| TargetError::Unavailable {
            doing: "listing a volume's sessions",
            source,
        })
    }

    /// The kernel ends a session only with its initiator's entry, which is made again at once.
    async fn kick(&self, session: SessionId) -> Result<Done, TargetError> {
        let not_kicked = |error: io::Error| TargetError::NotKicked {
            session,
            why: error.to_string(),
        };
        let told = self.told().await.map_err(not_kicked)?;
        let Some((found, paths)) = told.into_iter().find(|(one, _)| one.id == session) else {
            return Ok(Done::AlreadySo);
        };
        // In a task of its own: who gives up waiting must not keep the initiator shut out.
        let target = self.clone();
        let cut = tokio::spawn(async move { target.cut(&paths, &found.initiator).await });
        let done = cut
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        done.map_err(not_kicked)?;
        Ok(Done::Changed)
    }

    /// LVM holds writes by itself; the kernel's target offers nothing.
    async fn live_writes(&self, _: VolumeId) -> Result<Option<Arc<dyn LiveWrites>>, TargetError> {
        Ok(None)
    }
}

fn as_done(changed: bool) -> Done {
    if changed {
        Done::Changed
    } else {
        Done::AlreadySo
    }
}

fn refused(doing: &'static str, volume_id: VolumeId, error: &io::Error) -> TargetError {
    TargetError::Refused {
        doing,
        volume_id,
        why: error.to_string(),
    }
}
