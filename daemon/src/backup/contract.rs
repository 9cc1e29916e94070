//! The suite that every engine passes: the rules of `backup/mod.rs`.
//!
//! An engine's tests give a [`Subject`], a fresh store, and call [`engine_contract`]. Volumes are files, and every
//! comparison is of all their bytes.

use super::{BackupEngine, BackupError, Depth, DescribedVolume, Description, Source, Stored};
use crate::driver::{Device, Done, Work};
use crate::model::id::{BackupId, VolumeId};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const MIB: u64 = 1 << 20;

/// A fresh store.
pub(crate) trait Subject: Sized + Send + Sync + 'static {
    /// Made, empty.
    fn fresh() -> Self;
    /// The engine.
    fn engine(&self) -> Arc<dyn BackupEngine>;
    /// The same store as a new process finds it.
    fn restarted(self) -> Self;
}

/// Files that stand for volumes, in a directory of their own.
pub(crate) struct Volumes {
    directory: tempfile::TempDir,
    seed: u64,
}

impl Volumes {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            seed,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file of holes.
    pub(crate) fn empty(&self, name: &str, len_bytes: u64) -> Device {
        let path = self.path(name);
        File::create(&path).unwrap().set_len(len_bytes).unwrap();
        Device { path, len_bytes }
    }

    /// Bytes that nothing can make smaller.
    pub(crate) fn noise(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        for word in bytes.chunks_mut(8) {
            // xorshift: repeatable, and random enough not to be compressed.
            self.seed ^= self.seed << 13;
            self.seed ^= self.seed >> 7;
            self.seed ^= self.seed << 17;
            word.copy_from_slice(&self.seed.to_le_bytes()[..word.len()]);
        }
        bytes
    }

    /// Text, noise, zeros that were written, and holes; of an odd length.
    pub(crate) fn mixed(&mut self, name: &str, mib: u64) -> Device {
        let device = self.empty(name, mib * MIB + 12_345);
        let text = "a volume is a row of blocks; ".repeat(60_000);
        write(&device, text.as_bytes(), 10);
        write(&device, &self.noise(2 << 20), 3 * MIB + 4096);
        write(&device, &vec![0; 1 << 20], 7 * MIB);
        // Its last bytes.
        write(&device, &self.noise(2000), device.len_bytes - 2000);
        device
    }
}

pub(crate) fn write(device: &Device, bytes: &[u8], at: u64) {
    let file = File::options().write(true).open(&device.path).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

pub(crate) fn description(volume: VolumeId) -> Description {
    let id = BackupId::random();
    Description {
        id,
        project_id: "p".to_owned(),
        user_id: "u".to_owned(),
        name: Some("nächtlich".to_owned()),
        description: None,
        metadata: BTreeMap::from([("k".to_owned(), "v, \"w\"\n".to_owned())]),
        created_at: "2026-12-01T00:00:00.000000".to_owned(),
        data_timestamp: "2026-12-01T00:00:00.000000".to_owned(),
        parent_id: None,
        snapshot_id: None,
        volume: DescribedVolume {
            id: volume.to_string(),
            name: Some("root".to_owned()),
            description: None,
            size_gib: 1,
            volume_type: "fast".to_owned(),
            availability_zone: "nova".to_owned(),
            bootable: true,
            metadata: BTreeMap::new(),
            image_metadata: BTreeMap::from([("os".to_owned(), "debian".to_owned())]),
        },
    }
}

pub(crate) fn all_of(device: &Device) -> Source {
    Source {
        device: device.clone(),
        data: None,
        parent: None,
        changed: None,
    }
}

pub(crate) async fn stored(engine: &Arc<dyn BackupEngine>, source: &Source) -> (BackupId, Stored) {
    let description = description(VolumeId::random());
    let work = Work::default();
    let stored = engine.store(&description, source, &work).await.unwrap();
    let len_bytes = source.device.len_bytes;
    assert_eq!(work.progress(), (len_bytes, len_bytes));
    (description.id, stored)
}

/// That a backup gives these bytes back: into a blank file, and over a longer one that is full of something else.
pub(crate) async fn assert_holds(
    engine: &Arc<dyn BackupEngine>,
    volumes: &mut Volumes,
    backup: BackupId,
    want: &[u8],
) {
    let len_bytes = want.len() as u64;
    let blank = volumes.empty("blank", len_bytes);
    let used = volumes.empty("used", len_bytes + 2 * MIB + 77);
    let noise = volumes.noise(want.len() + (2 << 20) + 77);
    write(&used, &noise, 0);
    for (target, is_blank) in [(&blank, true), (&used, false)] {
        let work = Work::default();
        let done = engine.restore(backup, target, is_blank, &work).await;
        assert_eq!(done.unwrap(), Done::Changed);
        let (head, tail) = (bytes(&target.path), target.len_bytes - len_bytes);
        assert_eq!(head.len() as u64, target.len_bytes);
        assert!(head[..want.len()] == *want, "{backup} is another");
        let rest = &head[want.len()..];
        assert!(rest.len() as u64 == tail && rest.iter().all(|byte| *byte == 0));
        let compared = engine.compare(backup, target, &Work::default()).await;
        compared.unwrap();
        assert_eq!(bytes(&target.path), head);
    }
}

/// Whatever differs from the backup is noticed: in its data, where it has none, and beyond its end.
pub(crate) async fn a_volume_that_differs_is_noticed<S: Subject>(subject: S) {
    let engine = subject.engine();
    let mut volumes = Volumes::new(8);
    let device = volumes.mixed("mixed", 12);
    let (id, _) = stored(&engine, &all_of(&device)).await;
    let target = volumes.empty("target", device.len_bytes + MIB);
    let work = Work::default();
    let restored = engine.restore(id, &target, true, &work).await;
    assert_eq!(restored.unwrap(), Done::Changed);
    engine.compare(id, &target, &work).await.unwrap();
    let whole = bytes(&target.path);
    let hole = whole
        .chunks(4096)
        .position(|block| block.iter().all(|byte| *byte == 0));
    let hole = hole.unwrap() as u64 * 4096;
    let data = whole.iter().position(|byte| *byte != 0).unwrap();
    for at in [data as u64, hole, device.len_bytes + 9] {
        let index = usize::try_from(at).unwrap();
        write(&target, &[!whole[index]], at);
        let answer = engine.compare(id, &target, &work).await;
        assert!(
            matches!(answer, Err(BackupError::Damaged { .. })),
            "byte {at}: {answer:?}"
        );
        write(&target, &[whole[index]], at);
    }
    engine.compare(id, &target, &work).await.unwrap();
    let absent = engine.compare(BackupId::random(), &target, &work).await;
    assert!(
        matches!(absent, Err(BackupError::Absent { .. })),
        "{absent:?}"
    );
    work.cancel();
    let stopped = engine.compare(id, &target, &work).await;
    assert!(
        matches!(stopped, Err(BackupError::Cancelled)),
        "{stopped:?}"
    );
}

async fn assert_sound(engine: &Arc<dyn BackupEngine>, backup: Option<BackupId>) {
    for depth in [Depth::Structure, Depth::Data] {
        let found = engine.verify(backup, depth, &Work::default()).await;
        assert_eq!(found.unwrap(), Vec::<String>::new());
    }
}

pub(crate) async fn listed(engine: &Arc<dyn BackupEngine>) -> Vec<BackupId> {
    let list = engine.list().await.unwrap();
    list.into_iter()
        .map(|(description, _)| description.id)
        .collect()
}

pub(crate) async fn what_is_stored_is_given_back<S: Subject>(subject: S) {
    let engine = subject.engine();
    let mut volumes = Volumes::new(1);
    let mixed = volumes.mixed("mixed", 24);
    let nothing = volumes.empty("nothing", 0);
    let holes = volumes.empty("holes", 9 * MIB + 1);
    let mut ids = Vec::new();
    for device in [&mixed, &nothing, &holes] {
        let (id, stored) = stored(&engine, &all_of(device)).await;
        ids.push((id, device));
        assert!(stored.data_bytes <= device.len_bytes);
        assert_eq!(stored.data_bytes == 0, device.path != mixed.path);
    }
    for (id, device) in &ids {
        assert_holds(&engine, &mut volumes, *id, &bytes(&device.path)).await;
    }
    assert_sound(&engine, None).await;
    assert_eq!(engine.report().await.unwrap().backups, 3);
}

pub(crate) async fn what_is_so_already_is_no_error<S: Subject>(subject: S) {
    let engine = subject.engine();
    let mut volumes = Volumes::new(2);
    let device = volumes.mixed("mixed", 12);
    let (one, work) = (description(VolumeId::random()), Work::default());
    let first = engine.store(&one, &all_of(&device), &work).await.unwrap();
    // What the volume holds by now does not matter any more.
    let before = bytes(&device.path);
    write(&device, &[1; 9000], 0);
    let again = engine.store(&one, &all_of(&device), &work).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(engine.list().await.unwrap(), [(one.clone(), first)]);
    let before_restart = engine.report().await.unwrap();
    drop(engine);
    let subject = subject.restarted();
    let engine = subject.engine();
    let report = engine.report().await.unwrap();
    assert_eq!(report.repository_id, before_restart.repository_id);
    assert_eq!(engine.list().await.unwrap(), [(one.clone(), first)]);
    assert_holds(&engine, &mut volumes, one.id, &before).await;
    assert_eq!(engine.remove(one.id).await.unwrap(), Done::Changed);
    assert_eq!(engine.remove(one.id).await.unwrap(), Done::AlreadySo);
    assert_eq!(listed(&engine).await, []);
}

pub(crate) async fn the_absent_is_said_to_be_absent<S: Subject>(subject: S) {
    let engine = subject.engine();
    let volumes = Volumes::new(3);
    let (id, work) = (BackupId::random(), Work::default());
    let target = volumes.empty("target", MIB);
    let answers = [
        engine.restore(id, &target, true, &work).await.err(),
        engine.verify(Some(id), Depth::Structure, &work).await.err(),
    ];
    for answer in answers {
        assert!(
            matches!(answer, Some(BackupError::Absent { .. })),
            "{answer:?}"
        );
    }
    assert_eq!(engine.remove(id).await.unwrap(), Done::AlreadySo);
}

/// Of a volume of which is known where it is not zero, nothing else is read, and the parts need keep to no bounds.
pub(crate) async fn what_is_known_to_be_zero_is_not_read<S: Subject>(subject: S) {
    let engine = subject.engine();
    let mut volumes = Volumes::new(9);
    let path = volumes.path("known");
    // Zeros that are written, which no hole tells.
    std::fs::write(&path, vec![0; 9 << 20]).unwrap();
    let device = Device {
        path,
        len_bytes: 9 * MIB,
    };
    let parts = [(100, 700), (4 * MIB - 10, 20), (8 * MIB + 1, 40 * MIB)];
    for (at, _) in parts {
        write(&device, &volumes.noise(20), at);
    }
    let source = Source {
        data: Some(parts.to_vec()),
        ..all_of(&device)
    };
    let (id, numbers) = stored(&engine, &source).await;
    assert!(numbers.read_bytes <= 4 * MIB, "{numbers:?}");
    assert_holds(&engine, &mut volumes, id, &bytes(&device.path)).await;
    let nothing = Source {
        data: Some(Vec::new()),
        ..all_of(&volumes.empty("blank", 9 * MIB))
    };
    let (id, numbers) = stored(&engine, &nothing).await;
    assert_eq!((numbers.read_bytes, numbers.data_bytes), (0, 0));
    assert_holds(&engine, &mut volumes, id, &vec![0; 9 << 20]).await;
}

/// Backups on top of each other, each with what changed said or not, removed from the oldest on: each stays whole.
pub(crate) async fn each_of_a_chain_is_whole_by_itself<S: Subject>(subject: S) {
    let engine = subject.engine();
    let mut volumes = Volumes::new(4);
    let device = volumes.mixed("mixed", 12);
    let (mut parent, _) = stored(&engine, &all_of(&device)).await;
    let mut chain = vec![(parent, bytes(&device.path))];
    for round in 0..4_u64 {
        let places = [
            (round * MIB + 5, 700),
            ((4 + round) * MIB - 100, 200),
            (11 * MIB, 5),
        ];
        for (at, len) in places {
            let bytes = match round {
                // What was data becomes zeros.
                2 => vec![0; 1 << 20],
                _ => volumes.noise(len),
            };
            write(&device, &bytes, at);
        }
        let changed = places.map(|(at, len)| (at, if round == 2 { MIB } else { len as u64 }));
        let source = Source {
            device: device.clone(),
            data: None,
            parent: Some(parent),
            changed: (round % 2 == 0).then(|| changed.to_vec()),
        };
        (parent, _) = stored(&engine, &source).await;
        chain.push((parent, bytes(&device.path)));
    }
    assert_sound(&engine, Some(parent)).await;
    for (oldest, _) in &chain[..4] {
        assert_eq!(engine.remove(*oldest).await.unwrap(), Done::Changed);
    }
    engine.prune(&Work::default()).await.unwrap();
    let (last, want) = chain.pop().unwrap();
    assert_holds(&engine, &mut volumes, last, &want).await;
    // On top of one that is gone, and of a volume that grew: everything is copied.
    let grown = Device {
        len_bytes: device.len_bytes + 3 * MIB,
        ..device
    };
    File::options()
        .write(true)
        .open(&grown.path)
        .unwrap()
        .set_len(grown.len_bytes)
        .unwrap();
    write(&grown, &volumes.noise(5000), grown.len_bytes - 5000);
    for parent in [chain[0].0, last] {
        let source = Source {
            device: grown.clone(),
            data: None,
            parent: Some(parent),
            changed: Some(vec![(grown.len_bytes - 5000, 5000)]),
        };
        let (id, _) = stored(&engine, &source).await;
        assert_holds(&engine, &mut volumes, id, &bytes(&grown.path)).await;
    }
}

pub(crate) async fn a_cancel_leaves_nothing<S: Subject>(subject: S) {
    let engine = subject.engine();
    let mut volumes = Volumes::new(5);
    let device = volumes.mixed("mixed", 12);
    let (one, stopped) = (description(VolumeId::random()), Work::default());
    stopped.cancel();
    let answer = engine.store(&one, &all_of(&device), &stopped).await;
    assert!(matches!(answer, Err(BackupError::Cancelled)), "{answer:?}");
    assert_eq!(listed(&engine).await, []);
    engine
        .store(&one, &all_of(&device), &Work::default())
        .await
        .unwrap();
    let target = volumes.empty("target", device.len_bytes);
    let answer = engine.restore(one.id, &target, true, &stopped).await;
    assert!(matches!(answer, Err(BackupError::Cancelled)), "{answer:?}");
    assert_holds(&engine, &mut volumes, one.id, &bytes(&device.path)).await;
}

/// A volume that cannot be read whole makes no backup, and one that cannot be written is said to be so.
pub(crate) async fn a_device_that_fails_is_named<S: Subject>(subject: S) {
    let engine = subject.engine();
    let mut volumes = Volumes::new(6);
    let mut device = volumes.mixed("mixed", 12);
    let (one, work) = (description(VolumeId::random()), Work::default());
    let (id, _) = stored(&engine, &all_of(&device)).await;
    device.len_bytes += 1;
    let directory = Device {
        path: volumes.path("."),
        len_bytes: MIB,
    };
    let gone = Device {
        path: volumes.path("gone"),
        len_bytes: MIB,
    };
    for device in [&device, &directory, &gone] {
        let answer = engine.store(&one, &all_of(device), &work).await;
        assert!(
            matches!(answer, Err(BackupError::Device { .. })),
            "{answer:?}"
        );
    }
    let answer = engine.restore(id, &gone, true, &work).await;
    assert!(
        matches!(answer, Err(BackupError::Device { .. })),
        "{answer:?}"
    );
    assert_eq!(listed(&engine).await, [id]);
}

/// One test for each rule, over the given [`Subject`].
macro_rules! engine_contract {
    ($subject:ty) => {
        $crate::backup::contract::engine_contract! { $subject:
            what_is_stored_is_given_back
            a_volume_that_differs_is_noticed
            what_is_so_already_is_no_error
            what_is_known_to_be_zero_is_not_read
            the_absent_is_said_to_be_absent
            each_of_a_chain_is_whole_by_itself
            a_cancel_leaves_nothing
            a_device_that_fails_is_named
        }
    };
    ($subject:ty: $($rule:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $rule() {
            use $crate::backup::contract::Subject;
            $crate::backup::contract::$rule(<$subject>::fresh()).await;
        }
    )+};
}
pub(crate) use engine_contract;
