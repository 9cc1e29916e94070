//! The one HTTP edge: plain Cinder v3 over TCP or a unix socket, and Ashlar's own paths beside it.
//!
//! Must not know any verb or how an answer is shown. Failure paths: not reachable, no answer in time, a refusal (with
//! Cinder's sentence and the request id kept), an answer that is not JSON.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

use reqwest::Url;
use reqwest::blocking::Response;
use serde_json::Value;

use crate::failure::{Exit, Failure};

/// The newest step of Cinder's ladder whose answers the verbs here were written against.
const MICROVERSION_MINOR: u32 = 66;
/// An attach waits for the target; everything else answers at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// A daemon on this machine or a rack away answers a connect at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What a page of a list may hold (Cinder's own limit).
const PAGE_MAX: &str = "1000";
/// 100,000 objects, a hundred pages: past that a filter is the better question.
const PAGES_MAX: usize = 100;

/// Where the daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A unix socket; the peer's credentials decide who one is.
    Unix(String),
    /// `http://host:port`, without a path.
    Http(String),
}

impl Endpoint {
    /// `unix:/path` or `http://host:port`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return Ok(Endpoint::Unix(path.to_owned()));
        }
        let bad = |why: &str| {
            Failure::usage(
                &format!("the endpoint `{text}` {why}"),
                "write unix:/run/ashlar/api.sock or http://127.0.0.1:8776",
            )
        };
        let url = Url::parse(text).map_err(|_| bad("is neither unix:/path nor a URL"))?;
        if url.scheme() != "http" {
            return Err(bad(
                "is not plain http; put a proxy in front of TLS, or use the socket",
            ));
        }
        let path = url
            .path()
            .trim_end_matches('/')
            .trim_end_matches("/v3")
            .to_owned();
        let mut base = url;
        base.set_path(&path);
        Ok(Endpoint::Http(
            base.as_str().trim_end_matches('/').to_owned(),
        ))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix:{path}"),
            Endpoint::Http(base) => f.write_str(base),
        }
    }
}

/// A token; never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// Keeps it.
    pub(crate) fn new(token: String) -> Self {
        Self(token)
    }

    /// The token itself, for a request's header and nothing else.
    pub(crate) fn reveal(&self) -> String {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// The HTTP methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// The server, as this call sees it.
pub(crate) struct Client {
    http: reqwest::blocking::Client,
    endpoint: Endpoint,
    base: String,
    token: Option<Token>,
    project: RefCell<Option<String>>,
    minor: Cell<u32>,
}

impl Client {
    /// Connects to nothing yet.
    pub(crate) fn new(
        endpoint: Endpoint,
        token: Option<Token>,
        project: Option<String>,
    ) -> Result<Self, Failure> {
        let builder = reqwest::blocking::Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .no_proxy();
        let (builder, base) = match &endpoint {
            Endpoint::Unix(path) => (
                builder.unix_socket(path.as_str()),
                "http://localhost".to_owned(),
            ),
            Endpoint::Http(base) => (builder, base.clone()),
        };
        let http = builder.build().map_err(|error| {
            Failure::new(Exit::Failed, "starting the HTTP client", &error.to_string())
        })?;
        Ok(Self {
            http,
            endpoint,
            base,
            token,
            project: RefCell::new(project),
            minor: Cell::new(MICROVERSION_MINOR),
        })
    }

    /// A Cinder path below `/v3/{project_id}`.
    pub(crate) fn cinder(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let project = self.project()?;
        self.call(method, &format!("/v3/{project}{path}"), &[], body)
    }

    /// One of Ashlar's own paths, below `/ashlar/v1`.
    pub(crate) fn ashlar(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        self.call(method, &format!("/ashlar/v1{path}"), &[], body)
    }

    /// A whole Cinder list, page by page.
    pub(crate) fn list(
        &self,
        path: &str,
        collection: &str,
        filters: &[(&str, &str)],
    ) -> Result<Vec<Value>, Failure> {
        let project = self.project()?;
        let path = format!("/v3/{project}{path}");
        let mut items: Vec<Value> = Vec::new();
        for _ in 0..PAGES_MAX {
            let marker = items.last().map(|item| text(item, "id"));
            let mut query = filters.to_vec();
            query.push(("limit", PAGE_MAX));
            if let Some(marker) = &marker {
                query.push(("marker", marker));
            }
            let answer = self.call(Method::Get, &path, &query, None)?;
            let page = answer.get(collection).and_then(Value::as_array).cloned();
            let page = page.ok_or_else(|| {
                Failure::new(
                    Exit::Failed,
                    &format!("listing {collection}"),
                    &format!("the answer holds no `{collection}`"),
                )
            })?;
            let is_last = answer.get(format!("{collection}_links")).is_none() || page.is_empty();
            items.extend(page);
            if is_last {
                return Ok(items);
            }
        }
        Err(Failure::new(
            Exit::Failed,
            &format!("listing {collection}"),
            "it is too long to show",
        )
        .hint("narrow it with a filter"))
    }

    /// The version document at the root, which needs no token.
    pub(crate) fn versions(&self) -> Result<Value, Failure> {
        self.call(Method::Get, "/", &[], None)
    }

    /// The endpoint, for people.
    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.to_string()
    }

    fn project(&self) -> Result<String, Failure> {
        if let Some(project) = &*self.project.borrow() {
            return Ok(project.clone());
        }
        let whoami = self
            .ashlar(Method::Get, "/whoami", None)
            .map_err(|failure| {
                let failure = failure.of("asking the server for your project");
                if failure.exit == Exit::NotFound {
                    failure.hint("this is a plain Cinder: name the project with --project")
                } else {
                    failure
                }
            })?;
        let project = text(&whoami, "project_id");
        *self.project.borrow_mut() = Some(project.clone());
        Ok(project)
    }

    fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let response = self.send(method, path, query, body)?;
        if response.status().as_u16() != 406 {
            return answer(response);
        }
        // An older server: ask how far its ladder goes and stay on it.
        let versions = answer(self.send(Method::Get, "/", &[], None)?)?;
        match minor_max(&versions) {
            Some(minor) if minor < self.minor.get() => {
                self.minor.set(minor);
                answer(self.send(method, path, query, body)?)
            }
            _ => answer(response),
        }
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Response, Failure> {
        let mut url = Url::parse(&format!("{}{path}", self.base)).map_err(|error| {
            Failure::new(
                Exit::Usage,
                &format!("asking for {path}"),
                &error.to_string(),
            )
        })?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let method = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut request = self
            .http
            .request(method, url)
            .header(
                "OpenStack-API-Version",
                format!("volume 3.{}", self.minor.get()),
            )
            .header("Accept", "application/json");
        if let Some(Token(token)) = &self.token {
            request = request.header("X-Auth-Token", token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut why = if error.is_timeout() {
            format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())
        } else {
            error.to_string()
        };
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            why = cause.to_string();
            source = cause.source();
        }
        let what = format!("talking to the daemon at {}", self.endpoint);
        Failure::new(Exit::Unreachable, &what, &why)
            .hint("is ashlard running there? set --endpoint or ASHLAR_ENDPOINT otherwise")
    }
}

/// The text of a field; empty when there is none.
pub(crate) fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

fn minor_max(versions: &Value) -> Option<u32> {
    let all = versions.get("versions")?.as_array()?;
    let v3 = all
        .iter()
        .find(|version| text(version, "id").starts_with("v3"))?;
    text(v3, "version").strip_prefix("3.")?.parse().ok()
}

fn answer(response: Response) -> Result<Value, Failure> {
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

/// Cinder wraps its sentence in one top-level key whose name varies.
fn fault_message(body: &Value) -> Option<String> {
    let fault = body.as_object()?.values().next()?;
    fault
        .get("message")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

fn refusal(code: u16, message: &str) -> Failure {
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
    fn endpoints_are_sockets_or_plain_http_with_or_without_v3() {
        let http = |text: &str| Endpoint::Http(text.to_owned());
        let unix = |text: &str| Endpoint::Unix(text.to_owned());
        assert_eq!(
            Endpoint::parse("unix:/run/a.sock").unwrap(),
            unix("/run/a.sock")
        );
        assert_eq!(
            Endpoint::parse("unix:///run/a.sock").unwrap(),
            unix("/run/a.sock")
        );
        assert_eq!(
            Endpoint::parse("http://h:8776").unwrap(),
            http("http://h:8776")
        );
        assert_eq!(
            Endpoint::parse("http://h:8776/v3/").unwrap(),
            http("http://h:8776")
        );
        for text in ["", "h:8776", "https://h", "/run/a.sock"] {
            assert_eq!(
                Endpoint::parse(text).unwrap_err().exit,
                Exit::Usage,
                "{text}"
            );
        }
    }

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
        assert!(refusal(400, " ").to_string().contains("no reason"));
    }

    #[test]
    fn a_token_is_not_shown_by_debug() {
        assert_eq!(
            format!("{:?}", Token::new("s3cret".to_owned())),
            "Token(hidden)"
        );
    }

    #[test]
    fn a_daemon_that_is_not_there_is_exit_9_with_what_to_do() {
        let client = Client::new(
            Endpoint::Unix("/nonexistent/api.sock".to_owned()),
            None,
            None,
        )
        .unwrap();
        let failure = client.versions().unwrap_err();
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(
            failure.to_string().contains("unix:/nonexistent/api.sock"),
            "{failure}"
        );
        assert!(failure.to_string().contains("ASHLAR_ENDPOINT"), "{failure}");
    }
}
