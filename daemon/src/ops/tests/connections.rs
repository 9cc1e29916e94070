//! Who is let in: never more than the record says once an operation is over, whatever failed on the way.

use super::fixture::{Fixture, connector, fixture, refused};
use crate::model::attachment::AttachMode;
use crate::model::id::{AttachmentId, VolumeId};
use crate::model::operation::Phase;
use crate::model::status::VolumeStatus;
use crate::ops::{
    attach_volume, complete_attachment, create_attachment, delete_attachment, delete_volume,
    detach_volume, initialize_connection, recover, terminate_connection, update_attachment,
};
use std::sync::atomic::Ordering;

const HOST_A: &str = "iqn.a";
const HOST_B: &str = "iqn.b";

async fn reserve(at: &Fixture, volume_id: VolumeId, instance: &str) -> AttachmentId {
    let request = create_attachment::Request {
        volume_id,
        instance_uuid: Some(instance.to_owned()),
        connector: None,
        mountpoint: None,
        mode: AttachMode::ReadWrite,
    };
    let reserved = create_attachment::begin(&at.ctx, &at.caller, request).await;
    reserved.unwrap().id
}

async fn connect(at: &Fixture, id: AttachmentId, host: &str) -> Result<(), crate::error::Error> {
    update_attachment::begin(&at.ctx, &at.caller, id, connector(host), None).await?;
    Ok(())
}

async fn initialize(at: &Fixture, id: VolumeId, host: &str) -> Result<(), crate::error::Error> {
    initialize_connection::begin(&at.ctx, &at.caller, id, connector(host)).await?;
    Ok(())
}

/// Until the target is told again what it did not hear.
async fn target_is_back(at: &Fixture) {
    at.target.allow_fails.store(false, Ordering::SeqCst);
    at.target.deny_fails.store(false, Ordering::SeqCst);
    assert!(at.ctx.gate.take_doubt());
    recover::exports_match_the_record(&at.ctx).await.unwrap();
}

#[tokio::test]
async fn a_repeated_connect_that_fails_takes_nothing_from_the_first() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    initialize(&at, volume, HOST_A).await.unwrap();
    at.target.allow_fails.store(true, Ordering::SeqCst);
    initialize(&at, volume, HOST_A).await.unwrap_err();
    assert_eq!(at.target.lets_in(volume), Some(vec![HOST_A.to_owned()]));
    // One of another host is taken back.
    initialize(&at, volume, HOST_B).await.unwrap_err();
    assert_eq!(at.target.lets_in(volume), Some(vec![HOST_A.to_owned()]));
    // And the first can still be disconnected.
    let gone = terminate_connection::begin(&at.ctx, &at.caller, volume, connector(HOST_A));
    gone.await.unwrap();
    assert_eq!(at.target.lets_in(volume), None);
}

#[tokio::test]
async fn an_attachment_has_one_host() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    let attachment = reserve(&at, volume, "i").await;
    connect(&at, attachment, HOST_A).await.unwrap();
    refused(connect(&at, attachment, HOST_B).await, HOST_A);
    connect(&at, attachment, HOST_A).await.unwrap();
    delete_attachment::begin(&at.ctx, &at.caller, attachment)
        .await
        .unwrap();
    assert_eq!(at.target.lets_in(volume), None);
    assert_eq!(at.status(volume).await, Some("available"));
}

#[tokio::test]
async fn a_host_that_a_legacy_call_let_in_keeps_others_out() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    initialize(&at, volume, HOST_A).await.unwrap();
    let attachment = reserve(&at, volume, "i").await;
    refused(connect(&at, attachment, HOST_B).await, HOST_A);
    connect(&at, attachment, HOST_A).await.unwrap();
}

#[tokio::test]
async fn a_live_migration_has_two_hosts_and_then_one() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    let (from, to) = (
        reserve(&at, volume, "i").await,
        reserve(&at, volume, "i").await,
    );
    connect(&at, from, HOST_A).await.unwrap();
    connect(&at, to, HOST_B).await.unwrap();
    complete_attachment::begin(&at.ctx, &at.caller, to)
        .await
        .unwrap();
    delete_attachment::begin(&at.ctx, &at.caller, from)
        .await
        .unwrap();
    assert_eq!(at.target.lets_in(volume), Some(vec![HOST_B.to_owned()]));
    assert_eq!(at.status(volume).await, Some("in-use"));
}

#[tokio::test]
async fn a_detach_shuts_out_whoever_is_still_let_in() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    // By the new calls, and detached by the old one.
    let attachment = reserve(&at, volume, "i").await;
    connect(&at, attachment, HOST_A).await.unwrap();
    complete_attachment::begin(&at.ctx, &at.caller, attachment)
        .await
        .unwrap();
    detach_volume::begin(&at.ctx, &at.caller, volume, None)
        .await
        .unwrap();
    assert_eq!(at.target.lets_in(volume), None);
    assert_eq!(at.status(volume).await, Some("available"));
    // By the old calls, and never disconnected.
    initialize(&at, volume, HOST_B).await.unwrap();
    let request = attach_volume::Request {
        instance_uuid: None,
        host_name: Some("b".to_owned()),
        mountpoint: None,
        mode: AttachMode::ReadWrite,
    };
    attach_volume::begin(&at.ctx, &at.caller, volume, request)
        .await
        .unwrap();
    detach_volume::begin(&at.ctx, &at.caller, volume, None)
        .await
        .unwrap();
    assert_eq!(at.target.lets_in(volume), None);
}

#[tokio::test]
async fn a_detach_of_one_of_two_leaves_the_other() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|volume| volume.multiattach = true).await.id;
    let (one, two) = (
        reserve(&at, volume, "i").await,
        reserve(&at, volume, "j").await,
    );
    connect(&at, one, HOST_A).await.unwrap();
    connect(&at, two, HOST_B).await.unwrap();
    for id in [one, two] {
        complete_attachment::begin(&at.ctx, &at.caller, id)
            .await
            .unwrap();
    }
    detach_volume::begin(&at.ctx, &at.caller, volume, Some(one))
        .await
        .unwrap();
    assert_eq!(at.target.lets_in(volume), Some(vec![HOST_B.to_owned()]));
    assert_eq!(at.status(volume).await, Some("in-use"));
}

#[tokio::test]
async fn what_the_target_did_not_hear_it_is_told_when_it_is_back() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    // A connect whose answer and whose undo were lost.
    at.target.allow_fails.store(true, Ordering::SeqCst);
    at.target.deny_fails.store(true, Ordering::SeqCst);
    let attachment = reserve(&at, volume, "i").await;
    connect(&at, attachment, HOST_A).await.unwrap_err();
    assert_eq!(at.target.lets_in(volume), Some(vec![HOST_A.to_owned()]));
    // Nobody else comes in meanwhile.
    let other = reserve(&at, volume, "j").await;
    refused(connect(&at, other, HOST_B).await, HOST_A);
    target_is_back(&at).await;
    assert_eq!(at.target.lets_in(volume), None);
    connect(&at, other, HOST_B).await.unwrap();
    // A disconnect that was lost.
    at.target.deny_fails.store(true, Ordering::SeqCst);
    delete_attachment::begin(&at.ctx, &at.caller, other)
        .await
        .unwrap_err();
    assert_eq!(at.status(volume).await, Some("in-use"));
    target_is_back(&at).await;
    assert_eq!(at.target.lets_in(volume), None);
}

#[tokio::test]
async fn recovery_shuts_out_whom_the_record_does_not_know() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    initialize(&at, volume, HOST_A).await.unwrap();
    at.target.lets_in_behind(volume, HOST_B);
    recover::exports_match_the_record(&at.ctx).await.unwrap();
    assert_eq!(at.target.lets_in(volume), Some(vec![HOST_A.to_owned()]));
}

#[tokio::test]
async fn recovery_does_not_export_what_an_operation_destroys() {
    let at = fixture().await;
    let volume = at.volume(|_| {}).await.id;
    at.works();
    initialize(&at, volume, HOST_A).await.unwrap();
    let delay = crate::driver::fake::Fault::Hang;
    at.driver
        .faults()
        .set(crate::driver::fake::Method::Wipe, delay);
    delete_volume::begin(&at.ctx, &at.caller, volume, false)
        .await
        .unwrap();
    let id = at.newest(&volume).await.id;
    at.until(id, |operation| operation.steps_done == 1).await;
    assert_eq!(at.target.lets_in(volume), None);
    recover::exports_match_the_record(&at.ctx).await.unwrap();
    assert_eq!(at.target.lets_in(volume), None);
    at.driver.faults().clear(crate::driver::fake::Method::Wipe);
    assert_eq!(at.over(&volume).await.phase, Phase::Done);
}

#[tokio::test]
async fn a_volume_that_was_never_placed_is_let_go_of_and_deleted() {
    let at = fixture().await;
    at.works();
    let unplaced = at.volume(|volume| {
        volume.host = None;
        volume.status = VolumeStatus::Error;
    });
    let volume = unplaced.await.id;
    let gone = terminate_connection::begin(&at.ctx, &at.caller, volume, connector(HOST_A));
    gone.await.unwrap();
    delete_volume::begin(&at.ctx, &at.caller, volume, false)
        .await
        .unwrap();
    at.over(&volume).await;
    assert_eq!(at.status(volume).await, None);
}
