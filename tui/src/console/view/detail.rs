//! Everything about one object: label and value, a line each. The preview and the whole page are the same lines.

use super::super::attention;
use super::super::clock;
use super::super::columns;
use super::super::item::{Item, Kind, More, Operation, Pool};
use super::super::layout::Area;
use super::super::state::State;
use super::super::text;
use super::super::theme::Tone;
use super::super::units;
use super::canvas::{Canvas, cells};

/// The width of the labels.
const LABEL: usize = 10;

type Line = (&'static str, String, Tone);

/// What is under the cursor, below or beside the list.
pub(super) fn preview(canvas: &mut Canvas, state: &State, area: Area) {
    let Some((kind, item)) = state.under_cursor() else {
        canvas.rule(area, "");
        return;
    };
    canvas.rule(area, &heading(state, kind, item));
    draw(canvas, &lines(state, kind, item), 0, below(area));
}

/// The same on the whole page.
pub(super) fn page(
    canvas: &mut Canvas,
    state: &State,
    (kind, id): (Kind, &str),
    top: usize,
    area: Area,
) {
    let Some(item) = state.data.of(kind).last_known(id) else {
        canvas.rule(area, "nothing is known of it");
        return;
    };
    let gone = if state.data.of(kind).is_gone(id) {
        "  (gone)"
    } else {
        ""
    };
    canvas.rule(
        area,
        &format!(
            "{} {}{gone}  Esc goes back",
            kind.noun(),
            heading(state, kind, item)
        ),
    );
    draw(canvas, &lines(state, kind, item), top, below(area));
}

fn below(area: Area) -> Area {
    Area {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    }
}

fn heading(state: &State, kind: Kind, item: &Item) -> String {
    match kind {
        Kind::Attachment => state.data.volume_title(&item.of),
        Kind::Operation => columns::operation_title(item, &state.data),
        Kind::Pool | Kind::Volume | Kind::Snapshot | Kind::Service | Kind::Type | Kind::Session => {
            item.title()
        }
    }
}

fn draw(canvas: &mut Canvas, lines: &[Line], top: usize, area: Area) {
    let width = usize::from(area.width.saturating_sub(2)).saturating_sub(LABEL + 3);
    let mut rows: Vec<(&str, String, Tone)> = Vec::new();
    for (label, value, tone) in lines {
        for (at, part) in text::wrap(value, width).into_iter().enumerate() {
            rows.push((if at == 0 { label } else { "" }, part, *tone));
        }
    }
    let top = top.min(rows.len().saturating_sub(1));
    for (y, (label, value, tone)) in (area.y..area.y + area.height).zip(rows.iter().skip(top)) {
        canvas.put(
            area.x + 2,
            y,
            &text::left(label, LABEL),
            Tone::Off,
            cells(LABEL),
        );
        canvas.put(area.x + 3 + cells(LABEL), y, value, *tone, cells(width));
    }
}

fn lines(state: &State, kind: Kind, item: &Item) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut add = |label: &'static str, value: String| {
        if !value.is_empty() {
            lines.push((label, value, Tone::Plain));
        }
    };
    if !matches!(kind, Kind::Pool | Kind::Service) {
        add("id", item.id.clone());
    }
    add("status", item.status.clone());
    if let Some(size_gib) = item.size_gib {
        add(
            "size",
            format!(
                "{}  {} bytes",
                units::gib(size_gib),
                units::grouped(size_gib.saturating_mul(1 << 30))
            ),
        );
    }
    add("project", item.project.clone());
    if let Some(at) = item.created_at {
        add(
            "since",
            format!(
                "{} UTC, {} ago",
                clock::minute(at),
                clock::age(state.now, at)
            ),
        );
    }
    lines.extend(more(state, item));
    if let Some(error) = attention::failure_of(state, &item.id)
        .filter(|_| Tone::of_status(&item.status) == Tone::Bad)
    {
        lines.push(("WHY", error, Tone::Bad));
    }
    lines
}

fn more(state: &State, item: &Item) -> Vec<Line> {
    match &item.more {
        More::Pool(pool) => of_pool(state, item, pool),
        More::Volume(_) => of_volume(state, item),
        More::Snapshot { progress } => plain(&[
            ("volume", state.data.volume_title(&item.of)),
            ("progress", progress.clone()),
        ]),
        More::Attachment(attachment) => {
            let mut lines = plain(&[
                ("volume", state.data.volume_title(&item.of)),
                ("host", columns::host_of(item, &state.data)),
                ("instance", attachment.instance.clone()),
                ("mode", attachment.mode.clone()),
                ("portal", attachment.portal.clone()),
                ("target", attachment.iqn.clone()),
                (
                    "lun",
                    attachment
                        .lun
                        .map(|lun| lun.to_string())
                        .unwrap_or_default(),
                ),
            ]);
            lines.extend(sessions(state, &item.of));
            lines
        }
        More::Operation(operation) => of_operation(state, item, operation),
        More::Service {
            host,
            binary,
            state: up,
            reason,
            seen_at,
        } => plain(&[
            ("binary", binary.clone()),
            ("host", host.clone()),
            ("state", up.clone()),
            ("reason", reason.clone()),
            (
                "seen",
                seen_at
                    .map(|at| format!("{} ago", clock::age(state.now, at)))
                    .unwrap_or_default(),
            ),
        ]),
        More::Type {
            description,
            is_public,
        } => plain(&[
            ("about", description.clone()),
            (
                "public",
                is_public
                    .map(|is| if is { "yes" } else { "no" }.to_owned())
                    .unwrap_or_default(),
            ),
        ]),
        More::Session(session) => plain(&[
            ("initiator", session.initiator.clone()),
            ("address", session.address.clone()),
        ]),
    }
}

fn plain(lines: &[(&'static str, String)]) -> Vec<Line> {
    let known = lines.iter().filter(|(_, value)| !value.is_empty());
    known
        .map(|(label, value)| (*label, value.clone(), Tone::Plain))
        .collect()
}

fn of_pool(state: &State, item: &Item, pool: &Pool) -> Vec<Line> {
    let size = |size: Option<f64>| size.map(units::gib_f).unwrap_or_default();
    let mut lines = plain(&[
        ("backend", pool.driver.clone()),
        ("size", size(pool.total_gib)),
        ("free", size(pool.free_gib)),
        ("promised", size(pool.provisioned_gib)),
        (
            "at most",
            pool.over_ratio
                .map(|ratio| format!("{ratio:.1}x may be promised"))
                .unwrap_or_default(),
        ),
        (
            "volumes",
            columns::volumes_on(item, &state.data).to_string(),
        ),
    ]);
    if let Some(share) = columns::used_share(item) {
        lines.insert(
            0,
            ("used", format!("{share:.0}%"), columns::fullness(share)),
        );
    }
    lines
}

fn of_volume(state: &State, item: &Item) -> Vec<Line> {
    let Some(volume) = item.volume() else {
        return Vec::new();
    };
    let mut lines = plain(&[
        ("type", volume.volume_type.clone()),
        ("pool", volume.pool.clone()),
        ("about", volume.description.clone()),
        ("zone", volume.zone.clone()),
        (
            "bootable",
            if volume.is_bootable {
                "yes".to_owned()
            } else {
                String::new()
            },
        ),
        (
            "shared",
            if volume.is_multiattach {
                "multiattach".to_owned()
            } else {
                String::new()
            },
        ),
        (
            "from",
            origin(state, &volume.snapshot_id, &volume.source_id),
        ),
    ]);
    for attachment in state.data.attachments_of(&item.id) {
        let host = columns::host_of(attachment, &state.data);
        let line = format!("{} {host} {}", attachment.short_id(), attachment.status);
        lines.push(("attached", line, Tone::of_status(&attachment.status)));
    }
    lines.extend(sessions(state, &item.id));
    lines.extend(around(state, item));
    lines
}

/// Its snapshots, and what was done to it last.
fn around(state: &State, item: &Item) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let snapshots: Vec<String> = state.data.snapshots_of(&item.id).map(Item::title).collect();
    if !snapshots.is_empty() {
        let shown = snapshots
            .iter()
            .take(8)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        let more = if snapshots.len() > 8 {
            format!(" and {} more", snapshots.len() - 8)
        } else {
            String::new()
        };
        lines.push((
            "snapshots",
            format!("{}: {shown}{more}", snapshots.len()),
            Tone::Plain,
        ));
    }
    let of_it = state
        .data
        .of(Kind::Operation)
        .rows()
        .filter(|operation| operation.of == item.id);
    if let Some(last) = of_it.max_by_key(|operation| operation.created_at) {
        let what = last.operation().map(Operation::what).unwrap_or_default();
        let age = last
            .created_at
            .map(|at| clock::age(state.now, at))
            .unwrap_or_default();
        lines.push((
            "last",
            format!("{what} {}, {age} ago", last.status),
            Tone::of_status(&last.status),
        ));
    }
    lines
}

fn origin(state: &State, snapshot_id: &str, source_id: &str) -> String {
    if !snapshot_id.is_empty() {
        let known = state.data.of(Kind::Snapshot).last_known(snapshot_id);
        return format!(
            "snapshot {}",
            known.map_or_else(|| snapshot_id.to_owned(), Item::title)
        );
    }
    if source_id.is_empty() {
        String::new()
    } else {
        format!("volume {}", state.data.volume_title(source_id))
    }
}

/// Who is logged in, and since when it has been quiet.
fn sessions(state: &State, volume_id: &str) -> Vec<Line> {
    let rows = state
        .data
        .of(Kind::Session)
        .rows()
        .filter(|session| session.of == volume_id);
    rows.filter_map(|item| {
        let More::Session(session) = &item.more else {
            return None;
        };
        let count = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), units::short);
        let quiet = session
            .quiet_s
            .and_then(|s| i64::try_from(s).ok())
            .map(|s| format!("  quiet for {}", clock::span(s * 1000)));
        let line = format!(
            "{} {}{}  read {}  written {}{}",
            session.initiator,
            session.address,
            if session.is_read_only { " ro" } else { "" },
            count(session.read_bytes),
            count(session.written_bytes),
            quiet.unwrap_or_default()
        );
        Some(("logged in", line, Tone::Live))
    })
    .collect()
}

fn of_operation(state: &State, item: &Item, operation: &Operation) -> Vec<Line> {
    let mut lines = plain(&[("request", operation.request_id.clone())]);
    let is_bad = item.status == "failed";
    if !operation.error.is_empty() {
        lines.push((
            "WHY",
            operation.error.clone(),
            if is_bad { Tone::Bad } else { Tone::Warn },
        ));
    }
    if !operation.stuck.is_empty() {
        lines.push(("STUCK", operation.stuck.clone(), Tone::Warn));
    }
    if let (Some(done), Some(total)) = (
        operation.bytes_done,
        operation.bytes_total.filter(|total| *total > 0),
    ) {
        lines.push((
            "done",
            format!("{} of {}", units::short(done), units::short(total)),
            Tone::Plain,
        ));
    }
    for (at, step) in operation.steps.iter().enumerate() {
        let took = match (step.started_at, step.finished_at) {
            (Some(begun), Some(ended)) => clock::span(ended - begun),
            (Some(begun), None) => {
                format!("for {}", clock::span((state.now - begun) / 1000 * 1000))
            }
            (None, _) => "-".to_owned(),
        };
        let undone = if step.direction == "undo" {
            "undo "
        } else {
            ""
        };
        let label = if at == 0 { "steps" } else { "" };
        lines.push((
            label,
            format!("{:>2} {undone}{}  {took}", at + 1, step.name),
            Tone::Plain,
        ));
    }
    lines
}
