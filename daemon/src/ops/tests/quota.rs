//! What was taken from a project's quota comes back to that project.

use super::fixture::{caller, fixture};
use crate::model::caller::Role;
use crate::model::operation::Phase;
use crate::ops::{delete_snapshot, delete_volume};
use crate::store::quotas::Resource;

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
