//! Volume types and their extra specs.

use super::fixture::fixture;
use crate::api::auth::AuthMode;
use crate::model::volume_type::DEFAULT_TYPE_NAME;
use serde_json::{Value, json};

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
}

#[tokio::test]
async fn a_type_that_a_volume_has_keeps_its_specs_and_itself() {
    let api = fixture(AuthMode::Token).await;
    let new = json!({"volume_type": {"name": "fast", "extra_specs": {"multiattach": "<is> True"}}});
    let got = api.ask("admin", "POST", "/v3/types", new).await;
    let id = got.body["volume_type"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v3/types/{id}");
    let specs = format!("{path}/extra_specs");
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
