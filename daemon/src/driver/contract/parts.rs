//! Rules of [`Driver::parts`](super::super::Driver::parts): what is told is sorted and apart, leaves something out, and
//! leaves out nothing that was written, or that differs.

use super::{
    BLOCK_BYTES, Subject, assert_empty, created, delete, gib_bytes, in_order, of, of_snapshot,
    snapshot_of, some_stamps, volume,
};
use crate::driver::{PARTS_MAX, Source, Work};
use std::ops::Range;

/// Written between the two snapshots.
const BETWEEN: [(u64, u64); 2] = [(5, 55), (90_000, 99)];

fn assert_covers(parts: &[Range<u64>], stamps: &[(u64, u64)]) {
    assert!(parts.windows(2).all(|two| two[0].end < two[1].start));
    assert!(parts.len() <= PARTS_MAX);
    let told_bytes: u64 = parts.iter().map(|part| part.end - part.start).sum();
    assert!(told_bytes < gib_bytes(1) / 2, "nothing is left out");
    for (block, _) in stamps {
        assert!(is_in(parts, *block), "block {block} was written");
    }
}

fn is_in(parts: &[Range<u64>], block: u64) -> bool {
    let (start, end) = (block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
    parts
        .iter()
        .any(|part| part.start <= start && end <= part.end)
}

pub(crate) async fn parts_have_all_that_was_written<S: Subject>(subject: S) {
    let driver = subject.driver();
    let (one, work) = (volume(1), Work::default());
    created(&driver, &one, &Source::Empty).await;
    let first = some_stamps(1);
    subject.write(&one, &first);
    let (before, after) = (snapshot_of(&one), snapshot_of(&one));
    for (snapshot, more) in [(&before, &BETWEEN), (&after, &[(6, 66), (200_000, 1)])] {
        let taken = driver.snapshot(&one, snapshot, None, &work).await;
        taken.unwrap();
        subject.write(&one, more);
        driver.open_snapshot(snapshot).await.unwrap();
    }
    driver.device(&one).await.unwrap();
    let mut all = first.clone();
    all.extend(BETWEEN);
    for (object, stamps) in [(of_snapshot(&before), &first), (of_snapshot(&after), &all)] {
        for _ in 0..2 {
            let parts = driver.parts(&object, None).await.unwrap();
            assert_eq!(parts.is_some(), S::TELLS_PARTS);
            parts.inspect(|parts| assert_covers(parts, stamps));
        }
    }
    let parts = driver.parts(&of(&one), None).await.unwrap();
    assert_eq!(parts.is_some(), S::TELLS_PARTS);
    parts.inspect(|parts| assert_covers(parts, &[(200_000, 1)]));

    let changed = driver.parts(&of_snapshot(&after), Some(&before)).await;
    let changed = changed.unwrap();
    assert_eq!(changed.is_some(), S::TELLS_PARTS);
    if let Some(changed) = changed {
        assert_covers(&changed, &BETWEEN);
        assert!(!is_in(&changed, 70_000), "what is the same is left out");
    }
    let since_nothing = Some(snapshot_of(&one));
    let unknown = driver
        .parts(&of_snapshot(&after), since_nothing.as_ref())
        .await;
    assert_eq!(unknown.unwrap(), None, "since a snapshot that is gone");
    for object in in_order::<S>(vec![of(&one), of_snapshot(&before), of_snapshot(&after)]) {
        delete(&driver, &object).await;
    }
    assert_empty(&driver).await;
}
