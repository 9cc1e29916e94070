//! The columns of every list: what a cell says, how it sorts, and which goes first when the window is narrow.
//!
//! Pure: a cell is made from a row and the data beside it. Must not know HTTP, keys or the terminal.

pub(crate) use super::cell::{Cell, Column, Rank};
use super::cell::{column, growing, number};
use super::clock::{self, Ms};
use super::data::Data;
pub(crate) use super::figures::{
    POOL_BAD_SHARE, POOL_WARN_SHARE, fullness, host_of, kind_of, operation_title, oversubscription,
    share_done, used_share, volumes_on,
};
use super::item::{Item, Kind, More};
use super::theme::Tone;
use super::units;

const POOLS: &[Column] = &[
    growing("POOL", 16, |item, _, _| text(&item.name)),
    column("KIND", 5, 2, |item, _, _| match pool(item).is_thin {
        Some(true) => text("thin"),
        Some(false) => text("thick"),
        None => missing(),
    }),
    number("USED%", 6, 0, |item, _, _| match used_share(item) {
        Some(share) => Cell {
            text: format!("{share:.0}%"),
            rank: Rank::Number(share),
            tone: fullness(share),
        },
        None => missing(),
    }),
    number("SIZE", 7, 0, |item, _, _| capacity(pool(item).total_gib)),
    number("FREE", 7, 0, |item, _, _| capacity(pool(item).free_gib)),
    number("PROMISED", 9, 1, |item, _, _| {
        capacity(pool(item).provisioned_gib)
    }),
    number("OVERSUB", 8, 3, |item, _, _| match oversubscription(item) {
        Some(ratio) => Cell {
            text: format!("{ratio:.1}x"),
            rank: Rank::Number(ratio),
            tone: Tone::Plain,
        },
        None => missing(),
    }),
    number("VOLUMES", 8, 4, |item, data, _| {
        count(volumes_on(item, data))
    }),
];

const VOLUMES: &[Column] = &[
    growing("NAME", 17, title),
    column("STATUS", 17, 0, status),
    number("SIZE", 6, 0, size),
    column("TYPE", 11, 3, |item, _, _| {
        volume_text(item, |volume| &volume.volume_type)
    }),
    column("POOL", 10, 4, |item, _, _| {
        volume_text(item, |volume| &volume.pool)
    }),
    column("ATTACHED TO", 18, 0, attached_to),
    column("PROJECT", 9, 6, |item, _, _| {
        text(&item.project.chars().take(8).collect::<String>())
    }),
    number("AGE", 4, 5, age),
];

const SNAPSHOTS: &[Column] = &[
    growing("NAME", 17, title),
    column("STATUS", 14, 0, status),
    number("SIZE", 6, 0, size),
    column("VOLUME", 20, 0, |item, data, _| {
        text(&data.volume_title(&item.of))
    }),
    column("CREATED", 16, 2, |item, _, _| when(item.created_at)),
    number("AGE", 4, 1, age),
];

const ATTACHMENTS: &[Column] = &[
    growing("VOLUME", 17, |item, data, _| {
        text(&data.volume_title(&item.of))
    }),
    column("STATUS", 12, 0, status),
    column("HOST", 16, 0, |item, data, _| {
        text_or_dash(&host_of(item, data))
    }),
    column("MODE", 4, 2, |item, _, _| {
        attachment_text(item, |attachment| attachment.mode.clone())
    }),
    number("LUN", 3, 3, |item, _, _| match &item.more {
        More::Attachment(attachment) => attachment
            .lun
            .map_or_else(missing, |lun| plain_number(lun, lun.to_string())),
        More::Pool(_)
        | More::Volume(_)
        | More::Snapshot { .. }
        | More::Operation(_)
        | More::Service { .. }
        | More::Type { .. }
        | More::Session(_) => missing(),
    }),
    column("TARGET", 26, 4, |item, _, _| {
        attachment_text(item, |attachment| short_iqn(&attachment.iqn))
    }),
    number("QUIET", 7, 1, quiet),
    number("SINCE", 5, 1, age),
];

const OPERATIONS: &[Column] = &[
    column("ID", 8, 1, |item, _, _| text(item.short_id())),
    growing("WHAT", 26, |item, data, _| {
        text(&operation_title(item, data))
    }),
    column("PHASE", 11, 0, status),
    number("DONE", 6, 0, |item, _, _| match share_done(item) {
        Some(share) => Cell {
            text: format!("{share:.0}%"),
            rank: Rank::Number(share),
            tone: Tone::Plain,
        },
        None => missing(),
    }),
    number("RATE", 7, 3, |item, _, _| {
        match item.operation().and_then(|operation| operation.bytes_per_s) {
            Some(rate) => plain_number(rate, format!("{}/s", units::short(rate))),
            None => missing(),
        }
    }),
    number("LEFT", 7, 2, |item, _, _| {
        match item.operation().and_then(|operation| operation.left_s) {
            Some(left) => plain_number(
                left,
                clock::span(
                    i64::try_from(left)
                        .unwrap_or(i64::MAX / 1000)
                        .saturating_mul(1000),
                ),
            ),
            None => missing(),
        }
    }),
    number("TOOK", 8, 4, |item, _, _| {
        match (
            item.created_at,
            item.operation().and_then(|operation| operation.finished_at),
        ) {
            (Some(begun), Some(ended)) => Cell {
                text: clock::span(ended - begun),
                rank: ms_rank(ended - begun),
                tone: Tone::Plain,
            },
            _ => missing(),
        }
    }),
    number("AGE", 4, 0, age),
];

const SERVICES: &[Column] = &[
    growing("SERVICE", 24, |item, _, _| text(&item.name)),
    column("STATE", 6, 0, |item, _, _| {
        service(item, |state, _| Cell {
            text: state.to_owned(),
            rank: Rank::Text(state.to_owned()),
            tone: if state == "up" {
                Tone::Plain
            } else {
                Tone::Bad
            },
        })
    }),
    column("STATUS", 10, 0, status),
    number("SEEN", 5, 1, |item, _, now| match &item.more {
        More::Service {
            seen_at: Some(at), ..
        } => Cell {
            text: clock::age(now, *at),
            rank: ms_rank(*at),
            tone: Tone::Plain,
        },
        More::Pool(_)
        | More::Volume(_)
        | More::Snapshot { .. }
        | More::Attachment(_)
        | More::Operation(_)
        | More::Service { .. }
        | More::Type { .. }
        | More::Session(_) => missing(),
    }),
    column("REASON", 20, 2, |item, _, _| {
        service(item, |_, reason| text_or_dash(reason))
    }),
];

const TYPES: &[Column] = &[
    growing("TYPE", 17, title),
    column("PUBLIC", 7, 1, |item, _, _| match &item.more {
        More::Type {
            is_public: Some(is_public),
            ..
        } => text(if *is_public { "yes" } else { "no" }),
        More::Pool(_)
        | More::Volume(_)
        | More::Snapshot { .. }
        | More::Attachment(_)
        | More::Operation(_)
        | More::Service { .. }
        | More::Type { .. }
        | More::Session(_) => missing(),
    }),
    number("VOLUMES", 8, 0, |item, data, _| {
        let uses = |other: &&Item| {
            other
                .volume()
                .is_some_and(|volume| volume.volume_type == item.name)
        };
        count(data.of(Kind::Volume).rows().filter(uses).count())
    }),
    column("DESCRIPTION", 30, 2, |item, _, _| match &item.more {
        More::Type { description, .. } => text_or_dash(description),
        More::Pool(_)
        | More::Volume(_)
        | More::Snapshot { .. }
        | More::Attachment(_)
        | More::Operation(_)
        | More::Service { .. }
        | More::Session(_) => missing(),
    }),
];

const SESSIONS: &[Column] = &[growing("INITIATOR", 30, title)];

/// The columns of a kind, in order.
pub(crate) fn of(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Pool => POOLS,
        Kind::Volume => VOLUMES,
        Kind::Snapshot => SNAPSHOTS,
        Kind::Attachment => ATTACHMENTS,
        Kind::Operation => OPERATIONS,
        Kind::Service => SERVICES,
        Kind::Type => TYPES,
        Kind::Session => SESSIONS,
    }
}

fn text(text: &str) -> Cell {
    let rank = if text.is_empty() {
        Rank::Missing
    } else {
        Rank::Text(text.to_lowercase())
    };
    Cell {
        text: text.to_owned(),
        rank,
        tone: Tone::Plain,
    }
}

fn text_or_dash(word: &str) -> Cell {
    if word.is_empty() {
        missing()
    } else {
        text(word)
    }
}

fn missing() -> Cell {
    Cell {
        text: "-".to_owned(),
        rank: Rank::Missing,
        tone: Tone::Off,
    }
}

#[expect(clippy::cast_precision_loss, reason = "an order needs no last digits")]
fn plain_number(number: u64, text: String) -> Cell {
    Cell {
        text,
        rank: Rank::Number(number as f64),
        tone: Tone::Plain,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an order of times needs no last digits"
)]
fn ms_rank(ms: Ms) -> Rank {
    Rank::Number(ms as f64)
}

fn count(count: usize) -> Cell {
    plain_number(u64::try_from(count).unwrap_or(u64::MAX), count.to_string())
}

fn title(item: &Item, data: &Data, _: Ms) -> Cell {
    if item.name.is_empty() {
        let shown = format!("{} no name", item.short_id());
        return Cell {
            rank: Rank::Text(item.id.clone()),
            text: shown,
            tone: Tone::Off,
        };
    }
    let mut cell = text(&item.name);
    if item.volume().is_some() && data.of(Kind::Volume).is_double(&item.name) {
        // In front: a name that is cut keeps what tells it from the other.
        cell.text = format!("{} {}", item.short_id(), item.name);
    }
    cell
}

fn status(item: &Item, _: &Data, _: Ms) -> Cell {
    let mut cell = text(&item.status);
    cell.tone = Tone::of_status(&item.status);
    cell
}

fn size(item: &Item, _: &Data, _: Ms) -> Cell {
    match item.size_gib {
        Some(size_gib) => plain_number(size_gib, units::gib(size_gib)),
        None => missing(),
    }
}

fn age(item: &Item, _: &Data, now: Ms) -> Cell {
    match item.created_at {
        // The newest has the smallest age.
        Some(at) => Cell {
            text: clock::age(now, at),
            rank: ms_rank(-at),
            tone: Tone::Plain,
        },
        None => missing(),
    }
}

fn when(at: Option<Ms>) -> Cell {
    match at {
        Some(at) => Cell {
            text: clock::minute(at),
            rank: ms_rank(at),
            tone: Tone::Plain,
        },
        None => missing(),
    }
}

fn volume_text(item: &Item, field: fn(&super::item::Volume) -> &String) -> Cell {
    item.volume()
        .map_or_else(missing, |volume| text_or_dash(field(volume)))
}

fn attachment_text(item: &Item, field: fn(&super::item::Attachment) -> String) -> Cell {
    match &item.more {
        More::Attachment(attachment) => text_or_dash(&field(attachment)),
        More::Pool(_)
        | More::Volume(_)
        | More::Snapshot { .. }
        | More::Operation(_)
        | More::Service { .. }
        | More::Type { .. }
        | More::Session(_) => missing(),
    }
}

fn service(item: &Item, cell: fn(&str, &str) -> Cell) -> Cell {
    match &item.more {
        More::Service { state, reason, .. } => cell(state, reason),
        More::Pool(_)
        | More::Volume(_)
        | More::Snapshot { .. }
        | More::Attachment(_)
        | More::Operation(_)
        | More::Type { .. }
        | More::Session(_) => missing(),
    }
}

fn attached_to(item: &Item, _: &Data, _: Ms) -> Cell {
    let Some(volume) = item.volume() else {
        return missing();
    };
    match (volume.hosts.first(), volume.attachment_count) {
        (Some((_, host)), 1) if !host.is_empty() => text(host),
        (Some((_, host)), more) if !host.is_empty() => text(&format!("{host} +{}", more - 1)),
        (Some(_), count) => text(&format!("{count} attached")),
        (None, _) => missing(),
    }
}

/// `iqn.2010-10.org.openstack:volume-x` is told as `..openstack:volume-x`.
fn short_iqn(iqn: &str) -> String {
    match iqn.split_once(':') {
        Some((authority, name)) => {
            let last = authority.rsplit('.').next().unwrap_or_default();
            format!("..{last}:{name}")
        }
        None => iqn.to_owned(),
    }
}

fn quiet(item: &Item, data: &Data, _: Ms) -> Cell {
    let sessions = data
        .of(Kind::Session)
        .rows()
        .filter(|session| session.of == item.of);
    let quiet_s = sessions.filter_map(|session| match &session.more {
        More::Session(session) => session.quiet_s,
        More::Pool(_)
        | More::Volume(_)
        | More::Snapshot { .. }
        | More::Attachment(_)
        | More::Operation(_)
        | More::Service { .. }
        | More::Type { .. } => None,
    });
    match quiet_s.min() {
        Some(quiet_s) => {
            let span = clock::span(
                i64::try_from(quiet_s)
                    .unwrap_or(i64::MAX / 1000)
                    .saturating_mul(1000),
            );
            plain_number(quiet_s, span)
        }
        None => missing(),
    }
}

fn pool(item: &Item) -> super::item::Pool {
    item.pool().cloned().unwrap_or_default()
}

fn capacity(size_gib: Option<f64>) -> Cell {
    match size_gib {
        Some(size) => Cell {
            text: units::gib_f(size),
            rank: Rank::Number(size),
            tone: Tone::Plain,
        },
        None => missing(),
    }
}
