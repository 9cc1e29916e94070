//! A line that is being typed: text and cursor.

use super::key::{Code, Key};

/// Longer than anything that a field takes.
const CHARS_MAX: usize = 512;

/// A line that is being typed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Input {
    chars: Vec<char>,
    at: usize,
}

impl Input {
    /// With this text, the cursor at its end.
    pub(crate) fn of(text: &str) -> Self {
        let chars: Vec<char> = text.chars().take(CHARS_MAX).collect();
        Self {
            at: chars.len(),
            chars,
        }
    }

    /// The text.
    pub(crate) fn text(&self) -> String {
        self.chars.iter().collect()
    }

    /// Whether nothing was typed.
    pub(crate) fn is_empty(&self) -> bool {
        self.chars.is_empty()
    }

    /// The text before the cursor.
    pub(crate) fn before(&self) -> String {
        self.chars.iter().take(self.at).collect()
    }

    /// Takes a key; false when it means nothing here.
    pub(crate) fn key(&mut self, key: Key) -> bool {
        if let Some(c) = key.typed() {
            self.insert(c);
            return true;
        }
        match (key.code, key.ctrl) {
            (Code::Backspace, _) => {
                if self.at > 0 {
                    self.at -= 1;
                    self.chars.remove(self.at);
                }
            }
            (Code::Delete, _) => {
                if self.at < self.chars.len() {
                    self.chars.remove(self.at);
                }
            }
            (Code::Left, _) => self.at = self.at.saturating_sub(1),
            (Code::Right, _) => self.at = (self.at + 1).min(self.chars.len()),
            (Code::Home, _) | (Code::Char('a'), true) => self.at = 0,
            (Code::End, _) | (Code::Char('e'), true) => self.at = self.chars.len(),
            (Code::Char('u'), true) => {
                self.chars.drain(..self.at);
                self.at = 0;
            }
            (Code::Char('w'), true) => {
                while self.at > 0 && self.chars[self.at - 1] == ' ' {
                    self.at -= 1;
                    self.chars.remove(self.at);
                }
                while self.at > 0 && self.chars[self.at - 1] != ' ' {
                    self.at -= 1;
                    self.chars.remove(self.at);
                }
            }
            _ => return false,
        }
        true
    }

    /// Takes pasted text: one line, without control characters.
    pub(crate) fn paste(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_control()).take(CHARS_MAX) {
            self.insert(c);
        }
    }

    fn insert(&mut self, c: char) {
        if self.chars.len() < CHARS_MAX {
            self.chars.insert(self.at, c);
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_edited_as_in_a_shell() {
        let mut input = Input::of("one two");
        input.key(Key::ctrl('w'));
        assert_eq!(input.text(), "one ");
        input.key(Key::ctrl('a'));
        input.key(Key::char('>'));
        assert_eq!(
            (input.text().as_str(), input.before().as_str()),
            (">one ", ">")
        );
        input.key(Key::plain(Code::Delete));
        input.key(Key::plain(Code::End));
        input.key(Key::plain(Code::Backspace));
        assert_eq!(input.text(), ">ne");
        input.key(Key::ctrl('u'));
        assert!(input.is_empty());
        input.paste("a\nb\u{1b}c");
        assert_eq!(input.text(), "abc");
        assert!(!input.key(Key::plain(Code::Enter)));
    }
}
