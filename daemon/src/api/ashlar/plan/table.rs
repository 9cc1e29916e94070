//! Which request a verb is, and which verb a request is: one table read in both directions.
//!
//! A verb that changes or destroys gets its plan by a line here (and words of its own in `facts.rs`, if it has any).

use crate::api::body;
use crate::api::call::{Call, shown};
use crate::api::error::Fault;
use axum::http::Method;
use serde_json::{Map, Value, json};

/// What kind of object a verb is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noun {
    /// A volume; its id is in the path.
    Volume,
    /// A snapshot.
    Snapshot,
    /// An attachment.
    Attachment,
    /// A backup.
    Backup,
    /// A volume, named in the body.
    VolumeInBody,
    /// Nothing that exists: the verb makes it.
    New,
}

struct Line {
    verb: &'static str,
    noun: Noun,
    method: Method,
    /// With `{id}` where the object stands.
    path: &'static str,
    /// The key of the body under which the input stands; none when it stands in the query.
    key: Option<&'static str>,
}

const fn line(
    verb: &'static str,
    noun: Noun,
    method: Method,
    path: &'static str,
    key: Option<&'static str>,
) -> Line {
    Line {
        verb,
        noun,
        method,
        path,
        key,
    }
}

const VOLUME: &str = "/v3/volumes/{id}";
const VOLUME_ACTION: &str = "/v3/volumes/{id}/action";
const SNAPSHOT: &str = "/v3/snapshots/{id}";
const SNAPSHOT_ACTION: &str = "/v3/snapshots/{id}/action";
const BACKUP_ACTION: &str = "/v3/backups/{id}/action";

const LINES: &[Line] = &[
    line("delete_volume", Noun::Volume, Method::DELETE, VOLUME, None),
    line(
        "force_delete_volume",
        Noun::Volume,
        Method::POST,
        VOLUME_ACTION,
        Some("os-force_delete"),
    ),
    line(
        "extend_volume",
        Noun::Volume,
        Method::POST,
        VOLUME_ACTION,
        Some("os-extend"),
    ),
    line(
        "revert_volume",
        Noun::Volume,
        Method::POST,
        VOLUME_ACTION,
        Some("revert"),
    ),
    line(
        "attach_volume",
        Noun::Volume,
        Method::POST,
        VOLUME_ACTION,
        Some("os-attach"),
    ),
    line(
        "detach_volume",
        Noun::Volume,
        Method::POST,
        VOLUME_ACTION,
        Some("os-detach"),
    ),
    line(
        "force_detach",
        Noun::Volume,
        Method::POST,
        VOLUME_ACTION,
        Some("os-force_detach"),
    ),
    line(
        "reset_volume_status",
        Noun::Volume,
        Method::POST,
        VOLUME_ACTION,
        Some("os-reset_status"),
    ),
    line(
        "retype_volume",
        Noun::Volume,
        Method::POST,
        VOLUME_ACTION,
        Some("os-retype"),
    ),
    line(
        "unmanage_volume",
        Noun::Volume,
        Method::POST,
        VOLUME_ACTION,
        Some("os-unmanage"),
    ),
    line(
        "delete_snapshot",
        Noun::Snapshot,
        Method::DELETE,
        SNAPSHOT,
        None,
    ),
    line(
        "force_delete_snapshot",
        Noun::Snapshot,
        Method::POST,
        SNAPSHOT_ACTION,
        Some("os-force_delete"),
    ),
    line(
        "reset_snapshot_status",
        Noun::Snapshot,
        Method::POST,
        SNAPSHOT_ACTION,
        Some("os-reset_status"),
    ),
    line(
        "unmanage_snapshot",
        Noun::Snapshot,
        Method::POST,
        SNAPSHOT_ACTION,
        Some("os-unmanage"),
    ),
    line(
        "delete_backup",
        Noun::Backup,
        Method::DELETE,
        "/v3/backups/{id}",
        None,
    ),
    line(
        "force_delete_backup",
        Noun::Backup,
        Method::POST,
        BACKUP_ACTION,
        Some("os-force_delete"),
    ),
    line(
        "reset_backup_status",
        Noun::Backup,
        Method::POST,
        BACKUP_ACTION,
        Some("os-reset_status"),
    ),
    line(
        "restore_backup",
        Noun::Backup,
        Method::POST,
        "/v3/backups/{id}/restore",
        Some("restore"),
    ),
    line(
        "delete_attachment",
        Noun::Attachment,
        Method::DELETE,
        "/v3/attachments/{id}",
        None,
    ),
    line(
        "create_attachment",
        Noun::VolumeInBody,
        Method::POST,
        "/v3/attachments",
        Some("attachment"),
    ),
    line(
        "create_volume",
        Noun::New,
        Method::POST,
        "/v3/volumes",
        Some("volume"),
    ),
];

/// Flags of deletes, as they stand in the query.
const FLAGS: [&str; 2] = ["cascade", "force"];

/// A verb on an object.
pub(super) struct Act {
    line: &'static Line,
    id: String,
    input: Value,
}

impl Act {
    /// The acts that a plan is asked of: one an object.
    pub(super) fn of_verb(
        verb: &str,
        objects: &[String],
        input: &Value,
    ) -> Result<Vec<Self>, Fault> {
        let line = LINES.iter().find(|line| line.verb == verb);
        let line = line.ok_or_else(|| {
            let known: Vec<&str> = LINES.iter().map(|line| line.verb).collect();
            Fault::bad_request(format!(
                "No plan is made of the verb '{}'; of these there is one: {}.",
                shown(verb),
                known.join(", ")
            ))
        })?;
        let input = match line.key {
            Some(_) => input.clone(),
            None => flags(|name| input.get(name).and_then(Value::as_bool) == Some(true)),
        };
        let act = |id: &str| Self {
            line,
            id: id.to_owned(),
            input: input.clone(),
        };
        match (line.noun, objects) {
            (Noun::New, []) => Ok(vec![act("")]),
            (Noun::New, _) => Err(Fault::bad_request("What is yet to be made is no object.")),
            (_, []) => Err(Fault::bad_request("'objects' names what the act is about.")),
            (_, objects) => {
                // Ids stand in paths: nothing but an id may.
                if let Some(bad) = objects.iter().find(|id| id.parse::<uuid::Uuid>().is_err()) {
                    return Err(Fault::bad_request(format!("'{}' is no id.", shown(bad))));
                }
                Ok(objects.iter().map(|id| act(id)).collect())
            }
        }
    }

    /// The act that a request is, if plans are made of such.
    pub(super) fn of_request(method: &Method, path: &str, call: &Call) -> Option<Self> {
        let body = call.json().unwrap_or_default();
        LINES
            .iter()
            .filter(|line| line.method == method)
            .find_map(|line| {
                let id = match line.path.split_once("{id}") {
                    None => (path == line.path).then_some("")?,
                    Some((before, after)) => path.strip_prefix(before)?.strip_suffix(after)?,
                };
                if id.contains('/') {
                    return None;
                }
                let input = match line.key {
                    None => {
                        flags(|name| call.parameter(name).and_then(body::boolean_of) == Some(true))
                    }
                    Some(key) => input(body.get(key)?),
                };
                let id = match line.noun {
                    Noun::VolumeInBody => input.get("volume_uuid")?.as_str()?.to_owned(),
                    Noun::Volume | Noun::Snapshot | Noun::Attachment | Noun::Backup | Noun::New => {
                        id.to_owned()
                    }
                };
                let mut act = Self { line, id, input };
                if line.noun == Noun::VolumeInBody
                    && let Some(input) = act.input.as_object_mut()
                {
                    input.remove("volume_uuid");
                }
                Some(act)
            })
    }

    /// The request that the act is: method, path, query and body.
    pub(super) fn request(&self) -> (Method, String, String, Value) {
        let path = self.line.path.replace("{id}", &self.id);
        let method = self.line.method.clone();
        let Some(key) = self.line.key else {
            let set = FLAGS.iter().filter(|flag| self.flag(flag));
            let query: Vec<String> = set.map(|flag| format!("{flag}=true")).collect();
            return (method, path, query.join("&"), json!({}));
        };
        let mut input = self.input.clone();
        if self.line.noun == Noun::VolumeInBody {
            input["volume_uuid"] = json!(self.id);
        }
        (method, path, String::new(), json!({key: input}))
    }

    pub(super) fn verb(&self) -> &'static str {
        self.line.verb
    }

    pub(super) fn noun(&self) -> Noun {
        self.line.noun
    }

    /// The object's id; empty if it is yet to be made.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn input(&self) -> &Value {
        &self.input
    }

    /// Whether a delete's flag is set.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.input.get(name) == Some(&Value::Bool(true))
    }
}

/// What stands under an action's key; where it says nothing, anything may.
fn input(said: &Value) -> Value {
    let said = said.as_object().cloned();
    Value::Object(said.unwrap_or_default())
}

/// The flags that are set, and no others: what is false is as good as unsaid.
fn flags(is_set: impl Fn(&str) -> bool) -> Value {
    let set = FLAGS.iter().filter(|flag| is_set(flag));
    set.map(|flag| ((*flag).to_owned(), json!(true)))
        .collect::<Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Asks, call};

    #[test]
    fn every_line_is_read_the_same_in_both_directions() {
        for line in LINES {
            let input = if line.key.is_some() {
                json!({"a": 1})
            } else {
                json!({"cascade": true, "force": false})
            };
            let id = "7f3c1b2e-0000-4000-8000-000000000001".to_owned();
            let objects = if line.noun == Noun::New {
                vec![]
            } else {
                vec![id]
            };
            let act = Act::of_verb(line.verb, &objects, &input).unwrap().remove(0);
            let (method, path, query, body) = act.request();
            let body = body.to_string();
            let call = call(&Asks {
                query: &query,
                body: &body,
                ..Asks::default()
            });
            let back = Act::of_request(&method, &path, &call).unwrap();
            assert_eq!(
                (back.verb(), back.id(), back.input()),
                (act.verb(), act.id(), act.input())
            );
        }
    }

    #[test]
    fn what_is_no_id_never_stands_in_a_path() {
        let bad = ["../types/x".to_owned()];
        assert!(Act::of_verb("delete_volume", &bad, &json!({})).is_err());
        assert!(Act::of_verb("delete_volume", &[], &json!({})).is_err());
        assert!(Act::of_verb("no_such", &[], &json!({})).is_err());
    }
}
