//! Random sequences of operations, restarts included, against an oracle of contents.

use super::{BLOCK_BYTES, Stamps, Subject, gib_bytes, of, of_snapshot, snapshot_of, volume};
use crate::driver::{ObjectRef, SnapshotRef, Source, VolumeRef, Work};
use crate::model::size::Gib;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const SEQUENCES: u32 = 12;
const STEPS_MAX: usize = 24;
/// Volumes do not grow beyond, so that sparse files stay cheap to walk.
const SIZE_GIB_MAX: i64 = 4;

/// A step; the numbers choose among what is there.
#[derive(Debug, Clone)]
enum Step {
    Create,
    Write(usize, Vec<(u64, u64)>),
    Snapshot(usize),
    FromSnapshot(usize, i64),
    Clone(usize, i64),
    Extend(usize),
    Revert(usize),
    DeleteVolume(usize),
    DeleteSnapshot(usize),
    Restart,
}

fn a_step() -> impl Strategy<Value = Step> {
    let write = prop::collection::vec((0..super::BLOCKS_PER_GIB, 0_u64..1000), 1..6);
    prop_oneof![
        2 => Just(Step::Create),
        6 => (any::<usize>(), write).prop_map(|(which, stamps)| Step::Write(which, stamps)),
        3 => any::<usize>().prop_map(Step::Snapshot),
        2 => (any::<usize>(), 0_i64..2).prop_map(|(which, more)| Step::FromSnapshot(which, more)),
        2 => (any::<usize>(), 0_i64..2).prop_map(|(which, more)| Step::Clone(which, more)),
        1 => any::<usize>().prop_map(Step::Extend),
        2 => any::<usize>().prop_map(Step::Revert),
        1 => any::<usize>().prop_map(Step::DeleteVolume),
        1 => any::<usize>().prop_map(Step::DeleteSnapshot),
        1 => Just(Step::Restart),
    ]
}

/// What should be there.
struct World<S> {
    subject: S,
    volumes: Vec<(VolumeRef, Stamps)>,
    snapshots: Vec<(SnapshotRef, Stamps)>,
}

fn chosen<T>(things: &[T], which: usize) -> Option<usize> {
    which.checked_rem(things.len())
}

impl<S: Subject> World<S> {
    async fn create(&mut self, size_gib: i64, source: Source, stamps: Stamps) {
        let made = volume(size_gib.min(SIZE_GIB_MAX));
        let driver = self.subject.driver();
        driver
            .create(&made, &source, &Work::default())
            .await
            .unwrap();
        self.volumes.push((made, stamps));
    }

    async fn step(mut self, step: Step) -> Self {
        let (driver, work) = (self.subject.driver(), Work::default());
        match step {
            Step::Create => self.create(1, Source::Empty, Stamps::new()).await,
            Step::Write(which, stamps) => {
                if let Some(index) = chosen(&self.volumes, which) {
                    let (volume, held) = &mut self.volumes[index];
                    self.subject.write(volume, &stamps);
                    held.extend(stamps);
                    held.retain(|_, stamp| *stamp != 0);
                }
            }
            Step::Snapshot(which) => {
                if let Some(index) = chosen(&self.volumes, which) {
                    let (volume, held) = self.volumes[index].clone();
                    let snapshot = snapshot_of(&volume);
                    driver
                        .snapshot(&volume, &snapshot, None, &work)
                        .await
                        .unwrap();
                    self.snapshots.push((snapshot, held));
                }
            }
            Step::FromSnapshot(which, more) => {
                if let Some(index) = chosen(&self.snapshots, which) {
                    let (snapshot, held) = self.snapshots[index].clone();
                    let size_gib = snapshot.size_gib.get() + more;
                    self.create(size_gib, Source::Snapshot(snapshot), held)
                        .await;
                }
            }
            Step::Clone(which, more) => {
                if let Some(index) = chosen(&self.volumes, which) {
                    let (volume, held) = self.volumes[index].clone();
                    let size_gib = volume.size_gib.get() + more;
                    self.create(size_gib, Source::Volume(volume, None), held)
                        .await;
                }
            }
            Step::Extend(which) => {
                if let Some(index) = chosen(&self.volumes, which) {
                    let (volume, _) = &mut self.volumes[index];
                    let size_gib = (volume.size_gib.get() + 1).min(SIZE_GIB_MAX);
                    volume.size_gib = Gib::new(size_gib).unwrap();
                    driver.extend(volume).await.unwrap();
                }
            }
            Step::Revert(which) => self.revert(which).await,
            Step::DeleteVolume(which) => {
                if let Some(index) = chosen(&self.volumes, which)
                    && !(S::SNAPSHOTS_DEPEND && self.has_snapshots(index))
                {
                    let (volume, _) = self.volumes.swap_remove(index);
                    super::delete(&driver, &of(&volume)).await;
                }
            }
            Step::DeleteSnapshot(which) => {
                if let Some(index) = chosen(&self.snapshots, which) {
                    let (snapshot, _) = self.snapshots.swap_remove(index);
                    super::delete(&driver, &of_snapshot(&snapshot)).await;
                }
            }
            Step::Restart => {
                drop(driver);
                self.subject = self.subject.restarted();
            }
        }
        self
    }

    fn has_snapshots(&self, index: usize) -> bool {
        let (volume, _) = &self.volumes[index];
        let mut snapshots = self.snapshots.iter();
        snapshots.any(|(snapshot, _)| snapshot.volume_id == volume.id)
    }

    /// Only while the sizes agree; `ops` refuses it otherwise.
    async fn revert(&mut self, which: usize) {
        let Some(index) = chosen(&self.snapshots, which) else {
            return;
        };
        let (snapshot, stamps) = &self.snapshots[index];
        let same = |(volume, _): &&mut (VolumeRef, Stamps)| {
            volume.id == snapshot.volume_id && volume.size_gib == snapshot.size_gib
        };
        if let Some((volume, held)) = self.volumes.iter_mut().find(same) {
            let driver = self.subject.driver();
            driver
                .revert(volume, snapshot, &Work::default())
                .await
                .unwrap();
            *held = stamps.clone();
        }
    }

    fn objects(&self) -> Vec<(ObjectRef, u64, Stamps)> {
        let volumes = self
            .volumes
            .iter()
            .map(|(volume, held)| (of(volume), gib_bytes(volume.size_gib.get()), held.clone()));
        let snapshots = self.snapshots.iter().map(|(snapshot, held)| {
            (
                of_snapshot(snapshot),
                gib_bytes(snapshot.size_gib.get()),
                held.clone(),
            )
        });
        volumes.chain(snapshots).collect()
    }

    async fn check(&self) {
        let objects = self.objects();
        for (object, len_bytes, stamps) in &objects {
            assert_eq!(
                self.subject.read(object),
                (*len_bytes, stamps.clone()),
                "{object:?}"
            );
            assert!(stamps.keys().all(|block| block * BLOCK_BYTES < *len_bytes));
        }
        let found = self.subject.driver().objects().await.unwrap();
        assert_eq!(found.len(), objects.len(), "{found:?}");
    }
}

async fn play<S: Subject>(subject: S, steps: Vec<Step>) {
    let (volumes, snapshots) = (Vec::new(), Vec::new());
    let mut world = World {
        subject,
        volumes,
        snapshots,
    };
    for step in steps {
        world = world.step(step).await;
        world.check().await;
    }
    let driver = world.subject.driver();
    let objects = world.objects().into_iter().map(|(object, _, _)| object);
    for object in super::in_order::<S>(objects.collect()) {
        super::delete(&driver, &object).await;
    }
    assert_eq!(driver.objects().await.unwrap(), Vec::<String>::new());
}

pub(crate) fn agree_with_the_oracle<S: Subject>() {
    let config = Config {
        cases: SEQUENCES,
        failure_persistence: None,
        ..Config::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let steps = prop::collection::vec(a_step(), 1..STEPS_MAX);
    TestRunner::new(config)
        .run(&steps, |steps| {
            if let Some(subject) = S::fresh() {
                runtime.block_on(play(subject, steps));
            }
            Ok(())
        })
        .unwrap();
}
