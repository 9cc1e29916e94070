//! The sha256 file of a backup: a hash for each chunk of the whole volume as it was, also of what an incremental backup
//! leaves to its parents.
//!
//! A TiB has 33 million of them in 2.4 GB of JSON. So it is read as it goes by, in the form in which Cinder writes it: one
//! object of scalars and a list of hashes, with sorted keys.

use std::io::{self, BufReader, Bytes, Read};

/// A text of the file other than a hash: names, descriptions.
const TEXT_LEN_MAX: usize = 64 << 10;

/// A chunk; Cinder's default is 32 KiB.
const CHUNK_BYTES_MAX: u64 = 256 << 20;

/// The hash of a chunk.
pub(super) type Hash = [u8; 32];

/// A sha256 file, open at its next hash.
#[derive(Debug)]
pub(super) struct Hashes<R: Read> {
    bytes: Bytes<BufReader<R>>,
    /// A byte that was read and not used.
    ahead: Option<u8>,
    chunk_bytes: u64,
    is_first: bool,
    is_over: bool,
}

impl<R: Read> Hashes<R> {
    /// Reads up to the first hash; the error says what is wrong with the file.
    pub(super) fn open(input: R) -> io::Result<Self> {
        let mut hashes = Self {
            bytes: BufReader::with_capacity(64 << 10, input).bytes(),
            ahead: None,
            chunk_bytes: 0,
            is_first: true,
            is_over: false,
        };
        hashes.expect(b'{')?;
        loop {
            let key = hashes.text()?;
            hashes.expect(b':')?;
            if key == b"sha256s" {
                hashes.expect(b'[')?;
                break;
            }
            let value = hashes.scalar()?;
            if key == b"chunk_size" {
                let number = std::str::from_utf8(&value).ok();
                hashes.chunk_bytes = number.and_then(|text| text.parse().ok()).unwrap_or(0);
            }
            hashes.expect(b',')?;
        }
        match hashes.chunk_bytes {
            0 => Err(wrong("it has no chunk_size before its hashes")),
            1..=CHUNK_BYTES_MAX => Ok(hashes),
            more => Err(wrong(&format!(
                "its chunks have {more} bytes, and more than {CHUNK_BYTES_MAX} are not read"
            ))),
        }
    }

    /// How many bytes of the volume a hash is of; the last one may be of fewer.
    pub(super) fn chunk_bytes(&self) -> u64 {
        self.chunk_bytes
    }

    /// The next hash; `None` after the last, when the file ended as it should.
    pub(super) fn next(&mut self) -> io::Result<Option<Hash>> {
        if self.is_over {
            return Ok(None);
        }
        let is_first = std::mem::replace(&mut self.is_first, false);
        match self.solid()? {
            b']' => {
                self.is_over = true;
                self.end()?;
                return Ok(None);
            }
            b',' if !is_first => {}
            byte if is_first => self.ahead = Some(byte),
            byte => return Err(unexpected(byte)),
        }
        let text = self.text()?;
        let hash = bytes_of(&text).ok_or_else(|| {
            let begin = String::from_utf8_lossy(text.get(..80).unwrap_or(&text));
            wrong(&format!("no hash: {begin:?}"))
        })?;
        Ok(Some(hash))
    }

    /// What follows the hashes, of which nothing is wanted but that it is there.
    fn end(&mut self) -> io::Result<()> {
        loop {
            match self.solid()? {
                b'}' => return Ok(()),
                b',' => {
                    self.text()?;
                    self.expect(b':')?;
                    self.scalar()?;
                }
                byte => return Err(unexpected(byte)),
            }
        }
    }

    fn byte(&mut self) -> io::Result<u8> {
        if let Some(byte) = self.ahead.take() {
            return Ok(byte);
        }
        match self.bytes.next() {
            Some(Ok(byte)) => Ok(byte),
            Some(Err(error)) => Err(error),
            None => Err(wrong("it is cut short")),
        }
    }

    /// The next byte that is no white space.
    fn solid(&mut self) -> io::Result<u8> {
        loop {
            let byte = self.byte()?;
            if !byte.is_ascii_whitespace() {
                return Ok(byte);
            }
        }
    }

    fn expect(&mut self, wanted: u8) -> io::Result<()> {
        match self.solid()? {
            byte if byte == wanted => Ok(()),
            byte => Err(unexpected(byte)),
        }
    }

    /// A text, its escapes as they stand.
    fn text(&mut self) -> io::Result<Vec<u8>> {
        self.expect(b'"')?;
        let mut text = Vec::new();
        loop {
            match self.byte()? {
                b'"' => return Ok(text),
                byte => text.push(byte),
            }
            if text.last() == Some(&b'\\') {
                text.push(self.byte()?);
            }
            if text.len() > TEXT_LEN_MAX {
                return Err(wrong("it has a text without end"));
            }
        }
    }

    /// A text, a number or a word.
    fn scalar(&mut self) -> io::Result<Vec<u8>> {
        let first = self.solid()?;
        if first == b'"' {
            self.ahead = Some(first);
            return self.text();
        }
        let mut word = vec![first];
        loop {
            match self.byte()? {
                byte if byte.is_ascii_alphanumeric() || b".+-".contains(&byte) => word.push(byte),
                byte => {
                    self.ahead = Some(byte);
                    return Ok(word);
                }
            }
            if word.len() > TEXT_LEN_MAX {
                return Err(wrong("it has a number without end"));
            }
        }
    }
}

fn unexpected(byte: u8) -> io::Error {
    let byte = char::from(byte);
    wrong(&format!(
        "it is not in the form that Cinder writes: {byte:?} out of place"
    ))
}

/// Of the content, where what the system says of reading has a number.
fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// What hexadecimal digits stand for, if there are just so many.
pub(super) fn bytes_of<const LEN: usize>(text: &[u8]) -> Option<[u8; LEN]> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    if text.len() != 2 * LEN {
        return None;
    }
    let mut bytes = [0; LEN];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
        let &[high, low] = pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}
