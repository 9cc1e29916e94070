//! Operations: what is being done and was done, with its progress, and why it does not get on; the wishes to cancel and
//! to begin anew.

use crate::api::Api;
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, accepted, ok};
use crate::api::filter::{Kind, Rule};
use crate::api::page::{self, Listing};
use crate::model::id::OperationId;
use crate::model::operation::{Operation, Phase};
use crate::model::service::Service;
use crate::model::time::Time;
use crate::ops::{cancel, get_operation, plan, retry, stuck, unreadable};
use crate::store::list::Filter;
use crate::store::operations::{self, Pace};
use crate::store::services;
use axum::extract::State;
use serde_json::{Value, json};

/// The noun in error texts.
const NOUN: &str = "Operation";

/// A rate that is older says nothing any more; while bytes move it is written twice a second.
const STALLED_S: f64 = 5.0;

/// What operations can be listed by.
pub(in crate::api) const LISTING: Listing = Listing {
    sort: &[
        ("id", "id"),
        ("verb", "verb"),
        ("phase", "phase"),
        ("created_at", "created_at"),
        ("finished_at", "finished_at"),
    ],
    filters: &[
        Rule {
            wire: "live",
            column: "id",
            kind: Kind::Ignored,
            since: 0,
            for_admins: false,
        },
        Rule {
            wire: "verb",
            column: "verb",
            kind: Kind::Text,
            since: 0,
            for_admins: false,
        },
        Rule {
            wire: "phase",
            column: "phase",
            kind: Kind::Text,
            since: 0,
            for_admins: false,
        },
        Rule {
            wire: "object_id",
            column: "object_id",
            kind: Kind::Text,
            since: 0,
            for_admins: false,
        },
        Rule {
            wire: "request_id",
            column: "request_id",
            kind: Kind::Text,
            since: 0,
            for_admins: false,
        },
    ],
    of_projects: true,
    strict_from: 0,
};

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    let mut wanted = LISTING.read(&call)?;
    if call.flag("live")? {
        wanted.request.filters.push(live());
    }
    let listed = operations::list(&api.ctx.store, &wanted.request).await;
    let found = listed.map_err(|error| page::fault(NOUN, error))?;
    let mut shown = Vec::new();
    let services = services::list(&api.ctx.store).await.map_err(unreadable)?;
    for operation in &found {
        shown.push(view(&api, operation, &services).await?);
    }
    Ok(ok(&json!({"operations": shown})))
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let operation = get_operation(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    Ok(ok(
        &json!({"operation": with_steps(&api, &operation).await?}),
    ))
}

pub(in crate::api) async fn act_cancel(State(api): State<Api>, call: Call) -> Answer {
    let id = call.id(NOUN)?;
    cancel(&api.ctx, &call.caller, id).await?;
    begun(&api, &call, id).await
}

pub(in crate::api) async fn act_retry(State(api): State<Api>, call: Call) -> Answer {
    let operation = retry::begin(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    Ok(accepted(
        &json!({"operation": of_one(&api, &operation).await?}),
    ))
}

/// The answer to a request that began an operation.
pub(super) async fn begun(api: &Api, call: &Call, id: OperationId) -> Answer {
    let operation = get_operation(&api.ctx, &call.caller, id).await?;
    Ok(accepted(
        &json!({"operation": of_one(api, &operation).await?}),
    ))
}

fn live() -> Filter {
    let over = |phase: &&Phase| !phase.is_over();
    Filter {
        values: Phase::ALL
            .iter()
            .filter(over)
            .map(|phase| phase.as_str().into())
            .collect(),
        ..Filter::equal("phase", "")
    }
}

async fn with_steps(api: &Api, operation: &Operation) -> Result<Value, Fault> {
    let steps = operations::steps(&api.ctx.store, operation.id)
        .await
        .map_err(unreadable)?;
    let mut view = of_one(api, operation).await?;
    view["steps"] = steps
        .iter()
        .map(|step| {
            json!({
                "position": step.position,
                "name": step.name,
                "direction": step.direction,
                "started_at": step.started_at.as_str(),
                "finished_at": step.finished_at.as_str(),
            })
        })
        .collect();
    Ok(view)
}

async fn of_one(api: &Api, operation: &Operation) -> Result<Value, Fault> {
    let services = services::list(&api.ctx.store).await.map_err(unreadable)?;
    view(api, operation, &services).await
}

async fn view(api: &Api, operation: &Operation, services: &[Service]) -> Result<Value, Fault> {
    let (pace, stuck) = stuck::look(&api.ctx, operation, services).await?;
    let plan = plan(operation.verb).map_or(&[][..], |plan| plan.steps);
    let ahead = plan.get(operation.steps_done..).unwrap_or_default();
    let may_stop = matches!(operation.phase, Phase::Queued | Phase::Running);
    let (rate, left) = (
        rate(&pace, &Time::now()),
        operation.bytes_total - operation.bytes_done,
    );
    Ok(json!({
        "id": operation.id.to_string(),
        "verb": operation.verb.as_str(),
        "phase": operation.phase.as_str(),
        "object_id": operation.object_id,
        "project_id": operation.project_id,
        "request_id": operation.request_id,
        "queue": operation.queue,
        "steps_done": operation.steps_done,
        "steps_total": plan.len(),
        "bytes_done": operation.bytes_done,
        "bytes_total": operation.bytes_total,
        "bytes_per_s": rate,
        "left_s": rate.filter(|_| operation.bytes_total > 0).map(|rate| left.max(0) / rate),
        "can_cancel": may_stop && !operation.cancel_requested && ahead.iter().any(|step| step.can_cancel),
        "can_retry": retry::may_retry(operation),
        "cancel_requested": operation.cancel_requested,
        "error": operation.error,
        "created_at": operation.created_at.as_str(),
        "finished_at": operation.finished_at.as_ref().map(Time::as_str),
        "deadline_at": operation.deadline_at.as_str(),
        "stuck": stuck.map(|stuck| json!({
            "owner": stuck.owner,
            "since": stuck.since.as_str(),
            "waiting_for": stuck.waiting_for,
            "next": stuck.next,
        })),
    }))
}

/// Bytes a second, unless that is old news: what stands still has no time left.
fn rate(pace: &Pace, now: &Time) -> Option<i64> {
    let is_fresh = |at: &Time| now.seconds_since(at) < STALLED_S;
    let fresh = pace.progress_at.as_ref().is_some_and(is_fresh);
    Some(pace.bytes_per_s).filter(|rate| fresh && *rate > 0)
}
