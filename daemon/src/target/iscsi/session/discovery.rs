//! Discovery sessions, and the text requests of both kinds of session: which targets an initiator
//! may see. A discovery session only talks, so it is served one request at a time, and closed when
//! it idles.

use super::inbound::Inbound;
use super::outbound::{Encoder, Window};
use crate::target::iscsi::limits::PEER_TIMEOUT;
use crate::target::iscsi::pdu::{Envelope, NO_TAG, Request, decode};
use crate::target::iscsi::response::Response;
use crate::target::iscsi::text::{Pairs, Writer};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::timeout;

/// A target as discovery tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its IQN.
    pub iqn: String,
    /// `ip:port` each.
    pub portals: Vec<String>,
}

/// The answer to `SendTargets`: all visible targets, or the one that is named.
pub fn send_targets(wanted: &str, visible: &[Listed]) -> Vec<u8> {
    let mut out = Writer::default();
    let named = |target: &&Listed| wanted == "All" || target.iqn.eq_ignore_ascii_case(wanted);
    for target in visible.iter().filter(named) {
        out.put("TargetName", &target.iqn);
        for portal in &target.portals {
            out.put("TargetAddress", &format!("{portal},1"));
        }
    }
    out.finish()
}

/// The answer to a text request in a session that sees `visible`.
pub fn answer_text(text: &[u8], visible: &[Listed], segment_len: &AtomicU32) -> Vec<u8> {
    let Ok(pairs) = Pairs::parse(text) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for (key, value) in pairs.iter() {
        let mut reply = Writer::default();
        match key {
            "SendTargets" => out.extend(send_targets(value, visible)),
            "MaxRecvDataSegmentLength" => {
                if let Some(len) = value
                    .parse()
                    .ok()
                    .filter(|len| (512..1 << 24).contains(len))
                {
                    segment_len.store(len, Ordering::Release);
                }
            }
            "InitiatorAlias" => {}
            _ => reply.put(key, "NotUnderstood"),
        }
        out.extend(reply.finish());
    }
    out
}

/// A discovery session's connection.
pub struct Discovery {
    /// The receiving half.
    pub inbound: Inbound,
    /// The sending half.
    pub half: OwnedWriteHalf,
    /// Its numbering.
    pub encoder: Encoder,
    /// Its command numbers.
    pub window: Arc<Window>,
    /// Longest data segment the initiator takes.
    pub segment_len: Arc<AtomicU32>,
    /// The targets it may see.
    pub visible: Vec<Listed>,
}

impl Discovery {
    /// Serves the session until it logs out, idles or errs.
    pub async fn run(mut self) {
        let mut rest = Bytes::new();
        loop {
            let Ok(Some(envelope)) = timeout(PEER_TIMEOUT, self.next()).await else {
                return;
            };
            if !envelope.immediate {
                if envelope.cmd_sn != self.window.expected() {
                    continue;
                }
                self.window.accept();
                self.window.credit();
            }
            let last = matches!(envelope.request, Request::Logout { .. });
            if let Some(response) = self.respond(envelope, &mut rest) {
                self.encoder.one(response);
                let sent = timeout(PEER_TIMEOUT, self.encoder.flush(&mut self.half)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
            if last {
                return;
            }
        }
    }

    async fn next(&mut self) -> Option<Envelope> {
        loop {
            match self.inbound.take_pdu() {
                Ok(Some(pdu)) => return decode(pdu).ok(),
                Ok(None) => {}
                Err(_) => return None,
            }
            if !matches!(self.inbound.fill().await, Ok(true)) {
                return None;
            }
        }
    }

    fn respond(&self, envelope: Envelope, rest: &mut Bytes) -> Option<Response> {
        let itt = envelope.itt;
        match envelope.request {
            Request::Text {
                transfer_tag,
                lun,
                text,
                ..
            } => {
                if transfer_tag == NO_TAG || rest.is_empty() {
                    *rest = answer_text(&text, &self.visible, &self.segment_len).into();
                }
                let len = self.segment_len.load(Ordering::Acquire);
                let len = rest.len().min(usize::try_from(len).unwrap_or(usize::MAX));
                let piece = rest.split_to(len);
                // The tag's value says nothing: there is one exchange at a time.
                let more = (!rest.is_empty()).then_some(1);
                Some(Response::text(itt, lun, more, piece))
            }
            Request::NopOut { lun, data, .. } => {
                (itt != NO_TAG).then(|| Response::pong(itt, lun, data))
            }
            Request::Logout { reason, .. } => {
                Some(Response::logout(itt, if reason == 2 { 2 } else { 0 }))
            }
            // A discovery session has no logical units: the task does not exist.
            Request::Task(_) => Some(Response::task(itt, 1)),
            Request::Scsi(_) | Request::Login(_) | Request::DataOut(_) | Request::Snack => {
                Some(Response::reject(0x04, &[0; 48]))
            }
        }
    }
}
