//! Who may call: the unix socket's peer, tokens and their roles, and that another project's objects do not exist.

use anyhow::{Context as _, ensure};
use ashlar_tests::cli::Cli;
use ashlar_tests::client::{Client, id};
use ashlar_tests::config::Config;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::{Result, binary, with_daemon};
use reqwest::Method;
use serde_json::{Value, json};

fn tcp() -> Config {
    Config {
        driver: "fake",
        is_tcp_served: true,
        ..Config::default()
    }
}

/// A caller over TCP with a new token, made with the command line over the socket.
fn caller(daemon: &Daemon, project: &str, role: &str) -> Result<Client> {
    let cli = Cli::new(binary::ashlar()?, &daemon.socket());
    let made = cli.one(&["token", "create", project, "--role", role])?;
    let token = made["secret"].as_str().context("no token")?;
    Ok(daemon.tcp_client()?.with_token(token, project))
}

#[test]
fn the_socket_knows_its_peer() -> Result<()> {
    with_daemon(tcp(), |daemon| {
        let whoami = daemon
            .client()?
            .ashlar(Method::GET, "/whoami", None)?
            .expect(200)?;
        ensure!(whoami.body["role"] == "admin", "{}", whoami.text);
        ensure!(whoami.body["project_id"].is_string(), "{}", whoami.text);
        daemon
            .tcp_client()?
            .ashlar(Method::GET, "/whoami", None)?
            .expect_fault(401)
            .map(|_| ())
    })
}

#[test]
fn another_projects_objects_do_not_exist() -> Result<()> {
    with_daemon(tcp(), |daemon| {
        let ours = caller(daemon, "ours", "member")?;
        let theirs = caller(daemon, "theirs", "member")?;
        let volume = id(&ours.make_volume("v", 1)?)?;
        let snapshot = ours.make(
            "/snapshots",
            "snapshot",
            &json!({"volume_id": volume}),
            "available",
        )?;
        let snapshot = id(&snapshot)?;
        let held = json!({"attachment": {"volume_uuid": volume}});
        let attachment = id(&ours.post("/attachments", &held)?.expect(200)?.body["attachment"])?;
        for path in [
            format!("/volumes/{volume}"),
            format!("/snapshots/{snapshot}"),
            format!("/attachments/{attachment}"),
        ] {
            theirs.get(&path)?.expect_fault(404)?;
            theirs.delete(&path)?.expect_fault(404)?;
        }
        theirs.act(&volume, "os-extend", &json!({"new_size": 9}), 404)?;
        theirs
            .post("/snapshots", &json!({"snapshot": {"volume_id": volume}}))?
            .expect_fault(404)?;
        theirs.post("/attachments", &held)?.expect_fault(404)?;
        for body in [
            json!({"size": 1, "source_volid": volume}),
            json!({"size": 1, "snapshot_id": snapshot}),
        ] {
            theirs
                .post("/volumes", &json!({ "volume": body }))?
                .expect_fault(404)?;
        }
        ensure!(
            theirs.all("/volumes", "volumes")?.is_empty(),
            "they see ours"
        );
        ensure!(
            theirs.all("/volumes?all_tenants=1", "volumes")?.is_empty(),
            "all_tenants leaks"
        );
        // A token of theirs on our path.
        let crossed = theirs.in_project("ours");
        let answer = crossed.get("/volumes")?;
        ensure!([400, 403, 404].contains(&answer.status), "{}", answer.text);
        ensure!(ours.all("/volumes", "volumes")?.len() == 1, "ours is gone");
        Ok(())
    })
}

#[test]
fn readers_read_members_write_admins_rule() -> Result<()> {
    with_daemon(tcp(), |daemon| {
        let reader = caller(daemon, "p", "reader")?;
        let member = caller(daemon, "p", "member")?;
        let admin = caller(daemon, "p", "admin")?;
        let volume = id(&member.make_volume("v", 1)?)?;
        reader.get(&format!("/volumes/{volume}"))?.expect(200)?;
        reader
            .post("/volumes", &json!({"volume": {"size": 1}}))?
            .expect_fault(403)?;
        let refused = reader.delete(&format!("/volumes/{volume}"))?;
        ensure!(refused.status == 403, "{}", refused.text);
        let kind = json!({"volume_type": {"name": "t"}});
        member.post("/types", &kind)?.expect_fault(403)?;
        admin.post("/types", &kind)?.expect(200)?;
        let shown = |client: &Client| -> Result<Value> {
            Ok(client.get(&format!("/volumes/{volume}"))?.expect(200)?.body["volume"].clone())
        };
        ensure!(
            shown(&member)?.get("os-vol-host-attr:host").is_none(),
            "a member sees the host"
        );
        ensure!(
            shown(&admin)?["os-vol-host-attr:host"].is_string(),
            "an admin does not"
        );
        Ok(())
    })
}

#[test]
fn a_revoked_token_is_worthless_and_no_token_is_ever_logged() -> Result<()> {
    with_daemon(tcp(), |daemon| {
        let client = caller(daemon, "p", "member")?;
        client.get("/volumes")?.expect(200)?;
        let cli = Cli::new(binary::ashlar()?, &daemon.socket());
        let listed = cli.all(&["token", "list"])?;
        let ours = listed
            .iter()
            .find(|token| token["project_id"] == "p")
            .context("not listed")?;
        let secret = client.token.clone().unwrap_or_default();
        ensure!(
            !ours.to_string().contains(&secret),
            "the list shows the secret"
        );
        cli.done(&["token", "revoke", &id(ours)?, "--yes"])?;
        client.get("/volumes")?.expect_fault(401)?;
        ensure!(
            !daemon.whole_log().contains(&secret),
            "the token is in the log"
        );
        Ok(())
    })
}

#[test]
fn auth_none_serves_loopback_without_a_token() -> Result<()> {
    with_daemon(
        Config {
            auth: "none",
            ..tcp()
        },
        |daemon| {
            let client = daemon.tcp_client()?.at_home()?;
            let volume = id(&client.make_volume("open", 1)?)?;
            client.destroy("/volumes", &volume)
        },
    )
}
