//! The wire examples of `tests/fixtures/cinder/`, replayed against one real daemon: every request answers as Cinder
//! does, and as the daemon's own OpenAPI document says. And there is one of each kind for every route.

use anyhow::{Context as _, ensure};
use ashlar_tests::client::Client;
use ashlar_tests::config::Config;
use ashlar_tests::wire::coverage::{Endpoint, complaints, endpoints};
use ashlar_tests::wire::example::{Example, Examples};
use ashlar_tests::wire::shape::Shapes;
use ashlar_tests::wire::stage::{Stage, Steps};
use ashlar_tests::{Result, with_daemon};
use reqwest::Method;
use serde_json::Value;

/// Enough for every example's own project at once.
fn config() -> Config {
    Config {
        driver: "fake",
        quota_count: 10,
        ..Config::default()
    }
}

fn documents(client: &Client) -> Result<Vec<Value>> {
    let get = |name: &str| -> Result<Value> {
        let path = format!("/openapi/{name}");
        Ok(client.ashlar(Method::GET, &path, None)?.expect(200)?.body)
    };
    Ok(vec![get("cinder-v3.json")?, get("ashlar-v1.json")?])
}

/// What is at the door needs no token and has no examples here: `api_versions.rs` tests it.
fn all_endpoints(documents: &[Value]) -> Vec<Endpoint> {
    let mut all: Vec<Endpoint> = documents.iter().flat_map(endpoints).collect();
    all.retain(|one| !["GET /", "GET /v3/", "GET /healthcheck"].contains(&one.route.as_str()));
    all
}

#[test]
fn every_example_is_answered_as_it_says() -> Result<()> {
    let (examples, shapes, steps) = (Examples::read()?, Shapes::read()?, Steps::read()?);
    with_daemon(config(), |daemon| {
        let client = daemon.client()?;
        let mut failed = Vec::new();
        for (number, example) in examples.all.iter().enumerate() {
            let mut stage = Stage::new(&client, &steps, &shapes, &format!("p{number}"));
            if let Err(error) = stage.replay(example) {
                failed.push(format!("{}\n    {error:#}", example.title()));
            }
            stage.leave()?;
        }
        let (bad, all) = (failed.len(), examples.all.len());
        ensure!(
            failed.is_empty(),
            "{bad} of {all} examples:\n{}",
            failed.join("\n")
        );
        Ok(())
    })
}

#[test]
fn every_route_has_an_example_of_each_kind() -> Result<()> {
    let examples = Examples::read()?;
    with_daemon(config(), |daemon| {
        let client = daemon.client()?;
        let endpoints = all_endpoints(&documents(&client)?);
        let routes = client.ashlar(Method::GET, "/routes", None)?.expect(200)?;
        for route in routes.body["routes"].as_array().context("no routes")? {
            let (method, path) = (route["method"].as_str(), route["path"].as_str());
            let title = format!(
                "{} {}",
                method.unwrap_or_default(),
                path.unwrap_or_default()
            );
            ensure!(
                endpoints.iter().any(|one| one.route == title),
                "{title} is in no document"
            );
        }
        let missing = complaints(&endpoints, &examples);
        ensure!(
            missing.is_empty(),
            "{} gaps in tests/fixtures/cinder/ (see docs/adding-an-operation.md):\n{}",
            missing.len(),
            missing.join("\n")
        );
        Ok(())
    })
}

#[test]
fn nobody_is_answered_without_credentials() -> Result<()> {
    with_daemon(config(), |daemon| {
        let nobody = daemon.client()?.with_token("ashlar_of_nobody", "p");
        for endpoint in all_endpoints(&documents(&daemon.client()?)?) {
            let (method, path) = endpoint.route.split_once(' ').context("no method")?;
            let path = path
                .replace("{id}", "11111111-2222-4333-8444-555555555555")
                .replace("{key}", "k");
            let answer = nobody.send(Method::from_bytes(method.as_bytes())?, &path, &[], None)?;
            answer
                .expect_fault(401)
                .with_context(|| endpoint.route.clone())?;
        }
        Ok(())
    })
}

#[test]
fn an_example_that_is_wrong_fails() -> Result<()> {
    let (shapes, steps) = (Shapes::read()?, Steps::read()?);
    let examples = Examples::read()?;
    let shows = |one: &&Example| one.route == "GET /v3/volumes/{id}" && one.code == 200;
    let right = examples.all.iter().find(shows).context("no example")?;
    with_daemon(config(), |daemon| {
        let client = daemon.client()?;
        let mut wrong = right.clone();
        wrong.body =
            Some(serde_json::json!({"volume": {"<shape>": "volume 3.0", "colour": "red"}}));
        let replayed = Stage::new(&client, &steps, &shapes, "wrong").replay(&wrong);
        ensure!(
            replayed.is_err(),
            "an answer without the field `colour` was taken"
        );
        wrong = Example {
            code: 202,
            ..right.clone()
        };
        let replayed = Stage::new(&client, &steps, &shapes, "wrong2").replay(&wrong);
        ensure!(replayed.is_err(), "another code was taken");
        Ok(())
    })
}
