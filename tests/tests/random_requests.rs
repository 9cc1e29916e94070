//! schemathesis (PyPI) throws requests at every endpoint of both APIs, right and wrong ones, drawn from the daemon's own
//! OpenAPI documents with a fixed seed: none may be answered 5xx, and no answer may differ from its description.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use ashlar_tests::{Result, callers, cmd, seed, venv, with_daemon};
use reqwest::Method;

/// So long the larger document is gone through; the smaller one takes half of it.
const TIME_S: u64 = 100;
/// What it needs beside.
const GRACE: Duration = Duration::from_secs(120);
/// What is held against an answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

fn throw_at(document: &str, time_s: u64) -> Result<()> {
    let venv = match venv::get() {
        Ok(venv) => venv,
        Err(error) => {
            seed::skipped(document, &format!("{error:#}"));
            return Ok(());
        }
    };
    with_daemon(callers::config("fake"), |daemon| {
        let path = format!("/openapi/{document}");
        let served = daemon
            .client()?
            .ashlar(Method::GET, &path, None)?
            .expect(200)?;
        let file = daemon.dir().join(document);
        std::fs::write(&file, &served.text)?;
        let token = format!("X-Auth-Token: {}", callers::token(daemon, "admin")?);
        let version = format!(
            "OpenStack-API-Version: volume {}",
            callers::maximum(daemon)?
        );
        let mut command = venv.program("st");
        command
            .arg("run")
            .arg(&file)
            .args(["--url", &callers::url(daemon)?]);
        command.args(["-H", &token, "-H", &version, "--checks", CHECKS]);
        command.args([
            "--seed",
            "1",
            "--max-examples",
            "20",
            "--max-time",
            &time_s.to_string(),
        ]);
        command.args([
            "--phases",
            "examples,coverage,fuzzing,stateful",
            "--continue-on-failure",
        ]);
        command.args([
            "--suppress-health-check",
            "all",
            "--generation-database",
            "none",
            "--no-color",
        ]);
        // A stream has no end to wait for.
        command.args(["--exclude-path", "/ashlar/v1/events"]);
        command.current_dir(daemon.dir());
        let ended = cmd::run(&mut command, Duration::from_secs(time_s) + GRACE)?;
        ensure!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
        let did = ended.stdout.lines().find(|line| line.contains("generated"));
        did.context("schemathesis says nothing of requests")
            .map(|_| ())
    })
}

#[test]
fn cinders_api_answers_as_it_says() -> Result<()> {
    throw_at("cinder-v3.json", TIME_S)
}

#[test]
fn our_own_api_answers_as_it_says() -> Result<()> {
    throw_at("ashlar-v1.json", TIME_S / 2)
}
