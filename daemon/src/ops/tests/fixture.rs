//! A worker at work on a record of its own, and how to ask it.

use crate::backup::BackupEngine;
use crate::backup::cinder;
use crate::backup::fake::FakeEngine;
use crate::driver::fake::{FakeDriver, Faults};
use crate::driver::{Done, Driver, LiveWrites, Source, VolumeRef, Work};
use crate::error::Error;
use crate::model::attachment::Connector;
use crate::model::caller::{Caller, Role};
use crate::model::id::{OperationId, SessionId, SnapshotId, VolumeId, VolumeTypeId};
use crate::model::operation::Operation;
use crate::model::size::Gib;
use crate::model::status::VolumeStatus;
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::model::volume_type::VolumeType;
use crate::ops::{
    Ctx, DetachPolicy, Doorbell, Lane, Queue, QuotaLimits, create_snapshot, run_worker,
};
use crate::store::list::{Filter, ListRequest};
use crate::store::quotas::{self, Of, Resource};
use crate::store::{
    Batch, SqliteOptions, Store, attachments, operations, snapshots, volume_types, volumes,
};
use crate::target::{Access, Address, Export, ExportState, Session, Target, TargetError};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// No wait of a test is longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A target that remembers whom it lets in, and fails on request.
#[derive(Debug, Default)]
pub(super) struct MemoryTarget {
    exports: Mutex<BTreeMap<VolumeId, (Export, BTreeSet<String>)>>,
    /// Who may only read.
    read_only: Mutex<BTreeSet<(VolumeId, String)>>,
    /// Who is logged in.
    pub(super) logged_in: Mutex<Vec<Session>>,
    /// Whether everybody logs out once that was looked at.
    pub(super) leave_when_seen: AtomicBool,
    /// Whether `allow` fails, after having let the initiator in: an answer that was lost.
    pub(super) allow_fails: AtomicBool,
    /// Whether `deny` and `unexport` fail.
    pub(super) deny_fails: AtomicBool,
}

impl MemoryTarget {
    fn all(&self) -> MutexGuard<'_, BTreeMap<VolumeId, (Export, BTreeSet<String>)>> {
        self.exports.lock().unwrap()
    }

    /// Who can log in to a volume; `None` when it is not exported.
    pub(super) fn lets_in(&self, volume: VolumeId) -> Option<Vec<String>> {
        let all = self.all();
        Some(all.get(&volume)?.1.iter().cloned().collect())
    }

    /// Whether an initiator may read and not write.
    pub(super) fn lets_read_only(&self, volume: VolumeId, initiator: &str) -> bool {
        let all = self.read_only.lock().unwrap();
        all.contains(&(volume, initiator.to_owned()))
    }

    /// Lets an initiator in behind the record's back, as a call does whose answer was lost.
    pub(super) fn lets_in_behind(&self, volume: VolumeId, initiator: &str) {
        let mut all = self.all();
        all.get_mut(&volume).unwrap().1.insert(initiator.to_owned());
    }

    /// Lets a host log in, or out.
    pub(super) fn logs_in(&self, volume_id: VolumeId, initiator: &str, is_in: bool) {
        let mut all = self.logged_in.lock().unwrap();
        all.retain(|one| one.volume_id != volume_id || one.initiator != initiator);
        if is_in {
            all.push(Session {
                id: SessionId::random(),
                volume_id,
                initiator: initiator.to_owned(),
                peer: "10.0.0.9:1".to_owned(),
                since: None,
                read_only: false,
                reads: None,
                writes: None,
                read_bytes: 0,
                written_bytes: 0,
                last_io_at: None,
                quiet: None,
            });
        }
    }

    fn lost(doing: &'static str, fails: &AtomicBool) -> Result<(), TargetError> {
        if fails.load(Ordering::SeqCst) {
            let source = std::io::ErrorKind::ConnectionReset.into();
            return Err(TargetError::Unavailable { doing, source });
        }
        Ok(())
    }
}

#[async_trait]
impl Target for MemoryTarget {
    async fn export(&self, export: &Export) -> Result<Done, TargetError> {
        let mut all = self.all();
        let entry = all.entry(export.volume_id);
        entry.or_insert_with(|| (export.clone(), BTreeSet::new())).0 = export.clone();
        Ok(Done::Changed)
    }

    async fn unexport(&self, volume: VolumeId) -> Result<Done, TargetError> {
        Self::lost("unexport", &self.deny_fails)?;
        self.all().remove(&volume);
        Ok(Done::Changed)
    }

    async fn allow(&self, volume: VolumeId, access: &Access) -> Result<Done, TargetError> {
        match self.all().get_mut(&volume) {
            None => return Err(TargetError::NotExported { volume_id: volume }),
            Some((_, initiators)) => initiators.insert(access.initiator.clone()),
        };
        if access.read_only {
            let mut all = self.read_only.lock().unwrap();
            all.insert((volume, access.initiator.clone()));
        }
        Self::lost("allow", &self.allow_fails)?;
        Ok(Done::Changed)
    }

    async fn deny(&self, volume: VolumeId, initiator: &str) -> Result<Done, TargetError> {
        Self::lost("deny", &self.deny_fails)?;
        if let Some((_, initiators)) = self.all().get_mut(&volume) {
            initiators.remove(initiator);
        }
        Ok(Done::Changed)
    }

    async fn resize(&self, _: VolumeId, _: u64) -> Result<Done, TargetError> {
        Ok(Done::AlreadySo)
    }

    fn address(&self, volume: VolumeId) -> Address {
        Address {
            iqn: format!("iqn.2010-10.org.openstack:volume-{volume}"),
            portals: vec!["127.0.0.1:3260".to_owned()],
            lun: 0,
        }
    }

    async fn exports(&self) -> Result<Vec<ExportState>, TargetError> {
        let state =
            |(volume_id, (export, initiators)): (&VolumeId, &(Export, BTreeSet<String>))| {
                ExportState {
                    volume_id: *volume_id,
                    device: export.device.clone(),
                    initiators: initiators.iter().cloned().collect(),
                }
            };
        Ok(self.all().iter().map(state).collect())
    }

    async fn sessions(&self) -> Result<Vec<Session>, TargetError> {
        let mut all = self.logged_in.lock().unwrap();
        let seen = all.clone();
        if self.leave_when_seen.load(Ordering::SeqCst) {
            all.clear();
        }
        Ok(seen)
    }

    async fn kick(&self, _: SessionId) -> Result<Done, TargetError> {
        Ok(Done::AlreadySo)
    }

    async fn live_writes(&self, _: VolumeId) -> Result<Option<Arc<dyn LiveWrites>>, TargetError> {
        Ok(None)
    }
}

/// A record, a driver, a target; and a worker once it is asked for.
pub(super) struct Fixture {
    pub(super) ctx: Arc<Ctx>,
    pub(super) driver: Arc<FakeDriver>,
    /// A second backend, `c`, if it was asked for.
    pub(super) other: Option<Arc<FakeDriver>>,
    pub(super) target: Arc<MemoryTarget>,
    /// The backup store `nas`.
    pub(super) engine: Arc<FakeEngine>,
    pub(super) caller: Caller,
    pub(super) volume_type: VolumeType,
    stop: CancellationToken,
    pub(super) dir: tempfile::TempDir,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(super) async fn fixture() -> Fixture {
    fixture_with(DetachPolicy::default()).await
}

pub(super) async fn fixture_with(detach_policy: DetachPolicy) -> Fixture {
    fixture_of(detach_policy, None).await
}

/// One with a second backend on the same host.
pub(super) async fn fixture_of_two() -> Fixture {
    let other = FakeDriver::in_memory("c", "pool", Faults::default());
    fixture_of(DetachPolicy::default(), Some(Arc::new(other))).await
}

fn plain_type() -> VolumeType {
    VolumeType {
        id: VolumeTypeId::random(),
        name: "t".to_owned(),
        description: None,
        is_public: true,
        extra_specs: BTreeMap::new(),
        qos_specs_id: None,
        encryption: None,
        created_at: Time::now(),
        updated_at: None,
    }
}

async fn fixture_of(detach_policy: DetachPolicy, other: Option<Arc<FakeDriver>>) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        reserve_bytes: 0,
        ..SqliteOptions::default()
    };
    let store = Store::open_sqlite(dir.path(), options).await.unwrap();
    let volume_type = plain_type();
    let mut batch = Batch::new();
    let values = volume_types::insert_values(&volume_type);
    batch.add(volume_types::INSERT, values);
    store.write(batch).await.unwrap();
    let driver = Arc::new(FakeDriver::in_memory("b", "pool", Faults::default()));
    let target = Arc::new(MemoryTarget::default());
    let mut drivers = BTreeMap::from([("b".to_owned(), driver.clone() as Arc<dyn Driver>)]);
    if let Some(other) = &other {
        drivers.insert("c".to_owned(), other.clone());
    }
    let engine = Arc::new(FakeEngine::new("nas", &dir.path().join("nas")));
    let old = cinder::open(cinder::Settings {
        name: "old".to_owned(),
        directory: dir.path().join("old"),
        state_dir: dir.path().to_owned(),
        bytes_per_s: 0,
    });
    let old = Arc::new(old.in_threads());
    let engines = BTreeMap::from([
        ("nas".to_owned(), engine.clone() as Arc<dyn BackupEngine>),
        ("old".to_owned(), old as Arc<dyn BackupEngine>),
    ]);
    let ctx = Ctx {
        store,
        drivers,
        backups: engines,
        target: Some(target.clone() as Arc<dyn Target>),
        host: "h".to_owned(),
        availability_zone: "nova".to_owned(),
        quota: QuotaLimits {
            volumes: 100,
            snapshots: 100,
            gigabytes: 1000,
            per_volume_gigabytes: 50,
            backups: 4,
            backup_gigabytes: 6,
        },
        doorbell: Doorbell::local(),
        detach_policy,
        mutual_chap: false,
        gate: Default::default(),
        faults: Default::default(),
    };
    Fixture {
        ctx: Arc::new(ctx),
        driver,
        other,
        target,
        engine,
        caller: caller("p", Role::Member),
        volume_type,
        stop: CancellationToken::new(),
        dir,
    }
}

pub(super) fn caller(project_id: &str, role: Role) -> Caller {
    Caller {
        project_id: project_id.to_owned(),
        user_id: "u".to_owned(),
        role,
        request_id: "req-1".to_owned(),
    }
}

/// The connector of a host.
pub(super) fn connector(initiator: &str) -> Connector {
    let text = format!("{{\"initiator\": \"{initiator}\", \"host\": \"{initiator}\"}}");
    attachments::read_connector(&text).unwrap()
}

impl Fixture {
    /// Starts a worker over every queue.
    pub(super) fn works(&self) {
        let mut queues = vec![Queue::scheduler()];
        for service in ["h@b", "h@c"] {
            queues.extend(Lane::ALL.map(|lane| Queue::lane(service, lane)));
        }
        queues.extend(["h@nas", "h@old"].map(Queue::backup));
        queues.push(Queue::look("h@nas"));
        tokio::spawn(run_worker(self.ctx.clone(), queues, self.stop.clone()));
    }

    /// A volume as a create leaves it, changed by `change` before it is recorded.
    pub(super) async fn volume(&self, change: impl FnOnce(&mut Volume)) -> Volume {
        let mut volume = Volume {
            id: VolumeId::random(),
            project_id: self.caller.project_id.clone(),
            user_id: "u".to_owned(),
            name: None,
            description: None,
            size_gib: Gib::new(1).unwrap(),
            status: VolumeStatus::Available,
            host: Some("h@b#pool".to_owned()),
            availability_zone: "nova".to_owned(),
            volume_type_id: self.volume_type.id,
            volume_type: self.volume_type.name.clone(),
            snapshot_id: None,
            source_volid: None,
            multiattach: false,
            bootable: false,
            metadata: BTreeMap::new(),
            readonly: None,
            image_metadata: Default::default(),
            created_at: Time::now(),
            updated_at: None,
        };
        change(&mut volume);
        let mut batch = Batch::new();
        batch.add(volumes::INSERT, volumes::insert_values(&volume));
        let project = &volume.project_id;
        for resource in [Resource::Volumes, Resource::Gigabytes] {
            quotas::take(&mut batch, project, resource, 1, -1);
            quotas::take_of_type(&mut batch, project, Of::Volume(volume.id), resource, 1);
        }
        self.ctx.store.write(batch).await.unwrap();
        if volume.host.is_some() {
            let made = VolumeRef {
                id: volume.id,
                pool: "pool".to_owned(),
                size_gib: volume.size_gib,
                thick: false,
            };
            let work = Work::default();
            self.driver
                .create(&made, &Source::Empty, &work)
                .await
                .unwrap();
        }
        volume
    }

    /// A snapshot that is there.
    pub(super) async fn snapshot(&self, caller: &Caller, volume_id: VolumeId) -> SnapshotId {
        let request = create_snapshot::Request {
            volume_id,
            name: None,
            description: None,
            metadata: BTreeMap::new(),
            may_be_attached: true,
        };
        let begun = create_snapshot::begin(&self.ctx, caller, request).await;
        let id = begun.unwrap().id;
        self.over(&id).await;
        id
    }

    pub(super) async fn status(&self, id: VolumeId) -> Option<&'static str> {
        let volume = volumes::get(&self.ctx.store, id).await.unwrap();
        volume.map(|volume| volume.status.as_str())
    }

    pub(super) async fn snapshot_status(&self, id: SnapshotId) -> Option<&'static str> {
        let snapshot = snapshots::get(&self.ctx.store, id).await.unwrap();
        snapshot.map(|snapshot| snapshot.status.as_str())
    }

    /// What a project's quota counts.
    pub(super) async fn used(&self, project: &str, resource: Resource) -> i64 {
        let usage = quotas::usage(&self.ctx.store, project).await.unwrap();
        usage.get(resource.as_str()).copied().unwrap_or(0)
    }

    /// The newest operation on an object.
    pub(super) async fn newest(&self, object: &impl ToString) -> Operation {
        let request = ListRequest {
            filters: vec![Filter::equal("object_id", object.to_string())],
            limit: 1,
            ..ListRequest::default()
        };
        let found = operations::list(&self.ctx.store, &request).await.unwrap();
        found.into_iter().next().unwrap()
    }

    /// Waits until the newest operation on an object is over; the answer is that operation.
    pub(super) async fn over(&self, object: &impl ToString) -> Operation {
        let id = self.newest(object).await.id;
        self.until(id, |operation| operation.phase.is_over()).await
    }

    /// Waits until an operation is as `is` says.
    pub(super) async fn until(
        &self,
        id: OperationId,
        is: impl Fn(&Operation) -> bool,
    ) -> Operation {
        let mut listener = self.ctx.doorbell.listen();
        let end = Instant::now() + PATIENCE;
        loop {
            let found = operations::get(&self.ctx.store, id).await.unwrap().unwrap();
            if is(&found) {
                return found;
            }
            assert!(Instant::now() < end, "still {found:?}");
            listener.heard().await;
        }
    }
}

/// That a request was refused with a text that holds `words`.
pub(super) fn refused<T: std::fmt::Debug>(answer: Result<T, Error>, words: &str) {
    let text = answer.unwrap_err().to_string();
    assert!(text.contains(words), "{text}");
}
