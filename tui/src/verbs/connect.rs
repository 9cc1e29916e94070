//! `ashlar attachment connect` and `disconnect`: attach a volume to this very host, and its disk is there.

use serde_json::{Value, json};

use crate::Session;
use crate::client::{Method, text};
use crate::failure::{Exit, Failure};
use crate::find;
use crate::initiator;
use crate::output::{Answer, Column};
use crate::places::{ATTACHMENT, VOLUME};
use crate::table::{Arg, Given, Verb};

const COLUMNS: &[Column] = &[
    Column::text("device", "device"),
    Column::bytes("size", "size_bytes"),
    Column::text("portals", "portals"),
    Column::text("volume", "volume_id"),
    Column::text("attachment", "attachment_id"),
];

const VOLUME_ARG: Arg = Arg::One("volume", "the volume's name or id");

pub(super) const CONNECT: Verb = Verb::form(
    "connect",
    "Attach a volume to this host and log in (root); again, after it was extended, to see it grow",
    &[VOLUME_ARG, Arg::Option("mode", "rw or ro")],
    connect,
)
.shows(COLUMNS);

pub(super) const DISCONNECT: Verb = Verb::confirm(
    "disconnect",
    "Log this host out of a volume and detach it (root); refused while it is mounted",
    &[VOLUME_ARG],
    disconnect,
);

fn connect<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let name = initiator::name()?;
    let volume_id = find::id(session, &VOLUME, given.word("volume"))?;
    let known = attachment_of_this_host(session, &volume_id)?;
    let is_new = known.is_none();
    let attachment = match known {
        Some(attachment) => attachment,
        None => attach(session, given, &volume_id, &name)?,
    };
    let attachment_id = text(&attachment, "id");
    let disk = match initiator::connect(&attachment["connection_info"]) {
        Ok(disk) => disk,
        Err(failure) => {
            // A host that did not get in holds nothing.
            if is_new {
                send(
                    session,
                    Method::Delete,
                    &format!("/attachments/{attachment_id}"),
                    None,
                )?;
            }
            return Err(failure);
        }
    };
    if text(&attachment, "status") != "attached" {
        let path = format!("/attachments/{attachment_id}/action");
        send(
            session,
            Method::Post,
            &path,
            Some(&json!({"os-complete": null})),
        )?;
    }
    Ok(Answer::One(json!({
        "device": disk.path.display().to_string(),
        "size_bytes": disk.len_bytes,
        "portals": disk.portals,
        "volume_id": volume_id,
        "attachment_id": attachment_id,
    })))
}

fn attach(
    session: &Session,
    given: &Given<'_>,
    volume_id: &str,
    initiator: &str,
) -> Result<Value, Failure> {
    let host = rustix::system::uname();
    let connector = json!({
        "initiator": initiator,
        "host": host.nodename().to_string_lossy(),
        "platform": host.machine().to_string_lossy(),
        "os_type": "linux",
        "multipath": initiator::has_multipath(),
    });
    let mut attachment = json!({"volume_uuid": volume_id, "connector": connector});
    super::rows::put(&mut attachment, "mode", given.option("mode"));
    let made = send(
        session,
        Method::Post,
        "/attachments",
        Some(&json!({"attachment": attachment})),
    )?;
    Ok(find::inner(&made, "attachment"))
}

fn disconnect<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    initiator::name()?;
    let volume_id = find::id(session, &VOLUME, given.word("volume"))?;
    let Some(attachment) = attachment_of_this_host(session, &volume_id)? else {
        let why = "this host has no record of an attachment of it";
        return Err(Failure::new(Exit::NotFound, "disconnecting", why)
            .hint("`ashlar attachment list` shows who has it")
            .unchanged());
    };
    let info = &attachment["connection_info"];
    let lun = info["target_lun"].as_u64().unwrap_or(0);
    initiator::disconnect(&text(info, "target_iqn"), lun)?;
    let path = format!("/attachments/{}", text(&attachment, "id"));
    send(session, Method::Delete, &path, None)?;
    Ok(Answer::One(
        json!({"volume_id": volume_id, "attachment_id": text(&attachment, "id")}),
    ))
}

/// The attachment whose user name is in this host's record of the target.
fn attachment_of_this_host(session: &Session, volume_id: &str) -> Result<Option<Value>, Failure> {
    for item in find::all(session, &ATTACHMENT, &[("volume_id", volume_id)])? {
        let attachment = find::show(session, &ATTACHMENT, &text(&item, "id"))?;
        let info = &attachment["connection_info"];
        let (iqn, user) = (text(info, "target_iqn"), text(info, "auth_username"));
        if !user.is_empty() && initiator::user_of(&iqn) == Some(user) {
            return Ok(Some(attachment));
        }
    }
    Ok(None)
}

fn send(
    session: &Session,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, Failure> {
    session
        .client
        .cinder(method, path, body)
        .map_err(|failure| failure.of("attaching to this host"))
}
