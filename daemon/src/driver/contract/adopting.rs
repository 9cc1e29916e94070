//! Rules of what changes hands between a pool's administrator and Ashlar: nothing is lost, whoever has it.

use super::{
    Subject, assert_empty, created, delete, gib_bytes, held, of, of_snapshot, snapshot_of,
    some_stamps, volume,
};
use crate::driver::manageable::snapshot_of as volume_in_name;
use crate::driver::{Done, Driver, DriverError, ObjectRef, Source, VolumeRef, Work};
use crate::model::id::VolumeId;
use crate::model::size::Gib;
use std::sync::Arc;

async fn foreign(driver: &Arc<dyn Driver>) -> Vec<(String, u64)> {
    let found = driver.manageable("pool").await.unwrap();
    assert!(found.iter().all(|one| one.why_not.is_none()), "{found:?}");
    let told = found.into_iter().map(|one| (one.name, one.len_bytes));
    told.collect()
}

/// The same bytes under another id, as a new row would have it.
fn anew(volume: &VolumeRef) -> VolumeRef {
    VolumeRef {
        id: VolumeId::random(),
        ..volume.clone()
    }
}

async fn released(driver: &Arc<dyn Driver>, object: &ObjectRef, name: Option<&str>) {
    assert_eq!(driver.release(object, name).await.unwrap(), Done::Changed);
    assert_eq!(driver.release(object, name).await.unwrap(), Done::AlreadySo);
}

pub(crate) async fn what_is_released_can_be_adopted_again<S: Subject>(subject: S) {
    let driver = subject.driver();
    let one = volume(2);
    created(&driver, &one, &Source::Empty).await;
    let stamps = some_stamps(1);
    subject.write(&one, &stamps);
    let snapshot = snapshot_of(&one);
    let work = Work::default();
    driver.snapshot(&one, &snapshot, None, &work).await.unwrap();

    released(&driver, &of_snapshot(&snapshot), None).await;
    let [(name, len_bytes)] = &foreign(&driver).await[..] else {
        panic!("not one")
    };
    assert_eq!(*len_bytes, gib_bytes(2));
    let origin_name = format!("volume-{}", one.id);
    assert_eq!(volume_in_name(name), Some(origin_name.as_str()));
    let again = snapshot_of(&one);
    let object = of_snapshot(&again);
    assert_eq!(driver.measure(&object, name).await.unwrap().get(), 2);
    assert_eq!(driver.adopt(&object, name).await.unwrap(), Done::Changed);
    assert_eq!(subject.read(&object), held(2, &stamps));
    delete(&driver, &object).await;

    released(&driver, &of(&one), None).await;
    assert_empty(&driver).await;
    let volume_name = S::name_when_released(&one);
    assert_eq!(
        foreign(&driver).await,
        [(volume_name.clone(), gib_bytes(2))]
    );
    let (two, larger) = (anew(&one), Gib::new(3).unwrap());
    let two = VolumeRef {
        size_gib: larger,
        ..two
    };
    for done in [Done::Changed, Done::AlreadySo] {
        assert_eq!(driver.adopt(&of(&two), &volume_name).await.unwrap(), done);
    }
    // The answer may have been lost: asked again, it is measured where it is.
    let measured = driver.measure(&of(&two), &volume_name).await.unwrap();
    assert_eq!(measured, larger);
    let subject = {
        drop(driver);
        subject.restarted()
    };
    let driver = subject.driver();
    assert_eq!(foreign(&driver).await, []);
    assert_eq!(subject.read(&of(&two)), held(3, &stamps));
    assert_eq!(driver.device(&two).await.unwrap().len_bytes, gib_bytes(3));
    released(&driver, &of(&two), Some(S::FOREIGN_NAME)).await;
    let name = S::FOREIGN_NAME.to_owned();
    assert_eq!(foreign(&driver).await, [(name, gib_bytes(3))]);
    let last = anew(&two);
    driver.adopt(&of(&last), S::FOREIGN_NAME).await.unwrap();
    delete(&driver, &of(&last)).await;
    assert_empty(&driver).await;
}

pub(crate) async fn what_cannot_be_adopted_stays_as_it_is<S: Subject>(subject: S) {
    let driver = subject.driver();
    let one = volume(2);
    created(&driver, &one, &Source::Empty).await;
    released(&driver, &of(&one), Some("x")).await;
    let refused = |answer: Result<Done, DriverError>, name: &str| {
        let is_said =
            matches!(&answer, Err(DriverError::NotManageable { name: said, .. }) if said == name);
        assert!(is_said, "{answer:?}");
    };
    let wanted = anew(&one);
    let smaller = VolumeRef {
        size_gib: Gib::new(1).unwrap(),
        ..wanted.clone()
    };
    refused(driver.adopt(&of(&smaller), "x").await, "x");
    for name in [
        "y",
        "",
        ".",
        "..",
        "../pool/x",
        "/x",
        "./x",
        "volumes",
        "x\0",
    ] {
        refused(driver.adopt(&of(&wanted), name).await, name);
        let measured = driver.measure(&of(&wanted), name).await;
        assert!(
            matches!(measured, Err(DriverError::NotManageable { .. })),
            "{name:?}: {measured:?}"
        );
    }
    assert_eq!(foreign(&driver).await, [("x".to_owned(), gib_bytes(2))]);
    assert_empty(&driver).await;
    let device = driver.device(&wanted).await;
    assert!(matches!(device, Err(DriverError::Absent { .. })));
}

pub(crate) async fn a_name_that_is_taken_is_not_overwritten<S: Subject>(subject: S) {
    let driver = subject.driver();
    let volumes = [volume(1), volume(1), volume(1)];
    for (generation, volume) in (1..).zip(&volumes) {
        created(&driver, volume, &Source::Empty).await;
        subject.write(volume, &some_stamps(generation));
    }
    let [first, second, third] = &volumes;
    driver.release(&of(first), Some("x")).await.unwrap();
    driver.release(&of(second), Some("x")).await.unwrap();
    // No plain name: not taken at its word.
    driver.release(&of(third), Some("../x")).await.unwrap();
    let mut wanted = vec![
        ("x".to_owned(), 1),
        (S::name_when_released(second), 2),
        (S::name_when_released(third), 3),
    ];
    wanted.sort();
    let names: Vec<String> = foreign(&driver)
        .await
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let wanted_names: Vec<&String> = wanted.iter().map(|(name, _)| name).collect();
    assert_eq!(names.iter().collect::<Vec<_>>(), wanted_names);
    for (name, generation) in &wanted {
        let taken = anew(first);
        driver.adopt(&of(&taken), name).await.unwrap();
        assert_eq!(
            subject.read(&of(&taken)),
            held(1, &some_stamps(*generation))
        );
        delete(&driver, &of(&taken)).await;
    }
    assert_empty(&driver).await;
}
