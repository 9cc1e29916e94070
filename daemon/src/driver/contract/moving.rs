//! Rules of a volume that moves: what one driver tells as its device, another makes whole, and each is its own then.

use super::{Subject, assert_empty, created, delete, held, of, some_stamps, volume};
use crate::driver::{Device, Done, DriverError, Source, VolumeRef, Work};

/// Two pools of their own; `None` where they cannot be had.
fn two<S: Subject>(one: S) -> Option<(S, S)> {
    Some((one, S::fresh()?))
}

/// A volume with stamps, and its device.
async fn stamped<S: Subject>(subject: &S, pool: &str) -> (VolumeRef, Device) {
    let one = VolumeRef {
        pool: pool.to_owned(),
        ..volume(1)
    };
    created(&subject.driver(), &one, &Source::Empty).await;
    subject.write(&one, &some_stamps(1));
    let device = subject.driver().device(&one).await.unwrap();
    (one, device)
}

pub(crate) async fn a_volume_is_made_of_another_pools_device<S: Subject>(subject: S) {
    let Some((from, to)) = two(subject) else {
        return;
    };
    let (old, device) = stamped(&from, "pool").await;
    let source = Source::Device(device);
    let (one, larger) = (old.clone(), volume(2));
    created(&to.driver(), &one, &source).await;
    created(&to.driver(), &larger, &source).await;
    let again = to.driver().create(&one, &source, &Work::default()).await;
    assert_eq!(again.unwrap(), Done::AlreadySo);
    assert_eq!(to.read(&of(&one)), held(1, &some_stamps(1)));
    assert_eq!(to.read(&of(&larger)), held(2, &some_stamps(1)));

    // Each goes its own way, and the one may be destroyed.
    to.write(&one, &[(5, 55)]);
    assert_eq!(from.read(&of(&old)), held(1, &some_stamps(1)));
    from.write(&old, &some_stamps(2));
    assert_eq!(to.read(&of(&larger)), held(2, &some_stamps(1)));
    delete(&from.driver(), &of(&old)).await;
    assert_empty(&from.driver()).await;
    let mut now = some_stamps(1);
    now.push((5, 55));
    assert_eq!(to.read(&of(&one)), held(1, &now));
    for object in [of(&one), of(&larger)] {
        delete(&to.driver(), &object).await;
    }
    assert_empty(&to.driver()).await;
}

pub(crate) async fn a_move_that_is_cancelled_or_cut_short_leaves_nothing<S: Subject>(subject: S) {
    let Some((from, to)) = two(subject) else {
        return;
    };
    let (one, device) = stamped(&from, "pool").await;
    let work = Work::default();
    work.cancel();
    let source = Source::Device(device.clone());
    let stopped = to.driver().create(&one, &source, &work).await;
    assert!(
        matches!(stopped, Err(DriverError::Cancelled)),
        "{stopped:?}"
    );
    assert_empty(&to.driver()).await;

    let nowhere = Device {
        path: device.path.with_file_name("no-such-device"),
        ..device
    };
    let none = Source::Device(nowhere);
    let failed = to.driver().create(&one, &none, &Work::default()).await;
    assert!(failed.is_err());
    assert_empty(&to.driver()).await;

    // Killed in the middle: the repeat makes it whole, or a removal clears it away.
    to.leave_half_made(&of(&one));
    let to = to.restarted();
    created(&to.driver(), &one, &source).await;
    assert_eq!(to.read(&of(&one)), held(1, &some_stamps(1)));
    delete(&to.driver(), &of(&one)).await;
    to.leave_half_made(&of(&one));
    delete(&to.driver(), &of(&one)).await;
    assert_empty(&to.driver()).await;
    assert_eq!(from.read(&of(&one)), held(1, &some_stamps(1)));
    delete(&from.driver(), &of(&one)).await;
}

/// Of a driver with several pools in one backend: the same volume in two of them is two things.
pub(crate) async fn what_is_asked_in_one_pool_is_not_done_in_the_other<S: Subject>(subject: S) {
    let Some(other) = S::POOLS.iter().copied().find(|pool| *pool != "pool") else {
        return;
    };
    for (from, to) in [("pool", other), (other, "pool")] {
        let driver = subject.driver();
        let (old, device) = stamped(&subject, from).await;
        let new = VolumeRef {
            pool: to.to_owned(),
            ..old.clone()
        };
        let source = Source::Device(device);
        let absent = driver.device(&new).await;
        assert!(matches!(absent, Err(DriverError::Absent { .. })));
        // Given up, half made and whole.
        subject.leave_half_made(&of(&new));
        delete(&driver, &of(&new)).await;
        created(&driver, &new, &source).await;
        let again = driver.create(&new, &source, &Work::default()).await;
        assert_eq!(again.unwrap(), Done::AlreadySo);
        delete(&driver, &of(&new)).await;
        assert_eq!(subject.read(&of(&old)), held(1, &some_stamps(1)));

        // Gone through with; the removal of the old one is repeated, also after the new one got its name.
        created(&driver, &new, &source).await;
        subject.write(&new, &[(5, 55)]);
        assert_eq!(subject.read(&of(&old)), held(1, &some_stamps(1)));
        for _ in 0..2 {
            delete(&driver, &of(&old)).await;
        }
        let absent = driver.device(&old).await;
        assert!(matches!(absent, Err(DriverError::Absent { .. })));
        let mut now = some_stamps(1);
        now.push((5, 55));
        assert_eq!(subject.read(&of(&new)), held(1, &now));
        assert_eq!(driver.objects().await.unwrap().len(), 1);
        delete(&driver, &of(&new)).await;
        assert_empty(&driver).await;
    }
}
