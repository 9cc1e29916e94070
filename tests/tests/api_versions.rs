//! Version documents and the negotiation of microversions, as unmodified clients rely on them.

use anyhow::{Context as _, ensure};
use ashlar_tests::client::id;
use ashlar_tests::config::Config;
use ashlar_tests::{Result, with_daemon};
use reqwest::Method;
use serde_json::{Value, json};

fn fake() -> Config {
    Config {
        driver: "fake",
        ..Config::default()
    }
}

fn v3(document: &Value) -> Result<Value> {
    let all = document["versions"].as_array().context("no versions")?;
    all.iter()
        .find(|version| version["id"] == "v3.0")
        .cloned()
        .context("no v3.0")
}

#[test]
fn the_version_documents_need_no_token_and_agree() -> Result<()> {
    with_daemon(
        Config {
            is_tcp_served: true,
            ..fake()
        },
        |daemon| {
            let client = daemon.tcp_client()?.without_microversion();
            let root = client.send(Method::GET, "/", &[], None)?.expect(300)?;
            let v3_root = client.send(Method::GET, "/v3/", &[], None)?.expect(200)?;
            for document in [&root.body, &v3_root.body] {
                let version = v3(document)?;
                ensure!(
                    version["status"] == "CURRENT" && version["min_version"] == "3.0",
                    "{version}"
                );
                ensure!(
                    version["links"].is_array() && version["media-types"].is_array(),
                    "{version}"
                );
            }
            ensure!(
                v3(&root.body)?["version"] == v3(&v3_root.body)?["version"],
                "they differ"
            );
            client
                .send(Method::GET, "/healthcheck", &[], None)?
                .expect(200)
                .map(|_| ())
        },
    )
}

#[test]
fn the_requested_version_is_echoed_and_latest_is_the_advertised_maximum() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let client = daemon.client()?;
        let max = v3(&client.send(Method::GET, "/", &[], None)?.body)?["version"].clone();
        let max = max.as_str().context("no maximum")?.to_owned();
        let minor: u32 = max.trim_start_matches("3.").parse()?;
        ensure!(minor >= 44, "nova attaches from 3.44 on, offered is {max}");
        for (asked, got) in [("3.0", "3.0"), ("3.27", "3.27"), ("latest", max.as_str())] {
            let answer = client.at(asked).get("/volumes")?.expect(200)?;
            let echoed = answer.header("openstack-api-version").unwrap_or_default();
            ensure!(
                echoed == format!("volume {got}"),
                "asked {asked}, echoed {echoed}"
            );
            let vary = answer.header("vary").unwrap_or_default();
            ensure!(vary.contains("OpenStack-API-Version"), "Vary is {vary:?}");
        }
        let none = client.without_microversion();
        let answer = none.get("/volumes")?.expect(200)?;
        ensure!(
            answer.header("openstack-api-version") == Some("volume 3.0"),
            "{answer:?}"
        );
        client
            .at(&format!("3.{}", minor + 1))
            .get("/volumes")?
            .expect(406)?;
        client
            .at("nonsense")
            .get("/volumes")?
            .expect_fault(400)
            .map(|_| ())
    })
}

#[test]
fn what_is_newer_than_the_version_asked_for_does_not_exist() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let client = daemon.client()?;
        client.at("3.26").get("/attachments")?.expect_fault(404)?;
        client.at("3.27").get("/attachments")?.expect(200)?;
        let volume = id(&client.make_volume("v", 1)?)?;
        let old = client
            .at("3.0")
            .get(&format!("/volumes/{volume}"))?
            .expect(200)?;
        let new = client.get(&format!("/volumes/{volume}"))?.expect(200)?;
        ensure!(
            old.body["volume"]["volume_type_id"].is_null(),
            "{}",
            old.text
        );
        ensure!(
            new.body["volume"]["volume_type_id"].is_string(),
            "{}",
            new.text
        );
        ensure!(
            old.body["volume"].get("shared_targets").is_none(),
            "{}",
            old.text
        );
        ensure!(
            new.body["volume"]["shared_targets"] == json!(false),
            "{}",
            new.text
        );
        Ok(())
    })
}

/// The project in the path may be left out from 3.67 on; both forms are routed.
#[test]
fn every_answer_carries_a_request_id_and_times_as_gophercloud_parses_them() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let client = daemon.client()?;
        let volume = client.make_volume("v", 1)?;
        let created = volume["created_at"].as_str().context("no created_at")?;
        ensure!(
            created.len() == "2026-01-01T00:00:00.000000".len(),
            "{created}"
        );
        ensure!(
            !created.ends_with('Z') && created.contains('T'),
            "{created}"
        );
        for path in ["/volumes", "/volumes/nosuch", "/nosuch"] {
            let answer = client.get(path)?;
            ensure!(
                answer.header("x-compute-request-id").is_some(),
                "{path}: {answer:?}"
            );
        }
        Ok(())
    })
}
