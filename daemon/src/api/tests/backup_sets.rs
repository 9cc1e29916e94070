//! Backup sets over the API without a worker: what is accepted, shown to whom, refused.

use super::fixture::{Fixture, Got, fixture};
use crate::api::auth::AuthMode;
use crate::model::service::Binary;
use crate::store::{Batch, services};
use serde_json::{Value, json};

const SETS: &str = "/ashlar/v1/backup-sets";

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

async fn make(api: &Fixture, set: Value) -> Got {
    api.ask("member", "POST", SETS, json!({"backup_set": set}))
        .await
}

#[tokio::test]
async fn a_set_is_made_shown_changed_and_deleted_by_its_own() {
    let (api, volume) = with_store().await;
    let said = json!({"name": "nightly", "volumes": {"ids": [volume]}, "schedule": "0 2 * * *",
        "incremental": true, "full_every": 7, "retention": {"keep_daily": 7, "keep_weekly": 4}});
    let got = make(&api, said).await;
    assert_eq!(got.code, 201, "{}", got.body);
    let set = got.body["backup_set"].clone();
    assert_eq!(
        (&set["enabled"], &set["last_run"]),
        (&json!(true), &Value::Null)
    );
    assert!(
        set["next_at"]
            .as_str()
            .unwrap()
            .ends_with("T02:00:00.000000")
    );
    let path = format!("{SETS}/{}", set["id"].as_str().unwrap());
    assert_eq!(api.get("reader", &path).await.body["backup_set"], set);
    assert_eq!(api.get("other", &path).await.code, 404);
    assert_eq!(api.get("other", SETS).await.body["backup_sets"], json!([]));
    assert_eq!(
        api.get("member", SETS).await.body["backup_sets"],
        json!([set])
    );
    let all = api
        .get("admin", &format!("{SETS}?all_tenants=1&name=nightly"))
        .await;
    assert_eq!(all.body["backup_sets"], json!([set]));
    let change = json!({"backup_set": {"schedule": null, "retention": null, "description": "d"}});
    for (token, code) in [("reader", 403), ("other", 404), ("member", 200)] {
        assert_eq!(
            api.ask(token, "PUT", &path, change.clone()).await.code,
            code,
            "{token}"
        );
    }
    let changed = api.get("member", &path).await.body["backup_set"].clone();
    assert_eq!(
        (&changed["schedule"], &changed["next_at"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(changed["retention"]["keep_daily"], 0);
    assert_eq!(
        (&changed["name"], &changed["volumes"]),
        (&set["name"], &set["volumes"])
    );
    assert_eq!(
        api.ask("other", "DELETE", &path, Value::Null).await.code,
        404
    );
    assert_eq!(
        api.ask("member", "DELETE", &path, Value::Null).await.code,
        204
    );
    assert_eq!(
        api.ask("member", "DELETE", &path, Value::Null).await.code,
        404
    );
}

#[tokio::test]
async fn a_run_is_begun_once_and_told_of() {
    let (api, volume) = with_store().await;
    let set = make(&api, json!({"name": "n", "volumes": {"name": "v*"}})).await;
    let path = format!("{SETS}/{}", set.body["backup_set"]["id"].as_str().unwrap());
    let plan = api
        .ask("member", "POST", &format!("{path}/plan"), Value::Null)
        .await;
    let plan = &plan.body["backup_plan"];
    assert_eq!(
        plan["volumes"],
        json!([{"id": volume, "name": "v", "size": 1, "is_full": true, "problem": null}])
    );
    assert_eq!(plan["backups"], json!([]));
    let run = format!("{path}/run");
    assert_eq!(api.ask("reader", "POST", &run, Value::Null).await.code, 403);
    assert_eq!(api.ask("other", "POST", &run, Value::Null).await.code, 404);
    let begun = api.ask("member", "POST", &run, Value::Null).await;
    assert_eq!(begun.code, 202, "{}", begun.body);
    let begun = begun.body["backup_run"].clone();
    assert_eq!(
        (&begun["cause"], &begun["volumes"]["waiting"]),
        (&json!("asked"), &json!(1))
    );
    let again = api.ask("member", "POST", &run, Value::Null).await;
    assert_eq!(again.code, 409);
    assert!(
        again.message().contains(begun["id"].as_str().unwrap()),
        "{}",
        again.message()
    );
    let shown = api.get("member", &path).await;
    assert_eq!(shown.body["backup_set"]["last_run"], begun);
    let calendar = api.get("member", "/ashlar/v1/backup-calendar").await;
    assert_eq!(calendar.body["backup_calendar"][0]["run"], begun);
    let queue = api.get("member", "/ashlar/v1/backup-queue").await;
    assert_eq!(queue.body["backup_queue"], json!([]));
    // What a volume's status does not allow, a plan says of it.
    api.set_status(&volume, "error").await;
    let plan = api
        .ask("member", "POST", &format!("{path}/plan"), Value::Null)
        .await;
    let problem = plan.body["backup_plan"]["volumes"][0]["problem"].clone();
    assert!(
        problem.as_str().unwrap().contains("status is error"),
        "{problem}"
    );
}

#[tokio::test]
async fn what_is_queued_is_told_with_its_place() {
    let (api, volume) = with_store().await;
    let body = json!({"backup": {"volume_id": volume}});
    let made = api.ask("member", "POST", "/v3/p/backups", body).await;
    let queue = api.get("member", "/ashlar/v1/backup-queue").await;
    let one = &queue.body["backup_queue"][0];
    assert_eq!(one["object_id"], made.body["backup"]["id"]);
    assert_eq!(
        (&one["verb"], &one["position"], &one["at_once"]),
        (&json!("create_backup"), &json!(1), &json!(2))
    );
    let other = api.get("other", "/ashlar/v1/backup-queue").await;
    assert_eq!(other.body["backup_queue"], json!([]));
    let admins = api.get("admin", "/ashlar/v1/backup-queue").await;
    assert_eq!(admins.body, queue.body);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let (api, volume) = with_store().await;
    for (said, word) in [
        (json!({"volumes": {"all": true}}), "name"),
        (json!({"name": "n"}), "volumes"),
        (json!({"name": "n", "volumes": {"ids": []}}), "volumes.ids"),
        (
            json!({"name": "n", "volumes": {"ids": [volume, volume]}}),
            "each once",
        ),
        (
            json!({"name": "n", "volumes": {"all": true}, "schedule": "0 0 30 2 *"}),
            "never come",
        ),
        (
            json!({"name": "n", "volumes": {"all": true}, "schedule": "61 * * * *"}),
            "minute",
        ),
    ] {
        let got = make(&api, said).await;
        assert_eq!(got.code, 400, "{}", got.body);
        assert!(got.message().contains(word), "{}", got.message());
    }
    let foreign = json!({"backup_set": {"name": "n", "volumes": {"ids": [volume]}}});
    for token in ["other", "admin"] {
        // Also an administrator's set is of the administrator's own project.
        let got = api.ask(token, "POST", SETS, foreign.clone()).await;
        assert_eq!(
            (got.code, got.message().contains(&volume)),
            (404, true),
            "{token}"
        );
    }
    for query in [
        "from=soon",
        "from=2026-01-02&to=2026-01-01",
        "from=2024-01-01&to=2026-01-01",
    ] {
        let got = api
            .get("member", &format!("/ashlar/v1/backup-calendar?{query}"))
            .await;
        assert_eq!(got.code, 400, "{query}");
    }
    let got = api
        .get(
            "member",
            "/ashlar/v1/backup-calendar?from=2026-01-01&to=2026-02-01",
        )
        .await;
    assert_eq!(got.body["from"], "2026-01-01T00:00:00.000000");
}
