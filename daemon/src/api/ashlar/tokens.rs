//! Access tokens: made, listed, revoked. The secret is in one answer only, the one that makes it.

use crate::api::Api;
use crate::api::auth::{fresh_token, hash, is_id};
use crate::api::body::{Object, invalid, only};
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, no_content, ok};
use crate::api::place::is_project_id;
use crate::model::caller::Role;
use crate::model::id::TokenId;
use crate::model::time::Time;
use crate::ops::tokens;
use crate::store::tokens::Token;
use axum::extract::State;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A token that lives longer than ten years is one without an end.
const LIFE_MAX_S: u64 = 10 * 366 * 24 * 3600;

/// `POST /ashlar/v1/tokens`.
fn create_request(body: &Map<String, Value>) -> Result<Token, Fault> {
    only(body, &["token"])?;
    let said = Object::within(body, "token")?;
    said.only(&["name", "project_id", "user_id", "role", "expires_in_s"])?;
    let project_id = said.required_text("project_id")?;
    if !is_project_id(&project_id) {
        let why =
            "it must be 1 to 64 letters, digits, '-', '_' or '.', and no word of the API's paths";
        return Err(invalid("project_id", &json!(project_id), why));
    }
    let user_id = said.text("user_id")?.unwrap_or_else(|| project_id.clone());
    if !is_id(&user_id) {
        return Err(invalid(
            "user_id",
            &json!(user_id),
            "it must be 1 to 64 letters, digits, '-', '_' or '.'",
        ));
    }
    let role = said
        .word("role", &["admin", "member", "reader"])?
        .and_then(Role::parse);
    let life_s = said
        .size("expires_in_s")?
        .and_then(|seconds| u64::try_from(seconds).ok());
    if life_s.is_some_and(|seconds| seconds > LIFE_MAX_S) {
        return Err(Fault::bad_request(
            "expires_in_s may be ten years at most; leave it out for no end.",
        ));
    }
    Ok(Token {
        id: TokenId::random(),
        name: said.text("name")?.unwrap_or_default(),
        project_id,
        user_id,
        role: role.unwrap_or(Role::Member),
        created_at: Time::now(),
        expires_at: life_s.map(|seconds| Time::after(Duration::from_secs(seconds))),
    })
}

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    let found = tokens::list(&api.ctx, &call.caller).await?;
    let shown: Vec<Value> = found.iter().map(view).collect();
    Ok(ok(&json!({"tokens": shown})))
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let token = tokens::get(&api.ctx, &call.caller, call.id("Token")?).await?;
    Ok(ok(&json!({"token": view(&token)})))
}

pub(in crate::api) async fn create(State(api): State<Api>, call: Call) -> Answer {
    let token = create_request(&call.json()?)?;
    let secret = fresh_token()?;
    tokens::create(&api.ctx, &call.caller, &token, &hash(&secret)).await?;
    let mut shown = view(&token);
    shown["secret"] = json!(secret.expose_secret());
    Ok(ok(&json!({"token": shown})))
}

pub(in crate::api) async fn delete(State(api): State<Api>, call: Call) -> Answer {
    tokens::revoke(&api.ctx, &call.caller, call.id("Token")?).await?;
    Ok(no_content())
}

fn view(token: &Token) -> Value {
    json!({
        "id": token.id.to_string(),
        "name": token.name,
        "project_id": token.project_id,
        "user_id": token.user_id,
        "role": token.role.as_str(),
        "created_at": token.created_at.as_str(),
        "expires_at": token.expires_at.as_ref().map(Time::as_str),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(said: &Value) -> Result<Token, u16> {
        let body = json!({"token": said});
        create_request(body.as_object().unwrap()).map_err(|fault| fault.code())
    }

    #[test]
    fn a_token_is_for_a_project_and_a_member_unless_said() {
        let token = create(&json!({"project_id": "p"})).unwrap();
        assert_eq!(
            (token.user_id.as_str(), token.role, token.expires_at),
            ("p", Role::Member, None)
        );
        let token =
            create(&json!({"project_id": "p", "role": "reader", "expires_in_s": 60})).unwrap();
        assert_eq!(token.role, Role::Reader);
        assert!(token.expires_at.unwrap() > token.created_at);
        for bad in [
            json!({}),
            json!({"project_id": "volumes"}),
            json!({"project_id": "a/b"}),
            json!({"project_id": "p", "role": "root"}),
            json!({"project_id": "p", "expires_in_s": 0}),
            json!({"project_id": "p", "expires_in_s": 2_147_483_647}),
            json!({"project_id": "p", "user_id": "a b"}),
        ] {
            assert_eq!(create(&bad).unwrap_err(), 400, "{bad}");
        }
    }
}
