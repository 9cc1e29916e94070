//! `GET /ashlar/v1/backup-calendar` and `GET /ashlar/v1/backup-queue`: when backups were made and will be, and what is
//! being done about them now.

use crate::api::Api;
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, ok};
use crate::api::filter::instant;
use crate::model::time::Time;
use crate::ops::backup_calendar::{self, Entry, Told};
use crate::ops::backup_queue::{self, Queued};
use axum::extract::State;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A calendar says so much of the past, and of what comes, unless more is asked for.
const AROUND: Duration = Duration::from_secs(7 * 24 * 3600);

/// A calendar is of a year and a month at most.
const SPAN_MAX_S: f64 = 397.0 * 24.0 * 3600.0;

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    let from = time(&call, "from")?.unwrap_or_else(|| Time::before(AROUND));
    let to = time(&call, "to")?.unwrap_or_else(|| Time::now().max(from.clone()).plus(AROUND));
    if to < from || to.seconds_since(&from) > SPAN_MAX_S {
        return Err(Fault::bad_request(
            "to must be after from, by 397 days at most; leave both out for a week around now.",
        ));
    }
    let found = backup_calendar::calendar(&api.ctx, &call.caller, &from, &to, &Time::now()).await?;
    let entries: Vec<Value> = found.entries.iter().map(entry_view).collect();
    Ok(ok(&json!({
        "backup_calendar": entries,
        "from": from.as_str(),
        "to": to.as_str(),
        "is_cut": found.is_cut,
    })))
}

pub(in crate::api) async fn queue(State(api): State<Api>, call: Call) -> Answer {
    let found = backup_queue::list(&api.ctx, &call.caller).await?;
    let queued: Vec<Value> = found.iter().map(queued_view).collect();
    Ok(ok(&json!({"backup_queue": queued})))
}

fn time(call: &Call, name: &str) -> Result<Option<Time>, Fault> {
    let Some(text) = call.parameter(name) else {
        return Ok(None);
    };
    let read = instant(text).map(|text| Some(Time::from_stored(text)));
    read.ok_or_else(|| {
        Fault::bad_request(format!(
            "{name} must be a time, as 2026-12-01T02:00:00, and not '{}'.",
            shown(text)
        ))
    })
}

fn entry_view(entry: &Entry) -> Value {
    json!({
        "at": entry.at.as_str(),
        "set_id": entry.set_id.to_string(),
        "set_name": entry.set_name,
        "run": entry.run.as_ref().map(run_view),
    })
}

/// A run with what came of it.
pub(super) fn run_view(told: &Told) -> Value {
    let run = &told.run;
    let counts = told.counts.iter();
    let counts: Map<String, Value> = counts
        .map(|(state, count)| (state.as_str().to_owned(), json!(count)))
        .collect();
    let failed = told
        .failed
        .iter()
        .map(|volume| json!({"volume_id": volume.volume_id.to_string(), "why": volume.why}));
    json!({
        "id": run.id.to_string(),
        "set_id": run.set_id.to_string(),
        "cause": run.cause.as_str(),
        "due_at": run.due_at.as_str(),
        "begun_at": run.begun_at.as_str(),
        "finished_at": run.finished_at.as_ref().map(Time::as_str),
        "problem": run.problem,
        "volumes": counts,
        "failed_volumes": failed.collect::<Vec<_>>(),
        "removed_backups": run.removed,
    })
}

fn queued_view(queued: &Queued) -> Value {
    let operation = &queued.operation;
    json!({
        "operation_id": operation.id.to_string(),
        "verb": operation.verb.as_str(),
        "object_id": operation.object_id,
        "project_id": operation.project_id,
        "phase": operation.phase.as_str(),
        "queue": operation.queue,
        "position": queued.position,
        "at_once": queued.at_once,
        "bytes_done": operation.bytes_done,
        "bytes_total": operation.bytes_total,
        "created_at": operation.created_at.as_str(),
    })
}
