//! Quotas of projects, classes and volume types, and what `/limits` tells of them.

use super::fixture::{Fixture, Got, fixture};
use crate::api::auth::AuthMode;
use axum::http::Request;
use serde_json::{Value, json};

const MINE: &str = "/v3/os-quota-sets/p";
const CLASS: &str = "/v3/os-quota-class-sets/default";

async fn set(api: &Fixture, limits: Value) -> Got {
    api.ask("admin", "PUT", MINE, json!({ "quota_set": limits }))
        .await
}

async fn make(api: &Fixture, size: i64) -> Got {
    let body = json!({"volume": {"size": size}});
    api.ask("member", "POST", "/v3/volumes", body).await
}

async fn in_use(api: &Fixture, resource: &str) -> i64 {
    let got = api.get("member", &format!("{MINE}?usage=true")).await;
    got.body["quota_set"][resource]["in_use"].as_i64().unwrap()
}

#[tokio::test]
async fn a_set_names_every_resource_and_every_type() {
    let api = fixture(AuthMode::Token).await;
    let got = api.get("member", MINE).await;
    let wanted = json!({
        "id": "p", "volumes": 5, "snapshots": 5, "gigabytes": 100, "per_volume_gigabytes": 50,
        "backups": 10, "backup_gigabytes": 1000, "groups": 10,
        "volumes___DEFAULT__": -1, "snapshots___DEFAULT__": -1, "gigabytes___DEFAULT__": -1,
    });
    assert_eq!(got.body["quota_set"], wanted);
    let defaults = api.get("member", &format!("{MINE}/defaults")).await;
    assert_eq!(defaults.body["quota_set"], wanted);
    api.volume(3, "v").await;
    let used = api.get("member", &format!("{MINE}?usage=true")).await;
    for (resource, limit, amount) in [
        ("volumes", 5, 1),
        ("gigabytes", 100, 3),
        ("volumes___DEFAULT__", -1, 1),
        ("gigabytes___DEFAULT__", -1, 3),
        ("per_volume_gigabytes", 50, 0),
    ] {
        assert_eq!(
            used.body["quota_set"][resource],
            json!({"limit": limit, "in_use": amount, "reserved": 0}),
            "{resource}"
        );
    }
}

#[tokio::test]
async fn a_projects_limits_hold_until_they_are_forgotten() {
    let api = fixture(AuthMode::Token).await;
    let got = set(
        &api,
        json!({"volumes": 1, "gigabytes": "7", "tenant_id": "p"}),
    )
    .await;
    assert_eq!(
        (got.code, &got.body["quota_set"]["gigabytes"]),
        (200, &json!(7))
    );
    assert!(got.body["quota_set"].get("id").is_none());
    assert_eq!(make(&api, 8).await.code, 413);
    assert_eq!(make(&api, 7).await.code, 202);
    let over = make(&api, 1).await;
    assert_eq!(over.code, 413);
    assert!(over.message().contains("allowed (1)"), "{}", over.message());
    // Others have the configuration's.
    let other = api.get("other", "/v3/os-quota-sets/q").await;
    assert_eq!(other.body["quota_set"]["volumes"], 5);
    let below = set(&api, json!({"volumes": 3, "gigabytes": 6})).await;
    assert_eq!(below.code, 400);
    assert!(
        below.message().contains("Current usage is 7"),
        "{}",
        below.message()
    );
    // All of them or none.
    assert_eq!(
        api.get("member", MINE).await.body["quota_set"]["volumes"],
        1
    );
    assert_eq!(set(&api, json!({"gigabytes": -1})).await.code, 200);
    assert_eq!(
        api.ask("admin", "DELETE", MINE, Value::Null).await.code,
        200
    );
    let got = api.get("member", MINE).await;
    assert_eq!(got.body["quota_set"]["volumes"], 5);
    assert_eq!(in_use(&api, "gigabytes").await, 7);
}

#[tokio::test]
async fn more_than_the_default_may_be_given_to_one() {
    let api = fixture(AuthMode::Token).await;
    assert_eq!(make(&api, 51).await.code, 413);
    let limits = json!({"gigabytes": 1000, "per_volume_gigabytes": -1});
    assert_eq!(set(&api, limits).await.code, 200);
    // The first row of a counter, already beyond the configuration's limit.
    assert_eq!(make(&api, 200).await.code, 202);
    assert_eq!(
        set(&api, json!({"per_volume_gigabytes": 10})).await.code,
        200
    );
    let over = make(&api, 11).await;
    assert!(
        over.message().contains("maximum allowed limit 10G"),
        "{}",
        over.message()
    );
}

#[tokio::test]
async fn a_volume_type_has_limits_too() {
    let api = fixture(AuthMode::Token).await;
    let new = json!({"volume_type": {"name": "fast"}});
    let got = api.ask("admin", "POST", "/v3/types", new).await;
    let type_path = format!(
        "/v3/types/{}",
        got.body["volume_type"]["id"].as_str().unwrap()
    );
    assert_eq!(set(&api, json!({"volumes_fast": 1})).await.code, 200);
    let fast = async || {
        let body = json!({"volume": {"size": 2, "volume_type": "fast"}});
        api.ask("member", "POST", "/v3/volumes", body).await
    };
    let made = fast().await;
    assert_eq!(made.code, 202);
    let over = fast().await;
    assert_eq!(over.code, 413);
    assert!(
        over.message().contains("'volumes_fast'"),
        "{}",
        over.message()
    );
    assert_eq!(make(&api, 1).await.code, 202);
    assert_eq!(in_use(&api, "volumes").await, 2);
    assert_eq!(in_use(&api, "gigabytes_fast").await, 2);
    // A new name is the same type.
    let renamed = json!({"volume_type": {"name": "faster"}});
    api.ask("admin", "PUT", &type_path, renamed).await;
    assert_eq!(in_use(&api, "gigabytes_faster").await, 2);
    assert_eq!(set(&api, json!({"volumes_fast": 1})).await.code, 400);
    assert_eq!(set(&api, json!({"gigabytes_faster": 1})).await.code, 400);
    assert_eq!(set(&api, json!({"gigabytes_faster": 2})).await.code, 200);

    let volume = made.body["volume"]["id"].as_str().unwrap();
    api.set_status(volume, "available").await;
    let grow = json!({"os-extend": {"new_size": 3}});
    let path = format!("/v3/volumes/{volume}/action");
    let over = api.ask("member", "POST", &path, grow).await;
    assert_eq!(over.code, 413);
    assert!(
        over.message().contains("gigabytes_faster quota"),
        "{}",
        over.message()
    );
    assert_eq!(in_use(&api, "gigabytes").await, 3);
}

#[tokio::test]
async fn the_default_class_is_everybodys_default() {
    let api = fixture(AuthMode::Token).await;
    let put = async |class: &str, limits: Value| {
        let path = format!("/v3/os-quota-class-sets/{class}");
        let body = json!({ "quota_class_set": limits });
        api.ask("admin", "PUT", &path, body).await
    };
    let got = put("default", json!({"volumes": 1, "gigabytes___DEFAULT__": 4})).await;
    assert_eq!(
        (got.code, &got.body["quota_class_set"]["volumes"]),
        (200, &json!(1))
    );
    assert_eq!(put("gold", json!({"volumes": 9})).await.code, 200);
    assert_eq!(put("default", json!({"colours": 9})).await.code, 400);
    assert_eq!(
        api.get("admin", CLASS).await.body["quota_class_set"]["id"],
        "default"
    );
    assert_eq!(api.get("member", CLASS).await.code, 403);
    let gold = api.get("admin", "/v3/os-quota-class-sets/gold").await;
    let shown = &gold.body["quota_class_set"];
    assert_eq!(
        (&shown["volumes"], &shown["gigabytes___DEFAULT__"]),
        (&json!(9), &json!(4))
    );
    let defaults = api.get("member", &format!("{MINE}/defaults")).await;
    assert_eq!(defaults.body["quota_set"]["volumes"], 1);

    assert_eq!(make(&api, 5).await.code, 413);
    assert_eq!(make(&api, 1).await.code, 202);
    assert_eq!(make(&api, 1).await.code, 413);
    // What the project itself has comes first.
    set(&api, json!({"volumes": 2})).await;
    assert_eq!(make(&api, 1).await.code, 202);
    assert_eq!(make(&api, 1).await.code, 413);
}

#[tokio::test]
async fn quotas_are_read_by_their_project_and_set_by_administrators() {
    let api = fixture(AuthMode::Token).await;
    assert_eq!(api.get("other", MINE).await.code, 403);
    assert_eq!(
        api.get("other", &format!("{MINE}/defaults")).await.code,
        403
    );
    assert_eq!(api.get("admin", MINE).await.code, 200);
    assert_eq!(api.get("admin", "/v3/os-quota-sets/a%2Fb").await.code, 404);
    let body = json!({"quota_set": {"volumes": 1}});
    assert_eq!(api.ask("member", "PUT", MINE, body).await.code, 403);
    assert_eq!(
        api.ask("member", "DELETE", MINE, Value::Null).await.code,
        403
    );
    let body = json!({"quota_class_set": {"volumes": 1}});
    assert_eq!(api.ask("member", "PUT", CLASS, body).await.code, 403);
    for bad in [
        json!({}),
        json!({"volumes": -2}),
        json!({"colours": 1}),
        json!([]),
    ] {
        assert_eq!(set(&api, bad.clone()).await.code, 400, "{bad}");
    }
}

#[tokio::test]
async fn limits_are_of_the_project_or_of_one_that_an_administrator_names() {
    let api = fixture(AuthMode::Token).await;
    api.volume(3, "v").await;
    let got = api.get("member", "/v3/limits").await;
    assert_eq!(
        got.body,
        json!({"limits": {"rate": [], "absolute": {
            "maxTotalVolumes": 5, "maxTotalVolumeGigabytes": 100, "maxTotalSnapshots": 5,
            "maxTotalBackups": 10, "maxTotalBackupGigabytes": 1000,
            "totalVolumesUsed": 1, "totalGigabytesUsed": 3, "totalSnapshotsUsed": 0,
            "totalBackupsUsed": 0, "totalBackupGigabytesUsed": 0,
        }}})
    );
    let used = |got: &Got| got.body["limits"]["absolute"]["totalVolumesUsed"].clone();
    let named = "/v3/limits?project_id=p";
    assert_eq!(used(&api.get("admin", named).await), 1);
    assert_eq!(used(&api.get("other", named).await), 0);
    let older = Request::get(named)
        .header("x-auth-token", "admin")
        .header("openstack-api-version", "volume 3.38")
        .body(crate::api::error::Body::empty());
    assert_eq!(used(&api.send(older.unwrap()).await), 0);
}
