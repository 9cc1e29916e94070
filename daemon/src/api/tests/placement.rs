//! A placement that is only reckoned: where a volume would go, why nowhere, and that nothing is written.

use super::fixture::{Fixture, Got, fixture};
use crate::api::auth::AuthMode;
use crate::model::id::VolumeId;
use crate::model::pool::PoolReport;
use crate::model::service::Binary;
use crate::model::size::GIB;
use crate::store::{Batch, events, pools, services};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Two pools of one backend, with so much room each.
async fn with_pools() -> Fixture {
    let api = fixture(AuthMode::Token).await;
    let mut batch = Batch::new();
    let beat = services::beat_values(Binary::Volume, "h@b", "nova");
    batch.add(services::BEAT, beat);
    for (pool, free_gib) in [("small", 10), ("large", 40)] {
        let report = PoolReport {
            pool: pool.to_owned(),
            total_bytes: free_gib * GIB,
            free_bytes: free_gib * GIB,
            reserved_percentage: 0,
            max_over_subscription_ratio: 1.0,
            thin_provisioning_support: true,
            thick_provisioning_support: true,
            online_extend_support: true,
            multiattach: true,
            capabilities: BTreeMap::new(),
        };
        let values = pools::report_values(&format!("h@b#{pool}"), "nova", &report);
        batch.add(pools::REPORT, values);
    }
    api.store.write(batch).await.unwrap();
    api
}

async fn reckon(api: &Fixture, token: &str, volume: Value) -> Got {
    let body = json!({ "volume": volume });
    api.ask(token, "POST", "/ashlar/v1/placement", body).await
}

#[tokio::test]
async fn where_a_volume_would_go_and_why_nowhere() {
    let api = with_pools().await;
    assert_eq!(reckon(&api, "member", json!({"size": 1})).await.code, 403);
    let before = events::span(&api.store).await.unwrap();
    let got = reckon(&api, "admin", json!({"size": 20, "name": "v"})).await;
    assert_eq!(got.code, 200, "{}", got.body);
    let placement = &got.body["placement"];
    assert_eq!(placement["winner"], "h@b#large", "{placement}");
    assert_eq!(placement["request"]["need"], json!({"new_gib": 20}));
    let pools = placement["pools"].as_array().unwrap();
    assert_eq!(pools.len(), 2);
    for pool in pools {
        assert_eq!(pool["passed"], pool["pool"] == "h@b#large", "{pool}");
        assert!(!pool["verdicts"].as_array().unwrap().is_empty());
    }

    let nowhere = reckon(&api, "admin", json!({"size": 49})).await;
    let placement = &nowhere.body["placement"];
    assert_eq!((nowhere.code, &placement["winner"]), (200, &Value::Null));
    let reason = placement["reason"].as_str().unwrap();
    assert!(reason.contains("49 GiB"), "{reason}");
    let away = reckon(
        &api,
        "admin",
        json!({"size": 1, "availability_zone": "mars"}),
    )
    .await;
    assert_eq!(away.body["placement"]["winner"], Value::Null);

    assert_eq!(events::span(&api.store).await.unwrap(), before);
    let listed = api.get("admin", "/v3/volumes?all_tenants=1").await;
    assert_eq!(listed.body["volumes"], json!([]));
    let begun = api
        .get("admin", "/ashlar/v1/operations?all_tenants=1")
        .await;
    assert_eq!(begun.body["operations"], json!([]));
}

#[tokio::test]
async fn a_copy_would_go_where_its_source_lies() {
    let api = with_pools().await;
    let made = api.volume(2, "source").await;
    let id = made["id"].as_str().unwrap();
    api.place(id, "h@b#small").await;
    let got = reckon(&api, "admin", json!({"source_volid": id})).await;
    assert_eq!(got.code, 200, "{}", got.body);
    assert_eq!(got.body["placement"]["winner"], "h@b#small");
    let less = reckon(&api, "admin", json!({"source_volid": id, "size": 1})).await;
    assert_eq!(less.code, 400);
    let unknown = VolumeId::random().to_string();
    let got = reckon(&api, "admin", json!({"source_volid": unknown, "size": 1})).await;
    assert_eq!(got.code, 404);
    let no_type = json!({"size": 1, "volume_type": "none"});
    assert_eq!(reckon(&api, "admin", no_type).await.code, 404);
    for bad in [json!({}), json!({"size": 0}), json!({"size": "x"})] {
        let code = reckon(&api, "admin", bad.clone()).await.code;
        assert_eq!(code, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_plan_of_a_retype_says_where_the_volume_would_move() {
    let api = with_pools().await;
    let types = "/v3/ops/types";
    let specs = json!({"provisioning:type": "thick"});
    let body = json!({"volume_type": {"name": "thick", "extra_specs": specs}});
    assert_eq!(api.ask("admin", "POST", types, body).await.code, 200);
    let id = api.volume(1, "v").await["id"].as_str().unwrap().to_owned();
    api.place(&id, "h@b#small").await;
    let breaks = |policy: &'static str| {
        let (api, id) = (&api, &id);
        async move {
            let input = json!({"new_type": "thick", "migration_policy": policy});
            let body = json!({"verb": "retype_volume", "objects": [id], "input": input});
            let got = api.ask("member", "POST", "/ashlar/v1/plan", body).await;
            assert_eq!(got.code, 200, "{}", got.body);
            got.body["plan"]["objects"][0]["breaks"].to_string()
        }
    };
    let moves = breaks("on-demand").await;
    for words in ["from pool h@b#small to pool h@b#large", "up to 1 GiB"] {
        assert!(moves.contains(words), "{moves}");
    }
    assert_eq!(breaks("never").await, "[]");
}
