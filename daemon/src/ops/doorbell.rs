//! The doorbell: a hint that the journal changed, rung after every COMMIT that somebody may wait for.
//!
//! Within a process it is a counter that tasks watch. Between the processes on one state directory it is an empty
//! datagram to each process's socket under `bells/`. A lost ring costs at most [`POLL`]: whoever waits looks at the
//! record that often anyway, so the bell can never be a source of truth.

use std::io;
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::UnixDatagram;
use tokio::sync::watch;

/// How often a waiter looks without having been rung.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// How long the list of other processes is believed.
const PEERS_AGE_MAX: Duration = Duration::from_millis(500);

/// Rings and listens.
#[derive(Clone)]
pub struct Doorbell {
    rings: watch::Sender<u64>,
    others: Option<Arc<Others>>,
}

/// The other processes' sockets.
struct Others {
    directory: PathBuf,
    own: PathBuf,
    sender: StdDatagram,
    // A std mutex: it is never held across an await.
    known: Mutex<(Option<Instant>, Vec<PathBuf>)>,
}

impl Drop for Others {
    fn drop(&mut self) {
        // A leftover is harmless: ringing it fails and removes it.
        let _gone = std::fs::remove_file(&self.own);
    }
}

impl Doorbell {
    /// A bell within this process only; for tests.
    pub fn local() -> Self {
        Self {
            rings: watch::Sender::new(0),
            others: None,
        }
    }

    /// A bell that also rings, and is rung by, the other processes on `state_dir`. Needs a tokio runtime.
    pub fn shared(state_dir: &Path) -> io::Result<Self> {
        let directory = state_dir.join("bells");
        std::fs::create_dir_all(&directory)?;
        let own = directory.join(format!("{}.sock", std::process::id()));
        if own.exists() {
            std::fs::remove_file(&own)?; // A dead process had our id.
        }
        let listener = UnixDatagram::bind(&own)?;
        let sender = StdDatagram::unbound()?;
        sender.set_nonblocking(true)?;
        let known = Mutex::new((None, Vec::new()));
        let others = Some(Arc::new(Others {
            directory,
            own,
            sender,
            known,
        }));
        let bell = Self {
            rings: watch::Sender::new(0),
            others,
        };
        let rings = bell.rings.clone();
        tokio::spawn(async move {
            let mut nothing = [0; 1];
            while listener.recv(&mut nothing).await.is_ok() {
                rings.send_modify(|count| *count = count.wrapping_add(1));
            }
        });
        Ok(bell)
    }

    /// Tells everybody that the journal changed.
    pub fn ring(&self) {
        self.rings
            .send_modify(|count| *count = count.wrapping_add(1));
        if let Some(others) = &self.others {
            others.ring();
        }
    }

    /// A listener that hears every ring from now on.
    pub fn listen(&self) -> Listener {
        Listener {
            rings: self.rings.subscribe(),
        }
    }
}

impl Others {
    fn ring(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0.is_none_or(|when| when.elapsed() > PEERS_AGE_MAX) {
            *known = (Some(Instant::now()), self.look());
        }
        for peer in &known.1 {
            if let Err(error) = self.sender.send_to(&[], peer)
                && error.kind() == io::ErrorKind::ConnectionRefused
            {
                let _gone = std::fs::remove_file(peer); // Its process is dead.
            }
        }
    }

    fn look(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.directory) else {
            return Vec::new();
        };
        let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        paths.filter(|path| *path != self.own).collect()
    }
}

/// Waits for rings.
pub struct Listener {
    rings: watch::Receiver<u64>,
}

impl Listener {
    /// Returns at the next ring (one that came since the last call counts), at the latest after [`POLL`].
    pub async fn heard(&mut self) {
        // Both outcomes mean the same: look at the record.
        let _rung_or_late = tokio::time::timeout(POLL, self.rings.changed()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rings_reach_another_bell_on_the_same_directory() {
        let directory = tempfile::tempdir().unwrap();
        let here = Doorbell::shared(directory.path()).unwrap();
        // A second process is played by a socket of its own.
        let other_path = directory.path().join("bells/other.sock");
        let other = UnixDatagram::bind(&other_path).unwrap();
        here.ring();
        let mut nothing = [0; 1];
        tokio::time::timeout(Duration::from_secs(5), other.recv(&mut nothing))
            .await
            .unwrap()
            .unwrap();

        let mut listener = here.listen();
        other
            .send_to(
                &[],
                directory
                    .path()
                    .join(format!("bells/{}.sock", std::process::id())),
            )
            .await
            .unwrap();
        tokio::time::timeout(Duration::from_secs(5), listener.rings.changed())
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn a_dead_process_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let here = Doorbell::shared(directory.path()).unwrap();
        let dead = directory.path().join("bells/dead.sock");
        drop(UnixDatagram::bind(&dead).unwrap());
        assert!(dead.exists());
        here.ring();
        assert!(!dead.exists());
    }
}
