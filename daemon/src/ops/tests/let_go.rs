//! A host that is still logged in when it is detached: by each policy.

use super::fixture::{Fixture, connector, fixture_with, refused};
use crate::error::Error;
use crate::model::attachment::AttachMode;
use crate::model::id::{AttachmentId, VolumeId};
use crate::ops::{
    DetachPolicy, create_attachment, delete_attachment, force_detach, initialize_connection,
    terminate_connection,
};
use std::sync::atomic::Ordering;
use std::time::Duration;

const HOST: &str = "iqn.a";

/// A volume that a host is attached to and logged in to.
async fn used(policy: DetachPolicy) -> (Fixture, VolumeId, AttachmentId) {
    let at = fixture_with(policy).await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    let attachment = attach(&at, volume).await;
    at.target.logs_in(volume, HOST, true);
    (at, volume, attachment)
}

async fn attach(at: &Fixture, volume_id: VolumeId) -> AttachmentId {
    let request = create_attachment::Request {
        volume_id,
        instance_uuid: Some("i".to_owned()),
        connector: Some(connector(HOST)),
        mountpoint: None,
        mode: AttachMode::ReadWrite,
    };
    let made = create_attachment::begin(&at.ctx, &at.caller, request).await;
    made.unwrap().id
}

async fn detach(at: &Fixture, id: AttachmentId) -> Result<(), Error> {
    let done = delete_attachment::begin(&at.ctx, &at.caller, id).await;
    done.map(|_| ())
}

#[tokio::test]
async fn it_is_cut_unless_the_policy_says_otherwise() {
    let (at, volume, attachment) = used(DetachPolicy::default()).await;
    detach(&at, attachment).await.unwrap();
    assert_eq!(at.target.lets_in(volume), None);
    assert_eq!(at.status(volume).await, Some("available"));
}

#[tokio::test]
async fn a_refusal_names_the_host_and_changes_nothing() {
    let (at, volume, attachment) = used(DetachPolicy::Refuse).await;
    let before = at.status(volume).await;
    refused(detach(&at, attachment).await, HOST);
    assert_eq!(at.target.lets_in(volume), Some(vec![HOST.to_owned()]));
    assert_eq!(at.status(volume).await, before);
    at.target.logs_in(volume, HOST, false);
    detach(&at, attachment).await.unwrap();
    assert_eq!(at.target.lets_in(volume), None);
}

#[tokio::test]
async fn cinders_legacy_call_heeds_it_too() {
    let at = fixture_with(DetachPolicy::Refuse).await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    let initialized = initialize_connection::begin(&at.ctx, &at.caller, volume, connector(HOST));
    initialized.await.unwrap();
    at.target.logs_in(volume, HOST, true);
    let terminate = || terminate_connection::begin(&at.ctx, &at.caller, volume, connector(HOST));
    refused(terminate().await, HOST);
    assert_eq!(at.target.lets_in(volume), Some(vec![HOST.to_owned()]));
    at.target.logs_in(volume, HOST, false);
    terminate().await.unwrap();
    assert_eq!(at.target.lets_in(volume), None);
}

#[tokio::test]
async fn a_host_that_keeps_another_attachment_keeps_its_session() {
    let (at, volume, attachment) = used(DetachPolicy::Refuse).await;
    let initialized = initialize_connection::begin(&at.ctx, &at.caller, volume, connector(HOST));
    initialized.await.unwrap();
    detach(&at, attachment).await.unwrap();
    assert_eq!(at.target.lets_in(volume), Some(vec![HOST.to_owned()]));
}

#[tokio::test]
async fn it_is_waited_for() {
    let (at, volume, attachment) = used(DetachPolicy::Wait(Duration::from_secs(20))).await;
    at.target.leave_when_seen.store(true, Ordering::SeqCst);
    detach(&at, attachment).await.unwrap();
    assert_eq!(at.target.lets_in(volume), None);
}

#[tokio::test]
async fn who_was_waited_for_in_vain_keeps_the_volume() {
    let (at, volume, attachment) = used(DetachPolicy::Wait(Duration::from_millis(10))).await;
    refused(detach(&at, attachment).await, HOST);
    assert_eq!(at.target.lets_in(volume), Some(vec![HOST.to_owned()]));
}

#[tokio::test]
async fn by_force_it_is_always_cut() {
    let (mut at, volume, attachment) = used(DetachPolicy::Refuse).await;
    at.caller.role = crate::model::caller::Role::Admin;
    let forced = force_detach::begin(&at.ctx, &at.caller, volume, Some(attachment), None);
    forced.await.unwrap();
    assert_eq!(at.target.lets_in(volume), None);
}
