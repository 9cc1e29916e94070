//! An operation that fails leaves a message, in the same commit; one that is cancelled does not.

use super::fixture::{Fixture, fixture};
use crate::model::message::Message;
use crate::model::operation::Phase;
use crate::model::service::Binary;
use crate::model::size::Gib;
use crate::model::time::Time;
use crate::ops::{create_volume, heartbeat, journal, report_pools, services};
use crate::store::list::ListRequest;
use crate::store::{messages, pools};
use std::collections::BTreeMap;

async fn all(at: &Fixture) -> Vec<Message> {
    let request = ListRequest {
        limit: 10,
        ..ListRequest::default()
    };
    messages::list(&at.ctx.store, &request).await.unwrap()
}

fn request(size_gib: i64) -> create_volume::Request {
    create_volume::Request {
        size_gib: Gib::new(size_gib),
        name: None,
        description: None,
        volume_type: Some("t".to_owned()),
        availability_zone: None,
        metadata: BTreeMap::new(),
        from: create_volume::From::Nothing,
    }
}

/// What a process with the roles scheduler and volume says of itself at its start.
async fn is_there(at: &Fixture) {
    let runs = [
        (Binary::Scheduler, "h".to_owned()),
        (Binary::Volume, "h@b".to_owned()),
    ];
    heartbeat::beat(&at.ctx, &runs).await;
    report_pools::report(&at.ctx).await;
}

#[tokio::test]
async fn a_volume_that_no_pool_takes_says_which_test_failed_by_how_much() {
    let at = fixture().await;
    is_there(&at).await;
    let admin = super::fixture::caller("ops", crate::model::caller::Role::Admin);
    let service = ("cinder-volume", "h@b");
    services::disable(&at.ctx, &admin, service.0, service.1, Some("disk change"))
        .await
        .unwrap();
    at.works();
    let volume = create_volume::begin(&at.ctx, &at.caller, request(3))
        .await
        .unwrap();
    assert_eq!(at.over(&volume.id).await.phase, Phase::Failed);
    assert_eq!(at.status(volume.id).await, Some("error"));
    let found = all(&at).await;
    let [message] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(message.event_id, "VOLUME_VOLUME_001_003");
    assert_eq!(message.resource_uuid, volume.id.to_string());
    assert_eq!(
        (message.project_id.as_str(), message.request_id.as_str()),
        ("p", "req-1")
    );
    assert_eq!(
        message.user_message,
        "schedule allocate volume:Could not find any available weighted backend. No pool can take a volume of 3 GiB: \
         h@b#pool is of the service h@b, which is disabled (disk change)."
    );
    let kept_s = message.guaranteed_until.seconds_since(&message.created_at);
    assert!((kept_s - 30.0 * 24.0 * 3600.0).abs() < 5.0);

    services::enable(&at.ctx, &admin, service.0, service.1)
        .await
        .unwrap();
    let volume = create_volume::begin(&at.ctx, &at.caller, request(3))
        .await
        .unwrap();
    assert_eq!(at.over(&volume.id).await.phase, Phase::Done);
    assert_eq!(all(&at).await.len(), 1, "what went well leaves no message");
}

#[tokio::test]
async fn who_cancels_is_told_nothing() {
    let at = fixture().await;
    let volume = create_volume::begin(&at.ctx, &at.caller, request(1))
        .await
        .unwrap();
    let id = at.newest(&volume.id).await.id;
    journal::cancel(&at.ctx, &at.caller, id).await.unwrap();
    at.works();
    assert_eq!(at.over(&volume.id).await.phase, Phase::Cancelled);
    assert_eq!(all(&at).await, []);
}

#[tokio::test]
async fn a_beat_keeps_a_service_up_and_its_id() {
    let at = fixture().await;
    is_there(&at).await;
    let before = crate::store::services::list(&at.ctx.store).await.unwrap();
    is_there(&at).await;
    let after = crate::store::services::list(&at.ctx.store).await.unwrap();
    assert_eq!(before.len(), 2);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.id, after.id);
        assert!(after.is_up && after.heard_at >= before.heard_at);
        assert_eq!(before.created_at, after.created_at);
    }
    let pool = pools::list(&at.ctx.store).await.unwrap().remove(0);
    let protocol = pool.report.capabilities.get("storage_protocol");
    assert_eq!(protocol.map(String::as_str), Some("iSCSI"));
    assert_eq!(pool.service.map(|service| service.id), Some(after[1].id));
    assert!(pool.reported_at <= Time::now());
}
