//! The terminal: raw mode and the alternate screen, given back however the console ends; one write a frame, and none
//! when nothing changed. It asks the terminal nothing, so a terminal that never answers holds nothing up.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event as term;
use ratatui::backend::{Backend as _, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::event::Event;
use super::key::{Code, Key};

/// Alternate screen, no cursor, pastes in brackets, word of the focus.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?1004h";
/// The same undone, the other way round.
const LEAVE: &[u8] = b"\x1b[?2026l\x1b[?1004l\x1b[?2004l\x1b[0m\x1b[?25h\x1b[?1049l";

/// Whether the terminal is ours, so that it is given back once.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// What is on the screen, and the bytes that would put another there.
#[derive(Debug, Default)]
pub(crate) struct Painter {
    shown: Option<Buffer>,
}

impl Painter {
    /// Forgets what is on the screen: the next frame is drawn whole.
    pub(crate) fn forget(&mut self) {
        self.shown = None;
    }

    /// The bytes of a frame; none when it is what is shown.
    pub(crate) fn frame(&mut self, next: Buffer) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let before = match self.shown.take() {
            Some(before) if before.area == next.area => before,
            _ => {
                bytes.extend_from_slice(b"\x1b[0m\x1b[2J");
                Buffer::empty(Rect::new(0, 0, next.area.width, next.area.height))
            }
        };
        let changed = before.diff(&next);
        if !changed.is_empty() {
            let mut drawn = Vec::new();
            CrosstermBackend::new(&mut drawn).draw(changed.into_iter())?;
            // Drawn as one: terminals that know this mode show no half frame, others ignore it.
            bytes.extend_from_slice(b"\x1b[?2026h");
            bytes.extend_from_slice(&drawn);
            bytes.extend_from_slice(b"\x1b[?2026l");
        }
        self.shown = Some(next);
        Ok(bytes)
    }
}

/// The terminal, while the console has it.
pub(crate) struct Terminal {
    out: File,
    painter: Painter,
}

impl Terminal {
    /// Takes the terminal over.
    pub(crate) fn enter() -> io::Result<Self> {
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        crossterm::terminal::enable_raw_mode()?;
        IS_OURS.store(true, Ordering::SeqCst);
        let mut terminal = Self {
            out,
            painter: Painter::default(),
        };
        terminal.out.write_all(ENTER)?;
        Ok(terminal)
    }

    /// Its columns and rows.
    pub(crate) fn size() -> (u16, u16) {
        match crossterm::terminal::size() {
            Ok((width, height)) if width > 0 && height > 0 => (width, height),
            _ => (80, 24),
        }
    }

    /// Shows a frame.
    pub(crate) fn draw(&mut self, frame: Buffer) -> io::Result<()> {
        let bytes = self.painter.frame(frame)?;
        if bytes.is_empty() {
            Ok(())
        } else {
            self.out.write_all(&bytes)
        }
    }

    /// The next frame is drawn whole.
    pub(crate) fn forget(&mut self) {
        self.painter.forget();
    }

    /// Puts a text on the clipboard of whoever sits at the other end.
    pub(crate) fn copy(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(&osc52(text))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back; harmless when it was given back already.
pub(crate) fn give_back() {
    if IS_OURS.swap(false, Ordering::SeqCst) {
        // The terminal may be gone: then there is nobody to give it back to.
        let mut out = io::stdout();
        let _ = out.write_all(LEAVE).and_then(|()| out.flush());
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

/// The escape that puts a text on the clipboard.
pub(crate) fn osc52(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = b"\x1b]52;c;".to_vec();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * at) & 63).unwrap_or(0);
            out.push(if at <= chunk.len() {
                DIGITS[digit]
            } else {
                b'='
            });
        }
    }
    out.push(7);
    out
}

/// The next thing that comes from the terminal; blocks. `None` for what means nothing here.
pub(crate) fn read() -> io::Result<Option<Event>> {
    Ok(match term::read()? {
        term::Event::Key(key) => translate(key).map(Event::Key),
        term::Event::Paste(text) => Some(Event::Paste(text)),
        term::Event::Resize(width, height) => Some(Event::Resize(width.max(1), height.max(1))),
        term::Event::FocusGained => Some(Event::Focus(true)),
        term::Event::FocusLost => Some(Event::Focus(false)),
        term::Event::Mouse(_) => None,
    })
}

fn translate(key: term::KeyEvent) -> Option<Key> {
    if key.kind == term::KeyEventKind::Release || key.modifiers.contains(term::KeyModifiers::ALT) {
        return None;
    }
    let ctrl = key.modifiers.contains(term::KeyModifiers::CONTROL);
    let table = [
        (term::KeyCode::Enter, Code::Enter),
        (term::KeyCode::Esc, Code::Esc),
        (term::KeyCode::Tab, Code::Tab),
        (term::KeyCode::BackTab, Code::BackTab),
        (term::KeyCode::Backspace, Code::Backspace),
        (term::KeyCode::Delete, Code::Delete),
        (term::KeyCode::Up, Code::Up),
        (term::KeyCode::Down, Code::Down),
        (term::KeyCode::Left, Code::Left),
        (term::KeyCode::Right, Code::Right),
        (term::KeyCode::Home, Code::Home),
        (term::KeyCode::End, Code::End),
        (term::KeyCode::PageUp, Code::PageUp),
        (term::KeyCode::PageDown, Code::PageDown),
    ];
    if let Some((_, code)) = table.iter().find(|(other, _)| *other == key.code) {
        return Some(Key::plain(*code));
    }
    if let term::KeyCode::F(n) = key.code {
        return Some(Key::plain(Code::F(n)));
    }
    let term::KeyCode::Char(c) = key.code else {
        return None;
    };
    Some(match (c, ctrl) {
        // Some terminals send ^H for the key that takes back.
        ('h', true) => Key::plain(Code::Backspace),
        (c, true) => Key::ctrl(c.to_ascii_lowercase()),
        (c, false) => Key::char(c),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clipboard_escape_is_base64() {
        assert_eq!(osc52("hello"), b"\x1b]52;c;aGVsbG8=\x07");
        assert_eq!(osc52("ab"), b"\x1b]52;c;YWI=\x07");
        assert_eq!(osc52("abc"), b"\x1b]52;c;YWJj\x07");
        assert_eq!(osc52(""), b"\x1b]52;c;\x07");
    }

    #[test]
    fn an_unchanged_frame_is_no_bytes() {
        let mut painter = Painter::default();
        let frame = Buffer::with_lines(["one", "two"]);
        assert!(!painter.frame(frame.clone()).unwrap().is_empty());
        assert!(painter.frame(frame.clone()).unwrap().is_empty());
        painter.forget();
        assert!(!painter.frame(frame).unwrap().is_empty());
    }
}
