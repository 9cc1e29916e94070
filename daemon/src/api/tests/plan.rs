//! Plans over the wire: what is in the way is what the act itself is refused for, and an act does what its plan said.

use super::fixture::{Fixture, Got, fixture};
use crate::api::auth::AuthMode;
use crate::api::error::Body;
use crate::model::attachment::{AttachMode, Attachment};
use crate::model::id::AttachmentId;
use crate::model::operation::Phase;
use crate::model::status::{AttachmentStatus, VolumeStatus};
use crate::model::time::Time;
use crate::store::{Batch, attachments, events, exports, operations, snapshots, statuses};
use axum::http::Request;
use serde_json::{Value, json};

/// Ends every operation on an object, well, without touching the object.
async fn settle(api: &Fixture, object: &str) {
    let path = format!("/ashlar/v1/operations?live=true&object_id={object}");
    let got = api.get("admin", &format!("{path}&all_tenants=1")).await;
    for operation in got.body["operations"].as_array().unwrap() {
        let id = operation["id"].as_str().unwrap().parse().unwrap();
        let mut batch = Batch::new();
        operations::finish(&mut batch, id, Phase::Done, None);
        api.store.write(batch).await.unwrap();
    }
}

/// A volume at rest in a status.
async fn volume(api: &Fixture, status: &str) -> String {
    let volume = api.volume(1, "v").await;
    let id = volume["id"].as_str().unwrap().to_owned();
    settle(api, &id).await;
    api.place(&id, "h@b#p").await;
    api.set_status(&id, status).await;
    id
}

/// A snapshot of a volume, at rest.
async fn snapshot(api: &Fixture, volume: &str) -> String {
    let body = json!({"snapshot": {"volume_id": volume, "name": "s", "force": true}});
    let got = api.ask("member", "POST", "/v3/p/snapshots", body).await;
    assert_eq!(got.code, 202, "{}", got.body);
    let id = got.body["snapshot"]["id"].as_str().unwrap().to_owned();
    settle(api, &id).await;
    let mut batch = Batch::new();
    let available = crate::model::status::SnapshotStatus::Available;
    let from = crate::model::status::SnapshotStatus::Creating;
    statuses::change(
        &mut batch,
        statuses::Noun::Snapshot,
        &id,
        &[from],
        available,
    );
    api.store.write(batch).await.unwrap();
    id
}

async fn attach(api: &Fixture, volume: &str) -> String {
    let attachment = Attachment {
        id: AttachmentId::random(),
        volume_id: volume.parse().unwrap(),
        project_id: "p".to_owned(),
        instance_uuid: None,
        attached_host: Some("db02".to_owned()),
        mountpoint: None,
        mode: AttachMode::ReadWrite,
        status: AttachmentStatus::Attached,
        connector: None,
        attached_at: None,
        detached_at: None,
        created_at: Time::now(),
        updated_at: None,
    };
    let mut batch = Batch::new();
    batch.add(attachments::INSERT, attachments::insert_values(&attachment));
    api.store.write(batch).await.unwrap();
    attachment.id.to_string()
}

async fn plan(api: &Fixture, token: &str, verb: &str, id: &str, input: Value) -> Value {
    let body = json!({"verb": verb, "objects": [id], "input": input});
    let got = api.ask(token, "POST", "/ashlar/v1/plan", body).await;
    assert_eq!(got.code, 200, "{}", got.body);
    got.body["plan"].clone()
}

/// The act, on the condition that its plan is still that one.
async fn act(
    api: &Fixture,
    token: &str,
    method: &str,
    path: &str,
    body: &Value,
    hash: &str,
) -> Got {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-auth-token", token)
        .header("openstack-api-version", super::fixture::LATEST)
        .header("content-type", "application/json")
        .header("if-match", format!("\"plan-{hash}\""))
        .body(Body::from(body.to_string()));
    api.send(request.unwrap()).await
}

#[expect(clippy::too_many_lines, reason = "a table of cases, told in order")]
#[tokio::test]
async fn a_plan_names_everything_and_changes_nothing() {
    let api = fixture(AuthMode::Token).await;
    let id = volume(&api, "available").await;
    let kept = snapshot(&api, &id).await;
    let attachment = attach(&api, &id).await;
    api.set_status(&id, "in-use").await;
    let before = events::span(&api.store).await.unwrap();
    let found = plan(&api, "member", "delete_volume", &id, json!({})).await;
    assert_eq!(
        events::span(&api.store).await.unwrap(),
        before,
        "it was only planned"
    );
    assert_eq!(found["is_blocked"], true);
    let one = &found["objects"][0];
    assert_eq!(
        (&one["name"], &one["level"]),
        (&json!("v"), &json!("type_name"))
    );
    // All that is in the way, not the first of it.
    let blocks: Vec<&str> = one["blocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect();
    assert!(blocks.len() >= 2, "{blocks:?}");
    assert!(
        blocks.iter().any(|text| text.contains("snapshot")),
        "{blocks:?}"
    );
    let cascade = plan(
        &api,
        "member",
        "delete_volume",
        &id,
        json!({"cascade": true}),
    )
    .await;
    let lost = cascade["objects"][0]["lost"].as_array().unwrap();
    assert_eq!(
        (lost.len(), &cascade["after"]["gigabytes"]),
        (2, &json!(-2))
    );
    let broken = plan(&api, "member", "delete_attachment", &attachment, json!({})).await;
    assert!(
        broken["objects"][0]["breaks"][0]
            .as_str()
            .unwrap()
            .contains("db02")
    );
    let reverted = plan(
        &api,
        "member",
        "revert_volume",
        &id,
        json!({"snapshot_id": kept}),
    )
    .await;
    assert!(
        reverted["objects"][0]["lost"][0]
            .as_str()
            .unwrap()
            .contains("since snapshot s")
    );
    let body = json!({"verb": "delete_volume", "objects": [id]});
    assert_eq!(
        api.ask("other", "POST", "/ashlar/v1/plan", body.clone())
            .await
            .code,
        404
    );
    assert_eq!(
        api.ask("reader", "POST", "/ashlar/v1/plan", body)
            .await
            .code,
        403
    );
    for bad in [
        json!({"verb": "no_such", "objects": [id]}),
        json!({"verb": "delete_volume", "objects": []}),
        json!({"verb": "delete_volume", "objects": ["../x"]}),
        json!({"verb": "delete_volume", "objects": "x"}),
        json!({"verb": "delete_volume", "objects": [id], "input": 1}),
    ] {
        assert_eq!(
            api.ask("member", "POST", "/ashlar/v1/plan", bad).await.code,
            400
        );
    }
}

#[tokio::test]
async fn a_host_without_an_attachment_is_told_of() {
    let api = fixture(AuthMode::Token).await;
    let id = volume(&api, "available").await;
    let before = plan(&api, "member", "delete_volume", &id, json!({})).await;
    assert_eq!(before["objects"][0]["breaks"], json!([]));
    let mut batch = Batch::new();
    let text = |text: &str| text.into();
    let mut values: Vec<_> = [id.as_str(), "u", "s"].map(text).into();
    values.extend([crate::store::Value::Null, crate::store::Value::Null]);
    batch.add(exports::INSERT, values);
    let mut values: Vec<_> = [id.as_str(), "iqn.legacy", ""].map(text).into();
    values.extend([0.into(), text("o")]);
    batch.add(exports::CONNECT, values);
    api.store.write(batch).await.unwrap();
    let path = format!("/v3/p/volumes/{id}");
    let hash = before["hash"].as_str().unwrap();
    let got = act(&api, "member", "DELETE", &path, &Value::Null, hash).await;
    assert_eq!(got.code, 412, "{}", got.body);
    for (verb, token) in [("delete_volume", "member"), ("unmanage_volume", "admin")] {
        let now = plan(&api, token, verb, &id, json!({})).await;
        let breaks = now["objects"][0]["breaks"].to_string();
        assert!(breaks.contains("iqn.legacy"), "{verb}: {breaks}");
    }
}

#[tokio::test]
async fn no_number_is_too_large_for_a_plan() {
    let api = fixture(AuthMode::Token).await;
    let ids = [
        volume(&api, "available").await,
        volume(&api, "available").await,
    ];
    for size in [i64::MIN, i64::MAX] {
        let body = json!({"verb": "extend_volume", "objects": ids, "input": {"new_size": size}});
        let got = api.ask("member", "POST", "/ashlar/v1/plan", body).await;
        assert_eq!(got.code, 200, "{}", got.body);
        assert_eq!(got.body["plan"]["is_blocked"], true);
    }
}

/// Who names a plan, however, never acts without it.
#[tokio::test]
async fn a_condition_that_names_a_plan_always_counts() {
    let api = fixture(AuthMode::Token).await;
    let id = volume(&api, "available").await;
    let path = format!("/v3/p/volumes/{id}");
    for said in [
        "W/\"plan-0\"",
        "plan-0",
        "\"x\", \"plan-0\"",
        "\"plan-\u{e9}\"",
        "\"Plan-0\"",
    ] {
        let request = Request::builder()
            .method("DELETE")
            .uri(&path)
            .header("x-auth-token", "member")
            .header("if-match", said)
            .body(Body::empty());
        let got = api.send(request.unwrap()).await;
        assert_eq!(got.code, 412, "{said}: {}", got.body);
    }
    assert_eq!(api.get("member", &path).await.code, 200);
}

#[tokio::test]
async fn an_act_does_what_its_plan_said_or_nothing() {
    let api = fixture(AuthMode::Token).await;
    let id = volume(&api, "available").await;
    let path = format!("/v3/p/volumes/{id}");
    let first = plan(&api, "member", "delete_volume", &id, json!({})).await;
    let again = plan(
        &api,
        "member",
        "delete_volume",
        &id,
        json!({"cascade": false}),
    )
    .await;
    assert_eq!(first["hash"], again["hash"], "nothing has changed");
    let hash = first["hash"].as_str().unwrap();
    let kept = snapshot(&api, &id).await;
    let got = act(&api, "member", "DELETE", &path, &Value::Null, hash).await;
    assert_eq!(got.code, 412, "{}", got.body);
    assert_eq!(
        api.get("member", &path).await.body["volume"]["status"],
        "available"
    );
    let mut batch = Batch::new();
    batch.add(snapshots::DELETE, vec![kept.into()]);
    api.store.write(batch).await.unwrap();
    // A plan of another act does not fit.
    let cascade = plan(
        &api,
        "member",
        "delete_volume",
        &id,
        json!({"cascade": true}),
    )
    .await;
    let other = cascade["hash"].as_str().unwrap();
    assert_eq!(
        act(&api, "member", "DELETE", &path, &Value::Null, other)
            .await
            .code,
        412
    );
    let got = act(&api, "member", "DELETE", &path, &Value::Null, hash).await;
    assert_eq!(got.code, 202, "{}", got.body);
    assert_eq!(
        api.get("member", &path).await.body["volume"]["status"],
        "deleting"
    );
    // What no plan is made of is not done on one.
    let named = json!({"volume": {"name": "n"}});
    assert_eq!(
        act(&api, "member", "PUT", &path, &named, hash).await.code,
        400
    );
}

/// Every verb in every status, free or attached, with or without a snapshot: the plan is blocked exactly when the act
/// is then refused.
#[expect(clippy::too_many_lines, reason = "a table of cases, told in order")]
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_blocked_exactly_when_the_act_is_refused() {
    use VolumeStatus::{Available, Deleting, Error, ErrorExtending, InUse, Reserved};
    let mut refused = 0;
    let mut done = 0;
    for status in [Available, InUse, Reserved, Deleting, Error, ErrorExtending] {
        for (is_attached, has_snapshot) in [(false, false), (true, false), (false, true)] {
            for number in 0..9 {
                let api = fixture(AuthMode::Token).await;
                let id = volume(&api, "available").await;
                let kept = if has_snapshot {
                    snapshot(&api, &id).await
                } else {
                    id.clone()
                };
                if is_attached {
                    attach(&api, &id).await;
                }
                api.set_status(&id, status.as_str()).await;
                let action = format!("/v3/p/volumes/{id}/action");
                let of = |verb, key: &str, input: Value| {
                    (verb, "POST", action.clone(), json!({key: input}), input)
                };
                let (verb, method, path, body, input) = match number {
                    0 => (
                        "delete_volume",
                        "DELETE",
                        format!("/v3/p/volumes/{id}"),
                        Value::Null,
                        json!({}),
                    ),
                    1 => (
                        "delete_volume",
                        "DELETE",
                        format!("/v3/p/volumes/{id}?cascade=true"),
                        Value::Null,
                        json!({"cascade": true}),
                    ),
                    2 => of("extend_volume", "os-extend", json!({"new_size": 2})),
                    3 => of("extend_volume", "os-extend", json!({"new_size": 1})),
                    4 => of("revert_volume", "revert", json!({"snapshot_id": kept})),
                    5 => of(
                        "attach_volume",
                        "os-attach",
                        json!({"host_name": "h", "mountpoint": "/dev/vdb"}),
                    ),
                    6 => of("force_delete_volume", "os-force_delete", json!({})),
                    7 => of("extend_volume", "os-extend", json!({"new_size": 51})),
                    _ => (
                        "create_attachment",
                        "POST",
                        "/v3/p/attachments".to_owned(),
                        json!({"attachment": {"volume_uuid": id}}),
                        json!({}),
                    ),
                };
                let token = if number == 6 { "admin" } else { "member" };
                let path = if number == 6 {
                    path.replace("/v3/p/", "/v3/ops/")
                } else {
                    path
                };
                let found = plan(&api, token, verb, &id, input).await;
                let hash = found["hash"].as_str().unwrap();
                let got = act(&api, token, method, &path, &body, hash).await;
                let case = format!(
                    "{verb} {status:?} {is_attached} {has_snapshot}: {found} {}",
                    got.body
                );
                assert_ne!(got.code, 412, "{case}");
                assert_eq!(found["is_blocked"] == true, got.code >= 400, "{case}");
                if got.code >= 400 {
                    refused += 1;
                    let texts = found["objects"][0]["blocks"].to_string();
                    assert!(texts.contains(&json!(got.message()).to_string()), "{case}");
                } else {
                    done += 1;
                }
            }
        }
    }
    assert!(refused > 40 && done > 20, "{refused} {done}");
}

#[tokio::test]
async fn a_placement_is_told_to_administrators() {
    let api = fixture(AuthMode::Token).await;
    let id = volume(&api, "available").await;
    let path = format!("/ashlar/v1/volumes/{id}/placement");
    assert_eq!(api.get("admin", &path).await.code, 404);
    let mut batch = Batch::new();
    let explanation = json!({"winner": "h@b#p", "pools": [], "reason": "r"});
    let values = vec![
        id.as_str().into(),
        "o".into(),
        explanation.to_string().into(),
        Time::now().as_str().into(),
    ];
    batch.add(operations::INSERT_PLACEMENT, values);
    api.store.write(batch).await.unwrap();
    assert_eq!(api.get("admin", &path).await.body["placement"], explanation);
    assert_eq!(api.get("member", &path).await.code, 403);
    assert_eq!(api.get("other", &path).await.code, 404);
}
