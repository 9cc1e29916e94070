//! Every HTTP code that the wire says, and the only mapping from [`Error`] to one of them.
//!
//! Two texts: the client gets the error's own sentence in Cinder's body, the log gets the whole chain of causes. A
//! mistake in Ashlar itself tells the client nothing but that it happened and under which request id it is in the log.

use crate::error::{Error, chain, no_such};
use crate::store::StoreError;
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Value, json};

/// The body type of every answer.
pub(super) type Body = axum::body::Body;

/// What a handler answers.
pub(super) type Answer = Result<Response<Body>, Fault>;

/// Cinder's words for a mistake of its own; the cause is in the log.
const ERRED: &str =
    "The server has either erred or is incapable of performing the requested operation.";

/// An answer that is an error, in Cinder's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    code: StatusCode,
    message: String,
}

impl Fault {
    fn new(code: StatusCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// 400: the request cannot be right.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400: the body is not a JSON object, or not one that says anything.
    pub fn malformed_body() -> Self {
        Self::bad_request("Malformed request body")
    }

    /// 400: the path names another project than the caller's.
    pub fn malformed_url() -> Self {
        Self::bad_request("Malformed request url")
    }

    /// 400: the action is not one of ours.
    pub fn no_such_action(action: &str) -> Self {
        Self::bad_request(format!(
            "There is no such action: {action}. Verify the request body and Content-Type header and try again."
        ))
    }

    /// 401: no or no valid credentials.
    pub fn unauthenticated() -> Self {
        Self::from_error(&Error::Unauthenticated)
    }

    /// 403: the caller's role may not.
    pub fn forbidden(action: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            format!("Policy doesn't allow {action} to be performed."),
        )
    }

    /// 403, where Cinder does not say which policy.
    pub fn not_authorized() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "You are not authorized to perform this operation.",
        )
    }

    /// 404, in words of the route's own.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 404: no such route, or not at this microversion.
    pub fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "The resource could not be found.")
    }

    /// 404: no such object for this caller.
    pub fn not_found(noun: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, no_such(noun, id))
    }

    /// 405: the route exists, the verb does not.
    pub fn bad_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "The method is not allowed for the requested URL.",
        )
    }

    /// 406: a microversion outside of what is advertised.
    pub fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, message)
    }

    /// 409: somebody else is at it, or it exists already.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 412: the act would not do what its plan said.
    pub fn not_as_planned() -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "Something has changed since the plan was made; nothing was done. Make the plan again and look at it.",
        )
    }

    /// 413: the body is larger than the limit.
    pub fn body_too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Request is too large.")
    }

    /// 415: the body is said to be something else than JSON.
    pub fn bad_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported Content-Type",
        )
    }

    /// 503: too many requests at once, or one that took too long; it may be repeated.
    pub fn overloaded(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 500: a handler panicked; the log has it.
    pub fn erred() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ERRED)
    }

    /// The code, for the log line of the request.
    pub fn code(&self) -> u16 {
        self.code.as_u16()
    }

    /// The text that the client gets.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn from_error(error: &Error) -> Self {
        let code = code_of(error);
        let message = match error {
            Error::Internal { .. } => ERRED.to_owned(),
            Error::Store { source, .. } => store_message(source),
            Error::NotFound { .. }
            | Error::NoSuchPart { .. }
            | Error::Invalid { .. }
            | Error::Refused(_)
            | Error::OverQuota(_)
            | Error::NotAsStated { .. }
            | Error::Conflict(_)
            | Error::Forbidden { .. }
            | Error::Unauthenticated
            | Error::Unavailable { .. }
            | Error::NoService { .. }
            | Error::TimedOut { .. }
            | Error::Backend { .. }
            | Error::OperationFailed { .. }
            | Error::NoPool { .. }
            | Error::Cancelled => error.to_string(),
        };
        Self { code, message }
    }

    /// Cinder's key for the code.
    fn name(&self) -> &'static str {
        match self.code.as_u16() {
            400 => "badRequest",
            401 => "unauthorized",
            403 => "forbidden",
            404 => "itemNotFound",
            405 => "badMethod",
            409 => "conflictingRequest",
            413 => "overLimit",
            415 => "badMediaType",
            501 => "notImplemented",
            503 => "serviceUnavailable",
            _ => "computeFault",
        }
    }

    fn body(&self) -> Value {
        let code = self.code.as_u16();
        if self.code == StatusCode::UNAUTHORIZED {
            // As the token check in front of a Cinder answers; clients look for `error.message` here.
            return json!({"error": {
                "code": code, "title": "Unauthorized", "message": self.message,
            }});
        }
        let mut fault = json!({"code": code, "message": self.message});
        if self.code == StatusCode::PAYLOAD_TOO_LARGE {
            fault["retryAfter"] = json!("0");
        }
        json!({ self.name(): fault })
    }
}

/// What the record's trouble means for the client.
fn store_message(source: &StoreError) -> String {
    match source {
        StoreError::Full(_) => {
            "The disk that holds the record is full: reads go on, nothing was changed. Free space there and repeat."
        }
        StoreError::Unavailable { .. } => "The record does not answer; nothing was changed. Repeat the request.",
        StoreError::Uncertain { .. } => {
            "It is not known whether the change was recorded: look at the object before you repeat the request."
        }
        StoreError::Conflict { .. }
        | StoreError::Taken { .. }
        | StoreError::Broken(_)
        | StoreError::Unfit { .. }
        | StoreError::Refused { .. }
        | StoreError::Unreadable { .. }
        | StoreError::TooNew { .. } => ERRED,
    }
    .to_owned()
}

fn code_of(error: &Error) -> StatusCode {
    match error {
        Error::NotFound { .. } | Error::NoSuchPart { .. } => StatusCode::NOT_FOUND,
        Error::Invalid { .. } | Error::Refused(_) => StatusCode::BAD_REQUEST,
        // Quotas answer 413 in Cinder; nova and the SDK tell them by it.
        Error::OverQuota(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Error::Conflict(_) | Error::Cancelled => StatusCode::CONFLICT,
        Error::NotAsStated { .. } => StatusCode::PRECONDITION_FAILED,
        Error::Forbidden { .. } => StatusCode::FORBIDDEN,
        Error::Unauthenticated => StatusCode::UNAUTHORIZED,
        // Nothing the caller did, and another time there may be room.
        Error::Unavailable { .. } | Error::NoService { .. } | Error::NoPool { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        // What Cinder answers when its volume service is too slow (RPCTimeout).
        Error::TimedOut { .. } => StatusCode::BAD_GATEWAY,
        Error::Store { source, .. } => match source {
            StoreError::Full(_) | StoreError::Unavailable { .. } | StoreError::Uncertain { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            StoreError::Conflict { .. }
            | StoreError::Taken { .. }
            | StoreError::Broken(_)
            | StoreError::Unfit { .. }
            | StoreError::Refused { .. }
            | StoreError::Unreadable { .. }
            | StoreError::TooNew { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        },
        Error::Backend { .. } | Error::OperationFailed { .. } | Error::Internal { .. } => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let fault = Self::from_error(&error);
        if fault.code.is_server_error() {
            tracing::error!(code = fault.code(), "{}", chain(&error));
        } else {
            tracing::debug!(code = fault.code(), "{}", chain(&error));
        }
        fault
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response<Body> {
        let mut response = with_code(self.code, &self.body());
        let headers = response.headers_mut();
        if self.code == StatusCode::PAYLOAD_TOO_LARGE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("0"));
        }
        if self.code == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("X-Auth-Token realm=\"ashlar\""),
            );
        }
        response
    }
}

fn with_code(code: StatusCode, body: &impl Serialize) -> Response<Body> {
    let text = match serde_json::to_vec(body) {
        Ok(text) => text,
        // No map of ours has keys that are not text; whoever makes one hears of it.
        Err(error) => {
            let what = format!("an answer that is no JSON: {error}");
            return Fault::from(Error::Internal { what }).into_response();
        }
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = code;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// The sentence of an error that a handler answered.
pub(super) async fn text_of(response: Response<Body>) -> String {
    use http_body_util::BodyExt;
    let code = response.status();
    let body = response.into_body().collect().await;
    let body = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let fault: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = fault
        .as_object()
        .and_then(|fault| fault.values().next())
        .and_then(|fault| fault["message"].as_str());
    text.map_or_else(
        || format!("The request is answered with {code}."),
        str::to_owned,
    )
}

/// 200 with a body.
pub(super) fn ok(body: &impl Serialize) -> Response<Body> {
    with_code(StatusCode::OK, body)
}

/// 200 with a JSON document that is already printed.
pub(super) fn ok_text(text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// 200 without one.
pub(super) fn ok_empty() -> Response<Body> {
    Response::new(Body::empty())
}

/// 200 with the text that Prometheus reads.
pub(super) fn metrics(page: String) -> Response<Body> {
    let mut response = Response::new(Body::from(page));
    set_header(
        &mut response,
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    );
    response
}

/// 200 with server-sent events, which go on until one side ends them.
pub(super) fn event_stream(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // A proxy that gathers answers would hold events back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// 202 with a body: recorded, and being done.
pub(super) fn accepted(body: &Value) -> Response<Body> {
    with_code(StatusCode::ACCEPTED, body)
}

/// 201 with a body.
pub(super) fn created(body: &Value) -> Response<Body> {
    with_code(StatusCode::CREATED, body)
}

/// 202 without one.
pub(super) fn accepted_empty() -> Response<Body> {
    empty(StatusCode::ACCEPTED)
}

/// 204.
pub(super) fn no_content() -> Response<Body> {
    empty(StatusCode::NO_CONTENT)
}

/// 300, the code of Cinder's list of versions.
pub(super) fn multiple_choices(body: &Value) -> Response<Body> {
    with_code(StatusCode::MULTIPLE_CHOICES, body)
}

fn empty(code: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    response
}

/// Sets a header whose value we made ourselves; one that cannot be a header is left out rather than fatal.
pub(super) fn set_header(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Conflict, OverQuota, Refusal};

    fn shown(fault: &Fault) -> (u16, Value) {
        (fault.code(), fault.body())
    }

    #[test]
    fn cinders_names_and_codes() {
        let cases: Vec<(Error, u16, &str)> = vec![
            (
                Error::NotFound {
                    noun: "Volume",
                    id: "x".to_owned(),
                },
                404,
                "itemNotFound",
            ),
            (
                Error::Refused(Refusal::Rule {
                    why: "no".to_owned(),
                }),
                400,
                "badRequest",
            ),
            (
                Error::OverQuota(OverQuota::Volumes {
                    name: "volumes".to_owned(),
                    limit: 10,
                }),
                413,
                "overLimit",
            ),
            (
                Error::Conflict(Conflict::Changed {
                    noun: "Volume",
                    id: "x".to_owned(),
                }),
                409,
                "conflictingRequest",
            ),
            (Error::Forbidden { action: "a:b" }, 403, "forbidden"),
            (
                Error::Unavailable {
                    what: "The target",
                    why: "it is not running".to_owned(),
                },
                503,
                "serviceUnavailable",
            ),
            (
                Error::TimedOut {
                    operation: "o".to_owned(),
                    waited_s: 1,
                },
                502,
                "computeFault",
            ),
        ];
        for (error, code, name) in cases {
            let text = error.to_string();
            let (shown_code, body) = shown(&Fault::from(error));
            assert_eq!(shown_code, code);
            assert_eq!(body[name]["code"], code);
            assert_eq!(body[name]["message"], text);
        }
    }

    #[test]
    fn a_quota_carries_retry_after() {
        let fault = Fault::from(Error::OverQuota(OverQuota::Snapshots {
            name: "snapshots".to_owned(),
            limit: 1,
        }));
        assert_eq!(fault.body()["overLimit"]["retryAfter"], "0");
        let response = fault.into_response();
        assert_eq!(response.headers()["retry-after"], "0");
    }

    #[test]
    fn the_client_never_reads_what_is_inside() {
        let fault = Fault::from(Error::Internal {
            what: "row 17 of secrets".to_owned(),
        });
        assert_eq!(fault.code(), 500);
        assert!(!fault.message().contains("row 17"));
        let fault = Fault::from(Error::Store {
            doing: "read",
            source: StoreError::Unavailable {
                why: "host db.internal".to_owned(),
            },
        });
        assert_eq!(fault.code(), 503);
        assert!(!fault.message().contains("db.internal"));
    }

    #[test]
    fn unauthenticated_is_the_token_checks_form() {
        let fault = Fault::unauthenticated();
        assert_eq!(fault.body()["error"]["code"], 401);
        assert!(
            fault
                .into_response()
                .headers()
                .contains_key("www-authenticate")
        );
    }
}
