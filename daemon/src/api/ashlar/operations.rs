//! Operations: what is being done and was done, with its progress; and the wish to cancel.

use crate::api::Api;
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, accepted, ok};
use crate::api::filter::{Kind, Rule};
use crate::api::page::{self, Listing};
use crate::model::operation::{Operation, Phase};
use crate::model::time::Time;
use crate::ops::{cancel, get_operation, unreadable};
use crate::store::list::Filter;
use crate::store::operations;
use axum::extract::State;
use serde_json::{Value, json};

/// The noun in error texts.
const NOUN: &str = "Operation";

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
    let shown: Vec<Value> = found.iter().map(view).collect();
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
    let operation = get_operation(&api.ctx, &call.caller, id).await?;
    Ok(accepted(&json!({"operation": view(&operation)})))
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
    let mut view = view(operation);
    view["steps"] = steps
        .iter()
        .map(|step| {
            json!({
                "name": step.name,
                "direction": step.direction,
                "started_at": step.started_at.as_str(),
                "finished_at": step.finished_at.as_str(),
            })
        })
        .collect();
    Ok(view)
}

fn view(operation: &Operation) -> Value {
    json!({
        "id": operation.id.to_string(),
        "verb": operation.verb.as_str(),
        "phase": operation.phase.as_str(),
        "object_id": operation.object_id,
        "project_id": operation.project_id,
        "request_id": operation.request_id,
        "queue": operation.queue,
        "steps_done": operation.steps_done,
        "bytes_done": operation.bytes_done,
        "bytes_total": operation.bytes_total,
        "cancel_requested": operation.cancel_requested,
        "error": operation.error,
        "created_at": operation.created_at.as_str(),
        "finished_at": operation.finished_at.as_ref().map(Time::as_str),
        "deadline_at": operation.deadline_at.as_str(),
    })
}
