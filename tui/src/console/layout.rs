//! Which rows of the window are for what, by its size. Pure; both `update` (how long is a page?) and `view` use it.

/// Narrower or lower than this, one line is all that is drawn.
pub(crate) const LEAST: (u16, u16) = (40, 12);

/// How much of the frame a window has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// One line.
    Line,
    /// A list and a status row: 40x12 and more.
    Small,
    /// One row on top, one of hints: 80x24 and more.
    Medium,
    /// The whole frame: 100x30 and more.
    Whole,
}

/// A rectangle of rows over a range of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Area {
    pub(crate) x: u16,
    pub(crate) y: u16,
    pub(crate) width: u16,
    pub(crate) height: u16,
}

/// The parts of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// How much of the frame is drawn.
    pub(crate) frame: Frame,
    /// Rows on top that are not the body.
    pub(crate) top_rows: u16,
    /// The list, with its heading.
    pub(crate) body: Area,
    /// The preview, with its rule on top.
    pub(crate) preview: Option<Area>,
    /// The row of tasks and flashes.
    pub(crate) strip: u16,
    /// The rows of hints.
    pub(crate) hints: u16,
}

/// The width from which on the preview stands at the side.
const SIDE_WIDTH: u16 = 160;

/// The parts of a window of this size.
pub(crate) fn layout(size: (u16, u16), wants_preview: bool) -> Layout {
    let (width, height) = size;
    let frame = match (width, height) {
        _ if width < LEAST.0 || height < LEAST.1 => Frame::Line,
        _ if width < 80 || height < 24 => Frame::Small,
        _ if width < 100 || height < 30 => Frame::Medium,
        _ => Frame::Whole,
    };
    let (top_rows, hints) = match frame {
        Frame::Line => (1, 0),
        Frame::Small => (1, 0),
        Frame::Medium => (1, 1),
        Frame::Whole => (3, 2),
    };
    let strip_rows = if frame == Frame::Line { 0 } else { 1 };
    let rows = height.saturating_sub(top_rows + hints + strip_rows);
    let whole = Area {
        x: 0,
        y: top_rows,
        width,
        height: rows,
    };
    let (body, preview) = match frame {
        Frame::Whole if wants_preview && width >= SIDE_WIDTH => {
            let list = width * 3 / 5;
            let side = Area {
                x: list,
                width: width - list,
                ..whole
            };
            (
                Area {
                    width: list,
                    ..whole
                },
                Some(side),
            )
        }
        Frame::Whole if wants_preview => {
            let list = rows / 2;
            let below = Area {
                y: top_rows + list,
                height: rows - list,
                ..whole
            };
            (
                Area {
                    height: list,
                    ..whole
                },
                Some(below),
            )
        }
        Frame::Line | Frame::Small | Frame::Medium | Frame::Whole => (whole, None),
    };
    Layout {
        frame,
        top_rows,
        body,
        preview,
        strip: top_rows + rows,
        hints,
    }
}

impl Layout {
    /// How many rows of a list fit under its heading and over its foot.
    pub(crate) fn page(&self) -> usize {
        usize::from(self.body.height.saturating_sub(1)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_the_window_and_no_more_at_any_size() {
        for width in 1..200 {
            for height in 1..70 {
                for wants in [false, true] {
                    let parts = layout((width, height), wants);
                    let strip = u16::from(parts.frame != Frame::Line);
                    let preview = parts
                        .preview
                        .filter(|area| area.x == 0)
                        .map_or(0, |area| area.height);
                    let sum = parts.top_rows + parts.body.height + preview + strip + parts.hints;
                    assert!(sum == height || height < 4, "{width}x{height}: {parts:?}");
                    assert!(parts.body.x + parts.body.width <= width);
                }
            }
        }
    }

    #[test]
    fn the_frame_shrinks_in_steps() {
        let frame = |width, height| layout((width, height), true).frame;
        assert_eq!(frame(160, 50), Frame::Whole);
        assert_eq!(frame(100, 30), Frame::Whole);
        assert_eq!(frame(80, 24), Frame::Medium);
        assert_eq!(frame(40, 12), Frame::Small);
        assert_eq!(frame(39, 12), Frame::Line);
        assert!(
            layout((160, 50), true)
                .preview
                .is_some_and(|area| area.x == 96)
        );
        assert_eq!(layout((80, 24), true).preview, None);
    }
}
