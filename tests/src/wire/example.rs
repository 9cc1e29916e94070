//! An example as its file says it. A misspelt key is an error: an example that is not read tests nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Map, Value};

use crate::{Result, binary};

/// What an example shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It is done.
    Success,
    /// The object's status does not allow it.
    WrongState,
    /// The caller may not.
    Forbidden,
    /// There is no such object.
    NotFound,
    /// The request cannot be right.
    BadInput,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [
        Kind::Success,
        Kind::WrongState,
        Kind::Forbidden,
        Kind::NotFound,
        Kind::BadInput,
    ];

    /// As files say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Success => "success",
            Kind::WrongState => "wrong_state",
            Kind::Forbidden => "forbidden",
            Kind::NotFound => "not_found",
            Kind::BadInput => "bad_input",
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let found = Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.with_context(|| format!("there is no kind {text:?}"))
    }

    /// Whether an answer of this code can show it.
    fn allows(self, code: u16) -> bool {
        match self {
            Kind::Success => (200..400).contains(&code),
            // 503: the service that would do it is not there.
            Kind::WrongState => [400, 409, 503].contains(&code),
            // Objects of others do not exist, and their projects are malformed paths.
            Kind::Forbidden => [400, 401, 403, 404].contains(&code),
            Kind::NotFound => code == 404,
            Kind::BadInput => [400, 406, 413, 415].contains(&code),
        }
    }
}

/// A request and its answer.
#[derive(Debug, Clone)]
pub struct Example {
    /// The noun's file, for messages.
    pub noun: String,
    /// What it is about.
    pub name: String,
    /// What it shows.
    pub kind: Kind,
    /// The route of the table, `METHOD /path/{id}`.
    pub route: String,
    /// The action, on routes where the body names one.
    pub action: Option<String>,
    /// The microversion that is asked for.
    pub at: String,
    /// Who asks.
    pub role: String,
    /// Steps that bring about what it needs.
    pub given: Vec<String>,
    /// Steps that put back what all examples share.
    pub after: Vec<String>,
    /// The path as sent.
    pub path: String,
    /// The body as sent.
    pub send: Option<Value>,
    /// The code of the answer.
    pub code: u16,
    /// The body of the answer; for refusals its message is enough.
    pub body: Option<Value>,
    /// The message of a refusal.
    pub message: Option<String>,
}

/// A kind that a route or an action cannot show, and why.
#[derive(Debug, Clone)]
pub struct Cannot {
    /// The route.
    pub route: String,
    /// The action, if only that cannot.
    pub action: Option<String>,
    /// The kind.
    pub kind: Kind,
}

/// Everything in the files.
#[derive(Debug, Default)]
pub struct Examples {
    /// The examples.
    pub all: Vec<Example>,
    /// The exceptions.
    pub cannot: Vec<Cannot>,
}

/// Where the files are.
pub fn directory() -> PathBuf {
    binary::workspace().join("tests/fixtures/cinder")
}

/// A JSON file below it.
pub fn read_file(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

impl Examples {
    /// Reads every noun's file.
    pub fn read() -> Result<Self> {
        let mut found = Self::default();
        let mut paths: Vec<PathBuf> = std::fs::read_dir(directory())?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        paths.sort();
        for path in paths {
            let noun = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            // What nouns share is no noun.
            if noun.starts_with('_') {
                continue;
            }
            let file = read_file(&path)?;
            found
                .take(&noun, &file)
                .with_context(|| path.display().to_string())?;
        }
        ensure!(!found.all.is_empty(), "there are no examples");
        Ok(found)
    }

    fn take(&mut self, noun: &str, file: &Value) -> Result<()> {
        let file = Reading::of(file, &["examples", "cannot"])?;
        for value in file.list("examples")? {
            let example =
                Example::parse(noun, value).with_context(|| format!("{}", value["name"]))?;
            let is_twice = self
                .all
                .iter()
                .any(|other| other.name == example.name && other.noun == noun);
            ensure!(!is_twice, "two examples are called {:?}", example.name);
            self.all.push(example);
        }
        for value in file.list("cannot")? {
            let one = Reading::of(value, &["route", "action", "kinds", "why"])?;
            ensure!(!one.text("why")?.is_empty(), "no reason: {value}");
            for kind in one.list("kinds")? {
                self.cannot.push(Cannot {
                    route: one.text("route")?,
                    action: one.optional("action")?,
                    kind: Kind::parse(kind.as_str().unwrap_or_default())?,
                });
            }
        }
        Ok(())
    }
}

impl Example {
    fn parse(noun: &str, value: &Value) -> Result<Self> {
        let keys = [
            "name", "kind", "route", "action", "at", "as", "given", "after", "path", "send",
            "code", "body", "message",
        ];
        let said = Reading::of(value, &keys)?;
        let steps = |key: &str| -> Result<Vec<String>> {
            let texts = said.list(key)?.iter();
            let texts = texts.map(|one| one.as_str().map(str::to_owned));
            texts
                .collect::<Option<_>>()
                .with_context(|| format!("a step of {key:?} is no text"))
        };
        let code = said
            .map
            .get("code")
            .and_then(Value::as_u64)
            .context("no code")?;
        let example = Self {
            noun: noun.to_owned(),
            name: said.text("name")?,
            kind: Kind::parse(&said.text("kind")?)?,
            route: said.text("route")?,
            action: said.optional("action")?,
            at: said.text("at")?,
            role: said.text("as")?,
            given: steps("given")?,
            after: steps("after")?,
            path: said.text("path")?,
            send: said.map.get("send").cloned(),
            code: u16::try_from(code)?,
            body: said.map.get("body").cloned(),
            message: said.optional("message")?,
        };
        ensure!(
            example.kind.allows(example.code),
            "{} does not show that",
            example.code
        );
        ensure!(
            example.code < 400 || example.message.is_some() || example.body.is_some(),
            "a refusal says its message"
        );
        Ok(example)
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.route.split(' ').next().unwrap_or_default()
    }

    /// Noun and name, for messages.
    pub fn title(&self) -> String {
        format!("{}: {} ({})", self.noun, self.name, self.route)
    }
}

/// An object of a file, read key by key.
struct Reading<'a> {
    map: &'a Map<String, Value>,
}

impl<'a> Reading<'a> {
    fn of(value: &'a Value, keys: &[&str]) -> Result<Self> {
        let map = value.as_object().context("it is no object")?;
        if let Some(unknown) = map.keys().find(|key| !keys.contains(&key.as_str())) {
            bail!("unknown key {unknown:?}");
        }
        Ok(Self { map })
    }

    fn text(&self, key: &str) -> Result<String> {
        self.optional(key)?.with_context(|| format!("no {key:?}"))
    }

    fn optional(&self, key: &str) -> Result<Option<String>> {
        match self.map.get(key) {
            None => Ok(None),
            Some(value) => {
                let text = value
                    .as_str()
                    .with_context(|| format!("{key:?} is no text"))?;
                Ok(Some(text.to_owned()))
            }
        }
    }

    fn list(&self, key: &str) -> Result<&'a [Value]> {
        match self.map.get(key) {
            None => Ok(&[]),
            Some(value) => value
                .as_array()
                .map(Vec::as_slice)
                .with_context(|| format!("{key:?} is no list")),
        }
    }
}
