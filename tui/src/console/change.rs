//! What the console may change, each with the call that does it and the command line that does the same.
//!
//! This is the only list of calls that change anything; a `Change` is made by a form or a dialog and nowhere else.
//! Must not know views or keys.

use serde_json::{Value, json};

use super::item::Kind;
use super::text::quote;

/// Where a new volume's content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Empty,
    Snapshot(String),
    Volume(String),
}

/// A change of the daemon's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    CreateVolume {
        name: String,
        size_gib: u64,
        volume_type: String,
        description: String,
        source: Source,
    },
    ExtendVolume {
        id: String,
        title: String,
        size_gib: u64,
    },
    CreateSnapshot {
        volume_id: String,
        title: String,
        name: String,
        description: String,
    },
    CreateAttachment {
        volume_id: String,
        title: String,
        initiator: String,
        host: String,
        is_read_only: bool,
    },
    CompleteAttachment {
        id: String,
        title: String,
    },
    DeleteAttachment {
        id: String,
        title: String,
    },
    DeleteVolume {
        id: String,
        title: String,
        is_cascade: bool,
    },
    DeleteSnapshot {
        id: String,
        title: String,
    },
    CancelOperation {
        id: String,
        title: String,
    },
    RetryOperation {
        id: String,
        title: String,
    },
}

/// The methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Post,
    Delete,
}

/// An HTTP call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// The method.
    pub(crate) method: Method,
    /// Whether the path is below `/v3/{project_id}`; else below `/ashlar/v1`.
    pub(crate) is_cinder: bool,
    /// The path.
    pub(crate) path: String,
    /// The body.
    pub(crate) body: Option<Value>,
}

impl Call {
    fn cinder(method: Method, path: String, body: Option<Value>) -> Self {
        Self {
            method,
            is_cinder: true,
            path,
            body,
        }
    }

    fn own(path: String) -> Self {
        Self {
            method: Method::Post,
            is_cinder: false,
            path,
            body: None,
        }
    }
}

impl Change {
    /// The call that makes it.
    pub(crate) fn call(&self) -> Call {
        use Method::{Delete, Post};
        match self {
            Change::CreateVolume { .. } => {
                Call::cinder(Post, "/volumes".to_owned(), Some(self.volume_body()))
            }
            Change::ExtendVolume { id, size_gib, .. } => {
                let body = json!({"os-extend": {"new_size": size_gib}});
                Call::cinder(Post, format!("/volumes/{id}/action"), Some(body))
            }
            Change::CreateSnapshot {
                volume_id,
                name,
                description,
                ..
            } => {
                let mut snapshot = json!({"volume_id": volume_id});
                put(&mut snapshot, "name", name);
                put(&mut snapshot, "description", description);
                Call::cinder(
                    Post,
                    "/snapshots".to_owned(),
                    Some(json!({"snapshot": snapshot})),
                )
            }
            Change::CreateAttachment {
                volume_id,
                initiator,
                host,
                is_read_only,
                ..
            } => {
                let mut connector = json!({"initiator": initiator, "multipath": false});
                put(&mut connector, "host", host);
                let mode = if *is_read_only { "ro" } else { "rw" };
                let attachment =
                    json!({"volume_uuid": volume_id, "connector": connector, "mode": mode});
                Call::cinder(
                    Post,
                    "/attachments".to_owned(),
                    Some(json!({"attachment": attachment})),
                )
            }
            Change::CompleteAttachment { id, .. } => {
                let body = json!({"os-complete": null});
                Call::cinder(Post, format!("/attachments/{id}/action"), Some(body))
            }
            Change::DeleteAttachment { id, .. } => {
                Call::cinder(Delete, format!("/attachments/{id}"), None)
            }
            Change::DeleteVolume { id, is_cascade, .. } => {
                let query = if *is_cascade { "?cascade=true" } else { "" };
                Call::cinder(Delete, format!("/volumes/{id}{query}"), None)
            }
            Change::DeleteSnapshot { id, .. } => {
                Call::cinder(Delete, format!("/snapshots/{id}"), None)
            }
            Change::CancelOperation { id, .. } => Call::own(format!("/operations/{id}/cancel")),
            Change::RetryOperation { id, .. } => Call::own(format!("/operations/{id}/retry")),
        }
    }

    /// The body of a volume to be made; also what a dry run of its placement asks about.
    pub(crate) fn volume_body(&self) -> Value {
        let Change::CreateVolume {
            name,
            size_gib,
            volume_type,
            description,
            source,
        } = self
        else {
            return Value::Null;
        };
        let mut volume = json!({"size": size_gib});
        put(&mut volume, "name", name);
        put(&mut volume, "volume_type", volume_type);
        put(&mut volume, "description", description);
        match source {
            Source::Empty => {}
            Source::Snapshot(id) => put(&mut volume, "snapshot_id", id),
            Source::Volume(id) => put(&mut volume, "source_volid", id),
        }
        json!({"volume": volume})
    }

    /// The arguments of `ashlar` that do the same.
    pub(crate) fn argv(&self) -> Vec<String> {
        let (noun, verb) = self.verb();
        let mut argv: Vec<String> = vec!["ashlar".into(), noun.into(), verb.into()];
        let mut places: Vec<String> = Vec::new();
        let mut option = |name: &str, value: &str| {
            if !value.is_empty() {
                // With `=`, a value that begins with a dash stays a value.
                argv.push(format!("--{name}={value}"));
            }
        };
        match self {
            Change::CreateVolume {
                name,
                size_gib,
                volume_type,
                description,
                source,
            } => {
                option("size", &format!("{size_gib}G"));
                option("type", volume_type);
                option("description", description);
                match source {
                    Source::Empty => {}
                    Source::Snapshot(id) => option("snapshot", id),
                    Source::Volume(id) => option("source", id),
                }
                places.extend((!name.is_empty()).then(|| name.clone()));
            }
            Change::ExtendVolume { id, size_gib, .. } => {
                places = vec![id.clone(), format!("{size_gib}G")]
            }
            Change::CreateSnapshot {
                volume_id,
                name,
                description,
                ..
            } => {
                option("description", description);
                places = vec![volume_id.clone()];
                places.extend((!name.is_empty()).then(|| name.clone()));
            }
            Change::CreateAttachment {
                volume_id,
                initiator,
                host,
                is_read_only,
                ..
            } => {
                option("initiator", initiator);
                option("host", host);
                option("mode", if *is_read_only { "ro" } else { "" });
                places = vec![volume_id.clone()];
            }
            Change::DeleteVolume { id, is_cascade, .. } => {
                if *is_cascade {
                    argv.push("--cascade".to_owned());
                }
                places = vec![id.clone()];
            }
            Change::CompleteAttachment { id, .. }
            | Change::DeleteAttachment { id, .. }
            | Change::DeleteSnapshot { id, .. }
            | Change::CancelOperation { id, .. }
            | Change::RetryOperation { id, .. } => places = vec![id.clone()],
        }
        if places.iter().any(|place| place.starts_with('-')) {
            argv.push("--".to_owned());
        }
        argv.extend(places);
        argv
    }

    /// The same, quoted for a shell.
    pub(crate) fn command(&self) -> String {
        self.argv()
            .iter()
            .map(|word| quote(word))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Noun and verb of the command line.
    pub(crate) fn verb(&self) -> (&'static str, &'static str) {
        match self {
            Change::CreateVolume { .. } => ("volume", "create"),
            Change::ExtendVolume { .. } => ("volume", "extend"),
            Change::CreateSnapshot { .. } => ("snapshot", "create"),
            Change::CreateAttachment { .. } => ("attachment", "create"),
            Change::CompleteAttachment { .. } => ("attachment", "complete"),
            Change::DeleteAttachment { .. } => ("attachment", "delete"),
            Change::DeleteVolume { .. } => ("volume", "delete"),
            Change::DeleteSnapshot { .. } => ("snapshot", "delete"),
            Change::CancelOperation { .. } => ("operation", "cancel"),
            Change::RetryOperation { .. } => ("operation", "retry"),
        }
    }

    /// What it does to what, for people: `extend pg-01 to 750G`.
    pub(crate) fn what(&self) -> String {
        match self {
            Change::CreateVolume { name, .. } => format!("create volume {name}"),
            Change::ExtendVolume {
                title, size_gib, ..
            } => format!("extend {title} to {}", super::units::gib(*size_gib)),
            Change::CreateSnapshot { title, .. } => format!("snapshot {title}"),
            Change::CreateAttachment {
                title,
                host,
                initiator,
                ..
            } => {
                format!(
                    "attach {title} to {}",
                    if host.is_empty() { initiator } else { host }
                )
            }
            Change::CompleteAttachment { title, .. } => {
                format!("complete the attachment of {title}")
            }
            Change::DeleteAttachment { title, .. } => format!("detach {title}"),
            Change::DeleteVolume { title, .. } => format!("delete volume {title}"),
            Change::DeleteSnapshot { title, .. } => format!("delete snapshot {title}"),
            Change::CancelOperation { title, .. } => format!("cancel {title}"),
            Change::RetryOperation { title, .. } => format!("retry {title}"),
        }
    }

    /// The object it is about, where that exists already.
    pub(crate) fn object(&self) -> Option<(Kind, &str)> {
        match self {
            Change::CreateVolume { .. } => None,
            Change::ExtendVolume { id, .. } | Change::DeleteVolume { id, .. } => {
                Some((Kind::Volume, id))
            }
            Change::CreateSnapshot { volume_id, .. }
            | Change::CreateAttachment { volume_id, .. } => Some((Kind::Volume, volume_id)),
            Change::CompleteAttachment { id, .. } | Change::DeleteAttachment { id, .. } => {
                Some((Kind::Attachment, id))
            }
            Change::DeleteSnapshot { id, .. } => Some((Kind::Snapshot, id)),
            Change::CancelOperation { id, .. } | Change::RetryOperation { id, .. } => {
                Some((Kind::Operation, id))
            }
        }
    }
}

fn put(body: &mut Value, key: &str, value: &str) {
    if let (Some(map), false) = (body.as_object_mut(), value.is_empty()) {
        map.insert(key.to_owned(), Value::from(value));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One of each.
    pub(crate) fn samples() -> Vec<Change> {
        let (id, title) = (
            "7f3c1b2e-94d0-4b1e-9d0c-5a2f8e6b7c11".to_owned(),
            "pg".to_owned(),
        );
        let with = |source| Change::CreateVolume {
            name: "it's -new".to_owned(),
            size_gib: 10,
            volume_type: "gold".to_owned(),
            description: "-for tests".to_owned(),
            source,
        };
        vec![
            with(Source::Empty),
            with(Source::Snapshot(id.clone())),
            with(Source::Volume(id.clone())),
            Change::ExtendVolume {
                id: id.clone(),
                title: title.clone(),
                size_gib: 20,
            },
            Change::CreateSnapshot {
                volume_id: id.clone(),
                title: title.clone(),
                name: "--rf".to_owned(),
                description: String::new(),
            },
            Change::CreateAttachment {
                volume_id: id.clone(),
                title: title.clone(),
                initiator: "iqn.a:b".to_owned(),
                host: "db 01".to_owned(),
                is_read_only: true,
            },
            Change::CompleteAttachment {
                id: id.clone(),
                title: title.clone(),
            },
            Change::DeleteAttachment {
                id: id.clone(),
                title: title.clone(),
            },
            Change::DeleteVolume {
                id: id.clone(),
                title: title.clone(),
                is_cascade: true,
            },
            Change::DeleteSnapshot {
                id: id.clone(),
                title: title.clone(),
            },
            Change::CancelOperation {
                id: id.clone(),
                title: title.clone(),
            },
            Change::RetryOperation { id, title },
        ]
    }

    #[test]
    fn bodies_are_cinders() {
        let samples = samples();
        let call = samples[2].call();
        assert_eq!(
            (call.method, call.path.as_str()),
            (Method::Post, "/volumes")
        );
        let body = call.body.unwrap();
        assert_eq!(
            body["volume"]["source_volid"],
            "7f3c1b2e-94d0-4b1e-9d0c-5a2f8e6b7c11"
        );
        assert_eq!(body["volume"]["size"], 10);
        let delete = samples[8].call();
        assert!(delete.path.ends_with("?cascade=true") && delete.body.is_none());
        assert!(!samples[10].call().is_cinder);
    }

    #[test]
    fn every_command_line_is_one_that_the_command_line_takes() {
        for change in samples() {
            let argv = change.argv();
            let matches = crate::grammar::command().try_get_matches_from(&argv);
            let matches = matches.unwrap_or_else(|error| panic!("{argv:?}: {error}"));
            let given = crate::grammar::chosen(&matches).unwrap();
            assert_eq!((given.noun.name, given.verb.name), change.verb());
        }
    }

    #[test]
    fn a_shell_reads_the_command_line_back_as_it_was_meant() {
        assert_eq!(
            samples()[0].command(),
            r"ashlar volume create --size=10G --type=gold '--description=-for tests' 'it'\''s -new'"
        );
        assert!(
            samples()[4]
                .command()
                .ends_with("-- 7f3c1b2e-94d0-4b1e-9d0c-5a2f8e6b7c11 --rf")
        );
    }
}
