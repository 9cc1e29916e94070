//! `ashlar zone list`: the availability zones.

use super::rows;
use crate::output::Column;
use crate::places::ZONE;
use crate::table::Noun;

pub(super) static NOUN: Noun = Noun {
    name: "zone",
    aliases: &["zones"],
    about: "Availability zones",
    place: &ZONE,
    short: COLUMNS,
    long: COLUMNS,
    verbs: &[rows::list("List the availability zones")],
};

const COLUMNS: &[Column] = &[
    Column::text("name", "zoneName"),
    Column::text("available", "zoneState.available"),
];
