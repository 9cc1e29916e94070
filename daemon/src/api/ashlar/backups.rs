//! Backups beside Cinder's words: what a look into the store found of them, and the wish for such a look.

use super::operations::begun;
use crate::api::Api;
use crate::api::body::Object;
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, ok};
use crate::api::filter::{Kind, Rule};
use crate::api::page::{self, Listing};
use crate::model::backup::{Backup, Depth, Verified};
use crate::model::time::Time;
use crate::ops::{drill_backup, verify_backup, visible_backup};
use crate::store::backups;
use axum::extract::State;
use serde_json::{Map, Value, json};

/// The noun in error texts.
const NOUN: &str = "Backup";

const fn rule(wire: &'static str, column: &'static str) -> Rule {
    Rule {
        wire,
        column,
        kind: Kind::Text,
        since: 0,
        for_admins: false,
    }
}

/// What backups can be listed by.
pub(in crate::api) const LISTING: Listing = Listing {
    sort: &[
        ("id", "id"),
        ("created_at", "created_at"),
        ("data_timestamp", "data_timestamp"),
    ],
    filters: &[
        rule("volume_id", "volume_id"),
        rule("status", "status"),
        rule("name", "name"),
        rule("store", "store"),
    ],
    of_projects: true,
    strict_from: 0,
};

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    let wanted = LISTING.read(&call)?;
    let listed = backups::list(&api.ctx.store, &wanted.request).await;
    let found = listed.map_err(|error| page::fault(NOUN, error))?;
    let shown: Value = found.iter().map(view).collect();
    Ok(ok(&json!({"backups": shown})))
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let backup = visible_backup(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    let mut shown = view(&backup);
    shown["findings"] = json!(backup.verified.map_or(Vec::new(), |one| one.findings));
    Ok(ok(&json!({"backup": shown})))
}

pub(in crate::api) async fn act_verify(State(api): State<Api>, call: Call) -> Answer {
    let depth = verify_request(&call.json()?)?;
    let id = call.id(NOUN)?;
    let operation = verify_backup::begin(&api.ctx, &call.caller, id, depth).await?;
    begun(&api, &call, operation).await
}

pub(in crate::api) async fn act_drill(State(api): State<Api>, call: Call) -> Answer {
    let operation = drill_backup::begin(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    begun(&api, &call, operation).await
}

/// `POST .../verify`: how closely; structure when nothing is said.
fn verify_request(body: &Map<String, Value>) -> Result<Depth, Fault> {
    let said = Object::whole(body);
    said.only(&["depth"])?;
    let word = said.word("depth", &Depth::ALL.map(Depth::as_str))?;
    Ok(word.and_then(Depth::parse).unwrap_or(Depth::Structure))
}

fn view(backup: &Backup) -> Value {
    let verified = backup.verified.as_ref();
    let result = |one: &Verified| match one.findings.is_empty() {
        true => "sound",
        false => "damaged",
    };
    json!({
        "id": backup.id.to_string(),
        "name": backup.name,
        "project_id": backup.project_id,
        "volume_id": backup.volume_id.to_string(),
        "parent_id": backup.parent_id.map(|id| id.to_string()),
        "status": backup.status.as_str(),
        "size": backup.size_gib.get(),
        "store": backup.store,
        "host": backup.host,
        "data_bytes": backup.data_bytes,
        "added_bytes": backup.added_bytes,
        "data_timestamp": backup.data_timestamp.as_str(),
        "created_at": backup.created_at.as_str(),
        "last_verified_at": verified.map(|one| one.at.as_str()),
        "last_verified_depth": verified.map(|one| one.depth.as_str()),
        "last_verified_result": verified.map(result),
        "last_proven_at": backup.proven_at.as_ref().map(Time::as_str),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_closely_is_looked() {
        let read =
            |body: Value| verify_request(body.as_object().unwrap()).map_err(|fault| fault.code());
        assert_eq!(read(json!({})), Ok(Depth::Structure));
        assert_eq!(read(json!({"depth": "data"})), Ok(Depth::Data));
        for bad in [
            json!({"depth": "deep"}),
            json!({"depth": 1}),
            json!({"x": 1}),
        ] {
            assert_eq!(read(bad), Err(400));
        }
    }
}
