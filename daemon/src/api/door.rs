//! The door: what every request passes before a handler sees it, in one place and in this order.
//!
//! An id; a place among those that may be served at once; the body, within its limit; who asks; which project; what
//! the role may; which microversion; then the route. A request runs in a task of its own: a client that goes away,
//! a time-out or a panic ends the waiting, never half of what the handler does.

use super::ashlar::plan;
use super::auth::{self, Peer};
use super::call::{Call, Media, Request};
use super::error::{Body, Fault};
use super::links::Links;
use super::measures;
use super::microversion::{self, Microversion};
use super::place::{self, Place};
use super::routes::Seen;
use super::{Api, request_id, routes, versions};
use crate::meter;
use crate::model::caller::{Caller, Role};
use axum::Router;
use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{Method, Response, Uri, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tracing::Instrument;

/// Cinder's `osapi_max_request_body_size`.
const BODY_LEN_MAX: usize = 114_688;

/// So much of a body that is too large is still taken, so that the client reads our answer instead of a reset.
const DRAIN_LEN_MAX: usize = 16 << 20;

/// By when a body must have come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests being answered at once; beyond it, 503. Each holds at most one body.
const REQUESTS_MAX: usize = 256;

/// By when a handler must have answered. Longer than any wait that an operation allows itself.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// The way in to the API.
#[derive(Clone)]
pub struct Door {
    api: Api,
    router: Router,
    permits: Arc<Semaphore>,
}

impl Door {
    /// A door to everything in the route table.
    pub fn new(api: Api) -> Self {
        Self {
            router: routes::router(api.clone()),
            api,
            permits: Arc::new(Semaphore::new(REQUESTS_MAX)),
        }
    }

    /// Ends the answers that would go on for ever: the process is about to stop.
    pub(super) fn end_streams(&self) {
        self.api.feed().end();
    }

    /// Answers a request, whatever it is.
    pub async fn answer(&self, peer: Peer, request: Request) -> Response<Body> {
        let request_id = request_id::fresh();
        let started = Instant::now();
        let method = measures::method(request.method());
        let own = measures::own_route(request.uri().path());
        // At the level of errors, so that no filter of the log takes the id from a line that is written.
        let span = tracing::error_span!("request", request_id);
        let guarded = self.guarded(peer, request, &request_id);
        let mut response = guarded.instrument(span.clone()).await;
        request_id::put(&mut response, &request_id);
        let seen = response.extensions_mut().remove::<Seen>();
        let route = seen.as_ref().map_or(own, |seen| seen.route.as_str());
        let (code, took) = (response.status().as_u16(), started.elapsed());
        let took_ms = (took.as_secs_f64() * 1e6).round() / 1e3;
        span.in_scope(|| {
            tracing::info!(
                method,
                route,
                code,
                took_ms,
                project_id = seen.as_ref().map(|seen| seen.project_id.as_str()),
                object_id = seen.as_ref().and_then(|seen| seen.object_id.as_deref()),
                "answered"
            );
        });
        meter::answered(route, method, code, took);
        response
    }

    async fn guarded(&self, peer: Peer, request: Request, request_id: &str) -> Response<Body> {
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            return Fault::overloaded("Too many requests at once; try again.").into_response();
        };
        let (door, id) = (self.clone(), request_id.to_owned());
        let entered = async move {
            let response = door.enter(peer, request, &id).await;
            drop(permit);
            response
        };
        let task = tokio::spawn(entered.in_current_span());
        match tokio::time::timeout(ANSWER_TIMEOUT, task).await {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => {
                tracing::error!(request_id, %failure, "a handler panicked");
                Fault::erred().into_response()
            }
            Err(_) => Fault::overloaded(
                "The request took too long to answer; look at the object before you repeat it.",
            )
            .into_response(),
        }
    }

    async fn enter(&self, peer: Peer, request: Request, request_id: &str) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let host = authority(&parts);
        let links = |project| Links::new(self.api.public_endpoint(), host.as_deref(), project);
        let may_read = matches!(parts.method, Method::GET | Method::HEAD);
        match place::of(parts.uri.path()) {
            Place::Versions if may_read => versions::all(&links(None)),
            Place::Version if may_read => versions::this(&links(None)),
            Place::Health if may_read => measures::health(&self.api).await,
            Place::Metrics if may_read => {
                let asked = measures::metrics(&self.api, peer, &parts.headers, request_id);
                asked.await.unwrap_or_else(IntoResponse::into_response)
            }
            Place::Versions | Place::Version | Place::Health | Place::Metrics => {
                Fault::bad_method().into_response()
            }
            Place::Nowhere => Fault::no_route().into_response(),
            Place::Ashlar => {
                let admitted = self.admit(peer, &parts, body, request_id).await;
                let path = parts.uri.path().to_owned();
                self.hand_over(parts, admitted, Microversion::MIN, links(None), &path)
                    .await
            }
            Place::V3 { project, path } => {
                let links = links(project.clone());
                let admitted = self.admit(peer, &parts, body, request_id).await;
                let admitted =
                    admitted.and_then(|(caller, body)| Ok((in_project(caller, project)?, body)));
                match microversion::requested(&parts.headers) {
                    Ok(version) => {
                        let mut response =
                            self.hand_over(parts, admitted, version, links, &path).await;
                        microversion::put(&mut response, version);
                        response
                    }
                    // Who may not call learns nothing else.
                    Err(fault) => admitted.err().unwrap_or(fault).into_response(),
                }
            }
        }
    }

    /// Takes the body in, and settles who asks and whether the role may.
    async fn admit(
        &self,
        peer: Peer,
        parts: &Parts,
        body: Body,
        request_id: &str,
    ) -> Result<(Caller, Bytes), Fault> {
        // The body first, whoever sent it: it is bounded, and an answer before its end could be lost.
        let body = match tokio::time::timeout(BODY_TIMEOUT, take_in(body)).await {
            Ok(taken) => taken,
            Err(_) => Err(Fault::bad_request("The body did not come in time.")),
        };
        let state = &self.api;
        let caller = auth::identify(
            &state.ctx.store,
            state.auth,
            peer,
            &parts.headers,
            request_id,
        )
        .await?;
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        if caller.role == Role::Reader && !reads {
            return Err(Fault::forbidden("a change by a reader"));
        }
        Ok((caller, body?))
    }

    async fn hand_over(
        &self,
        mut parts: Parts,
        admitted: Result<(Caller, Bytes), Fault>,
        version: Microversion,
        links: Links,
        path: &str,
    ) -> Response<Body> {
        let (caller, body) = match admitted {
            Ok(admitted) => admitted,
            Err(fault) => return fault.into_response(),
        };
        let media = parts.headers.get(header::CONTENT_TYPE);
        let media = Media::of(media.map(|value| value.as_bytes()));
        let Ok(uri) = path.parse::<Uri>() else {
            return Fault::no_route().into_response();
        };
        let query = query(parts.uri.query());
        parts.uri = uri;
        let call = Call::new(caller, version, links, query, body, media);
        if let Some(wanted) = plan::wanted(&parts.headers) {
            let act = (&parts.method, path);
            return plan::act_if_same(&self.api, &self.router, &wanted, &call, act).await;
        }
        let call = call.on_condition(parts.headers.get(header::IF_MATCH));
        parts.extensions.insert(call);
        let request = axum::http::Request::from_parts(parts, Body::empty());
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The caller, acting in the project that the path names: its own, or any for an administrator.
fn in_project(mut caller: Caller, project: Option<String>) -> Result<Caller, Fault> {
    match project {
        None => Ok(caller),
        Some(project) if project == caller.project_id => Ok(caller),
        Some(project) if caller.role == Role::Admin && place::is_project_id(&project) => {
            caller.project_id = project;
            Ok(caller)
        }
        Some(_) => Err(Fault::malformed_url()),
    }
}

/// Reads a body up to its limit; what comes beyond is taken and dropped, up to a limit of its own.
async fn take_in(mut body: Body) -> Result<Bytes, Fault> {
    let mut taken: Vec<u8> = Vec::new();
    let mut len = 0usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Fault::malformed_body())?;
        let Ok(data) = frame.into_data() else {
            continue; // Trailers.
        };
        len = len.saturating_add(data.len());
        if len > DRAIN_LEN_MAX {
            break;
        }
        if len <= BODY_LEN_MAX {
            taken.extend_from_slice(&data);
        }
    }
    if len > BODY_LEN_MAX {
        return Err(Fault::body_too_large());
    }
    Ok(Bytes::from(taken))
}

/// A query, decoded; broken UTF-8 in it becomes the replacement character, which no object is called.
pub(super) fn query(text: Option<&str>) -> Vec<(String, String)> {
    let uri = Uri::builder()
        .path_and_query(format!("/?{}", text.unwrap_or_default()))
        .build();
    uri.ok()
        .and_then(|uri| Query::try_from_uri(&uri).ok())
        .map_or_else(Vec::new, |Query(pairs)| pairs)
}

/// The request's `Host`, if it is one to print into links.
fn authority(parts: &Parts) -> Option<String> {
    let host = parts.headers.get(header::HOST)?.to_str().ok()?;
    let authority: Authority = host.parse().ok()?;
    (!authority.as_str().contains('@')).then(|| authority.to_string())
}
