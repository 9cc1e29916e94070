//! One tour through every operation of THE TABLE, as data. A new operation enters the crash harness when the daemon
//! lists it; this list must then reach it, or the harness says which point never fired.

use crate::at_once::at_once;
use crate::backing_up::{at_rest, while_in_use};
use crate::handing_over::handing_over;
use ashlar_tests::Result;
use ashlar_tests::client::Client;
use ashlar_tests::initiator::{INITIATOR, connector};
use ashlar_tests::wait::wait_for;
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A request of the tour.
pub(crate) struct Ask {
    /// The operation that it begins.
    pub(crate) operation: &'static str,
    method: Method,
    path: &'static str,
    body: &'static str,
    /// The name under which the id in the answer is kept.
    binds: &'static str,
    until: Until,
}

/// When the next request may follow.
pub(crate) enum Until {
    /// At once.
    Answered,
    /// The object of this name is in this status.
    Is(&'static str, &'static str, &'static str),
    /// The volume of this name is available, and lies in a pool whose address has this in it.
    Lies(&'static str, &'static str),
    /// The object of this name is gone.
    Gone(&'static str, &'static str),
    /// Nothing is under way.
    Quiet,
}

pub(crate) const VOLUMES: &str = "volumes";
pub(crate) const SNAPSHOTS: &str = "snapshots";

pub(crate) fn post(
    operation: &'static str,
    path: &'static str,
    body: &'static str,
    binds: &'static str,
    until: Until,
) -> Ask {
    Ask {
        operation,
        method: Method::POST,
        path,
        body,
        binds,
        until,
    }
}

pub(crate) fn get(operation: &'static str, path: &'static str) -> Ask {
    Ask {
        operation,
        method: Method::GET,
        path,
        body: "",
        binds: "",
        until: Until::Answered,
    }
}

pub(crate) fn delete(operation: &'static str, path: &'static str, until: Until) -> Ask {
    Ask {
        operation,
        method: Method::DELETE,
        path,
        body: "",
        binds: "",
        until,
    }
}

pub(crate) fn available(name: &'static str) -> Until {
    Until::Is(VOLUMES, name, "available")
}

/// In how many ways, that differ inside, the tour's first requests go through an operation: a create empty, from a
/// snapshot and from a volume; a delete alone and with its snapshots; a snapshot and an extend at rest and in use; a retype
/// in place and one that moves; a backup in use, at rest and of a snapshot; a restore into a new volume and over another.
pub(crate) fn ways(operation: &str) -> usize {
    match operation {
        "create_volume" | "create_backup" => 3,
        "create_snapshot" | "delete_volume" | "extend_volume" | "retype_volume"
        | "restore_backup" => 2,
        _ => 1,
    }
}

/// The tour: `$name` stands for the id of what was made under that name.
pub(crate) fn tour() -> Vec<Ask> {
    [
        making(),
        attaching(),
        attaching_the_old_way(),
        by_force(),
        at_rest(),
        at_once(),
        handing_over(),
        deleting(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn making() -> Vec<Ask> {
    let create = "create_volume";
    vec![
        post(
            create,
            "/volumes",
            r#"{"volume":{"name":"a","size":1}}"#,
            "a",
            available("a"),
        ),
        post(
            "create_snapshot",
            "/snapshots",
            r#"{"snapshot":{"volume_id":"$a","name":"s"}}"#,
            "s",
            Until::Is(SNAPSHOTS, "s", "available"),
        ),
        post(
            create,
            "/volumes",
            r#"{"volume":{"name":"b","size":1,"snapshot_id":"$s"}}"#,
            "b",
            available("b"),
        ),
        post(
            create,
            "/volumes",
            r#"{"volume":{"name":"c","size":1,"source_volid":"$a"}}"#,
            "c",
            available("c"),
        ),
        post(
            "revert_volume",
            "/volumes/$a/action",
            r#"{"revert":{"snapshot_id":"$s"}}"#,
            "",
            available("a"),
        ),
        post(
            "extend_volume",
            "/volumes/$a/action",
            r#"{"os-extend":{"new_size":2}}"#,
            "",
            available("a"),
        ),
    ]
}

fn attaching() -> Vec<Ask> {
    let [mut parts, rest] = [letting_in(), while_in_use()];
    parts.extend(rest);
    parts.extend(shutting_out());
    parts
}

fn letting_in() -> Vec<Ask> {
    let complete = r#"{"os-complete":null}"#;
    vec![
        post(
            "create_attachment",
            "/attachments",
            r#"{"attachment":{"volume_uuid":"$a","instance_uuid":null,"connector":null}}"#,
            "x",
            Until::Answered,
        ),
        Ask {
            operation: "update_attachment",
            method: Method::PUT,
            path: "/attachments/$x",
            body: r#"{"attachment":{"connector":$connector}}"#,
            binds: "",
            until: Until::Answered,
        },
        post(
            "complete_attachment",
            "/attachments/$x/action",
            complete,
            "",
            Until::Is(VOLUMES, "a", "in-use"),
        ),
        // In use: hosts' writes have to be watched.
        post(
            "create_snapshot",
            "/snapshots",
            r#"{"snapshot":{"volume_id":"$a","name":"w","force":true}}"#,
            "w",
            Until::Is(SNAPSHOTS, "w", "available"),
        ),
        // In use: the target has to be told of the new size.
        post(
            "extend_volume",
            "/volumes/$a/action",
            r#"{"os-extend":{"new_size":3}}"#,
            "",
            Until::Is(VOLUMES, "a", "in-use"),
        ),
    ]
}

fn shutting_out() -> Vec<Ask> {
    let complete = r#"{"os-complete":null}"#;
    vec![
        delete("delete_attachment", "/attachments/$x", available("a")),
        post(
            "create_attachment",
            "/attachments",
            r#"{"attachment":{"volume_uuid":"$b","instance_uuid":null,"connector":$connector}}"#,
            "y",
            Until::Answered,
        ),
        post(
            "complete_attachment",
            "/attachments/$y/action",
            complete,
            "",
            Until::Is(VOLUMES, "b", "in-use"),
        ),
        delete("delete_attachment", "/attachments/$y", available("b")),
    ]
}

fn attaching_the_old_way() -> Vec<Ask> {
    let act = |operation, body, until| post(operation, "/volumes/$c/action", body, "", until);
    let is = |status| Until::Is(VOLUMES, "c", status);
    vec![
        act("reserve_volume", r#"{"os-reserve":null}"#, is("attaching")),
        act(
            "unreserve_volume",
            r#"{"os-unreserve":null}"#,
            is("available"),
        ),
        act("reserve_volume", r#"{"os-reserve":{}}"#, is("attaching")),
        act(
            "initialize_connection",
            r#"{"os-initialize_connection":{"connector":$connector}}"#,
            is("attaching"),
        ),
        act(
            "attach_volume",
            r#"{"os-attach":{"host_name":"host1","mountpoint":"/dev/vdb","mode":"rw"}}"#,
            is("in-use"),
        ),
        act(
            "begin_detaching",
            r#"{"os-begin_detaching":null}"#,
            is("detaching"),
        ),
        act(
            "roll_detaching",
            r#"{"os-roll_detaching":null}"#,
            is("in-use"),
        ),
        act(
            "begin_detaching",
            r#"{"os-begin_detaching":null}"#,
            is("detaching"),
        ),
        act(
            "terminate_connection",
            r#"{"os-terminate_connection":{"connector":$connector}}"#,
            is("detaching"),
        ),
        act("detach_volume", r#"{"os-detach":{}}"#, is("available")),
    ]
}

/// What administrators do to a volume that a host has: shut it out and forget it, or end its attachment.
fn by_force() -> Vec<Ask> {
    let act = |operation, body, until| post(operation, "/volumes/$b/action", body, "", until);
    let attach = |name| {
        let body =
            r#"{"attachment":{"volume_uuid":"$b","instance_uuid":null,"connector":$connector}}"#;
        post(
            "create_attachment",
            "/attachments",
            body,
            name,
            Until::Answered,
        )
    };
    vec![
        attach("z"),
        act(
            "reset_volume_status",
            r#"{"os-reset_status":{"status":"available","attach_status":"detached"}}"#,
            available("b"),
        ),
        attach("f"),
        act(
            "force_detach",
            r#"{"os-force_detach":{"attachment_id":"$f"}}"#,
            available("b"),
        ),
    ]
}

fn deleting() -> Vec<Ask> {
    vec![
        delete(
            "delete_snapshot",
            "/snapshots/$s",
            Until::Gone(SNAPSHOTS, "s"),
        ),
        delete(
            "delete_snapshot",
            "/snapshots/$w",
            Until::Gone(SNAPSHOTS, "w"),
        ),
        delete("delete_volume", "/volumes/$b", Until::Gone(VOLUMES, "b")),
        post(
            "create_snapshot",
            "/snapshots",
            r#"{"snapshot":{"volume_id":"$c","name":"t"}}"#,
            "t",
            Until::Is(SNAPSHOTS, "t", "available"),
        ),
        delete(
            "delete_volume",
            "/volumes/$c?cascade=true",
            Until::Gone(VOLUMES, "c"),
        ),
        delete("delete_volume", "/volumes/$a", Until::Gone(VOLUMES, "a")),
    ]
}

/// Why a tour ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Every request was answered as it should be.
    Finished,
    /// No answer came: the daemon is gone.
    Lost,
    /// An answer, or an object, told of a failure.
    Failed(String),
}

/// A tour under way.
pub(crate) struct Traveller<'a> {
    client: &'a Client,
    /// Of the backup that lies in the store already.
    record: &'a str,
    ids: BTreeMap<&'static str, String>,
}

/// A step that is not done by then hangs.
const STEP_DEADLINE: Duration = Duration::from_secs(20);

impl<'a> Traveller<'a> {
    /// At the start.
    pub(crate) fn new(client: &'a Client, record: &'a str) -> Self {
        Self {
            client,
            record,
            ids: BTreeMap::new(),
        }
    }

    /// The id of what was made under a name.
    pub(crate) fn id(&self, name: &str) -> Option<&str> {
        self.ids.get(name).map(String::as_str)
    }

    /// Goes on through `asks` until the end or until something happens.
    pub(crate) fn go(&mut self, asks: &[Ask]) -> Result<End> {
        for ask in asks {
            match self.one(ask)? {
                End::Finished => {}
                End::Lost => return Ok(End::Lost),
                End::Failed(why) => {
                    return Ok(End::Failed(format!("{} ({})", why, ask.operation)));
                }
            }
        }
        Ok(End::Finished)
    }

    fn one(&mut self, ask: &Ask) -> Result<End> {
        let path = match ask.path.starts_with("/ashlar/") {
            true => self.fill(ask.path),
            false => format!("/v3/{}{}", self.client.project, self.fill(ask.path)),
        };
        let body = (!ask.body.is_empty()).then(|| self.fill(ask.body).into_bytes());
        let Ok(answer) = self.client.send(ask.method.clone(), &path, &[], body) else {
            return Ok(End::Lost);
        };
        if !(200..300).contains(&answer.status) {
            return Ok(End::Failed(format!(
                "{path}: {} {}",
                answer.status, answer.text
            )));
        }
        if !ask.binds.is_empty() {
            let object = answer
                .body
                .as_object()
                .and_then(|body| body.values().next());
            // A restore tells of the volume beside its backup.
            let id = object
                .and_then(|object| object["id"].as_str().or(object["volume_id"].as_str()))
                .unwrap_or_default();
            self.ids.insert(ask.binds, id.to_owned());
            if let Some(key) = object.and_then(|object| object["auth_key"].as_str()) {
                self.ids.insert("key", key.to_owned());
            }
        }
        match ask.until {
            Until::Answered => Ok(End::Finished),
            Until::Is(noun, name, status) => self.settle(noun, name, Some(status)),
            Until::Lies(name, place) => match self.settle(VOLUMES, name, Some("available"))? {
                End::Finished => self.lies(name, place),
                end @ (End::Lost | End::Failed(_)) => Ok(end),
            },
            Until::Gone(noun, name) => self.settle(noun, name, None),
            Until::Quiet => wait_for("nothing to be under way", STEP_DEADLINE, || {
                let Ok(live) = self.client.live_operations() else {
                    return Ok(Some(End::Lost));
                };
                Ok(live.is_empty().then_some(End::Finished))
            }),
        }
    }

    fn lies(&self, name: &str, place: &str) -> Result<End> {
        let id = self.id(name).unwrap_or_default();
        let Ok(answer) = self.client.get(&format!("/volumes/{id}")) else {
            return Ok(End::Lost);
        };
        let host = &answer.body["volume"]["os-vol-host-attr:host"];
        if host.as_str().is_some_and(|host| host.contains(place)) {
            return Ok(End::Finished);
        }
        Ok(End::Failed(format!("volume {name} is at {host}")))
    }

    fn settle(&self, noun: &str, name: &str, wanted: Option<&str>) -> Result<End> {
        let id = self.id(name).unwrap_or_default();
        let key = noun.trim_end_matches('s');
        wait_for(
            &format!("{noun} {name} to be {wanted:?}"),
            STEP_DEADLINE,
            || {
                let Ok(answer) = self.client.get(&format!("/{noun}/{id}")) else {
                    return Ok(Some(End::Lost));
                };
                let status = answer.body[key]["status"]
                    .as_str()
                    .unwrap_or("(gone)")
                    .to_owned();
                if status == wanted.unwrap_or("(gone)") {
                    // A failed extend or snapshot leaves the volume as it was: only the journal tells.
                    return Ok(Some(End::Finished));
                }
                let is_bad = status.starts_with("error") || status == "(gone)";
                Ok(is_bad.then(|| End::Failed(format!("{noun} {name} is {status}"))))
            },
        )
    }

    fn fill(&self, text: &str) -> String {
        let connector: Value = connector(INITIATOR);
        let mut text = text.replace("$connector", &connector.to_string());
        text = text.replace("$record", self.record);
        for (name, id) in &self.ids {
            for end in ["\"", "/", "?", "."] {
                text = text.replace(&format!("${name}{end}"), &format!("{id}{end}"));
            }
            if let Some(start) = text.strip_suffix(&format!("${name}")) {
                text = format!("{start}{id}");
            }
        }
        text
    }
}
