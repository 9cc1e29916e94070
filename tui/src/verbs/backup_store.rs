//! `ashlar backup-store ...`: where backups lie, whether that answers, and taking over all that lies there.

use super::operation::{self, BEGUN};
use super::rows;
use crate::client::Method;
use crate::output::Column;
use crate::places::BACKUP_STORE;
use crate::table::{Arg, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "backup-store",
    aliases: &["backup-stores", "store", "stores"],
    about: "Where backups lie (admin)",
    place: &BACKUP_STORE,
    short: &[
        Column::text("name", "name"),
        Column::text("service", "host"),
        Column::text("kind", "kind"),
        Column::text("up", "is_up"),
        Column::text("location", "location"),
        Column::bytes("used", "used_bytes"),
        Column::bytes("free", "free_bytes"),
        Column::number("backups", "backups"),
        Column::number("rows", "rows"),
        Column::time("reported", "reported_at"),
    ],
    long: &[
        Column::text("name", "name"),
        Column::text("service", "host"),
        Column::text("kind", "kind"),
        Column::text("up", "is_up"),
        Column::text("disabled", "is_disabled"),
        Column::text("failed because", "failure"),
        Column::text("zone", "availability_zone"),
        Column::text("location", "location"),
        Column::text("repository", "repository_id"),
        Column::bytes("used", "used_bytes"),
        Column::bytes("free", "free_bytes"),
        Column::number("backups", "backups"),
        Column::number("rows", "rows"),
        Column::time("reported", "reported_at"),
        Column::time("asked", "asked_at"),
        Column::time("heard", "heard_at"),
        Column::time("imported", "last_import.at"),
        Column::number("import found", "last_import.found"),
        Column::number("import made", "last_import.made"),
        Column::number("there already", "last_import.already_there"),
        Column::number("import refused", "last_import.refused"),
        Column::text("refused because", "last_import.reasons"),
    ],
    verbs: &[
        rows::list("List the backup stores as their services last told (admin)"),
        rows::show("Show backup stores with their last import (admin)"),
        IMPORT,
    ],
};

const IMPORT: Verb = Verb::form(
    "import",
    "Take over every backup that lies in a store and that the record does not know (admin)",
    &[Arg::Many("store", "names, or services as host@store")],
    |session, given| {
        rows::each(session, given, "importing", |target| {
            let path = format!("{}/{}/import", BACKUP_STORE.path, target.id);
            let begun = rows::send(session, &BACKUP_STORE, Method::Post, &path, None, target)?;
            operation::ended(session, &begun["operation"]).map(Some)
        })
    },
)
.shows(BEGUN);
