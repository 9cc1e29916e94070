//! The client: volume groups and logical volumes by name.
//!
//! Every act says what it is about, has a deadline, and may be repeated by a caller who has looked at what is so. The
//! connection is made when it is first needed and made anew after it broke: a restart of udisksd or of the bus is an
//! error of the call under way ([`UdisksError::Unavailable`]), never of the next. An object that is not published yet
//! is waited for; one that does not exist at all is [`UdisksError::NotFound`] once the wait is over.
//!
//! No act shrinks, and none removes what others depend on: what depends on what is known to LVM, not to this crate,
//! so the caller asks LVM first.

#[cfg(test)]
mod tests;

use crate::error::UdisksError;
use crate::path;
use crate::proxies::{LogicalVolumeProxy, ManagerProxy, Options, VolumeGroupProxy};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, broadcast};
use tokio::time::{Instant, timeout_at};
use zbus::wire::{OwnedVariant, Variant};
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath};

/// A look even without a signal: signals are lost when udisks2 restarts.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Changes that a slow listener may fall behind; then it is told of a change of everything.
const CHANGES_AT_HAND: usize = 256;

const SERVICE: &str = "org.freedesktop.UDisks2";

/// What `InterfacesAdded` says: the object, its interfaces with their properties.
type Added = (
    OwnedObjectPath,
    HashMap<String, HashMap<String, OwnedVariant>>,
);
type Connect = dyn Fn() -> BoxFuture<'static, zbus::Result<Connection>> + Send + Sync;

/// How long the client waits for what.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// How long an act may take, backlog included: udisks2 works off the kernel's events one after another, and under
    /// emulation a burst of 50 kept it busy for 74 s.
    pub act: Duration,
    /// How long the bus may take to let us in and udisks2 to be started by it.
    pub connect: Duration,
    /// How long an object may be missing before it counts as absent: udisks2 publishes late.
    pub publish: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            act: Duration::from_secs(240),
            connect: Duration::from_secs(30),
            publish: Duration::from_secs(120),
        }
    }
}

/// udisks2 on one bus. Cheap to clone; all clones share a connection.
#[derive(Clone)]
pub struct Udisks {
    shared: Arc<Shared>,
}

struct Shared {
    connect: Box<Connect>,
    connection: Mutex<Option<Connection>>,
    changes: broadcast::Sender<String>,
    deadlines: Deadlines,
}

/// Tells of groups that changed, whoever changed them.
pub struct Changes {
    receiver: broadcast::Receiver<String>,
}

impl Changes {
    /// The next group that changed; `None` for "any of them": more happened than was kept.
    pub async fn next(&mut self) -> Option<String> {
        self.receiver.recv().await.ok()
    }
}

impl Udisks {
    /// udisks2 on the system bus; connects when first used.
    pub fn system() -> Self {
        let connect = || -> BoxFuture<'static, zbus::Result<Connection>> {
            Box::pin(async { zbus::connection::Builder::system().build().await })
        };
        Self::reached_by(Box::new(connect), Deadlines::default())
    }

    pub(crate) fn reached_by(connect: Box<Connect>, deadlines: Deadlines) -> Self {
        let (changes, _) = broadcast::channel(CHANGES_AT_HAND);
        Self {
            shared: Arc::new(Shared {
                connect,
                connection: Mutex::new(None),
                changes,
                deadlines,
            }),
        }
    }

    /// Connects and makes udisks2 load its LVM2 module, unless both is so already.
    pub async fn ready(&self) -> Result<(), UdisksError> {
        self.connection("udisks2").await.map(|_| ())
    }

    /// Changes of groups from now on.
    pub fn changes(&self) -> Changes {
        Changes {
            receiver: self.shared.changes.subscribe(),
        }
    }

    /// Makes a thick volume. Its content is whatever the disks hold, but for a few zeroed blocks at its start.
    pub async fn create_plain_volume(
        &self,
        vg: &str,
        lv: &str,
        size_bytes: u64,
    ) -> Result<(), UdisksError> {
        let name = lv.to_owned();
        self.on_group(vg, lv, move |group| {
            let name = name.clone();
            Box::pin(async move {
                let made = group.create_plain_volume(&name, size_bytes, quiet()).await;
                made.map(|_| ())
            })
        })
        .await
    }

    /// Makes a thin pool; LVM chooses chunks and metadata by its size.
    pub async fn create_thin_pool(
        &self,
        vg: &str,
        pool: &str,
        size_bytes: u64,
    ) -> Result<(), UdisksError> {
        let name = pool.to_owned();
        self.on_group(vg, pool, move |group| {
            let name = name.clone();
            Box::pin(async move {
                let made = group
                    .create_thin_pool_volume(&name, size_bytes, quiet())
                    .await;
                made.map(|_| ())
            })
        })
        .await
    }

    /// Makes a thin volume in `pool`; it reads as zeros.
    pub async fn create_thin_volume(
        &self,
        vg: &str,
        lv: &str,
        size_bytes: u64,
        pool: &str,
    ) -> Result<(), UdisksError> {
        self.published(vg, pool).await?;
        let (name, pool) = (lv.to_owned(), object(vg, Some(pool))?);
        self.on_group(vg, lv, move |group| {
            let (name, pool) = (name.clone(), pool.clone());
            Box::pin(async move {
                let made = group
                    .create_thin_volume(&name, size_bytes, &pool, quiet())
                    .await;
                made.map(|_| ())
            })
        })
        .await
    }

    /// Makes a snapshot of `origin`: a thin one of a thin volume when `size_bytes` is 0 (it comes out inactive, and LVM
    /// skips it when it activates), else a classic one with so much room for what changes.
    pub async fn create_snapshot(
        &self,
        vg: &str,
        origin: &str,
        snapshot: &str,
        size_bytes: u64,
    ) -> Result<(), UdisksError> {
        let name = snapshot.to_owned();
        self.on_volume(vg, origin, move |volume| {
            let name = name.clone();
            Box::pin(async move {
                let made = volume.create_snapshot(&name, size_bytes, quiet()).await;
                made.map(|_| ())
            })
        })
        .await
    }

    /// Sets a volume's size. The caller has seen that it is smaller: udisks2 would shrink as well.
    pub async fn resize(&self, vg: &str, lv: &str, size_bytes: u64) -> Result<(), UdisksError> {
        self.on_volume(vg, lv, move |volume| {
            Box::pin(async move { volume.resize(size_bytes, quiet()).await })
        })
        .await
    }

    /// Gives a volume another name.
    pub async fn rename(&self, vg: &str, lv: &str, name: &str) -> Result<(), UdisksError> {
        let name = name.to_owned();
        self.on_volume(vg, lv, move |volume| {
            let name = name.clone();
            Box::pin(async move { volume.rename(&name, quiet()).await.map(|_| ()) })
        })
        .await
    }

    /// Activates a volume that LVM does not skip.
    pub async fn activate(&self, vg: &str, lv: &str) -> Result<(), UdisksError> {
        self.on_volume(vg, lv, |volume| {
            Box::pin(async move { volume.activate(quiet()).await.map(|_| ()) })
        })
        .await
    }

    /// Deactivates a volume that nobody has open.
    pub async fn deactivate(&self, vg: &str, lv: &str) -> Result<(), UdisksError> {
        self.on_volume(vg, lv, |volume| {
            Box::pin(async move { volume.deactivate(quiet()).await })
        })
        .await
    }

    /// Removes a volume, **and with it every classic snapshot of it, or every thin volume of a pool**: the caller has
    /// seen that there are none.
    pub async fn delete(&self, vg: &str, lv: &str) -> Result<(), UdisksError> {
        self.on_volume(vg, lv, |volume| {
            Box::pin(async move { volume.delete(quiet()).await })
        })
        .await
    }

    /// Waits until udisks2 shows a volume.
    pub async fn published(&self, vg: &str, lv: &str) -> Result<(), UdisksError> {
        let path = object(vg, Some(lv))?;
        self.when_published(vg, &format!("{vg}/{lv}"), |connection| {
            let path = path.clone();
            Box::pin(async move {
                let interface = Some("org.freedesktop.DBus.Properties");
                let property = ("org.freedesktop.UDisks2.LogicalVolume", "Name");
                let asked =
                    connection.call_method(Some(SERVICE), &path, interface, "Get", &property);
                asked.await.map(|_| ())
            })
        })
        .await
    }

    async fn on_group<F>(&self, vg: &str, lv: &str, act: F) -> Result<(), UdisksError>
    where
        F: Fn(VolumeGroupProxy<'static>) -> BoxFuture<'static, zbus::Result<()>> + Send + Sync,
    {
        let path = object(vg, None)?;
        self.when_published(vg, &format!("{vg}/{lv}"), |connection| {
            let (path, act) = (path.clone(), &act);
            Box::pin(async move { act(VolumeGroupProxy::new(&connection, path).await?).await })
        })
        .await
    }

    async fn on_volume<F>(&self, vg: &str, lv: &str, act: F) -> Result<(), UdisksError>
    where
        F: Fn(LogicalVolumeProxy<'static>) -> BoxFuture<'static, zbus::Result<()>> + Send + Sync,
    {
        let path = object(vg, Some(lv))?;
        self.when_published(vg, &format!("{vg}/{lv}"), |connection| {
            let (path, act) = (path.clone(), &act);
            Box::pin(async move { act(LogicalVolumeProxy::new(&connection, path).await?).await })
        })
        .await
    }

    /// Calls until the object is there: an answer that it is not says nothing about LVM, only about what udisks2 has
    /// shown so far.
    async fn when_published<'a, F>(
        &'a self,
        vg: &str,
        subject: &str,
        call: F,
    ) -> Result<(), UdisksError>
    where
        F: Fn(Connection) -> BoxFuture<'a, zbus::Result<()>> + Send + Sync,
    {
        let (start, deadlines) = (Instant::now(), self.shared.deadlines);
        let absent_after = start + deadlines.publish;
        let mut changes = self.changes();
        loop {
            let connection = self.connection(subject).await?;
            let answer = timeout_at(start + deadlines.act, call(connection.clone())).await;
            let error = match answer {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_elapsed) => {
                    return Err(UdisksError::TimedOut {
                        subject: subject.to_owned(),
                        waited: deadlines.act,
                    });
                }
            };
            let is_unpublished = is_unpublished(&error);
            let error = UdisksError::from_bus(subject, &error);
            if let UdisksError::Unavailable { .. } = &error {
                self.forget().await;
            }
            if !is_unpublished || Instant::now() >= absent_after {
                return Err(error);
            }
            // Either it comes, or udisksd was restarted and has not loaded its module.
            load_module(&connection, subject, deadlines.connect).await?;
            let until = absent_after.min(Instant::now() + LOOK_AGAIN);
            let _ = timeout_at(until, changed(&mut changes, vg)).await;
        }
    }

    async fn connection(&self, subject: &str) -> Result<Connection, UdisksError> {
        let mut held = self.shared.connection.lock().await;
        // A bus that was restarted since the last call is nothing that this one need fail of.
        let is_open = |one: &&Connection| one.closed().now_or_never().is_none();
        if let Some(connection) = held.as_ref().filter(is_open) {
            return Ok(connection.clone());
        }
        let deadline = self.shared.deadlines.connect;
        let connecting = tokio::time::timeout(deadline, (self.shared.connect)());
        let connection = match connecting.await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(UdisksError::from_bus(subject, &error)),
            Err(_elapsed) => {
                return Err(UdisksError::TimedOut {
                    subject: subject.to_owned(),
                    waited: deadline,
                });
            }
        };
        // Before its modules are there to tell anything, so that nothing is missed.
        self.listen(&connection).await;
        load_module(&connection, subject, deadline).await?;
        *held = Some(connection.clone());
        Ok(connection)
    }

    /// The connection broke: the next call makes another.
    async fn forget(&self) {
        *self.shared.connection.lock().await = None;
    }

    /// Passes on signals about groups for as long as the connection lives. In a task of its own: a stream that nobody
    /// polls stops the whole connection.
    async fn listen(&self, connection: &Connection) {
        let rule = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .path_namespace("/org/freedesktop/UDisks2");
        let stream = match rule.build() {
            Ok(rule) => MessageStream::for_match_rule(rule, connection, None).await,
            Err(error) => Err(error),
        };
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "udisks2's signals cannot be heard; objects are looked for every 2 s");
                return;
            }
        };
        let changes = self.shared.changes.clone();
        tokio::spawn(async move {
            while let Some(message) = stream.next().await {
                let Ok(message) = message else { break };
                if let Some(group) = group_in(&message) {
                    let _unheard = changes.send(group);
                }
            }
        });
    }
}

/// The group that a signal is about: of its sender's path, or of the object that came or went.
fn group_in(message: &zbus::Message) -> Option<String> {
    let header = message.header();
    if let Some(group) = header.path().and_then(|path| path::group_of(path)) {
        return Some(group);
    }
    let body = message.body();
    let object = match header.member()?.as_str() {
        "InterfacesAdded" => body.deserialize::<Added>().ok()?.0,
        "InterfacesRemoved" => body.deserialize::<(OwnedObjectPath, Vec<String>)>().ok()?.0,
        _ => return None,
    };
    path::group_of(&object)
}

async fn changed(changes: &mut Changes, vg: &str) {
    while let Some(group) = changes.next().await {
        if group == vg {
            return;
        }
    }
}

async fn load_module(
    connection: &Connection,
    subject: &str,
    deadline: Duration,
) -> Result<(), UdisksError> {
    let loading = async {
        ManagerProxy::new(connection)
            .await?
            .enable_modules(true)
            .await
    };
    match tokio::time::timeout(deadline, loading).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(UdisksError::from_bus(subject, &error)),
        Err(_elapsed) => Err(UdisksError::TimedOut {
            subject: subject.to_owned(),
            waited: deadline,
        }),
    }
}

fn object(vg: &str, lv: Option<&str>) -> Result<OwnedObjectPath, UdisksError> {
    path::object(vg, lv).ok_or_else(|| UdisksError::NotFound {
        subject: format!("{vg}/{}", lv.unwrap_or_default()),
        text: "no such name is possible".to_owned(),
    })
}

fn is_unpublished(error: &zbus::Error) -> bool {
    use zbus::fdo::Error;
    matches!(
        error,
        zbus::Error::FDO(error) if matches!(
            **error,
            Error::UnknownObject(_) | Error::UnknownInterface(_) | Error::UnknownMethod(_)
        )
    )
}

/// Nobody is at a screen to be asked for a password.
fn quiet<'a>() -> Options<'a> {
    Options::from([("auth.no_user_interaction", Variant::from(true))])
}
