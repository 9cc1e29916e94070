//! Quality of service specs over the wire.

use super::fixture::{Fixture, fixture};
use crate::api::auth::AuthMode;
use serde_json::{Value, json};
use uuid::Uuid;

async fn make(api: &Fixture, name: &str) -> String {
    let body = json!({"qos_specs": {"name": name, "consumer": "front-end", "total_iops_sec": "5"}});
    let got = api.ask("admin", "POST", "/v3/qos-specs", body).await;
    assert_eq!(got.code, 200, "{}", got.body);
    assert_eq!(got.body["links"][0]["rel"], "self");
    got.body["qos_specs"]["id"].as_str().unwrap().to_owned()
}

async fn default_type(api: &Fixture) -> Value {
    let got = api.get("admin", "/v3/types/default").await;
    got.body["volume_type"].clone()
}

#[tokio::test]
async fn specs_are_made_changed_and_deleted() {
    let api = fixture(AuthMode::Token).await;
    let id = make(&api, "gold").await;
    let path = format!("/v3/qos-specs/{id}");
    let again = json!({"qos_specs": {"name": "gold"}});
    assert_eq!(
        api.ask("admin", "POST", "/v3/qos-specs", again).await.code,
        409
    );
    let more = json!({"qos_specs": {"consumer": "both", "read_bytes_sec": "9"}});
    let got = api.ask("admin", "PUT", &path, more.clone()).await;
    assert_eq!((got.code, got.body), (200, more));
    let unsaid = json!({"qos_specs": {"consumer": null, "read_bytes_sec": "9"}});
    let got = api.ask("admin", "PUT", &path, unsaid).await;
    let answer = json!({"qos_specs": {"read_bytes_sec": "9"}});
    assert_eq!((got.code, got.body), (200, answer));
    let bad = json!({"qos_specs": {"total_iops_sec_per_gb": "many"}});
    assert_eq!(api.ask("admin", "PUT", &path, bad).await.code, 400);
    assert_eq!(
        api.get("admin", &path).await.body["qos_specs"],
        json!({"id": id, "name": "gold", "consumer": "both",
            "specs": {"total_iops_sec": "5", "read_bytes_sec": "9"}})
    );
    let keys = format!("{path}/delete_keys");
    let delete = async |names: Value| {
        let body = json!({ "keys": names });
        api.ask("admin", "PUT", &keys, body).await.code
    };
    // All or nothing.
    assert_eq!(delete(json!(["read_bytes_sec", "colour"])).await, 404);
    assert_eq!(delete(json!(["read_bytes_sec"])).await, 202);
    assert_eq!(delete(json!("read_bytes_sec")).await, 400);
    assert_eq!(
        api.get("admin", &path).await.body["qos_specs"]["specs"],
        json!({"total_iops_sec": "5"})
    );
    let gone = async || api.ask("admin", "DELETE", &path, Value::Null).await.code;
    assert_eq!(gone().await, 202);
    assert_eq!(gone().await, 404);
    assert_eq!(api.get("admin", &path).await.code, 404);
}

#[tokio::test]
async fn specs_are_listed_in_pages() {
    let api = fixture(AuthMode::Token).await;
    for name in ["a", "b", "c"] {
        make(&api, name).await;
    }
    let got = api
        .get("admin", "/v3/qos-specs?sort=name:asc&limit=2")
        .await;
    let names = |body: &Value| {
        let all = body["qos_specs"].as_array().unwrap();
        all.iter()
            .map(|one| one["name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&got.body), ["a", "b"]);
    let next = got.body["qos_specs_links"][0]["href"].as_str().unwrap();
    let next = &next[next.find("/v3/").unwrap()..];
    assert_eq!(names(&api.get("admin", next).await.body), ["c"]);
    let one = api.get("admin", "/v3/qos-specs?name=b&colour=red").await;
    assert_eq!(names(&one.body), ["b"]);
}

#[tokio::test]
async fn a_type_has_one_set_of_specs() {
    let api = fixture(AuthMode::Token).await;
    let (id, other) = (make(&api, "gold").await, make(&api, "silver").await);
    let volume_type = default_type(&api).await;
    assert_eq!(volume_type["qos_specs_id"], Value::Null);
    let type_id = volume_type["id"].as_str().unwrap();
    let at = async |id: &str, doing: &str| {
        api.get("admin", &format!("/v3/qos-specs/{id}/{doing}"))
            .await
    };
    let with = format!("associate?vol_type_id={type_id}");
    let without = format!("disassociate?vol_type_id={type_id}");
    assert_eq!(at(&id, "associate").await.code, 400);
    let unknown = format!("associate?vol_type_id={}", Uuid::new_v4());
    assert_eq!(at(&id, &unknown).await.code, 404);
    assert_eq!(at(&Uuid::new_v4().to_string(), &with).await.code, 404);
    for _ in 0..2 {
        assert_eq!(at(&id, &with).await.code, 202);
    }
    assert_eq!(at(&other, &with).await.code, 400);
    assert_eq!(default_type(&api).await["qos_specs_id"], id);
    assert_eq!(
        at(&id, "associations").await.body["qos_associations"],
        json!([{"association_type": "volume_type", "name": volume_type["name"], "id": type_id}])
    );
    let path = format!("/v3/qos-specs/{id}");
    let got = api.ask("admin", "DELETE", &path, Value::Null).await;
    assert_eq!((got.code, got.message()), (400, "Qos specs still in use."));
    assert_eq!(at(&other, &without).await.code, 202);
    assert_eq!(default_type(&api).await["qos_specs_id"], id);
    assert_eq!(at(&id, &without).await.code, 202);
    assert_eq!(default_type(&api).await["qos_specs_id"], Value::Null);

    at(&id, &with).await;
    assert_eq!(at(&id, "disassociate_all").await.code, 202);
    assert_eq!(default_type(&api).await["qos_specs_id"], Value::Null);
    at(&id, &with).await;
    let forced = async |word: &str| {
        let path = format!("{path}?force={word}");
        api.ask("admin", "DELETE", &path, Value::Null).await.code
    };
    assert_eq!(forced("perhaps").await, 400);
    assert_eq!(forced("true").await, 202);
    assert_eq!(default_type(&api).await["qos_specs_id"], Value::Null);
}

#[tokio::test]
async fn specs_are_the_administrators() {
    let api = fixture(AuthMode::Token).await;
    let id = make(&api, "gold").await;
    let type_id = default_type(&api).await["id"].as_str().unwrap().to_owned();
    for path in [
        "/v3/qos-specs".to_owned(),
        format!("/v3/qos-specs/{id}"),
        format!("/v3/qos-specs/{id}/associations"),
        format!("/v3/qos-specs/{id}/associate?vol_type_id={type_id}"),
        format!("/v3/qos-specs/{id}/disassociate?vol_type_id={type_id}"),
        format!("/v3/qos-specs/{id}/disassociate_all"),
    ] {
        assert_eq!(api.get("member", &path).await.code, 403, "{path}");
    }
    let body = json!({"qos_specs": {"name": "n"}});
    assert_eq!(
        api.ask("member", "POST", "/v3/qos-specs", body).await.code,
        403
    );
    assert!(
        api.get("member", "/v3/types/default").await.body["volume_type"]
            .get("qos_specs_id")
            .is_none()
    );
}
