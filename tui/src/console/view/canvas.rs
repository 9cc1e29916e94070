//! Where views draw: text with a tone, clipped to the window; rules, gauges and boxes from the glyph set.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::super::layout::Area;
use super::super::text;
use super::super::theme::{Theme, Tone};

/// Cells as a coordinate; a window is never larger.
pub(super) fn cells(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// Where views draw.
pub(super) struct Canvas {
    buffer: Buffer,
    /// How things look.
    pub(super) theme: Theme,
    /// Whether what is drawn may be old: it is dimmed.
    pub(super) is_stale: bool,
}

impl Canvas {
    /// An empty window.
    pub(super) fn new(size: (u16, u16), theme: Theme) -> Self {
        let area = Rect::new(0, 0, size.0.max(1), size.1.max(1));
        Self {
            buffer: Buffer::empty(area),
            theme,
            is_stale: false,
        }
    }

    /// What was drawn.
    pub(super) fn done(self) -> Buffer {
        self.buffer
    }

    /// Puts a text; returns the column after it. What does not fit into `width` is cut.
    pub(super) fn put(&mut self, x: u16, y: u16, line: &str, tone: Tone, width: u16) -> u16 {
        let window = self.buffer.area;
        if y >= window.height || x >= window.width {
            return x;
        }
        let room = usize::from(width.min(window.width - x));
        let shown = text::cut(line, room);
        let mut style = self.theme.style(tone);
        if self.is_stale {
            style = style.add_modifier(Modifier::DIM);
        }
        let (after, _) = self.buffer.set_stringn(x, y, &shown, room, style);
        after
    }

    /// Puts a text so that it ends at the right edge of the window.
    pub(super) fn put_right(&mut self, y: u16, line: &str, tone: Tone) {
        let width = cells(text::width(line));
        let x = self.buffer.area.width.saturating_sub(width + 1);
        self.put(x, y, line, tone, width);
    }

    /// Gives a stretch of a row another look, above what is there.
    pub(super) fn tint(&mut self, x: u16, y: u16, width: u16, tone: Tone) {
        // One look over the whole stretch: what a colour there said, its glyph and word say still, in fewer bytes.
        let style = Style::reset().patch(self.theme.style(tone));
        let window = self.buffer.area;
        let area = Rect::new(x, y, width, 1).intersection(window);
        self.buffer.set_style(area, style);
    }

    /// A rule with a title in it.
    pub(super) fn rule(&mut self, area: Area, title: &str) {
        let line = self.theme.glyphs.rule().repeat(usize::from(area.width));
        self.put(area.x, area.y, &line, Tone::Off, area.width);
        if !title.is_empty() {
            self.put(
                area.x + 2,
                area.y,
                &format!(" {title} "),
                Tone::Head,
                area.width.saturating_sub(4),
            );
        }
    }

    /// `[####....]` over so many cells, brackets and all.
    pub(super) fn gauge(&self, share: f64, width: usize) -> String {
        let inner = width.saturating_sub(2);
        let (full, empty) = self.theme.glyphs.gauge();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a few dozen cells, clamped"
        )]
        let filled = ((share.clamp(0.0, 100.0) / 100.0 * inner as f64).round() as usize).min(inner);
        // Only what is full looks full.
        let filled = match share {
            share if share < 100.0 => filled.min(inner.saturating_sub(1)),
            _ => filled,
        };
        format!("[{}{}]", full.repeat(filled), empty.repeat(inner - filled))
    }

    /// An empty box with a title; returns what is inside it.
    pub(super) fn boxed(&mut self, area: Area, title: &str) -> Area {
        let glyphs = self.theme.glyphs;
        let [top_left, top_right, low_left, low_right] = glyphs.corners();
        let inner = usize::from(area.width.saturating_sub(2));
        let rule = glyphs.rule().repeat(inner);
        let blank = " ".repeat(inner);
        let last = area.height.saturating_sub(1);
        for row in 0..area.height {
            let line = match row {
                0 => format!("{top_left}{rule}{top_right}"),
                row if row == last => format!("{low_left}{rule}{low_right}"),
                _ => format!("{}{blank}{}", glyphs.bar(), glyphs.bar()),
            };
            self.clear(area, row);
            self.put(area.x, area.y + row, &line, Tone::Plain, area.width);
        }
        self.put(
            area.x + 2,
            area.y,
            &format!(" {title} "),
            Tone::Head,
            area.width.saturating_sub(4),
        );
        Area {
            x: area.x + 2,
            y: area.y + 1,
            width: area.width.saturating_sub(4),
            height: area.height.saturating_sub(2),
        }
    }

    /// Nothing of what lay below shines through a box.
    fn clear(&mut self, area: Area, row: u16) {
        let window = self.buffer.area;
        let stretch = Rect::new(area.x, area.y + row, area.width, 1).intersection(window);
        for x in stretch.left()..stretch.right() {
            if let Some(cell) = self.buffer.cell_mut((x, stretch.y)) {
                cell.reset();
            }
        }
    }

    /// A line that is being typed, with its cursor.
    pub(super) fn typed(
        &mut self,
        x: u16,
        y: u16,
        input: &super::super::input::Input,
        width: u16,
        has_focus: bool,
    ) {
        let room = usize::from(width.saturating_sub(1));
        let all = text::clean(&input.text());
        let before = text::width(&text::clean(&input.before()));
        // A long line shows its end, where the typing is.
        let shown: String = if text::width(&all) > room && before > room {
            let skip = all.chars().count().saturating_sub(room);
            all.chars().skip(skip).collect()
        } else {
            all.clone()
        };
        self.put(
            x,
            y,
            &text::left(&shown, usize::from(width)),
            Tone::Plain,
            width,
        );
        if has_focus {
            let at = before.min(room);
            self.tint(x + cells(at), y, 1, Tone::Cursor);
        }
    }
}
