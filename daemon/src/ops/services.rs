//! What the administrator decides about services: enable, disable with a reason, freeze, thaw. Done at once; no
//! object moves. What is so already is success.

use super::{Ctx, unreadable, unwritable};
use crate::error::Error;
use crate::model::caller::{Caller, Role};
use crate::model::service::{Binary, Service};
use crate::model::time::Time;
use crate::store::{Batch, Sql, StoreError, Value, services};

/// Every service that was ever heard.
pub async fn list(ctx: &Ctx, caller: &Caller) -> Result<Vec<Service>, Error> {
    admins_only(caller, "volume_extension:services:index")?;
    services::list(&ctx.store).await.map_err(unreadable)
}

/// Takes a service into placement again; the reason for which it was disabled is forgotten.
pub async fn enable(ctx: &Ctx, caller: &Caller, binary: &str, host: &str) -> Result<(), Error> {
    set_disabled(ctx, caller, (binary, host), false, None).await
}

/// Takes a service out of placement: it gets no new volumes, and goes on with those it has.
pub async fn disable(
    ctx: &Ctx,
    caller: &Caller,
    binary: &str,
    host: &str,
    reason: Option<&str>,
) -> Result<(), Error> {
    set_disabled(ctx, caller, (binary, host), true, reason).await
}

async fn set_disabled(
    ctx: &Ctx,
    caller: &Caller,
    (binary, host): (&str, &str),
    disabled: bool,
    reason: Option<&str>,
) -> Result<(), Error> {
    admins_only(caller, "volume_extension:services:update")?;
    let values = vec![
        binary.into(),
        host.into(),
        i64::from(disabled).into(),
        reason.into(),
        Time::now().as_str().into(),
    ];
    let known = change(ctx, services::SET_DISABLED, values).await?;
    tracing::info!(
        binary,
        host,
        disabled,
        reason,
        user = caller.user_id,
        "service set"
    );
    known.then_some(()).ok_or_else(|| not_found(binary, host))
}

/// Does the same to every service of a host.
pub async fn set_host(ctx: &Ctx, caller: &Caller, host: &str, disabled: bool) -> Result<(), Error> {
    admins_only(caller, "volume_extension:hosts")?;
    let values = vec![
        host.into(),
        i64::from(disabled).into(),
        Time::now().as_str().into(),
    ];
    let known = change(ctx, services::SET_HOST_DISABLED, values).await?;
    tracing::info!(host, disabled, user = caller.user_id, "host set");
    known.then_some(()).ok_or_else(|| Error::NotFound {
        noun: "Host",
        id: host.to_owned(),
    })
}

/// Freezes a volume service, so that nothing it has is changed, or thaws it again.
pub async fn set_frozen(ctx: &Ctx, caller: &Caller, host: &str, frozen: bool) -> Result<(), Error> {
    admins_only(caller, "volume_extension:services:update")?;
    let values = vec![
        host.into(),
        i64::from(frozen).into(),
        Time::now().as_str().into(),
    ];
    let known = change(ctx, services::SET_FROZEN, values).await?;
    tracing::info!(host, frozen, user = caller.user_id, "service set");
    // Cinder answers 400 here, unlike for enable and disable.
    known.then_some(()).ok_or_else(|| Error::Invalid {
        field: "host".to_owned(),
        why: format!(
            "Service {} could not be found on host {host}.",
            Binary::Volume.as_str()
        ),
    })
}

/// Writes one guarded change; whether there was something to change.
async fn change(ctx: &Ctx, sql: Sql, values: Vec<Value>) -> Result<bool, Error> {
    let mut batch = Batch::new();
    batch.guard("service", sql, values);
    match ctx.store.write(batch).await {
        Ok(()) => Ok(true),
        Err(StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(unwritable(error)),
    }
}

/// Refuses all but administrators.
pub fn admins_only(caller: &Caller, action: &'static str) -> Result<(), Error> {
    if caller.role == Role::Admin {
        Ok(())
    } else {
        Err(Error::Forbidden { action })
    }
}

fn not_found(binary: &str, host: &str) -> Error {
    Error::NotFound {
        noun: "Service",
        id: format!("{binary} on host {host}"),
    }
}
