//! What a backup set keeps of what it made, by what became of each.

use super::backups::at_work;
use crate::model::backup::Backup;
use crate::model::id::BackupId;
use crate::model::retention::{Reason, Retention};
use crate::model::status::BackupStatus;
use crate::model::time::Time;
use crate::ops::create_backup;
use crate::ops::retain_backups::{Verdict, judge};
use std::collections::BTreeMap;

#[tokio::test]
async fn only_what_is_good_counts() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let request = create_backup::Request {
        volume_id: volume.id,
        snapshot_id: None,
        store: None,
        name: None,
        description: None,
        metadata: BTreeMap::new(),
        availability_zone: None,
        is_incremental: false,
        may_be_attached: false,
        of_run: None,
    };
    let like = create_backup::begin(&at.ctx, &at.caller, request)
        .await
        .unwrap();
    let one = |day: u32, status| Backup {
        id: BackupId::random(),
        status,
        data_timestamp: Time::from_stored(format!("2026-03-{day:02}T02:00:00.000000")),
        created_at: Time::from_stored(format!("2026-03-{day:02}T01:59:00.000000")),
        ..like.clone()
    };
    use BackupStatus as S;
    let made = [
        one(9, S::Error),
        one(8, S::Creating),
        one(7, S::Available),
        one(6, S::Error),
        one(5, S::ErrorDeleting),
        one(4, S::Available),
        one(3, S::Restoring),
        one(2, S::Available),
    ];
    let rules = Retention {
        daily: 2,
        ..Retention::default()
    };
    let daily = || Verdict::Kept(vec![Reason::Daily]);
    use Verdict::{LeftAlone, Superseded, Unneeded};
    let verdicts = judge(&rules, &made, None);
    let expected = [
        LeftAlone,
        LeftAlone,
        daily(),
        Superseded,
        Superseded,
        daily(),
        LeftAlone,
        Unneeded,
    ];
    assert_eq!(verdicts, expected);
    let tomorrow = Time::from_stored("2026-03-10T02:00:00.000000".to_owned());
    let after = judge(&rules, &made, Some(&tomorrow));
    let expected = [
        Superseded,
        LeftAlone,
        daily(),
        Superseded,
        Superseded,
        Unneeded,
        LeftAlone,
        Unneeded,
    ];
    assert_eq!(after, expected);
    let all = judge(&Retention::default(), &made, None);
    assert!(all.iter().all(|verdict| !verdict.goes()), "{all:?}");
}
