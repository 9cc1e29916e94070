//! HTTP, as the console speaks it: short waits, bounded answers, refusals with their id and their wish to wait.

use std::io::Read as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::Value;

use super::super::change::{Call, Method};
use super::super::event::{Trouble, Whoami};
use super::super::item::word;
use super::super::text::clean;

/// A daemon on this machine or a rack away answers a connect at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A question that takes longer has no answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(30);
/// An attach waits for the target.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(120);
/// A page of 500 volumes is some 700 KiB.
const ANSWER_BYTES_MAX: u64 = 32 << 20;
/// The newest step of Cinder's ladder whose answers are read here.
const MICROVERSION_MINOR: u32 = 66;
/// So that a stream to a machine that vanished ends.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Where the daemon listens, and as whom.
#[derive(Clone)]
pub(crate) struct Place {
    /// The path of a unix socket; else TCP.
    pub(crate) socket: Option<String>,
    /// `http://host:port`.
    pub(crate) base: String,
    /// The token, never shown.
    pub(crate) token: Option<String>,
    /// The project, when it was named.
    pub(crate) project: Option<String>,
}

/// The HTTP side.
pub(crate) struct Http {
    client: Client,
    streams: Client,
    place: Place,
    whoami: Mutex<Option<Whoami>>,
    minor: Mutex<u32>,
}

impl Http {
    /// Connects to nothing yet.
    pub(crate) fn new(place: Place) -> Result<Self, reqwest::Error> {
        let builder = || {
            let builder = Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .tcp_keepalive(KEEPALIVE)
                .no_proxy();
            match &place.socket {
                Some(path) => builder.unix_socket(path.as_str()),
                None => builder,
            }
        };
        Ok(Self {
            client: builder().timeout(ASK_TIMEOUT).build()?,
            streams: builder().timeout(None).build()?,
            place,
            whoami: Mutex::new(None),
            minor: Mutex::new(MICROVERSION_MINOR),
        })
    }

    /// Who the console is; asked once.
    pub(super) fn whoami(&self) -> Result<Whoami, Trouble> {
        if let Some(whoami) = self
            .whoami
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
        {
            return Ok(whoami);
        }
        let mut whoami = match self.get("/ashlar/v1/whoami") {
            Ok(value) => Whoami {
                user: word(&value, "user_id"),
                project: word(&value, "project_id"),
                role: word(&value, "role"),
                version: word(&value, "version"),
            },
            // A plain Cinder does not say; the project must have been named.
            Err(trouble) if trouble.code == 404 && self.place.project.is_some() => {
                Whoami::default()
            }
            Err(trouble) => return Err(trouble),
        };
        if let Some(project) = &self.place.project {
            whoami.project.clone_from(project);
        }
        *self.whoami.lock().unwrap_or_else(PoisonError::into_inner) = Some(whoami.clone());
        Ok(whoami)
    }

    /// GET of a Cinder path below the project.
    pub(super) fn cinder(&self, path: &str) -> Result<Value, Trouble> {
        let project = self.whoami()?.project;
        self.get(&format!("/v3/{project}{path}"))
    }

    /// GET of one of Ashlar's own paths.
    pub(super) fn own(&self, path: &str) -> Result<Value, Trouble> {
        self.get(&format!("/ashlar/v1{path}"))
    }

    /// POST of a question to one of Ashlar's own paths: what it asks about is not done.
    pub(super) fn question(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        let request = self
            .client
            .post(format!("{}/ashlar/v1{path}", self.place.base))
            .json(body);
        self.answer(request)
    }

    fn get(&self, path: &str) -> Result<Value, Trouble> {
        let request = || self.client.get(format!("{}{path}", self.place.base));
        match self.answer(request()) {
            Err(trouble) if trouble.code == 406 && self.step_down() => self.answer(request()),
            other => other,
        }
    }

    /// The event stream from after an id.
    pub(super) fn stream(&self, since: Option<u64>) -> Result<Response, Trouble> {
        let query = since
            .map(|since| format!("?since={since}"))
            .unwrap_or_default();
        let request = self
            .streams
            .get(format!("{}/ashlar/v1/events{query}", self.place.base));
        let response = self
            .known(request)
            .header("Accept", "text/event-stream")
            .send();
        let response = response.map_err(|error| lost(&error))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(refusal(response))
        }
    }

    /// A change; the only requests that do anything.
    pub(super) fn change(&self, call: &Call, plan_hash: Option<&str>) -> Result<Value, Trouble> {
        let path = match call.is_cinder {
            true => format!("/v3/{}{}", self.whoami()?.project, call.path),
            false => format!("/ashlar/v1{}", call.path),
        };
        let url = format!("{}{path}", self.place.base);
        let mut request = match call.method {
            Method::Post => self.client.post(url),
            Method::Delete => self.client.delete(url),
        };
        request = request.timeout(CHANGE_TIMEOUT);
        if let Some(hash) = plan_hash {
            request = request.header("If-Match", format!("\"plan-{hash}\""));
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        self.answer(request)
    }

    fn known(&self, request: RequestBuilder) -> RequestBuilder {
        let minor = *self.minor.lock().unwrap_or_else(PoisonError::into_inner);
        let request = request.header("OpenStack-API-Version", format!("volume 3.{minor}"));
        match &self.place.token {
            Some(token) => request.header("X-Auth-Token", token),
            None => request,
        }
    }

    fn answer(&self, request: RequestBuilder) -> Result<Value, Trouble> {
        let response = self
            .known(request)
            .header("Accept", "application/json")
            .send()
            .map_err(|error| lost(&error))?;
        if !response.status().is_success() {
            return Err(refusal(response));
        }
        let mut body = Vec::new();
        let read = response.take(ANSWER_BYTES_MAX).read_to_end(&mut body);
        read.map_err(|error| Trouble::lost(&format!("the answer broke off: {error}")))?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| Trouble {
            code: 502,
            ..Trouble::lost(&format!("the answer is not JSON: {error}"))
        })
    }

    /// An older Cinder: stays on the end of its ladder.
    fn step_down(&self) -> bool {
        let Ok(versions) = self.answer(self.client.get(format!("{}/", self.place.base))) else {
            return false;
        };
        let all = versions.get("versions").and_then(Value::as_array);
        let v3 = all
            .into_iter()
            .flatten()
            .find(|version| word(version, "id").starts_with("v3"));
        let newest = v3.and_then(|version| {
            word(version, "version")
                .strip_prefix("3.")?
                .parse::<u32>()
                .ok()
        });
        let mut minor = self.minor.lock().unwrap_or_else(PoisonError::into_inner);
        match newest {
            Some(newest) if newest < *minor => {
                *minor = newest;
                true
            }
            _ => false,
        }
    }
}

/// No answer: the innermost cause says most.
fn lost(error: &reqwest::Error) -> Trouble {
    let mut why = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        error.to_string()
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        why = match cause
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind)
        {
            Some(std::io::ErrorKind::NotFound) => "no socket there: is ashlard running?".to_owned(),
            Some(std::io::ErrorKind::ConnectionRefused) => {
                "connection refused: is ashlard running?".to_owned()
            }
            _ => cause.to_string(),
        };
        source = cause.source();
    }
    Trouble::lost(&why)
}

fn refusal(response: Response) -> Trouble {
    let header = |name: &str| {
        let value = response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.map(clean).unwrap_or_default()
    };
    let request_id = [
        header("x-compute-request-id"),
        header("x-openstack-request-id"),
    ];
    let request_id = request_id
        .into_iter()
        .find(|id| !id.is_empty())
        .unwrap_or_default();
    let retry_after_s = header("retry-after").parse().ok();
    let code = response.status().as_u16();
    let mut body = String::new();
    // Half a sentence is better than none.
    let _ = response.take(64 << 10).read_to_string(&mut body);
    let parsed = serde_json::from_str::<Value>(&body).ok();
    let fault = parsed
        .as_ref()
        .and_then(Value::as_object)
        .and_then(|fault| fault.values().next());
    let message = fault
        .map(|fault| word(fault, "message"))
        .filter(|message| !message.is_empty());
    let why = message.unwrap_or_else(|| clean(body.trim()));
    Trouble {
        code,
        why,
        request_id,
        retry_after_s,
    }
}
