//! Backup stores for administrators: what each has and whether it answers, as its service last told; and the import of all
//! that lies in one.

use super::operations::begun;
use crate::api::Api;
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, ok};
use crate::model::backup_store::BackupStore;
use crate::ops::backup_stores;
use crate::ops::import_store::{self, Account};
use axum::extract::State;
use serde_json::{Value, json};

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    let found = backup_stores::list(&api.ctx, &call.caller).await?;
    let shown: Value = found.iter().map(view).collect();
    Ok(ok(&json!({"backup_stores": shown})))
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let found = backup_stores::get(&api.ctx, &call.caller, &named(&call)?).await?;
    let mut store = view(&found);
    store["last_import"] = Account::of(&found).map_or(Value::Null, |account| import(&account));
    Ok(ok(&json!({"backup_store": store})))
}

pub(in crate::api) async fn act_import(State(api): State<Api>, call: Call) -> Answer {
    let operation = import_store::begin(&api.ctx, &call.caller, &named(&call)?).await?;
    begun(&api, &call, operation).await
}

/// `store` or `host@store`, as the path has it.
fn named(call: &Call) -> Result<String, Fault> {
    let named = call.path("store");
    let is_name = |text: &str| {
        !text.is_empty()
            && text.len() <= 255
            && text
                .chars()
                .all(|one| one.is_ascii_alphanumeric() || "-_.@".contains(one))
    };
    match is_name(named) {
        true => Ok(named.to_owned()),
        false => Err(Fault::not_found("Backup store", &shown(named))),
    }
}

fn view(store: &BackupStore) -> Value {
    let (report, service) = (store.report.as_ref(), store.service.as_ref());
    json!({
        "name": store.name(),
        "host": store.host,
        "kind": store.kind,
        "is_up": store.is_up(),
        "is_disabled": service.is_some_and(|service| service.is_disabled),
        "heard_at": service.map(|service| service.heard_at.as_str()),
        "availability_zone": service.map(|service| service.availability_zone.as_str()),
        "location": report.map(|report| &report.location),
        "repository_id": report.map(|report| &report.repository_id),
        "used_bytes": report.map(|report| report.used_bytes),
        "free_bytes": report.and_then(|report| report.free_bytes),
        "backups": report.map(|report| report.backups),
        "rows": store.rows,
        "reported_at": report.map(|report| report.at.as_str()),
        "asked_at": store.asked_at.as_str(),
        "failure": store.failure,
    })
}

fn import(account: &Account) -> Value {
    let reasons: Value = account
        .reasons
        .iter()
        .map(|reason| json!({"backup_id": reason.backup_id, "why": reason.why}))
        .collect();
    json!({
        "operation_id": account.operation_id,
        "at": account.at,
        "found": account.found,
        "made": account.made,
        "already_there": account.already_there,
        "refused": account.refused,
        "reasons": reasons,
    })
}
