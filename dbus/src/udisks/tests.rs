//! The client against a udisks2 that is late, refuses, and dies.

use super::*;
use crate::fake::FakeUdisks;
use crate::fake::fates::{Fate, Fates};
use crate::fake::groups::{Groups, Kind, NoContent, SharedGroups, Volume, locked};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// What is waited for in these tests comes long before.
const AT_LAST: Duration = Duration::from_secs(60);
/// What is waited for in vain.
const SOON: Duration = Duration::from_millis(50);

struct Rig {
    groups: SharedGroups,
    fates: Arc<Fates>,
    fake: FakeUdisks,
    udisks: Udisks,
}

impl Rig {
    /// A group `vg-0` of 10 GiB.
    fn new() -> Self {
        Self::with(Deadlines {
            act: AT_LAST,
            connect: AT_LAST,
            publish: AT_LAST,
        })
    }

    fn with(deadlines: Deadlines) -> Self {
        let groups = Groups::shared(Box::new(NoContent));
        locked(&groups).add_group("vg-0", 10 * GIB);
        let fates = Arc::new(Fates::default());
        let fake = FakeUdisks::over(groups.clone(), fates.clone());
        let udisks = fake.client(deadlines);
        Self {
            groups,
            fates,
            fake,
            udisks,
        }
    }

    fn volume(&self, lv: &str) -> Option<Volume> {
        locked(&self.groups).volume("vg-0", lv).ok().cloned()
    }

    fn names(&self) -> Vec<String> {
        let groups = locked(&self.groups);
        groups
            .group("vg-0")
            .unwrap()
            .volumes
            .keys()
            .cloned()
            .collect()
    }
}

#[tokio::test]
async fn each_act_is_done() {
    let rig = Rig::new();
    let udisks = &rig.udisks;
    udisks
        .create_plain_volume("vg-0", "plain", GIB)
        .await
        .unwrap();
    udisks
        .create_thin_pool("vg-0", "vg-0-pool", 2 * GIB)
        .await
        .unwrap();
    udisks
        .create_thin_volume("vg-0", "thin", 5 * GIB, "vg-0-pool")
        .await
        .unwrap();
    let thin = rig.volume("thin").unwrap();
    assert_eq!((thin.size_bytes, thin.pool()), (5 * GIB, Some("vg-0-pool")));
    udisks
        .create_snapshot("vg-0", "thin", "_snapshot-1", 0)
        .await
        .unwrap();
    let snapshot = rig.volume("_snapshot-1").unwrap();
    assert!(snapshot.is_skipped && !snapshot.is_active);
    udisks
        .create_snapshot("vg-0", "plain", "_snapshot-2", 101 * MIB)
        .await
        .unwrap();
    let snapshot = rig.volume("_snapshot-2").unwrap();
    assert_eq!(snapshot.kind, Kind::Snapshot { len_bytes: GIB });
    assert_eq!(snapshot.size_bytes, 104 * MIB, "whole extents");
    udisks.resize("vg-0", "thin", 6 * GIB).await.unwrap();
    udisks.rename("vg-0", "thin", "volume-1.x").await.unwrap();
    assert_eq!(
        rig.volume("_snapshot-1").unwrap().origin.as_deref(),
        Some("volume-1.x")
    );
    // The renamed is another object.
    udisks.deactivate("vg-0", "volume-1.x").await.unwrap();
    assert!(!rig.volume("volume-1.x").unwrap().is_active);
    udisks.activate("vg-0", "volume-1.x").await.unwrap();
    assert!(rig.volume("volume-1.x").unwrap().is_active);
    udisks.published("vg-0", "volume-1.x").await.unwrap();
    udisks.delete("vg-0", "_snapshot-1").await.unwrap();
    // What the callers of these two must look for beforehand.
    udisks.delete("vg-0", "plain").await.unwrap();
    assert_eq!(rig.names(), ["vg-0-pool", "volume-1.x"]);
    udisks.delete("vg-0", "vg-0-pool").await.unwrap();
    assert_eq!(rig.names(), Vec::<String>::new());
    assert_eq!(rig.fake.starts(), 1);
}

#[tokio::test]
async fn what_lvm_says_is_told_apart_and_changes_nothing() {
    let rig = Rig::new();
    let udisks = &rig.udisks;
    for lv in ["one", "two"] {
        udisks.create_plain_volume("vg-0", lv, GIB).await.unwrap();
        udisks.published("vg-0", lv).await.unwrap();
    }
    let before = locked(&rig.groups).group("vg-0").unwrap().clone();
    let taken = udisks.create_plain_volume("vg-0", "one", GIB).await;
    assert!(
        matches!(taken, Err(UdisksError::Exists { .. })),
        "{taken:?}"
    );
    let taken = udisks.rename("vg-0", "one", "two").await;
    assert!(
        matches!(taken, Err(UdisksError::Exists { .. })),
        "{taken:?}"
    );
    for full in [
        udisks.create_plain_volume("vg-0", "big", 9 * GIB).await,
        udisks.create_thin_pool("vg-0", "pool", 8 * GIB).await,
        udisks.create_snapshot("vg-0", "one", "s", 9 * GIB).await,
        udisks.resize("vg-0", "one", 10 * GIB).await,
    ] {
        assert!(matches!(full, Err(UdisksError::NoSpace { .. })), "{full:?}");
    }
    rig.fates.plan(0, Fate::Fails);
    let other = udisks.delete("vg-0", "one").await;
    assert!(matches!(other, Err(UdisksError::Other { .. })), "{other:?}");
    assert_eq!(*locked(&rig.groups).group("vg-0").unwrap(), before);

    locked(&rig.groups)
        .volume_mut("vg-0", "one")
        .unwrap()
        .is_open = true;
    for busy in [
        udisks.delete("vg-0", "one").await,
        udisks.deactivate("vg-0", "one").await,
    ] {
        assert!(matches!(busy, Err(UdisksError::Busy { .. })), "{busy:?}");
    }
    assert_eq!(rig.names(), ["one", "two"]);
}

#[tokio::test]
async fn an_object_that_is_published_late_is_waited_for() {
    let rig = Rig::new();
    rig.udisks.ready().await.unwrap();
    rig.udisks
        .create_plain_volume("vg-0", "one", GIB)
        .await
        .unwrap();
    rig.udisks.published("vg-0", "one").await.unwrap();
    rig.fake.hold_back(true);
    rig.udisks.rename("vg-0", "one", "two").await.unwrap();
    let udisks = rig.udisks.clone();
    let waiting = tokio::spawn(async move { udisks.resize("vg-0", "two", 2 * GIB).await });
    // LVM has it under its new name; udisks2 still shows the old one, which leads nowhere.
    let old = rig.udisks.resize("vg-0", "one", 2 * GIB).await;
    assert!(matches!(old, Err(UdisksError::NotFound { .. })), "{old:?}");
    assert!(!waiting.is_finished());
    assert_eq!(rig.volume("two").unwrap().size_bytes, GIB);
    rig.fake.hold_back(false);
    waiting.await.unwrap().unwrap();
    assert_eq!(rig.volume("two").unwrap().size_bytes, 2 * GIB);
}

#[tokio::test]
async fn an_object_that_never_comes_is_not_found_once_the_wait_is_over() {
    let deadlines = Deadlines {
        publish: SOON,
        ..Deadlines::default()
    };
    let rig = Rig::with(deadlines);
    for (vg, lv) in [("vg-0", "one"), ("vg-1", "one")] {
        let start = Instant::now();
        let answer = rig.udisks.delete(vg, lv).await;
        let is_said = matches!(&answer, Err(UdisksError::NotFound { subject, .. })
            if *subject == format!("{vg}/{lv}"));
        assert!(is_said, "{answer:?}");
        assert!(start.elapsed() >= SOON);
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_is_timed_out() {
    let deadlines = Deadlines {
        act: Duration::from_secs(1),
        ..Deadlines::default()
    };
    let rig = Rig::with(deadlines);
    rig.udisks.ready().await.unwrap();
    rig.fates.plan(0, Fate::WaitsDone);
    let answer = rig.udisks.create_plain_volume("vg-0", "one", GIB).await;
    assert!(
        matches!(answer, Err(UdisksError::TimedOut { .. })),
        "{answer:?}"
    );
    assert_eq!(rig.names(), ["one"], "it was done all the same");
}

#[tokio::test]
async fn udisksd_killed_in_the_middle_is_unavailable_and_the_next_call_reaches_the_new_one() {
    let rig = Rig::new();
    rig.udisks.ready().await.unwrap();
    let cases = [
        (Fate::Dies, "before", false),
        (Fate::DiesDone, "after", true),
    ];
    for (fate, lv, is_done) in cases {
        rig.fates.plan(0, fate);
        let answer = rig.udisks.create_plain_volume("vg-0", lv, GIB).await;
        assert!(
            matches!(answer, Err(UdisksError::Unavailable { .. })),
            "{answer:?}"
        );
        assert!(rig.fates.is_met());
        assert_eq!(rig.volume(lv).is_some(), is_done);
    }
    // The new one has loaded its modules, and shows what the other made.
    rig.udisks.published("vg-0", "after").await.unwrap();
    rig.udisks.delete("vg-0", "after").await.unwrap();
    assert_eq!(rig.fake.starts(), 3);
}

#[tokio::test]
async fn a_bus_that_was_restarted_between_two_calls_fails_neither() {
    let rig = Rig::new();
    let connection = rig.udisks.connection("vg-0").await.unwrap();
    rig.fake.kill();
    connection.closed().await;
    let made = rig.udisks.create_plain_volume("vg-0", "one", GIB).await;
    made.unwrap();
    assert_eq!(rig.fake.starts(), 2);
}

#[tokio::test]
async fn a_bus_that_is_not_there_is_unavailable_until_it_is() {
    let rig = Rig::new();
    rig.fake.refuse(true);
    for _ in 0..2 {
        let answer = rig.udisks.ready().await;
        assert!(
            matches!(answer, Err(UdisksError::Unavailable { .. })),
            "{answer:?}"
        );
    }
    rig.fake.refuse(false);
    rig.udisks.ready().await.unwrap();
}

#[tokio::test]
async fn changes_by_others_are_heard_group_by_group() {
    let rig = Rig::new();
    rig.udisks.ready().await.unwrap();
    rig.udisks
        .create_plain_volume("vg-0", "one", GIB)
        .await
        .unwrap();
    rig.udisks.published("vg-0", "one").await.unwrap();
    let mut changes = rig.udisks.changes();
    let mut heard = async |vg: &str| {
        let hearing = async { while changes.next().await.as_deref() != Some(vg) {} };
        tokio::time::timeout(AT_LAST, hearing).await.unwrap();
    };
    locked(&rig.groups).add_group("ubuntu-vg", GIB);
    heard("ubuntu-vg").await;
    for change in [
        |groups: &mut Groups| groups.create_plain("vg-0", "two", GIB),
        |groups: &mut Groups| groups.resize("vg-0", "two", 2 * GIB),
        |groups: &mut Groups| groups.delete("vg-0", "two"),
    ] {
        change(&mut locked(&rig.groups)).unwrap();
        heard("vg-0").await;
    }
}

/// What `introspect/` describes of an interface: each method with the types of what goes in and what comes out, and each
/// property with its type.
fn described(xml: &str, interface: &str) -> Vec<String> {
    let value = |line: &str, key: &str| {
        let rest = line.split_once(&format!("{key}=\""))?.1;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let start = format!("<interface name=\"{interface}\">");
    let body = xml.split_once(&start).expect(interface).1;
    let body = body.split_once("</interface>").unwrap().0;
    let mut found: Vec<String> = Vec::new();
    let lines = body.lines().map(str::trim);
    for line in lines.filter(|line| !line.starts_with("<annotation") && !line.starts_with("</")) {
        if line.starts_with("<method") {
            found.push(value(line, "name").unwrap());
        } else if line.starts_with("<arg") {
            let kind = value(line, "type").unwrap();
            let way = if value(line, "direction").as_deref() == Some("out") {
                "->"
            } else {
                ""
            };
            found.last_mut().unwrap().push_str(&format!(" {way}{kind}"));
        } else if line.starts_with("<property") {
            let kind = value(line, "type").unwrap();
            found.push(format!("{} is {kind}", value(line, "name").unwrap()));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn the_fake_has_the_interfaces_that_are_described() {
    let rig = Rig::new();
    rig.udisks
        .create_plain_volume("vg-0", "one", GIB)
        .await
        .unwrap();
    rig.udisks.published("vg-0", "one").await.unwrap();
    let connection = rig.udisks.connection("udisks2").await.unwrap();
    let group = path::object("vg-0", None).unwrap();
    let volume = path::object("vg-0", Some("one")).unwrap();
    for (path, interface, xml) in [
        (
            "/org/freedesktop/UDisks2/Manager",
            "org.freedesktop.UDisks2.Manager",
            include_str!("../../introspect/org.freedesktop.UDisks2.Manager.xml"),
        ),
        (
            group.as_str(),
            "org.freedesktop.UDisks2.VolumeGroup",
            include_str!("../../introspect/org.freedesktop.UDisks2.VolumeGroup.xml"),
        ),
        (
            volume.as_str(),
            "org.freedesktop.UDisks2.LogicalVolume",
            include_str!("../../introspect/org.freedesktop.UDisks2.LogicalVolume.xml"),
        ),
    ] {
        let introspectable = Some("org.freedesktop.DBus.Introspectable");
        let answer = connection
            .call_method(Some(SERVICE), path, introspectable, "Introspect", &())
            .await
            .unwrap();
        let served: String = answer.body().deserialize().unwrap();
        assert_eq!(
            described(&served, interface),
            described(xml, interface),
            "{interface}"
        );
    }
}
