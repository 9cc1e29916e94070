//! One TCP connection from accept to close: the login, then the session it was admitted to. Knows
//! the order of things; the rules are in `login`, the work in the pump.

use super::Session;
use super::command::Channel;
use super::discovery::Discovery;
use super::inbound::Inbound;
use super::outbound::{self, Encoder, Window};
use super::pump::{Broken, Parts, Pump};
use crate::target::iscsi::frame::{Digests, Framing};
use crate::target::iscsi::limits::{
    DATA_SEGMENT_LEN_MAX, DISCOVERY_TIMEOUT, DRAIN_TIMEOUT, LOGIN_SEGMENT_LEN_MAX, LOGIN_TIMEOUT,
    REQUESTS_MAX, SESSION_BUFFER_LEN_MAX,
};
use crate::target::iscsi::login::{Admission, Directory, Kind, Login, Step};
use crate::target::iscsi::pdu::{LoginRequest, Request, decode};
use crate::target::iscsi::registry::Registry;
use crate::target::iscsi::response::Response;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// What all connections share.
#[derive(Clone)]
pub struct Portal {
    /// Exports and sessions.
    pub registry: Arc<Registry>,
    /// The process's I/O threads.
    pub io: Arc<Semaphore>,
    /// Cancelled when the process is to end.
    pub shutdown: CancellationToken,
}

/// A session's place in the registry, given up however its connection ends.
struct Membership {
    session: Arc<Session>,
    registry: Arc<Registry>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.session.end.cancel();
        self.registry.forget(&self.session);
    }
}

/// A connection past its login.
struct Admitted {
    inbound: Inbound,
    half: OwnedWriteHalf,
    encoder: Encoder,
    window: Arc<Window>,
    segment_len: Arc<AtomicU32>,
    admission: Admission,
    membership: Option<Membership>,
}

/// Serves one connection; `login_slot` bounds how many strangers there are.
pub async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    portal: Portal,
    login_slot: OwnedSemaphorePermit,
) {
    // Without it, an answer waits for the acknowledgement of the one before: 40 ms each.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let admitted = tokio::select! {
        admitted = timeout(LOGIN_TIMEOUT, log_in(stream, peer, &portal)) => admitted,
        () = portal.shutdown.cancelled() => return,
    };
    let Ok(Some(mut admitted)) = admitted else {
        tracing::debug!(%peer, "a login did not succeed");
        return;
    };
    match admitted.membership.take() {
        Some(membership) => {
            drop(login_slot);
            serve_session(admitted, membership, &portal, local).await;
        }
        // Still a stranger: it proved nothing, and keeps a stranger's slot, for a limited time.
        None => {
            let visible = portal
                .registry
                .visible(&admitted.admission.initiator, local);
            let Admitted {
                inbound,
                half,
                encoder,
                window,
                segment_len,
                ..
            } = admitted;
            let discovery = Discovery {
                inbound,
                half,
                encoder,
                window,
                segment_len,
                visible,
            };
            tokio::select! {
                _late = timeout(DISCOVERY_TIMEOUT, discovery.run()) => {}
                () = portal.shutdown.cancelled() => {}
            }
        }
    }
}

/// A connection in its login.
struct Greeting {
    inbound: Inbound,
    half: OwnedWriteHalf,
    segment_len: Arc<AtomicU32>,
    numbering: Option<(Arc<Window>, Encoder)>,
}

impl Greeting {
    fn new(stream: TcpStream) -> Self {
        let (read_half, half) = stream.into_split();
        let framing = Framing {
            digests: Digests::default(),
            segment_len_max: LOGIN_SEGMENT_LEN_MAX,
        };
        Self {
            inbound: Inbound::new(read_half, framing),
            half,
            segment_len: Arc::new(AtomicU32::new(LOGIN_SEGMENT_LEN_MAX)),
            numbering: None,
        }
    }

    /// The next login request; anything else ends the connection.
    async fn next(&mut self) -> Option<(u32, LoginRequest)> {
        let pdu = loop {
            match self.inbound.take_pdu() {
                Ok(Some(pdu)) => break pdu,
                Ok(None) if matches!(self.inbound.fill().await, Ok(true)) => {}
                Ok(None) | Err(_) => return None,
            }
        };
        let envelope = decode(pdu).ok()?;
        let Request::Login(request) = envelope.request else {
            return None;
        };
        if self.numbering.is_none() {
            let window = Arc::new(Window::new(envelope.cmd_sn));
            let segment_len = Arc::clone(&self.segment_len);
            let encoder = Encoder::new(Arc::clone(&window), envelope.exp_stat_sn, segment_len);
            self.numbering = Some((window, encoder));
        }
        Some((envelope.itt, request))
    }

    async fn send(&mut self, response: Response) -> Option<()> {
        let (_, encoder) = self.numbering.as_mut()?;
        encoder.one(response);
        encoder.flush(&mut self.half).await.ok()
    }

    /// Obeys what was negotiated from now on.
    fn admitted(
        mut self,
        admission: Admission,
        membership: Option<Membership>,
    ) -> Option<Admitted> {
        let parameters = &admission.parameters;
        let digests = Digests {
            header: parameters.header_digest,
            data: parameters.data_digest,
        };
        let (window, mut encoder) = self.numbering.take()?;
        self.inbound.reframe(Framing {
            digests,
            segment_len_max: DATA_SEGMENT_LEN_MAX,
        });
        encoder.reframe(digests, parameters.max_burst_len);
        self.segment_len
            .store(parameters.peer_segment_len, Ordering::Release);
        Some(Admitted {
            inbound: self.inbound,
            half: self.half,
            encoder,
            window,
            segment_len: self.segment_len,
            admission,
            membership,
        })
    }
}

async fn log_in(stream: TcpStream, peer: SocketAddr, portal: &Portal) -> Option<Admitted> {
    let mut greeting = Greeting::new(stream);
    let mut login = Login::new(Arc::clone(&portal.registry) as Arc<dyn Directory>);
    let admission = loop {
        let (itt, request) = greeting.next().await?;
        match login.step(itt, &request) {
            Step::Answer(response) => greeting.send(response).await?,
            Step::Refuse(response, status) => {
                tracing::info!(%peer, ?status, "a login was refused");
                greeting.send(response).await?;
                return None;
            }
            Step::Admit(admission) => break *admission,
        }
    };
    let member = |session| Membership {
        session,
        registry: Arc::clone(&portal.registry),
    };
    let admitted = match &admission.kind {
        Kind::Discovery => Ok(None),
        Kind::Normal { .. } => portal
            .registry
            .admit(&admission, peer)
            .await
            .map(|session| Some(member(session))),
    };
    let tsih = |member: &Option<Membership>| member.as_ref().map_or(1, |one| one.session.tsih);
    let outcome = admitted.as_ref().map(tsih).map_err(|status| *status);
    greeting.send(login.finish(outcome)?).await?;
    greeting.admitted(admission, admitted.ok()?)
}

async fn serve_session(
    admitted: Admitted,
    membership: Membership,
    portal: &Portal,
    local: SocketAddr,
) {
    let session = Arc::clone(&membership.session);
    let (line, waiting) = mpsc::unbounded_channel();
    let end = session.end.clone();
    let sender = tokio::spawn(outbound::run(
        admitted.encoder,
        admitted.half,
        waiting,
        end.clone(),
    ));
    let memory = || Arc::new(Semaphore::new(SESSION_BUFFER_LEN_MAX as usize / 2));
    let channel = Channel {
        session: Arc::clone(&session),
        line,
        window: admitted.window,
        io: Arc::clone(&portal.io),
        memory: memory(),
    };
    let mut visible = portal.registry.visible(&session.initiator, local);
    visible.retain(|target| target.iqn == session.target);
    let mut pump = Pump::new(Parts {
        channel,
        registry: Arc::clone(&portal.registry),
        parameters: admitted.admission.parameters,
        inbound: admitted.inbound,
        slots: Arc::new(Semaphore::new(REQUESTS_MAX)),
        write_memory: memory(),
        segment_len: admitted.segment_len,
        visible,
    });
    tracing::info!(initiator = %session.initiator, target = %session.target, peer = %session.peer, "logged in");
    let why = tokio::select! {
        why = pump.run() => why,
        () = portal.shutdown.cancelled() => {
            // No new commands; those under way end and are answered.
            session.tracker.close();
            let _late = timeout(DRAIN_TIMEOUT, session.tracker.wait()).await;
            Broken::Over
        }
    };
    tracing::info!(initiator = %session.initiator, target = %session.target, %why, "session ended");
    // Commands under way end before the session is forgotten; their answers are tried to be sent.
    let drained = session.finish().await;
    if let Err(error) = sender.await {
        tracing::error!(%error, "the sending task failed");
    }
    if !drained {
        // A file operation hangs: the session stays known, so that nothing overtakes it.
        session.tracker.wait().await;
    }
}
