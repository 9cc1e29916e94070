//! Whatever befalls an act, the next daemon's repeat leaves the group as if nothing had happened: each verb, with each
//! fate at each of its acts.

use super::*;
use crate::driver::contract::{of, of_snapshot, snapshot_of, volume};
use ashlar_dbus::fake::fates::Fate;
use std::collections::{BTreeMap, BTreeSet};

/// Failures, a daemon that dies, and a udisksd or program that does, each before and after the act.
pub(super) const FATES: &[Fate] = &[
    Fate::Fails,
    Fate::FailsDone,
    Fate::Waits,
    Fate::WaitsDone,
    Fate::Dies,
    Fate::DiesDone,
];
/// The same ids on every machine of a test.
pub(super) struct Case {
    pub(super) one: VolumeRef,
    two: VolumeRef,
    snapshot: SnapshotRef,
}

impl Case {
    pub(super) fn new() -> Self {
        let (one, mut two) = (volume(1), volume(1));
        two.size_gib = Gib::new(2).unwrap();
        let snapshot = snapshot_of(&one);
        Self { one, two, snapshot }
    }

    fn one_larger(&self) -> VolumeRef {
        let size_gib = Gib::new(2).unwrap();
        VolumeRef {
            size_gib,
            ..self.one.clone()
        }
    }
}

/// All that can be seen of a group.
#[derive(Debug, PartialEq)]
struct Seen {
    free_bytes: u64,
    volumes: BTreeMap<String, (Volume, (u64, Stamps))>,
}

fn seen(rig: &Rig) -> Seen {
    let group = rig.group();
    let volumes = group.volumes.iter().map(|(name, volume)| {
        let bytes = match rig.config.thin_pool.as_deref() == Some(name) {
            true => (0, Stamps::new()),
            false => rig.read_lv(name),
        };
        // Which bytes they are is told by the bytes.
        let volume = Volume {
            key: 0,
            ..volume.clone()
        };
        (name.clone(), (volume, bytes))
    });
    Seen {
        free_bytes: group.free_bytes(),
        volumes: volumes.collect(),
    }
}

pub(super) type Answer = Result<(), DriverError>;

/// `prepare` brings a fresh machine to where `verb` begins; after an interruption a new daemon does `then`.
pub(super) async fn interrupted(
    fates: &[Fate],
    fresh: fn() -> Rig,
    prepare: impl AsyncFn(&Rig, &Case),
    verb: impl AsyncFn(&LvmDriver, &Case) -> Answer,
    then: impl AsyncFn(&LvmDriver, &Case) -> Answer,
) {
    let case = Case::new();
    let wanted = {
        let rig = fresh();
        prepare(&rig, &case).await;
        verb(&rig.driver, &case).await.unwrap();
        then(&rig.driver, &case).await.unwrap();
        seen(&rig)
    };
    for fate in fates {
        let mut met = 0;
        for at in 0.. {
            let rig = fresh();
            prepare(&rig, &case).await;
            rig.fates.plan(at, *fate);
            let is_silent = matches!(fate, Fate::Waits | Fate::WaitsDone);
            tokio::select! {
                answer = verb(&rig.driver, &case) => drop(answer),
                () = rig.fates.met(), if is_silent => {}
            }
            if !rig.fates.is_met() {
                rig.fates.go_on();
                assert_eq!(seen_after(rig, &case, &then).await, wanted);
                break;
            }
            met += 1;
            let now = seen_after(rig, &case, &then).await;
            assert_eq!(now, wanted, "{fate:?} at act {at}");
        }
        assert!(met > 1, "{fate:?} was never met");
    }
}

async fn seen_after(
    rig: Rig,
    case: &Case,
    then: &impl AsyncFn(&LvmDriver, &Case) -> Answer,
) -> Seen {
    let rig = rig.restarted();
    then(&rig.driver, case).await.unwrap();
    seen(&rig)
}

pub(super) async fn create(driver: &LvmDriver, volume: &VolumeRef, source: Source) -> Answer {
    let done = driver.create(volume, &source, &Work::default()).await;
    done.map(|_| ())
}

async fn snapshot(driver: &LvmDriver, case: &Case) -> Answer {
    let (work, one) = (Work::default(), &case.one);
    let done = driver.snapshot(one, &case.snapshot, None, &work).await;
    done.map(|_| ())
}

pub(super) async fn deleted(driver: &LvmDriver, object: &ObjectRef) -> Answer {
    driver.wipe(object, &Work::default()).await?;
    driver.remove(object).await.map(|_| ())
}

/// A volume with something in it.
async fn with_one(rig: &Rig, case: &Case) {
    create(&rig.driver, &case.one, Source::Empty).await.unwrap();
    let name = Name::of_volume(case.one.id).text;
    rig.write_lv(&name, &contract::some_stamps(1));
}

/// And a snapshot of it, after which it went on.
async fn with_snapshot(rig: &Rig, case: &Case) {
    with_one(rig, case).await;
    snapshot(&rig.driver, case).await.unwrap();
    let name = Name::of_volume(case.one.id).text;
    rig.write_lv(&name, &contract::some_stamps(2));
}

async fn nothing(rig: &Rig, _: &Case) {
    // The group is ours already, so that nothing is left beside the volumes.
    rig.driver.stats().await.unwrap();
}

/// A verb that is its own repeat. Where a GiB is copied each time, one fate does: the other way out is below.
macro_rules! repeated {
    ($($name:ident: $fates:expr, $rig:expr, $prepare:expr, $verb:expr;)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            interrupted($fates, $rig, $prepare, $verb, $verb).await;
        }
    )+};
}

repeated! {
    create_thin: FATES, Rig::thin, nothing,
        async |driver, case| create(driver, &case.one, Source::Empty).await;
    create_thick: FATES, Rig::thick, nothing,
        async |driver, case| create(driver, &case.one, Source::Empty).await;
    from_snapshot_thin: FATES, Rig::thin, with_snapshot,
        async |driver, case| create(driver, &case.two, Source::Snapshot(case.snapshot.clone())).await;
    from_snapshot_thick: &[Fate::WaitsDone], Rig::thick, with_snapshot,
        async |driver, case| create(driver, &case.two, Source::Snapshot(case.snapshot.clone())).await;
    clone_thin: FATES, Rig::thin, with_one,
        async |driver, case| create(driver, &case.two, Source::Volume(case.one.clone(), None)).await;
    clone_thick: &[Fate::Fails], Rig::thick, with_one,
        async |driver, case| create(driver, &case.two, Source::Volume(case.one.clone(), None)).await;
    extend_thin: FATES, Rig::thin, with_one,
        async |driver, case| driver.extend(&case.one_larger()).await.map(|_| ());
    extend_thick: FATES, Rig::thick, with_one,
        async |driver, case| driver.extend(&case.one_larger()).await.map(|_| ());
    extend_thick_with_a_snapshot: FATES, Rig::thick, with_snapshot,
        async |driver, case| driver.extend(&case.one_larger()).await.map(|_| ());
    snapshot_thin: FATES, Rig::thin, with_one, snapshot;
    snapshot_thick: FATES, Rig::thick, with_one, snapshot;
    revert_thin: FATES, Rig::thin, with_snapshot,
        async |driver, case| driver.revert(&case.one, &case.snapshot, &Work::default()).await.map(|_| ());
    revert_thick: FATES, Rig::thick, with_snapshot,
        async |driver, case| driver.revert(&case.one, &case.snapshot, &Work::default()).await.map(|_| ());
    delete_thin: FATES, Rig::thin, with_snapshot,
        async |driver, case| deleted(driver, &of(&case.one)).await;
    delete_thick: FATES, Rig::thick, with_one,
        async |driver, case| deleted(driver, &of(&case.one)).await;
    delete_thick_snapshot: FATES, Rig::thick, with_snapshot,
        async |driver, case| deleted(driver, &of_snapshot(&case.snapshot)).await;
    release_thin: FATES, Rig::thin, with_one,
        async |driver, case| driver.release(&of(&case.one), Some("theirs")).await.map(|_| ());
    release_thick: FATES, Rig::thick, with_one,
        async |driver, case| driver.release(&of(&case.one), Some("theirs")).await.map(|_| ());
    adopt_thin: FATES, Rig::thin, with_theirs,
        async |driver, case| driver.adopt(&of(&case.two), "theirs").await.map(|_| ());
    adopt_thick: FATES, Rig::thick, with_theirs,
        async |driver, case| driver.adopt(&of(&case.two), "theirs").await.map(|_| ());
}

/// Somebody's volume of half a GiB.
async fn with_theirs(rig: &Rig, case: &Case) {
    nothing(rig, case).await;
    rig.by_others(|groups, vg| match &rig.config.thin_pool {
        Some(pool) => groups.create_thin(vg, "theirs", GIB / 2, pool),
        None => groups.create_plain(vg, "theirs", GIB / 2),
    });
    rig.write_lv("theirs", &[(0, 7), (100, 8)]);
}

/// The other way out of each that makes something: it is given up, and nothing is left of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_leaves_nothing() {
    for rig in [Rig::thin, Rig::thick] {
        let create =
            async |driver: &LvmDriver, case: &Case| create(driver, &case.one, Source::Empty).await;
        let give_up = async |driver: &LvmDriver, case: &Case| deleted(driver, &of(&case.one)).await;
        interrupted(FATES, rig, nothing, create, give_up).await;
        let give_up = async |driver: &LvmDriver, case: &Case| {
            deleted(driver, &of_snapshot(&case.snapshot)).await
        };
        interrupted(FATES, rig, with_one, snapshot, give_up).await;
    }
    let clone = async |driver: &LvmDriver, case: &Case| {
        create(driver, &case.two, Source::Volume(case.one.clone(), None)).await
    };
    let give_up = async |driver: &LvmDriver, case: &Case| deleted(driver, &of(&case.two)).await;
    interrupted(FATES, Rig::thin, with_one, clone, give_up).await;
    interrupted(&[Fate::WaitsDone], Rig::thick, with_one, clone, give_up).await;
}

/// The objects that are ours are those that are there, whatever happened.
#[tokio::test]
async fn nothing_half_made_is_listed_once_it_was_repeated() {
    let rig = Rig::thick();
    let case = Case::new();
    with_snapshot(&rig, &case).await;
    let names: BTreeSet<String> = rig.driver.objects().await.unwrap().into_iter().collect();
    let ours = [of(&case.one), of_snapshot(&case.snapshot)];
    assert_eq!(names, ours.iter().map(|one| Name::of(one).text).collect());
}
