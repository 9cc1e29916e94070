//! What was taken from a project's quota comes back to that project.

use super::fixture::{Fixture, caller, fixture, refused};
use crate::model::caller::Role;
use crate::model::operation::{Phase, Verb};
use crate::model::size::Gib;
use crate::model::time::Time;
use crate::ops::begin::Beginning;
use crate::ops::{SCHEDULER_QUEUE, delete_snapshot, delete_volume, extend_volume, report_pools};
use crate::store::quotas::{self, Resource, recorded};
use crate::store::{Batch, Sql, volumes};

#[tokio::test]
async fn a_cascade_gives_everybody_back_what_is_theirs() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await;
    at.snapshot(&at.caller, volume.id).await;
    at.snapshot(&caller("ops", Role::Admin), volume.id).await;
    assert_eq!(at.used("p", Resource::Gigabytes).await, 2);
    assert_eq!(at.used("ops", Resource::Gigabytes).await, 1);

    delete_volume::begin(&at.ctx, &at.caller, volume.id, true)
        .await
        .unwrap();
    assert_eq!(at.over(&volume.id).await.phase, Phase::Done);
    for project in ["p", "ops"] {
        for resource in [Resource::Volumes, Resource::Snapshots, Resource::Gigabytes] {
            assert_eq!(
                at.used(project, resource).await,
                0,
                "{project} {resource:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_snapshot_is_deleted_by_who_owns_it_whoever_owns_its_volume() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await;
    let snapshot = at.snapshot(&caller("q", Role::Admin), volume.id).await;
    let owner = caller("q", Role::Member);
    delete_snapshot::begin(&at.ctx, &owner, snapshot)
        .await
        .unwrap();
    at.over(&snapshot).await;
    assert_eq!(at.used("q", Resource::Gigabytes).await, 0);
    assert_eq!(at.snapshot_status(snapshot).await, None);
}

#[tokio::test]
async fn nothing_is_reckoned_from_a_size_that_is_no_more() {
    let at = fixture().await;
    let volume = at.volume(|_| {}).await;
    let mut grown = Batch::new();
    let id = volume.id.to_string();
    let values = vec![id.into(), 2.into(), Time::now().as_str().into()];
    grown.add(volumes::SET_SIZE, values);
    at.ctx.store.write(grown).await.unwrap();
    let mut beginning = Beginning::new(&at.ctx, &at.caller, Verb::DeleteVolume, &volume.id);
    beginning.moves_volume(&volume);
    beginning.needs_size_as_read(&volume);
    let begun = beginning.commit(SCHEDULER_QUEUE.to_owned()).await;
    refused(begun, "changed meanwhile");
    assert_eq!(at.status(volume.id).await, Some("available"));
}

/// What a project's quota counts of the fixture's volume type.
async fn used_of_type(at: &Fixture, project: &str, resource: Resource) -> i64 {
    let usage = quotas::usage(&at.ctx.store, project).await.unwrap();
    let name = recorded(resource, Some(at.volume_type.id));
    usage.get(&name).copied().unwrap_or(0)
}

#[tokio::test]
async fn what_is_counted_by_type_is_counted_back() {
    let at = fixture().await;
    report_pools::report(&at.ctx).await;
    at.works();
    let volume = at.volume(|_| {}).await;
    let kept = at.snapshot(&at.caller, volume.id).await;
    at.snapshot(&caller("ops", Role::Admin), volume.id).await;
    let size = Gib::new(3).unwrap();
    extend_volume::begin(&at.ctx, &at.caller, volume.id, size, true)
        .await
        .unwrap();
    assert_eq!(at.over(&volume.id).await.phase, Phase::Done);
    let both = async |project: &str, resource: Resource| {
        let of_type = used_of_type(&at, project, resource).await;
        assert_eq!(at.used(project, resource).await, of_type, "{resource:?}");
        of_type
    };
    assert_eq!(both("p", Resource::Gigabytes).await, 4);
    assert_eq!(both("ops", Resource::Snapshots).await, 1);
    delete_snapshot::begin(&at.ctx, &at.caller, kept)
        .await
        .unwrap();
    at.over(&kept).await;
    assert_eq!(both("p", Resource::Gigabytes).await, 3);
    assert_eq!(both("p", Resource::Snapshots).await, 0);
    delete_volume::begin(&at.ctx, &at.caller, volume.id, true)
        .await
        .unwrap();
    at.over(&volume.id).await;
    for project in ["p", "ops"] {
        for resource in Resource::BY_TYPE {
            assert_eq!(both(project, resource).await, 0, "{project} {resource:?}");
        }
    }
}

#[tokio::test]
async fn an_extend_from_before_types_were_counted_is_counted_when_it_ends() {
    const FORGET: Sql = Sql {
        name: "test.forget",
        text: "UPDATE operations SET input = REPLACE(input, '\"is_counted_by_type\":true', '\"x\":0') WHERE object_id = $1",
    };
    for phase in [Phase::Done, Phase::Cancelled] {
        let at = fixture().await;
        report_pools::report(&at.ctx).await;
        let volume = at.volume(|_| {}).await;
        let size = Gib::new(3).unwrap();
        extend_volume::begin(&at.ctx, &at.caller, volume.id, size, true)
            .await
            .unwrap();
        // As the migration finds it: the project's counter has grown, the volume not yet.
        let mut older = Batch::new();
        older.add(FORGET, vec![volume.id.to_string().into()]);
        let of = quotas::Of::Volume(volume.id);
        quotas::give_back_of_type(&mut older, "p", of, Resource::Gigabytes, 2);
        at.ctx.store.write(older).await.unwrap();
        if phase == Phase::Cancelled {
            let id = at.newest(&volume.id).await.id;
            crate::ops::cancel(&at.ctx, &at.caller, id).await.unwrap();
        }
        at.works();
        assert_eq!(at.over(&volume.id).await.phase, phase);
        let wanted = if phase == Phase::Done { 3 } else { 1 };
        assert_eq!(at.used("p", Resource::Gigabytes).await, wanted);
        assert_eq!(used_of_type(&at, "p", Resource::Gigabytes).await, wanted);
    }
}
