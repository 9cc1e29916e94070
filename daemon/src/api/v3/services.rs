//! Services: who is there, and what the administrator decides about them.
//!
//! `failover_host` needs replication and `get-log`, `set-log` a log of its own for each service; neither exists here,
//! and the routes answer 404.

use crate::api::Api;
use crate::api::body::{Object, invalid};
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, ok, ok_empty};
use crate::model::pool::Pool;
use crate::model::service::{Binary, Service, service_host};
use crate::ops::{services, unreadable};
use crate::store::pools;
use axum::extract::State;
use serde_json::{Map, Value, json};

/// What enable and disable name.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    host: String,
    /// As sent under either key; both are in the answer.
    binary: String,
    service: String,
    reason: Option<String>,
}

impl Named {
    fn which(&self) -> &str {
        match self.binary.as_str() {
            "" => &self.service,
            binary => binary,
        }
    }
}

fn named(body: &Map<String, Value>, has_reason: bool) -> Result<Named, Fault> {
    let said = Object::whole(body);
    let keys: &[&str] = &["binary", "host", "cluster", "service", "disabled_reason"];
    let count = if has_reason {
        keys.len()
    } else {
        keys.len() - 1
    };
    said.only(&keys[..count])?;
    let (binary, service) = (said.text("binary")?, said.text("service")?);
    if binary.is_none() && service.is_none() {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute body. 'binary' is a required property",
        ));
    }
    let reason = said.text("disabled_reason")?;
    if reason.as_deref() == Some("") {
        return Err(invalid(
            "disabled_reason",
            &json!(""),
            "it has 0 characters, at least 1 is needed",
        ));
    }
    Ok(Named {
        host: host(&said)?,
        binary: binary.unwrap_or_default(),
        service: service.unwrap_or_default(),
        reason,
    })
}

fn host(said: &Object<'_>) -> Result<String, Fault> {
    said.text("host")?
        .filter(|host| !host.is_empty())
        .ok_or_else(|| Fault::bad_request("Invalid input received: Host field is missing."))
}

fn backend(call: &Call) -> Result<String, Fault> {
    let body = call.json()?;
    let said = Object::whole(&body);
    said.only(&["host", "cluster"])?;
    if said.text("cluster")?.is_some_and(|name| !name.is_empty()) && call.version.at_least(26) {
        return Err(Fault::bad_request(
            "Invalid input received: One and only one of cluster and host must be set, and there are no clusters here.",
        ));
    }
    host(&said)
}

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    let found = services::list(&api.ctx, &call.caller).await?;
    let pools = match call.version.at_least(49) {
        true => pools::list(&api.ctx.store).await.map_err(unreadable)?,
        false => Vec::new(),
    };
    let is_asked = |key: &str, has: &str| call.parameter(key).is_none_or(|asked| asked == has);
    let shown: Vec<Value> = found
        .iter()
        .filter(|one| is_asked("host", &one.host) && is_asked("binary", one.binary.as_str()))
        .map(|one| view(&call, one, &pools))
        .collect();
    Ok(ok(&json!({"services": shown})))
}

pub(in crate::api) async fn enable(State(api): State<Api>, call: Call) -> Answer {
    let named = named(&call.json()?, false)?;
    services::enable(&api.ctx, &call.caller, named.which(), &named.host).await?;
    Ok(ok(&json!({
        "host": named.host, "service": named.service, "binary": named.binary,
        "status": "enabled", "disabled": false,
    })))
}

pub(in crate::api) async fn disable(State(api): State<Api>, call: Call) -> Answer {
    let named = named(&call.json()?, false)?;
    services::disable(&api.ctx, &call.caller, named.which(), &named.host, None).await?;
    Ok(ok(&json!({
        "host": named.host, "service": named.service, "binary": named.binary,
        "status": "disabled", "disabled": true,
    })))
}

pub(in crate::api) async fn disable_log_reason(State(api): State<Api>, call: Call) -> Answer {
    let named = named(&call.json()?, true)?;
    let (which, reason) = (named.which(), named.reason.as_deref());
    services::disable(&api.ctx, &call.caller, which, &named.host, reason).await?;
    Ok(ok(&json!({
        "host": named.host, "service": named.service, "binary": named.binary,
        "status": "disabled", "disabled": true, "disabled_reason": named.reason,
    })))
}

pub(in crate::api) async fn freeze(State(api): State<Api>, call: Call) -> Answer {
    services::set_frozen(&api.ctx, &call.caller, &backend(&call)?, true).await?;
    Ok(ok_empty())
}

pub(in crate::api) async fn thaw(State(api): State<Api>, call: Call) -> Answer {
    services::set_frozen(&api.ctx, &call.caller, &backend(&call)?, false).await?;
    Ok(ok_empty())
}

fn view(call: &Call, one: &Service, pools: &[Pool]) -> Value {
    // The later of the two, as Cinder shows it: when it was heard, or when somebody decided about it.
    let updated_at = match &one.changed_at {
        Some(changed_at) if *changed_at > one.heard_at => changed_at,
        Some(_) | None => &one.heard_at,
    };
    let mut view = json!({
        "binary": one.binary.as_str(),
        "host": one.host,
        "zone": one.availability_zone,
        "status": if one.is_disabled { "disabled" } else { "enabled" },
        "state": if one.is_up { "up" } else { "down" },
        "updated_at": updated_at.as_str(),
        "disabled_reason": one.disabled_reason,
    });
    if call.version.at_least(7) {
        view["cluster"] = Value::Null;
    }
    if one.binary == Binary::Volume {
        view["replication_status"] = json!("disabled");
        view["active_backend_id"] = Value::Null;
        view["frozen"] = json!(one.is_frozen);
        if call.version.at_least(49) {
            let mut its = pools
                .iter()
                .filter(|pool| service_host(&pool.address) == one.host);
            let is_up = one.is_up && its.any(|pool| pool.is_up);
            view["backend_state"] = json!(if is_up { "up" } else { "down" });
        }
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &Value, has_reason: bool) -> Result<Named, u16> {
        named(body.as_object().unwrap(), has_reason).map_err(|fault| fault.code())
    }

    #[test]
    fn a_service_is_named_by_host_and_binary() {
        let by = read(&json!({"host": "h", "service": "cinder-volume"}), false).unwrap();
        assert_eq!((by.which(), by.binary.as_str()), ("cinder-volume", ""));
        let both = json!({"host": "h", "service": "a", "binary": "b", "disabled_reason": "r"});
        assert_eq!(read(&both, true).unwrap().which(), "b");
        assert_eq!(read(&both, false).unwrap_err(), 400);
        for bad in [
            json!({}),
            json!({"host": "h"}),
            json!({"binary": "cinder-volume"}),
            json!({"binary": "cinder-volume", "host": ""}),
            json!({"binary": "cinder-volume", "host": 7}),
            json!({"binary": "cinder-volume", "host": "h", "disabled_reason": ""}),
            json!({"binary": "cinder-volume", "host": "h", "colour": "red"}),
        ] {
            assert_eq!(read(&bad, true).unwrap_err(), 400, "{bad}");
        }
    }
}
