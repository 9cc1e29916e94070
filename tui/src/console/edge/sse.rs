//! Server-sent events, read as they come: bytes in, frames out. Pure.

/// A longer line is no event of ours.
const LINE_BYTES_MAX: usize = 64 << 10;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Frame {
    /// Its kind; empty for a plain message.
    pub(super) event: String,
    /// Its data, lines joined.
    pub(super) data: String,
    /// Whether it was only a comment: a sign of life.
    pub(super) is_beat: bool,
}

/// The reader between two reads.
#[derive(Debug, Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    frame: Frame,
    has_field: bool,
    after_return: bool,
    is_too_long: bool,
}

impl Reader {
    /// Takes bytes; gives the frames that they complete.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for byte in bytes {
            let was_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if was_return => {}
                b'\n' | b'\r' => frames.extend(self.end_of_line()),
                byte if self.line.len() < LINE_BYTES_MAX => self.line.push(*byte),
                _ => self.is_too_long = true,
            }
        }
        frames
    }

    fn end_of_line(&mut self) -> Option<Frame> {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.is_too_long) {
            return None;
        }
        if line.is_empty() {
            let frame = std::mem::take(&mut self.frame);
            return std::mem::take(&mut self.has_field).then_some(frame);
        }
        if line.first() == Some(&b':') {
            return Some(Frame {
                is_beat: true,
                ..Frame::default()
            });
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.frame.event = value.to_owned(),
            "data" => {
                if !self.frame.data.is_empty() {
                    self.frame.data.push('\n');
                }
                self.frame.data.push_str(value);
            }
            _ => return None,
        }
        self.has_field = true;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "event: hello\r\ndata: {\"newest\":7}\r\n\r\n: beat\n\nid: 8\nevent: change\ndata: {\"a\":\ndata: 1}\n\nretry: 5\n\n";

    fn frames() -> Vec<Frame> {
        let frame = |event: &str, data: &str| Frame {
            event: event.to_owned(),
            data: data.to_owned(),
            is_beat: false,
        };
        let beat = Frame {
            is_beat: true,
            ..Frame::default()
        };
        vec![
            frame("hello", "{\"newest\":7}"),
            beat,
            frame("change", "{\"a\":\n1}"),
        ]
    }

    #[test]
    fn frames_are_the_same_however_the_bytes_are_cut() {
        for cut in 0..TEXT.len() {
            let (one, other) = TEXT.as_bytes().split_at(cut);
            let mut reader = Reader::default();
            let mut found = reader.take(one);
            found.extend(reader.take(other));
            assert_eq!(found, frames(), "cut at {cut}");
        }
    }

    #[test]
    fn an_endless_line_is_dropped_and_the_next_frame_is_read() {
        let mut reader = Reader::default();
        for _ in 0..20 {
            assert!(reader.take(&[b'x'; 8192]).is_empty());
        }
        assert_eq!(reader.take(b"\nevent: a\ndata: 1\n\n").len(), 1);
    }
}
