//! Managing and retyping over the wire: codes, versions, rights and words. No worker runs here: what is accepted waits.

use super::fixture::{Fixture, fixture};
use crate::api::auth::AuthMode;
use crate::model::pool::PoolReport;
use crate::store::{Batch, pools};
use axum::http::Request;
use serde_json::{Value, json};

async fn with_pool() -> Fixture {
    let api = fixture(AuthMode::Token).await;
    let report = PoolReport {
        pool: "p".to_owned(),
        total_bytes: 1 << 40,
        free_bytes: 1 << 40,
        reserved_percentage: 0,
        max_over_subscription_ratio: 20.0,
        thin_provisioning_support: true,
        thick_provisioning_support: true,
        online_extend_support: true,
        multiattach: true,
        capabilities: Default::default(),
    };
    let mut batch = Batch::new();
    batch.add(
        pools::REPORT,
        pools::report_values("h@b#p", "zone", &report),
    );
    api.store.write(batch).await.unwrap();
    api
}

fn volume(host: &str, name: &str) -> Value {
    json!({"volume": {"host": host, "ref": {"source-name": name}, "name": "n", "bootable": true}})
}

const ROUTES: [&str; 2] = ["/v3/ops/manageable_volumes", "/v3/ops/os-volume-manage"];

#[tokio::test]
async fn a_volume_to_be_taken_over_is_shown_as_creating() {
    let api = with_pool().await;
    for path in ROUTES {
        let got = api
            .ask("admin", "POST", path, volume("h@b#p", "disk"))
            .await;
        assert_eq!(got.code, 202, "{}", got.body);
        let shown = &got.body["volume"];
        for (key, wanted) in [
            ("status", json!("creating")),
            ("size", json!(0)),
            ("name", json!("n")),
            ("bootable", json!("true")),
            ("availability_zone", json!("zone")),
            ("os-vol-host-attr:host", json!("h@b#p")),
        ] {
            assert_eq!(shown[key], wanted, "{key}");
        }
    }
    // The pool may be left out where the backend has but one.
    let got = api
        .ask("admin", "POST", ROUTES[0], volume("h@b", "disk"))
        .await;
    assert_eq!(got.code, 202);
}

#[tokio::test]
async fn who_may_and_what_is_refused() {
    let api = with_pool().await;
    for (token, path) in [
        ("member", "/v3/p/manageable_volumes"),
        ("member", "/v3/p/os-volume-manage"),
        ("reader", "/v3/p/manageable_volumes"),
    ] {
        let got = api.ask(token, "POST", path, volume("h@b#p", "disk")).await;
        assert_eq!(got.code, 403, "{token} {path}");
    }
    for path in [
        "/v3/p/manageable_volumes?host=h@b",
        "/v3/p/manageable_snapshots/detail?host=h@b",
    ] {
        assert_eq!(api.get("member", path).await.code, 403, "{path}");
    }
    for (body, code) in [
        (volume("h@b#x", "disk"), 400),
        (volume("h@b#p", "../disk"), 400),
        (json!({"volume": {"host": "h@b#p"}}), 400),
        (json!({"volume": {"ref": {"source-name": "x"}}}), 400),
        (
            json!({"volume": {"cluster": "c", "ref": {"source-name": "x"}}}),
            404,
        ),
        (
            json!({"volume": {"host": "h@b#p", "ref": {"source-name": "x"}, "volume_type": "no"}}),
            400,
        ),
        (json!({}), 400),
    ] {
        let got = api.ask("admin", "POST", ROUTES[0], body.clone()).await;
        assert_eq!(got.code, code, "{body}: {}", got.body);
    }
    for (path, code) in [
        ("/v3/ops/manageable_volumes", 400),
        ("/v3/ops/manageable_volumes?host=nowhere", 404),
        ("/v3/ops/manageable_volumes?cluster=c", 404),
        ("/v3/ops/manageable_volumes?host=h@b&sort=name", 400),
        ("/v3/ops/manageable_snapshots?host=h@b&limit=x", 400),
    ] {
        assert_eq!(api.get("admin", path).await.code, code, "{path}");
    }
}

#[tokio::test]
async fn the_newer_routes_begin_with_3_8() {
    let api = with_pool().await;
    let at = |minor: u16, method: &str, path: &str| {
        let builder = Request::builder().method(method).uri(path);
        let builder = builder
            .header("x-auth-token", "admin")
            .header("openstack-api-version", format!("volume 3.{minor}"))
            .header("content-type", "application/json");
        let body = match method {
            "POST" => volume("h@b#p", "disk").to_string(),
            _ => String::new(),
        };
        builder.body(body.into()).unwrap()
    };
    for (minor, method, path, code) in [
        (7, "POST", "/v3/ops/manageable_volumes", 404),
        (8, "POST", "/v3/ops/manageable_volumes", 202),
        (0, "POST", "/v3/ops/os-volume-manage", 202),
        (7, "GET", "/v3/ops/os-volume-manage?host=x", 404),
        (7, "GET", "/v3/ops/manageable_snapshots?host=x", 404),
        (7, "POST", "/v3/ops/manageable_snapshots", 404),
    ] {
        let got = api.send(at(minor, method, path)).await;
        assert_eq!(got.code, code, "3.{minor} {method} {path}");
    }
}

#[tokio::test]
async fn a_snapshot_needs_its_volume() {
    let api = with_pool().await;
    let id = api.volume(1, "v").await["id"].as_str().unwrap().to_owned();
    let ask = |body: Value| {
        let api = &api;
        async move {
            let path = "/v3/ops/manageable_snapshots";
            api.ask("admin", "POST", path, body).await
        }
    };
    let wanted =
        |id: &str| json!({"snapshot": {"volume_id": id, "ref": {"source-name": "s"}, "name": "n"}});
    // It is still being made.
    assert_eq!(ask(wanted(&id)).await.code, 400);
    api.set_status(&id, "available").await;
    let path = "/v3/p/os-snapshot-manage";
    assert_eq!(api.ask("member", "POST", path, wanted(&id)).await.code, 403);
    let absent = "0b5d4c5e-0000-4000-8000-000000000001";
    assert_eq!(ask(wanted(absent)).await.code, 404);
    assert_eq!(ask(json!({"snapshot": {"volume_id": id}})).await.code, 400);
}

#[tokio::test]
async fn unmanage_is_the_administrators_and_only_at_rest() {
    let api = with_pool().await;
    let id = api.volume(1, "v").await["id"].as_str().unwrap().to_owned();
    let act = |token: &'static str, project: &'static str| {
        let (api, id) = (&api, id.clone());
        async move {
            let path = format!("/v3/{project}/volumes/{id}/action");
            let got = api
                .ask(token, "POST", &path, json!({"os-unmanage": null}))
                .await;
            (got.code, got.message().to_owned())
        }
    };
    assert_eq!(act("member", "p").await.0, 403);
    let (code, why) = act("admin", "ops").await;
    assert_eq!(code, 400, "{why}");
    // Held by its create, which nobody carries out here: told as such.
    api.set_status(&id, "available").await;
    assert_eq!(act("admin", "ops").await.0, 409);
    let path = "/v3/ops/snapshots/0b5d4c5e-0000-4000-8000-000000000001/action";
    let got = api
        .ask("admin", "POST", path, json!({"os-unmanage": {}}))
        .await;
    assert_eq!(got.code, 404);
    let got = api.ask("admin", "POST", path, json!({"os-none": {}})).await;
    assert_eq!(got.code, 400);
}

#[tokio::test]
async fn a_retype_is_read_strictly() {
    let api = with_pool().await;
    let types = "/v3/ops/types";
    let body = json!({"volume_type": {"name": "fast"}});
    assert_eq!(api.ask("admin", "POST", types, body).await.code, 200);
    let id = api.volume(1, "v").await["id"].as_str().unwrap().to_owned();
    let retype = |said: Value| {
        let (api, path) = (&api, format!("/v3/p/volumes/{id}/action"));
        async move {
            let got = api
                .ask("member", "POST", &path, json!({"os-retype": said}))
                .await;
            (got.code, got.message().to_owned())
        }
    };
    for (said, code) in [
        (json!({"new_type": "fast"}), 400), // creating
        (json!({"new_type": "none"}), 404),
        (json!({"new_type": "__DEFAULT__"}), 400),
        (json!({}), 400),
        (json!({"new_type": ""}), 400),
        (
            json!({"new_type": "fast", "migration_policy": "maybe"}),
            400,
        ),
        (json!({"new_type": "fast", "colour": 1}), 400),
        (json!(null), 400),
    ] {
        let (got, why) = retype(said.clone()).await;
        assert_eq!(got, code, "{said}: {why}");
    }
    let path = format!("/v3/p/volumes/{id}/action");
    let body = json!({"os-retype": {"new_type": "fast"}});
    assert_eq!(
        api.ask("reader", "POST", &path, body.clone()).await.code,
        403
    );
    let other = format!("/v3/q/volumes/{id}/action");
    assert_eq!(api.ask("other", "POST", &other, body).await.code, 404);
}
