//! Sessions as an administrator sees them: a host that logs in for true, what it moved, and the end of its session.

use anyhow::{Context as _, ensure};
use ashlar_tests::attached::Attached;
use ashlar_tests::client::{Client, id};
use ashlar_tests::config::Config;
use ashlar_tests::initiator::INITIATOR;
use ashlar_tests::qemu::{self, Qemu};
use ashlar_tests::seed::{say, skipped};
use ashlar_tests::wait::{SOON, wait_for};
use ashlar_tests::{Result, with_daemon};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Child, Stdio};

/// A host that stays logged in: qemu-io, which does what it reads and goes when it is closed.
struct Host {
    child: Child,
}

impl Host {
    fn on(attached: &Attached) -> Result<Self> {
        let mut command = attached.disk.io_command(&[]);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        Ok(Self {
            child: command.stderr(Stdio::null()).spawn()?,
        })
    }

    fn does(&mut self, line: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("its input is closed")?;
        writeln!(stdin, "{line}")?;
        Ok(stdin.flush()?)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may be gone already; it is waited for in any case.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn sessions(client: &Client) -> Result<Vec<Value>> {
    let got = client.ashlar(Method::GET, "/sessions", None)?.expect(200)?;
    let listed = got.body["sessions"].as_array().context("no list")?;
    Ok(listed.clone())
}

/// The one session, once it is as wanted.
fn session(client: &Client, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
    wait_for(what, SOON, || {
        Ok(sessions(client)?.into_iter().find(|one| is(one)))
    })
}

#[test]
fn a_host_is_seen_and_its_session_ended() -> Result<()> {
    let qemu = match qemu::ready(say) {
        Ok(qemu) => qemu,
        Err(error) => {
            skipped("sessions", &format!("{error:#}"));
            return Ok(());
        }
    };
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        seen_and_ended(&client, &qemu)
    })
}

fn seen_and_ended(client: &Client, qemu: &Qemu) -> Result<()> {
    ensure!(sessions(client)?.is_empty(), "nobody is logged in yet");
    let volume = id(&client.make_volume("v", 1)?)?;
    let attached = Attached::new(client, qemu, &volume)?;
    let mut host = Host::on(&attached)?;
    host.does("write -P 7 0 64k")?;
    host.does("flush")?;
    let seen = session(client, "the host's write", |one| {
        one["written_bytes"].as_u64() == Some(64 << 10)
    })?;
    ensure!(seen["volume_id"] == json!(volume), "{seen}");
    ensure!(seen["initiator"] == INITIATOR, "{seen}");
    ensure!(seen["read_only"] == false && seen["last_io_at"].is_string());
    let from_here = |text: &str| text.starts_with("127.0.0.1:");
    ensure!(seen["address"].as_str().is_some_and(from_here), "{seen}");

    let kick = format!("/sessions/{}/kick", id(&seen)?);
    client.ashlar(Method::POST, &kick, None)?.expect(204)?;
    let is_left = |one: &Value| one["id"] == seen["id"];
    ensure!(!sessions(client)?.iter().any(is_left), "it is still there");
    client
        .ashlar(Method::POST, &kick, None)?
        .expect_fault(404)?;

    // It is still let in, comes back by itself, and finds what it wrote.
    host.does("read -P 7 0 64k")?;
    let back = session(client, "the host to come back and read", |one| {
        one["read_bytes"].as_u64() >= Some(64 << 10)
    })?;
    ensure!(
        back["id"] != seen["id"] && back["initiator"] == INITIATOR,
        "{back}"
    );
    drop(host);
    wait_for("the session to go with its host", SOON, || {
        Ok(sessions(client)?.is_empty().then_some(()))
    })?;
    attached.release(client)
}
