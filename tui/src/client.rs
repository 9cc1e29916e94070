//! The one HTTP edge: plain Cinder v3 over TCP or a unix socket, and Ashlar's own paths beside it.
//!
//! Must not know any verb or how an answer is shown. Failure paths: not reachable, no answer in time, a refusal (with
//! Cinder's sentence and the request id kept), an answer that is not JSON.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use reqwest::Url;
use reqwest::blocking::Response;
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::places::{Api, Place};
use crate::text::{harmless, shell_quoted};

/// The newest step of Cinder's ladder whose answers the verbs here were written against.
const MICROVERSION_MINOR: u32 = 66;
/// An attach waits for the target; everything else answers at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// A daemon on this machine or a rack away answers a connect at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What a page of a list may hold (Cinder's own limit).
const PAGE_MAX: usize = 1000;
/// A million objects; they are written as they come, so this only ends a server that never ends its list.
const PAGES_MAX: usize = 1000;

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

impl Method {
    /// As HTTP spells it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }
}

/// The server, as this call sees it.
pub(crate) struct Client {
    /// Made at the first call: a usage error or `--help` needs none.
    http: OnceCell<reqwest::blocking::Client>,
    endpoint: Endpoint,
    token: Option<Token>,
    project: RefCell<Option<String>>,
    minor: Cell<u32>,
    writes: Writes,
    is_traced: bool,
    answer_timeout: Duration,
}

/// What becomes of calls that change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    /// They are sent.
    Sent,
    /// They are told and not sent (`--dry-run`).
    Told,
    /// They are refused (`ASHLAR_READONLY`).
    Refused,
}

/// One request.
struct Ask<'a> {
    method: Method,
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
    body: Option<&'a Value>,
    if_match: Option<&'a str>,
}

impl Client {
    /// Connects to nothing yet. With `is_traced` each call is told on standard error, without secrets.
    pub(crate) fn new(
        endpoint: Endpoint,
        token: Option<Token>,
        project: Option<String>,
        writes: Writes,
        is_traced: bool,
    ) -> Self {
        Self {
            http: OnceCell::new(),
            endpoint,
            token,
            project: RefCell::new(project),
            minor: Cell::new(MICROVERSION_MINOR),
            writes,
            is_traced,
            answer_timeout: ANSWER_TIMEOUT,
        }
    }

    /// The same, with less patience.
    pub(crate) fn hurried(self, answer_timeout: Duration) -> Self {
        Self {
            answer_timeout,
            ..self
        }
    }

    fn http(&self) -> Result<&reqwest::blocking::Client, Failure> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let mut builder = reqwest::blocking::Client::builder()
            .timeout(self.answer_timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(self.answer_timeout))
            .no_proxy();
        if let Endpoint::Unix(path) = &self.endpoint {
            builder = builder.unix_socket(path.as_str());
        }
        let http = builder.build().map_err(|error| {
            Failure::new(Exit::Failed, "starting the HTTP client", &error.to_string())
        })?;
        Ok(self.http.get_or_init(|| http))
    }

    /// A Cinder path below `/v3/{project_id}`.
    pub(crate) fn cinder(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        self.at(Api::Cinder, method, path, body)
    }

    /// One of Ashlar's own paths, below `/ashlar/v1`.
    pub(crate) fn ashlar(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        self.at(Api::Ashlar, method, path, body)
    }

    /// A path of either API.
    pub(crate) fn at(
        &self,
        api: Api,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        self.guarded(api, method, path, body, None)
    }

    /// The same, done only if the thing is still as `if_match` says.
    pub(crate) fn guarded(
        &self,
        api: Api,
        method: Method,
        path: &str,
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Result<Value, Failure> {
        let path = self.whole_path(api, path)?;
        if method != Method::Get {
            self.may_write(method, &path, body)?;
        }
        self.call(&Ask {
            method,
            path: &path,
            query: &[],
            body,
            if_match,
        })
    }

    /// A POST to one of Ashlar's own paths that only reckons and changes nothing, hence also sent in a dry run.
    pub(crate) fn reckon(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let path = self.whole_path(Api::Ashlar, path)?;
        self.call(&Ask {
            method: Method::Post,
            path: &path,
            query: &[],
            body: Some(body),
            if_match: None,
        })
    }

    /// A GET with a query.
    pub(crate) fn get(
        &self,
        api: Api,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        let path = self.whole_path(api, path)?;
        self.call(&Ask {
            method: Method::Get,
            path: &path,
            query,
            body: None,
            if_match: None,
        })
    }

    /// A GET that changes something, as Cinder has a few.
    pub(crate) fn changing_get(&self, api: Api, path: &str) -> Result<Value, Failure> {
        let path = self.whole_path(api, path)?;
        self.may_write(Method::Get, &path, None)?;
        self.call(&Ask {
            method: Method::Get,
            path: &path,
            query: &[],
            body: None,
            if_match: None,
        })
    }

    /// The last fence before anything is changed: whatever a verb does, a dry run sends nothing that changes a thing.
    fn may_write(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(), Failure> {
        match self.writes {
            Writes::Sent => Ok(()),
            Writes::Refused => Err(Failure::new(
                Exit::NotAllowed,
                &format!("{} {path}", method.word()),
                "ASHLAR_READONLY is set, or the context is read-only",
            )
            .unchanged()),
            Writes::Told => {
                let body = body
                    .map(|body| format!(" {}", redacted(body)))
                    .unwrap_or_default();
                Err(Failure::would(&format!("{} {path}{body}", method.word())))
            }
        }
    }

    fn whole_path(&self, api: Api, path: &str) -> Result<String, Failure> {
        match api {
            Api::Cinder => Ok(format!("/v3/{}{path}", self.project()?)),
            Api::Ashlar => Ok(format!("/ashlar/v1{path}")),
            Api::Local => Ok(path.to_owned()),
        }
    }

    /// A list, page by page as it is read; at most `limit` objects, those after `marker`.
    pub(crate) fn pages<'a>(
        &'a self,
        place: &Place,
        query: &[(&str, &str)],
        limit: Option<usize>,
        marker: Option<&str>,
    ) -> Pages<'a> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let (list, fixed) = place.list.split_once('?').unwrap_or((place.list, ""));
        let mut query: Vec<(String, String)> = query.iter().map(owned).collect();
        let fixed = fixed.split('&').filter_map(|pair| pair.split_once('='));
        query.extend(fixed.map(|pair| owned(&pair)));
        Pages {
            client: self,
            api: place.api,
            list: list.to_owned(),
            collection: place.collection,
            id: place.id,
            is_paged: place.is_paged,
            query,
            marker: marker.map(str::to_owned),
            left: limit,
            pages_left: PAGES_MAX,
            is_over: false,
        }
    }

    /// The version document at the root, which needs no token.
    pub(crate) fn versions(&self) -> Result<Value, Failure> {
        self.call(&Ask::root())
    }

    /// The endpoint, for people.
    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.to_string()
    }

    /// The project that calls are made in; asked of the server once when it was not set.
    pub(crate) fn project(&self) -> Result<String, Failure> {
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

    fn call(&self, ask: &Ask<'_>) -> Result<Value, Failure> {
        let response = self.send(ask)?;
        if response.status().as_u16() != 406 {
            return answer(response);
        }
        // An older server: ask how far its ladder goes and stay on it.
        let versions = answer(self.send(&Ask::root())?)?;
        match minor_max(&versions) {
            Some(minor) if minor < self.minor.get() => {
                self.minor.set(minor);
                answer(self.send(ask)?)
            }
            _ => answer(response),
        }
    }

    fn send(&self, ask: &Ask<'_>) -> Result<Response, Failure> {
        let base = match &self.endpoint {
            Endpoint::Unix(_) => "http://localhost",
            Endpoint::Http(base) => base,
        };
        let mut url = Url::parse(&format!("{base}{}", ask.path)).map_err(|error| {
            let what = format!("asking for {}", ask.path);
            Failure::new(Exit::Usage, &what, &error.to_string())
        })?;
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(ask.query);
        }
        let version = format!("volume 3.{}", self.minor.get());
        if self.is_traced {
            self.trace(ask, &url, &version);
        }
        let method = ask.method;
        let method = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut request = self
            .http()?
            .request(method, url)
            .header("OpenStack-API-Version", version)
            .header("Accept", "application/json");
        if let Some(if_match) = ask.if_match {
            request = request.header("If-Match", if_match);
        }
        if let Some(Token(token)) = &self.token {
            request = request.header("X-Auth-Token", token);
        }
        if let Some(body) = ask.body {
            request = request.json(body);
        }
        let response = request.send().map_err(|error| self.unreachable(&error))?;
        if self.is_traced {
            let _ = writeln!(std::io::stderr(), "# {}", response.status());
        }
        Ok(response)
    }

    /// The call as a line for curl that says nothing secret.
    fn trace(&self, ask: &Ask<'_>, url: &Url, version: &str) {
        let socket = match &self.endpoint {
            Endpoint::Unix(path) => format!(" --unix-socket {}", shell_quoted(path)),
            Endpoint::Http(_) => String::new(),
        };
        let mut line = format!(
            "curl -s -X {}{socket} {} -H 'OpenStack-API-Version: {version}'",
            ask.method.word(),
            shell_quoted(url.as_str())
        );
        if self.token.is_some() {
            line.push_str(" -H \"X-Auth-Token: $ASHLAR_TOKEN\"");
        }
        if let Some(if_match) = ask.if_match {
            line.push_str(&format!(
                " -H {}",
                shell_quoted(&format!("If-Match: {if_match}"))
            ));
        }
        if let Some(body) = ask.body {
            let body = shell_quoted(&redacted(body).to_string());
            line.push_str(&format!(" -H 'Content-Type: application/json' -d {body}"));
        }
        let _ = writeln!(std::io::stderr(), "{}", harmless(&line));
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut why = if error.is_timeout() {
            format!("no answer within {} s", self.answer_timeout.as_secs())
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

impl Ask<'_> {
    const fn root() -> Self {
        Self {
            method: Method::Get,
            path: "/",
            query: &[],
            body: None,
            if_match: None,
        }
    }
}

/// A list as it is read from the server.
pub(crate) struct Pages<'a> {
    client: &'a Client,
    api: Api,
    list: String,
    collection: &'static str,
    id: &'static str,
    is_paged: bool,
    query: Vec<(String, String)>,
    marker: Option<String>,
    left: Option<usize>,
    pages_left: usize,
    is_over: bool,
}

impl Pages<'_> {
    fn read(&mut self) -> Result<Vec<Value>, Failure> {
        let collection = self.collection;
        let failed = |why: &str| Failure::new(Exit::Failed, &format!("listing {collection}"), why);
        if self.pages_left == 0 {
            return Err(failed("it is too long to show").hint("narrow it with a filter"));
        }
        self.pages_left -= 1;
        let size = self.left.unwrap_or(PAGE_MAX).min(PAGE_MAX).to_string();
        let mut query: Vec<(&str, &str)> = self
            .query
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        if self.is_paged {
            query.push(("limit", &size));
            if let Some(marker) = &self.marker {
                query.push(("marker", marker));
            }
        }
        let answer = self.client.get(self.api, &self.list, &query)?;
        let page = answer.get(collection).and_then(Value::as_array).cloned();
        let mut page =
            page.ok_or_else(|| failed(&format!("the answer holds no `{collection}`")))?;
        if let Some(left) = &mut self.left {
            page.truncate(*left);
            *left -= page.len();
        }
        // Cinder says with a link that there is more; Ashlar's own lists say it with a full page.
        let has_more = match self.api {
            Api::Cinder => answer.get(format!("{collection}_links")).is_some(),
            Api::Ashlar | Api::Local => page.len() >= PAGE_MAX,
        };
        self.is_over = !self.is_paged || page.is_empty() || !has_more || self.left == Some(0);
        self.marker = page.last().map(|item| text(item, self.id));
        Ok(page)
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Vec<Value>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let page = self.read();
        self.is_over |= page.is_err();
        Some(page)
    }
}

/// Keys whose values no log may hold.
const SECRET_KEYS: &[&str] = &["auth_key", "auth_password", "password", "secret", "token"];

/// The same without what is secret.
fn redacted(body: &Value) -> Value {
    match body {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let is_secret = SECRET_KEYS.contains(&key.as_str()) && value.is_string();
                let value = if is_secret {
                    Value::from("(hidden)")
                } else {
                    redacted(value)
                };
                (key.clone(), value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(redacted).collect(),
        other => other.clone(),
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
            Writes::Sent,
            false,
        );
        let failure = client.versions().unwrap_err();
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(
            failure.to_string().contains("unix:/nonexistent/api.sock"),
            "{failure}"
        );
        assert!(failure.to_string().contains("ASHLAR_ENDPOINT"), "{failure}");
    }
}
