//! The login phase as a pure state machine: requests in, responses and one outcome out. Knows no
//! socket. What it guards: nobody reaches a target without being on its access list *and* having
//! proved the secret, whatever stages are skipped, keys left out or bits set early.
//!
//! ```text
//! first request ─► identity known ─► security (CSG 0): AuthMethod ─► CHAP_A ─► CHAP_N, CHAP_R ─► proven
//!                        │                                                                      │
//!                        └── CSG 1 at once: only where no proof is owed ──► operational ◄────────┘
//!                                                                              └─► Admit
//! ```
//! Every failure is a login response with a status class and the end of the connection.

use super::chap::{Algorithm, Challenge, from_text, to_hex};
use super::limits::{LOGIN_ROUNDS_MAX, TEXT_LEN_MAX};
use super::negotiate::{Parameters, declare_segment_len};
use super::pdu::LoginRequest;
use super::response::{LoginAnswer, Response};
use super::text::{Pairs, Writer};
use crate::target::Chap;
use std::sync::Arc;

const SECURITY: u8 = 0;
const OPERATIONAL: u8 = 1;
const FULL_FEATURE: u8 = 3;

/// Status class and detail of a login response (RFC 7143 11.13.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// The initiator broke the protocol.
    InitiatorError = 0x0200,
    /// It did not prove who it is.
    AuthenticationFailure = 0x0201,
    /// It is not on the access list.
    Forbidden = 0x0202,
    /// There is no such target.
    NotFound = 0x0203,
    /// It asks for a protocol version that does not exist.
    UnsupportedVersion = 0x0205,
    /// The target has as many sessions as it takes.
    TooManyConnections = 0x0206,
    /// A name is missing.
    MissingParameter = 0x0207,
    /// Neither a normal nor a discovery session.
    SessionType = 0x0209,
    /// The session to join does not exist.
    NoSession = 0x020a,
    /// The request does not fit this point of the login.
    InvalidRequest = 0x020b,
    /// We failed.
    TargetError = 0x0300,
    /// The volume cannot be served now.
    Unavailable = 0x0301,
}

/// One initiator's right to one target, as the access list has it.
#[derive(Debug)]
pub struct Grant {
    /// The initiator's IQN, lower case.
    pub initiator: String,
    /// What it must prove, and what we prove when it asks us to.
    pub chap: Chap,
    /// Whether its writes are refused.
    pub read_only: bool,
}

/// Where the login looks up who may.
pub trait Directory: Send + Sync {
    /// The right of `initiator` (lower case) to `target` (lower case).
    fn grant(&self, initiator: &str, target: &str) -> Result<Arc<Grant>, Status>;
    /// All rights of `initiator`, for a discovery session that wants to authenticate.
    fn grants_of(&self, initiator: &str) -> Vec<Arc<Grant>>;
}

/// What kind of session was agreed on.
#[derive(Debug, Clone)]
pub enum Kind {
    /// It may list targets.
    Discovery,
    /// It uses one target.
    Normal {
        /// The target's IQN, lower case.
        target: String,
        /// The right that was proved.
        grant: Arc<Grant>,
    },
}

/// A login that succeeded as far as the protocol goes.
#[derive(Debug, Clone)]
pub struct Admission {
    /// What it is for.
    pub kind: Kind,
    /// The initiator's IQN, lower case.
    pub initiator: String,
    /// The initiator's part of the session id.
    pub isid: [u8; 6],
    /// Connection id.
    pub cid: u16,
    /// What was negotiated.
    pub parameters: Parameters,
}

/// What follows a login request.
#[derive(Debug)]
pub enum Step {
    /// Send this and read on.
    Answer(Response),
    /// Send this and close.
    Refuse(Response, Status),
    /// The protocol is done; the session is to be admitted, then [`Login::finish`] is sent.
    Admit(Box<Admission>),
}

#[derive(Debug)]
enum Proof {
    Undecided,
    NotOwed,
    Agreed,
    Challenged(Algorithm, Challenge),
    Given,
}

#[derive(Debug)]
struct Identity {
    initiator: String,
    names: [Option<String>; 3],
    target: Option<(String, Arc<Grant>)>,
}

/// A login under way.
pub struct Login {
    directory: Arc<dyn Directory>,
    rounds: u32,
    stage: Option<u8>,
    session: ([u8; 6], u16, u16),
    text: Vec<u8>,
    identity: Option<Identity>,
    proof: Proof,
    parameters: Parameters,
    declared: bool,
    last: Option<(u32, LoginRequest, Vec<u8>)>,
}

impl Login {
    /// A login of which nothing has been heard yet.
    pub fn new(directory: Arc<dyn Directory>) -> Self {
        Self {
            directory,
            rounds: 0,
            stage: None,
            session: ([0; 6], 0, 0),
            text: Vec::new(),
            identity: None,
            proof: Proof::Undecided,
            parameters: Parameters::default(),
            declared: false,
            last: None,
        }
    }

    /// Takes the next request.
    pub fn step(&mut self, itt: u32, request: &LoginRequest) -> Step {
        match self.take(itt, request) {
            Ok(step) => step,
            Err(status) => Step::Refuse(refusal(itt, request, status), status),
        }
    }

    /// The last response, once the session is admitted under `tsih`, or refused.
    pub fn finish(self, outcome: Result<u16, Status>) -> Option<Response> {
        let (itt, request, text) = self.last?;
        Some(match outcome {
            Ok(tsih) => {
                let answer = LoginAnswer {
                    transit: true,
                    status: 0,
                };
                Response::login(itt, &request, tsih, answer, text.into())
            }
            Err(status) => refusal(itt, &request, status),
        })
    }

    fn take(&mut self, itt: u32, request: &LoginRequest) -> Result<Step, Status> {
        self.rounds += 1;
        if self.rounds > LOGIN_ROUNDS_MAX {
            return Err(Status::InitiatorError);
        }
        if request.version_min > 0 {
            return Err(Status::UnsupportedVersion);
        }
        self.check_stage(request)?;
        if self.text.len() + request.text.len() > TEXT_LEN_MAX {
            return Err(Status::InitiatorError);
        }
        self.text.extend_from_slice(&request.text);
        if request.more {
            return Ok(Step::Answer(answer(itt, request, false, Writer::default())));
        }
        let text = std::mem::take(&mut self.text);
        let pairs = Pairs::parse(&text).map_err(|_| Status::InitiatorError)?;
        let mut out = Writer::default();
        self.identify(request, &pairs, &mut out)?;
        if request.stage == SECURITY {
            self.prove(&pairs, request.transit, &mut out)?;
        } else if matches!(self.proof, Proof::Undecided) {
            // The security stage was skipped: only a discovery session owes no proof.
            self.skip_proof()?;
        }
        self.negotiate(request, &pairs, &mut out)?;
        Ok(self.advance(itt, request, out))
    }

    fn check_stage(&mut self, request: &LoginRequest) -> Result<(), Status> {
        let session = (request.isid, request.tsih, request.cid);
        match self.stage {
            None => self.session = session,
            Some(stage) if stage == request.stage && self.session == session => {}
            Some(_) => return Err(Status::InvalidRequest),
        }
        let forward = matches!(
            (request.stage, request.next_stage),
            (SECURITY, OPERATIONAL | FULL_FEATURE) | (OPERATIONAL, FULL_FEATURE)
        );
        if !matches!(request.stage, SECURITY | OPERATIONAL) || (request.transit && !forward) {
            return Err(Status::InvalidRequest);
        }
        self.stage = Some(request.stage);
        Ok(())
    }

    fn identify(
        &mut self,
        request: &LoginRequest,
        pairs: &Pairs,
        out: &mut Writer,
    ) -> Result<(), Status> {
        let names = ["InitiatorName", "SessionType", "TargetName"]
            .map(|key| pairs.get(key).map(str::to_owned));
        if let Some(known) = &self.identity {
            // Some initiators repeat their names in each stage; changing them is another matter.
            let same = names
                .iter()
                .zip(&known.names)
                .all(|(now, then)| now.is_none() || now == then);
            return if same {
                Ok(())
            } else {
                Err(Status::InvalidRequest)
            };
        }
        let initiator = names[0].as_deref().filter(|name| !name.is_empty());
        let initiator = initiator.ok_or(Status::MissingParameter)?.to_lowercase();
        if request.tsih != 0 {
            return Err(Status::NoSession);
        }
        let target = match names[1].as_deref() {
            Some("Discovery") => None,
            None | Some("Normal") => {
                let target = names[2]
                    .as_deref()
                    .ok_or(Status::MissingParameter)?
                    .to_lowercase();
                let grant = self.directory.grant(&initiator, &target)?;
                out.put("TargetPortalGroupTag", "1");
                Some((target, grant))
            }
            Some(_) => return Err(Status::SessionType),
        };
        self.identity = Some(Identity {
            initiator,
            names,
            target,
        });
        Ok(())
    }

    fn skip_proof(&mut self) -> Result<(), Status> {
        match &self.identity {
            Some(Identity { target: None, .. }) => {
                self.proof = Proof::NotOwed;
                Ok(())
            }
            _ => Err(Status::AuthenticationFailure),
        }
    }

    fn prove(&mut self, pairs: &Pairs, leaving: bool, out: &mut Writer) -> Result<(), Status> {
        if let Some(methods) = pairs.get("AuthMethod") {
            self.choose_method(methods, out)?;
        }
        if let Some(algorithms) = pairs.get("CHAP_A") {
            self.challenge(algorithms, out)?;
        }
        if pairs.get("CHAP_N").is_some() || pairs.get("CHAP_R").is_some() {
            self.verify(pairs, out)?;
        }
        match self.proof {
            Proof::Undecided if leaving => self.skip_proof(),
            // Wanting to leave before the answer is given is no way round it.
            Proof::Challenged(..) if leaving && pairs.get("CHAP_A").is_none() => {
                Err(Status::AuthenticationFailure)
            }
            Proof::Agreed if leaving && pairs.get("AuthMethod").is_none() => {
                Err(Status::AuthenticationFailure)
            }
            Proof::Undecided
            | Proof::NotOwed
            | Proof::Agreed
            | Proof::Challenged(..)
            | Proof::Given => Ok(()),
        }
    }

    fn choose_method(&mut self, methods: &str, out: &mut Writer) -> Result<(), Status> {
        if !matches!(self.proof, Proof::Undecided) {
            return Err(Status::InvalidRequest);
        }
        let offers = |name| methods.split(',').any(|method| method.trim() == name);
        let Some(identity) = &self.identity else {
            return Err(Status::InitiatorError);
        };
        if identity.target.is_none() && offers("None") {
            self.proof = Proof::NotOwed;
            out.put("AuthMethod", "None");
        } else if offers("CHAP") {
            self.proof = Proof::Agreed;
            out.put("AuthMethod", "CHAP");
        } else {
            return Err(Status::AuthenticationFailure);
        }
        Ok(())
    }

    fn challenge(&mut self, algorithms: &str, out: &mut Writer) -> Result<(), Status> {
        let Proof::Agreed = self.proof else {
            return Err(Status::AuthenticationFailure);
        };
        let algorithm = Algorithm::choose(algorithms).ok_or(Status::AuthenticationFailure)?;
        let challenge = Challenge::random().map_err(|_| Status::TargetError)?;
        out.put("CHAP_A", algorithm.number());
        out.put("CHAP_I", &challenge.identifier.to_string());
        out.put("CHAP_C", &to_hex(&challenge.bytes));
        self.proof = Proof::Challenged(algorithm, challenge);
        Ok(())
    }

    fn verify(&mut self, pairs: &Pairs, out: &mut Writer) -> Result<(), Status> {
        let failure = Status::AuthenticationFailure;
        let Proof::Challenged(algorithm, challenge) = &self.proof else {
            return Err(failure);
        };
        let user = pairs.get("CHAP_N").ok_or(failure)?;
        let response = pairs.get("CHAP_R").and_then(from_text).ok_or(failure)?;
        let identity = self.identity.as_ref().ok_or(failure)?;
        let grants = match &identity.target {
            Some((_, grant)) => vec![Arc::clone(grant)],
            None => self.directory.grants_of(&identity.initiator),
        };
        let met = |grant: &&Arc<Grant>| {
            grant.chap.user == user && challenge.is_met(*algorithm, &grant.chap.secret, &response)
        };
        let grant = grants.iter().find(met).ok_or(failure)?;
        if let Some(theirs) = pairs.get("CHAP_C") {
            let theirs = from_text(theirs)
                .filter(|bytes| !bytes.is_empty())
                .ok_or(failure)?;
            let identifier = pairs.get("CHAP_I").and_then(|text| text.parse().ok());
            let identifier: u8 = identifier.ok_or(failure)?;
            let mutual = grant.chap.mutual.as_ref().ok_or(failure)?;
            // Our own challenge sent back asks us to compute an answer for somebody else.
            if theirs == challenge.bytes {
                return Err(failure);
            }
            let response = algorithm.response(identifier, &mutual.secret, &theirs);
            out.put("CHAP_N", &mutual.user);
            out.put("CHAP_R", &to_hex(&response));
        }
        self.proof = Proof::Given;
        Ok(())
    }

    fn negotiate(
        &mut self,
        request: &LoginRequest,
        pairs: &Pairs,
        out: &mut Writer,
    ) -> Result<(), Status> {
        for (key, value) in pairs.iter() {
            let known = self
                .parameters
                .offer(key, value, out)
                .map_err(|_| Status::InitiatorError)?;
            let declared = matches!(
                key,
                "InitiatorName" | "InitiatorAlias" | "SessionType" | "TargetName" | "AuthMethod"
            );
            if !known && !declared && !key.starts_with("CHAP_") {
                out.put(key, "NotUnderstood");
            }
        }
        if request.stage == OPERATIONAL && !self.declared {
            self.declared = true;
            declare_segment_len(out);
        }
        Ok(())
    }

    fn advance(&mut self, itt: u32, request: &LoginRequest, out: Writer) -> Step {
        let proven = matches!(self.proof, Proof::NotOwed | Proof::Given);
        if !(request.transit && proven) {
            return Step::Answer(answer(itt, request, false, out));
        }
        if request.next_stage == OPERATIONAL {
            self.stage = Some(OPERATIONAL);
            return Step::Answer(answer(itt, request, true, out));
        }
        let Some(identity) = &self.identity else {
            let status = Status::InitiatorError;
            return Step::Refuse(refusal(itt, request, status), status);
        };
        self.parameters.settle();
        let kind = match &identity.target {
            None => Kind::Discovery,
            Some((target, grant)) => Kind::Normal {
                target: target.clone(),
                grant: Arc::clone(grant),
            },
        };
        let admission = Admission {
            kind,
            initiator: identity.initiator.clone(),
            isid: request.isid,
            cid: request.cid,
            parameters: self.parameters.clone(),
        };
        self.last = Some((itt, request.clone(), out.finish()));
        Step::Admit(Box::new(admission))
    }
}

fn answer(itt: u32, request: &LoginRequest, transit: bool, out: Writer) -> Response {
    let answer = LoginAnswer { transit, status: 0 };
    Response::login(itt, request, request.tsih, answer, out.finish().into())
}

fn refusal(itt: u32, request: &LoginRequest, status: Status) -> Response {
    let answer = LoginAnswer {
        transit: false,
        status: status as u16,
    };
    Response::login(itt, request, request.tsih, answer, bytes::Bytes::new())
}
