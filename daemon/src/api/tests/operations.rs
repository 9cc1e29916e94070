//! Operations over the wire: how they get on, cancel, and retry.

use super::fixture::{Fixture, fixture};
use crate::api::auth::AuthMode;
use crate::model::operation::Phase;
use crate::store::{Batch, operations};
use serde_json::{Value, json};

/// The newest operation on an object.
async fn newest(api: &Fixture, object: &Value) -> Value {
    let object = object.as_str().unwrap();
    let path = format!("/ashlar/v1/operations?object_id={object}&limit=1");
    let got = api.get("member", &path).await;
    assert_eq!(got.code, 200, "{}", got.body);
    got.body["operations"][0].clone()
}

/// Ends an operation, as the worker would.
async fn end(api: &Fixture, operation: &Value, phase: Phase) {
    let id = operation["id"].as_str().unwrap().parse().unwrap();
    let mut batch = Batch::new();
    operations::finish(&mut batch, id, phase, Some("it did not go"));
    api.store.write(batch).await.unwrap();
}

async fn ask(api: &Fixture, token: &str, operation: &Value, what: &str) -> (u16, Value) {
    let path = format!(
        "/ashlar/v1/operations/{}/{what}",
        operation["id"].as_str().unwrap()
    );
    let got = api.ask(token, "POST", &path, Value::Null).await;
    (got.code, got.body)
}

#[tokio::test]
async fn an_operation_says_how_it_gets_on() {
    let api = fixture(AuthMode::Token).await;
    let volume = api.volume(1, "a").await;
    let operation = newest(&api, &volume["id"]).await;
    assert_eq!(operation["verb"], "create_volume");
    assert_eq!(
        (&operation["steps_total"], &operation["can_cancel"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(
        (&operation["can_retry"], &operation["stuck"]),
        (&json!(false), &Value::Null)
    );
    let id = operation["id"].as_str().unwrap();
    let progress = operations::progress(id.parse().unwrap(), 30, 100, 10);
    api.store.write(progress).await.unwrap();
    let path = format!("/ashlar/v1/operations/{id}");
    let shown = api.get("member", &path).await.body["operation"].clone();
    assert_eq!(
        (&shown["bytes_per_s"], &shown["left_s"]),
        (&json!(10), &json!(7))
    );
    assert_eq!(shown["steps"], json!([]));
    assert_eq!(api.get("other", &path).await.code, 404);
    let (code, body) = ask(&api, "member", &operation, "cancel").await;
    assert_eq!(
        (code, &body["operation"]["can_cancel"]),
        (202, &json!(false))
    );
}

#[tokio::test]
async fn a_failed_delete_is_begun_anew_and_a_create_is_not() {
    let api = fixture(AuthMode::Token).await;
    let volume = api.volume(1, "a").await;
    let id = volume["id"].as_str().unwrap();
    let create = newest(&api, &volume["id"]).await;
    let (code, body) = ask(&api, "member", &create, "retry").await;
    assert_eq!(code, 400);
    assert!(body.to_string().contains("it is queued"), "{body}");
    end(&api, &create, Phase::Failed).await;
    api.set_status(id, "error").await;
    assert_eq!(newest(&api, &volume["id"]).await["can_retry"], false);
    let (code, body) = ask(&api, "member", &create, "retry").await;
    assert!(
        code == 400 && body.to_string().contains("create anew"),
        "{body}"
    );

    let got = api
        .ask(
            "member",
            "DELETE",
            &format!("/v3/p/volumes/{id}"),
            Value::Null,
        )
        .await;
    assert_eq!(got.code, 202, "{}", got.body);
    let delete = newest(&api, &volume["id"]).await;
    end(&api, &delete, Phase::Failed).await;
    api.set_status(id, "error_deleting").await;
    assert_eq!(newest(&api, &volume["id"]).await["can_retry"], true);
    assert_eq!(ask(&api, "other", &delete, "retry").await.0, 404);
    assert_eq!(ask(&api, "reader", &delete, "retry").await.0, 403);
    let (code, body) = ask(&api, "member", &delete, "retry").await;
    assert_eq!(code, 202, "{body}");
    let again = &body["operation"];
    assert!(again["id"] != delete["id"] && again["verb"] == "delete_volume");
    // Only the last thing that was asked of an object can be asked anew.
    let (code, body) = ask(&api, "member", &delete, "retry").await;
    assert!(
        code == 400 && body.to_string().contains("came after it"),
        "{body}"
    );
    end(&api, again, Phase::Failed).await;
    api.set_status(id, "error_deleting").await;
    assert_eq!(ask(&api, "member", &delete, "retry").await.0, 400);
    assert_eq!(ask(&api, "member", again, "retry").await.0, 202);
}
