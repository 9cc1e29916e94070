//! A udisks2 for tests: volume groups in memory, served over a socket pair to the real client.
//!
//! It reproduces what shapes the client: nothing is there before the modules are loaded; objects come and go only after
//! the call that made or removed them has returned (a test may hold them back longer); a rename moves the object; thin
//! snapshots come out inactive and skipped; a removal takes dependants along; a resize shrinks as well; errors are
//! LVM's words within `Failed`. It may be told to fail, to be late, and to die in the middle of an act.
//!
//! The groups themselves are in [`groups`], which a stand-in for LVM's own programs can share; what is to go wrong is in
//! [`fates`]. Only tests use this, hence the feature.

pub mod fates;
pub mod groups;
mod objects;

use crate::path;
use crate::udisks::{Deadlines, Udisks};
use fates::{Failure, Fates};
use futures_util::future::{BoxFuture, try_join};
use groups::{Groups, Refused, SharedGroups, locked};
use objects::{LogicalVolumeObject, ManagerObject, VolumeGroupObject};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use zbus::connection::Builder;
use zbus::fdo::ObjectManager;
use zbus::{Connection, Guid};

const ROOT: &str = "/org/freedesktop/UDisks2";
const MANAGER: &str = "/org/freedesktop/UDisks2/Manager";

/// The fake; all clones are one udisks2.
#[derive(Clone)]
pub struct FakeUdisks {
    shared: Arc<Shared>,
}

struct Shared {
    groups: SharedGroups,
    fates: Arc<Fates>,
    holds_back: watch::Sender<bool>,
    refuses: AtomicBool,
    starts: AtomicU64,
    running: Mutex<Option<UnixStream>>,
}

impl FakeUdisks {
    /// One over `groups`, whose acts are counted among `fates`.
    pub fn over(groups: SharedGroups, fates: Arc<Fates>) -> Self {
        Self {
            shared: Arc::new(Shared {
                groups,
                fates,
                holds_back: watch::channel(false).0,
                refuses: AtomicBool::new(false),
                starts: AtomicU64::new(0),
                running: Mutex::new(None),
            }),
        }
    }

    /// The real client, connected to this udisks2 when first used.
    pub fn client(&self, deadlines: Deadlines) -> Udisks {
        let shared = self.shared.clone();
        let connect = move || -> BoxFuture<'static, zbus::Result<Connection>> {
            Box::pin(served(shared.clone()))
        };
        Udisks::reached_by(Box::new(connect), deadlines)
    }

    /// Publishes nothing, and takes nothing back, until told to go on.
    pub fn hold_back(&self, is_held: bool) {
        self.shared.holds_back.send_replace(is_held);
    }

    /// Kills udisksd; the next connection starts it anew, without its modules.
    pub fn kill(&self) {
        self.shared.kill();
    }

    /// Nobody can connect while this is so: there is no bus, or nothing that starts udisksd.
    pub fn refuse(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::Relaxed);
    }

    /// How often udisksd was started.
    pub fn starts(&self) -> u64 {
        self.shared.starts.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn kill(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(socket) = running.take() {
            // Both ends see the end of the stream; that one of them has is all that can fail here.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// An act of udisks2 in the groups.
    async fn act<T>(
        &self,
        act: impl FnOnce(&mut Groups) -> Result<T, Refused>,
    ) -> Result<T, Failure> {
        let done = self.fates.act(|| act(&mut locked(&self.groups))).await;
        if let Err(Failure::Killed) = done {
            self.kill();
        }
        done
    }
}

/// A new udisksd, and the client's end of the connection to it.
async fn served(shared: Arc<Shared>) -> zbus::Result<Connection> {
    if shared.refuses.load(Ordering::Relaxed) {
        let why = "there is no bus in this test".to_owned();
        return Err(zbus::fdo::Error::ServiceUnknown(why).into());
    }
    let (ours, theirs) = UnixStream::pair()?;
    let socket = ours.try_clone()?;
    let manager = ManagerObject::new(shared.clone());
    let server = Builder::unix_stream(ours)
        .server(Guid::generate())
        .p2p()
        .serve_at(ROOT, ObjectManager)
        .serve_at(MANAGER, manager);
    let client = Builder::unix_stream(theirs).p2p();
    let (server, client) = try_join(server.build(), client.build()).await?;
    shared.starts.fetch_add(1, Ordering::Relaxed);
    shared.kill();
    *shared
        .running
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some(socket);
    // The server lives as long as its socket, not as this function.
    tokio::spawn(async move { server.closed().await });
    Ok(client)
}

/// Shows what is in the groups and takes back what is no longer, always after the fact, for as long as udisksd lives.
async fn publish(shared: Arc<Shared>, connection: Connection) -> zbus::Result<()> {
    let mut changes = locked(&shared.groups).changes();
    let mut held = shared.holds_back.subscribe();
    let mut shown = BTreeSet::new();
    let mut free = BTreeMap::new();
    loop {
        if held.wait_for(|is_held| !is_held).await.is_err() {
            return Ok(());
        }
        changes.borrow_and_update();
        let (wanted, free_now) = {
            let groups = locked(&shared.groups);
            let names = groups.names();
            let free_of = |vg: &String| groups.group(vg).map(|group| group.free_bytes()).ok();
            let free: BTreeMap<_, _> = names
                .iter()
                .map(|(vg, _)| (vg.clone(), free_of(vg)))
                .collect();
            (names, free)
        };
        show(&shared, &connection, &shown, &wanted).await?;
        for (vg, _) in free_now.iter().filter(|(vg, now)| {
            let before: Option<&Option<u64>> = free.get(*vg);
            before.is_some_and(|before| before != *now)
        }) {
            tell_free(&connection, vg).await?;
        }
        (shown, free) = (wanted, free_now);
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
            () = connection.closed() => return Ok(()),
        }
    }
}

async fn show(
    shared: &Arc<Shared>,
    connection: &Connection,
    shown: &BTreeSet<(String, Option<String>)>,
    wanted: &BTreeSet<(String, Option<String>)>,
) -> zbus::Result<()> {
    let server = connection.object_server();
    for (vg, lv) in shown.difference(wanted) {
        let Some(path) = path::object(vg, lv.as_deref()) else {
            continue;
        };
        match lv {
            Some(_) => server.remove::<LogicalVolumeObject, _>(&path).await?,
            None => server.remove::<VolumeGroupObject, _>(&path).await?,
        };
    }
    for (vg, lv) in wanted.difference(shown) {
        let Some(path) = path::object(vg, lv.as_deref()) else {
            continue;
        };
        match lv {
            Some(lv) => {
                let object = LogicalVolumeObject::new(shared.clone(), vg, lv);
                server.at(&path, object).await.map(|_| ())?;
            }
            None => {
                let object = VolumeGroupObject::new(shared.clone(), vg);
                server.at(&path, object).await.map(|_| ())?;
            }
        }
    }
    Ok(())
}

/// A group's free space is a property; its change is how udisks2 tells of a volume that grew.
async fn tell_free(connection: &Connection, vg: &str) -> zbus::Result<()> {
    let Some(path) = path::object(vg, None) else {
        return Ok(());
    };
    let group = connection
        .object_server()
        .interface::<_, VolumeGroupObject>(&path)
        .await?;
    let object = group.get().await;
    object.free_size_changed(group.signal_emitter()).await
}
