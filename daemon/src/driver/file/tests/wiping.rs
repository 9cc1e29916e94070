//! What wiping overwrites, in which order, and where it resumes.

use super::*;
use tokio::time::{Duration, Instant};

/// Overwriting is visible through a second name of the same file.
fn kept_name(files: &Files, volume: &VolumeRef) -> PathBuf {
    let other = files.directory.path().join("kept");
    fs::hard_link(files.layout().home(&Name::of_volume(volume.id)), &other).unwrap();
    other
}

fn stamp_at(path: &std::path::Path, block: u64) -> u64 {
    let mut bytes = [0; 8];
    fs::File::open(path)
        .unwrap()
        .read_exact_at(&mut bytes, block * 4096)
        .unwrap();
    u64::from_le_bytes(bytes)
}

#[tokio::test]
async fn overwrites_slice_by_slice_and_resumes_where_it_was() {
    let files = Files::open(tempfile::tempdir().unwrap(), |_| {});
    let stamps = [(0, 1), (10_000, 2), (20_000, 3)];
    let volume = a_volume(&files, &stamps).await;
    let object = contract::of(&volume);
    let other = kept_name(&files, &volume);
    // An earlier run got beyond the first block, then the daemon was killed: nothing before is written again.
    let work = Work::resuming(8 << 20);
    let path = files.layout().home(&Name::of_volume(volume.id));
    let file = PoolFile::open(&path, "x", files.layout().pool(), true).unwrap();
    let job = files
        .driver
        .jobs
        .begin("x", Weight::Bulk, &work)
        .await
        .unwrap();
    let before = fs::metadata(&other).unwrap().len();
    assert!(
        files
            .driver
            .wiper
            .wipe(&job, file, work.resume_at())
            .await
            .unwrap()
    );
    assert_eq!((before, fs::metadata(&other).unwrap().len()), (1 << 30, 0));
    drop(job);
    assert_eq!(work.progress(), (1 << 30, 1 << 30));
    // What is cut to nothing is wiped.
    files.driver.wipe(&object, &Work::default()).await.unwrap();
    assert_eq!(
        files.driver.objects().await.unwrap(),
        [format!("trash/volume-{}", volume.id)]
    );
    assert_eq!(files.driver.remove(&object).await.unwrap(), Done::Changed);
}

#[tokio::test]
async fn the_bytes_are_zeros_before_the_blocks_are_given_back() {
    let files = Files::open(tempfile::tempdir().unwrap(), |config| {
        // Each block costs a long wait, so that the cancel comes between two of them.
        config.wipe_bytes_per_s = 1;
    });
    let volume = a_volume(&files, &[(0, 1), (10_000, 2), (20_000, 3)]).await;
    let other = kept_name(&files, &volume);
    let (driver, work) = (files.driver.clone(), Work::default());
    let (wiped, object) = (work.clone(), contract::of(&volume));
    let wipe = tokio::spawn(async move { driver.wipe(&object, &wiped).await });
    let deadline = Instant::now() + Duration::from_secs(20);
    while work.progress().0 <= 10_000 * 4096 {
        assert!(Instant::now() < deadline, "two blocks take no time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    work.cancel();
    assert!(matches!(wipe.await.unwrap(), Err(DriverError::Cancelled)));
    assert_eq!(work.progress().0, 10_001 * 4096, "durable up to there");
    assert_eq!(stamp_at(&other, 0), 0, "overwritten");
    assert_eq!(stamp_at(&other, 10_000), 0, "overwritten");
    assert_eq!(stamp_at(&other, 20_000), 3, "not yet");
    assert_eq!(
        files.driver.objects().await.unwrap(),
        [format!("trash/volume-{}", volume.id)]
    );
    let gone = files.driver.device(&volume).await;
    assert!(
        matches!(gone, Err(DriverError::Absent { .. })),
        "out of sight first"
    );
}

#[tokio::test]
async fn wiping_remains_does_not_move_the_cursor_of_the_object() {
    let files = Files::open(tempfile::tempdir().unwrap(), |config| {
        config.wipe_bytes_per_s = 1;
    });
    let volume = a_volume(&files, &[(0, 1), (10, 2)]).await;
    // What a revert took out, its wipe cut off by a crash.
    let name = Name::of_volume(volume.id);
    let other = a_volume(&files, &[(0, 8), (10_000, 9), (20_000, 9)]).await;
    let remains = files.layout().replaced(&name);
    fs::rename(files.layout().home(&Name::of_volume(other.id)), &remains).unwrap();
    let (driver, work) = (files.driver.clone(), Work::default());
    let (wiped, object) = (work.clone(), contract::of(&volume));
    let wipe = tokio::spawn(async move { driver.wipe(&object, &wiped).await });
    let deadline = Instant::now() + Duration::from_secs(20);
    while stamp_at(&remains, 10_000) != 0 {
        assert!(Instant::now() < deadline, "two blocks take no time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    work.cancel();
    assert!(matches!(wipe.await.unwrap(), Err(DriverError::Cancelled)));
    assert_eq!(work.progress().0, 0, "nothing of the volume is wiped yet");
}

#[tokio::test]
async fn what_a_revert_replaces_is_wiped() {
    let files = Files::open(tempfile::tempdir().unwrap(), |_| {});
    let volume = a_volume(&files, &[(0, 1)]).await;
    let snapshot = contract::snapshot_of(&volume);
    files
        .driver
        .snapshot(&volume, &snapshot, None, &Work::default())
        .await
        .unwrap();
    files.write(&volume, &[(0, 2), (5, 5)]);
    let other = kept_name(&files, &volume);
    files
        .driver
        .revert(&volume, &snapshot, &Work::default())
        .await
        .unwrap();
    assert_eq!(
        fs::metadata(&other).unwrap().len(),
        0,
        "wiped, then cut to nothing"
    );
    assert_eq!(
        files.read(&contract::of(&volume)).1,
        BTreeMap::from([(0, 1)])
    );
}

#[tokio::test]
async fn shared_blocks_are_let_go_by_all_but_the_last() {
    let Some(directory) = reflink_directory() else {
        return;
    };
    let files = Files::open(directory, |config| {
        config.reflink = Reflink::WhenPossible;
    });
    let volume = a_volume(&files, &[(0, 1), (1, 2)]).await;
    let snapshot = contract::snapshot_of(&volume);
    files
        .driver
        .snapshot(&volume, &snapshot, None, &Work::default())
        .await
        .unwrap();
    files.write(&volume, &[(1, 3)]);
    let path = files.layout().home(&Name::of_volume(volume.id));
    let of_volume = PoolFile::open(&path, "v", files.layout().pool(), false).unwrap();
    of_volume.sync().unwrap();
    let shared_block = vec![std::ops::Range {
        start: 0,
        end: 4096,
    }];
    assert_eq!(of_volume.shared_in(0..1 << 30).unwrap(), shared_block);
    let path = files.layout().home(&Name::of_snapshot(snapshot.id));
    let of_snapshot = PoolFile::open(&path, "s", files.layout().pool(), false).unwrap();
    let driver = files.driver.clone() as Arc<dyn Driver>;
    driver
        .wipe(&contract::of(&volume), &Work::default())
        .await
        .unwrap();
    assert_eq!(
        of_snapshot.shared_in(0..1 << 30).unwrap(),
        [],
        "the last holder"
    );
    let held = files.read(&contract::of_snapshot(&snapshot)).1;
    assert_eq!(held, BTreeMap::from([(0, 1), (1, 2)]));
    driver
        .wipe(&contract::of_snapshot(&snapshot), &Work::default())
        .await
        .unwrap();
}
