//! Attachments, new way and old way, over the wire: fields, statuses, refusals. What is behind them is in `oracle.rs`.

use anyhow::{Context as _, ensure};
use ashlar_tests::client::{Client, id};
use ashlar_tests::config::Config;
use ashlar_tests::initiator::{INITIATOR, connector};
use ashlar_tests::{Result, discovery, with_daemon};
use serde_json::{Value, json};
use uuid::Uuid;

fn status(client: &Client, volume: &str) -> Result<String> {
    let answer = client.get(&format!("/volumes/{volume}"))?.expect(200)?;
    Ok(answer.body["volume"]["status"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

fn is_exported(portal: &str, volume: &str) -> Result<bool> {
    Ok(discovery::targets(portal, INITIATOR)?
        .iter()
        .any(|iqn| iqn.contains(volume)))
}

#[test]
fn reserve_connect_complete_release() -> Result<()> {
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        let volume = id(&client.make_volume("v", 1)?)?;
        let server = Uuid::new_v4().to_string();
        let body = json!({"attachment": {"volume_uuid": volume, "instance_uuid": server}});
        let made = client.post("/attachments", &body)?.expect(200)?.body["attachment"].clone();
        ensure!(
            made["status"] == "reserved" && made["instance"] == json!(server),
            "{made}"
        );
        ensure!(status(&client, &volume)? == "reserved", "not reserved");
        let path = format!("/attachments/{}", id(&made)?);
        let body = json!({"attachment": {"connector": connector(INITIATOR)}});
        let connected = client.put(&path, &body)?.expect(200)?.body["attachment"].clone();
        let info = &connected["connection_info"];
        for (field, value) in [
            ("driver_volume_type", json!("iscsi")),
            ("target_portal", json!(daemon.portal())),
            (
                "target_iqn",
                json!(format!("iqn.2010-10.org.openstack:volume-{volume}")),
            ),
            ("auth_method", json!("CHAP")),
            ("access_mode", json!("rw")),
            ("attachment_id", made["id"].clone()),
        ] {
            ensure!(info[field] == value, "{field} is {} in {info}", info[field]);
        }
        ensure!(
            info["target_lun"].is_u64() && info["auth_password"].is_string(),
            "{info}"
        );
        ensure!(
            is_exported(daemon.portal(), &volume)?,
            "no target is shown to the host"
        );
        client
            .post(&format!("{path}/action"), &json!({"os-complete": {}}))?
            .expect(204)?;
        ensure!(status(&client, &volume)? == "in-use", "not in use");
        let shown = client.get(&format!("/volumes/{volume}"))?.expect(200)?;
        let listed = &shown.body["volume"]["attachments"][0];
        ensure!(listed["server_id"] == json!(server), "{}", shown.text);
        ensure!(listed["attachment_id"] == made["id"], "{}", shown.text);
        client
            .delete(&format!("/volumes/{volume}"))?
            .expect_fault(400)?;
        let left = client.delete(&path)?.expect(200)?;
        ensure!(left.body["attachments"] == json!([]), "{}", left.text);
        ensure!(status(&client, &volume)? == "available", "not available");
        ensure!(!is_exported(daemon.portal(), &volume)?, "still exported");
        let log = daemon.whole_log();
        let secret = info["auth_password"].as_str().context("no secret")?;
        ensure!(!log.contains(secret), "the CHAP secret is in the log");
        Ok(())
    })
}

#[test]
fn a_second_host_and_wrong_statuses_are_refused() -> Result<()> {
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        let volume = id(&client.make_volume("v", 1)?)?;
        let attach = |body: Value| client.post("/attachments", &json!({ "attachment": body }));
        attach(json!({"volume_uuid": Uuid::new_v4().to_string()}))?.expect_fault(404)?;
        attach(json!({"volume_uuid": volume, "connector": {"host": "h"}}))?.expect_fault(400)?;
        let first = attach(json!({"volume_uuid": volume, "connector": connector(INITIATOR)}))?;
        let first = id(&first.expect(200)?.body["attachment"])?;
        let other = json!({"volume_uuid": volume, "connector": connector("iqn.2000-01.x:other")});
        attach(other)?.expect_fault(400)?;
        client.act(&volume, "os-reserve", &Value::Null, 400)?;
        let body = json!({"os-complete": null});
        client
            .at("3.43")
            .post(&format!("/attachments/{first}/action"), &body)?
            .expect_fault(404)?;
        let unknown = format!("/attachments/{}", Uuid::new_v4());
        client.get(&unknown)?.expect_fault(404)?;
        client.delete(&unknown)?.expect_fault(404)?;
        client
            .delete(&format!("/attachments/{first}"))?
            .expect(200)?;
        ensure!(
            discovery::targets(daemon.portal(), INITIATOR)?.is_empty(),
            "still exported"
        );
        Ok(())
    })
}

#[test]
fn cinders_legacy_calls_attach_and_detach() -> Result<()> {
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        let volume = id(&client.make_volume("v", 1)?)?;
        let act = |action: &str, body: Value, code: u16| client.act(&volume, action, &body, code);
        let is = |wanted: &str| -> Result<()> {
            let found = status(&client, &volume)?;
            ensure!(found == wanted, "it is {found}, not {wanted}");
            Ok(())
        };
        act("os-begin_detaching", Value::Null, 400)?;
        act("os-reserve", Value::Null, 202)?;
        is("attaching")?;
        act("os-unreserve", Value::Null, 202)?;
        is("available")?;
        act("os-reserve", json!({}), 202)?;
        act(
            "os-initialize_connection",
            json!({"connector": {"host": "h"}}),
            400,
        )?;
        let connector = json!({"connector": connector(INITIATOR)});
        let answer = act("os-initialize_connection", connector.clone(), 200)?;
        let info = &answer.body["connection_info"];
        ensure!(info["driver_volume_type"] == "iscsi", "{}", answer.text);
        ensure!(
            info["data"]["target_portal"] == json!(daemon.portal()),
            "{}",
            answer.text
        );
        ensure!(
            is_exported(daemon.portal(), &volume)?,
            "no target is shown to the host"
        );
        let server = Uuid::new_v4().to_string();
        let attach = json!({"instance_uuid": server, "mountpoint": "/dev/vdb", "mode": "rw"});
        act("os-attach", attach, 202)?;
        is("in-use")?;
        act("os-begin_detaching", Value::Null, 202)?;
        is("detaching")?;
        act("os-roll_detaching", Value::Null, 202)?;
        is("in-use")?;
        act("os-begin_detaching", Value::Null, 202)?;
        act("os-terminate_connection", connector, 202)?;
        act("os-detach", json!({}), 202)?;
        is("available")?;
        ensure!(!is_exported(daemon.portal(), &volume)?, "still exported");
        client.destroy("/volumes", &volume)
    })
}

#[test]
fn an_extend_in_use_is_for_clients_that_know_of_it() -> Result<()> {
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        let volume = id(&client.make_volume("v", 1)?)?;
        let body =
            json!({"attachment": {"volume_uuid": volume, "connector": connector(INITIATOR)}});
        let made = client.post("/attachments", &body)?.expect(200)?;
        let path = format!("/attachments/{}", id(&made.body["attachment"])?);
        client
            .post(&format!("{path}/action"), &json!({"os-complete": null}))?
            .expect(204)?;
        let extend = json!({"new_size": 2});
        client.at("3.41").act(&volume, "os-extend", &extend, 400)?;
        client.act(&volume, "os-extend", &extend, 202)?;
        client.wait_status("/volumes", "volume", &volume, "in-use")?;
        let snapshot = json!({"snapshot": {"volume_id": volume}});
        client
            .at("3.65")
            .post("/snapshots", &snapshot)?
            .expect_fault(400)?;
        client.post("/snapshots", &snapshot)?.expect(202)?;
        client.wait_quiet()?;
        client.delete(&path)?.expect(200).map(|_| ())
    })
}
