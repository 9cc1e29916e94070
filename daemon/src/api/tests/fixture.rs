//! A whole API, and how to ask it.

use crate::api::auth::{self, AuthMode, Peer};
use crate::api::error::Body;
use crate::api::openapi::check::{Answered, check};
use crate::api::{Api, Door, MetricsFor, State};
use crate::model::caller::Role;
use crate::model::id::{TokenId, VolumeTypeId};
use crate::model::operation::Phase;
use crate::model::time::Time;
use crate::model::volume_type::{DEFAULT_TYPE_NAME, VolumeType};
use crate::ops::{self, Ctx, Doorbell, QuotaLimits};
use crate::store::tokens::Token;
use crate::store::{Batch, SqliteOptions, Store, operations, tokens, volume_types, volumes};
use crate::target::Target;
use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use http_body_util::BodyExt;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// The daemon's API, and tokens of every kind of caller.
pub(in crate::api) struct Fixture {
    pub(in crate::api) door: Door,
    pub(in crate::api) store: Store,
    dir: tempfile::TempDir,
}

/// What an answer's description depends on.
struct Asked {
    method: String,
    path: String,
    is_admin: bool,
}

impl Asked {
    fn of(peer: &Peer, request: &Request<Body>) -> Self {
        let token = request.headers().get("x-auth-token");
        // Of the tokens only this one is an administrator's; who needs none is one too.
        let is_admin = match (peer, token) {
            (Peer::Unix { .. }, None) | (Peer::Tcp(_), None) => true,
            (Peer::Unix { .. } | Peer::Tcp(_), Some(token)) => token == "admin" || token == "u:p",
        };
        Self {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            is_admin,
        }
    }

    /// Every answer of every test is one that the OpenAPI document describes.
    fn hold_to_its_description(&self, got: &Got, bytes: &[u8]) {
        let media = got
            .headers
            .get("content-type")
            .and_then(|media| media.to_str().ok());
        let echoed = got.headers.get("openstack-api-version");
        let minor = echoed.and_then(|value| value.to_str().ok()?.rsplit('.').next()?.parse().ok());
        let answered = Answered {
            method: &self.method,
            path: &self.path,
            minor: minor.unwrap_or_default(),
            is_admin: self.is_admin,
            code: got.code,
            media,
            body: (!bytes.is_empty()).then_some(&got.body),
        };
        if let Err(why) = check(&answered) {
            panic!("api/openapi/ does not describe {answered:?}:\n{why}");
        }
    }
}

/// What came back.
pub(in crate::api) struct Got {
    pub(in crate::api) code: u16,
    pub(in crate::api) headers: HeaderMap,
    pub(in crate::api) body: Value,
}

impl Got {
    /// The message of a fault, under whatever its name is.
    pub(in crate::api) fn message(&self) -> &str {
        let fault = self.body.as_object().and_then(|body| body.values().next());
        fault
            .and_then(|fault| fault["message"].as_str())
            .unwrap_or_default()
    }
}

pub(in crate::api) const LATEST: &str = "volume latest";

/// The default type, and a token of every kind of caller; the secret is its name.
fn what_is_there() -> Batch {
    let mut batch = Batch::new();
    let default = VolumeType {
        id: VolumeTypeId::random(),
        name: DEFAULT_TYPE_NAME.to_owned(),
        description: None,
        is_public: true,
        extra_specs: BTreeMap::new(),
        qos_specs_id: None,
        encryption: None,
        created_at: Time::now(),
        updated_at: None,
    };
    batch.add(
        volume_types::INSERT_IF_ABSENT,
        volume_types::insert_values(&default),
    );
    for (secret, project_id, role, expires_at) in [
        ("admin", "ops", Role::Admin, None),
        ("member", "p", Role::Member, None),
        ("reader", "p", Role::Reader, None),
        ("other", "q", Role::Member, None),
        (
            "late",
            "p",
            Role::Member,
            Some(Time::from_stored("2020-01-01T00:00:00.000000".to_owned())),
        ),
    ] {
        let token = Token {
            id: TokenId::random(),
            name: secret.to_owned(),
            project_id: project_id.to_owned(),
            user_id: secret.to_owned(),
            role,
            created_at: Time::now(),
            expires_at,
        };
        let hash = auth::hash(&SecretString::from(secret));
        batch.add(tokens::INSERT, tokens::insert_values(&token, &hash));
    }
    batch
}

pub(in crate::api) async fn fixture(auth: AuthMode) -> Fixture {
    fixture_with(auth, None).await
}

/// The same on a host that has this target.
pub(in crate::api) async fn fixture_with(
    auth: AuthMode,
    target: Option<Arc<dyn Target>>,
) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        reserve_bytes: 0,
        ..SqliteOptions::default()
    };
    let store = Store::open_sqlite(dir.path(), options).await.unwrap();
    store.write(what_is_there()).await.unwrap();
    let ctx = Ctx {
        store: store.clone(),
        drivers: BTreeMap::new(),
        backups: BTreeMap::new(),
        target,
        host: "h".to_owned(),
        availability_zone: "nova".to_owned(),
        quota: QuotaLimits {
            volumes: 5,
            snapshots: 5,
            gigabytes: 100,
            per_volume_gigabytes: 50,
            backups: 10,
            backup_gigabytes: 1000,
        },
        doorbell: Doorbell::local(),
        detach_policy: crate::ops::DetachPolicy::default(),
        mutual_chap: false,
        gate: Default::default(),
        faults: Default::default(),
    };
    let state = State {
        ctx: Arc::new(ctx),
        auth,
        public_endpoint: None,
        metrics: MetricsFor::Administrators,
    };
    Fixture {
        door: Door::new(Api::new(state)),
        store,
        dir,
    }
}

impl Fixture {
    /// The state directory.
    pub(in crate::api) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(in crate::api) async fn send(&self, request: Request<Body>) -> Got {
        let peer = Peer::Tcp(SocketAddr::from(([127, 0, 0, 1], 40_000)));
        self.send_from(peer, request).await
    }

    pub(in crate::api) async fn send_from(&self, peer: Peer, request: Request<Body>) -> Got {
        let asked = Asked::of(&peer, &request);
        let response = self.door.answer(peer, request).await;
        let (code, headers) = (response.status().as_u16(), response.headers().clone());
        let media = headers
            .get("content-type")
            .and_then(|media| media.to_str().ok());
        // A stream has no end to wait for.
        let bytes = match media == Some("text/event-stream") {
            true => Bytes::new(),
            false => response.into_body().collect().await.unwrap().to_bytes(),
        };
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap()
        };
        assert!(
            headers["x-compute-request-id"]
                .to_str()
                .unwrap()
                .starts_with("req-")
        );
        let got = Got {
            code,
            headers,
            body,
        };
        asked.hold_to_its_description(&got, &bytes);
        got
    }

    /// Asks at the newest version, with a body if it is not null.
    pub(in crate::api) async fn ask(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> Got {
        let builder = Request::builder()
            .method(method)
            .uri(path)
            .header("x-auth-token", token)
            .header("openstack-api-version", LATEST);
        let request = if body.is_null() {
            builder.body(Body::empty())
        } else {
            builder
                .header("content-type", "application/json")
                .body(Body::from(body.to_string()))
        };
        self.send(request.unwrap()).await
    }

    pub(in crate::api) async fn get(&self, token: &str, path: &str) -> Got {
        self.ask(token, "GET", path, Value::Null).await
    }

    /// A volume of the member's, as its own answer tells.
    pub(in crate::api) async fn volume(&self, size: i64, name: &str) -> Value {
        let body = json!({"volume": {"size": size, "name": name}});
        let got = self.ask("member", "POST", "/v3/p/volumes", body).await;
        assert_eq!(got.code, 202, "{}", got.body);
        got.body["volume"].clone()
    }

    /// Makes a volume one that lies at `address` and is available, as the workers would.
    pub(in crate::api) async fn place(&self, id: &str, address: &str) {
        let mut batch = Batch::new();
        let values = vec![id.into(), address.into(), Time::now().as_str().into()];
        batch.add(volumes::SET_HOST, values);
        let (first, queue) = (operations::Place::default(), ops::SCHEDULER_QUEUE);
        let queued = operations::live(&self.store, queue, &first, 100).await;
        for operation in queued.unwrap().operations {
            if operation.object_id == id {
                operations::finish(&mut batch, operation.id, Phase::Done, None);
            }
        }
        self.store.write(batch).await.unwrap();
        self.set_status(id, "available").await;
    }

    /// Gives a volume a status, as a worker would.
    pub(in crate::api) async fn set_status(&self, id: &str, status: &str) {
        use crate::model::status::VolumeStatus;
        use crate::store::statuses::{self, Noun};
        let mut batch = Batch::new();
        let to = VolumeStatus::parse(status).unwrap();
        statuses::change(&mut batch, Noun::Volume, id, VolumeStatus::ALL, to);
        self.store.write(batch).await.unwrap();
    }
}
