//! What an example is given, and who asks: a project of its own for each, with a token for whoever asks, so that no
//! example sees another's objects. Steps are requests too, kept in `_steps.json`.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::example::{Example, directory, read_file};
use super::matching::{Names, compare, fill, fill_text};
use super::shape::Shapes;
use crate::Result;
use crate::client::{Answer, Client};
use crate::wait::{SOON, wait_for};

/// Every named step.
#[derive(Debug)]
pub struct Steps(Map<String, Value>);

impl Steps {
    /// Reads their file.
    pub fn read() -> Result<Self> {
        let file = read_file(&directory().join("_steps.json"))?;
        Ok(Self(
            file.as_object()
                .context("_steps.json is no object")?
                .clone(),
        ))
    }

    /// `volume v`: the step `volume`, with `<1>` standing for `v`.
    fn get(&self, said: &str) -> Result<Value> {
        let mut words = said.split_whitespace();
        let name = words.next().context("an empty step")?;
        let step = self
            .0
            .get(name)
            .with_context(|| format!("no step {name:?}"))?;
        let mut text = step.to_string();
        for (position, word) in words.enumerate() {
            text = text.replace(&format!("<{}>", position + 1), word);
        }
        Ok(serde_json::from_str(&text)?)
    }
}

/// One example being replayed.
#[derive(Debug)]
pub struct Stage<'a> {
    client: &'a Client,
    steps: &'a Steps,
    shapes: &'a Shapes,
    names: Names,
    /// By who asks: the token's id and its secret.
    tokens: BTreeMap<String, (String, String)>,
}

impl<'a> Stage<'a> {
    /// A fresh project.
    pub fn new(client: &'a Client, steps: &'a Steps, shapes: &'a Shapes, project: &str) -> Self {
        let mut names = Names::new();
        names.insert("project".to_owned(), project.to_owned());
        names.insert("other_project".to_owned(), format!("{project}-other"));
        names.insert("base".to_owned(), "http://localhost".to_owned());
        names.insert(
            "nobody".to_owned(),
            "11111111-2222-4333-8444-555555555555".to_owned(),
        );
        Self {
            client,
            steps,
            shapes,
            names,
            tokens: BTreeMap::new(),
        }
    }

    /// Brings about what the example needs, asks, and compares.
    pub fn replay(&mut self, example: &Example) -> Result<Answer> {
        for said in &example.given {
            self.step(said).with_context(|| format!("step {said:?}"))?;
        }
        let asked = self.ask_and_compare(example);
        for said in &example.after {
            self.step(said)
                .with_context(|| format!("step {said:?}, afterwards"))?;
        }
        asked
    }

    fn ask_and_compare(&mut self, example: &Example) -> Result<Answer> {
        let answer = self.ask(
            &example.role,
            &example.at,
            example.method(),
            &example.path,
            example.send.as_ref(),
        )?;
        ensure!(
            answer.status == example.code,
            "answered {} instead of {}: {}",
            answer.status,
            example.code,
            answer.text
        );
        self.compare(example, &answer)
            .with_context(|| answer.text.clone())?;
        Ok(answer)
    }

    fn compare(&mut self, example: &Example, answer: &Answer) -> Result<()> {
        if let Some(message) = &example.message {
            answer.ensure_is_fault()?;
            let wanted = fill_text(message, &self.names);
            ensure!(answer.message() == wanted, "the message is not {wanted:?}");
        }
        match &example.body {
            Some(body) => {
                let wanted = self.shapes.fill(body)?;
                compare("body", &wanted, &answer.body, &mut self.names)
            }
            None if example.message.is_some() => Ok(()),
            None => {
                ensure!(answer.text.is_empty(), "a body where none is expected");
                Ok(())
            }
        }
    }

    /// Takes the tokens back: a daemon keeps only so many.
    pub fn leave(self) -> Result<()> {
        for (id, _) in self.tokens.values() {
            self.client
                .ashlar(Method::DELETE, &format!("/tokens/{id}"), None)?
                .expect(204)?;
        }
        Ok(())
    }

    fn token(&mut self, who: &str) -> Result<String> {
        if let Some((_, secret)) = self.tokens.get(who) {
            return Ok(secret.clone());
        }
        let (project, role) = match who {
            "admin" | "member" | "reader" => ("project", who),
            "other" => ("other_project", "member"),
            _ => bail!("who is {who:?}?"),
        };
        let wanted = json!({"token": {
            "name": who, "project_id": self.names[project], "user_id": who, "role": role,
        }});
        let made = self
            .client
            .ashlar(Method::POST, "/tokens", Some(&wanted))?
            .expect(200)?;
        let text = |key: &str| made.body["token"][key].as_str().map(str::to_owned);
        let (id, secret) = text("id").zip(text("secret")).context("no secret")?;
        self.tokens.insert(who.to_owned(), (id, secret.clone()));
        Ok(secret)
    }

    fn ask(
        &mut self,
        who: &str,
        at: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let token = self.token(who)?;
        let client = self.client.with_token(&token, "").at(at);
        let path = fill_text(path, &self.names);
        let sent = body.map(|body| fill(body, &self.names).to_string().into_bytes());
        client.send(Method::from_bytes(method.as_bytes())?, &path, &[], sent)
    }

    fn step(&mut self, said: &str) -> Result<()> {
        let step = self.steps.get(said)?;
        if let Some(parts) = step.as_array() {
            for part in parts {
                self.step(part.as_str().context("a step of a step is no text")?)?;
            }
            return Ok(());
        }
        let text = |key: &str| step[key].as_str();
        let (method, path) = text("request")
            .and_then(|request| request.split_once(' '))
            .context("no request")?;
        let (who, at) = (text("as").unwrap_or("member"), text("at").unwrap_or("3.67"));
        let answer = self.ask(who, at, method, path, step.get("send"))?;
        ensure!(
            step["code"] == answer.status,
            "{} {}",
            answer.status,
            answer.text
        );
        for (name, place) in step["bind"].as_object().into_iter().flatten() {
            let found = at_place(&answer.body, place.as_str().unwrap_or_default());
            let value = found
                .as_str()
                .with_context(|| format!("no {place} in {}", answer.text))?;
            self.names.insert(name.clone(), value.to_owned());
        }
        if let Some(until) = step.get("until") {
            self.wait(until)?;
        }
        Ok(())
    }

    fn wait(&mut self, until: &Value) -> Result<()> {
        let path = until["path"].as_str().context("until has no path")?;
        let field = until["field"].as_str().context("until has no field")?;
        let mut seen = Value::Null;
        let waited = wait_for(&format!("{field} to be {}", until["is"]), SOON, || {
            let answer = self.ask("admin", "3.67", "GET", path, None)?;
            if answer.status >= 500 {
                bail!("{} {}", answer.status, answer.text);
            }
            seen = at_place(&answer.body, field).clone();
            if seen == "error" && until["is"] != "error" {
                bail!("it ended in error: {}", answer.text);
            }
            Ok((seen == until["is"]).then_some(()))
        });
        waited.with_context(|| format!("it is {seen}"))
    }
}

/// `volume.attachments.0.id` of a body.
fn at_place<'v>(body: &'v Value, place: &str) -> &'v Value {
    place
        .split('.')
        .fold(body, |value, part| match part.parse::<usize>() {
            Ok(position) => &value[position],
            Err(_) => &value[part],
        })
}
