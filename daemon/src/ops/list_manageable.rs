//! List what lies in a pool and could be taken over.
//!
//! Only the volume service of the pool can look, and it may be another process: so the look is an operation like any
//! other, which leaves what it saw in the record. The request waits for it and takes it from there.

use super::adoption::{admins_only, pool_named};
use super::begin::Beginning;
use super::edges::{driver_failed, driver_of};
use super::steps::{Job, Outcome, Plan, Step};
use super::wait::{CONNECT_WAIT, until_done};
use super::{Ctx, Lane, unreadable, unwritable, volume_queue};
pub use crate::driver::manageable::{Manageable, is_plain, snapshot_of};
use crate::error::Error;
use crate::model::caller::Caller;
use crate::model::operation::Verb;
use crate::model::time::Time;
use crate::store::{Batch, adoptions};
use serde_json::{Value, json};
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::ListManageable,
    steps: &[Step {
        name: "look",
        run: |job| Box::pin(look(job)),
        undo: None,
        can_cancel: true,
    }],
    deadline: Duration::from_secs(60), // Nobody waits longer for the answer.
    done: |_| Ok(Batch::new()),
    failed: |_| Ok(Batch::new()),
};

/// An answer that nobody fetched within this time belongs to a request that died.
const KEPT: Duration = Duration::from_secs(600);

/// Whether the caller may look at all; asked before anything is said of the request.
pub fn may(caller: &Caller, action: &'static str) -> Result<(), Error> {
    admins_only(caller, action)
}

/// What lies in the pool that `host` names, by name.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    host: &str,
    action: &'static str,
) -> Result<Vec<Manageable>, Error> {
    admins_only(caller, action)?;
    let pool = pool_named(ctx, host).await?;
    let beginning = Beginning::new(ctx, caller, Verb::ListManageable, &pool.address);
    let queue = volume_queue(&pool.address, Lane::Quick);
    let operation = beginning.commit(queue).await?;
    until_done(ctx, operation, CONNECT_WAIT).await?;
    let told = adoptions::fetch(&ctx.store, operation)
        .await
        .map_err(unreadable)?;
    let mut batch = Batch::new();
    adoptions::forget(&mut batch, operation, &Time::before(KEPT));
    // On a full disk, too: it makes room.
    batch.essential();
    ctx.store.write(batch).await.map_err(unwritable)?;
    told.as_deref()
        .and_then(read)
        .ok_or_else(|| Error::Internal {
            what: format!("operation {operation} left no listing"),
        })
}

async fn look(job: &Job) -> Result<Outcome, Error> {
    let address = &job.operation.object_id;
    let (driver, pool) = driver_of(&job.ctx, address)?;
    let found = driver.manageable(pool).await;
    let found = found.map_err(|error| driver_failed("looking into the pool", address, error))?;
    let listing: Value = found
        .iter()
        .map(|one| json!({"name": one.name, "len_bytes": one.len_bytes, "why_not": one.why_not}))
        .collect();
    let mut also = Batch::new();
    adoptions::tell(&mut also, job.operation.id, &listing.to_string());
    Ok(Outcome {
        also,
        next_queue: None,
    })
}

fn read(listing: &str) -> Option<Vec<Manageable>> {
    let listing: Value = serde_json::from_str(listing).ok()?;
    let one = |one: &Value| {
        Some(Manageable {
            name: one.get("name")?.as_str()?.to_owned(),
            len_bytes: one.get("len_bytes")?.as_u64()?,
            why_not: one.get("why_not")?.as_str().map(str::to_owned),
        })
    };
    listing.as_array()?.iter().map(one).collect()
}
