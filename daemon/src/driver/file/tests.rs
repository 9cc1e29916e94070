//! The file driver keeps the contract, copying and sharing blocks; and what only files can show.

use super::*;
use crate::driver::contract::{self, Stamps, Subject, driver_contract};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

mod importing;
mod wiping;

fn config(directory: &std::path::Path) -> FileConfig {
    FileConfig {
        backend: "file".to_owned(),
        pool: "pool".to_owned(),
        directory: directory.join("pool"),
        memory: directory.join("pool.id"),
        secure_delete: SecureDelete::Zero,
        wipe_bytes_per_s: 0,
        reserved_percentage: 0,
        max_over_subscription_ratio: 20.0,
        reflink: Reflink::Never,
    }
}

/// A pool in a fresh directory.
struct Files {
    driver: Arc<FileDriver>,
    directory: tempfile::TempDir,
}

impl Files {
    fn open(directory: tempfile::TempDir, change: impl FnOnce(&mut FileConfig)) -> Self {
        let mut config = config(directory.path());
        change(&mut config);
        let driver = Arc::new(FileDriver::open(config).unwrap());
        Self { driver, directory }
    }

    fn reopened(self) -> Self {
        let config = self.driver.config.clone();
        drop(self.driver);
        let driver = Arc::new(FileDriver::open(config).unwrap());
        let directory = self.directory;
        Self { driver, directory }
    }

    fn layout(&self) -> &Layout {
        &self.driver.layout
    }

    fn write(&self, volume: &VolumeRef, stamps: &[(u64, u64)]) {
        let path = self.layout().home(&Name::of_volume(volume.id));
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        for (block, stamp) in stamps {
            let bytes = stamp.to_le_bytes().repeat(512);
            file.write_all_at(&bytes, block * 4096).unwrap();
        }
    }

    fn read(&self, object: &ObjectRef) -> (u64, Stamps) {
        let name = Name::of(object);
        let file = PoolFile::open(
            &self.layout().home(&name),
            &name.text,
            self.layout().pool(),
            false,
        )
        .unwrap();
        let len_bytes = file.len_bytes().unwrap();
        let mut stamps = Stamps::new();
        let mut at = 0;
        while let Some(data) = file.data_in(at..len_bytes).unwrap() {
            at = data.start / 4096 * 4096;
            let mut block = [0; 4096];
            file.read_at(&mut block, at).unwrap();
            let stamp = u64::from_le_bytes(block[..8].try_into().unwrap());
            assert!(
                block.chunks(8).all(|chunk| chunk == stamp.to_le_bytes()),
                "a torn block"
            );
            if stamp != 0 {
                stamps.insert(at / 4096, stamp);
            }
            at += 4096;
        }
        (len_bytes, stamps)
    }

    fn leave_half_made(&self, object: &ObjectRef) {
        let path = self.layout().partial(&Name::of(object));
        fs::write(path, [7; 10_000]).unwrap();
    }
}

macro_rules! subject {
    ($(#[$doc:meta])* $name:ident, $fresh:expr) => {
        $(#[$doc])*
        struct $name(Files);

        impl Subject for $name {
            fn fresh() -> Option<Self> {
                $fresh.map(Self)
            }
            fn driver(&self) -> Arc<dyn Driver> {
                self.0.driver.clone()
            }
            fn restarted(self) -> Self {
                Self(self.0.reopened())
            }
            fn write(&self, volume: &VolumeRef, stamps: &[(u64, u64)]) {
                self.0.write(volume, stamps);
            }
            fn read(&self, object: &ObjectRef) -> (u64, Stamps) {
                self.0.read(object)
            }
            fn leave_half_made(&self, object: &ObjectRef) {
                self.0.leave_half_made(object);
            }
        }
    };
}

subject!(
    /// Every copy is a copy, deleted bytes are overwritten.
    Copied,
    Some(Files::open(tempfile::tempdir().unwrap(), |_| {}))
);
subject!(
    /// Nothing is overwritten.
    Unwiped,
    Some(Files::open(tempfile::tempdir().unwrap(), |config| {
        config.secure_delete = SecureDelete::None;
    }))
);
subject!(
    /// Copies share blocks.
    Shared,
    reflink_directory().map(|directory| {
        Files::open(directory, |config| config.reflink = Reflink::WhenPossible)
    })
);

mod copied {
    super::driver_contract!(super::Copied);
}
mod unwiped {
    super::driver_contract!(super::Unwiped);
}
mod shared {
    super::driver_contract!(super::Shared);
}

/// A directory on a file system that shares blocks: the temporary directory's, or one mounted for tests at a path
/// that ends in `ashlar-reflink`.
fn reflink_directory() -> Option<tempfile::TempDir> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounted = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|path| path.ends_with("ashlar-reflink"))
        .map(PathBuf::from);
    for parent in mounted.chain([std::env::temp_dir()]) {
        let Ok(directory) = tempfile::tempdir_in(&parent) else {
            continue;
        };
        let probed = FileConfig {
            directory: directory.path().join("probe"),
            memory: directory.path().join("probe.id"),
            reflink: Reflink::WhenPossible,
            ..config(directory.path())
        };
        if FileDriver::open(probed).unwrap().abilities.reflink {
            return Some(directory);
        }
    }
    static SAID: std::sync::Once = std::sync::Once::new();
    SAID.call_once(|| {
        let why =
            "skipped: sharing of blocks (no XFS mounted at a path that ends in ashlar-reflink)";
        writeln!(std::io::stderr(), "{why}").unwrap();
    });
    None
}

fn allocated_bytes(path: &std::path::Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

async fn a_volume(files: &Files, stamps: &[(u64, u64)]) -> VolumeRef {
    let volume = contract::volume(1);
    files
        .driver
        .create(&volume, &Source::Empty, &Work::default())
        .await
        .unwrap();
    files.write(&volume, stamps);
    volume
}

#[tokio::test]
async fn files_are_sparse_private_and_free_of_copied_zeros() {
    let files = Files::open(tempfile::tempdir().unwrap(), |_| {});
    let volume = a_volume(&files, &[(9, 9)]).await;
    // Written zeros, which a copy leaves out.
    let path = files.layout().home(&Name::of_volume(volume.id));
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&vec![0; 6 << 20], 64 << 20).unwrap();
    file.sync_all().unwrap();
    assert!(allocated_bytes(&path) >= 6 << 20);
    let snapshot = contract::snapshot_of(&volume);
    let work = Work::default();
    files
        .driver
        .snapshot(&volume, &snapshot, None, &work)
        .await
        .unwrap();
    let copy = files.layout().home(&Name::of_snapshot(snapshot.id));
    assert!(allocated_bytes(&copy) < 1 << 20);
    assert_eq!(work.progress(), (1 << 30, 1 << 30));
    for path in [&path, &copy] {
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let parent = fs::metadata(path.parent().unwrap()).unwrap();
        assert_eq!(parent.permissions().mode() & 0o777, 0o700);
    }
}

/// Below the driver's methods, which know whole GiB only: a test must not take as much of a real disk.
#[tokio::test]
async fn thick_volumes_take_their_space_at_once_and_again_when_extended() {
    const LEN: u64 = 16 << 20;
    let files = Files::open(tempfile::tempdir().unwrap(), |_| {});
    let volume = contract::volume(1);
    let name = Name::of_volume(volume.id);
    let work = Work::default();
    let job = files.driver.begin("x", Weight::Light, &work).await.unwrap();
    let making = files.driver.make(&job, &name, (LEN, true), None);
    let making = making.await.unwrap();
    files
        .driver
        .place(&job, making, name.clone())
        .await
        .unwrap();
    let path = files.layout().home(&name);
    assert!(allocated_bytes(&path) >= LEN);
    let grown = job.run(move |stop| {
        let file = PoolFile::open(&path, "x", &Arc::from("pool"), true)?;
        let done = grow(&file, 2 * LEN, true, stop)?;
        assert_eq!(grow(&file, LEN, true, stop)?, Done::AlreadySo, "never less");
        Ok((done, allocated_bytes(&path)))
    });
    let (done, allocated) = grown.await.unwrap();
    assert_eq!(done, Done::Changed);
    assert!((2 * LEN..3 * LEN).contains(&allocated));
    assert_eq!(files.read(&contract::of(&volume)), (2 * LEN, Stamps::new()));
}

#[tokio::test]
async fn what_vanished_before_it_was_placed_is_not_called_made() {
    let files = Files::open(tempfile::tempdir().unwrap(), |_| {});
    let name = Name::of_volume(contract::volume(1).id);
    let work = Work::default();
    let job = files.driver.begin("x", Weight::Light, &work).await.unwrap();
    let making = files.driver.make(&job, &name, (1 << 20, false), None);
    let making = making.await.unwrap();
    fs::remove_file(files.layout().partial(&name)).unwrap();
    let placed = files.driver.place(&job, making, name).await;
    assert!(
        matches!(placed, Err(DriverError::Absent { .. })),
        "{placed:?}"
    );
}

#[tokio::test]
async fn a_link_in_a_volumes_place_leads_nowhere() {
    let files = Files::open(tempfile::tempdir().unwrap(), |_| {});
    let volume = a_volume(&files, &[]).await;
    let theirs = files.directory.path().join("theirs");
    fs::write(&theirs, "their bytes").unwrap();
    let path = files.layout().home(&Name::of_volume(volume.id));
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&theirs, &path).unwrap();
    let object = contract::of(&volume);
    let device = files.driver.device(&volume).await;
    assert!(matches!(device, Err(DriverError::Io { .. })), "{device:?}");
    let wiped = files.driver.wipe(&object, &Work::default()).await;
    assert!(matches!(wiped, Err(DriverError::Io { .. })), "{wiped:?}");
    assert_eq!(files.driver.remove(&object).await.unwrap(), Done::Changed);
    assert_eq!(fs::read(&theirs).unwrap(), b"their bytes");
}

#[tokio::test]
async fn no_room_leaves_nothing_and_says_so() {
    let files = Files::open(tempfile::tempdir().unwrap(), |_| {});
    let mut volume = contract::volume(1_000_000);
    // No disk of a test has a petabyte; file systems with smaller files refuse the length instead.
    volume.thick = true;
    let answer = files
        .driver
        .create(&volume, &Source::Empty, &Work::default())
        .await;
    let is_refused = matches!(
        answer,
        Err(DriverError::NoSpace { .. } | DriverError::Io { .. })
    );
    assert!(is_refused, "{answer:?}");
    assert_eq!(files.driver.objects().await.unwrap(), Vec::<String>::new());

    let mut volume = a_volume(&files, &[(3, 3)]).await;
    volume.thick = true;
    volume.size_gib = crate::model::size::Gib::new(1_000_000).unwrap();
    let answer = files.driver.extend(&volume).await;
    assert!(
        matches!(answer, Err(DriverError::NoSpace { .. })),
        "{answer:?}"
    );
    let held = (1 << 30, BTreeMap::from([(3, 3)]));
    assert_eq!(files.read(&contract::of(&volume)), held);
    let path = files.layout().home(&Name::of_volume(volume.id));
    assert!(
        allocated_bytes(&path) < 1 << 20,
        "blocks beyond the end were given back"
    );
}

#[tokio::test]
async fn a_second_daemon_and_another_pool_are_refused() {
    let files = Files::open(tempfile::tempdir().unwrap(), |_| {});
    let second = FileDriver::open(files.driver.config.clone());
    let error = second.unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(error.to_string().contains("used by another ashlard"));
    let mut volume = contract::volume(1);
    volume.pool = "other".to_owned();
    let answer = files
        .driver
        .create(&volume, &Source::Empty, &Work::default())
        .await;
    assert!(matches!(answer, Err(DriverError::Unavailable { .. })));
}

#[tokio::test]
async fn a_directory_that_vanished_is_not_available() {
    let files = Files::open(tempfile::tempdir().unwrap(), |_| {});
    let volume = a_volume(&files, &[(0, 1)]).await;
    let pool = files.directory.path().join("pool");
    fs::rename(&pool, files.directory.path().join("away")).unwrap();
    let answer = files.driver.stats().await;
    assert!(
        matches!(answer, Err(DriverError::Unavailable { .. })),
        "{answer:?}"
    );
    // What lies there instead, say the mount point below, knows nothing of the volume: it is not gone.
    for place in ["volumes", "snapshots", "partial", "trash"] {
        fs::create_dir_all(pool.join(place)).unwrap();
    }
    let object = contract::of(&volume);
    let wiped = files.driver.wipe(&object, &Work::default()).await;
    let removed = files.driver.remove(&object).await;
    for answer in [wiped, removed] {
        assert!(
            matches!(answer, Err(DriverError::Unavailable { .. })),
            "{answer:?}"
        );
    }
    files.driver.objects().await.unwrap_err();
}

#[tokio::test]
async fn foreign_files_are_neither_listed_nor_touched() {
    let files = Files::open(tempfile::tempdir().unwrap(), |_| {});
    let foreign = files
        .directory
        .path()
        .join("pool/volumes/volume-of-somebody");
    fs::write(&foreign, "theirs").unwrap();
    let volume = a_volume(&files, &[]).await;
    assert_eq!(files.driver.objects().await.unwrap().len(), 1);
    contract::delete(
        &(files.driver.clone() as Arc<dyn Driver>),
        &contract::of(&volume),
    )
    .await;
    assert_eq!(fs::read(&foreign).unwrap(), b"theirs");
}
