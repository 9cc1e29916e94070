//! Text from others made fit for a screen: cleaned, measured, cut, and quoted for a shell.
//!
//! Everything that came over the wire passes `clean` before it is kept (law 12), so that no view has to think of it.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The longest text that is kept of a field; the screen never shows more.
const KEPT_CHARS_MAX: usize = 2048;

/// The text with control characters, escapes, direction marks and invisible characters spelt out as `<1b>`.
pub(crate) fn clean(text: &str) -> String {
    if text.len() < KEPT_CHARS_MAX && text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars().take(KEPT_CHARS_MAX) {
        if is_hidden(c) {
            out.push_str(&format!("<{:02x}>", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Control, format and zero-width characters: what could move the cursor, turn the line, or hide.
fn is_hidden(c: char) -> bool {
    let invisible = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    c.is_control() || invisible || c.width() == Some(0)
}

/// How many cells it takes.
pub(crate) fn width(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.width()
    }
}

/// Cut to `cells`, with `~` as its last character when something was cut.
pub(crate) fn cut(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > cells {
            break;
        }
        used += wide;
        out.push(c);
    }
    if cells > 0 {
        out.push('~');
    }
    out
}

/// Cut or padded on the right to exactly `cells`.
pub(crate) fn left(text: &str, cells: usize) -> String {
    let text = cut(text, cells);
    let pad = cells.saturating_sub(width(&text));
    text + &" ".repeat(pad)
}

/// Cut or padded on the left to exactly `cells`.
pub(crate) fn right(text: &str, cells: usize) -> String {
    let text = cut(text, cells);
    " ".repeat(cells.saturating_sub(width(&text))) + &text
}

/// Broken at spaces into lines of at most `cells`; a longer word is broken where it must.
pub(crate) fn wrap(text: &str, cells: usize) -> Vec<String> {
    let cells = cells.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word;
        if !line.is_empty() && width(&line) + 1 + width(word) > cells {
            lines.push(std::mem::take(&mut line));
        }
        while width(word) > cells {
            let mut used = 0;
            let fits = word.char_indices().find(|(_, c)| {
                used += c.width().unwrap_or(0);
                used > cells
            });
            let Some((at, first)) = fits else { break };
            let at = if at == 0 { first.len_utf8() } else { at };
            lines.push(word[..at].to_owned());
            word = &word[at..];
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// One argument as POSIX shells read it.
pub(crate) fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_move_the_cursor_or_hide_is_spelt_out() {
        assert_eq!(clean("a\u{1b}[2Jb"), "a<1b>[2Jb");
        assert_eq!(clean("x\u{202e}y\u{200d}z\u{9b}"), "x<202e>y<200d>z<9b>");
        assert_eq!(clean("zwei\nZeilen\u{7}"), "zwei<0a>Zeilen<07>");
        assert_eq!(clean("e\u{301}"), "e<301>");
        assert_eq!(clean("ängström 石"), "ängström 石");
    }

    #[test]
    fn cutting_counts_cells_not_characters() {
        assert_eq!(cut("石石石", 5), "石石~");
        assert_eq!(cut("石石石", 4), "石~");
        assert_eq!(left("ab", 4), "ab  ");
        assert_eq!(right("ab", 4), "  ab");
        for cells in 0..9 {
            assert_eq!(width(&left("a石b石c", cells)), cells, "{cells}");
        }
    }

    #[test]
    fn lines_break_at_spaces_and_long_words_where_they_must() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap("石石", 1), ["石", "石"]);
    }

    #[test]
    fn shells_read_back_what_was_quoted() {
        assert_eq!(quote("pg-01"), "pg-01");
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("-rf"), "-rf");
    }
}
