//! How Ashlar is, for whoever watches it from outside: whether the record answers, and the gauges of the meters.

use super::{Ctx, Lane, SCHEDULER_QUEUE, backup_queue, look_queue, volume_queue};
use crate::error::Error;
use crate::meter;
use crate::model::operation::Phase;
use crate::model::service::Binary;
use crate::store::{StoreError, counts, pools, services};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A record or target that does not answer within this is not well; who watches must not wait for it for long.
const ANSWER: Duration = Duration::from_secs(3);
/// How often times are folded into their histograms, so that they do not pile up when nobody reads them.
const FOLD: Duration = Duration::from_secs(5);

/// Whether requests can be answered: the record is read, and takes writes. The error says what cannot.
pub async fn health(ctx: &Ctx) -> Result<(), Error> {
    if ctx.store.is_read_only() {
        return Err(not_well(
            "the disk under it is full: reads go on, changes are refused",
        ));
    }
    match tokio::time::timeout(ANSWER, counts::answer(&ctx.store)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            tracing::error!(
                error = crate::error::chain(&error),
                "the record is not well"
            );
            Err(not_well("it cannot be read; the log says why"))
        }
        Err(_elapsed) => Err(not_well("it did not answer in time")),
    }
}

fn not_well(why: &str) -> Error {
    Error::Unavailable {
        what: "The record",
        why: why.to_owned(),
    }
}

/// Sets every gauge; those whose source does not answer keep what they had, and another one says so.
pub async fn measure(ctx: &Ctx) {
    let read = tokio::time::timeout(ANSWER, of_the_record(ctx)).await;
    let is_up = matches!(read, Ok(Ok(())));
    if let Ok(Err(error)) = &read {
        tracing::warn!(
            error = crate::error::chain(error),
            "the gauges could not be read"
        );
    }
    meter::record_is(is_up, is_up && !ctx.store.is_read_only());
    let Some(target) = ctx.target.as_deref() else {
        return;
    };
    let asked = async { tokio::try_join!(target.exports(), target.sessions()) };
    let serves = match tokio::time::timeout(ANSWER, asked).await {
        Ok(Ok((exports, sessions))) => Some((exports.len(), sessions.len())),
        Ok(Err(_)) | Err(_) => None,
    };
    meter::target(serves);
}

async fn of_the_record(ctx: &Ctx) -> Result<(), StoreError> {
    let counts = counts::count(&ctx.store).await?;
    for (status, count) in counts.volumes {
        meter::volumes(status, count);
    }
    let services = services::list(&ctx.store).await?;
    let of_volumes = services.iter().filter(|one| one.binary == Binary::Volume);
    let lanes = of_volumes.flat_map(|one| Lane::ALL.map(|lane| volume_queue(&one.host, lane)));
    let of_backups = services.iter().filter(|one| one.binary == Binary::Backup);
    let of_backups = of_backups.flat_map(|one| [backup_queue(&one.host), look_queue(&one.host)]);
    let lanes = lanes.chain(of_backups);
    // All of them, so that an empty queue is a 0 and not the last number it had.
    for queue in std::iter::once(SCHEDULER_QUEUE.to_owned()).chain(lanes) {
        for phase in [Phase::Queued, Phase::Running, Phase::Undoing] {
            let mut there = counts.operations.iter();
            let there = there.find(|(known, is, _)| *known == queue && *is == phase);
            meter::queued(&queue, phase, there.map_or(0, |(_, _, count)| *count));
        }
    }
    for service in &services {
        meter::service(service);
    }
    for pool in pools::list(&ctx.store).await? {
        meter::pool(&pool);
    }
    Ok(())
}

/// Folds what was timed until `shutdown`.
pub async fn keep_folding(shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(FOLD) => meter::fold(),
            () = shutdown.cancelled() => return,
        }
    }
}
