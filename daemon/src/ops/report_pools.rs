//! The volume service's report: what each pool holds and can do, written to the record for the scheduler.

use super::Ctx;
use super::steps::chain;
use crate::store::{Batch, pools};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often pools are reported; a sixth of the time after which an old report counts as down.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long a driver may take to answer; a share that hangs must not stop the reports of the others.
const ANSWER: Duration = Duration::from_secs(5);

/// How hosts reach what lies in any pool, for types that ask for it: no driver has a way of its own.
const PROTOCOL: &str = "iSCSI";

/// Reports once; a backend that fails or hangs is logged and left out, so that its pools grow old and are not used.
pub async fn report(ctx: &Ctx) {
    let mut batch = Batch::new();
    for (backend, driver) in &ctx.drivers {
        match tokio::time::timeout(ANSWER, driver.stats()).await {
            Ok(Ok(reports)) => {
                for mut report in reports {
                    let protocol = report.capabilities.entry("storage_protocol".to_owned());
                    protocol.or_insert_with(|| PROTOCOL.to_owned());
                    let address = format!("{}@{backend}#{}", ctx.host, report.pool);
                    let values = pools::report_values(&address, &ctx.availability_zone, &report);
                    batch.add(pools::REPORT, values);
                }
            }
            Ok(Err(error)) => tracing::error!(
                backend,
                error = chain(&error),
                "the backend does not report"
            ),
            Err(_elapsed) => tracing::error!(
                backend,
                "the backend did not report within {} s",
                ANSWER.as_secs()
            ),
        }
    }
    if let Err(error) = ctx.store.write(batch).await {
        tracing::error!(
            error = chain(&error),
            "the pools' reports were not recorded"
        );
    }
}

/// Reports until `shutdown`.
pub async fn keep_reporting(ctx: Arc<Ctx>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => report(&ctx).await,
            () = shutdown.cancelled() => return,
        }
    }
}
