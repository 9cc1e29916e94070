//! The rows of every list: what the console keeps of an object, read from the wire and cleaned there.
//!
//! Must not know views, keys or HTTP. A field that the answer lacks is `None` or empty and is shown as `-`; nothing is
//! made up for it.

use serde_json::Value;

use super::clock::{self, Ms};
use super::text::clean;

/// What kind of object a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Pool,
    Volume,
    Snapshot,
    Attachment,
    Operation,
    Service,
    Type,
    Session,
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: &'static [Kind] = &[
        Kind::Pool,
        Kind::Volume,
        Kind::Snapshot,
        Kind::Attachment,
        Kind::Operation,
        Kind::Service,
        Kind::Type,
        Kind::Session,
    ];

    /// The noun of the command line.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Kind::Pool => "pool",
            Kind::Volume => "volume",
            Kind::Snapshot => "snapshot",
            Kind::Attachment => "attachment",
            Kind::Operation => "operation",
            Kind::Service => "service",
            Kind::Type => "type",
            Kind::Session => "session",
        }
    }

    /// The noun of the event stream.
    pub(crate) fn of_event(kind: &str) -> Option<Self> {
        match kind {
            "volume_type" => Some(Kind::Type),
            other => Kind::ALL.iter().copied().find(|kind| kind.noun() == other),
        }
    }

    /// The position in tables that hold one thing a kind.
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// The id; for pools and services, their name.
    pub(crate) id: String,
    /// The name; empty when it has none.
    pub(crate) name: String,
    /// The status word of the API.
    pub(crate) status: String,
    /// The project it belongs to.
    pub(crate) project: String,
    /// Its size, where it has one.
    pub(crate) size_gib: Option<u64>,
    /// When it was made.
    pub(crate) created_at: Option<Ms>,
    /// What it belongs to: a snapshot's, attachment's or session's volume, an operation's object.
    pub(crate) of: String,
    /// What only its kind has.
    pub(crate) more: More,
}

/// What only one kind has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum More {
    Pool(Pool),
    Volume(Box<Volume>),
    Snapshot {
        progress: String,
    },
    Attachment(Box<Attachment>),
    Operation(Box<Operation>),
    Service {
        host: String,
        binary: String,
        state: String,
        reason: String,
        seen_at: Option<Ms>,
    },
    Type {
        description: String,
        is_public: Option<bool>,
    },
    Session(Box<Session>),
}

/// The figures of a pool, as the daemon measured them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Pool {
    pub(crate) total_gib: Option<f64>,
    pub(crate) free_gib: Option<f64>,
    pub(crate) provisioned_gib: Option<f64>,
    pub(crate) over_ratio: Option<f64>,
    pub(crate) is_thin: Option<bool>,
    pub(crate) driver: String,
}

/// What only a volume has.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Volume {
    pub(crate) volume_type: String,
    pub(crate) pool: String,
    pub(crate) description: String,
    pub(crate) zone: String,
    pub(crate) snapshot_id: String,
    pub(crate) source_id: String,
    pub(crate) is_bootable: bool,
    pub(crate) is_multiattach: bool,
    pub(crate) hosts: Vec<(String, String)>,
    pub(crate) attachment_count: usize,
}

/// What only an attachment has.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Attachment {
    pub(crate) instance: String,
    pub(crate) mode: String,
    pub(crate) host: String,
    pub(crate) portal: String,
    pub(crate) iqn: String,
    pub(crate) lun: Option<u64>,
    pub(crate) attached_at: Option<Ms>,
}

/// What only an operation has.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Operation {
    pub(crate) verb: String,
    pub(crate) request_id: String,
    pub(crate) error: String,
    pub(crate) finished_at: Option<Ms>,
    pub(crate) bytes_done: Option<u64>,
    pub(crate) bytes_total: Option<u64>,
    pub(crate) bytes_per_s: Option<u64>,
    pub(crate) left_s: Option<u64>,
    pub(crate) can_cancel: Option<bool>,
    pub(crate) can_retry: Option<bool>,
    pub(crate) steps: Vec<Step>,
    pub(crate) steps_total: Option<u64>,
    pub(crate) stuck: String,
}

/// A step of an operation.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) direction: String,
    pub(crate) started_at: Option<Ms>,
    pub(crate) finished_at: Option<Ms>,
}

/// What only a session of the target has.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Session {
    pub(crate) initiator: String,
    pub(crate) address: String,
    pub(crate) is_read_only: bool,
    pub(crate) read_bytes: Option<u64>,
    pub(crate) written_bytes: Option<u64>,
    pub(crate) quiet_s: Option<u64>,
}

impl Item {
    /// Reads one object of an answer; `None` when it has no id.
    pub(crate) fn read(kind: Kind, value: &Value) -> Option<Self> {
        let mut item = Item {
            id: word(value, "id"),
            name: word(value, "name"),
            status: word(value, "status"),
            project: first(
                value,
                &[
                    "project_id",
                    "os-vol-tenant-attr:tenant_id",
                    "os-extended-snapshot-attributes:project_id",
                ],
            ),
            size_gib: value.get("size").and_then(Value::as_u64),
            created_at: time(value, "created_at"),
            of: first(value, &["volume_id", "object_id"]),
            more: more(kind, value),
        };
        match kind {
            Kind::Pool => item.id = item.name.clone(),
            Kind::Operation => item.status = word(value, "phase"),
            Kind::Service => {
                item.name = format!("{}@{}", word(value, "binary"), word(value, "host"));
                item.id = item.name.clone();
            }
            Kind::Session => item.status = "live".to_owned(),
            Kind::Attachment => item.created_at = time(value, "attached_at"),
            Kind::Volume | Kind::Snapshot | Kind::Type => {}
        }
        (!item.id.is_empty()).then_some(item)
    }

    /// The name, or the first 8 of the id when it has none.
    pub(crate) fn title(&self) -> String {
        if self.name.is_empty() {
            self.short_id().to_owned()
        } else {
            self.name.clone()
        }
    }

    /// The first 8 characters of the id.
    pub(crate) fn short_id(&self) -> &str {
        self.id
            .char_indices()
            .nth(8)
            .map_or(self.id.as_str(), |(at, _)| &self.id[..at])
    }

    /// The volume's own part.
    pub(crate) fn volume(&self) -> Option<&Volume> {
        if let More::Volume(volume) = &self.more {
            Some(volume)
        } else {
            None
        }
    }

    /// The operation's own part.
    pub(crate) fn operation(&self) -> Option<&Operation> {
        if let More::Operation(operation) = &self.more {
            Some(operation)
        } else {
            None
        }
    }

    /// The pool's own part.
    pub(crate) fn pool(&self) -> Option<&Pool> {
        if let More::Pool(pool) = &self.more {
            Some(pool)
        } else {
            None
        }
    }
}

impl Operation {
    /// What it does, in words: `create volume`.
    pub(crate) fn what(&self) -> String {
        self.verb.replace('_', " ")
    }
}

fn more(kind: Kind, value: &Value) -> More {
    match kind {
        Kind::Pool => More::Pool(pool(value)),
        Kind::Volume => More::Volume(Box::new(volume(value))),
        Kind::Snapshot => More::Snapshot {
            progress: word(value, "os-extended-snapshot-attributes:progress"),
        },
        Kind::Attachment => More::Attachment(Box::new(attachment(value))),
        Kind::Operation => More::Operation(Box::new(operation(value))),
        Kind::Service => More::Service {
            host: word(value, "host"),
            binary: word(value, "binary"),
            state: word(value, "state"),
            reason: word(value, "disabled_reason"),
            seen_at: time(value, "updated_at"),
        },
        Kind::Type => More::Type {
            description: word(value, "description"),
            is_public: value.get("is_public").and_then(Value::as_bool),
        },
        Kind::Session => More::Session(Box::new(session(value))),
    }
}

fn pool(value: &Value) -> Pool {
    let figures = value.get("capabilities").unwrap_or(value);
    let number = |key: &str| match figures.get(key) {
        // Cinder's word for a pool without end.
        Some(Value::String(text)) if text == "infinite" => Some(f64::INFINITY),
        Some(Value::String(text)) => text.parse().ok(),
        Some(other) => other.as_f64(),
        None => None,
    };
    Pool {
        total_gib: number("total_capacity_gb"),
        free_gib: number("free_capacity_gb"),
        provisioned_gib: number("provisioned_capacity_gb"),
        over_ratio: number("max_over_subscription_ratio"),
        is_thin: figures
            .get("thin_provisioning_support")
            .and_then(Value::as_bool),
        driver: first(figures, &["volume_backend_name", "driver_version"]),
    }
}

fn volume(value: &Value) -> Volume {
    let attachments = value.get("attachments").and_then(Value::as_array);
    let attachments = attachments.map(Vec::as_slice).unwrap_or_default();
    let is_true = |key: &str| matches!(word(value, key).as_str(), "true" | "True");
    Volume {
        volume_type: word(value, "volume_type"),
        pool: pool_of(&word(value, "os-vol-host-attr:host")),
        description: word(value, "description"),
        zone: word(value, "availability_zone"),
        snapshot_id: word(value, "snapshot_id"),
        source_id: word(value, "source_volid"),
        is_bootable: is_true("bootable"),
        is_multiattach: is_true("multiattach"),
        hosts: attachments
            .iter()
            .map(|one| {
                (
                    word(one, "attachment_id"),
                    first(one, &["host_name", "server_id"]),
                )
            })
            .collect(),
        attachment_count: attachments.len(),
    }
}

/// `host@backend#pool` is shown as `pool`.
fn pool_of(host: &str) -> String {
    host.rsplit_once('#')
        .map_or(host, |(_, pool)| pool)
        .to_owned()
}

fn attachment(value: &Value) -> Attachment {
    let info = value.get("connection_info").unwrap_or(&Value::Null);
    Attachment {
        instance: word(value, "instance"),
        mode: word(value, "attach_mode"),
        host: first(value, &["host", "attached_host"]),
        portal: word(info, "target_portal"),
        iqn: word(info, "target_iqn"),
        lun: info.get("target_lun").and_then(Value::as_u64),
        attached_at: time(value, "attached_at"),
    }
}

fn operation(value: &Value) -> Operation {
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    let flag = |key: &str| value.get(key).and_then(Value::as_bool);
    let steps = value.get("steps").and_then(Value::as_array);
    let stuck = value.get("stuck").filter(|stuck| stuck.is_object());
    Operation {
        verb: word(value, "verb"),
        request_id: word(value, "request_id"),
        error: word(value, "error"),
        finished_at: time(value, "finished_at"),
        bytes_done: number("bytes_done"),
        bytes_total: number("bytes_total"),
        bytes_per_s: number("bytes_per_s"),
        left_s: number("left_s"),
        can_cancel: flag("can_cancel"),
        can_retry: flag("can_retry"),
        steps: steps.into_iter().flatten().map(step).collect(),
        steps_total: number("steps_total"),
        stuck: stuck.map(stuck_text).unwrap_or_default(),
    }
}

fn stuck_text(stuck: &Value) -> String {
    let part = |key: &str, before: &str| match word(stuck, key) {
        text if text.is_empty() => String::new(),
        text => format!("{before}{text}"),
    };
    let text = [
        part("waiting_for", "waits for "),
        part("owner", " held by "),
        part("since", " since "),
        part("next", "; next: "),
    ];
    text.concat()
}

fn step(value: &Value) -> Step {
    Step {
        name: word(value, "name"),
        direction: word(value, "direction"),
        started_at: time(value, "started_at"),
        finished_at: time(value, "finished_at"),
    }
}

fn session(value: &Value) -> Session {
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    Session {
        initiator: word(value, "initiator"),
        address: word(value, "address"),
        is_read_only: value
            .get("read_only")
            .and_then(Value::as_bool)
            .unwrap_or(false),
        read_bytes: number("read_bytes"),
        written_bytes: number("written_bytes"),
        quiet_s: number("quiet_s"),
    }
}

/// The cleaned text of a field; empty when there is none.
pub(crate) fn word(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => clean(text),
        None | Some(Value::Null) => String::new(),
        Some(other) => clean(&other.to_string()),
    }
}

fn first(value: &Value, keys: &[&str]) -> String {
    let words = keys.iter().map(|key| word(value, key));
    words
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

fn time(value: &Value, key: &str) -> Option<Ms> {
    clock::parse(value.get(key)?.as_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_cleaned_where_they_come_in() {
        let value = json!({"id": "1", "name": "a\u{1b}]0;x\u{7}", "status": "available", "size": 3,
            "os-vol-host-attr:host": "h@b#fast", "bootable": "true",
            "attachments": [{"attachment_id": "9", "host_name": "db\n01"}]});
        let item = Item::read(Kind::Volume, &value).unwrap();
        assert_eq!(item.name, "a<1b>]0;x<07>");
        let volume = item.volume().unwrap();
        assert_eq!((volume.pool.as_str(), volume.is_bootable), ("fast", true));
        assert_eq!(volume.hosts, [("9".to_owned(), "db<0a>01".to_owned())]);
    }

    #[test]
    fn what_is_missing_stays_missing() {
        assert_eq!(Item::read(Kind::Volume, &json!({"name": "x"})), None);
        let pool = Item::read(Kind::Pool, &json!({"name": "h@b#p"})).unwrap();
        assert_eq!(pool.pool().unwrap(), &Pool::default());
        assert_eq!(pool.id, "h@b#p");
        let odd = json!({"id": 7, "size": "big", "created_at": 5, "attachments": "none"});
        let item = Item::read(Kind::Volume, &odd).unwrap();
        assert_eq!((item.size_gib, item.created_at), (None, None));
    }

    #[test]
    fn a_pool_may_tell_infinite_or_unknown_capacities() {
        let value = json!({"name": "p", "capabilities": {"total_capacity_gb": "infinite", "free_capacity_gb": 7}});
        let item = Item::read(Kind::Pool, &value).unwrap();
        assert!(item.pool().unwrap().total_gib.is_some_and(f64::is_infinite));
        assert_eq!(item.pool().unwrap().free_gib, Some(7.0));
    }
}
