//! A volume that moves between the thick and the thin pool of its group, cut short at every act: of the copy, of its being
//! given up, and of the removal of what was left. Whatever happened, the other pool's bytes are as they were.

use super::crashes::{Answer, Case, FATES, create, deleted, interrupted};
use super::*;
use crate::driver::contract::{of, some_stamps};
use ashlar_dbus::fake::fates::Fate;

const THICK: &str = "vg";
const THIN: &str = "pool";

fn lying(case: &Case, pool: &str) -> VolumeRef {
    VolumeRef {
        pool: pool.to_owned(),
        ..case.one.clone()
    }
}

async fn with_one(rig: &Rig, case: &Case, pool: &str) {
    let one = lying(case, pool);
    create(&rig.driver, &one, Source::Empty).await.unwrap();
    rig.write_lv(&rig.whole(&of(&one)), &some_stamps(1));
}

async fn copied(driver: &LvmDriver, case: &Case, from: &str, to: &str) -> Answer {
    let device = driver.device(&lying(case, from)).await?;
    create(driver, &lying(case, to), Source::Device(device)).await
}

/// Both copies as a move leaves them, each with stamps of its own, so that a mistake shows.
async fn with_both(rig: &Rig, case: &Case, from: &str, to: &str) {
    rig.driver.stats().await.unwrap();
    let name = Name::of_volume(case.one.id);
    for (pool, called, generation) in [(from, name.text.clone(), 1), (to, name.moved(), 2)] {
        rig.by_others(|groups, vg| match pool {
            THIN => groups.create_thin(vg, &called, GIB, pool),
            _ => groups.create_plain(vg, &called, GIB),
        });
        rig.driver
            .vg
            .tools
            .mark(&called, &[names::OURS], &[], false)
            .await
            .unwrap();
        rig.write_lv(&called, &some_stamps(generation));
    }
}

const BOTH_WAYS: [(&str, &str); 2] = [(THICK, THIN), (THIN, THICK)];

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_cut_short_is_made_whole() {
    // A GiB is copied each time.
    for (from, to) in BOTH_WAYS {
        let copy = async |driver: &LvmDriver, case: &Case| copied(driver, case, from, to).await;
        let prepare = async |rig: &Rig, case: &Case| with_one(rig, case, from).await;
        interrupted(&[Fate::WaitsDone], Rig::thin, prepare, copy, copy).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_given_up_leaves_the_volume_as_it_was() {
    for (from, to) in BOTH_WAYS {
        let copy = async |driver: &LvmDriver, case: &Case| copied(driver, case, from, to).await;
        let give_up =
            async |driver: &LvmDriver, case: &Case| deleted(driver, &of(&lying(case, to))).await;
        let prepare = async |rig: &Rig, case: &Case| with_one(rig, case, from).await;
        interrupted(&[Fate::WaitsDone], Rig::thin, prepare, copy, give_up).await;
        let prepare = async |rig: &Rig, case: &Case| with_both(rig, case, from, to).await;
        interrupted(FATES, Rig::thin, prepare, give_up, give_up).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_removed_and_what_moved_is_as_it_is() {
    for (from, to) in BOTH_WAYS {
        let remove =
            async |driver: &LvmDriver, case: &Case| deleted(driver, &of(&lying(case, from))).await;
        let prepare = async |rig: &Rig, case: &Case| with_both(rig, case, from, to).await;
        interrupted(FATES, Rig::thin, prepare, remove, remove).await;

        // What all of them end in.
        let (rig, case) = (Rig::thin(), Case::new());
        with_both(&rig, &case, from, to).await;
        remove(&rig.driver, &case).await.unwrap();
        let name = Name::of_volume(case.one.id).text;
        assert_eq!(rig.driver.objects().await.unwrap(), [name.as_str()]);
        let held = rig.read_lv(&name).1;
        let is_held = |(block, stamp): &(u64, u64)| held.get(block) == Some(stamp);
        assert!(some_stamps(2).iter().all(is_held), "{held:?}");
    }
}
