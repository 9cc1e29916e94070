//! The one HTTP edge: plain Cinder v3 over TCP or a unix socket, and Ashlar's own paths beside it.
//!
//! Must not know any verb or how an answer is shown. Failure paths: not reachable, no answer in time, a refusal (with
//! Cinder's sentence and the request id kept), an answer that is not JSON.

mod answer;
mod endpoint;
mod events;
mod pages;
mod trace;

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use reqwest::Url;
use reqwest::blocking::{RequestBuilder, Response};
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::places::{Api, Place};
use answer::{answer, minor_max};
pub(crate) use endpoint::Endpoint;
pub(crate) use events::Events;
pub(crate) use pages::Pages;
use trace::redacted;

/// The newest step of Cinder's ladder whose answers the verbs here were written against.
const MICROVERSION_MINOR: u32 = 66;
/// An attach waits for the target; everything else answers at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// A daemon on this machine or a rack away answers a connect at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
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
        Pages::new(self, place, list, query, limit, marker)
    }

    /// The changes after the event `since`; from now on without it.
    pub(crate) fn events(&self, since: Option<u64>) -> Events<'_> {
        Events::new(self, since)
    }

    /// Asks for a stream, which is read as it comes and ends after a while.
    fn stream(&self, ask: &Ask<'_>) -> Result<Response, Failure> {
        let request = self.request(ask)?;
        let response = request
            .header("Accept", "text/event-stream")
            .timeout(events::STREAM_TIMEOUT)
            .send()
            .map_err(|error| self.unreachable(&error))?;
        if response.status().as_u16() < 400 {
            return Ok(response);
        }
        // A refusal is a text like any other.
        match answer(response) {
            Err(failure) => Err(failure),
            Ok(_) => Err(Failure::new(
                Exit::Failed,
                "reading the stream",
                "it is none",
            )),
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
                if failure.status() == Some(404) {
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
        let request = self.request(ask)?.header("Accept", "application/json");
        let response = request.send().map_err(|error| self.unreachable(&error))?;
        if self.is_traced {
            let _ = writeln!(std::io::stderr(), "# {}", response.status());
        }
        Ok(response)
    }

    fn request(&self, ask: &Ask<'_>) -> Result<RequestBuilder, Failure> {
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
            .header("OpenStack-API-Version", version);
        if let Some(if_match) = ask.if_match {
            request = request.header("If-Match", if_match);
        }
        if let Some(Token(token)) = &self.token {
            request = request.header("X-Auth-Token", token);
        }
        if let Some(body) = ask.body {
            request = request.json(body);
        }
        Ok(request)
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

/// The text of a field; empty when there is none.
pub(crate) fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod stand_in;
#[cfg(test)]
mod tests;
