//! A row as the filter language looks at it: the same words as `--filter` on the command line. Pure.

use std::borrow::Cow;

use super::clock::{Ms, SECOND};
use super::columns::{self, Rank};
use super::data::{Data, Slot};
use super::item::More;
use crate::filter::{Datum, Subject, Word};

/// A row, and what is needed to look at it.
pub(crate) struct Seen<'a> {
    /// The row.
    pub(crate) slot: &'a Slot,
    /// Whether it is marked.
    pub(crate) is_marked: bool,
    /// The data beside it.
    pub(crate) data: &'a Data,
    /// The caller's own project.
    pub(crate) project: &'a str,
    /// The time.
    pub(crate) now: Ms,
}

const GIB: f64 = 1_073_741_824.0;

impl Subject for Seen<'_> {
    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        let item = &self.slot.item;
        fits(&item.name) || fits(&item.id) || fits(&self.slot.words)
    }

    fn field(&self, name: &str) -> Datum<'_> {
        let item = &self.slot.item;
        match name {
            "id" => text(&item.id),
            "name" => text(&item.name),
            "status" | "phase" => text(&item.status),
            "project" => text(&item.project),
            "size" => item
                .size_gib
                .map_or(Datum::Absent, |size| Datum::Bytes(as_f64(size) * GIB)),
            "age" => item
                .created_at
                .map_or(Datum::Absent, |at| seconds(self.now - at)),
            "used" => columns::used_share(item).map_or(Datum::Absent, Datum::Number),
            _ => self.of_kind(name),
        }
    }

    fn is(&self, word: Word) -> bool {
        let item = &self.slot.item;
        let attached = item.volume().map_or(0, |volume| volume.attachment_count);
        match word {
            Word::Attached => attached > 0 || item.status == "attached",
            Word::Orphan => item.status == "in-use" && item.volume().is_some() && attached == 0,
            Word::Marked => self.is_marked,
            Word::Mine => !self.project.is_empty() && item.project == self.project,
        }
    }
}

impl Seen<'_> {
    fn of_kind(&self, name: &str) -> Datum<'_> {
        let item = &self.slot.item;
        match (&item.more, name) {
            (More::Volume(volume), "type") => text(&volume.volume_type),
            (More::Volume(volume), "pool") => text(&volume.pool),
            (More::Volume(volume), "host") => volume
                .hosts
                .first()
                .map_or(Datum::Absent, |(_, host)| text(host)),
            (More::Snapshot { .. } | More::Attachment(_), "volume") => {
                Datum::Text(Cow::Owned(self.data.volume_title(&item.of)))
            }
            (More::Attachment(_), "host") => {
                Datum::Text(Cow::Owned(columns::host_of(item, self.data)))
            }
            (More::Attachment(attachment), "mode") => text(&attachment.mode),
            (More::Attachment(attachment), "instance") => text(&attachment.instance),
            (More::Operation(operation), "verb") => text(&operation.verb),
            (More::Operation(operation), "error") => text(&operation.error),
            // Any other column by its heading.
            _ => self.column(name),
        }
    }

    fn column(&self, name: &str) -> Datum<'_> {
        let kind = columns::kind_of(&self.slot.item);
        let column = columns::of(kind)
            .iter()
            .find(|column| column.head.eq_ignore_ascii_case(name));
        match column.map(|column| (column.cell)(&self.slot.item, self.data, self.now)) {
            Some(cell) => match cell.rank {
                Rank::Number(number) => Datum::Number(number),
                Rank::Text(_) => Datum::Text(Cow::Owned(cell.text)),
                Rank::Missing => Datum::Absent,
            },
            None => Datum::Absent,
        }
    }
}

fn text(text: &str) -> Datum<'_> {
    if text.is_empty() {
        Datum::Absent
    } else {
        Datum::Text(Cow::Borrowed(text))
    }
}

fn seconds(ms: Ms) -> Datum<'static> {
    let s = u64::try_from(ms.max(0) / SECOND).unwrap_or(0);
    Datum::Seconds(as_f64(s))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a comparison needs no last digits"
)]
fn as_f64(number: u64) -> f64 {
    number as f64
}
