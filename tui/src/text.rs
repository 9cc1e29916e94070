//! Text that came from others, made fit for a terminal.

/// The same text without control characters (a name may hold escape sequences that repaint the screen), without the
/// marks that turn the writing direction, and on one line.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\n' | '\t' => Some(' '),
            c if is_hostile(c) => None,
            c => Some(c),
        })
        .collect()
}

/// Whether a terminal would obey it, or a reader not see it.
fn is_hostile(c: char) -> bool {
    let is_unseen = matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    c.is_control() || is_unseen
}

/// The same JSON, with what a terminal would obey written as `\u009b`: it means the same to whoever parses it. In a
/// JSON text such characters stand in strings only, but for line breaks.
pub(crate) fn harmless_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hostile(c) && c != '\n' {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// The text as one word of a POSIX shell.
pub(crate) fn shell_quoted(text: &str) -> String {
    let is_plain = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&b));
    if is_plain {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// The text as one segment of a path: `host@backend#pool` must not end the path at its `#`.
pub(crate) fn path_segment(text: &str) -> String {
    let mut segment = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~@:".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    // A segment of dots would be taken for a way up.
    match segment.as_str() {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => segment,
    }
}

#[cfg(test)]
mod tests {
    use super::{harmless, path_segment, shell_quoted};

    #[test]
    fn a_hostile_name_cannot_move_the_cursor_or_turn_the_line() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{7}\r\u{9b}c"), "a[2Jbc");
        assert_eq!(harmless("x\u{202e}txt\u{2066}"), "xtxt");
        assert_eq!(harmless("two\nlines"), "two lines");
        assert_eq!(harmless("ängström 石"), "ängström 石");
    }

    #[test]
    fn a_word_for_the_shell_stays_one_word() {
        assert_eq!(shell_quoted("pg-01"), "pg-01");
        assert_eq!(shell_quoted("it's $(rm)"), "'it'\\''s $(rm)'");
        assert_eq!(shell_quoted(""), "''");
    }

    #[test]
    fn a_segment_stays_within_its_slashes() {
        assert_eq!(path_segment("a@b#c/d"), "a@b%23c%2Fd");
        assert_eq!(path_segment(".."), "%2E%2E");
        assert_eq!(path_segment("ä"), "%C3%A4");
    }
}
