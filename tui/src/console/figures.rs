//! Figures and names that several views derive from rows: only from what the daemon measured. Pure.

use super::data::Data;
use super::item::{Item, Kind, More};
use super::theme::Tone;

/// From when on a pool is said to come near.
pub(crate) const POOL_WARN_SHARE: f64 = 80.0;

/// From when on a pool is said to hurt, in percent.
pub(crate) const POOL_BAD_SHARE: f64 = 90.0;

/// How much of a pool is used, in percent, when it tells both figures.
pub(crate) fn used_share(item: &Item) -> Option<f64> {
    let pool = item.pool()?;
    let (total, free) = (pool.total_gib?, pool.free_gib?);
    (total.is_finite() && total > 0.0 && free.is_finite())
        .then(|| ((total - free) / total * 100.0).clamp(0.0, 100.0))
}

/// Promised over real.
pub(crate) fn oversubscription(item: &Item) -> Option<f64> {
    let pool = item.pool()?;
    let (total, promised) = (pool.total_gib?, pool.provisioned_gib?);
    (total.is_finite() && total > 0.0).then(|| promised / total)
}

/// How many volumes lie on a pool.
pub(crate) fn volumes_on(item: &Item, data: &Data) -> usize {
    let short = item
        .name
        .rsplit_once('#')
        .map_or(item.name.as_str(), |(_, pool)| pool);
    data.of(Kind::Volume)
        .rows()
        .filter(|other| other.volume().is_some_and(|volume| volume.pool == short))
        .count()
}

/// How a fullness looks.
pub(crate) fn fullness(share: f64) -> Tone {
    if share >= POOL_BAD_SHARE {
        Tone::Bad
    } else if share >= POOL_WARN_SHARE {
        Tone::Warn
    } else {
        Tone::Plain
    }
}

/// Percent done of an operation, from real counters only.
pub(crate) fn share_done(item: &Item) -> Option<f64> {
    let operation = item.operation()?;
    let (done, total) = (operation.bytes_done?, operation.bytes_total?);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a percentage needs no last digits"
    )]
    let share = (total > 0).then(|| done as f64 / total as f64 * 100.0);
    share.map(|share| share.min(100.0))
}

/// `create volume pg-01`.
pub(crate) fn operation_title(item: &Item, data: &Data) -> String {
    let Some(operation) = item.operation() else {
        return item.title();
    };
    let name = [Kind::Volume, Kind::Snapshot]
        .iter()
        .find_map(|kind| data.of(*kind).last_known(&item.of))
        .map_or_else(|| item.of.chars().take(8).collect(), Item::title);
    format!("{} {name}", operation.what())
}

/// The kind of a row.
pub(crate) fn kind_of(item: &Item) -> Kind {
    match item.more {
        More::Pool(_) => Kind::Pool,
        More::Volume(_) => Kind::Volume,
        More::Snapshot { .. } => Kind::Snapshot,
        More::Attachment(_) => Kind::Attachment,
        More::Operation(_) => Kind::Operation,
        More::Service { .. } => Kind::Service,
        More::Type { .. } => Kind::Type,
        More::Session(_) => Kind::Session,
    }
}

/// The host of an attachment: its own word, else what the volume's list of attachments says.
pub(crate) fn host_of(item: &Item, data: &Data) -> String {
    let More::Attachment(attachment) = &item.more else {
        return String::new();
    };
    if !attachment.host.is_empty() {
        return attachment.host.clone();
    }
    let volume = data.get(Kind::Volume, &item.of).and_then(Item::volume);
    let host = volume.and_then(|volume| volume.hosts.iter().find(|(id, _)| *id == item.id));
    match host {
        Some((_, host)) if !host.is_empty() => host.clone(),
        _ => attachment.instance.chars().take(8).collect(),
    }
}
