//! How things look: tones by meaning, glyphs by set. Colour only repeats what a glyph and a word already say (law 8).

use ratatui::style::{Color, Modifier, Style};

/// What a text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    /// Healthy and idle.
    Plain,
    /// In use, running.
    Live,
    /// Changing.
    Busy,
    /// Will hurt.
    Warn,
    /// Hurts now.
    Bad,
    /// Disabled, absent, stale.
    Off,
    /// Headings.
    Head,
    /// The row or field with the cursor.
    Cursor,
    /// Marked rows.
    Mark,
}

impl Tone {
    /// Every tone with its name in golden files.
    #[cfg(test)]
    pub(crate) const ALL: &'static [(Tone, &'static str)] = &[
        (Tone::Plain, "plain"),
        (Tone::Live, "live"),
        (Tone::Busy, "busy"),
        (Tone::Warn, "warn"),
        (Tone::Bad, "bad"),
        (Tone::Off, "off"),
        (Tone::Head, "head"),
        (Tone::Cursor, "cursor"),
        (Tone::Mark, "mark"),
    ];

    /// What a status of either API means.
    pub(crate) fn of_status(status: &str) -> Self {
        match status {
            "available" | "done" | "enabled" | "deleted" => Tone::Plain,
            "in-use" | "attached" | "live" => Tone::Live,
            "reserved" | "detached" | "cancelled" | "disabled" | "queued" => Tone::Off,
            "failed" => Tone::Bad,
            "" => Tone::Off,
            other if other.starts_with("error") => Tone::Bad,
            _ => Tone::Busy,
        }
    }
}

/// Which characters may be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Glyphs {
    Ascii,
    Unicode,
}

impl Glyphs {
    /// The mark before a status word.
    pub(crate) fn state(self, tone: Tone) -> &'static str {
        let (ascii, unicode) = match tone {
            Tone::Live => ("*", "●"),
            Tone::Busy => ("~", "◐"),
            Tone::Warn => ("!", "▲"),
            Tone::Bad => ("X", "✖"),
            Tone::Off => ("-", "-"),
            Tone::Plain | Tone::Head | Tone::Cursor | Tone::Mark => ("o", "○"),
        };
        self.pick(ascii, unicode)
    }

    /// A horizontal line.
    pub(crate) fn rule(self) -> &'static str {
        self.pick("-", "─")
    }

    /// A vertical line.
    pub(crate) fn bar(self) -> &'static str {
        self.pick("|", "│")
    }

    /// The corners of a box: top left, top right, bottom left, bottom right.
    pub(crate) fn corners(self) -> [&'static str; 4] {
        match self {
            Glyphs::Ascii => ["+", "+", "+", "+"],
            Glyphs::Unicode => ["┌", "┐", "└", "┘"],
        }
    }

    /// Full and empty cells of a gauge.
    pub(crate) fn gauge(self) -> (&'static str, &'static str) {
        match self {
            Glyphs::Ascii => ("#", "."),
            Glyphs::Unicode => ("█", "░"),
        }
    }

    /// Marks sort order in a heading.
    pub(crate) fn order(self, is_down: bool) -> &'static str {
        match (self, is_down) {
            (Glyphs::Ascii, true) => "v",
            (Glyphs::Ascii, false) => "^",
            (Glyphs::Unicode, true) => "↓",
            (Glyphs::Unicode, false) => "↑",
        }
    }

    fn pick(self, ascii: &'static str, unicode: &'static str) -> &'static str {
        match self {
            Glyphs::Ascii => ascii,
            Glyphs::Unicode => unicode,
        }
    }
}

/// Tones as styles, and the glyph set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Theme {
    /// Which characters may be drawn.
    pub(crate) glyphs: Glyphs,
    /// Whether colours may be used (`NO_COLOR` is honoured by another set of styles, not by dropping codes).
    pub(crate) has_colour: bool,
}

impl Theme {
    /// The style of a tone. The terminal's own 16 colours, so that it fits whatever background there is.
    pub(crate) fn style(&self, tone: Tone) -> Style {
        let plain = Style::default();
        match (tone, self.has_colour) {
            (Tone::Plain, _) => plain,
            (Tone::Cursor, _) => plain.add_modifier(Modifier::REVERSED),
            (Tone::Mark | Tone::Head, _) => plain.add_modifier(Modifier::BOLD),
            (Tone::Live, true) => plain.fg(Color::Blue),
            (Tone::Busy, true) => plain.fg(Color::Cyan),
            (Tone::Warn, true) => plain.fg(Color::Yellow),
            (Tone::Bad, true) => plain.fg(Color::LightRed).add_modifier(Modifier::BOLD),
            (Tone::Off, true) => plain.fg(Color::DarkGray),
            (Tone::Live, false) => plain,
            (Tone::Busy, false) => plain.add_modifier(Modifier::ITALIC),
            (Tone::Warn, false) => plain.add_modifier(Modifier::BOLD),
            (Tone::Bad, false) => plain.add_modifier(Modifier::REVERSED),
            (Tone::Off, false) => plain.add_modifier(Modifier::DIM),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_differ_by_glyph_in_both_sets() {
        let states = [
            Tone::Plain,
            Tone::Live,
            Tone::Busy,
            Tone::Warn,
            Tone::Bad,
            Tone::Off,
        ];
        for glyphs in [Glyphs::Ascii, Glyphs::Unicode] {
            for (at, tone) in states.iter().enumerate() {
                for other in &states[at + 1..] {
                    assert_ne!(
                        glyphs.state(*tone),
                        glyphs.state(*other),
                        "{tone:?} {other:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn without_colour_no_style_names_one() {
        let theme = Theme {
            glyphs: Glyphs::Ascii,
            has_colour: false,
        };
        for (tone, _) in Tone::ALL {
            let style = theme.style(*tone);
            assert_eq!((style.fg, style.bg), (None, None), "{tone:?}");
        }
    }

    #[test]
    fn statuses_have_their_meaning() {
        assert_eq!(Tone::of_status("error_deleting"), Tone::Bad);
        assert_eq!(Tone::of_status("creating"), Tone::Busy);
        assert_eq!(Tone::of_status("in-use"), Tone::Live);
    }
}
