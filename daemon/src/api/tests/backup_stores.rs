//! Backups and their stores over our own API, without a worker: who may ask, and what is shown when a store does not answer.

use super::fixture::{Fixture, fixture};
use crate::api::auth::AuthMode;
use crate::model::backup::{Depth, Verified};
use crate::model::backup_store::Reported;
use crate::model::service::Binary;
use crate::model::status::BackupStatus;
use crate::model::time::Time;
use crate::store::statuses::{self, Noun};
use crate::store::{Batch, backup_stores, backups, services};
use serde_json::{Value, json};

/// Two stores, of which `h@nas` answers and is up, and `far@nas` never opened.
async fn with_stores() -> Fixture {
    let api = fixture(AuthMode::Token).await;
    let mut batch = Batch::new();
    let beat = services::beat_values(Binary::Backup, "h@nas", "nova");
    batch.add(services::BEAT, beat);
    let report = Reported {
        location: "/srv/backup".to_owned(),
        repository_id: "r".to_owned(),
        used_bytes: 7,
        free_bytes: None,
        backups: 2,
        at: Time::now(),
    };
    backup_stores::reported(&mut batch, "h@nas", "restic", &report);
    let why = "the directory is empty";
    backup_stores::failed(&mut batch, "far@nas", "restic", why, &Time::now());
    api.store.write(batch).await.unwrap();
    api
}

/// A backup of a volume that lies in a pool, available.
async fn with_backup(api: &Fixture) -> String {
    let volume = api.volume(1, "v").await["id"].as_str().unwrap().to_owned();
    api.place(&volume, "h@b#pool").await;
    let body = json!({"backup": {"volume_id": volume}});
    let made = api.ask("member", "POST", "/v3/p/backups", body).await;
    let id = made.body["backup"]["id"].as_str().unwrap().to_owned();
    let mut batch = Batch::new();
    let (from, to) = ([BackupStatus::Creating], BackupStatus::Available);
    statuses::change(&mut batch, Noun::Backup, &id, &from, to);
    api.store.write(batch).await.unwrap();
    id
}

#[tokio::test]
async fn stores_are_shown_to_administrators_also_those_that_are_silent() {
    let api = with_stores().await;
    let path = "/ashlar/v1/backup-stores";
    assert_eq!(api.get("member", path).await.code, 403);
    let listed = api.get("admin", path).await.body["backup_stores"].clone();
    let (silent, there) = (&listed[0], &listed[1]);
    assert_eq!(
        (
            silent["host"].as_str(),
            silent["is_up"].as_bool(),
            silent["failure"].as_str()
        ),
        (Some("far@nas"), Some(false), Some("the directory is empty"))
    );
    assert_eq!(
        (
            there["is_up"].as_bool(),
            there["backups"].as_i64(),
            there["rows"].as_i64()
        ),
        (Some(true), Some(2), Some(0))
    );
    // By its name the one that is up; by its service each.
    let shown = |named: &'static str| {
        let api = &api;
        async move { api.get("admin", &format!("{path}/{named}")).await }
    };
    let nas = shown("nas").await.body["backup_store"].clone();
    assert_eq!(
        (nas["host"].as_str(), &nas["last_import"]),
        (Some("h@nas"), &Value::Null)
    );
    assert_eq!(shown("far@nas").await.body["backup_store"]["is_up"], false);
    assert_eq!(shown("tape").await.code, 404);
    assert_eq!(shown("a%2Fb").await.code, 404);
}

#[tokio::test]
async fn the_import_of_a_store_is_an_operation_of_its_service() {
    let api = with_stores().await;
    let import = |who: &'static str, named: &'static str| {
        let api = &api;
        let path = format!("/ashlar/v1/backup-stores/{named}/import");
        async move { api.ask(who, "POST", &path, Value::Null).await }
    };
    assert_eq!(import("member", "nas").await.code, 403);
    for named in ["nas", "h@nas"] {
        let begun = import("admin", named).await;
        let operation = &begun.body["operation"];
        assert_eq!(
            (
                begun.code,
                operation["object_id"].as_str(),
                operation["verb"].as_str()
            ),
            (202, Some("h@nas"), Some("import_store"))
        );
    }
    assert_eq!(import("admin", "tape").await.code, 404);
    let none = import("admin", "far@nas").await;
    assert_eq!(none.code, 503);
    assert!(
        none.message().contains("cinder-backup"),
        "{}",
        none.message()
    );
}

#[tokio::test]
async fn a_look_is_begun_by_the_owner_and_its_findings_are_shown() {
    let api = with_stores().await;
    let id = with_backup(&api).await;
    let path = format!("/ashlar/v1/backups/{id}");
    let verify = |who: &'static str, body: Value| {
        let (api, path) = (&api, format!("{path}/verify"));
        async move { api.ask(who, "POST", &path, body).await }
    };
    assert_eq!(verify("other", json!({})).await.code, 404);
    assert_eq!(verify("reader", json!({})).await.code, 403);
    assert_eq!(verify("member", json!({"depth": "deep"})).await.code, 400);
    // The copy holds it still.
    assert_eq!(verify("member", json!({"depth": "data"})).await.code, 409);
    let shown = api.get("member", &path).await.body["backup"].clone();
    assert_eq!(
        (&shown["last_verified_at"], &shown["findings"]),
        (&Value::Null, &json!([]))
    );

    let found = Verified {
        at: Time::now(),
        depth: Depth::Data,
        findings: vec!["pack 1 is missing".to_owned()],
    };
    let mut batch = Batch::new();
    backups::verified(&mut batch, id.parse().unwrap(), &found);
    api.store.write(batch).await.unwrap();
    let drill = format!("{path}/drill");
    for (who, code) in [("other", 404), ("reader", 403), ("member", 409)] {
        let answer = api.ask(who, "POST", &drill, Value::Null).await;
        assert_eq!(answer.code, code, "{who}: {}", answer.message());
    }
    let shown = api.get("admin", &path).await.body["backup"].clone();
    assert_eq!(shown["last_proven_at"], Value::Null);
    assert_eq!(
        (&shown["last_verified_result"], &shown["findings"][0]),
        (&json!("damaged"), &json!("pack 1 is missing"))
    );
    let of_volume = format!(
        "/ashlar/v1/backups?volume_id={}",
        shown["volume_id"].as_str().unwrap()
    );
    let listed = api.get("member", &of_volume).await.body["backups"].clone();
    assert_eq!(listed[0]["last_verified_depth"], "data");
    assert_eq!(
        api.get("other", &of_volume).await.body["backups"],
        json!([])
    );
    assert_eq!(api.get("other", &path).await.code, 404);
}
