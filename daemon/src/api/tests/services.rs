//! Services, hosts, zones and pools as an administrator asks for them, and what disabling and freezing do.

use super::fixture::{Fixture, fixture};
use crate::api::auth::AuthMode;
use crate::api::error::Body;
use crate::model::pool::PoolReport;
use crate::model::service::Binary;
use crate::model::size::GIB;
use crate::store::{Batch, pools, services};
use axum::http::Request;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a volume service and a scheduler would have written.
async fn heard(api: &Fixture) {
    let mut batch = Batch::new();
    for (binary, host) in [(Binary::Scheduler, "h"), (Binary::Volume, "h@b")] {
        batch.add(services::BEAT, services::beat_values(binary, host, "nova"));
    }
    let report = PoolReport {
        pool: "p".to_owned(),
        total_bytes: 100 * GIB,
        free_bytes: 80 * GIB,
        reserved_percentage: 0,
        max_over_subscription_ratio: 20.0,
        thin_provisioning_support: true,
        thick_provisioning_support: true,
        online_extend_support: true,
        multiattach: true,
        capabilities: BTreeMap::from([("volume_backend_name".to_owned(), "b".to_owned())]),
    };
    batch.add(
        pools::REPORT,
        pools::report_values("h@b#p", "nova", &report),
    );
    api.store.write(batch).await.unwrap();
}

async fn put(api: &Fixture, what: &str, body: Value) -> super::fixture::Got {
    api.ask("admin", "PUT", &format!("/v3/os-services/{what}"), body)
        .await
}

#[tokio::test]
async fn who_is_there() {
    let api = fixture(AuthMode::Token).await;
    heard(&api).await;
    assert_eq!(api.get("member", "/v3/p/os-services").await.code, 403);
    let all = api.get("admin", "/v3/os-services").await.body["services"].clone();
    let names = |key: &str| -> Vec<&str> {
        let all = all.as_array().unwrap().iter();
        all.map(|one| one[key].as_str().unwrap()).collect()
    };
    assert_eq!(names("binary"), ["cinder-scheduler", "cinder-volume"]);
    assert_eq!(names("host"), ["h", "h@b"]);
    assert_eq!(names("state"), ["up", "up"]);
    assert_eq!(names("status"), ["enabled", "enabled"]);
    assert_eq!(all[1]["backend_state"], "up");
    assert_eq!(all[1]["frozen"], false);
    assert!(all[0].get("frozen").is_none() && all[0].get("backend_state").is_none());
    let one = api
        .get("admin", "/v3/os-services?binary=cinder-volume&host=h@b")
        .await;
    assert_eq!(one.body["services"].as_array().unwrap().len(), 1);
    let none = api.get("admin", "/v3/os-services?host=elsewhere").await;
    assert_eq!(none.body["services"], json!([]));
    let old = Request::builder()
        .uri("/v3/os-services")
        .header("x-auth-token", "admin");
    let old = api.send(old.body(Body::empty()).unwrap()).await.body["services"][1].clone();
    assert!(old.get("cluster").is_none() && old.get("backend_state").is_none());
}

#[tokio::test]
async fn disabled_with_a_reason_and_enabled_again() {
    let api = fixture(AuthMode::Token).await;
    heard(&api).await;
    let which = json!({"host": "h@b", "binary": "cinder-volume"});
    let refused = api
        .ask("member", "PUT", "/v3/p/os-services/disable", which.clone())
        .await;
    assert_eq!(refused.code, 403);
    let with_reason = json!({"host": "h@b", "binary": "cinder-volume", "disabled_reason": "disk"});
    let got = put(&api, "disable-log-reason", with_reason).await;
    assert_eq!(
        (got.code, got.body["disabled_reason"].as_str()),
        (200, Some("disk"))
    );
    let shown = api
        .get("admin", "/v3/os-services?binary=cinder-volume")
        .await;
    let shown = shown.body["services"][0].clone();
    assert_eq!(
        (&shown["status"], &shown["disabled_reason"]),
        (&json!("disabled"), &json!("disk"))
    );
    assert_eq!(shown["state"], "up", "disabled is no matter of being there");
    let zones = api.get("reader", "/v3/p/os-availability-zone").await;
    assert_eq!(
        zones.body["availabilityZoneInfo"][0]["zoneState"]["available"],
        false
    );

    heard(&api).await; // A beat does not undo it.
    let got = put(&api, "enable", which).await;
    assert_eq!(
        (got.code, got.body["status"].as_str()),
        (200, Some("enabled"))
    );
    let shown = api
        .get("admin", "/v3/os-services?binary=cinder-volume")
        .await;
    assert_eq!(shown.body["services"][0]["disabled_reason"], Value::Null);

    let stranger = json!({"host": "h@b", "binary": "cinder-backup"});
    assert_eq!(put(&api, "disable", stranger).await.code, 404);
    assert_eq!(put(&api, "disable", json!({"host": "h@b"})).await.code, 400);
}

#[tokio::test]
async fn what_is_frozen_is_not_changed() {
    let api = fixture(AuthMode::Token).await;
    heard(&api).await;
    let volume = api.volume(1, "cold").await;
    let id = volume["id"].as_str().unwrap();
    api.place(id, "h@b#p").await;
    for _ in 0..2 {
        assert_eq!(put(&api, "freeze", json!({"host": "h@b"})).await.code, 200);
    }
    assert_eq!(
        put(&api, "freeze", json!({"host": "nobody"})).await.code,
        400
    );
    assert_eq!(put(&api, "freeze", json!({})).await.code, 400);
    let path = format!("/v3/p/volumes/{id}");
    let snapshot = json!({"snapshot": {"volume_id": id}});
    let extend = json!({"os-extend": {"new_size": 2}});
    let acts = [
        ("DELETE", path.clone(), Value::Null),
        ("POST", "/v3/p/snapshots".to_owned(), snapshot),
        ("POST", format!("{path}/action"), extend),
    ];
    for (method, path, body) in &acts {
        let got = api.ask("member", method, path, body.clone()).await;
        assert_eq!(got.code, 400, "{method} {path}");
        assert!(got.message().contains("frozen"), "{}", got.message());
    }
    assert_eq!(put(&api, "thaw", json!({"host": "h@b"})).await.code, 200);
    let (method, path, body) = &acts[1];
    assert_eq!(
        api.ask("member", method, path, body.clone()).await.code,
        202
    );
}

#[tokio::test]
async fn a_volume_names_its_service_from_3_48() {
    let api = fixture(AuthMode::Token).await;
    heard(&api).await;
    let volume = api.volume(1, "v").await;
    let id = volume["id"].as_str().unwrap();
    assert_eq!(volume["service_uuid"], Value::Null);
    api.place(id, "h@b#p").await;
    let shown = api.get("member", &format!("/v3/p/volumes/{id}")).await;
    let uuid = shown.body["volume"]["service_uuid"]
        .as_str()
        .unwrap()
        .to_owned();
    let known = services::list(&api.store).await.unwrap();
    let is_it = |one: &&crate::model::service::Service| one.binary == Binary::Volume;
    assert_eq!(known.iter().find(is_it).unwrap().id.to_string(), uuid);
    let listed = api.get("member", "/v3/p/volumes/detail").await;
    assert_eq!(listed.body["volumes"][0]["service_uuid"], uuid);
}

#[tokio::test]
async fn pools_by_name_type_and_capability() {
    let api = fixture(AuthMode::Token).await;
    heard(&api).await;
    let path = "/v3/scheduler-stats/get_pools";
    assert_eq!(
        api.get("member", "/v3/p/scheduler-stats/get_pools")
            .await
            .code,
        403
    );
    let short = api.get("admin", path).await.body;
    assert_eq!(short, json!({"pools": [{"name": "h@b#p"}]}));
    let long = api.get("admin", &format!("{path}?detail=true")).await.body["pools"][0].clone();
    let said = &long["capabilities"];
    assert_eq!(
        (&said["total_capacity_gb"], &said["free_capacity_gb"]),
        (&json!(100.0), &json!(80.0))
    );
    assert_eq!(said["max_over_subscription_ratio"], "20.0");
    assert_eq!(
        (&said["backend_state"], &said["volume_backend_name"]),
        (&json!("up"), &json!("b"))
    );
    let specs =
        json!({"volume_type": {"name": "t", "extra_specs": {"volume_backend_name": "other"}}});
    assert_eq!(api.ask("admin", "POST", "/v3/types", specs).await.code, 200);
    for (query, count) in [
        ("name=h@b%23p", 1),
        ("name=x", 0),
        ("volume_type=__DEFAULT__", 1),
        ("volume_type=t", 0),
    ] {
        let got = api.get("admin", &format!("{path}?{query}")).await;
        assert_eq!(
            got.body["pools"].as_array().unwrap().len(),
            count,
            "{query}"
        );
    }
    assert_eq!(
        api.get("admin", &format!("{path}?volume_type=no"))
            .await
            .code,
        404
    );
    assert_eq!(
        api.get("admin", &format!("{path}?colour=red")).await.code,
        400
    );
    assert_eq!(
        api.get("admin", &format!("{path}?detail=maybe")).await.code,
        400
    );
}

#[tokio::test]
async fn capabilities_of_a_backend() {
    let api = fixture(AuthMode::Token).await;
    heard(&api).await;
    let got = api.get("admin", "/v3/capabilities/h@b").await;
    assert_eq!(got.body["namespace"], "OS::Storage::Capabilities::h@b");
    assert_eq!((got.code, got.body["pool_name"].as_str()), (200, Some("p")));
    assert!(got.body["properties"]["multiattach"].is_object());
    assert_eq!(api.get("admin", "/v3/capabilities/h").await.code, 404);
    assert_eq!(api.get("member", "/v3/p/capabilities/h@b").await.code, 403);
}

#[tokio::test]
async fn hosts_and_what_projects_have_on_one() {
    let api = fixture(AuthMode::Token).await;
    heard(&api).await;
    let volume = api.volume(3, "v").await;
    api.place(volume["id"].as_str().unwrap(), "h@b#p").await;
    let hosts = api.get("admin", "/v3/os-hosts").await.body["hosts"].clone();
    assert_eq!(hosts[1]["host_name"], "h@b");
    assert_eq!(
        (&hosts[1]["service-status"], &hosts[1]["service-state"]),
        (&json!("available"), &json!("enabled"))
    );
    let none = api.get("admin", "/v3/os-hosts?zone=elsewhere").await;
    assert_eq!(none.body["hosts"], json!([]));
    let shown = api.get("admin", "/v3/os-hosts/h@b").await.body["host"].clone();
    let resource =
        |index: usize, key: &str| shown[index]["resource"][key].as_str().unwrap().to_owned();
    assert_eq!(
        (resource(0, "project"), resource(0, "total_volume_gb")),
        ("(total)".into(), "3".into())
    );
    assert_eq!(
        (resource(1, "project"), resource(1, "volume_count")),
        ("p".into(), "1".into())
    );
    assert_eq!(
        api.get("admin", "/v3/os-hosts/h").await.code,
        404,
        "no volume service"
    );
    assert_eq!(api.get("member", "/v3/p/os-hosts").await.code, 403);
    let disable = json!({"status": "disable"});
    let got = api
        .ask("admin", "PUT", "/v3/os-hosts/h@b", disable.clone())
        .await;
    assert_eq!(
        (got.code, got.body["status"].as_str()),
        (200, Some("disabled"))
    );
    assert_eq!(
        api.ask("admin", "PUT", "/v3/os-hosts/x", disable.clone())
            .await
            .code,
        404
    );
    assert_eq!(
        api.ask("member", "PUT", "/v3/p/os-hosts/h@b", disable)
            .await
            .code,
        403
    );
    let bad = json!({"status": "off"});
    assert_eq!(
        api.ask("admin", "PUT", "/v3/os-hosts/h@b", bad).await.code,
        400
    );
}

#[tokio::test]
async fn extensions_are_those_whose_routes_are_here() {
    let api = fixture(AuthMode::Token).await;
    let all = api.get("reader", "/v3/p/extensions").await.body["extensions"].clone();
    let aliases: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["alias"].as_str().unwrap())
        .collect();
    assert!(aliases.contains(&"os-services") && aliases.contains(&"scheduler-stats"));
    let here = |path: &str| {
        crate::api::routes::ROUTES
            .iter()
            .any(|route| route.path == path)
    };
    assert_eq!(aliases.contains(&"backups"), here("/v3/backups"));
    let one = api.get("reader", "/v3/p/extensions/os-hosts").await;
    assert_eq!(one.body["extension"]["name"], "Hosts");
    assert_eq!(
        api.get("reader", "/v3/p/extensions/nothing").await.code,
        404
    );
}
