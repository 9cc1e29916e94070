//! Backups over the API without a worker: what is accepted, what is shown to whom, what is refused.

use super::fixture::{Fixture, fixture};
use crate::api::auth::AuthMode;
use crate::model::service::Binary;
use crate::store::{Batch, services};
use serde_json::{Value, json};

/// A volume that lies in a pool, and a backup service that is up.
async fn with_store() -> (Fixture, String) {
    let api = fixture(AuthMode::Token).await;
    let mut batch = Batch::new();
    let beat = services::beat_values(Binary::Backup, "h@nas", "nova");
    batch.add(services::BEAT, beat);
    api.store.write(batch).await.unwrap();
    let id = api.volume(1, "v").await["id"].as_str().unwrap().to_owned();
    api.place(&id, "h@b#pool").await;
    (api, id)
}

#[tokio::test]
async fn a_backup_is_accepted_and_shown_to_its_own() {
    let (api, volume) = with_store().await;
    let body = json!({"backup": {"volume_id": volume, "name": "n", "metadata": {"k": "x"}}});
    let got = api
        .ask("member", "POST", "/v3/p/backups", body.clone())
        .await;
    assert_eq!(got.code, 202, "{}", got.body);
    let path = format!(
        "/v3/p/backups/{}",
        got.body["backup"]["id"].as_str().unwrap()
    );
    let shown = api.get("member", &path).await.body["backup"].clone();
    assert_eq!(
        (shown["status"].as_str(), shown["container"].as_str()),
        (Some("creating"), Some("nas"))
    );
    assert!(shown.get("user_id").is_none());
    let to_admin = api.get("admin", &path).await.body["backup"].clone();
    assert_eq!(to_admin["os-backup-project-attr:project_id"], "p");
    assert_eq!(
        api.get("other", &path.replace("/p/", "/q/")).await.code,
        404
    );
    assert_eq!(
        api.get("member", &format!("/v3/p/volumes/{volume}"))
            .await
            .body["volume"]["status"],
        "backing-up"
    );
    // It is not there to be copied a second time.
    assert_eq!(
        api.ask("member", "POST", "/v3/p/backups", body).await.code,
        400
    );
    let listed = api
        .get("member", "/v3/p/backups/detail?name=n&with_count=1")
        .await
        .body;
    assert_eq!(
        (listed["count"].as_i64(), &listed["backups"][0]),
        (Some(1), &shown)
    );
    let none = api
        .get(
            "member",
            &format!("/v3/p/backups?volume_id={}", shown["id"].as_str().unwrap()),
        )
        .await;
    assert_eq!(none.body["backups"], json!([]));
    let renamed = json!({"backup": {"name": "m", "description": "d"}});
    let got = api.ask("member", "PUT", &path, renamed).await;
    assert_eq!((got.code, &got.body["backup"]["name"]), (200, &json!("m")));
    assert_eq!(
        api.ask("member", "DELETE", &path, Value::Null).await.code,
        400
    );
    let restore = api
        .ask(
            "member",
            "POST",
            &format!("{path}/restore"),
            json!({"restore": {}}),
        )
        .await;
    assert_eq!(restore.code, 400);
}

#[tokio::test]
async fn what_a_delete_and_a_restore_would_do_is_told() {
    let (api, volume) = with_store().await;
    let body = json!({"backup": {"volume_id": volume}});
    let made = api.ask("member", "POST", "/v3/p/backups", body).await;
    let backup = made.body["backup"]["id"].as_str().unwrap().to_owned();
    let plan = |verb: &str, input: Value| {
        let body = json!({"verb": verb, "objects": [backup], "input": input});
        let api = &api;
        async move {
            api.ask("member", "POST", "/ashlar/v1/plan", body)
                .await
                .body["plan"]
                .clone()
        }
    };
    let delete = plan("delete_backup", json!({})).await;
    let object = &delete["objects"][0];
    assert_eq!(
        (delete["is_blocked"].as_bool(), object["level"].as_str()),
        (Some(true), Some("confirm"))
    );
    assert!(object["lost"][0].as_str().unwrap().contains(&volume));
    let restore = plan("restore_backup", json!({})).await;
    assert_eq!(restore["objects"][0]["level"], "safe");
    let over = plan("restore_backup", json!({"volume_id": volume})).await;
    assert_eq!(over["objects"][0]["level"], "type_name");
    assert!(
        over["objects"][0]["lost"][0]
            .as_str()
            .unwrap()
            .contains("everything on volume")
    );
}
