//! What the server answered: JSON, or a refusal with Cinder's sentence and the id of the request.

use reqwest::blocking::Response;
use serde_json::Value;

use super::text;
use crate::failure::{Exit, Failure};

/// How far the ladder of a version document goes.
pub(super) fn minor_max(versions: &Value) -> Option<u32> {
    let all = versions.get("versions")?.as_array()?;
    let v3 = all
        .iter()
        .find(|version| text(version, "id").starts_with("v3"))?;
    text(v3, "version").strip_prefix("3.")?.parse().ok()
}

/// The body of an answer, or why it is a refusal.
pub(super) fn answer(response: Response) -> Result<Value, Failure> {
    let code = response.status().as_u16();
    let is_refusal = code >= 400;
    let request_id = response
        .headers()
        .get("x-compute-request-id")
        .or_else(|| response.headers().get("x-openstack-request-id"))
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let what = format!("{} {}", response.status(), response.url().path());
    let body = response.text().map_err(|error| {
        Failure::new(
            Exit::Unreachable,
            &format!("reading the answer to {what}"),
            &error.to_string(),
        )
        .request(request_id.clone())
    })?;
    if !is_refusal && body.trim().is_empty() {
        return Ok(Value::Null);
    }
    let parsed = serde_json::from_str::<Value>(&body);
    if is_refusal {
        let message = parsed.ok().as_ref().and_then(fault_message).unwrap_or(body);
        return Err(refusal(code, &message).request(request_id));
    }
    parsed.map_err(|error| {
        let why = format!("the answer is not JSON: {error}");
        Failure::new(Exit::Failed, &what, &why).request(request_id)
    })
}

/// What Cinder says of a path that it does not have; of an object that is not there it names the object.
const NO_ROUTE: &str = "The resource could not be found.";

/// Cinder wraps its sentence in one top-level key whose name varies.
fn fault_message(body: &Value) -> Option<String> {
    let fault = body.as_object()?.values().next()?;
    fault
        .get("message")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

fn refusal(code: u16, message: &str) -> Failure {
    if code == 404 && message == NO_ROUTE {
        return Failure::new(Exit::Failed, "the server refused", "it has no such path")
            .code(code)
            .hint("it is a plain Cinder without this, or an older ashlard");
    }
    let exit = Exit::of_answer(code, message);
    let why = if message.trim().is_empty() {
        "the server gave no reason"
    } else {
        message.trim()
    };
    let failure = Failure::new(exit, "the server refused", why).code(code);
    match code {
        401 => failure.hint("put a token in ASHLAR_TOKEN or name its file with --token-file"),
        403 => failure.hint("your role does not allow this; ask an admin of the project"),
        413 => failure.hint("delete something, or ask an admin for a larger quota"),
        500.. => failure.hint("the daemon's log has the cause under the request's id"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_ladder_end_is_read_from_the_version_document() {
        let versions = json!({"versions": [
            {"id": "v2.0", "version": ""}, {"id": "v3.0", "version": "3.59", "min_version": "3.0"}]});
        assert_eq!(minor_max(&versions), Some(59));
        assert_eq!(minor_max(&json!({"versions": []})), None);
    }

    #[test]
    fn cinders_sentence_is_kept_whatever_the_fault_is_called() {
        let body = json!({"conflictingRequest": {"code": 409, "message": "in use"}});
        assert_eq!(fault_message(&body).unwrap(), "in use");
        assert_eq!(refusal(409, "in use").exit, Exit::Conflict);
        assert_eq!(
            refusal(404, "Volume 1 could not be found.").exit,
            Exit::NotFound
        );
        assert_eq!(refusal(404, NO_ROUTE).exit, Exit::Failed);
        assert!(refusal(400, " ").to_string().contains("no reason"));
    }
}
