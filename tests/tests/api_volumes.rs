//! Volumes, snapshots and types over the wire: fields, codes, refusals, pages.

use anyhow::{Context as _, ensure};
use ashlar_tests::client::id;
use ashlar_tests::config::Config;
use ashlar_tests::{Result, with_daemon};
use serde_json::{Value, json};
use uuid::Uuid;

fn fake() -> Config {
    Config {
        driver: "fake",
        ..Config::default()
    }
}

#[test]
fn a_volume_is_made_shown_changed_and_deleted() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let client = daemon.client()?;
        let body = json!({"volume": {"name": "db", "size": "2", "description": "d",
            "metadata": {"k": "v"}, "imageRef": null}});
        let made = client.post("/volumes", &body)?.expect(202)?.body["volume"].clone();
        ensure!(made["status"] == "creating" && made["size"] == 2, "{made}");
        let volume = id(&made)?;
        let shown = client.wait_status("/volumes", "volume", &volume, "available")?;
        for (field, value) in [
            ("name", json!("db")),
            ("bootable", json!("false")),
            ("encrypted", json!(false)),
            ("multiattach", json!(false)),
            ("metadata", json!({"k": "v"})),
            ("attachments", json!([])),
            ("snapshot_id", Value::Null),
            ("source_volid", Value::Null),
            ("availability_zone", json!("nova")),
        ] {
            ensure!(
                shown[field] == value,
                "{field} is {} in {shown}",
                shown[field]
            );
        }
        let change = json!({"volume": {"name": "new", "description": "e"}});
        let changed = client
            .put(&format!("/volumes/{volume}"), &change)?
            .expect(200)?;
        ensure!(changed.body["volume"]["name"] == "new", "{}", changed.text);
        client.destroy("/volumes", &volume)?;
        client
            .get(&format!("/volumes/{volume}"))?
            .expect_fault(404)?;
        client
            .delete(&format!("/volumes/{volume}"))?
            .expect_fault(404)
            .map(|_| ())
    })
}

#[test]
fn refusals_have_cinders_codes_and_change_nothing() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let client = daemon.client()?;
        let unknown = Uuid::new_v4().to_string();
        let volume = id(&client.make_volume("v", 2)?)?;
        let snapshot = client.make(
            "/snapshots",
            "snapshot",
            &json!({"volume_id": volume, "name": "s"}),
            "available",
        )?;
        let snapshot = id(&snapshot)?;
        let create = |body: Value| client.post("/volumes", &json!({ "volume": body }));
        create(json!({}))?.expect_fault(400)?;
        create(json!({"size": 1, "snapshot_id": snapshot}))?.expect_fault(400)?;
        create(json!({"size": 1, "source_volid": volume}))?.expect_fault(400)?;
        create(json!({"size": 1, "snapshot_id": unknown}))?.expect_fault(404)?;
        create(json!({"size": 1, "source_volid": unknown}))?.expect_fault(404)?;
        create(json!({"size": 1, "volume_type": "nosuch"}))?.expect_fault(404)?;
        create(json!({"size": 1, "multiattach": true}))?.expect_fault(400)?;
        create(json!({"size": 1, "name": "x".repeat(256)}))?.expect_fault(400)?;
        client.act(&volume, "os-extend", &json!({"new_size": 2}), 400)?;
        client.act(&volume, "os-extend", &json!({"new_size": 1}), 400)?;
        client.act(&volume, "revert", &json!({"snapshot_id": unknown}), 404)?;
        let kept = client
            .delete(&format!("/volumes/{volume}"))?
            .expect_fault(400)?;
        ensure!(
            kept.message().to_lowercase().contains("snapshot"),
            "{}",
            kept.text
        );
        let volumes = client.all("/volumes/detail", "volumes")?;
        ensure!(
            volumes.len() == 1 && volumes[0]["status"] == "available",
            "{volumes:?}"
        );
        client
            .delete(&format!("/volumes/{volume}?cascade=true"))?
            .expect(202)?;
        client.wait_gone("/volumes", &volume)?;
        client
            .get(&format!("/snapshots/{snapshot}"))?
            .expect_fault(404)
            .map(|_| ())
    })
}

#[test]
fn quotas_refuse_with_413_and_give_back() -> Result<()> {
    let config = Config {
        quota_count: 2,
        quota_gib: 5,
        quota_volume_gib: 4,
        ..fake()
    };
    with_daemon(config, |daemon| {
        let client = daemon.client()?;
        let create =
            |size: u64| client.post("/volumes", &json!({"volume": {"name": "q", "size": size}}));
        let refused = create(5)?.expect_fault(413)?;
        ensure!(refused.header("retry-after").is_some(), "{refused:?}");
        let first = id(&client.make_volume("one", 3)?)?;
        create(3)?.expect_fault(413)?;
        let second = id(&client.make_volume("two", 1)?)?;
        create(1)?.expect_fault(413)?;
        client.act(&second, "os-extend", &json!({"new_size": 3}), 413)?;
        client.destroy("/volumes", &first)?;
        client.act(&second, "os-extend", &json!({"new_size": 3}), 202)?;
        client
            .wait_status("/volumes", "volume", &second, "available")
            .map(|_| ())
    })
}

#[test]
fn lists_come_in_pages_that_neither_repeat_nor_lose() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let client = daemon.client()?;
        let mut made = Vec::new();
        for number in 0..7 {
            made.push(id(&client.make_volume(&format!("p{number}"), 1)?)?);
        }
        let mut seen = Vec::new();
        let mut query = "limit=3".to_owned();
        loop {
            let answer = client.get(&format!("/volumes?{query}"))?.expect(200)?;
            let page = answer.body["volumes"]
                .as_array()
                .context("no volumes")?
                .clone();
            seen.extend(page.iter().map(id).collect::<Result<Vec<_>>>()?);
            let links = answer.body["volumes_links"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let Some(next) = links.first().and_then(|link| link["href"].as_str()) else {
                break;
            };
            ensure!(links[0]["rel"] == "next" && seen.len() <= 7, "{links:?}");
            query = next.split_once('?').context("no query")?.1.to_owned();
        }
        seen.sort();
        made.sort();
        ensure!(seen == made, "{seen:?} {made:?}");
        let named = client.all("/volumes?name=p3", "volumes")?;
        ensure!(named.len() == 1 && named[0]["name"] == "p3", "{named:?}");
        let sorted = client.all("/volumes?sort=name:asc", "volumes")?;
        ensure!(
            sorted[0]["name"] == "p0" && sorted[6]["name"] == "p6",
            "{sorted:?}"
        );
        client.get("/volumes?nosuch=1")?.expect_fault(400)?;
        client
            .get("/volumes?limit=x")?
            .expect_fault(400)
            .map(|_| ())
    })
}

#[test]
fn snapshots_keep_their_volume_and_are_refused_where_they_must_be() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let client = daemon.client()?;
        let volume = id(&client.make_volume("v", 1)?)?;
        let take = |name: &str| {
            let body = json!({"volume_id": volume, "name": name, "metadata": {"k": "v"}});
            client.make("/snapshots", "snapshot", &body, "available")
        };
        let first = take("one")?;
        ensure!(
            first["volume_id"] == json!(volume) && first["size"] == 1,
            "{first}"
        );
        ensure!(first["metadata"] == json!({"k": "v"}), "{first}");
        let second = id(&take("two")?)?;
        let older = json!({"snapshot_id": id(&first)?});
        client.act(&volume, "revert", &older, 400)?;
        client.act(&volume, "revert", &json!({"snapshot_id": second}), 202)?;
        client.wait_status("/volumes", "volume", &volume, "available")?;
        client.wait_status("/snapshots", "snapshot", &second, "available")?;
        let list = client.all(
            &format!("/snapshots/detail?volume_id={volume}"),
            "snapshots",
        )?;
        ensure!(list.len() == 2, "{list:?}");
        client.destroy("/snapshots", &second)?;
        let unknown = json!({"snapshot": {"volume_id": Uuid::new_v4().to_string()}});
        client
            .post("/snapshots", &unknown)?
            .expect_fault(404)
            .map(|_| ())
    })
}

#[test]
fn types_with_extra_specs_come_and_go() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let client = daemon.client()?;
        let body = json!({"volume_type": {"name": "gold", "extra_specs": {"x:a": "b"}}});
        let made = client.post("/types", &body)?.expect(200)?.body["volume_type"].clone();
        let kind = id(&made)?;
        client.post("/types", &body)?.expect_fault(409)?;
        let specs = json!({"extra_specs": {"c": "d"}});
        client
            .post(&format!("/types/{kind}/extra_specs"), &specs)?
            .expect(200)?;
        let all = client
            .get(&format!("/types/{kind}/extra_specs"))?
            .expect(200)?;
        ensure!(
            all.body["extra_specs"] == json!({"x:a": "b", "c": "d"}),
            "{}",
            all.text
        );
        client
            .get(&format!("/types/{kind}/extra_specs/c"))?
            .expect(200)?;
        client
            .delete(&format!("/types/{kind}/extra_specs/c"))?
            .expect(202)?;
        client
            .get(&format!("/types/{kind}/extra_specs/c"))?
            .expect_fault(404)?;
        let volume = json!({"size": 1, "volume_type": "gold"});
        let volume = id(&client.make("/volumes", "volume", &volume, "available")?)?;
        client
            .delete(&format!("/types/{kind}"))?
            .expect_fault(400)?;
        client.destroy("/volumes", &volume)?;
        client.delete(&format!("/types/{kind}"))?.expect(202)?;
        let default = client.get("/types/default")?.expect(200)?;
        ensure!(
            default.body["volume_type"]["name"] == "__DEFAULT__",
            "{}",
            default.text
        );
        Ok(())
    })
}
