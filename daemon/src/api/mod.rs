//! WIRE: Cinder's Block Storage API v3, and our own beside it; the only HTTP and the only JSON of the wire.
//!
//! A request comes in at [`server`], passes the [`door`], and is led by the one route table ([`routes`]) to a handler
//! in `v3/` or `ashlar/`, which reads through the store and changes things only through `ops::*::begin`. Every code
//! and every error body is made in [`error`]. Knows nothing of drivers, targets or steps.

mod ashlar;
pub mod auth;
mod body;
mod call;
#[cfg(test)]
mod docs;
pub mod door;
pub mod error;
mod filter;
pub mod ladder;
mod links;
mod measures;
pub mod microversion;
mod openapi;
mod page;
mod place;
mod request_id;
pub mod routes;
pub mod server;
mod service_ids;
mod stall;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod v3;
mod versions;

pub use auth::AuthMode;
pub use door::Door;
pub use measures::MetricsFor;

use crate::ops::Ctx;
use ashlar::events::Feed;
use service_ids::ServiceIds;
use std::ops::Deref;
use std::sync::Arc;

/// What the API needs to know of the daemon.
pub struct State {
    /// What operations may use.
    pub ctx: Arc<Ctx>,
    /// How callers on TCP prove who they are.
    pub auth: AuthMode,
    /// Who may read `/metrics`.
    pub metrics: MetricsFor,
    /// What links in answers begin with, when it is not where the request came in.
    pub public_endpoint: Option<String>,
}

/// The state, shared by every request.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

struct Shared {
    state: State,
    feed: Feed,
    service_ids: ServiceIds,
}

impl Api {
    /// Shares a state.
    pub fn new(state: State) -> Self {
        Self(Arc::new(Shared {
            feed: Feed::new(&state.ctx),
            state,
            service_ids: ServiceIds::default(),
        }))
    }

    fn feed(&self) -> &Feed {
        &self.0.feed
    }

    fn service_ids(&self) -> &ServiceIds {
        &self.0.service_ids
    }

    fn public_endpoint(&self) -> Option<&str> {
        self.0.state.public_endpoint.as_deref()
    }
}

impl Deref for Api {
    type Target = State;
    fn deref(&self) -> &State {
        &self.0.state
    }
}
