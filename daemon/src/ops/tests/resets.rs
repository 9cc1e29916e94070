//! What an administrator says of a volume or a snapshot is true when the answer comes, or is refused with the reason.

use super::fixture::{Fixture, caller, connector, fixture, refused};
use crate::driver::fake::{Fault, Method};
use crate::model::attachment::AttachMode;
use crate::model::caller::{Caller, Role};
use crate::model::id::{AttachmentId, VolumeId};
use crate::model::operation::Phase;
use crate::model::status::{SnapshotStatus, VolumeStatus};
use crate::ops::reset_volume_status::{self, Request};
use crate::ops::{
    attach_volume, complete_attachment, create_attachment, delete_snapshot, delete_volume,
    force_detach, initialize_connection, reserve_volume, reset_snapshot_status, update_readonly,
};
use crate::store::attachments;
use crate::store::quotas::Resource;
use std::sync::atomic::Ordering;

const HOST_A: &str = "iqn.a";
const HOST_B: &str = "iqn.b";

fn admin() -> Caller {
    caller("ops", Role::Admin)
}

fn to(status: VolumeStatus) -> Request {
    Request {
        status: Some(status),
        is_attached: None,
    }
}

const DETACHED: Request = Request {
    status: None,
    is_attached: Some(false),
};

async fn reset(
    at: &Fixture,
    volume: VolumeId,
    request: Request,
) -> Result<(), crate::error::Error> {
    reset_volume_status::begin(&at.ctx, &admin(), volume, request).await
}

fn attaching(volume_id: VolumeId, host: &str, mode: AttachMode) -> create_attachment::Request {
    create_attachment::Request {
        volume_id,
        instance_uuid: Some(host.to_owned()),
        connector: Some(connector(host)),
        mountpoint: None,
        mode,
    }
}

async fn attached(at: &Fixture, volume: VolumeId, host: &str) -> AttachmentId {
    let request = attaching(volume, host, AttachMode::ReadWrite);
    let made = create_attachment::begin(&at.ctx, &at.caller, request).await;
    let id = made.unwrap().id;
    complete_attachment::begin(&at.ctx, &at.caller, id)
        .await
        .unwrap();
    id
}

#[tokio::test]
async fn only_administrators_may() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    let snapshot = at.snapshot(&at.caller, volume).await;
    let (ctx, member) = (&at.ctx, &at.caller);
    let denied = "Policy doesn't allow";
    let error = to(VolumeStatus::Error);
    refused(
        reset_volume_status::begin(ctx, member, volume, error).await,
        denied,
    );
    refused(
        reset_snapshot_status::begin(ctx, member, snapshot, SnapshotStatus::Error).await,
        denied,
    );
    refused(
        force_detach::begin(ctx, member, volume, None, None).await,
        denied,
    );
    refused(
        delete_volume::begin_forced(ctx, member, volume, false).await,
        denied,
    );
    refused(
        delete_snapshot::begin_forced(ctx, member, snapshot).await,
        denied,
    );
    // What is not theirs does not even exist.
    let stranger = caller("q", Role::Member);
    let unseen = reset_volume_status::begin(ctx, &stranger, volume, error).await;
    refused(unseen, "could not be found");
    assert_eq!(at.status(volume).await, Some("available"));
}

#[tokio::test]
async fn a_volume_at_rest_is_what_is_said() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    for status in [
        VolumeStatus::Error,
        VolumeStatus::Maintenance,
        VolumeStatus::ErrorDeleting,
        VolumeStatus::ErrorExtending,
        VolumeStatus::Attaching,
        VolumeStatus::Available,
        VolumeStatus::Available,
    ] {
        reset(&at, volume, to(status)).await.unwrap();
        assert_eq!(at.status(volume).await, Some(status.as_str()));
    }
}

#[tokio::test]
async fn a_status_of_an_operation_cannot_be_asked_for() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    for status in VolumeStatus::ALL {
        let answer = reset(&at, volume, to(*status)).await;
        let now = at.status(volume).await.unwrap();
        match answer {
            Ok(()) => assert_eq!(now, status.as_str()),
            Err(_) => assert_ne!(now, status.as_str()),
        }
        let during = crate::model::status::volume_only_during();
        assert!(
            !during.contains(&VolumeStatus::parse(now).unwrap()),
            "{now}"
        );
        reset(&at, volume, to(VolumeStatus::Available))
            .await
            .unwrap();
    }
    refused(
        reset(&at, volume, to(VolumeStatus::Creating)).await,
        "an operation alone",
    );
    refused(
        reset(&at, volume, to(VolumeStatus::AwaitingTransfer)).await,
        "only an offer",
    );
}

#[tokio::test]
async fn what_attachments_say_is_not_talked_over() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    refused(
        reset(&at, volume, to(VolumeStatus::InUse)).await,
        "it has no attachments",
    );
    let id = attached(&at, volume, HOST_A).await;
    for lie in [
        VolumeStatus::Available,
        VolumeStatus::Reserved,
        VolumeStatus::Attaching,
    ] {
        refused(reset(&at, volume, to(lie)).await, HOST_A);
        refused(reset(&at, volume, to(lie)).await, &id.to_string());
    }
    // An error is nobody's lie, and the host keeps what it has.
    reset(&at, volume, to(VolumeStatus::Error)).await.unwrap();
    assert_eq!(at.target.lets_in(volume), Some(vec![HOST_A.to_owned()]));
    reset(&at, volume, to(VolumeStatus::InUse)).await.unwrap();
    let so = Request {
        status: None,
        is_attached: Some(true),
    };
    reset(&at, volume, so).await.unwrap();
    assert_eq!(at.status(volume).await, Some("in-use"));
    // A host that a legacy call let in counts, too.
    let other = at.volume(|_| {}).await.id;
    initialize_connection::begin(&at.ctx, &at.caller, other, connector(HOST_B))
        .await
        .unwrap();
    refused(reset(&at, other, to(VolumeStatus::Available)).await, HOST_B);
    refused(reset(&at, other, so).await, "an attachment alone");
}

#[tokio::test]
async fn detached_means_that_every_host_is_out() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|volume| volume.multiattach = true).await.id;
    attached(&at, volume, HOST_A).await;
    attached(&at, volume, HOST_B).await;
    let both = Request {
        status: Some(VolumeStatus::Available),
        is_attached: Some(false),
    };
    let lie = Request {
        status: Some(VolumeStatus::InUse),
        is_attached: Some(false),
    };
    refused(reset(&at, volume, lie).await, "detached at once");
    reset(&at, volume, both).await.unwrap();
    assert_eq!(at.target.lets_in(volume), None);
    assert_eq!(at.status(volume).await, Some("available"));
    let held = attachments::of_volume(&at.ctx.store, volume).await.unwrap();
    assert_eq!(held, []);
    // Who is in no good state stays in it, without its hosts.
    let other = at.volume(|_| {}).await.id;
    attached(&at, other, HOST_A).await;
    reset(&at, other, to(VolumeStatus::ErrorExtending))
        .await
        .unwrap();
    reset(&at, other, DETACHED).await.unwrap();
    assert_eq!(at.target.lets_in(other), None);
    assert_eq!(at.status(other).await, Some("error_extending"));
}

#[tokio::test]
async fn a_host_that_cannot_be_shut_out_keeps_the_volume() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    let id = attached(&at, volume, HOST_A).await;
    at.target.deny_fails.store(true, Ordering::SeqCst);
    reset(&at, volume, DETACHED).await.unwrap_err();
    assert_eq!(at.status(volume).await, Some("in-use"));
    let held = attachments::get(&at.ctx.store, id).await.unwrap().unwrap();
    assert_eq!(held.status.as_str(), "error_detaching");
    refused(
        delete_volume::begin_forced(&at.ctx, &admin(), volume, false).await,
        "is attached",
    );
    at.target.deny_fails.store(false, Ordering::SeqCst);
    reset(&at, volume, DETACHED).await.unwrap();
    assert_eq!(at.target.lets_in(volume), None);
    assert_eq!(at.status(volume).await, Some("available"));
}

#[tokio::test]
async fn a_volume_without_bytes_is_never_available() {
    let at = fixture().await;
    at.works();
    let unplaced = at.volume(|volume| {
        volume.host = None;
        volume.status = VolumeStatus::Error;
    });
    let volume = unplaced.await.id;
    refused(
        reset(&at, volume, to(VolumeStatus::Available)).await,
        "never placed",
    );
    reset(&at, volume, to(VolumeStatus::ErrorDeleting))
        .await
        .unwrap();
    reset(&at, volume, DETACHED).await.unwrap();
    assert_eq!(at.status(volume).await, Some("error_deleting"));
}

#[tokio::test]
async fn a_live_operation_decides() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    at.driver.faults().set(Method::Wipe, Fault::Hang);
    delete_volume::begin(&at.ctx, &at.caller, volume, false)
        .await
        .unwrap();
    let deleting = at.newest(&volume).await.id.to_string();
    refused(reset(&at, volume, to(VolumeStatus::Error)).await, &deleting);
    refused(
        delete_volume::begin_forced(&at.ctx, &admin(), volume, false).await,
        &deleting,
    );
    at.driver.faults().clear(Method::Wipe);
    assert_eq!(at.over(&volume).await.phase, Phase::Done);
    assert_eq!(at.status(volume).await, None);
}

#[tokio::test]
async fn force_delete_begins_anywhere_and_keeps_the_other_rules() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    let snapshot = at.snapshot(&at.caller, volume).await;
    reset(&at, volume, to(VolumeStatus::Maintenance))
        .await
        .unwrap();
    let forced = delete_volume::begin_forced(&at.ctx, &admin(), volume, false).await;
    refused(forced, "1 snapshot");
    refused(
        delete_volume::begin(&at.ctx, &admin(), volume, false).await,
        "maintenance",
    );
    delete_snapshot::begin_forced(&at.ctx, &admin(), snapshot)
        .await
        .unwrap();
    at.over(&snapshot).await;
    delete_volume::begin_forced(&at.ctx, &admin(), volume, false)
        .await
        .unwrap();
    assert_eq!(at.over(&volume).await.phase, Phase::Done);
    assert_eq!(at.status(volume).await, None);
    for resource in [Resource::Volumes, Resource::Snapshots, Resource::Gigabytes] {
        assert_eq!(at.used("p", resource).await, 0, "{resource:?}");
    }
}

#[tokio::test]
async fn force_detach_ends_what_nobody_else_can() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    let id = attached(&at, volume, HOST_A).await;
    reset(&at, volume, to(VolumeStatus::Maintenance))
        .await
        .unwrap();
    let (nobody, who) = (Some(AttachmentId::random()), admin());
    let stranger = force_detach::begin(&at.ctx, &who, volume, nobody, None);
    refused(stranger.await, "VolumeAttachmentNotFound");
    force_detach::begin(&at.ctx, &admin(), volume, Some(id), None)
        .await
        .unwrap();
    assert_eq!(at.target.lets_in(volume), None);
    assert_eq!(at.status(volume).await, Some("maintenance"));
    // Without an attachment: the hold goes, and whom a legacy call let in.
    let other = at.volume(|_| {}).await.id;
    reserve_volume::begin(&at.ctx, &at.caller, other)
        .await
        .unwrap();
    initialize_connection::begin(&at.ctx, &at.caller, other, connector(HOST_B))
        .await
        .unwrap();
    let host = Some(HOST_B.to_owned());
    force_detach::begin(&at.ctx, &admin(), other, None, host)
        .await
        .unwrap();
    assert_eq!(at.target.lets_in(other), None);
    assert_eq!(at.status(other).await, Some("available"));
}

#[tokio::test]
async fn hosts_of_a_readonly_volume_cannot_write() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    let legacy = |host: &'static str| {
        initialize_connection::begin(&at.ctx, &at.caller, volume, connector(host))
    };
    legacy(HOST_A).await.unwrap();
    refused(
        update_readonly::begin(&at.ctx, &at.caller, volume, true).await,
        "a host is let in",
    );
    force_detach::begin(&at.ctx, &admin(), volume, None, None)
        .await
        .unwrap();
    update_readonly::begin(&at.ctx, &at.caller, volume, true)
        .await
        .unwrap();
    assert_eq!(legacy(HOST_A).await.unwrap().mode, AttachMode::ReadOnly);
    assert!(at.target.lets_read_only(volume, HOST_A));
    let request = attach_volume::Request {
        instance_uuid: None,
        host_name: Some("a".to_owned()),
        mountpoint: None,
        mode: AttachMode::ReadWrite,
    };
    refused(
        attach_volume::begin(&at.ctx, &at.caller, volume, request).await,
        "'rw'",
    );
    force_detach::begin(&at.ctx, &admin(), volume, None, None)
        .await
        .unwrap();
    // As in Cinder the flag counts for more than the mode that is asked.
    let request = attaching(volume, HOST_B, AttachMode::ReadWrite);
    let made = create_attachment::begin(&at.ctx, &at.caller, request).await;
    assert_eq!(made.unwrap().mode, AttachMode::ReadOnly);
    assert!(at.target.lets_read_only(volume, HOST_B));
    refused(
        update_readonly::begin(&at.ctx, &at.caller, volume, false).await,
        "must be available",
    );
}

#[tokio::test]
async fn a_snapshot_at_rest_is_what_is_said() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    let snapshot = at.snapshot(&at.caller, volume).await;
    for status in SnapshotStatus::ALL {
        let answer = reset_snapshot_status::begin(&at.ctx, &admin(), snapshot, *status).await;
        let now = at.snapshot_status(snapshot).await.unwrap();
        let during = crate::model::status::snapshot_only_during();
        let rests = ["available", "error", "error_deleting"].contains(&now);
        assert!(
            rests && !during.iter().any(|one| one.as_str() == now),
            "{now}"
        );
        assert_eq!(answer.is_ok(), now == status.as_str());
    }
    at.driver.faults().set(Method::Wipe, Fault::Hang);
    delete_snapshot::begin_forced(&at.ctx, &admin(), snapshot)
        .await
        .unwrap();
    let held = at.newest(&snapshot).await.id.to_string();
    let answer =
        reset_snapshot_status::begin(&at.ctx, &admin(), snapshot, SnapshotStatus::Error).await;
    refused(answer, &held);
    at.driver.faults().clear(Method::Wipe);
    at.over(&snapshot).await;
    assert_eq!(at.snapshot_status(snapshot).await, None);
}

#[tokio::test]
async fn a_snapshot_without_bytes_is_never_available() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    at.driver.faults().set(Method::Snapshot, Fault::Io);
    let snapshot = at.snapshot(&at.caller, volume).await;
    at.driver.faults().clear(Method::Snapshot);
    assert_eq!(at.snapshot_status(snapshot).await, Some("error"));
    let available = SnapshotStatus::Available;
    let answer = reset_snapshot_status::begin(&at.ctx, &admin(), snapshot, available).await;
    refused(answer, "not there");
    assert_eq!(at.snapshot_status(snapshot).await, Some("error"));
}
