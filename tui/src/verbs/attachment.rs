//! `ashlar attachment ...`: reserve, connect, complete, release.

use serde_json::{Value, json};

use super::connect;
use super::rows::{self, Target, put};
use crate::Session;
use crate::client::{Method, text};
use crate::failure::{Exit, Failure};
use crate::find;
use crate::output::{Answer, Column};
use crate::places::{ATTACHMENT, VOLUME};
use crate::plan::{self, About};
use crate::table::{Arg, Given, Level, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "attachment",
    aliases: &["attachments", "att"],
    about: "Attachments: which host has which volume",
    place: &ATTACHMENT,
    short: &[
        Column::text("id", "id"),
        Column::text("volume", "volume_id"),
        Column::text("status", "status"),
        Column::text("instance", "instance"),
        Column::text("mode", "attach_mode"),
        Column::time("since", "attached_at"),
    ],
    long: &[
        Column::text("id", "id"),
        Column::text("volume", "volume_id"),
        Column::text("status", "status"),
        Column::text("instance", "instance"),
        Column::text("mode", "attach_mode"),
        Column::time("since", "attached_at"),
        Column::text("portal", "connection_info.target_portal"),
        Column::text("iqn", "connection_info.target_iqn"),
        Column::number("lun", "connection_info.target_lun"),
        Column::text("connection", "connection_info"),
    ],
    verbs: &[
        CREATE,
        UPDATE,
        COMPLETE,
        connect::CONNECT,
        connect::DISCONNECT,
        rows::list("List the attachments of the project").key("5"),
        rows::show("Show attachments; -o json also shows the CHAP secret").key("Enter"),
        rows::delete(
            Level::Confirm,
            "Disconnect and release; the host must have let go",
        )
        .key("A")
        .plan("delete_attachment"),
        FORCE_DETACH,
    ],
};

const INITIATOR: Arg = Arg::Option("initiator", "the host's initiator name (IQN)");
const HOST: Arg = Arg::Option("host", "the host's name");
const IP: Arg = Arg::Option("ip", "the host's address");

const CREATE: Verb = Verb::form(
    "create",
    "Reserve a volume for a host; with --initiator connect it at once",
    &[
        Arg::One("volume", "the volume's name or id"),
        INITIATOR,
        HOST,
        IP,
        Arg::Option("instance", "the id of the server that will use it"),
        Arg::Option("mode", "rw or ro"),
    ],
    create,
)
.key("a")
.plan("create_attachment");

fn connector(given: &Given<'_>) -> Option<Value> {
    let initiator = given.option("initiator")?;
    let mut connector = json!({"initiator": initiator, "multipath": false});
    put(&mut connector, "host", given.option("host"));
    put(&mut connector, "ip", given.option("ip"));
    Some(connector)
}

fn create<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let volume_id = find::id(session, &VOLUME, given.word("volume"))?;
    let volume_uuid = volume_id.clone();
    let mut attachment = json!({"connector": connector(given)});
    put(&mut attachment, "instance_uuid", given.option("instance"));
    put(&mut attachment, "mode", given.option("mode"));
    if session.dry_run {
        let about = About {
            object_id: Some(volume_id),
            input: attachment.clone(),
        };
        if let Some(plan) = plan::of(session, "create_attachment", &about)? {
            return Ok(Answer::Planned(vec![plan::item(&plan)]));
        }
    }
    attachment["volume_uuid"] = Value::from(volume_uuid);
    let body = json!({"attachment": attachment});
    let what = format!("attaching the volume {}", given.word("volume"));
    let answer = session
        .client
        .cinder(Method::Post, "/attachments", Some(&body))
        .map_err(|failure| failure.of(&what))?;
    Ok(Answer::One(find::inner(&answer, "attachment")))
}

const UPDATE: Verb = Verb::form(
    "update",
    "Connect a reserved volume to the host that will use it",
    &[Arg::One("attachment", "its id"), INITIATOR, HOST, IP],
    update,
);

fn update<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let Some(connector) = connector(given) else {
        return Err(Failure::usage(
            "the host is not named",
            "add --initiator IQN",
        ));
    };
    let body = json!({"attachment": {"connector": connector}});
    rows::each(session, given, "connecting", |target| {
        let path = format!("/attachments/{}", target.id);
        let answer = rows::send(
            session,
            &ATTACHMENT,
            Method::Put,
            &path,
            Some(&body),
            target,
        )?;
        Ok(Some(find::inner(&answer, "attachment")))
    })
}

const COMPLETE: Verb = Verb::form(
    "complete",
    "Say that the host has the device",
    &[Arg::One("attachment", "its id")],
    |session, given| {
        rows::act(session, given, "completing", |_| {
            Ok(json!({"os-complete": null}))
        })
    },
);

const FORCE_DETACH: Verb = Verb::type_name(
    "force-detach",
    "Take volumes away from hosts that do not let go; their writes may be lost (admin)",
    &[Arg::Many("attachment", "ids")],
    force_detach,
)
.plan("force_detach");

fn force_detach<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let body = |target: &Target| json!({"os-force_detach": {"attachment_id": target.id, "connector": null}});
    // The act is one on the volume.
    let about = |target: &Target| {
        let volume_id = text(&target.item, "volume_id");
        Ok(About::action(&volume_id, &body(target)))
    };
    rows::each_planned(session, given, "detaching", &about, |target| {
        let volume_id = text(&target.item, "volume_id");
        let path = format!("/volumes/{volume_id}/action");
        rows::send(
            session,
            &VOLUME,
            Method::Post,
            &path,
            Some(&body(target)),
            target,
        )?;
        match find::show(session, &ATTACHMENT, &target.id) {
            Err(failure) if failure.exit == Exit::NotFound => Ok(None),
            other => other.map(Some),
        }
    })
}
