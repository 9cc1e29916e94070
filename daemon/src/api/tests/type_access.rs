//! Private volume types, default types of projects, and encryption as a record.

use super::fixture::{Fixture, Got, fixture};
use crate::api::auth::AuthMode;
use crate::model::volume_type::DEFAULT_TYPE_NAME;
use serde_json::{Value, json};

async fn make_type(api: &Fixture, name: &str, is_public: bool) -> String {
    let body = json!({"volume_type": {"name": name, "os-volume-type-access:is_public": is_public}});
    let got = api.ask("admin", "POST", "/v3/types", body).await;
    assert_eq!(got.code, 200, "{}", got.body);
    got.body["volume_type"]["id"].as_str().unwrap().to_owned()
}

async fn act(api: &Fixture, who: &str, id: &str, name: &str, project: &str) -> Got {
    let body = json!({ name: { "project": project } });
    let path = format!("/v3/types/{id}/action");
    api.ask(who, "POST", &path, body).await
}

async fn names(api: &Fixture, who: &str, query: &str) -> Vec<String> {
    let got = api
        .get(who, &format!("/v3/types?sort=name:asc&{query}"))
        .await;
    assert_eq!(got.code, 200, "{}", got.body);
    let types = got.body["volume_types"].as_array().unwrap();
    types
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn make_volume(api: &Fixture, who: &str, said: Value) -> Got {
    let body = json!({ "volume": said });
    api.ask(who, "POST", "/v3/volumes", body).await
}

#[tokio::test]
async fn a_private_type_is_there_for_those_with_access() {
    let api = fixture(AuthMode::Token).await;
    let id = make_type(&api, "secret", false).await;
    let path = format!("/v3/types/{id}");
    let with = || json!({"size": 1, "volume_type": "secret"});
    assert_eq!(names(&api, "member", "").await, [DEFAULT_TYPE_NAME]);
    assert_eq!(api.get("member", &path).await.code, 404);
    assert_eq!(make_volume(&api, "member", with()).await.code, 404);
    let by_id = json!({"size": 1, "volume_type": id});
    assert_eq!(make_volume(&api, "member", by_id).await.code, 404);
    // An administrator's list shows it when private ones, or all, are asked for.
    assert_eq!(names(&api, "admin", "").await, [DEFAULT_TYPE_NAME]);
    assert_eq!(names(&api, "admin", "is_public=False").await, ["secret"]);
    assert_eq!(
        names(&api, "admin", "is_public=None").await,
        [DEFAULT_TYPE_NAME, "secret"]
    );

    assert_eq!(
        act(&api, "admin", &id, "addProjectAccess", "p").await.code,
        202
    );
    let list = format!("{path}/os-volume-type-access");
    assert_eq!(
        api.get("admin", &list).await.body,
        json!({"volume_type_access": [{"volume_type_id": id, "project_id": "p"}]})
    );
    assert_eq!(
        names(&api, "member", "").await,
        [DEFAULT_TYPE_NAME, "secret"]
    );
    assert_eq!(names(&api, "other", "").await, [DEFAULT_TYPE_NAME]);
    assert_eq!(api.get("member", &path).await.code, 200);
    assert_eq!(api.get("other", &path).await.code, 404);
    // What a caller may not see is no marker either.
    let after = format!("/v3/types?marker={id}");
    assert_eq!(api.get("member", &after).await.code, 200);
    assert_eq!(api.get("other", &after).await.code, 404);
    let made = make_volume(&api, "member", with()).await;
    assert_eq!(made.code, 202, "{}", made.body);

    let gone = act(&api, "admin", &id, "removeProjectAccess", "p").await;
    assert_eq!(gone.code, 202);
    assert_eq!(make_volume(&api, "member", with()).await.code, 404);
    // What there is of the type stays as it is.
    let volume = made.body["volume"]["id"].as_str().unwrap();
    let shown = api.get("member", &format!("/v3/volumes/{volume}")).await;
    assert_eq!(shown.body["volume"]["volume_type"], "secret");
}

#[tokio::test]
async fn access_is_the_administrators_and_of_private_types_only() {
    let api = fixture(AuthMode::Token).await;
    let private = make_type(&api, "private", false).await;
    let public = make_type(&api, "public", true).await;
    let add = async |who, id: &str, project: &str| {
        act(&api, who, id, "addProjectAccess", project).await.code
    };
    assert_eq!(add("member", &private, "p").await, 403);
    assert_eq!(add("admin", &private, "p").await, 202);
    assert_eq!(add("admin", &private, "p").await, 409);
    assert_eq!(add("admin", &public, "p").await, 400);
    assert_eq!(add("admin", &private, "a/b").await, 400);
    let unknown = uuid::Uuid::new_v4().to_string();
    assert_eq!(add("admin", &unknown, "p").await, 404);
    let remove = async |id: &str, project: &str| {
        act(&api, "admin", id, "removeProjectAccess", project)
            .await
            .code
    };
    assert_eq!(remove(&private, "q").await, 404);
    assert_eq!(remove(&public, "p").await, 400);
    assert_eq!(act(&api, "admin", &private, "grant", "p").await.code, 400);
    let list = |id: &str| format!("/v3/types/{id}/os-volume-type-access");
    assert_eq!(api.get("member", &list(&private)).await.code, 403);
    assert_eq!(api.get("admin", &list(&public)).await.code, 404);
    // It goes with its type.
    let path = format!("/v3/types/{private}");
    assert_eq!(
        api.ask("admin", "DELETE", &path, Value::Null).await.code,
        202
    );
}

#[tokio::test]
async fn types_come_in_pages() {
    let api = fixture(AuthMode::Token).await;
    for name in ["a", "b", "c"] {
        make_type(&api, name, true).await;
    }
    let got = api.get("member", "/v3/types?sort=name:asc&limit=2").await;
    let next = got.body["volume_type_links"][0]["href"].as_str().unwrap();
    let next = next.split_once("//").unwrap().1;
    let next = &next[next.find('/').unwrap()..];
    let rest = api.get("member", next).await;
    let names: Vec<&str> = [&got, &rest]
        .iter()
        .flat_map(|page| page.body["volume_types"].as_array().unwrap())
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, [DEFAULT_TYPE_NAME, "a", "b", "c"]);
}

#[tokio::test]
async fn a_project_has_its_own_default_type() {
    let api = fixture(AuthMode::Token).await;
    let id = make_type(&api, "fast", true).await;
    let (path, body) = (
        "/v3/default-types/p",
        json!({"default_type": {"volume_type": "fast"}}),
    );
    let put = async |who, body: Value| api.ask(who, "PUT", path, body).await;
    assert_eq!(put("member", body.clone()).await.code, 403);
    let unknown = json!({"default_type": {"volume_type": "slow"}});
    assert_eq!(put("admin", unknown).await.code, 400);
    assert_eq!(put("admin", json!({"default_type": {}})).await.code, 400);
    assert_eq!(api.get("admin", path).await.code, 404);
    let wanted = json!({"default_type": {"project_id": "p", "volume_type_id": id}});
    assert_eq!(put("admin", body.clone()).await.body, wanted);
    assert_eq!(put("admin", body).await.body, wanted);
    assert_eq!(api.get("admin", path).await.body, wanted);
    for all in ["/v3/default-types", "/v3/default-types/"] {
        let got = api.get("admin", all).await;
        assert_eq!(got.body["default_types"], json!([wanted["default_type"]]));
        assert_eq!(api.get("member", all).await.code, 403);
    }

    let default = |who| api.get(who, "/v3/types/default");
    assert_eq!(default("member").await.body["volume_type"]["name"], "fast");
    assert_eq!(
        default("other").await.body["volume_type"]["name"],
        DEFAULT_TYPE_NAME
    );
    let made = make_volume(&api, "member", json!({"size": 1})).await;
    assert_eq!(made.body["volume"]["volume_type"], "fast");
    let made = make_volume(&api, "other", json!({"size": 1})).await;
    assert_eq!(made.body["volume"]["volume_type"], DEFAULT_TYPE_NAME);

    for _ in 0..2 {
        assert_eq!(
            api.ask("admin", "DELETE", path, Value::Null).await.code,
            204
        );
    }
    let made = make_volume(&api, "member", json!({"size": 1})).await;
    assert_eq!(made.body["volume"]["volume_type"], DEFAULT_TYPE_NAME);
}

#[tokio::test]
async fn a_default_type_cannot_be_deleted_and_must_be_visible() {
    let api = fixture(AuthMode::Token).await;
    let id = make_type(&api, "secret", false).await;
    let body = json!({"default_type": {"volume_type": id}});
    let set = api.ask("admin", "PUT", "/v3/default-types/p", body).await;
    assert_eq!(set.code, 200);
    let path = format!("/v3/types/{id}");
    let got = api.ask("admin", "DELETE", &path, Value::Null).await;
    assert_eq!(got.code, 400);
    assert!(got.message().contains("default volume type"));
    // As in Cinder: the default does not give access.
    assert_eq!(
        make_volume(&api, "member", json!({"size": 1})).await.code,
        404
    );
    assert_eq!(api.get("member", "/v3/types/default").await.code, 404);
    act(&api, "admin", &id, "addProjectAccess", "p").await;
    assert_eq!(
        make_volume(&api, "member", json!({"size": 1})).await.code,
        202
    );
}

#[tokio::test]
async fn nothing_plain_is_made_under_an_encrypted_label() {
    let api = fixture(AuthMode::Token).await;
    let id = make_type(&api, "sealed", true).await;
    let path = format!("/v3/types/{id}/encryption");
    let said = json!({"encryption": {"provider": "luks", "control_location": "front-end",
        "cipher": "aes-xts-plain64", "key_size": 256}});
    let post = async |who, body: &Value| api.ask(who, "POST", &path, body.clone()).await;
    assert_eq!(api.get("admin", &path).await.body, json!({}));
    assert_eq!(post("member", &said).await.code, 403);
    let half = json!({"encryption": {"provider": "luks"}});
    assert_eq!(post("admin", &half).await.code, 400);
    let got = post("admin", &said).await;
    assert_eq!(got.code, 200, "{}", got.body);
    assert_eq!(got.body["encryption"]["volume_type_id"], id);
    assert_eq!(post("admin", &said).await.code, 400);

    let with = || json!({"size": 1, "volume_type": "sealed"});
    let refused = make_volume(&api, "member", with()).await;
    assert_eq!(refused.code, 400);
    assert!(refused.message().contains("does not encrypt"));

    let all = api.get("admin", &path).await.body;
    assert_eq!(
        (&all["key_size"], &all["deleted"]),
        (&json!(256), &json!(false))
    );
    let one = |key: &str| format!("{path}/{key}");
    assert_eq!(
        api.get("admin", &one("cipher")).await.body,
        json!({"cipher": "aes-xts-plain64"})
    );
    assert_eq!(api.get("admin", &one("colour")).await.code, 404);
    assert_eq!(api.get("member", &one("cipher")).await.code, 403);
    // Clients write the record's id there, or a word.
    let smaller = json!({"encryption": {"key_size": 128}});
    let got = api
        .ask("admin", "PUT", &one("provider"), smaller.clone())
        .await;
    assert_eq!((got.code, got.body), (200, smaller));
    let all = api.get("admin", &path).await.body;
    assert_eq!(
        (&all["key_size"], &all["provider"]),
        (&json!(128), &json!("luks"))
    );

    let delete = async || {
        api.ask("admin", "DELETE", &one("provider"), Value::Null)
            .await
    };
    assert_eq!(delete().await.code, 202);
    assert_eq!(delete().await.code, 404);
    assert_eq!(make_volume(&api, "member", with()).await.code, 202);
    let got = post("admin", &said).await;
    assert_eq!(got.code, 400);
    assert!(got.message().contains("in use"));
}
