//! The journal of an object over the wire: what was done at once, by whom, and who may read it.

use super::fixture::{Fixture, fixture};
use crate::api::auth::AuthMode;
use crate::model::operation::Phase;
use crate::store::{Batch, operations, volumes};
use serde_json::{Value, json};

async fn journal(api: &Fixture, token: &str, query: &str) -> Vec<Value> {
    let got = api
        .get(token, &format!("/ashlar/v1/journal?object_id={query}"))
        .await;
    assert_eq!(got.code, 200, "{}", got.body);
    got.body["journal"].as_array().unwrap().clone()
}

fn whats(journal: &[Value]) -> Vec<&str> {
    journal
        .iter()
        .map(|entry| entry["what"].as_str().unwrap())
        .collect()
}

/// Ends the newest operation on an object, as the worker would.
async fn end(api: &Fixture, id: &str, phase: Phase, error: Option<&str>, batch: Batch) {
    let path = format!("/ashlar/v1/operations?object_id={id}&limit=1&all_tenants=1");
    let newest = api.get("admin", &path).await.body["operations"][0]["id"].clone();
    let mut ends = batch;
    operations::finish(
        &mut ends,
        newest.as_str().unwrap().parse().unwrap(),
        phase,
        error,
    );
    api.store.write(ends).await.unwrap();
}

#[tokio::test]
async fn what_others_did_to_an_object_stands_in_its_journal() {
    let api = fixture(AuthMode::Token).await;
    let made = api.volume(1, "a").await;
    let id = made["id"].as_str().unwrap();
    let under_way = journal(&api, "member", id).await;
    assert_eq!(under_way.len(), 1);
    assert_eq!(under_way[0]["after"], "creating");
    api.place(id, "h@b#p").await;
    // An administrator's own project is another one; the volume's owner still reads of it.
    let path = format!("/v3/p/volumes/{id}");
    let got = api.ask("admin", "DELETE", &path, Value::Null).await;
    assert_eq!(got.code, 202, "{}", got.body);
    end(&api, id, Phase::Failed, Some("no disk"), Batch::new()).await;
    let found = journal(&api, "member", id).await;
    assert_eq!(whats(&found), ["delete_volume", "create_volume"]);
    let entry = &found[0];
    assert_eq!(
        (&entry["before"], &entry["after"]),
        (&json!("available"), &json!("error_deleting"))
    );
    assert_eq!(
        (&entry["who"], &entry["error"]),
        (&json!("admin"), &json!("no disk"))
    );
    assert!(journal(&api, "other", id).await.is_empty());
}

#[tokio::test]
async fn an_attach_stands_in_the_journals_of_both() {
    let api = fixture(AuthMode::Token).await;
    let made = api.volume(1, "a").await;
    let id = made["id"].as_str().unwrap();
    api.place(id, "h@b#p").await;
    let body = json!({"attachment": {"volume_uuid": id}});
    let got = api.ask("member", "POST", "/v3/p/attachments", body).await;
    assert_eq!(got.code, 200, "{}", got.body);
    let found = journal(&api, "member", id).await;
    assert_eq!(whats(&found), ["create_attachment", "create_volume"]);
    assert_eq!(found[0]["before"], "available");
    assert_eq!(found[0]["after"], Value::Null, "its attachments say");
    let attachment = got.body["attachment"]["id"].as_str().unwrap();
    let of_attachment = journal(&api, "member", attachment).await;
    assert_eq!(of_attachment.len(), 1);
    assert_eq!(of_attachment[0]["operation_id"], found[0]["operation_id"]);
    assert_eq!(of_attachment[0]["before"], Value::Null);
    assert_eq!(of_attachment[0]["after"], "reserved");
}

#[tokio::test]
async fn it_is_read_by_the_project_and_administrators_page_by_page() {
    let api = fixture(AuthMode::Token).await;
    let id = api.volume(1, "a").await["id"].as_str().unwrap().to_owned();
    api.place(&id, "h@b#p").await;
    let path = format!("/v3/p/volumes/{id}");
    let got = api.ask("member", "DELETE", &path, Value::Null).await;
    assert_eq!(got.code, 202, "{}", got.body);
    let mut gone = Batch::new();
    gone.add(volumes::DELETE, vec![id.as_str().into()]);
    end(&api, &id, Phase::Done, None, gone).await;
    assert_eq!(api.get("member", &path).await.code, 404);

    let found = journal(&api, "member", &id).await;
    assert_eq!(whats(&found), ["delete_volume", "create_volume"]);
    let entry = &found[0];
    assert_eq!(
        (&entry["before"], &entry["after"], &entry["who"]),
        (&json!("available"), &json!("deleted"), &json!("member"))
    );
    assert_eq!(
        (&found[1]["before"], &entry["error"]),
        (&Value::Null, &Value::Null)
    );
    assert!(entry["request_id"].as_str().unwrap().starts_with("req-"));
    assert!(entry["at"].as_str().unwrap() >= found[1]["at"].as_str().unwrap());
    for token in ["reader", "admin"] {
        assert_eq!(journal(&api, token, &id).await, found);
    }
    assert!(journal(&api, "other", &id).await.is_empty());

    let first = journal(&api, "member", &format!("{id}&limit=1")).await;
    assert_eq!(first, found[..1]);
    let marker = first[0]["operation_id"].as_str().unwrap();
    let next = journal(&api, "member", &format!("{id}&limit=1&marker={marker}")).await;
    assert_eq!(next, found[1..]);
    let path = format!("/ashlar/v1/journal?object_id={id}&marker={marker}");
    assert_eq!(api.get("other", &path).await.code, 404, "a foreign marker");
    assert_eq!(api.get("member", "/ashlar/v1/journal").await.code, 400);
    let sorted = format!("/ashlar/v1/journal?object_id={id}&sort=verb");
    assert_eq!(api.get("member", &sorted).await.code, 400);
}
