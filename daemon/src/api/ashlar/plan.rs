//! `POST /ashlar/v1/plan`: what an act would block on, lose, break and keep, before it is done; and the act's condition
//! `If-Match: "plan-<hash>"`, which refuses it (412) when the plan would be another one now.
//!
//! What is in the way is not written down a second time: the act's own request is rehearsed, through its own handler, and
//! stops short of its write (`store/intent.rs`). `table.rs` says which request a verb is, `facts.rs` what of the objects
//! an act concerns.

mod facts;
mod table;

use crate::api::call::{Call, Media, Request};
use crate::api::error::{Answer, Body, Fault, ok, text_of};
use crate::api::links::Links;
use crate::api::microversion::{self, Microversion};
use crate::api::{Api, door, routes};
use crate::model::caller::Caller;
use crate::ops::unreadable;
use crate::store::{events, intent};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use facts::Facts;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use table::Act;
use tower::ServiceExt;

/// Objects of one plan: a page of a list.
const OBJECTS_MAX: usize = 1_000;

/// How often an act is begun anew because something that may concern it changed between its plan and its write.
const TRIES: usize = 8;

pub(in crate::api) async fn make(State(api): State<Api>, call: Call) -> Answer {
    let body = call.json()?;
    let verb = body.get("verb").and_then(Value::as_str).unwrap_or_default();
    let input = body.get("input").cloned().unwrap_or_else(|| json!({}));
    let objects = body.get("objects").cloned().unwrap_or_else(|| json!([]));
    let objects: Vec<String> = serde_json::from_value(objects)
        .map_err(|_| Fault::bad_request("'objects' is a list of ids."))?;
    if objects.len() > OBJECTS_MAX || !input.is_object() {
        return Err(Fault::bad_request(format!(
            "'input' is an object, and 'objects' are {OBJECTS_MAX} at most."
        )));
    }
    let router = routes::router(api.clone());
    let mut plans = Vec::new();
    for act in Act::of_verb(verb, &objects, &input)? {
        let asks = Asks {
            api: &api,
            router: &router,
            caller: &call.caller,
            version: microversion::maximum(),
        };
        plans.push(asks.plan(&act).await?);
    }
    let hash = match &plans[..] {
        [one] => one.hash.clone(),
        all => hash(&all.iter().map(|one| json!(one.hash)).collect()),
    };
    let frees: i64 = plans.iter().map(|one| one.facts.frees_bytes).sum();
    let gigabytes: i64 = plans.iter().map(|one| one.facts.gigabytes).sum();
    Ok(ok(&json!({"plan": {
        "verb": verb,
        "hash": hash,
        "is_blocked": plans.iter().any(|one| !one.blocks.is_empty()),
        "objects": plans.iter().map(Plan::view).collect::<Value>(),
        "after": {"frees_bytes": frees, "gigabytes": gigabytes},
    }})))
}

/// The plan of one act on one object.
struct Plan {
    facts: Facts,
    blocks: Vec<String>,
    hash: String,
    /// The newest event before it was looked.
    newest: i64,
}

impl Plan {
    fn view(&self) -> Value {
        let mut view = self.facts.view();
        view["blocks"] = json!(self.blocks);
        view["hash"] = json!(self.hash);
        view
    }
}

/// Who asks, and where requests are rehearsed.
struct Asks<'a> {
    api: &'a Api,
    router: &'a Router,
    caller: &'a Caller,
    version: Microversion,
}

impl Asks<'_> {
    async fn plan(&self, act: &Act) -> Result<Plan, Fault> {
        let store = &self.api.ctx.store;
        // First, so that whatever changes while the rest is looked at counts as changed since.
        let newest = events::span(store).await.map_err(unreadable)?.newest;
        let facts = facts::look(&self.api.ctx, self.caller, act).await?;
        let (response, refusals) = intent::rehearse(self.answer(act)).await;
        let blocks = match refusals {
            Some(refusals) => refusals,
            None => vec![text_of(response).await],
        };
        let hash = hash(&json!([
            act.verb(),
            act.input(),
            facts.view(),
            facts.state(),
            blocks
        ]));
        Ok(Plan {
            facts,
            blocks,
            hash,
            newest,
        })
    }

    /// What the act's own request answers.
    async fn answer(&self, act: &Act) -> Response<Body> {
        let (method, path, query, body) = act.request();
        let links = Links::new(None, None, Some(self.caller.project_id.clone()));
        let query = door::query(Some(&query));
        let call = Call::new(
            self.caller.clone(),
            self.version,
            links,
            query,
            Bytes::from(body.to_string()),
            Media::Json,
        );
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap_or(Uri::from_static("/"));
        request.extensions_mut().insert(call);
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The plan that a request must still have, if it names one. A condition that speaks of a plan in another way than
/// expected names one that no act has: it must never count for none.
pub(in crate::api) fn wanted(headers: &HeaderMap) -> Option<String> {
    let mut said = headers
        .get_all(header::IF_MATCH)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let said = said.find(|said| said.to_ascii_lowercase().contains("plan-"))?;
    let hash = said.trim().trim_matches('"').strip_prefix("plan-");
    Some(hash.unwrap_or(&said).to_owned())
}

/// Does an act if its plan is still the one that was wanted. Between plan and write nothing that it concerns may
/// change: if something does, it is planned anew.
pub(in crate::api) async fn act_if_same(
    api: &Api,
    router: &Router,
    wanted: &str,
    call: &Call,
    act: (&axum::http::Method, &str),
) -> Response<Body> {
    let (method, path) = act;
    let Some(act) = Act::of_request(method, path, call) else {
        return Fault::bad_request("No plan is made of this request: send it without If-Match.")
            .into_response();
    };
    let asks = Asks {
        api,
        router,
        caller: &call.caller,
        version: call.version,
    };
    for _ in 0..TRIES {
        let plan = match asks.plan(&act).await {
            Ok(plan) => plan,
            Err(fault) => return fault.into_response(),
        };
        if plan.hash != wanted {
            return Fault::not_as_planned().into_response();
        }
        let concerns = plan.facts.concerns();
        let done = intent::if_unchanged(plan.newest, concerns, async {
            let mut request = Request::new(Body::empty());
            *request.method_mut() = method.clone();
            *request.uri_mut() = path.parse().unwrap_or(Uri::from_static("/"));
            request.extensions_mut().insert(call.clone());
            router.clone().oneshot(request).await
        });
        let (answered, has_changed) = done.await;
        if !has_changed {
            return match answered {
                Ok(response) => response,
                Err(never) => match never {},
            };
        }
    }
    Fault::overloaded("What the act concerns changes all the time; look again and repeat.")
        .into_response()
}

fn hash(value: &Value) -> String {
    // Keys are sorted, so equal values have equal texts.
    let digest = Sha256::digest(value.to_string().as_bytes());
    digest
        .iter()
        .take(16)
        .fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
