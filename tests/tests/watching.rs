//! What an operator watches: services across a restart, the health check, metrics, and the log as JSON.

use anyhow::{Context as _, ensure};
use ashlar_tests::client::{Client, id};
use ashlar_tests::config::Config;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::initiator::{INITIATOR, connector};
use ashlar_tests::{Result, with_daemon};
use reqwest::Method;
use serde_json::{Value, json};

fn as_json() -> Config {
    Config {
        log_format: "json",
        ..Config::default()
    }
}

#[test]
fn services_keep_their_ids_across_a_kill() -> Result<()> {
    let mut daemon = Daemon::start(Config::default())?;
    let done = killed_and_back(&mut daemon);
    done.map_err(|error| error.context(daemon.last_words()))?;
    daemon.stop()
}

fn killed_and_back(daemon: &mut Daemon) -> Result<()> {
    let client = daemon.client()?;
    let volume = id(&client.make_volume("v", 1)?)?;
    let uuid = service_uuid(&client, &volume)?;
    ensure!(uuid.is_string(), "a placed volume has a service: {uuid}");
    client
        .put(
            "/os-services/disable-log-reason",
            &json!({"host": "host1@default", "binary": "cinder-volume", "disabled_reason": "disk"}),
        )?
        .expect(200)?;
    daemon.kill()?;
    daemon.start_again()?;
    let client = daemon.client()?;
    ensure!(service_uuid(&client, &volume)? == uuid, "another service");
    let services = client
        .get("/os-services?binary=cinder-volume")?
        .expect(200)?
        .body["services"]
        .clone();
    ensure!(services[0]["status"] == "disabled", "{services}");
    ensure!(services[0]["state"] == "up", "{services}");

    // What is disabled takes nothing new, and the message says why in words.
    let body = json!({"volume": {"name": "new", "size": 1}});
    let refused = id(&client.post("/volumes", &body)?.expect(202)?.body["volume"])?;
    client.wait_status("/volumes", "volume", &refused, "error")?;
    let path = format!("/messages?resource_uuid={refused}");
    let messages = client.get(&path)?.expect(200)?.body["messages"].clone();
    let text = messages[0]["user_message"].as_str().context("no message")?;
    ensure!(
        text.contains(
            "host1@default#pool is of the service host1@default, which is disabled (disk)"
        ),
        "{text}"
    );
    Ok(())
}

fn service_uuid(client: &Client, volume: &str) -> Result<Value> {
    let shown = client.get(&format!("/volumes/{volume}"))?.expect(200)?;
    Ok(shown.body["volume"]["service_uuid"].clone())
}

#[test]
fn metrics_and_health_over_the_socket() -> Result<()> {
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        client.make_volume("v", 1)?;
        client
            .send(Method::GET, "/healthcheck", &[], None)?
            .expect(200)?;
        let page = client
            .send(Method::GET, "/metrics", &[], None)?
            .expect(200)?;
        for line in [
            "ashlar_volumes{status=\"available\"} 1",
            "ashlar_operations_total{verb=\"create_volume\",phase=\"done\"} 1",
            "ashlar_pool_up{pool=\"host1@default#pool\"} 1",
            "ashlar_target_up 1",
            "ashlar_record_writable 1",
        ] {
            ensure!(page.text.contains(line), "{line} in\n{}", page.text);
        }
        Ok(())
    })
}

#[test]
fn every_line_of_an_operation_says_whose_it_is_and_no_line_has_a_secret() -> Result<()> {
    with_daemon(as_json(), |daemon| {
        let client = daemon.client()?;
        let volume = id(&client.make_volume("v", 1)?)?;
        let body =
            json!({"attachment": {"volume_uuid": volume, "connector": connector(INITIATOR)}});
        let made = client.post("/attachments", &body)?.expect(200)?;
        let info = &made.body["attachment"]["connection_info"];
        let secret = info["auth_password"].as_str().context("no secret")?;
        let request = made.header("x-openstack-request-id").context("no id")?;
        client
            .delete(&format!("/attachments/{}", id(&made.body["attachment"])?))?
            .expect(200)?;
        client.destroy("/volumes", &volume)?;

        let log = daemon.whole_log();
        ensure!(!log.contains(secret), "the CHAP secret is in the log");
        let (mut of_operations, mut of_requests) = (0, 0);
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            for span in line["spans"].as_array().into_iter().flatten() {
                let has = |key: &str| span[key].as_str().is_some_and(|text| !text.is_empty());
                if span["name"] == "operation" {
                    of_operations += 1;
                    ensure!(
                        has("request_id") && has("object_id") && has("verb"),
                        "{line}"
                    );
                }
                if span["name"] == "request" {
                    ensure!(has("request_id"), "{line}");
                }
                if line["message"] == "answered" && span["request_id"] == request {
                    of_requests += 1;
                    ensure!(
                        line["route"] == "/v3/attachments" && line["code"] == 200,
                        "{line}"
                    );
                }
            }
            let route = line["route"].as_str().unwrap_or_default();
            ensure!(
                !route.contains(volume.as_str()),
                "a path for a route: {line}"
            );
        }
        ensure!(
            of_operations >= 4,
            "only {of_operations} lines of operations"
        );
        ensure!(of_requests == 1, "{of_requests} lines of one request");
        Ok(())
    })
}
