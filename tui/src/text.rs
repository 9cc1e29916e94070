//! Text that came from others, made fit for a terminal.

/// The same text without control characters (a name may hold escape sequences that repaint the screen), without the
/// marks that turn the writing direction, and on one line.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\n' | '\t' => Some(' '),
            c if c.is_control() => None,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
            c => Some(c),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_hostile_name_cannot_move_the_cursor_or_turn_the_line() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{7}\r\u{9b}c"), "a[2Jbc");
        assert_eq!(harmless("x\u{202e}txt\u{2066}"), "xtxt");
        assert_eq!(harmless("two\nlines"), "two lines");
        assert_eq!(harmless("ängström 石"), "ängström 石");
    }
}
