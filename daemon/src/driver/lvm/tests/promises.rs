//! What only volume groups can show: full and vanished ones, those of others, snapshots that fill up.

use super::*;
use crate::driver::contract::{gib_bytes, of, of_snapshot, snapshot_of, some_stamps, volume};
use ashlar_dbus::fake::fates::Fate;
use ashlar_dbus::fake::groups::Kind;

async fn made(rig: &Rig, volume: &VolumeRef) {
    let source = Source::Empty;
    let made = rig.driver.create(volume, &source, &Work::default()).await;
    made.unwrap();
}

async fn snapped(rig: &Rig, volume: &VolumeRef) -> SnapshotRef {
    let snapshot = snapshot_of(volume);
    let work = Work::default();
    let made = rig.driver.snapshot(volume, &snapshot, None, &work).await;
    made.unwrap();
    snapshot
}

fn with_size(volume: &VolumeRef, size_gib: i64) -> VolumeRef {
    VolumeRef {
        size_gib: Gib::new(size_gib).unwrap(),
        ..volume.clone()
    }
}

fn is_full<T: std::fmt::Debug>(answer: &Result<T, DriverError>) {
    assert!(
        matches!(answer, Err(DriverError::NoSpace { .. })),
        "{answer:?}"
    );
}

fn is_unavailable<T: std::fmt::Debug>(answer: &Result<T, DriverError>, why: &str) {
    let is_said =
        matches!(answer, Err(DriverError::Unavailable { why: said, .. }) if said.contains(why));
    assert!(is_said, "{answer:?}");
}

#[tokio::test]
async fn a_full_group_says_so_and_nothing_changes() {
    let rig = Rig::thick();
    let (one, work) = (volume(300), Work::default());
    made(&rig, &one).await;
    let before = rig.group();
    is_full(&rig.driver.create(&volume(800), &Source::Empty, &work).await);
    is_full(&rig.driver.extend(&with_size(&one, 1100)).await);
    let source = Source::Volume(one.clone(), None);
    is_full(&rig.driver.create(&volume(500), &source, &work).await);
    assert_eq!(rig.group(), before);
    made(&rig, &volume(500)).await;
    let before = rig.group();
    let snapshot = snapshot_of(&one);
    is_full(&rig.driver.snapshot(&one, &snapshot, None, &work).await);
    assert_eq!(rig.group(), before);
}

#[tokio::test]
async fn a_pool_past_its_guard_takes_nothing_new() {
    let rig = Rig::thin();
    let (one, work) = (volume(1), Work::default());
    made(&rig, &one).await;
    let snapshot = snapped(&rig, &one).await;
    for fills in [
        |pool: &mut Volume| pool.used_bytes = pool.size_bytes / 100 * 96,
        |pool: &mut Volume| pool.metadata_percent = 91.0,
        |pool: &mut Volume| pool.zeroes = false,
    ] {
        let pool = rig.lv("pool").unwrap();
        rig.by_others(|groups, vg| groups.volume_mut(vg, "pool").map(fills));
        let before = rig.group();
        is_full(&rig.driver.create(&volume(1), &Source::Empty, &work).await);
        let source = Source::Snapshot(snapshot.clone());
        is_full(&rig.driver.create(&volume(1), &source, &work).await);
        let another = snapshot_of(&one);
        is_full(&rig.driver.snapshot(&one, &another, None, &work).await);
        is_full(&rig.driver.extend(&with_size(&one, 2)).await);
        is_full(&rig.driver.revert(&one, &snapshot, &work).await);
        assert_eq!(rig.group(), before);
        let reports = rig.driver.stats().await.unwrap();
        assert_eq!(reports[0].free_bytes, 0);
        assert!(reports[0].capabilities.contains_key("closed_because"));
        rig.by_others(|groups, vg| groups.volume_mut(vg, "pool").map(|now| *now = pool));
    }
    // What makes room is never refused.
    rig.driver.remove(&of_snapshot(&snapshot)).await.unwrap();
    rig.driver.remove(&of(&one)).await.unwrap();
}

#[tokio::test]
async fn a_group_that_vanished_is_not_available_and_comes_back_as_it_was() {
    let rig = Rig::thin();
    let (one, work) = (volume(1), Work::default());
    made(&rig, &one).await;
    let group = locked(&rig.groups).pull("vg").unwrap();
    let why = "there is no volume group vg";
    is_unavailable(&rig.driver.stats().await, why);
    is_unavailable(
        &rig.driver.create(&volume(1), &Source::Empty, &work).await,
        why,
    );
    is_unavailable(&rig.driver.remove(&of(&one)).await, why);
    is_unavailable(&rig.driver.wipe(&of(&one), &work).await, why);
    is_unavailable(&rig.driver.device(&one).await, why);
    is_unavailable(&rig.driver.objects().await, why);
    locked(&rig.groups).plug("vg", group);
    assert_eq!(
        rig.driver.device(&one).await.unwrap().len_bytes,
        gib_bytes(1)
    );
    rig.by_others(|groups, vg| groups.group_mut(vg).map(|group| group.missing_disks = 1));
    is_unavailable(&rig.driver.stats().await, "1 disks");
}

#[tokio::test]
async fn what_others_have_is_neither_touched_nor_deleted_along() {
    let rig = Rig::thick();
    let one = volume(1);
    made(&rig, &one).await;
    let ours = Name::of_volume(one.id).text;
    let cinders = Name::of_volume(volume(1).id).text;
    rig.by_others(|groups, vg| {
        groups.create_plain(vg, "root", GIB)?;
        groups.create_plain(vg, &cinders, GIB)?;
        groups.create_snapshot(vg, &ours, "theirs", GIB)
    });
    let theirs = |rig: &Rig| ["root", &cinders, "theirs"].map(|lv| rig.lv(lv).unwrap());
    let before = theirs(&rig);
    let object = of(&one);
    for answer in [
        rig.driver.wipe(&object, &Work::default()).await,
        rig.driver.remove(&object).await,
    ] {
        assert!(matches!(answer, Err(DriverError::Io { .. })), "{answer:?}");
    }
    assert_eq!(theirs(&rig), before);
    assert!(rig.lv(&ours).is_some());
    assert_eq!(
        rig.driver.objects().await.unwrap(),
        std::slice::from_ref(&ours)
    );
    // A name of Cinder's whose id is not ours: neither listed as free to take, nor taken.
    let found = rig.driver.manageable("pool").await.unwrap();
    let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["root", "theirs"]);
    let taken = rig.driver.adopt(&of(&volume(1)), &cinders).await;
    assert!(
        matches!(taken, Err(DriverError::NotManageable { .. })),
        "{taken:?}"
    );
    rig.by_others(|groups, vg| groups.delete(vg, "theirs"));
    contract::delete(&(rig.driver.clone() as Arc<dyn Driver>), &object).await;
    assert_eq!(rig.group().volumes.len(), 2);
}

#[tokio::test]
async fn a_group_of_another_daemon_is_refused_by_every_verb() {
    let rig = Rig::thin();
    rig.by_others(|groups, vg| groups.mark_group(vg, "ashlar-owner.them"));
    let before = rig.group();
    let (one, work, why) = (volume(1), Work::default(), "belongs to another ashlard");
    let snapshot = snapshot_of(&one);
    is_unavailable(&rig.driver.stats().await, why);
    is_unavailable(&rig.driver.create(&one, &Source::Empty, &work).await, why);
    is_unavailable(&rig.driver.extend(&one).await, why);
    is_unavailable(&rig.driver.revert(&one, &snapshot, &work).await, why);
    is_unavailable(&rig.driver.remove(&of(&one)).await, why);
    is_unavailable(&rig.driver.adopt(&of(&one), "theirs").await, why);
    let answer = rig.driver.snapshot(&one, &snapshot, None, &work).await;
    is_unavailable(&answer, why);
    assert_eq!(rig.group(), before);
}

#[tokio::test]
async fn a_classic_snapshot_is_given_room_in_time_and_not_reverted_to_once_lost() {
    let rig = Rig::thick();
    let one = volume(1);
    made(&rig, &one).await;
    let snapshot = snapped(&rig, &one).await;
    let name = Name::of_snapshot(snapshot.id).text;
    let fill = |percent: u64| {
        rig.by_others(|groups, vg| {
            let lv = groups.volume_mut(vg, &name)?;
            lv.used_bytes = lv.size_bytes / 100 * percent;
            Ok(lv.size_bytes)
        })
    };
    let before = fill(70);
    rig.driver.stats().await.unwrap();
    assert_eq!(rig.lv(&name).unwrap().size_bytes, before);
    fill(85);
    rig.driver.stats().await.unwrap();
    assert!(rig.lv(&name).unwrap().size_bytes >= before + GIB / 10);

    rig.by_others(|groups, vg| groups.volume_mut(vg, &name).map(|lv| lv.is_invalid = true));
    let before = rig.group();
    rig.driver.stats().await.unwrap();
    let answer = rig.driver.revert(&one, &snapshot, &Work::default()).await;
    assert!(
        matches!(answer, Err(DriverError::NotConsistent { .. })),
        "{answer:?}"
    );
    assert_eq!(rig.group(), before);
    let driver = rig.driver.clone() as Arc<dyn Driver>;
    contract::delete(&driver, &of_snapshot(&snapshot)).await;
    contract::delete(&driver, &of(&one)).await;
    assert!(rig.group().volumes.is_empty());
}

#[tokio::test]
async fn a_wipe_goes_on_where_it_was_and_only_a_whole_one_is_marked() {
    let rig = Rig::thick();
    let one = volume(1);
    made(&rig, &one).await;
    let gone = Name::of_volume(one.id).gone();
    rig.write_lv(&Name::of_volume(one.id).text, &[(0, 1), (200_000, 2)]);
    let stopped = Work::default();
    stopped.cancel();
    let answer = rig.driver.wipe(&of(&one), &stopped).await;
    assert!(matches!(answer, Err(DriverError::Cancelled)), "{answer:?}");
    assert!(rig.driver.device(&one).await.is_err(), "it is out of sight");
    assert_eq!(rig.read_lv(&gone).1.len(), 2);
    // What lies before the cursor is done; that it is not looked at again shows here.
    let work = Work::resuming(100_000 * 4096);
    assert_eq!(
        rig.driver.wipe(&of(&one), &work).await.unwrap(),
        Done::Changed
    );
    assert_eq!(rig.read_lv(&gone).1, Stamps::from([(0, 1)]));
    assert_eq!(work.progress(), (GIB, GIB));
    let again = rig.driver.wipe(&of(&one), &Work::default()).await;
    assert_eq!(again.unwrap(), Done::AlreadySo);
    rig.driver.remove(&of(&one)).await.unwrap();
    assert!(rig.group().volumes.is_empty());
}

#[tokio::test]
async fn a_volume_grown_after_we_gave_up_waiting_still_reads_as_zeros() {
    let rig = Rig::thick();
    let one = volume(1);
    made(&rig, &one).await;
    let name = Name::of_volume(one.id).text;
    let larger = with_size(&one, 2);
    // lvs, lvchange, then the growing itself: udisksd is asked, and the connection breaks before it has begun.
    rig.fates.plan(2, Fate::Waits);
    let extending = rig.driver.extend(&larger);
    let breaking = async {
        rig.fates.met().await;
        rig.udisks.kill();
    };
    let (answer, ()) = tokio::join!(extending, breaking);
    is_unavailable(&answer, "");
    rig.by_others(|groups, vg| groups.resize(vg, &name, 2 * GIB));
    assert!(!rig.read_lv(&name).1.is_empty(), "as the disks hold it");
    rig.driver.extend(&larger).await.unwrap();
    assert_eq!(rig.read_lv(&name), (2 * GIB, Stamps::new()));
}

#[tokio::test]
async fn a_merge_that_outlived_its_daemon_is_waited_for() {
    let rig = Rig::thick();
    let one = volume(1);
    made(&rig, &one).await;
    let name = Name::of_volume(one.id).text;
    rig.write_lv(&name, &some_stamps(1));
    let snapshot = snapped(&rig, &one).await;
    rig.write_lv(&name, &some_stamps(2));
    let lv = Name::of_snapshot(snapshot.id).text;
    let tag = super::super::names::reverting_to(snapshot.id);
    rig.by_others(|groups, vg| {
        groups.mark(vg, &name, &[&tag], &[], false)?;
        groups.begin_merge(vg, &lv)
    });
    let rig = rig.restarted();
    let work = Work::default();
    rig.driver.revert(&one, &snapshot, &work).await.unwrap();
    let wanted: Stamps = some_stamps(1).into_iter().collect();
    for object in [of(&one), of_snapshot(&snapshot)] {
        assert_eq!(rig.read(&object), (GIB, wanted.clone()));
    }
    let again = rig.lv(&lv).unwrap();
    assert_eq!(again.kind, Kind::Snapshot { len_bytes: GIB });
    assert!(!rig.lv(&name).unwrap().tags.contains(&tag));
}

#[tokio::test]
async fn an_open_volume_is_left_alone() {
    for rig in [Rig::thin(), Rig::thick()] {
        let one = volume(1);
        made(&rig, &one).await;
        let snapshot = snapped(&rig, &one).await;
        let name = Name::of_volume(one.id).text;
        rig.by_others(|groups, vg| groups.volume_mut(vg, &name).map(|lv| lv.is_open = true));
        let before = rig.group();
        let reverted = rig.driver.revert(&one, &snapshot, &Work::default()).await;
        let removed = rig.driver.remove(&of(&one)).await;
        for answer in [reverted, removed] {
            assert!(matches!(answer, Err(DriverError::Io { .. })), "{answer:?}");
        }
        assert_eq!(rig.group(), before);
    }
}

/// udev and udisks2 open a volume for an instant, when they get round to it.
#[tokio::test]
async fn who_only_looks_at_a_volume_is_waited_for() {
    for mut rig in [Rig::thin(), Rig::thick()] {
        Arc::get_mut(&mut rig.driver).unwrap().closed_within = Duration::from_secs(60);
        let one = volume(1);
        made(&rig, &one).await;
        let name = Name::of_volume(one.id).text;
        let open = |is_open| {
            rig.by_others(|groups, vg| {
                let lv = groups.volume_mut(vg, &name)?;
                lv.is_open = is_open;
                Ok(())
            });
        };
        open(true);
        let object = of(&one);
        let gone = async {
            let work = Work::default();
            rig.driver.wipe(&object, &work).await.unwrap();
            rig.driver.remove(&object).await.unwrap();
        };
        let mut gone = std::pin::pin!(gone);
        let soon = tokio::time::timeout(Duration::from_millis(700), &mut gone).await;
        assert!(soon.is_err() && rig.lv(&name).is_some_and(|lv| lv.is_open));
        open(false);
        gone.await;
        assert_eq!(
            rig.group().volumes.len(),
            usize::from(rig.config.thin_pool.is_some())
        );
    }
}

#[tokio::test]
async fn an_empty_group_gets_its_pool_and_a_used_one_does_not() {
    let rig = Rig::thin();
    rig.by_others(|groups, vg| groups.delete(vg, "pool"));
    rig.driver.stats().await.unwrap();
    let pool = rig.lv("pool").unwrap();
    assert!(pool.size_bytes <= 512 * GIB && pool.size_bytes > 500 * GIB);
    rig.by_others(|groups, vg| {
        groups.delete(vg, "pool")?;
        groups.create_plain(vg, "root", GIB)
    });
    let reports = rig.driver.stats().await.unwrap();
    assert_eq!(reports.len(), 1);
    assert!(rig.lv("pool").is_none());
    is_unavailable(
        &rig.driver
            .create(&volume(1), &Source::Empty, &Work::default())
            .await,
        "there is no thin pool",
    );
}

/// What others do to the group is reported before the timer.
#[tokio::test(flavor = "multi_thread")]
async fn what_udisks2_tells_of_the_group_is_a_change() {
    let rig = Rig::thin();
    rig.udisks.hold_back(true);
    let driver = rig.driver.clone();
    let told = tokio::spawn(async move { driver.changed().await });
    rig.by_others(|groups, vg| groups.create_plain(vg, "theirs", GIB));
    assert!(!told.is_finished(), "nothing was told yet");
    rig.udisks.hold_back(false);
    let told = tokio::time::timeout(std::time::Duration::from_secs(20), told).await;
    told.expect("it was told").unwrap();
}

/// Whatever a verb answers is on the disk by then, also what it found done.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_to_be_done_that_is_not_on_the_disk() {
    let rig = Rig::thick();
    let one = volume(1);
    made(&rig, &one).await;
    std::fs::remove_file(rig.directory.path().join("disk")).unwrap();
    let work = Work::default();
    for again in [
        rig.driver.create(&one, &Source::Empty, &work).await,
        rig.driver.extend(&one).await,
        rig.driver.remove(&of(&one)).await,
    ] {
        let why = again.unwrap_err().to_string();
        assert!(why.contains("bringing LVM's metadata to"), "{why}");
    }
}
