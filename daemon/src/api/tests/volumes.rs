//! Volumes, their lists, their holds; no worker runs, so what is begun stays begun.

use super::fixture::fixture;
use crate::api::auth::AuthMode;
use crate::model::volume_type::DEFAULT_TYPE_NAME;
use crate::store::Batch;
use serde_json::{Value, json};
use uuid::Uuid;

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
async fn metadata_by_itself() {
    let api = fixture(AuthMode::Token).await;
    let made = api.volume(1, "v").await;
    let path = format!("/v3/p/volumes/{}/metadata", made["id"].as_str().unwrap());
    let one = format!("{path}/k");
    let got = api
        .ask(
            "member",
            "POST",
            &path,
            json!({"metadata": {"k": "1", "l": "2"}}),
        )
        .await;
    assert_eq!(
        (got.code, got.body),
        (200, json!({"metadata": {"k": "1", "l": "2"}}))
    );
    // Two who add at the same time both find theirs.
    let bodies = ["m", "n", "o", "q"].map(|key| json!({"metadata": {key: "3"}}));
    let added = bodies.map(|body| api.ask("member", "POST", &path, body));
    for got in futures_util::future::join_all(added).await {
        assert_eq!(got.code, 200);
    }
    let all = api.get("member", &path).await.body;
    assert_eq!(
        all["metadata"].as_object().map(|pairs| pairs.len()),
        Some(6)
    );
    assert_eq!(
        api.ask("member", "PUT", &one, json!({"meta": {"k": "9"}}))
            .await
            .body,
        json!({"meta": {"k": "9"}})
    );
    assert_eq!(
        api.get("member", &one).await.body,
        json!({"meta": {"k": "9"}})
    );
    assert_eq!(
        api.ask("member", "DELETE", &one, Value::Null).await.code,
        200
    );
    assert_eq!(api.get("member", &one).await.code, 404);
    assert_eq!(
        api.ask("member", "DELETE", &one, Value::Null).await.code,
        404
    );
    let got = api
        .ask("member", "PUT", &path, json!({"metadata": {"z": ""}}))
        .await;
    assert_eq!(got.body, json!({"metadata": {"z": ""}}));
    let many = (0..300)
        .map(|n| (format!("k{n}"), json!("v")))
        .collect::<serde_json::Map<_, _>>();
    assert_eq!(
        api.ask("member", "POST", &path, json!({"metadata": many}))
            .await
            .code,
        400
    );
    assert_eq!(
        api.get("other", &path.replace("/p/", "/q/")).await.code,
        404
    );
}
