//! HTTP and `serde_json::Value`: what any client could send, also what none should.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::Method;
use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::Result;
use crate::wait::{SOON, wait_for};

/// The ladder step that tests speak unless they say otherwise.
pub const MICROVERSION: &str = "3.66";
/// An answer that takes longer is a hang.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// Somebody who calls the daemon.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::blocking::Client,
    base: String,
    /// The token to send, if any.
    pub token: Option<String>,
    /// The project in the path.
    pub project: String,
    /// The microversion to ask for; none leaves the header out.
    pub microversion: Option<String>,
    /// How long things may take to come about.
    pub patience: Duration,
}

/// An answer, whatever it is.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as JSON; `Null` when it is empty or something else.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Cinder's sentence, if this is one of its refusals.
    pub fn message(&self) -> &str {
        let fault = self.body.as_object().and_then(|body| body.values().next());
        fault
            .and_then(|fault| fault["message"].as_str())
            .unwrap_or_default()
    }

    /// Demands this status.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(
            self.status == status,
            "wanted {status}, got {}: {}",
            self.status,
            self.text
        );
        Ok(self)
    }

    /// Demands a refusal as Cinder words it: the code in the body too, the right fault name, a sentence.
    pub fn expect_fault(self, status: u16) -> Result<Self> {
        let answer = self.expect(status)?;
        answer.ensure_is_fault()?;
        Ok(answer)
    }

    /// Demands the form of Cinder's refusals, whatever the code.
    pub fn ensure_is_fault(&self) -> Result<()> {
        let name = match self.status {
            400 => "badRequest",
            // As keystone's middleware words it, in front of every Cinder.
            401 => "error",
            403 => "forbidden",
            404 => "itemNotFound",
            405 => "badMethod",
            409 => "conflictingRequest",
            413 => "overLimit",
            415 => "badMediaType",
            501 => "notImplemented",
            503 => "serviceUnavailable",
            _ => "computeFault",
        };
        let fault = &self.body[name];
        ensure!(
            fault["code"] == self.status,
            "{}: no {name} in {}",
            self.status,
            self.text
        );
        ensure!(
            fault["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{}",
            self.text
        );
        ensure!(
            self.header("x-compute-request-id").is_some(),
            "no request id: {self:?}"
        );
        Ok(())
    }
}

impl Client {
    /// Over a unix socket.
    pub fn unix(socket: &Path) -> Result<Self> {
        let http = builder().unix_socket(socket).build()?;
        Ok(Self::new(http, "http://localhost".to_owned()))
    }

    /// Over a unix socket that leads elsewhere: a connection that lies idle may have ended there by the time it is used,
    /// so each request has its own.
    pub fn forwarded(socket: &Path, patience: Duration) -> Result<Self> {
        let http = builder().pool_max_idle_per_host(0).unix_socket(socket);
        let client = Self::new(http.build()?, "http://localhost".to_owned());
        Ok(Self { patience, ..client })
    }

    /// Over TCP.
    pub fn tcp(addr: &str) -> Result<Self> {
        Ok(Self::new(builder().build()?, format!("http://{addr}")))
    }

    fn new(http: reqwest::blocking::Client, base: String) -> Self {
        Self {
            http,
            base,
            token: None,
            project: "admin".to_owned(),
            microversion: Some(MICROVERSION.to_owned()),
            patience: SOON,
        }
    }

    /// The same caller asking for another microversion.
    pub fn at(&self, microversion: &str) -> Self {
        Self {
            microversion: Some(microversion.to_owned()),
            ..self.clone()
        }
    }

    /// The same caller without the microversion header.
    pub fn without_microversion(&self) -> Self {
        Self {
            microversion: None,
            ..self.clone()
        }
    }

    /// The same caller on another project's path.
    pub fn in_project(&self, project: &str) -> Self {
        Self {
            project: project.to_owned(),
            ..self.clone()
        }
    }

    /// The same address with a token.
    pub fn with_token(&self, token: &str, project: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            project: project.to_owned(),
            ..self.clone()
        }
    }

    /// The same caller, in the project that the daemon says is its own.
    pub fn at_home(&self) -> Result<Self> {
        let whoami = self.ashlar(Method::GET, "/whoami", None)?.expect(200)?;
        let project = whoami.body["project_id"]
            .as_str()
            .context("whoami names no project")?;
        Ok(Self {
            project: project.to_owned(),
            ..self.clone()
        })
    }

    /// Whether anything answers.
    pub fn is_up(&self) -> bool {
        self.send(Method::GET, "/", &[], None).is_ok()
    }

    /// Any request at all. An error means that no answer came.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(microversion) = &self.microversion {
            request = request.header("OpenStack-API-Version", format!("volume {microversion}"));
        }
        if let Some(token) = &self.token {
            request = request.header("X-Auth-Token", token);
        }
        if body.is_some() && !headers.iter().any(|(name, _)| *name == "Content-Type") {
            request = request.header("Content-Type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        read(request.send()?)
    }

    /// A Cinder path below `/v3/{project}`.
    pub fn cinder(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let path = format!("/v3/{}{path}", self.project);
        self.send(
            method,
            &path,
            &[],
            body.map(|body| body.to_string().into_bytes()),
        )
    }

    /// One of Ashlar's own paths.
    pub fn ashlar(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let path = format!("/ashlar/v1{path}");
        self.send(
            method,
            &path,
            &[],
            body.map(|body| body.to_string().into_bytes()),
        )
    }

    /// GET of a Cinder path.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.cinder(Method::GET, path, None)
    }

    /// POST to a Cinder path.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.cinder(Method::POST, path, Some(body))
    }

    /// PUT to a Cinder path.
    pub fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.cinder(Method::PUT, path, Some(body))
    }

    /// DELETE of a Cinder path.
    pub fn delete(&self, path: &str) -> Result<Answer> {
        self.cinder(Method::DELETE, path, None)
    }

    /// All objects of a list in the callers' project.
    pub fn all(&self, path: &str, collection: &str) -> Result<Vec<Value>> {
        let answer = self.get(path)?.expect(200)?;
        let items = answer.body[collection].as_array();
        items
            .cloned()
            .with_context(|| format!("no {collection} in {}", answer.text))
    }

    /// Operations of the journal that have not ended.
    pub fn live_operations(&self) -> Result<Vec<Value>> {
        let answer = self.ashlar(Method::GET, "/operations", None)?.expect(200)?;
        let all = answer.body["operations"]
            .as_array()
            .context("no `operations`")?;
        let is_live = |operation: &&Value| {
            let phase = operation["phase"].as_str().unwrap_or_default();
            ["queued", "running", "undoing"].contains(&phase)
        };
        Ok(all.iter().filter(is_live).cloned().collect())
    }

    /// Until no operation is live.
    pub fn wait_quiet(&self) -> Result<()> {
        wait_for("the operations to end", self.patience, || {
            Ok(self.live_operations()?.is_empty().then_some(()))
        })
        .with_context(|| format!("{:?}", self.live_operations()))
    }

    /// Makes an object and waits until it is in `status`.
    pub fn make(&self, path: &str, key: &str, body: &Value, status: &str) -> Result<Value> {
        let answer = self.post(path, &json!({ key: body }))?;
        ensure!(
            [200, 202].contains(&answer.status),
            "POST {path}: {}",
            answer.text
        );
        let id = answer.body[key]["id"].as_str().context("no id")?.to_owned();
        self.wait_status(path, key, &id, status)
    }

    /// A volume of this size, once it is available.
    pub fn make_volume(&self, name: &str, size_gib: u64) -> Result<Value> {
        let body = json!({"name": name, "size": size_gib});
        self.make("/volumes", "volume", &body, "available")
    }

    /// Until the object is in `status`; another status that lasts is told of at once.
    pub fn wait_status(&self, path: &str, key: &str, id: &str, status: &str) -> Result<Value> {
        let mut seen = String::new();
        let found = wait_for(&format!("{key} {id} to be {status}"), self.patience, || {
            let item = self.get(&format!("{path}/{id}"))?.expect(200)?.body[key].clone();
            seen = item["status"].as_str().unwrap_or_default().to_owned();
            if seen.starts_with("error") && seen != status {
                bail!("{key} {id} should become {status} and is {seen}");
            }
            Ok((seen == status).then_some(item))
        });
        found.with_context(|| format!("it is {seen}"))
    }

    /// Until the object is gone.
    pub fn wait_gone(&self, path: &str, id: &str) -> Result<()> {
        wait_for(&format!("{path}/{id} to go"), self.patience, || {
            let answer = self.get(&format!("{path}/{id}"))?;
            ensure!([200, 404].contains(&answer.status), "{}", answer.text);
            let text = answer.body.to_string();
            ensure!(
                !text.contains("\"error_deleting\""),
                "{path}/{id} cannot be deleted: {text}"
            );
            Ok((answer.status == 404).then_some(()))
        })
    }

    /// Deletes and waits until it is gone.
    pub fn destroy(&self, path: &str, id: &str) -> Result<()> {
        self.delete(&format!("{path}/{id}"))?.expect(202)?;
        self.wait_gone(path, id)
    }

    /// An action on a volume that is answered with `status`.
    pub fn act(&self, volume_id: &str, action: &str, body: &Value, status: u16) -> Result<Answer> {
        let path = format!("/volumes/{volume_id}/action");
        self.post(&path, &json!({ action: body }))?
            .expect(status)
            .with_context(|| action.to_owned())
    }
}

/// The id of an object.
pub fn id(item: &Value) -> Result<String> {
    item["id"]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no id in {item}"))
}

fn builder() -> reqwest::blocking::ClientBuilder {
    reqwest::blocking::Client::builder()
        .timeout(ANSWER_DEADLINE)
        .no_proxy()
}

fn read(response: Response) -> Result<Answer> {
    let status = response.status().as_u16();
    let headers = response.headers().iter().map(|(name, value)| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    let headers = headers.collect();
    let text = String::from_utf8_lossy(&response.bytes()?).into_owned();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Answer {
        status,
        headers,
        body,
        text,
    })
}
