//! The volume service's report: what each pool holds and can do, written to the record for the scheduler.

use super::Ctx;
use crate::driver::Driver;
use crate::error::chain;
use crate::store::{Batch, pools};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// How often pools are reported; a sixth of the time after which an old report counts as down.
const INTERVAL: Duration = Duration::from_secs(10);
/// A change is rarely alone: so long after the first of them one report tells of all.
const SETTLE: Duration = Duration::from_secs(1);
/// And no more often than this, however much changes.
const INTERVAL_MIN: Duration = Duration::from_secs(5);
/// How long a driver may take to answer: LVM's report waits for its lock, so for whatever is under way in the group.
const ANSWER: Duration = Duration::from_secs(20);

/// How hosts reach what lies in any pool, for types that ask for it: no driver has a way of its own.
const PROTOCOL: &str = "iSCSI";

/// Every backend reports once, each on its own.
pub async fn report(ctx: &Ctx) {
    let all = ctx.drivers.iter();
    join_all(all.map(|(backend, driver)| report_of(ctx, backend, driver.as_ref()))).await;
}

/// One that fails or hangs is logged and left out, so that its pools grow old and are not used.
async fn report_of(ctx: &Ctx, backend: &str, driver: &dyn Driver) {
    let reports = match timeout(ANSWER, driver.stats()).await {
        Ok(Ok(reports)) => reports,
        Ok(Err(error)) => {
            return tracing::error!(
                backend,
                error = chain(&error),
                "the backend does not report"
            );
        }
        Err(_elapsed) => {
            return tracing::error!(
                backend,
                "the backend did not report within {} s",
                ANSWER.as_secs()
            );
        }
    };
    let mut batch = Batch::new();
    for mut report in reports {
        let protocol = report.capabilities.entry("storage_protocol".to_owned());
        protocol.or_insert_with(|| PROTOCOL.to_owned());
        let address = format!("{}@{backend}#{}", ctx.host, report.pool);
        let values = pools::report_values(&address, &ctx.availability_zone, &report);
        batch.add(pools::REPORT, values);
    }
    if let Err(error) = ctx.store.write(batch).await {
        tracing::error!(
            backend,
            error = chain(&error),
            "the pools' reports were not recorded"
        );
    }
}

/// Reports until `shutdown`, on a timer and when a backend says that it changed; no backend waits for another.
pub async fn keep_reporting(ctx: Arc<Ctx>, shutdown: CancellationToken) {
    let again = async |backend: &str, driver: &dyn Driver| -> () {
        loop {
            let last = Instant::now();
            tokio::select! {
                () = sleep_until(last + INTERVAL) => {}
                () = driver.changed() => {
                    sleep_until((Instant::now() + SETTLE).max(last + INTERVAL_MIN)).await;
                }
            }
            report_of(&ctx, backend, driver).await;
        }
    };
    let all = ctx.drivers.iter();
    let all = all.map(|(backend, driver)| again(backend, driver.as_ref()));
    shutdown.run_until_cancelled(join_all(all)).await;
}
