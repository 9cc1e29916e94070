//! The sending half of a connection: one task numbers the responses (`StatSN`, `ExpCmdSN`,
//! `MaxCmdSN`) in the order in which they leave, splits read data into PDUs, and writes header and
//! data together, many PDUs a write where many wait.

use crate::target::iscsi::frame::{Digests, put};
use crate::target::iscsi::limits::{LAST_WORDS_TIMEOUT, QUEUE_DEPTH};
use crate::target::iscsi::response::{DataAt, Residual, Response, StatSn};
use bytes::{Buf, Bytes, BytesMut};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio_util::sync::CancellationToken;

/// Bytes gathered for one write before more responses are looked for.
const BATCH_LEN: usize = 256 * 1024;
/// Slices handed to one write call.
const SLICES_MAX: usize = 64;

/// The command numbers both halves of a connection share.
#[derive(Debug)]
pub struct Window {
    expected: AtomicU32,
    max: AtomicU32,
}

impl Window {
    /// Opens at the number the first command will have.
    pub fn new(cmd_sn: u32) -> Self {
        let max = cmd_sn.wrapping_add(QUEUE_DEPTH - 1);
        Self {
            expected: AtomicU32::new(cmd_sn),
            max: AtomicU32::new(max),
        }
    }

    /// The number expected next.
    pub fn expected(&self) -> u32 {
        self.expected.load(Ordering::Acquire)
    }

    /// The highest number accepted.
    pub fn max(&self) -> u32 {
        self.max.load(Ordering::Acquire)
    }

    /// Takes the expected number.
    pub fn accept(&self) {
        self.expected.fetch_add(1, Ordering::AcqRel);
    }

    /// A command that had taken a number is over: there is room for one more.
    pub fn credit(&self) {
        self.max.fetch_add(1, Ordering::AcqRel);
    }
}

/// What is held until a response has left: its place among the requests, its memory.
#[derive(Debug, Default)]
pub struct Hold {
    /// One of the connection's request slots.
    pub slot: Option<OwnedSemaphorePermit>,
    /// Bytes of the session's memory.
    pub memory: Option<OwnedSemaphorePermit>,
}

impl Hold {
    /// Nothing but a request slot.
    pub fn of(slot: OwnedSemaphorePermit) -> Self {
        Self {
            slot: Some(slot),
            memory: None,
        }
    }
}

/// What is to be sent.
#[derive(Debug)]
pub enum Body {
    /// One PDU.
    One(Response),
    /// A read's data, ending with status GOOD.
    Data {
        /// The command's tag.
        itt: u32,
        /// How much the initiator has room for.
        expected_len: u32,
        /// All of the command's data.
        bytes: Bytes,
    },
}

/// A response on its way out.
#[derive(Debug)]
pub struct Outbound {
    /// What is sent.
    pub body: Body,
    /// What is released then.
    pub hold: Hold,
}

/// Where responses are put. Unbounded in itself: each response holds a request slot, of which there
/// are a limited number, or is one of the few that we send unasked.
pub type Line = UnboundedSender<Outbound>;

/// The numbering and splitting of responses.
#[derive(Debug)]
pub struct Encoder {
    window: Arc<Window>,
    stat_sn: u32,
    digests: Digests,
    segment_len: Arc<AtomicU32>,
    burst_len: u32,
    headers: BytesMut,
    chunks: Vec<Bytes>,
}

impl Encoder {
    /// Goes on numbering at `stat_sn`.
    pub fn new(window: Arc<Window>, stat_sn: u32, segment_len: Arc<AtomicU32>) -> Self {
        Self {
            window,
            stat_sn,
            digests: Digests::default(),
            segment_len,
            burst_len: u32::MAX,
            headers: BytesMut::new(),
            chunks: Vec::new(),
        }
    }

    /// Obeys what the login agreed on.
    pub fn reframe(&mut self, digests: Digests, burst_len: u32) {
        self.digests = digests;
        self.burst_len = burst_len;
    }

    /// Adds one response to the batch.
    pub fn one(&mut self, mut response: Response) {
        let number = match response.stat_sn {
            StatSn::Absent => 0,
            StatSn::Peek | StatSn::Advance => self.stat_sn,
        };
        if response.stat_sn == StatSn::Advance {
            self.stat_sn = self.stat_sn.wrapping_add(1);
        }
        response.bhs[24..28].copy_from_slice(&number.to_be_bytes());
        response.bhs[28..32].copy_from_slice(&self.window.expected().to_be_bytes());
        response.bhs[32..36].copy_from_slice(&self.window.max().to_be_bytes());
        put(response, self.digests, &mut self.headers, &mut self.chunks);
    }

    fn data(&mut self, itt: u32, expected_len: u32, mut bytes: Bytes) {
        let residual = Residual::between(expected_len, bytes.len() as u64);
        bytes.truncate(usize::try_from(expected_len).unwrap_or(usize::MAX));
        if bytes.is_empty() {
            return self.one(Response::scsi(itt, 0, residual, &[]));
        }
        let segment_len = self.segment_len.load(Ordering::Acquire).min(self.burst_len);
        let (mut data_sn, mut offset, mut burst) = (0, 0_u32, 0_u32);
        while !bytes.is_empty() {
            let len = segment_len.min(self.burst_len - burst);
            let segment =
                bytes.split_to(bytes.len().min(usize::try_from(len).unwrap_or(usize::MAX)));
            let sent = u32::try_from(segment.len()).unwrap_or(u32::MAX);
            burst += sent;
            let last = bytes.is_empty() || burst >= self.burst_len;
            if last {
                burst = 0;
            }
            let status = bytes.is_empty().then_some(residual);
            self.one(Response::data_in(
                itt,
                DataAt {
                    data_sn,
                    offset,
                    last,
                },
                status,
                segment,
            ));
            data_sn += 1;
            offset += sent;
        }
    }

    fn add(&mut self, body: Body) {
        match body {
            Body::One(response) => self.one(response),
            Body::Data {
                itt,
                expected_len,
                bytes,
            } => self.data(itt, expected_len, bytes),
        }
    }

    fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// Writes the batch.
    pub async fn flush(&mut self, half: &mut OwnedWriteHalf) -> io::Result<()> {
        let mut first = 0;
        while first < self.chunks.len() {
            let slices: Vec<IoSlice<'_>> = self.chunks[first..]
                .iter()
                .take(SLICES_MAX)
                .map(|chunk| IoSlice::new(chunk))
                .collect();
            let mut written = half.write_vectored(&slices).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            while written > 0 {
                let step = written.min(self.chunks[first].len());
                self.chunks[first].advance(step);
                written -= step;
                if self.chunks[first].is_empty() {
                    first += 1;
                }
            }
        }
        self.chunks.clear();
        Ok(())
    }
}

/// Sends until the session ends, then what is still waiting, within a short deadline.
pub async fn run(
    mut encoder: Encoder,
    mut half: OwnedWriteHalf,
    mut waiting: UnboundedReceiver<Outbound>,
    end: CancellationToken,
) {
    let mut held = Vec::new();
    loop {
        let first = tokio::select! {
            biased;
            first = waiting.recv() => first,
            () = end.cancelled() => None,
        };
        let Some(first) = first else { break };
        let mut next = Some(first);
        while let Some(outbound) = next {
            encoder.add(outbound.body);
            held.push(outbound.hold);
            next = if encoder.len() < BATCH_LEN {
                waiting.try_recv().ok()
            } else {
                None
            };
        }
        let grace = async {
            end.cancelled().await;
            tokio::time::sleep(LAST_WORDS_TIMEOUT).await;
        };
        let written = tokio::select! {
            written = encoder.flush(&mut half) => written.is_ok(),
            () = grace => false,
        };
        held.clear();
        if !written {
            break;
        }
    }
    end.cancel();
}
