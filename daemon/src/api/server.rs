//! Listening: a unix socket with the peer's credentials, and TCP if it is configured; limits on connections, headers
//! and time; an end without cutting anybody off.
//!
//! The unix socket takes the place of one that a dead daemon left, never of one that still answers.

use super::auth::{AuthMode, Peer, is_loopback};
use super::door::Door;
use super::error::Body;
use super::stall::Unstalled;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at once, over both ways in; the next one waits in the kernel's queue until one ends. Readers of the
/// event stream (`READERS_MAX`) stay; so that they never keep out whoever wants an answer, 512 are left beside them.
const CONNECTIONS_MAX: usize = 1_536;

/// By when the headers of a request must have come; an idle connection is closed after it too.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Request line and headers together.
const HEADER_LEN_MAX: usize = 32 * 1024;

/// Headers of a request.
const HEADERS_MAX: usize = 100;

/// How long the end waits for answers that are being made.
const GRACE: Duration = Duration::from_secs(10);

/// How long a refused accept (no descriptors left) waits before the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long somebody on the socket's path may take to answer before the path counts as left behind.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Where to listen.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The unix socket's path and mode (0600, or 0660 for its group).
    pub unix: Option<(PathBuf, u32)>,
    /// The TCP address.
    pub tcp: Option<SocketAddr>,
}

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another daemon is there.
    #[error("another daemon answers on {}: stop it, or configure another socket", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket is there.
    #[error("{} exists and is not a socket: remove it, or configure another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The socket could not be made.
    #[error("cannot listen on {}", path.display())]
    Unix {
        /// The socket.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The address could not be taken.
    #[error("cannot listen on {address}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// Without authentication only this machine may call.
    #[error(
        "auth = \"none\" on {address}, which others can reach: use a loopback address, or tokens"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
}

/// The listeners, taken, not yet served.
#[derive(Debug)]
pub struct Server {
    unix: Option<(UnixListener, PathBuf)>,
    tcp: Option<TcpListener>,
}

impl Server {
    /// Takes the socket and the address.
    pub async fn bind(listen: &Listen, auth: AuthMode) -> Result<Self, ListenError> {
        let tcp = match listen.tcp {
            Some(address) if auth == AuthMode::None && !is_loopback(address.ip()) => {
                return Err(ListenError::Exposed { address });
            }
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|source| ListenError::Tcp { address, source })?,
            ),
            None => None,
        };
        let unix = match &listen.unix {
            Some((path, mode)) => Some((bind_unix(path, *mode).await?, path.clone())),
            None => None,
        };
        Ok(Self { unix, tcp })
    }

    /// The TCP address that was taken; with port 0 configured, the one that the kernel chose.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|tcp| tcp.local_addr().ok())
    }

    /// Serves until `stop`, then waits for the answers being made, within `GRACE`.
    pub async fn run(self, door: Door, stop: CancellationToken) {
        let serving = Serving {
            door,
            stop: stop.clone(),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            tasks: TaskTracker::new(),
        };
        let path = self.unix.as_ref().map(|(_, path)| path.clone());
        let unix = async {
            if let Some((listener, _)) = &self.unix {
                serving.accept_unix(listener).await;
            }
        };
        let tcp = async {
            if let Some(listener) = &self.tcp {
                serving.accept_tcp(listener).await;
            }
        };
        tokio::join!(unix, tcp);
        // Without listeners there is nothing to accept, but still something to wait for.
        stop.cancelled().await;
        serving.door.end_streams();
        if let Some(path) = path {
            // A file that is gone already is as good.
            let _ = std::fs::remove_file(path);
        }
        serving.tasks.close();
        if tokio::time::timeout(GRACE, serving.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("answers were still being made when the time to stop was over");
        }
    }
}

/// What the accept loops share.
struct Serving {
    door: Door,
    stop: CancellationToken,
    connections: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Serving {
    async fn accept_unix(&self, listener: &UnixListener) {
        while let Some(permit) = self.permit().await {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted.and_then(|(stream, _)| Ok((stream.peer_cred()?.uid(), stream))) {
                Ok((uid, stream)) => self.serve(stream, Peer::Unix { uid }, permit),
                Err(error) => self.refused(&error).await,
            }
        }
    }

    async fn accept_tcp(&self, listener: &TcpListener) {
        while let Some(permit) = self.permit().await {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => {
                    // Answers are written whole; without this the last part of a large one waits for an ACK.
                    let _ = stream.set_nodelay(true);
                    self.serve(stream, Peer::Tcp(from), permit);
                }
                Err(error) => self.refused(&error).await,
            }
        }
    }

    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            () = self.stop.cancelled() => None,
            permit = self.connections.clone().acquire_owned() => permit.ok(),
        }
    }

    async fn refused(&self, error: &io::Error) {
        tracing::warn!(%error, "a connection could not be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }

    fn serve<S>(&self, stream: S, peer: Peer, permit: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (door, stop) = (self.door.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let door = door.clone();
                async move {
                    Ok::<Response<Body>, Infallible>(
                        door.answer(peer, request.map(Body::new)).await,
                    )
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(HEADER_LEN_MAX)
                .max_headers(HEADERS_MAX)
                .serve_connection(TokioIo::new(Unstalled::new(stream)), service);
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                // The other side's doing: gone, too slow, or not speaking HTTP.
                tracing::debug!(%error, "a connection ended");
            }
            drop(permit);
        });
    }
}

/// Makes the socket under another name, with its mode, and moves it into place: nobody ever finds it with another
/// mode, and a socket left behind is replaced in one step.
async fn bind_unix(path: &Path, mode: u32) -> Result<UnixListener, ListenError> {
    replaceable(path).await?;
    let unix = |source| ListenError::Unix {
        path: path.to_path_buf(),
        source,
    };
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let fresh = PathBuf::from(name);
    match std::fs::remove_file(&fresh) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unix(error)),
    }
    let listener = UnixListener::bind(&fresh).map_err(unix)?;
    let placed = std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(mode))
        .and_then(|()| std::fs::rename(&fresh, path));
    if let Err(error) = placed {
        let _ = std::fs::remove_file(&fresh);
        return Err(unix(error));
    }
    Ok(listener)
}

/// Whether the path is free, or holds a socket that nobody serves.
async fn replaceable(path: &Path) -> Result<(), ListenError> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(ListenError::Unix {
                path: path.to_path_buf(),
                source,
            });
        }
    };
    if !kind.is_socket() {
        return Err(ListenError::NotASocket {
            path: path.to_path_buf(),
        });
    }
    match tokio::time::timeout(PROBE_TIMEOUT, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        // It answers, or is too busy to: either way somebody has it.
        Ok(Ok(_) | Err(_)) | Err(_) => Err(ListenError::InUse {
            path: path.to_path_buf(),
        }),
    }
}

#[cfg(test)]
mod tests;
