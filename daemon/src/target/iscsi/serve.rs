//! The target's process: its directory and lock, its sockets, and its orderly end.
//!
//! ```text
//! DIR/target/          0700
//!     lock             held while the process lives; a second one is refused
//!     control.sock     0600; see `control`
//!     exports.json     0600; see `table`
//! ```
//! Its end: accepting stops, commands under way end and are answered, everything written is made
//! stable, the socket is removed. Killed instead, it loses nothing that it promised: a flush is
//! answered only after the disk has it.

use super::control::Control;
use super::limits::{CONNECTIONS_MAX, DRAIN_TIMEOUT, IO_THREADS_MAX, LOGINS_MAX};
use super::registry::Registry;
use super::session::connection::{self, Portal};
use super::table::TableError;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pause after a failed accept: out of descriptors lasts, and must not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Cinder's default prefix of target names.
pub const IQN_PREFIX: &str = "iqn.2010-10.org.openstack:";

/// How the target is to run.
#[derive(Debug, Clone)]
pub struct TargetConfig {
    /// The state directory; the target owns `target/` in it.
    pub state_dir: PathBuf,
    /// Where initiators connect to; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// The portals told to initiators, `ip:port` each; empty tells the address they came to.
    pub portals: Vec<String>,
    /// What target names begin with.
    pub iqn_prefix: String,
}

/// Why the target could not run.
#[derive(Debug, Error)]
pub enum TargetServeError {
    /// The directory cannot be used.
    #[error("the target's directory {path} cannot be used")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Its reason.
        #[source]
        source: io::Error,
    },
    /// Another target uses the directory.
    #[error("another target is running in {path}; stop it first, or use another state directory")]
    Running {
        /// The directory.
        path: PathBuf,
    },
    /// The export table cannot be read.
    #[error("the exports cannot be restored; nothing is served")]
    Table(#[from] TableError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}; is another iSCSI target running there?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Its reason.
        #[source]
        source: io::Error,
    },
    /// The control socket cannot be made.
    #[error("the control socket {path} cannot be made")]
    Control {
        /// The socket.
        path: PathBuf,
        /// Its reason.
        #[source]
        source: io::Error,
    },
}

/// The control socket of a state directory.
pub fn control_socket(state_dir: &Path) -> PathBuf {
    state_dir.join("target").join("control.sock")
}

/// Serves until `shutdown` is cancelled or the control socket says `stop`.
pub async fn serve(
    config: TargetConfig,
    shutdown: CancellationToken,
) -> Result<(), TargetServeError> {
    let dir = config.state_dir.join("target");
    let lock = lock(&dir)?;
    let portals = config.portals.clone();
    let registry = Arc::new(Registry::load(&dir, &config.iqn_prefix, portals)?);
    let listeners = listen(&config.listen).await?;
    let socket = control_socket(&config.state_dir);
    let control_listener = listen_control(&socket)?;
    let shutdown = shutdown.child_token();
    let control = Control {
        registry: Arc::clone(&registry),
        listening: Arc::new(
            listeners
                .iter()
                .map(|(_, bound)| bound.to_string())
                .collect(),
        ),
        shutdown: shutdown.clone(),
    };
    let doors = Doors {
        portal: Portal {
            registry: Arc::clone(&registry),
            io: Arc::new(Semaphore::new(IO_THREADS_MAX)),
            shutdown: shutdown.clone(),
        },
        connections: TaskTracker::new(),
        slots: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        login_slots: Arc::new(Semaphore::new(LOGINS_MAX)),
    };
    let mut accepting = JoinSet::new();
    accepting.spawn(control.run(control_listener));
    for (listener, _) in listeners {
        accepting.spawn(doors.clone().accept(listener));
    }
    tracing::info!(exports = registry.exports().len(), "the target serves");
    shutdown.cancelled().await;
    while accepting.join_next().await.is_some() {}
    doors.connections.close();
    if timeout(DRAIN_TIMEOUT, doors.connections.wait())
        .await
        .is_err()
    {
        tracing::error!("commands under way did not end in time");
    }
    flush(&registry).await;
    if let Err(error) = fs::remove_file(&socket) {
        tracing::warn!(%error, "the control socket could not be removed");
    }
    drop(lock);
    Ok(())
}

async fn listen(
    addresses: &[SocketAddr],
) -> Result<Vec<(TcpListener, SocketAddr)>, TargetServeError> {
    let mut listeners = Vec::new();
    for address in addresses {
        let failed = |source| TargetServeError::Listen {
            address: *address,
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        listeners.push((listener, bound));
    }
    Ok(listeners)
}

/// Makes the directory and takes its lock, which the kernel gives up when the process ends.
fn lock(dir: &Path) -> Result<File, TargetServeError> {
    let failed = |source| TargetServeError::Directory {
        path: dir.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed)?;
    // It may have been there before, with other rights.
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed)?;
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    let file = file.map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(TargetServeError::Running {
            path: dir.to_owned(),
        }),
        Err(error) => Err(failed(error.into())),
    }
}

/// The lock is ours, so that a socket found here is a dead process's.
fn listen_control(socket: &Path) -> Result<UnixListener, TargetServeError> {
    let failed = |source| TargetServeError::Control {
        path: socket.to_owned(),
        source,
    };
    match fs::remove_file(socket) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    fs::set_permissions(socket, Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

async fn flush(registry: &Registry) {
    for lun in registry.luns() {
        let volume = lun.volume_id;
        match tokio::task::spawn_blocking(move || lun.backing.sync()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%volume, %error, "a volume could not be flushed"),
            Err(error) => tracing::error!(%volume, %error, "flushing a volume failed"),
        }
    }
}

/// What accepts connections.
#[derive(Clone)]
struct Doors {
    portal: Portal,
    connections: TaskTracker,
    slots: Arc<Semaphore>,
    login_slots: Arc<Semaphore>,
}

impl Doors {
    async fn accept(self, listener: TcpListener) {
        let shutdown = self.portal.shutdown.clone();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.cancelled() => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, or a connection that was gone again: others go on.
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_RETRY).await;
                    continue;
                }
            };
            let slot = Arc::clone(&self.slots).try_acquire_owned();
            let login_slot = Arc::clone(&self.login_slots).try_acquire_owned();
            let (Ok(slot), Ok(login_slot)) = (slot, login_slot) else {
                tracing::warn!(%peer, "too many connections; one was closed");
                continue;
            };
            let portal = self.portal.clone();
            // The handle is not needed: the tracker knows the task.
            drop(self.connections.spawn(async move {
                connection::serve(stream, peer, portal, login_slot).await;
                drop(slot);
            }));
        }
    }
}
