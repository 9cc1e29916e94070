//! Who holds a thin pool's metadata, and what a volume is of that lies upon another.

use super::super::blocks::HOLDS_METADATA;
use super::*;
use crate::driver::contract::{of, some_stamps, volume};

async fn stamped(rig: &Rig) -> VolumeRef {
    let one = volume(1);
    let (source, work) = (Source::Empty, Work::default());
    rig.driver.create(&one, &source, &work).await.unwrap();
    rig.write_lv(&Name::of_volume(one.id).text, &some_stamps(1));
    one
}

fn metadata(rig: &Rig) -> HeldMetadata {
    HeldMetadata::in_directory(&rig.config.devices.with_file_name("bytes"))
}

#[tokio::test]
async fn metadata_that_another_holds_stay_held_and_all_is_read() {
    let rig = Rig::thin();
    let one = stamped(&rig).await;
    metadata(&rig).hold();
    let before = rig.group();
    assert_eq!(rig.driver.parts(&of(&one), None).await.unwrap(), None);
    assert!(metadata(&rig).is_held());
    assert_eq!(rig.group(), before);
}

#[tokio::test]
async fn metadata_that_a_dead_daemon_held_are_released_and_read_anew() {
    let rig = Rig::thin();
    let one = stamped(&rig).await;
    let tagged = |rig: &Rig| rig.lv("pool").unwrap().tags.contains(HOLDS_METADATA);
    // It died after it had taken them, and another between its tag and that.
    for holds in [true, false] {
        rig.by_others(|groups, vg| groups.mark(vg, "pool", &[HOLDS_METADATA], &[], false));
        if holds {
            metadata(&rig).hold();
        }
        let parts = rig.driver.parts(&of(&one), None).await.unwrap();
        assert!(parts.is_some_and(|parts| !parts.is_empty()));
        assert!(!metadata(&rig).is_held() && !tagged(&rig));
    }
}

#[tokio::test]
async fn of_a_volume_upon_another_all_is_read() {
    let rig = Rig::thin();
    let one = stamped(&rig).await;
    rig.by_others(|groups, vg| groups.create_plain(vg, "golden", GIB));
    let name = Name::of_volume(one.id).text;
    rig.by_others(|groups, vg| {
        let lv = groups.volume_mut(vg, &name)?;
        lv.origin = Some("golden".to_owned());
        Ok(())
    });
    assert_eq!(rig.driver.parts(&of(&one), None).await.unwrap(), None);
}
