//! The receiving task of a session: takes PDUs in order, checks their numbers, hands them on, and
//! watches whether the peer still lives. A broken protocol ends the connection (error recovery
//! level 0): the initiator logs in again.

use super::Session;
use super::command::{Channel, Heading};
use super::discovery::{Listed, answer_text};
use super::gather::Gathering;
use super::inbound::Inbound;
use super::outbound::{Body, Hold, Outbound};
use crate::target::iscsi::limits::{DRAIN_TIMEOUT, IDLE_PING_AFTER, PEER_TIMEOUT, TICK};
use crate::target::iscsi::negotiate::Parameters;
use crate::target::iscsi::pdu::{BHS_LEN, Envelope, NO_TAG, PduError, RawPdu, Request, decode};
use crate::target::iscsi::registry::Registry;
use crate::target::iscsi::response::Response;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, interval, timeout};
use tokio_util::task::TaskTracker;

/// Why a connection ends.
#[derive(Debug, Error)]
pub enum Broken {
    /// The initiator logged out, or the session was ended by us.
    #[error("the session is over")]
    Over,
    /// The peer closed the connection, answers no pings or takes no data.
    #[error("the peer is gone")]
    Gone,
    /// The connection failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// What came is not a PDU.
    #[error("the peer sent what is no PDU")]
    Pdu(#[from] PduError),
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(&'static str),
}

/// Reject reason: protocol error.
const PROTOCOL_ERROR: u8 = 0x04;
/// Reject reason: SNACK.
const SNACK_REJECT: u8 = 0x03;

/// The receiving task's state.
pub struct Pump {
    pub(super) channel: Channel,
    pub(super) registry: Arc<Registry>,
    pub(super) parameters: Parameters,
    pub(super) gatherings: HashMap<u32, Gathering>,
    pub(super) waiting: VecDeque<u32>,
    pub(super) transfer_tag: u32,
    pub(super) write_memory: Arc<Semaphore>,
    /// Task management that is not answered yet.
    pub(super) managing: TaskTracker,
    inbound: Inbound,
    slots: Arc<Semaphore>,
    segment_len: Arc<AtomicU32>,
    visible: Vec<Listed>,
    heard: Instant,
    pinged: Option<Instant>,
}

/// What a pump is made of.
pub struct Parts {
    /// What its commands share.
    pub channel: Channel,
    /// All exports and sessions.
    pub registry: Arc<Registry>,
    /// What was negotiated.
    pub parameters: Parameters,
    /// The receiving half.
    pub inbound: Inbound,
    /// The connection's request slots.
    pub slots: Arc<Semaphore>,
    /// The session's memory for data written.
    pub write_memory: Arc<Semaphore>,
    /// Longest data segment the initiator takes.
    pub segment_len: Arc<AtomicU32>,
    /// Its own target, for text requests.
    pub visible: Vec<Listed>,
}

impl Pump {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self {
            channel: parts.channel,
            registry: parts.registry,
            parameters: parts.parameters,
            gatherings: HashMap::new(),
            waiting: VecDeque::new(),
            transfer_tag: 0,
            write_memory: parts.write_memory,
            managing: TaskTracker::new(),
            inbound: parts.inbound,
            slots: parts.slots,
            segment_len: parts.segment_len,
            visible: parts.visible,
            heard: Instant::now(),
            pinged: None,
        }
    }

    /// Serves the session until it is over, and says why it is.
    pub async fn run(&mut self) -> Broken {
        let session = Arc::clone(&self.channel.session);
        let mut ticks = interval(TICK);
        loop {
            if let Err(broken) = self.drain().await {
                return broken;
            }
            let write_memory = Arc::clone(&self.write_memory);
            let wanted = self
                .next_waiting()
                .map(|waiting| (waiting.tag(), waiting.memory_len()));
            let memory = async {
                match wanted {
                    Some((itt, len)) => (itt, write_memory.acquire_many_owned(len).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = session.end.cancelled() => return Broken::Over,
                filled = self.inbound.fill() => match filled {
                    Ok(true) => self.heard = Instant::now(),
                    Ok(false) => return Broken::Gone,
                    Err(error) => return Broken::Io(error),
                },
                (itt, memory) = memory => if let Ok(memory) = memory {
                    self.granted(itt, memory);
                },
                () = session.tasks.prod.notified() => self.sweep(),
                _ = ticks.tick() => if let Err(broken) = self.tick() {
                    return broken;
                },
            }
        }
    }

    /// Takes every whole PDU that is here.
    async fn drain(&mut self) -> Result<(), Broken> {
        while let Some(pdu) = self.inbound.take_pdu()? {
            let header = pdu.bhs.0;
            match self.take(pdu).await {
                Ok(()) => {}
                Err(broken @ (Broken::Protocol(_) | Broken::Pdu(_))) => {
                    self.reject(PROTOCOL_ERROR, &header);
                    return Err(broken);
                }
                Err(broken) => return Err(broken),
            }
        }
        Ok(())
    }

    async fn take(&mut self, pdu: RawPdu) -> Result<(), Broken> {
        let header = pdu.bhs.0;
        let envelope = decode(pdu)?;
        let (itt, counted) = (envelope.itt, !envelope.immediate);
        match envelope.request {
            Request::DataOut(data) => return self.data_out(itt, &data),
            Request::Login(_) => return Err(Broken::Protocol("a login in full feature phase")),
            Request::Scsi(_)
            | Request::Task(_)
            | Request::NopOut { .. }
            | Request::Text { .. }
            | Request::Logout { .. }
            | Request::Snack => {}
        }
        // A SNACK has no command number.
        let counted = counted && !matches!(envelope.request, Request::Snack);
        if counted && !self.accept(&envelope)? {
            return Ok(());
        }
        let slot = timeout(PEER_TIMEOUT, Arc::clone(&self.slots).acquire_owned()).await;
        let Ok(Ok(slot)) = slot else {
            return Err(Broken::Gone);
        };
        match envelope.request {
            Request::Scsi(request) => {
                let expected_len = request.expected_len;
                self.scsi(
                    Heading {
                        itt,
                        counted,
                        expected_len,
                        slot,
                    },
                    &request,
                )
            }
            Request::Task(request) => {
                self.manage(itt, request, slot, counted);
                Ok(())
            }
            Request::NopOut {
                transfer_tag,
                lun,
                data,
            } => {
                self.nop(itt, transfer_tag, lun, data, (slot, counted))
                    .await
            }
            Request::Snack => {
                let body = Body::One(Response::reject(SNACK_REJECT, &header));
                let hold = Hold::of(slot);
                self.send(Outbound { body, hold });
                Ok(())
            }
            Request::Text { lun, text, .. } => {
                let text = answer_text(&text, &self.visible, &self.segment_len);
                self.answer(
                    Response::text(itt, lun, None, text.into()),
                    Hold::of(slot),
                    counted,
                );
                Ok(())
            }
            Request::Logout { reason, .. } => self.log_out(itt, reason, (slot, counted)).await,
            Request::DataOut(_) | Request::Login(_) => Ok(()),
        }
    }

    /// Answers a logout and so ends the session; one that asks for recovery, which is not done here, is refused.
    async fn log_out(
        &mut self,
        itt: u32,
        reason: u8,
        (slot, counted): (OwnedSemaphorePermit, bool),
    ) -> Result<(), Broken> {
        const RECOVERY: u8 = 2;
        if reason == RECOVERY {
            self.answer(Response::logout(itt, RECOVERY), Hold::of(slot), counted);
            return Ok(());
        }
        // An initiator hangs up on the answer: those to its task management come before it.
        self.managing.close();
        let _late = timeout(DRAIN_TIMEOUT, self.managing.wait()).await;
        self.answer(Response::logout(itt, 0), Hold::of(slot), counted);
        Err(Broken::Over)
    }

    /// Checks a command's number: true when it is the next one, false when it lies outside the
    /// window and is to be ignored (RFC 7143 4.2.2.1).
    fn accept(&self, envelope: &Envelope) -> Result<bool, Broken> {
        let window = &self.channel.window;
        let ahead = envelope.cmd_sn.wrapping_sub(window.expected());
        let room = window.max().wrapping_sub(window.expected()).wrapping_add(1);
        if ahead == 0 && room != 0 {
            window.accept();
            return Ok(true);
        }
        if ahead < room && room < 0x8000_0000 {
            // One connection delivers in order: a gap can never be filled.
            return Err(Broken::Protocol("a command number was left out"));
        }
        Ok(false)
    }

    /// Answers a ping. Its data counts as data read does: a peer that takes no answers must not have us keep them.
    async fn nop(
        &mut self,
        itt: u32,
        transfer_tag: u32,
        lun: [u8; 8],
        data: Bytes,
        (slot, counted): (OwnedSemaphorePermit, bool),
    ) -> Result<(), Broken> {
        if transfer_tag != NO_TAG {
            self.pinged = None;
        }
        if itt == NO_TAG {
            if counted {
                self.channel.window.credit();
            }
            return Ok(());
        }
        let len = self.segment_len.load(Ordering::Acquire);
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(data.len());
        // A copy: a slice would keep all that was received with it.
        let data = Bytes::copy_from_slice(&data[..len]);
        let permits = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let memory = Arc::clone(&self.channel.memory).acquire_many_owned(permits);
        let Ok(Ok(memory)) = timeout(PEER_TIMEOUT, memory).await else {
            return Err(Broken::Gone);
        };
        let hold = Hold {
            slot: Some(slot),
            memory: Some(memory),
        };
        self.answer(Response::pong(itt, lun, data), hold, counted);
        Ok(())
    }

    fn answer(&self, response: Response, hold: Hold, counted: bool) {
        if counted {
            self.channel.window.credit();
        }
        self.send(Outbound {
            body: Body::One(response),
            hold,
        });
    }

    /// Puts a response on the line.
    pub(super) fn send(&self, outbound: Outbound) {
        // A closed line is a connection that ended: the end is noticed by the select.
        let _closed = self.channel.line.send(outbound);
    }

    fn reject(&self, reason: u8, header: &[u8; BHS_LEN]) {
        let body = Body::One(Response::reject(reason, header));
        self.send(Outbound {
            body,
            hold: Hold::default(),
        });
    }

    /// Asks a silent peer whether it lives; gives up on one that does not answer.
    fn tick(&mut self) -> Result<(), Broken> {
        match self.pinged {
            Some(at) if self.heard > at => self.pinged = None,
            Some(at) if at.elapsed() > PEER_TIMEOUT => return Err(Broken::Gone),
            Some(_) => {}
            None if self.heard.elapsed() > IDLE_PING_AFTER => {
                self.pinged = Some(Instant::now());
                let body = Body::One(Response::ping(1));
                self.send(Outbound {
                    body,
                    hold: Hold::default(),
                });
            }
            None => {}
        }
        Ok(())
    }

    /// The session served.
    pub fn session(&self) -> &Arc<Session> {
        &self.channel.session
    }
}
