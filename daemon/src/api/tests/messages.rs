//! Messages: whose they are, pages and filters by version, and their end.

use super::fixture::{Fixture, fixture};
use crate::api::auth::AuthMode;
use crate::api::error::Body;
use crate::model::id::MessageId;
use crate::model::message::Message;
use crate::model::time::Time;
use crate::store::{Batch, messages};
use axum::http::Request;
use serde_json::Value;

async fn message(api: &Fixture, project_id: &str, resource_uuid: &str, until: &str) -> String {
    let message = Message {
        id: MessageId::random(),
        project_id: project_id.to_owned(),
        request_id: "req-1".to_owned(),
        resource_type: "VOLUME".to_owned(),
        resource_uuid: resource_uuid.to_owned(),
        event_id: "VOLUME_VOLUME_001_003".to_owned(),
        message_level: "ERROR".to_owned(),
        user_message: "schedule allocate volume:Could not".to_owned(),
        created_at: Time::now(),
        guaranteed_until: Time::from_stored(until.to_owned()),
    };
    let mut batch = Batch::new();
    batch.add(messages::INSERT, messages::insert_values(&message));
    api.store.write(batch).await.unwrap();
    message.id.to_string()
}

const A: &str = "00000000-0000-4000-8000-00000000000a";
const B: &str = "00000000-0000-4000-8000-00000000000b";
const C: &str = "00000000-0000-4000-8000-00000000000c";
const LATER: &str = "2999-01-01T00:00:00.000000";

fn ids(body: &Value) -> Vec<&str> {
    let all = body["messages"].as_array().unwrap().iter();
    all.map(|one| one["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn everybody_reads_and_deletes_their_own() {
    let api = fixture(AuthMode::Token).await;
    let mine = message(&api, "p", A, LATER).await;
    let theirs = message(&api, "q", B, LATER).await;
    assert_eq!(
        ids(&api.get("member", "/v3/p/messages").await.body),
        [&mine]
    );
    let all = api.get("admin", "/v3/messages?all_tenants=1").await;
    assert_eq!(ids(&all.body).len(), 2);
    let path = format!("/v3/p/messages/{mine}");
    let shown = api.get("reader", &path).await.body["message"].clone();
    assert_eq!(shown["event_id"], "VOLUME_VOLUME_001_003");
    assert_eq!(shown["guaranteed_until"], LATER);
    assert_eq!(shown["resource_uuid"], A);
    for method in ["GET", "DELETE"] {
        let foreign = format!("/v3/p/messages/{theirs}");
        assert_eq!(
            api.ask("member", method, &foreign, Value::Null).await.code,
            404
        );
    }
    assert_eq!(
        api.ask("reader", "DELETE", &path, Value::Null).await.code,
        403
    );
    assert_eq!(
        api.ask("member", "DELETE", &path, Value::Null).await.code,
        204
    );
    assert_eq!(
        api.ask("member", "DELETE", &path, Value::Null).await.code,
        404
    );
    assert_eq!(api.get("member", "/v3/p/messages/x").await.code, 404);
}

#[tokio::test]
async fn pages_and_filters_from_3_5() {
    let api = fixture(AuthMode::Token).await;
    let mut made = Vec::new();
    for resource in [A, B, C] {
        made.push(message(&api, "p", resource, LATER).await);
    }
    let page = api.get("member", "/v3/p/messages?limit=2").await.body;
    assert_eq!(ids(&page), [&made[2], &made[1]]);
    assert_eq!(page["messages_links"][0]["rel"], "next");
    let rest = format!("/v3/p/messages?limit=2&marker={}", made[1]);
    assert_eq!(ids(&api.get("member", &rest).await.body), [&made[0]]);
    let one = api
        .get(
            "member",
            "/v3/p/messages?resource_uuid=00000000-0000-4000-8000-00000000000b",
        )
        .await;
    assert_eq!(ids(&one.body), [&made[1]]);
    let bad = api.get("member", "/v3/p/messages?colour=red").await;
    assert_eq!(bad.code, 400);
    for (minor, code) in [(2, 404), (3, 200)] {
        let request = Request::builder()
            .uri("/v3/p/messages?limit=1&colour=red")
            .header("x-auth-token", "member")
            .header("openstack-api-version", format!("volume 3.{minor}"));
        let got = api.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(got.code, code);
        assert!(minor < 3 || ids(&got.body).len() == 3);
    }
}

#[tokio::test]
async fn old_ones_are_forgotten() {
    let api = fixture(AuthMode::Token).await;
    message(&api, "p", A, "2020-01-01T00:00:00.000000").await;
    let kept = message(&api, "p", B, LATER).await;
    api.store
        .write(messages::forget(&Time::now()))
        .await
        .unwrap();
    assert_eq!(
        ids(&api.get("member", "/v3/p/messages").await.body),
        [&kept]
    );
}
