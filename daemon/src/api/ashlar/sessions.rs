//! `GET /ashlar/v1/sessions` and `POST .../{id}/kick`: which hosts are logged in at the target, and the end of one's
//! session; for administrators.

use crate::api::Api;
use crate::api::call::Call;
use crate::api::error::{Answer, no_content, ok};
use crate::model::time::Time;
use crate::ops::sessions::{self, Session};
use axum::extract::State;
use serde_json::{Value, json};

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    let found = sessions::list(&api.ctx, &call.caller).await?;
    let shown: Value = found.iter().map(view).collect();
    Ok(ok(&json!({"sessions": shown})))
}

pub(in crate::api) async fn kick(State(api): State<Api>, call: Call) -> Answer {
    sessions::kick(&api.ctx, &call.caller, call.id("Session")?).await?;
    Ok(no_content())
}

fn view(session: &Session) -> Value {
    json!({
        "id": session.id.to_string(),
        "volume_id": session.volume_id.to_string(),
        "initiator": session.initiator,
        "address": session.peer,
        "since": session.since.as_ref().map(Time::as_str),
        "read_only": session.read_only,
        "reads": session.reads,
        "writes": session.writes,
        "read_bytes": session.read_bytes,
        "written_bytes": session.written_bytes,
        "last_io_at": session.last_io_at.as_ref().map(Time::as_str),
        "quiet_s": session.quiet.map(|quiet| quiet.as_secs()),
    })
}
