//! The unmodified clients of PyPI against a real daemon, each through everything that needs no Nova; the flows are in
//! `tests/clients/`. They authenticate as a user here does: a token of Ashlar's and the endpoint, without Keystone.

use std::time::Duration;

use anyhow::ensure;
use ashlar_tests::{Result, callers, cmd, seed, venv, with_daemon};

/// A flow is a few hundred requests and a dozen starts of an interpreter's worth of imports.
const DEADLINE: Duration = Duration::from_secs(240);

fn flow(name: &str) -> Result<()> {
    let venv = match venv::get() {
        Ok(venv) => venv,
        Err(error) => {
            seed::skipped(name, &format!("{error:#}"));
            return Ok(());
        }
    };
    with_daemon(callers::config("file"), |daemon| {
        let mut command = venv.program("python");
        command
            .arg(format!("{name}_flow.py"))
            .env("ASHLAR_URL", callers::url(daemon)?)
            .env("ASHLAR_PROJECT", callers::PROJECT)
            .env("ASHLAR_MEMBER_TOKEN", callers::token(daemon, "member")?)
            .env("ASHLAR_ADMIN_TOKEN", callers::token(daemon, "admin")?)
            .env("ASHLAR_IMPORT", daemon.dir().join("pool/import"))
            .env("ASHLAR_MAXIMUM", callers::maximum(daemon)?);
        let ended = cmd::run(&mut command, DEADLINE)?;
        ensure!(
            ended.status.success() && ended.stdout.contains("done"),
            "{}{}",
            ended.stdout,
            ended.stderr
        );
        Ok(())
    })
}

#[test]
fn python_cinderclient() -> Result<()> {
    flow("cinderclient")
}

#[test]
fn python_openstackclient() -> Result<()> {
    flow("openstackclient")
}

#[test]
fn openstacksdk() -> Result<()> {
    flow("sdk")
}

/// What runs on hosts: it reads our `connection_info` and says what it would do with it.
#[test]
fn os_brick() -> Result<()> {
    flow("osbrick")
}
