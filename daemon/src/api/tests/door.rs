//! What holds for every route.

use super::fixture::{LATEST, fixture};
use crate::api::auth::{AuthMode, Peer};
use crate::api::error::Body;
use crate::api::routes::ROUTES;
use axum::http::Request;
use serde_json::{Value, json};
use std::net::SocketAddr;
use uuid::Uuid;

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
        // The one list that must be told whose.
        let path = match route.path {
            "/ashlar/v1/journal" => format!("{path}?object_id={}", Uuid::new_v4()),
            _ => path,
        };
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
        b"{\"quota_set\": {\"volumes_\\u0000\": 1, \"gigabytes\": 1e99}}".to_vec(),
        b"{\"quota_class_set\": {\"volumes\": -9}}".to_vec(),
        b"{\"qos_specs\": {\"name\": \"\\u0000\", \"\\u0000\": \"\"}}".to_vec(),
        b"{\"keys\": [\"\\u0000\"]}".to_vec(),
        b"{\"encryption\": {\"provider\": \"\\u0000\", \"control_location\": \"front-end\"}}"
            .to_vec(),
        b"{\"default_type\": {\"volume_type\": \"\\u0000\"}}".to_vec(),
        b"{\"addProjectAccess\": {\"project\": \"\\u0000\"}}".to_vec(),
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
                // There is no target here, and who asks for its sessions is told so.
                let has_no_target = got.code == 503 && path.contains("/sessions");
                assert!(
                    got.code < 500 || has_no_target,
                    "{} {path}: {}",
                    route.method,
                    got.body
                );
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
    assert_eq!(at("volume 3.27", "/v3/p/groups").await.code, 404);
    let got = at("volume 3.27", "/v3/p/groups/detail").await;
    assert_eq!(
        (got.code, got.body["itemNotFound"]["code"].as_u64()),
        (404, Some(404))
    );
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
