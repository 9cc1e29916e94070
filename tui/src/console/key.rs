//! A key press as the console knows it, and its spelling in hints, help and tests.
//!
//! Must not know what any key does.

use std::fmt;

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Code {
    Char(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

/// A key press.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Which key.
    pub(crate) code: Code,
    /// Whether Control was held.
    pub(crate) ctrl: bool,
}

/// The keys with names.
const NAMED: &[(&str, Code)] = &[
    ("Enter", Code::Enter),
    ("Esc", Code::Esc),
    ("Tab", Code::Tab),
    ("S-Tab", Code::BackTab),
    ("Backspace", Code::Backspace),
    ("Delete", Code::Delete),
    ("Up", Code::Up),
    ("Down", Code::Down),
    ("Left", Code::Left),
    ("Right", Code::Right),
    ("Home", Code::Home),
    ("End", Code::End),
    ("PgUp", Code::PageUp),
    ("PgDn", Code::PageDown),
    ("Space", Code::Char(' ')),
    ("F2", Code::F(2)),
    ("F12", Code::F(12)),
];

impl Key {
    /// A key without Control.
    pub(crate) const fn plain(code: Code) -> Self {
        Self { code, ctrl: false }
    }

    /// A letter, digit or sign.
    pub(crate) const fn char(c: char) -> Self {
        Self::plain(Code::Char(c))
    }

    /// Control and a letter.
    pub(crate) const fn ctrl(c: char) -> Self {
        Self {
            code: Code::Char(c),
            ctrl: true,
        }
    }

    /// Reads the spelling that `Display` writes: `x`, `^D`, `Enter`, `S-Tab`, `F2`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some((_, code)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Some(Self::plain(*code));
        }
        let mut chars = text.chars();
        match (chars.next(), chars.next(), chars.next()) {
            (Some(c), None, None) => Some(Self::char(c)),
            (Some('^'), Some(c), None) => Some(Self::ctrl(c.to_ascii_lowercase())),
            _ => None,
        }
    }

    /// The character it types into a field, if it does.
    pub(crate) fn typed(self) -> Option<char> {
        match (self.code, self.ctrl) {
            (Code::Char(c), false) if !c.is_control() => Some(c),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = NAMED.iter().find(|(_, code)| *code == self.code) {
            return f.write_str(name);
        }
        match (self.code, self.ctrl) {
            (Code::Char(c), true) => write!(f, "^{}", c.to_ascii_uppercase()),
            (Code::Char(c), false) => write!(f, "{c}"),
            (Code::F(n), _) => write!(f, "F{n}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_read_and_written_alike() {
        for text in ["x", "^D", "Enter", "S-Tab", "Space", "F2", "?", "/", "^"] {
            assert_eq!(Key::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Key::parse("^D"), Some(Key::ctrl('d')));
        assert_eq!(Key::parse("nothing"), None);
    }

    #[test]
    fn only_plain_characters_are_typed() {
        assert_eq!(Key::char('q').typed(), Some('q'));
        assert_eq!(Key::ctrl('q').typed(), None);
        assert_eq!(Key::plain(Code::Enter).typed(), None);
    }
}
