//! Which act may be done to an object in its present state, and if not, why and what would allow it (law 4).
//!
//! Pure. The daemon decides in the end; this keeps people from asking for what it would refuse.

use super::columns;
use super::data::Data;
use super::item::{Item, More};
use super::keymap::Act;

/// `Ok` when the act may be asked for, else the reason in words.
pub(crate) fn allowed(act: Act, item: &Item, data: &Data) -> Result<(), String> {
    let title = item.title();
    let status = item.status.as_str();
    match (act, &item.more) {
        (Act::Extend, More::Volume(_)) => {
            one_of(&title, status, &["available", "in-use"], "extended")
        }
        (Act::Snapshot, More::Volume(_)) => {
            one_of(&title, status, &["available", "in-use"], "snapshotted")
        }
        (Act::Clone, More::Volume(_)) => one_of(&title, status, &["available", "in-use"], "cloned"),
        (Act::Clone, More::Snapshot { .. }) => {
            one_of(&title, status, &["available"], "copied into a volume")
        }
        (Act::Attach, More::Volume(volume)) => {
            if !volume.is_multiattach && volume.attachment_count > 0 {
                return Err(format!(
                    "{title} is attached already and its type is not multiattach: A detaches"
                ));
            }
            let from: &[&str] = if volume.is_multiattach {
                &["available", "in-use", "reserved"]
            } else {
                &["available"]
            };
            one_of(&title, status, from, "attached")
        }
        (Act::Detach, More::Volume(volume)) => {
            if volume.attachment_count == 0 && data.attachments_of(&item.id).next().is_none() {
                return Err(format!("{title} is not attached: a attaches it"));
            }
            Ok(())
        }
        (Act::Detach, More::Attachment(_)) => match status {
            "detaching" => Err(format!("the attachment {title} is being detached already")),
            _ => Ok(()),
        },
        (Act::Complete, More::Attachment(_)) => match status {
            "attaching" => Ok(()),
            "attached" => Err("the host has it already: it is attached".to_owned()),
            other => Err(format!(
                "the attachment is {other}; only one that is attaching can be completed"
            )),
        },
        // What stands in the way of a delete is told by its dialog, with what would remove it.
        (Act::Delete, More::Volume(_) | More::Snapshot { .. }) => match status {
            "deleting" => Err(format!("{title} is being deleted already")),
            "creating" | "extending" | "reverting" | "restoring" => Err(format!(
                "{title} is {status}; it can be deleted once that has ended"
            )),
            _ => Ok(()),
        },
        (Act::Cancel, More::Operation(operation)) => {
            if is_over(status) {
                return Err(format!("it is {status}: there is nothing left to cancel"));
            }
            match operation.can_cancel {
                Some(false) => Err("it is past the point where it could be undone".to_owned()),
                Some(true) | None => Ok(()),
            }
        }
        (Act::Retry, More::Operation(operation)) => match (status, operation.can_retry) {
            (_, Some(true)) => Ok(()),
            ("failed", None) => Ok(()),
            (_, Some(false)) => Err("the daemon says that this one cannot be retried".to_owned()),
            (status, None) => Err(format!(
                "it is {status}; only a failed operation can be retried"
            )),
        },
        _ => not_here(act, item),
    }
}

fn not_here(act: Act, item: &Item) -> Result<(), String> {
    let noun = columns::kind_of(item);
    match act.is_mutating() {
        true => Err(format!("a {} cannot be {}", noun.noun(), act.done())),
        false => Ok(()),
    }
}

/// Whether an operation has ended.
pub(crate) fn is_over(phase: &str) -> bool {
    matches!(phase, "done" | "failed" | "cancelled")
}

fn one_of(title: &str, status: &str, from: &[&str], done: &str) -> Result<(), String> {
    if from.contains(&status) {
        return Ok(());
    }
    Err(format!(
        "{title} is {status}; it can be {done} when it is {}",
        from.join(" or ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::item::Kind;
    use serde_json::json;

    fn verdict(act: Act, kind: Kind, value: &serde_json::Value) -> String {
        let item = Item::read(kind, value).unwrap();
        allowed(act, &item, &Data::default())
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn every_act_on_a_volume_in_every_status_is_allowed_or_says_why() {
        let table = [
            (Act::Extend, "available", ""),
            (Act::Extend, "in-use", ""),
            (
                Act::Extend,
                "error",
                "v is error; it can be extended when it is available or in-use",
            ),
            (
                Act::Extend,
                "extending",
                "v is extending; it can be extended when it is available or in-use",
            ),
            (Act::Snapshot, "in-use", ""),
            (
                Act::Snapshot,
                "creating",
                "v is creating; it can be snapshotted when it is available or in-use",
            ),
            (Act::Clone, "available", ""),
            (
                Act::Clone,
                "deleting",
                "v is deleting; it can be cloned when it is available or in-use",
            ),
            (Act::Attach, "available", ""),
            (
                Act::Attach,
                "reserved",
                "v is reserved; it can be attached when it is available",
            ),
            (
                Act::Attach,
                "error",
                "v is error; it can be attached when it is available",
            ),
            (Act::Detach, "available", "v is not attached: a attaches it"),
            (Act::Delete, "available", ""),
            (Act::Delete, "error_deleting", ""),
            (Act::Delete, "in-use", ""),
            (Act::Delete, "deleting", "v is being deleted already"),
            (
                Act::Delete,
                "extending",
                "v is extending; it can be deleted once that has ended",
            ),
            (Act::Complete, "available", "a volume cannot be completed"),
            (Act::Cancel, "available", "a volume cannot be cancelled"),
        ];
        for (act, status, reason) in table {
            let value = json!({"id": "1", "name": "v", "status": status});
            assert_eq!(
                verdict(act, Kind::Volume, &value),
                reason,
                "{act:?} {status}"
            );
        }
        let attached = json!({"id": "1", "name": "v", "status": "in-use", "attachments": [{"attachment_id": "2"}]});
        assert_eq!(
            verdict(Act::Attach, Kind::Volume, &attached),
            "v is attached already and its type is not multiattach: A detaches"
        );
        assert_eq!(verdict(Act::Detach, Kind::Volume, &attached), "");
    }

    #[test]
    fn snapshots_attachments_and_operations_too() {
        let table = [
            (Act::Clone, Kind::Snapshot, "available", ""),
            (
                Act::Clone,
                Kind::Snapshot,
                "error",
                "1 is error; it can be copied into a volume when it is available",
            ),
            (
                Act::Delete,
                Kind::Snapshot,
                "deleting",
                "1 is being deleted already",
            ),
            (
                Act::Extend,
                Kind::Snapshot,
                "available",
                "a snapshot cannot be extended",
            ),
            (Act::Detach, Kind::Attachment, "attached", ""),
            (
                Act::Detach,
                Kind::Attachment,
                "detaching",
                "the attachment 1 is being detached already",
            ),
            (Act::Complete, Kind::Attachment, "attaching", ""),
            (
                Act::Complete,
                Kind::Attachment,
                "attached",
                "the host has it already: it is attached",
            ),
            (
                Act::Complete,
                Kind::Attachment,
                "reserved",
                "the attachment is reserved; only one that is attaching can be completed",
            ),
            (Act::Delete, Kind::Pool, "up", "a pool cannot be deleted"),
        ];
        for (act, kind, status, reason) in table {
            let value = json!({"id": "1", "name": if kind == Kind::Pool { "p" } else { "" }, "status": status});
            assert_eq!(
                verdict(act, kind, &value),
                reason,
                "{act:?} {kind:?} {status}"
            );
        }
    }

    #[test]
    fn operations_are_cancelled_while_they_go_and_retried_when_they_failed() {
        let operation = |phase: &str, can: Option<bool>| json!({"id": "1", "phase": phase, "can_cancel": can, "can_retry": can});
        let table = [
            (Act::Cancel, "running", Some(true), ""),
            (
                Act::Cancel,
                "running",
                Some(false),
                "it is past the point where it could be undone",
            ),
            (
                Act::Cancel,
                "done",
                None,
                "it is done: there is nothing left to cancel",
            ),
            (Act::Retry, "failed", None, ""),
            (
                Act::Retry,
                "failed",
                Some(false),
                "the daemon says that this one cannot be retried",
            ),
            (
                Act::Retry,
                "running",
                None,
                "it is running; only a failed operation can be retried",
            ),
        ];
        for (act, phase, can, reason) in table {
            assert_eq!(
                verdict(act, Kind::Operation, &operation(phase, can)),
                reason,
                "{act:?} {phase}"
            );
        }
    }
}
