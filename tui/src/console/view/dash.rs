//! The dashboard: what needs somebody, the pools, what is running. And the quotas of the caller's project.

use super::super::attention;
use super::super::columns;
use super::super::data::Loaded;
use super::super::item::{Item, Kind};
use super::super::layout::Area;
use super::super::rules;
use super::super::state::{Phase, State};
use super::super::text;
use super::super::theme::Tone;
use super::super::units;
use super::canvas::{Canvas, cells};

/// The dashboard.
pub(super) fn page(canvas: &mut Canvas, state: &State, area: Area) {
    let last = area.y + area.height;
    let mut y = needs(canvas, state, area);
    if y + 3 < last {
        y = pools(
            canvas,
            state,
            Area {
                y: y + 1,
                height: last - y - 1,
                ..area
            },
        );
    }
    if y + 3 < last {
        y = counts(
            canvas,
            state,
            Area {
                y: y + 1,
                height: last - y - 1,
                ..area
            },
        );
    }
    if y + 3 < last {
        running(
            canvas,
            state,
            Area {
                y: y + 1,
                height: last - y - 1,
                ..area
            },
        );
    }
}

fn needs(canvas: &mut Canvas, state: &State, area: Area) -> u16 {
    let items = attention::items(state);
    let title = match items.len() {
        0 => "NEEDS ATTENTION".to_owned(),
        count => format!("NEEDS ATTENTION ({count})  Enter jumps there"),
    };
    canvas.rule(area, &title);
    let mut y = area.y + 1;
    if items.is_empty() {
        let word = match (&state.link.phase, &state.data.of(Kind::Volume).loaded) {
            (Phase::Down { why, .. }, _) => {
                format!("No link to the daemon: {why}. Connecting is tried for ever; r tries now.")
            }
            (Phase::Denied(why), _) => {
                for line in super::table::denied(why, area.width) {
                    canvas.put(
                        area.x + 3,
                        y,
                        &line,
                        Tone::Plain,
                        area.width.saturating_sub(4),
                    );
                    y += 1;
                }
                return y;
            }
            (_, Loaded::Whole) => "Nothing needs you.".to_owned(),
            _ => "loading".to_owned(),
        };
        canvas.put(
            area.x + 3,
            y,
            &word,
            Tone::Plain,
            area.width.saturating_sub(4),
        );
        return y + 1;
    }
    let room = usize::from(area.height / 3).max(1);
    let top = state.dash_at.saturating_sub(room - 1);
    for (at, item) in items.iter().enumerate().skip(top).take(room) {
        let is_cursor = at == state.dash_at;
        let mark = if is_cursor { ">" } else { " " };
        let line = format!(
            "{mark}{} {}  {}",
            canvas.theme.glyphs.state(item.tone),
            text::left(&item.what, 28),
            item.why
        );
        canvas.put(
            area.x + 1,
            y,
            &line,
            item.tone,
            area.width.saturating_sub(2),
        );
        if is_cursor {
            canvas.tint(area.x, y, area.width, Tone::Cursor);
        }
        y += 1;
    }
    y
}

fn pools(canvas: &mut Canvas, state: &State, area: Area) -> u16 {
    let table = state.data.of(Kind::Pool);
    canvas.rule(area, "POOLS");
    let mut y = area.y + 1;
    if let Loaded::Refused(why) = &table.loaded {
        canvas.put(area.x + 3, y, why, Tone::Off, area.width.saturating_sub(4));
        return y + 1;
    }
    let mut rows: Vec<&Item> = table.rows().collect();
    rows.sort_by(|one, other| {
        columns::used_share(other)
            .partial_cmp(&columns::used_share(one))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    for item in rows.iter().take(usize::from(area.height / 2).max(1)) {
        let share = columns::used_share(item);
        // At 100 columns the whole line fits; a name that is cut says less than a shorter gauge.
        let (name_cells, gauge_cells) = if area.width < 120 { (25, 12) } else { (32, 22) };
        let gauge = share
            .map(|share| canvas.gauge(share, gauge_cells))
            .unwrap_or_else(|| " ".repeat(gauge_cells));
        let pool = item.pool().cloned().unwrap_or_default();
        let size = |size: Option<f64>| size.map_or_else(|| "-".to_owned(), units::gib_f);
        let line = format!(
            "{} {gauge} {}  {:>6} free of {:>6}  promised {:>6}  {}",
            text::left(&item.name, name_cells),
            share.map_or_else(|| "   -".to_owned(), |share| format!("{share:>3.0}%")),
            size(pool.free_gib),
            size(pool.total_gib),
            size(pool.provisioned_gib),
            match columns::volumes_on(item, &state.data) {
                1 => "1 volume".to_owned(),
                count => format!("{count} volumes"),
            }
        );
        canvas.put(
            area.x + 3,
            y,
            &line,
            share.map_or(Tone::Plain, columns::fullness),
            area.width.saturating_sub(4),
        );
        y += 1;
    }
    y
}

fn counts(canvas: &mut Canvas, state: &State, area: Area) -> u16 {
    canvas.rule(area, "OBJECTS");
    let mut y = area.y + 1;
    for kind in [Kind::Volume, Kind::Snapshot, Kind::Attachment] {
        let table = state.data.of(kind);
        if table.loaded == Loaded::Never || y >= area.y + area.height {
            continue;
        }
        let mut by_status: std::collections::BTreeMap<&str, usize> =
            std::collections::BTreeMap::new();
        for item in table.rows() {
            *by_status.entry(item.status.as_str()).or_default() += 1;
        }
        let words: Vec<String> = by_status
            .iter()
            .map(|(status, count)| format!("{count} {status}"))
            .collect();
        let size: u64 = table.rows().filter_map(|item| item.size_gib).sum();
        let size = if size > 0 {
            format!("  {} in all", units::gib(size))
        } else {
            String::new()
        };
        let line = format!(
            "{:>7} {}{}{size}   {}",
            table.count(),
            kind.noun(),
            if table.count() == 1 { "" } else { "s" },
            words.join(", ")
        );
        canvas.put(
            area.x + 3,
            y,
            &line,
            Tone::Plain,
            area.width.saturating_sub(4),
        );
        y += 1;
    }
    y
}

fn running(canvas: &mut Canvas, state: &State, area: Area) {
    let mut rows: Vec<&Item> = state.data.of(Kind::Operation).rows().collect();
    rows.sort_by_key(|item| {
        (
            rules::is_over(&item.status),
            std::cmp::Reverse(item.created_at),
        )
    });
    canvas.rule(area, "OPERATIONS, newest first  7 lists them");
    for (y, item) in (area.y + 1..area.y + area.height).zip(rows) {
        let tone = Tone::of_status(&item.status);
        let age = item
            .created_at
            .map(|at| super::super::clock::age(state.now, at))
            .unwrap_or_default();
        let line = format!(
            "{} {}  {}  {age:>4}",
            canvas.theme.glyphs.state(tone),
            text::left(&columns::operation_title(item, &state.data), 44),
            text::left(&item.status, 10)
        );
        canvas.put(area.x + 3, y, &line, tone, area.width.saturating_sub(4));
    }
}

/// The quota of the caller's project.
pub(super) fn quotas(canvas: &mut Canvas, state: &State, area: Area) {
    let Some(quota) = &state.data.quota else {
        canvas.put(
            area.x + 3,
            area.y + 1,
            "No quota is known yet. r asks again.",
            Tone::Plain,
            area.width,
        );
        return;
    };
    let project = state
        .whoami
        .as_ref()
        .map_or("?", |who| who.project.as_str());
    canvas.rule(
        area,
        &format!("project {project}; other projects: `ashlar quota show`"),
    );
    for (y, (resource, limit, used)) in (area.y + 1..area.y + area.height).zip(&quota.rows) {
        let (line, tone) = match *limit {
            limit if limit < 0 => (format!("{used:>10} of no limit"), Tone::Plain),
            0 => (format!("{used:>10} of 0"), Tone::Plain),
            limit => {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a percentage needs no last digits"
                )]
                let share = *used as f64 / limit as f64 * 100.0;
                let line = format!(
                    "{used:>10} of {limit:<10} {} {share:>3.0}%",
                    canvas.gauge(share, 22)
                );
                (line, columns::fullness(share))
            }
        };
        canvas.put(
            area.x + 3,
            y,
            &text::left(resource, 24),
            Tone::Plain,
            cells(24),
        );
        canvas.put(area.x + 28, y, &line, tone, area.width.saturating_sub(29));
    }
}
