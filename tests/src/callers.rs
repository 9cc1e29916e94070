//! A daemon that programs of others call over TCP, with tokens as their users would have.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::json;

use crate::Result;
use crate::config::Config;
use crate::daemon::Daemon;

/// The project of the callers.
pub const PROJECT: &str = "proj";

/// A daemon that serves TCP on loopback; `driver` keeps its volumes.
pub fn config(driver: &'static str) -> Config {
    Config {
        driver,
        is_tcp_served: true,
        ..Config::default()
    }
}

/// A token of this role in [`PROJECT`].
pub fn token(daemon: &Daemon, role: &str) -> Result<String> {
    let wanted =
        json!({"token": {"name": role, "project_id": PROJECT, "user_id": role, "role": role}});
    let made = daemon
        .client()?
        .ashlar(Method::POST, "/tokens", Some(&wanted))?
        .expect(200)?;
    let secret = made.body["token"]["secret"].as_str();
    secret.map(str::to_owned).context("no secret")
}

/// Where it is called, without a slash at the end.
pub fn url(daemon: &Daemon) -> Result<String> {
    // Answers on TCP before its address is used by others.
    daemon.tcp_client()?;
    let address = std::fs::read_to_string(daemon.state_dir().join("api.addr"))?;
    Ok(format!("http://{}", address.trim()))
}

/// The highest microversion that it advertises.
pub fn maximum(daemon: &Daemon) -> Result<String> {
    let versions = daemon
        .client()?
        .send(Method::GET, "/v3/", &[], None)?
        .expect(200)?;
    let version = versions.body["versions"][0]["version"].as_str();
    version
        .map(str::to_owned)
        .context("no version is advertised")
}
