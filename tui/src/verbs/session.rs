//! `ashlar session ...`: which host is logged in where, how much it reads and writes, and how to end that.

use super::rows;
use crate::client::Method;
use crate::output::Column;
use crate::places::SESSION;
use crate::table::{Arg, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "session",
    aliases: &["sessions"],
    about: "Sessions of the iSCSI target: who reads and writes now (admin)",
    place: &SESSION,
    short: &[
        Column::text("id", "id"),
        Column::text("volume", "volume_id"),
        Column::text("initiator", "initiator"),
        Column::text("address", "address"),
        Column::bytes("read", "read_bytes"),
        Column::bytes("written", "written_bytes"),
        Column::seconds("quiet", "quiet_s"),
        Column::time("since", "since"),
    ],
    long: &[
        Column::text("id", "id"),
        Column::text("volume", "volume_id"),
        Column::text("initiator", "initiator"),
        Column::text("address", "address"),
        Column::text("read only", "read_only"),
        Column::number("reads", "reads"),
        Column::number("writes", "writes"),
        Column::bytes("read", "read_bytes"),
        Column::bytes("written", "written_bytes"),
        Column::time("last io", "last_io_at"),
        Column::seconds("quiet", "quiet_s"),
        Column::time("since", "since"),
    ],
    verbs: &[rows::list("List the sessions (admin)").key("5"), KICK],
};

const KICK: Verb = Verb::confirm(
    "kick",
    "End sessions at once; a host that is still let in logs in again (admin)",
    &[Arg::Many("session", "ids, as `session list` shows them")],
    |session, given| {
        rows::each(session, given, "ending", |target| {
            let path = format!("/sessions/{}/kick", crate::text::path_segment(&target.id));
            rows::send(session, &SESSION, Method::Post, &path, None, target)?;
            Ok(None)
        })
    },
);
