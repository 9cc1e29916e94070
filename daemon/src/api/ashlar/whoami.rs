//! `GET /ashlar/v1/whoami`: as whom a request counts.

use crate::api::call::Call;
use crate::api::error::{Answer, ok};
use serde_json::json;

pub(in crate::api) async fn show(call: Call) -> Answer {
    let caller = &call.caller;
    Ok(ok(&json!({
        "project_id": caller.project_id,
        "user_id": caller.user_id,
        "role": caller.role.as_str(),
        "version": env!("CARGO_PKG_VERSION"),
    })))
}
