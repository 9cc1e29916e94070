//! The whole API in one process, from the door to a record in a fresh directory; no worker runs, so what is begun
//! stays begun.

use super::auth::{self, AuthMode, Peer};
use super::error::Body;
use super::routes::ROUTES;
use super::{Api, Door, State};
use crate::model::caller::Role;
use crate::model::id::{TokenId, VolumeTypeId};
use crate::model::time::Time;
use crate::model::volume_type::{DEFAULT_TYPE_NAME, VolumeType};
use crate::ops::{Ctx, Doorbell, Faults, QuotaLimits};
use crate::store::tokens::Token;
use crate::store::{Batch, SqliteOptions, Store, tokens, volume_types};
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use uuid::Uuid;

/// The daemon's API, and tokens of every kind of caller.
struct Fixture {
    door: Door,
    store: Store,
    _dir: tempfile::TempDir,
}

/// What came back.
struct Got {
    code: u16,
    headers: HeaderMap,
    body: Value,
}

impl Got {
    /// The message of a fault, under whatever its name is.
    fn message(&self) -> &str {
        let fault = self.body.as_object().and_then(|body| body.values().next());
        fault
            .and_then(|fault| fault["message"].as_str())
            .unwrap_or_default()
    }
}

const LATEST: &str = "volume latest";

async fn fixture(auth: AuthMode) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        reserve_bytes: 0,
        ..SqliteOptions::default()
    };
    let store = Store::open_sqlite(dir.path(), options).await.unwrap();
    let mut batch = Batch::new();
    let default = VolumeType {
        id: VolumeTypeId::random(),
        name: DEFAULT_TYPE_NAME.to_owned(),
        description: None,
        is_public: true,
        extra_specs: BTreeMap::new(),
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
    store.write(batch).await.unwrap();
    let ctx = Ctx {
        store: store.clone(),
        drivers: BTreeMap::new(),
        target: None,
        host: "h".to_owned(),
        availability_zone: "nova".to_owned(),
        quota: QuotaLimits {
            volumes: 5,
            snapshots: 5,
            gigabytes: 100,
            per_volume_gigabytes: 50,
        },
        doorbell: Doorbell::local(),
        faults: Faults::default(),
    };
    let state = State {
        ctx: Arc::new(ctx),
        auth,
        public_endpoint: None,
    };
    Fixture {
        door: Door::new(Api::new(state)),
        store,
        _dir: dir,
    }
}

impl Fixture {
    async fn send(&self, request: Request<Body>) -> Got {
        let peer = Peer::Tcp(SocketAddr::from(([127, 0, 0, 1], 40_000)));
        self.send_from(peer, request).await
    }

    async fn send_from(&self, peer: Peer, request: Request<Body>) -> Got {
        let response = self.door.answer(peer, request).await;
        let (code, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
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
        Got {
            code,
            headers,
            body,
        }
    }

    /// Asks at the newest version, with a body if it is not null.
    async fn ask(&self, token: &str, method: &str, path: &str, body: Value) -> Got {
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

    async fn get(&self, token: &str, path: &str) -> Got {
        self.ask(token, "GET", path, Value::Null).await
    }

    /// A volume of the member's, as its own answer tells.
    async fn volume(&self, size: i64, name: &str) -> Value {
        let body = json!({"volume": {"size": size, "name": name}});
        let got = self.ask("member", "POST", "/v3/p/volumes", body).await;
        assert_eq!(got.code, 202, "{}", got.body);
        got.body["volume"].clone()
    }

    /// Gives a volume a status, as a worker would.
    async fn set_status(&self, id: &str, status: &str) {
        use crate::model::status::VolumeStatus;
        use crate::store::statuses::{self, Noun};
        let mut batch = Batch::new();
        let to = VolumeStatus::parse(status).unwrap();
        statuses::change(&mut batch, Noun::Volume, id, VolumeStatus::ALL, to);
        self.store.write(batch).await.unwrap();
    }
}

#[tokio::test]
async fn versions_and_health_need_no_token() {
    let api = fixture(AuthMode::Token).await;
    for (path, code) in [
        ("/", 300),
        ("/v3", 200),
        ("/v3/", 200),
        ("/healthcheck", 200),
    ] {
        let request = Request::builder()
            .uri(path)
            .header("host", "c:8776")
            .body(Body::empty());
        let got = api.send(request.unwrap()).await;
        assert_eq!(got.code, code, "{path}");
        if !got.body.is_null() {
            assert_eq!(
                got.body["versions"][0]["links"][1]["href"],
                "http://c:8776/v3/"
            );
        }
    }
}

#[tokio::test]
async fn every_route_wants_a_valid_token() {
    let api = fixture(AuthMode::Token).await;
    for route in ROUTES {
        let path = route
            .path
            .replace("{id}", &Uuid::new_v4().to_string())
            .replace("{key}", "k");
        for token in [None, Some("wrong"), Some("late"), Some("")] {
            let mut builder = Request::builder()
                .method(route.method.to_uppercase().as_str())
                .uri(&path);
            if let Some(token) = token {
                builder = builder.header("x-auth-token", token);
            }
            let got = api.send(builder.body(Body::empty()).unwrap()).await;
            assert_eq!(got.code, 401, "{} {path} {token:?}", route.method);
            assert_eq!(got.body["error"]["code"], 401);
        }
    }
}

#[tokio::test]
async fn a_reader_reads_only() {
    let api = fixture(AuthMode::Token).await;
    for route in ROUTES {
        let path = route
            .path
            .replace("{id}", &Uuid::new_v4().to_string())
            .replace("{key}", "k");
        let got = api
            .ask("reader", &route.method.to_uppercase(), &path, Value::Null)
            .await;
        if route.method == "get" {
            assert!(matches!(got.code, 200 | 403 | 404), "{path}: {}", got.code);
        } else {
            assert_eq!(got.code, 403, "{} {path}", route.method);
        }
    }
}

#[tokio::test]
async fn no_route_answers_nonsense_with_5xx() {
    let api = fixture(AuthMode::Token).await;
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        b"null".to_vec(),
        b"{\"volume\": 5}".to_vec(),
        b"{\"volume\": {\"size\": 1e400}}".to_vec(),
        b"{\"volume\": {\"size\": 99999999999999999999999999}}".to_vec(),
        b"{\"volume\": {\"name\": \"\xff\xfe\"}}".to_vec(),
        b"{\"volume\": {\"size\": 1, \"name\": \"\\u0000\"}}".to_vec(),
        b"{\"os-extend\": null}".to_vec(),
        b"{\"os-extend\": {\"new_size\": -1}}".to_vec(),
        b"{\"os-reserve\": [], \"os-unreserve\": 1}".to_vec(),
        b"{\"snapshot\": {\"volume_id\": {}}}".to_vec(),
        b"{\"attachment\": {\"volume_uuid\": \"x\", \"connector\": 7}}".to_vec(),
        b"{\"volume_type\": {\"name\": null}}".to_vec(),
        b"{\"extra_specs\": null}".to_vec(),
        b"{\"token\": []}".to_vec(),
        "[".repeat(50_000).into_bytes(),
        vec![b' '; 200_000],
    ];
    for route in ROUTES {
        for id in [
            Uuid::new_v4().to_string(),
            "x".to_owned(),
            "%ff%fe".to_owned(),
            "%00".to_owned(),
        ] {
            let path = route.path.replace("{id}", &id).replace("{key}", &id);
            for body in &bodies {
                let request = Request::builder()
                    .method(route.method.to_uppercase().as_str())
                    .uri(format!("{path}?limit=%00&name=%ff&sort=%00"))
                    .header("x-auth-token", "admin")
                    .header("openstack-api-version", LATEST)
                    .header("content-type", "application/json")
                    .body(Body::from(body.clone()));
                let got = api.send(request.unwrap()).await;
                assert!(got.code < 500, "{} {path}: {}", route.method, got.body);
                assert!(
                    got.code < 300 || !got.message().is_empty(),
                    "{path}: {}",
                    got.body
                );
            }
        }
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413() {
    let api = fixture(AuthMode::Token).await;
    let body = json!({"volume": {"size": 1, "description": "x".repeat(10 << 20)}});
    let got = api.ask("member", "POST", "/v3/p/volumes", body).await;
    assert_eq!(
        (got.code, got.body["overLimit"]["code"].as_u64()),
        (413, Some(413))
    );
}

#[tokio::test]
async fn a_body_must_be_said_to_be_json() {
    let api = fixture(AuthMode::Token).await;
    for (media, code) in [
        (Some("text/plain"), 415),
        (None, 400),
        (Some("application/json"), 202),
    ] {
        let mut builder = Request::builder()
            .method("POST")
            .uri("/v3/p/volumes")
            .header("x-auth-token", "member");
        if let Some(media) = media {
            builder = builder.header("content-type", media);
        }
        let got = api
            .send(
                builder
                    .body(Body::from(r#"{"volume":{"size":1}}"#))
                    .unwrap(),
            )
            .await;
        assert_eq!(got.code, code, "{media:?}");
    }
}

#[tokio::test]
async fn the_version_is_echoed_and_bounded() {
    let api = fixture(AuthMode::Token).await;
    let at = |version: &'static str, path: &'static str| {
        let request = Request::builder()
            .uri(path)
            .header("x-auth-token", "member")
            .header("openstack-api-version", version)
            .body(Body::empty());
        api.send(request.unwrap())
    };
    let got = at("volume 3.50", "/v3/p/volumes").await;
    assert_eq!(got.headers["openstack-api-version"], "volume 3.50");
    assert_eq!(got.headers["vary"], "OpenStack-API-Version");
    assert_eq!(at("volume 3.99", "/v3/p/volumes").await.code, 406);
    assert_eq!(at("volume x", "/v3/p/volumes").await.code, 400);
    assert_eq!(at("volume 3.26", "/v3/p/attachments").await.code, 404);
    assert_eq!(at("volume 3.27", "/v3/p/attachments").await.code, 200);
    assert_eq!(at("volume 3.27", "/v3/p/backups").await.code, 404);
    let got = at("volume 3.27", "/v3/p/backups/detail").await;
    assert_eq!(
        (got.code, got.body["itemNotFound"]["code"].as_u64()),
        (404, Some(404))
    );
}

#[tokio::test]
async fn a_volume_from_create_to_delete() {
    let api = fixture(AuthMode::Token).await;
    let made = api.volume(2, "one").await;
    let id = made["id"].as_str().unwrap();
    assert_eq!(
        (&made["status"], &made["size"]),
        (&json!("creating"), &json!(2))
    );
    assert_eq!(made["volume_type"], DEFAULT_TYPE_NAME);

    let path = format!("/v3/p/volumes/{id}");
    let got = api.get("member", &path).await;
    assert_eq!(
        (got.code, &got.body["volume"]["name"]),
        (200, &json!("one"))
    );
    let change = json!({"volume": {"description": "d", "metadata": {"k": "v"}}});
    let got = api.ask("member", "PUT", &path, change).await;
    assert_eq!(
        (got.code, &got.body["volume"]["metadata"]["k"]),
        (200, &json!("v"))
    );
    assert_eq!(got.body["volume"]["name"], "one");
    assert_eq!(
        api.get("member", &format!("{path}/encryption")).await.body,
        json!({"encryption_key_id": null})
    );

    // While it is being created nothing else may happen to it.
    let got = api
        .ask(
            "member",
            "POST",
            &format!("{path}/action"),
            json!({"os-reserve": null}),
        )
        .await;
    assert!(matches!(got.code, 400 | 409), "{}", got.body);
}

#[tokio::test]
async fn another_projects_objects_do_not_exist() {
    let api = fixture(AuthMode::Token).await;
    let made = api.volume(1, "mine").await;
    let id = made["id"].as_str().unwrap();
    for (method, path, body) in [
        ("GET", format!("/v3/q/volumes/{id}"), Value::Null),
        ("DELETE", format!("/v3/q/volumes/{id}"), Value::Null),
        (
            "PUT",
            format!("/v3/q/volumes/{id}"),
            json!({"volume": {"name": "x"}}),
        ),
        (
            "POST",
            format!("/v3/q/volumes/{id}/action"),
            json!({"os-reserve": {}}),
        ),
        (
            "POST",
            "/v3/q/snapshots".to_owned(),
            json!({"snapshot": {"volume_id": id}}),
        ),
        (
            "POST",
            "/v3/q/attachments".to_owned(),
            json!({"attachment": {"volume_uuid": id}}),
        ),
        (
            "POST",
            "/v3/q/volumes".to_owned(),
            json!({"volume": {"source_volid": id}}),
        ),
        ("GET", format!("/v3/q/volumes?marker={id}"), Value::Null),
    ] {
        let got = api.ask("other", method, &path, body).await;
        assert_eq!(got.code, 404, "{method} {path}: {}", got.body);
    }
    assert_eq!(
        api.get("other", "/v3/q/volumes").await.body["volumes"],
        json!([])
    );
    assert_eq!(
        api.get("other", "/v3/q/volumes?all_tenants=1").await.body["volumes"],
        json!([])
    );
    // A project that is not the caller's may not be named in the path, but by an administrator.
    let got = api.get("other", "/v3/p/volumes").await;
    assert_eq!((got.code, got.message()), (400, "Malformed request url"));
    assert_eq!(
        api.get("admin", &format!("/v3/p/volumes/{id}")).await.code,
        200
    );
    assert_eq!(
        api.get("admin", "/v3/p/volumes").await.body["volumes"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(
        api.get("admin", "/v3/volumes").await.body["volumes"],
        json!([])
    );
    let all = api.get("admin", "/v3/volumes/detail?all_tenants=1").await;
    assert_eq!(all.body["volumes"][0]["os-vol-tenant-attr:tenant_id"], "p");
}

#[tokio::test]
async fn pages_follow_each_other() {
    let api = fixture(AuthMode::Token).await;
    for name in ["a", "b", "c", "d", "e"] {
        api.volume(1, name).await;
    }
    let mut path = "/v3/p/volumes/detail?limit=2&sort=name:asc&with_count=true".to_owned();
    let mut names = Vec::new();
    loop {
        let got = api.get("member", &path).await;
        assert_eq!(got.body["count"], 5);
        names.extend(
            got.body["volumes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|volume| volume["name"].clone()),
        );
        match got.body["volumes_links"][0]["href"].as_str() {
            Some(href) => path = href.strip_prefix("http://localhost").unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    let some = |query: &'static str| {
        let api = &api;
        async move {
            let got = api.get("member", &format!("/v3/volumes?{query}")).await;
            got.body["volumes"].as_array().map(Vec::len)
        }
    };
    assert_eq!(some("name=b").await, Some(1));
    assert_eq!(some("name~=b").await, Some(1));
    assert_eq!(some("status=available").await, Some(0));
    assert_eq!(some("group_id=x").await, Some(0));
    assert_eq!(some("bootable=false").await, Some(5));
    assert_eq!(some("created_at=gt:2020-01-01T00:00:00").await, Some(5));
    assert_eq!(some("created_at=lt:2020-01-01T00:00:00").await, Some(0));
    assert_eq!(some("metadata={'k':'v'}").await, Some(0));
    assert_eq!(some("limit=0").await, Some(0));
    assert_eq!(some("offset=4&sort=name").await, Some(1));
    let got = api
        .get("member", &format!("/v3/volumes?marker={}", Uuid::new_v4()))
        .await;
    assert_eq!(got.code, 404);
}

#[tokio::test]
async fn quotas_answer_413() {
    let api = fixture(AuthMode::Token).await;
    let create = |size: i64| {
        api.ask(
            "member",
            "POST",
            "/v3/p/volumes",
            json!({"volume": {"size": size}}),
        )
    };
    assert_eq!(create(51).await.code, 413);
    assert_eq!(create(50).await.code, 202);
    assert_eq!(create(50).await.code, 202);
    let got = create(1).await;
    assert_eq!(got.code, 413);
    assert!(
        got.message().starts_with("VolumeSizeExceedsAvailableQuota"),
        "{}",
        got.body
    );
    assert_eq!(got.headers["retry-after"], "0");
}

#[tokio::test]
async fn a_reservation_and_its_attachment() {
    let api = fixture(AuthMode::Token).await;
    let made = api.volume(1, "v").await;
    let id = made["id"].as_str().unwrap();
    for call in ["creating"] {
        assert_eq!(made["status"], call);
    }
    // The worker's part: its operation is over, the volume is there.
    let live = api.get("member", "/ashlar/v1/operations?live=true").await;
    let operation = live.body["operations"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut batch = Batch::new();
    let phase = crate::model::operation::Phase::Done;
    crate::store::operations::finish(&mut batch, operation.parse().unwrap(), phase, None);
    api.store.write(batch).await.unwrap();
    api.set_status(id, "available").await;
    assert_eq!(
        api.get("member", "/ashlar/v1/operations?live=true")
            .await
            .body["operations"],
        json!([])
    );

    let instance = Uuid::new_v4().to_string();
    let reserve =
        json!({"attachment": {"volume_uuid": id, "instance_uuid": instance, "mode": "ro"}});
    let got = api
        .ask("member", "POST", "/v3/p/attachments", reserve)
        .await;
    assert_eq!(got.code, 200, "{}", got.body);
    let attachment = &got.body["attachment"];
    assert_eq!(attachment["status"], "reserved");
    assert_eq!(
        (&attachment["attached_at"], &attachment["connection_info"]),
        (&json!(""), &json!({}))
    );
    assert_eq!(attachment["attach_mode"], "ro");
    let path = format!("/v3/p/attachments/{}", attachment["id"].as_str().unwrap());
    assert_eq!(
        api.get("member", &format!("/v3/p/volumes/{id}")).await.body["volume"]["status"],
        "reserved"
    );
    assert_eq!(
        api.get("member", "/v3/attachments?volume_id=none")
            .await
            .body["attachments"],
        json!([])
    );
    assert_eq!(
        api.get("member", "/v3/attachments/detail").await.body["attachments"][0]["instance"],
        instance
    );
    assert_eq!(
        api.get("other", &path.replace("/p/", "/q/")).await.code,
        404
    );

    // Never connected, so there is nothing to complete; and a volume that is held is not deleted.
    let complete = json!({"os-complete": attachment["id"]});
    assert_eq!(
        api.ask("member", "POST", &format!("{path}/action"), complete)
            .await
            .code,
        400
    );
    assert_eq!(
        api.ask(
            "member",
            "DELETE",
            &format!("/v3/p/volumes/{id}"),
            Value::Null
        )
        .await
        .code,
        400
    );
}

#[tokio::test]
async fn legacy_holds_accept_any_body() {
    let api = fixture(AuthMode::Token).await;
    let made = api.volume(1, "v").await;
    let id = made["id"].as_str().unwrap();
    let path = format!("/v3/p/volumes/{id}/action");
    let live = api.get("member", "/ashlar/v1/operations?live=true").await;
    let operation = live.body["operations"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let cancel = format!("/ashlar/v1/operations/{operation}/cancel");
    assert_eq!(
        api.ask("member", "POST", &cancel, Value::Null).await.code,
        202
    );
    assert_eq!(
        api.ask("other", "POST", &cancel, Value::Null).await.code,
        404
    );
    let mut batch = Batch::new();
    let phase = crate::model::operation::Phase::Done;
    crate::store::operations::finish(&mut batch, operation.parse().unwrap(), phase, None);
    api.store.write(batch).await.unwrap();
    api.set_status(id, "available").await;
    for said in [Value::Null, json!({}), json!("x"), json!([1])] {
        let got = api
            .ask("member", "POST", &path, json!({"os-reserve": said}))
            .await;
        assert_eq!(got.code, 202, "{}", got.body);
        let got = api
            .ask("member", "POST", &path, json!({"os-unreserve": said}))
            .await;
        assert_eq!(got.code, 202, "{}", got.body);
    }
    let got = api
        .ask("member", "POST", &path, json!({"os-shrink": {}}))
        .await;
    assert!(
        got.message()
            .starts_with("There is no such action: os-shrink."),
        "{}",
        got.body
    );
    let got = api
        .ask(
            "member",
            "POST",
            &path,
            json!({"os-extend": {"new_size": "1"}}),
        )
        .await;
    assert_eq!(got.code, 400);
}

#[tokio::test]
async fn types_and_their_specs() {
    let api = fixture(AuthMode::Token).await;
    let new = json!({"volume_type": {"name": "fast", "extra_specs": {"volume_backend_name": "b"}}});
    assert_eq!(
        api.ask("member", "POST", "/v3/types", new.clone())
            .await
            .code,
        403
    );
    let got = api.ask("admin", "POST", "/v3/types", new.clone()).await;
    assert_eq!(got.code, 200, "{}", got.body);
    let id = got.body["volume_type"]["id"].as_str().unwrap().to_owned();
    assert_eq!(api.ask("admin", "POST", "/v3/types", new).await.code, 409);
    let path = format!("/v3/types/{id}");
    assert_eq!(
        api.get("member", &path).await.body["volume_type"]["extra_specs"],
        json!({})
    );
    assert_eq!(
        api.get("member", "/v3/types/default").await.body["volume_type"]["name"],
        DEFAULT_TYPE_NAME
    );
    assert_eq!(
        api.get("member", "/v3/types").await.body["volume_types"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );

    let specs = format!("{path}/extra_specs");
    let got = api
        .ask(
            "admin",
            "POST",
            &specs,
            json!({"extra_specs": {"multiattach": "<is> True"}}),
        )
        .await;
    assert_eq!(got.code, 200, "{}", got.body);
    assert_eq!(
        api.get("member", &specs).await.body["extra_specs"],
        json!({"multiattach": "<is> True"})
    );
    let zones = json!({"extra_specs": {"RESKEY:availability_zones": "a"}});
    assert_eq!(api.ask("admin", "POST", &specs, zones).await.code, 400);
    let one = format!("{specs}/volume_backend_name");
    assert_eq!(
        api.ask("admin", "PUT", &one, json!({"volume_backend_name": "c"}))
            .await
            .code,
        200
    );
    assert_eq!(
        api.ask("admin", "PUT", &one, json!({"other": "c"}))
            .await
            .code,
        400
    );
    assert_eq!(
        api.get("admin", &one).await.body,
        json!({"volume_backend_name": "c"})
    );
    assert_eq!(api.get("member", &one).await.code, 404);
    assert_eq!(
        api.ask("admin", "DELETE", &one, Value::Null).await.code,
        202
    );
    assert_eq!(
        api.ask("admin", "DELETE", &one, Value::Null).await.code,
        404
    );

    // While a volume has it, a type keeps its specs and itself.
    let with_type = json!({"volume": {"size": 1, "volume_type": "fast"}});
    let got = api.ask("member", "POST", "/v3/p/volumes", with_type).await;
    assert_eq!(got.body["volume"]["multiattach"], true);
    let got = api
        .ask("admin", "POST", &specs, json!({"extra_specs": {"a": "b"}}))
        .await;
    assert_eq!(
        (got.code, got.message()),
        (400, "Volume Type is currently in use.")
    );
    let got = api.ask("admin", "DELETE", &path, Value::Null).await;
    assert_eq!(
        (got.code, got.message()),
        (400, "Target volume type is still in use.")
    );
    let got = api
        .ask(
            "admin",
            "PUT",
            &path,
            json!({"volume_type": {"name": "faster", "is_public": false}}),
        )
        .await;
    assert_eq!(got.body["volume_type"]["name"], "faster");
    assert_eq!(api.get("member", &path).await.code, 404);
}

#[tokio::test]
async fn tokens_are_shown_once_and_revoked() {
    let api = fixture(AuthMode::Token).await;
    let new = json!({"token": {"name": "ci", "project_id": "r", "role": "member"}});
    assert_eq!(
        api.ask("member", "POST", "/ashlar/v1/tokens", new.clone())
            .await
            .code,
        403
    );
    assert_eq!(api.get("member", "/ashlar/v1/tokens").await.code, 403);
    let got = api.ask("admin", "POST", "/ashlar/v1/tokens", new).await;
    let secret = got.body["token"]["secret"].as_str().unwrap().to_owned();
    let id = got.body["token"]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        api.get(&secret, "/ashlar/v1/whoami").await.body["project_id"],
        "r"
    );
    let listed = api.get("admin", "/ashlar/v1/tokens").await.body;
    assert!(!listed.to_string().contains(&secret));
    let path = format!("/ashlar/v1/tokens/{id}");
    assert_eq!(
        api.ask("admin", "DELETE", &path, Value::Null).await.code,
        204
    );
    assert_eq!(
        api.ask("admin", "DELETE", &path, Value::Null).await.code,
        404
    );
    assert_eq!(api.get(&secret, "/ashlar/v1/whoami").await.code, 401);
}

#[tokio::test]
async fn the_unix_socket_and_noauth() {
    let api = fixture(AuthMode::Token).await;
    let whoami = || {
        Request::builder()
            .uri("/ashlar/v1/whoami")
            .body(Body::empty())
            .unwrap()
    };
    let got = api.send_from(Peer::Unix { uid: 0 }, whoami()).await;
    assert_eq!(
        (&got.body["project_id"], &got.body["role"]),
        (&json!("admin"), &json!("admin"))
    );
    assert_eq!(
        api.send_from(Peer::Unix { uid: 4_000_000 }, whoami())
            .await
            .code,
        401
    );

    let open = fixture(AuthMode::None).await;
    assert_eq!(open.send(whoami()).await.body["role"], "admin");
    assert_eq!(
        open.get("u:p", "/ashlar/v1/whoami").await.body["project_id"],
        "p"
    );
    let far = Peer::Tcp(SocketAddr::from(([10, 0, 0, 1], 1)));
    assert_eq!(open.send_from(far, whoami()).await.code, 401);
    let rebound = Request::builder()
        .uri("/ashlar/v1/whoami")
        .header("host", "evil.example")
        .body(Body::empty());
    assert_eq!(open.send(rebound.unwrap()).await.code, 401);
}

#[tokio::test]
async fn the_table_lists_itself() {
    let api = fixture(AuthMode::Token).await;
    let got = api.get("member", "/ashlar/v1/routes").await;
    assert_eq!(
        got.body["routes"].as_array().map(Vec::len),
        Some(ROUTES.len())
    );
    let got = api
        .ask("member", "PATCH", "/v3/p/volumes", Value::Null)
        .await;
    assert_eq!(
        (got.code, got.body["badMethod"]["code"].as_u64()),
        (405, Some(405))
    );
    let got = api
        .get("member", "/v3/resource_filters?resource=volume")
        .await;
    assert_eq!(got.body["resource_filters"][0]["resource"], "volume");
}
