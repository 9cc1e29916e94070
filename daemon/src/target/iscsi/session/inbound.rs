//! The receiving half of a connection: bytes into framed PDUs. Reading may be cancelled at any
//! await without losing the place in the stream.

use crate::target::iscsi::frame::{Framing, Taken, take};
use crate::target::iscsi::pdu::{PduError, RawPdu};
use bytes::BytesMut;
use std::io;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;

/// Read ahead of what the next PDU needs: many small commands come in one read.
const READ_LEN: usize = 32 * 1024;

/// The receiving half.
#[derive(Debug)]
pub struct Inbound {
    half: OwnedReadHalf,
    buffer: BytesMut,
    framing: Framing,
    needs: usize,
}

impl Inbound {
    /// Begins to receive.
    pub fn new(half: OwnedReadHalf, framing: Framing) -> Self {
        Self {
            half,
            buffer: BytesMut::new(),
            framing,
            needs: 0,
        }
    }

    /// Obeys another framing from the next PDU on.
    pub fn reframe(&mut self, framing: Framing) {
        self.framing = framing;
    }

    /// The next PDU, if it is here as a whole.
    pub fn take_pdu(&mut self) -> Result<Option<RawPdu>, PduError> {
        match take(&mut self.buffer, self.framing)? {
            Taken::Pdu(pdu) => Ok(Some(pdu)),
            Taken::Needs(len) => {
                self.needs = len;
                Ok(None)
            }
        }
    }

    /// Receives some bytes; false at the end of the stream.
    pub async fn fill(&mut self) -> io::Result<bool> {
        let missing = self.needs.saturating_sub(self.buffer.len());
        self.buffer.reserve(missing.max(READ_LEN));
        Ok(self.half.read_buf(&mut self.buffer).await? > 0)
    }
}
