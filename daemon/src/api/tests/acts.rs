//! What is said of volumes, and volumes that change hands; no worker runs.

use super::fixture::{Fixture, Got, fixture};
use crate::api::auth::AuthMode;
use crate::api::error::Body;
use axum::http::Request;
use serde_json::{Value, json};
use uuid::Uuid;

/// A volume of the member's that is there.
async fn available(api: &Fixture, name: &str) -> String {
    let made = api.volume(2, name).await;
    let id = made["id"].as_str().unwrap().to_owned();
    api.place(&id, "h@b#p").await;
    id
}

async fn act(api: &Fixture, who: &str, id: &str, body: Value) -> Got {
    let project = if who == "other" { "q" } else { "p" };
    let path = format!("/v3/{project}/volumes/{id}/action");
    api.ask(who, "POST", &path, body).await
}

/// Asks at a version, and with a tag to match if there is one.
async fn ask_at(
    api: &Fixture,
    minor: u16,
    method: &str,
    path: &str,
    tag: Option<&str>,
    body: Value,
) -> Got {
    let mut builder = Request::builder()
        .method(method)
        .uri(path)
        .header("x-auth-token", "member")
        .header("openstack-api-version", format!("volume 3.{minor}"));
    if let Some(tag) = tag {
        builder = builder.header("if-match", tag);
    }
    let request = if body.is_null() {
        builder.body(Body::empty())
    } else {
        builder
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
    };
    api.send(request.unwrap()).await
}

#[tokio::test]
async fn a_summary_of_volumes() {
    let api = fixture(AuthMode::Token).await;
    let path = "/v3/p/volumes/summary";
    let none = json!({"volume-summary": {"total_count": 0, "total_size": 0, "metadata": {}}});
    assert_eq!(api.get("member", path).await.body, none);
    for (name, size, pairs) in [
        ("a", 1, json!({"k": "1", "l": "x"})),
        ("b", 2, json!({"k": "2"})),
        ("c", 4, json!({"k": "2"})),
    ] {
        let body = json!({"volume": {"name": name, "size": size, "metadata": pairs}});
        let got = api.ask("member", "POST", "/v3/p/volumes", body).await;
        assert_eq!(got.code, 202);
    }
    let got = api.get("member", path).await.body;
    let values = json!({"k": ["1", "2"], "l": ["x"]});
    let all = json!({"volume-summary": {"total_count": 3, "total_size": 7, "metadata": values}});
    assert_eq!(got, all);
    let got = api.get("reader", &format!("{path}?name=c")).await.body;
    assert_eq!(got["volume-summary"]["total_size"], 4);
    let got = api.get("member", &format!("{path}?status=error")).await;
    assert_eq!(got.body, none);
    let got = api.get("member", &format!("{path}?group_id=x")).await;
    assert_eq!(got.body, none);
    // Another project's are not counted, unless an administrator asks for all.
    assert_eq!(api.get("other", "/v3/q/volumes/summary").await.body, none);
    let got = api.get("admin", "/v3/volumes/summary?all_tenants=1").await;
    assert_eq!(got.body["volume-summary"]["total_count"], 3);
    let got = ask_at(&api, 35, "GET", path, None, Value::Null).await;
    let short = json!({"volume-summary": {"total_count": 3, "total_size": 7}});
    assert_eq!(got.body, short);
    let got = ask_at(&api, 11, "GET", path, None, Value::Null).await;
    assert_eq!(got.code, 404);
    let got = api.get("member", &format!("{path}?bootable=maybe")).await;
    assert_eq!(got.code, 400);
}

#[tokio::test]
async fn what_is_said_of_a_volume() {
    let api = fixture(AuthMode::Token).await;
    let id = available(&api, "v").await;
    let path = format!("/v3/p/volumes/{id}");
    let shown = || async { api.get("member", &path).await.body["volume"].clone() };
    assert_eq!(shown().await.get("volume_image_metadata"), None);

    let got = act(
        &api,
        "member",
        &id,
        json!({"os-set_bootable": {"bootable": "True"}}),
    )
    .await;
    assert_eq!((got.code, got.body), (200, Value::Null));
    assert_eq!(shown().await["bootable"], "true");
    let body = json!({"os-update_readonly_flag": {"readonly": true}});
    let got = act(&api, "member", &id, body).await;
    assert_eq!((got.code, got.body), (202, Value::Null));
    assert_eq!(shown().await["metadata"], json!({"readonly": "True"}));

    let set = |pairs: Value| json!({"os-set_image_metadata": {"metadata": pairs}});
    let got = act(&api, "member", &id, set(json!({"os_distro": "debian"}))).await;
    assert_eq!(got.code, 200, "{}", got.body);
    let got = act(&api, "member", &id, set(json!({"min_disk": "1"}))).await;
    let both = json!({"min_disk": "1", "os_distro": "debian"});
    assert_eq!(got.body, json!({"metadata": both}));
    assert_eq!(shown().await["volume_image_metadata"], both);
    let got = act(&api, "member", &id, json!({"os-show_image_metadata": null})).await;
    assert_eq!(got.body, json!({"metadata": both}));
    let filter = "/v3/p/volumes?glance_metadata={'os_distro':'debian'}";
    let found = api.get("admin", filter).await.body["volumes"].clone();
    assert_eq!(found[0]["id"].as_str(), Some(id.as_str()));
    let unset = |key: &str| json!({"os-unset_image_metadata": {"key": key}});
    let got = act(&api, "member", &id, unset("os_distro")).await;
    assert_eq!((got.code, got.body), (200, Value::Null));
    assert_eq!(act(&api, "member", &id, unset("os_distro")).await.code, 404);
    let found = api.get("admin", filter).await.body["volumes"].clone();
    assert_eq!(found, json!([]));

    for bad in [
        json!({"os-set_bootable": {}}),
        json!({"os-set_bootable": {"bootable": "maybe"}}),
        json!({"os-set_bootable": null}),
        json!({"os-update_readonly_flag": {"readonly": null}}),
        json!({"os-update_readonly_flag": {"readonly": true, "x": 1}}),
        json!({"os-set_image_metadata": {}}),
        json!({"os-set_image_metadata": {"metadata": {"k": 1}}}),
        json!({"os-unset_image_metadata": {"key": ""}}),
    ] {
        let got = act(&api, "member", &id, bad.clone()).await;
        assert_eq!(got.code, 400, "{bad}");
    }
    for body in [
        json!({"os-set_bootable": {"bootable": true}}),
        json!({"os-update_readonly_flag": {"readonly": false}}),
        set(json!({"k": "v"})),
        json!({"os-show_image_metadata": null}),
    ] {
        assert_eq!(act(&api, "other", &id, body.clone()).await.code, 404);
        assert_eq!(act(&api, "reader", &id, body).await.code, 403);
    }
}

#[tokio::test]
async fn what_is_said_stays_in_use_and_in_maintenance() {
    let api = fixture(AuthMode::Token).await;
    let id = available(&api, "v").await;
    let path = format!("/v3/p/volumes/{id}");
    let set = |pairs: Value| json!({"os-set_image_metadata": {"metadata": pairs}});
    api.set_status(&id, "in-use").await;
    let body = json!({"os-update_readonly_flag": {"readonly": false}});
    assert_eq!(act(&api, "member", &id, body).await.code, 400);
    api.set_status(&id, "maintenance").await;
    assert_eq!(
        act(&api, "member", &id, set(json!({"a": "b"}))).await.code,
        400
    );
    let metadata = json!({"metadata": {"a": "b"}});
    let pairs = format!("{path}/metadata");
    let got = api.ask("member", "POST", &pairs, metadata).await;
    assert_eq!(got.code, 400);
    let bootable = json!({"os-set_bootable": {"bootable": false}});
    assert_eq!(act(&api, "member", &id, bootable).await.code, 400);
}

#[tokio::test]
async fn a_change_may_name_what_it_is_meant_for() {
    let api = fixture(AuthMode::Token).await;
    let id = available(&api, "v").await;
    let path = format!("/v3/p/volumes/{id}/metadata");
    let pairs = json!({"metadata": {"k": "1"}});
    let got = ask_at(&api, 15, "POST", &path, None, pairs.clone()).await;
    assert_eq!(got.code, 200);
    let got = ask_at(&api, 14, "GET", &path, None, Value::Null).await;
    assert!(got.headers.get("etag").is_none());
    let got = ask_at(&api, 15, "GET", &path, None, Value::Null).await;
    let tag = got.headers["etag"].to_str().unwrap().to_owned();
    let one = format!("{path}/k");
    let meta = json!({"meta": {"k": "2"}});
    for (method, path, body) in [
        ("POST", &path, pairs.clone()),
        ("PUT", &path, pairs.clone()),
        ("PUT", &one, meta.clone()),
        ("DELETE", &one, Value::Null),
    ] {
        let got = ask_at(&api, 15, method, path, Some("other"), body).await;
        assert_eq!(got.code, 412, "{method} {path}: {}", got.body);
    }
    // Before 3.15 the header says nothing.
    let got = ask_at(&api, 14, "POST", &path, Some("other"), pairs.clone()).await;
    assert_eq!(got.code, 200);
    // With quotes, without, among others, or whatever there is.
    for said in [
        tag.clone(),
        format!("\"{tag}\""),
        format!("x, {tag}"),
        "*".to_owned(),
    ] {
        let got = ask_at(&api, 15, "PUT", &path, Some(&said), pairs.clone()).await;
        assert_eq!(got.code, 200, "{said}");
    }
    let got = ask_at(&api, 15, "PUT", &one, Some(&tag), meta).await;
    assert_eq!(got.code, 200);
    let got = ask_at(&api, 15, "DELETE", &one, Some(&tag), Value::Null).await;
    assert_eq!(got.code, 412);
    assert_eq!(api.get("member", &one).await.body["meta"]["k"], "2");
}

#[tokio::test]
async fn administrators_acts_are_theirs_alone() {
    let api = fixture(AuthMode::Token).await;
    let id = available(&api, "v").await;
    let reset = |status: &str| json!({"os-reset_status": {"status": status}});
    for body in [
        reset("error"),
        json!({"os-force_delete": null}),
        json!({"os-force_detach": {}}),
    ] {
        assert_eq!(act(&api, "member", &id, body.clone()).await.code, 403);
        assert_eq!(act(&api, "reader", &id, body.clone()).await.code, 403);
        assert_eq!(act(&api, "other", &id, body.clone()).await.code, 404);
        let nowhere = Uuid::new_v4().to_string();
        assert_eq!(act(&api, "admin", &nowhere, body).await.code, 404);
    }
    for bad in [
        reset("fine"),
        reset("creating"),
        reset("deleting"),
        reset("in-use"),
        reset("reserved"),
        reset("awaiting-transfer"),
        json!({"os-reset_status": {}}),
        json!({"os-reset_status": {"migration_status": "migrating"}}),
        json!({"os-reset_status": {"attach_status": "attached"}}),
        json!({"os-force_detach": {"attachment_id": "x"}}),
        json!({"os-force_detach": {"attachment_id": Uuid::new_v4().to_string()}}),
    ] {
        let got = act(&api, "admin", &id, bad.clone()).await;
        assert_eq!(got.code, 400, "{bad}: {}", got.body);
    }
    // Nothing here migrates: that is so already.
    let nothing = json!({"os-reset_status": {"migration_status": "None"}});
    assert_eq!(act(&api, "admin", &id, nothing).await.code, 202);
    let force = format!("/v3/p/volumes/{id}?force=true");
    let got = api.ask("member", "DELETE", &force, Value::Null).await;
    assert_eq!(got.code, 403);
    api.set_status(&id, "maintenance").await;
    let got = ask_at(&api, 22, "DELETE", &force, None, Value::Null).await;
    assert_eq!(got.code, 400, "before 3.23 the word says nothing");
    let got = api.ask("admin", "DELETE", &force, Value::Null).await;
    assert_eq!(got.code, 202);
    let got = api.get("member", &format!("/v3/p/volumes/{id}")).await;
    assert_eq!(got.body["volume"]["status"], "deleting");
}

#[tokio::test]
async fn what_is_said_of_a_snapshot() {
    let api = fixture(AuthMode::Token).await;
    let volume = available(&api, "v").await;
    let body = json!({"snapshot": {"volume_id": volume}});
    let got = api.ask("member", "POST", "/v3/p/snapshots", body).await;
    let id = got.body["snapshot"]["id"].as_str().unwrap().to_owned();
    api.place(&volume, "h@b#p").await;
    let path = format!("/v3/p/snapshots/{id}");
    let action = format!("{path}/action");
    let reset = |status: &str| json!({"os-reset_status": {"status": status}});
    let ask = |who: &'static str, body: Value| api.ask(who, "POST", &action, body);
    for body in [reset("error"), json!({"os-force_delete": {}})] {
        assert_eq!(ask("member", body.clone()).await.code, 403);
        let foreign = action.replace("/p/", "/q/");
        let got = api.ask("other", "POST", &foreign, body).await;
        assert_eq!(got.code, 404);
    }
    for bad in [
        reset("fine"),
        reset("creating"),
        reset("backing-up"),
        json!({"os-reset_status": {}}),
        json!({"os-shrink": {}}),
        // Nova helps with no snapshot here.
        json!({"os-update_snapshot_status": {"status": "available", "progress": "50%"}}),
        json!({"os-update_snapshot_status": {}}),
    ] {
        assert_eq!(ask("admin", bad.clone()).await.code, 400, "{bad}");
    }
    // Its own operation holds it: the holder is named.
    let got = ask("admin", reset("error")).await;
    assert_eq!(got.code, 409);
    assert!(got.message().contains("create_snapshot"), "{}", got.body);
    let got = api.get("member", &path).await;
    assert_eq!(got.body["snapshot"]["status"], "creating");
}

#[tokio::test]
async fn a_volume_changes_hands() {
    let api = fixture(AuthMode::Token).await;
    for collection in ["volume-transfers", "os-volume-transfer"] {
        let id = available(&api, "v").await;
        let path = format!("/v3/p/{collection}");
        let offer = json!({"transfer": {"volume_id": id, "name": "for you"}});
        let foreign = format!("/v3/q/{collection}");
        let got = api.ask("other", "POST", &foreign, offer.clone()).await;
        assert_eq!(got.code, 404);
        let got = api.ask("reader", "POST", &path, offer.clone()).await;
        assert_eq!(got.code, 403);
        let got = api
            .ask("member", "POST", &path, json!({"transfer": {}}))
            .await;
        assert_eq!(got.code, 400);
        let got = api.ask("member", "POST", &path, offer.clone()).await;
        assert_eq!(got.code, 202, "{}", got.body);
        let transfer = got.body["transfer"].clone();
        let key = transfer["auth_key"].as_str().unwrap().to_owned();
        assert_eq!(transfer["source_project_id"], "p");
        assert_eq!(api.ask("member", "POST", &path, offer).await.code, 400);

        let one = format!("{path}/{}", transfer["id"].as_str().unwrap());
        for list in [
            path.clone(),
            format!("{path}/detail"),
            format!("{path}?name=for you"),
        ] {
            let got = api.get("member", &list.replace(' ', "%20")).await;
            assert_eq!(got.body["transfers"][0]["id"], transfer["id"], "{list}");
            assert!(!got.body.to_string().contains(&key), "{}", got.body);
        }
        let got = api.get("member", &one).await;
        assert_eq!(
            (got.code, &got.body["transfer"]["name"]),
            (200, &json!("for you"))
        );
        assert!(!got.body.to_string().contains(&key));
        let theirs = one.replace("/p/", "/q/");
        assert_eq!(api.get("other", &theirs).await.code, 404);
        assert_eq!(
            api.get("other", &foreign).await.body["transfers"],
            json!([])
        );

        takes(&api, &id, &theirs, &key).await;
    }
    let got = api.get("other", "/v3/q/os-quota-sets/q?usage=true").await;
    assert_eq!(got.body["quota_set"]["gigabytes"]["in_use"], 4);
}

/// The other project takes a volume, once, and only with the key.
async fn takes(api: &Fixture, id: &str, transfer: &str, key: &str) {
    let accept = format!("{transfer}/accept");
    let with = |key: &str| json!({"accept": {"auth_key": key}});
    let got = api
        .ask("other", "POST", &accept, with("0000000000000000"))
        .await;
    assert_eq!(got.code, 400);
    assert!(
        got.message().starts_with("Invalid auth key"),
        "{}",
        got.body
    );
    let got = api
        .ask("other", "POST", &accept, json!({"accept": {}}))
        .await;
    assert_eq!(got.code, 400);
    let got = api.ask("other", "POST", &accept, with(key)).await;
    assert_eq!(got.code, 202, "{}", got.body);
    assert_eq!(got.body["transfer"]["volume_id"].as_str(), Some(id));
    let got = api.ask("other", "POST", &accept, with(key)).await;
    assert_eq!(got.code, 404);
    assert_eq!(
        api.get("member", &format!("/v3/p/volumes/{id}")).await.code,
        404
    );
    let got = api.get("other", &format!("/v3/q/volumes/{id}")).await;
    assert_eq!(got.body["volume"]["user_id"], "other");
    assert_eq!(got.body["volume"]["status"], "available");
}

#[tokio::test]
async fn offers_are_listed_and_withdrawn() {
    let api = fixture(AuthMode::Token).await;
    let mut offers = Vec::new();
    for name in ["b", "a"] {
        let id = available(&api, name).await;
        let offer = json!({"transfer": {"volume_id": id, "name": name, "no_snapshots": true}});
        let got = api
            .ask("member", "POST", "/v3/p/volume-transfers", offer)
            .await;
        offers.push(got.body["transfer"]["id"].as_str().unwrap().to_owned());
    }
    let names = |got: Got| -> Vec<String> {
        let all = got.body["transfers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        all.iter()
            .map(|one| one["name"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    // The oldest first until 3.58, the newest from then on, unless it is said.
    let path = "/v3/p/volume-transfers";
    let got = ask_at(&api, 58, "GET", path, None, Value::Null).await;
    assert_eq!(names(got), ["b", "a"]);
    assert_eq!(names(api.get("member", path).await), ["a", "b"]);
    let sorted = format!("{path}/detail?sort_key=name&sort_dir=desc&limit=1");
    let got = api.get("member", &sorted).await;
    assert!(got.body["transfers_links"].is_array());
    assert_eq!(names(got), ["b"]);
    let got = api.get("admin", "/v3/volume-transfers?all_tenants=1").await;
    assert_eq!(names(got).len(), 2);
    let got = ask_at(
        &api,
        54,
        "GET",
        &format!("{path}/detail"),
        None,
        Value::Null,
    )
    .await;
    assert!(got.body["transfers"][0].get("no_snapshots").is_none());
    let one = format!("{path}/{}", offers[0]);
    let foreign = one.replace("/p/", "/q/");
    assert_eq!(
        api.ask("other", "DELETE", &foreign, Value::Null).await.code,
        404
    );
    assert_eq!(
        api.ask("reader", "DELETE", &one, Value::Null).await.code,
        403
    );
    assert_eq!(
        api.ask("member", "DELETE", &one, Value::Null).await.code,
        202
    );
    assert_eq!(
        api.ask("member", "DELETE", &one, Value::Null).await.code,
        404
    );
    assert_eq!(
        api.ask("member", "GET", &format!("{path}/x"), Value::Null)
            .await
            .code,
        404
    );
}
