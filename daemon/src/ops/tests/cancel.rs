//! Cancel at every instant: what cannot be taken back is not stopped, what was begun is cleared away.

use super::fixture::{Fixture, fixture};
use crate::driver::fake::{Fault, Method};
use crate::model::operation::Phase;
use crate::ops::{cancel, create_snapshot, delete_snapshot, delete_volume};
use std::time::Duration;

/// Long enough for the engine to look for a wish to cancel while the step is under way.
const A_WHILE: Duration = Duration::from_millis(1500);

async fn cancels_while(at: &Fixture, object: &impl ToString, method: Method) -> Phase {
    let id = at.newest(object).await.id;
    let is_taken = async {
        while at.driver.faults().get(method).is_some() {
            tokio::task::yield_now().await;
        }
    };
    let taken = tokio::time::timeout(Duration::from_secs(10), is_taken).await;
    taken.unwrap();
    cancel(&at.ctx, &at.caller, id).await.unwrap();
    at.over(object).await.phase
}

#[tokio::test]
async fn an_overwrite_that_has_begun_is_not_stopped() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await;
    let snapshot = at.snapshot(&at.caller, volume.id).await;

    let delay = Fault::Delay(A_WHILE);
    at.driver.faults().set_for(Method::Wipe, delay, 1);
    delete_snapshot::begin(&at.ctx, &at.caller, snapshot)
        .await
        .unwrap();
    let phase = cancels_while(&at, &snapshot, Method::Wipe).await;
    assert_eq!(phase, Phase::Done);
    assert_eq!(at.snapshot_status(snapshot).await, None);

    at.driver.faults().set_for(Method::Wipe, delay, 1);
    delete_volume::begin(&at.ctx, &at.caller, volume.id, false)
        .await
        .unwrap();
    let phase = cancels_while(&at, &volume.id, Method::Wipe).await;
    assert_eq!(phase, Phase::Done);
    assert_eq!(at.status(volume.id).await, None);
}

#[tokio::test]
async fn what_a_stopped_step_left_is_cleared_away() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await;
    let delay = Fault::Delay(A_WHILE);
    at.driver.faults().set_for(Method::Snapshot, delay, 1);
    // The first removal fails, so that it shows whether there was one.
    at.driver.faults().set_for(Method::Remove, Fault::Io, 1);
    let request = create_snapshot::Request {
        volume_id: volume.id,
        name: None,
        description: None,
        metadata: Default::default(),
        may_be_attached: false,
    };
    let snapshot = create_snapshot::begin(&at.ctx, &at.caller, request)
        .await
        .unwrap();
    let phase = cancels_while(&at, &snapshot.id, Method::Snapshot).await;
    assert_eq!(phase, Phase::Cancelled);
    assert_eq!(at.driver.faults().get(Method::Remove), None);
}
