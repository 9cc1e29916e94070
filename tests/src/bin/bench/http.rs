//! A client that costs next to nothing: HTTP/1.1 over one kept connection, blocking, no parsing beyond the length.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::Result;

/// An answer that takes longer is a hang.
const DEADLINE: Duration = Duration::from_secs(120);
/// The microversion that is asked for.
pub(crate) const MICROVERSION: &str = "volume 3.60";

/// A connection, and the last body that came over it.
pub(crate) struct Http {
    stream: TcpStream,
    addr: String,
    buffer: Vec<u8>,
}

impl Http {
    pub(crate) fn connect(addr: &str) -> Result<Self> {
        let stream = TcpStream::connect(addr).with_context(|| addr.to_owned())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(Self {
            stream,
            addr: addr.to_owned(),
            buffer: Vec::new(),
        })
    }

    /// Sends a request and returns the whole answer's status and body.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: &str) -> Result<(u16, &[u8])> {
        let request = format!(
            "{method} /v3/admin{path} HTTP/1.1\r\nHost: {}\r\nOpenStack-API-Version: {MICROVERSION}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.addr,
            body.len(),
        );
        self.stream.write_all(request.as_bytes())?;
        self.answer()
    }

    /// The same, demanding this status, read as JSON.
    pub(crate) fn json(
        &mut self,
        method: &str,
        path: &str,
        body: &Value,
        status: u16,
    ) -> Result<Value> {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (got, body) = self.call(method, path, &text)?;
        ensure!(
            got == status,
            "{method} {path}: {got}: {}",
            String::from_utf8_lossy(body)
        );
        if body.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(body)?)
    }

    fn answer(&mut self) -> Result<(u16, &[u8])> {
        self.buffer.clear();
        let head = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            self.more()?;
        };
        let text = std::str::from_utf8(&self.buffer[..head])?;
        let status = text.get(9..12).context("no status line")?.parse()?;
        let len: usize = match header(text, "content-length") {
            Some(len) => len.parse()?,
            None => 0,
        };
        while self.buffer.len() < head + len {
            self.more()?;
        }
        Ok((status, &self.buffer[head..head + len]))
    }

    fn more(&mut self) -> Result<()> {
        let mut chunk = [0_u8; 64 * 1024];
        let len = self.stream.read(&mut chunk)?;
        if len == 0 {
            bail!("{} closed the connection", self.addr);
        }
        self.buffer.extend_from_slice(&chunk[..len]);
        Ok(())
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// Where `needle` begins.
pub(crate) fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(hay, needle)
}
