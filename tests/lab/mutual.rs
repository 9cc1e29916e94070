//! Both sides prove themselves: `ashlar attachment connect` demands the target's proof, a host leaves a target that
//! cannot give it, and it is the host that asks.

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use ashlar_tests::client::id;
use ashlar_tests::lab::host::Host;
use ashlar_tests::lab::storage::{Setup, Storage};
use serde_json::{Value, json};

use crate::connect::Ashlar;
use crate::rig::Place;
use crate::targetcli::{SAVED, saved};

const BY_RTSLIB: &str = "/tmp/by-rtslib.json";

pub(crate) fn case(place: &Place) -> Result<()> {
    let setup = Setup {
        listen: Some("10.77.0.1:8776"),
        target: "mutual_chap = true",
        ..Setup::default()
    };
    place.two(setup, |storage, host| {
        let client = storage.client()?;
        let volume = id(&client.make_volume("proven", 1)?)?;
        by_command(storage, host, &volume)?;

        let body = json!({"attachment": {"volume_uuid": volume, "connector": host.connector()}});
        let made = client.post("/attachments", &body)?.expect(200)?.body["attachment"].clone();
        by_hand(host, &made["connection_info"])?;
        client
            .delete(&format!("/attachments/{}", id(&made)?))?
            .expect(200)?;
        client.destroy("/volumes", &volume)
    })
}

/// The command line demands the proof, and gets it.
fn by_command(storage: &Storage, host: &Host, volume: &str) -> Result<()> {
    let iqn = format!("iqn.2010-10.org.openstack:volume-{volume}");
    let ashlar = Ashlar::new(storage, host)?;
    ashlar.one("attachment connect proven")?;
    let attachments = storage
        .client()?
        .all("/attachments/detail", "attachments")?;
    let info = &attachments.first().context("no attachment")?["connection_info"];
    let (user, secret) = proof(info)?;
    ensure!(
        secret != text(info, "auth_password")?,
        "both secrets are one"
    );
    let record = "$(find /etc/iscsi/nodes /var/lib/iscsi/nodes -type f 2>/dev/null)";
    let told = host
        .guest
        .shell
        .run(&format!("cat {record}; stat -c %a {record}"))?;
    for line in [
        format!("node.session.auth.username_in = {user}"),
        format!("node.session.auth.password_in = {secret}"),
        "600".to_owned(),
    ] {
        ensure!(told.lines().any(|one| one == line), "no {line:?} in {told}");
    }
    let shell = &storage.guest.shell;
    let acl = format!(
        "/sys/kernel/config/target/iscsi/{iqn}/tpgt_1/acls/{}/auth/authenticate_target",
        host.initiator()
    );
    let is_mutual = shell.run(&format!("cat {acl}"))?;
    ensure!(is_mutual.trim() == "1", "the kernel proves nothing");

    // What rtslib would save of it is what we saved.
    shell.run(&format!("targetctl save {BY_RTSLIB}"))?;
    let (by_rtslib, by_us) = (saved(shell, BY_RTSLIB, &iqn)?, saved(shell, SAVED, &iqn)?);
    ensure!(
        by_rtslib == by_us,
        "rtslib saves\n{by_rtslib}\nand we saved\n{by_us}"
    );
    ensure!(
        by_us.contains("chap_mutual_password"),
        "nothing is saved of it: {by_us}"
    );
    shell.run(&format!("rm {BY_RTSLIB}"))?;
    ashlar.one("attachment disconnect proven --yes")?;
    ashlar.forget()
}

/// A host that asks for no proof is let in all the same, as RFC 7143 has it and Linux since 6.1; one that was told of
/// another secret leaves.
fn by_hand(host: &Host, info: &Value) -> Result<()> {
    let lun = host.log_in(info)?;
    host.log_out(&lun)?;

    let (user, secret) = proof(info)?;
    host.record(info, None)?;
    host.demand_proof(&lun, user, "of-another-target")?;
    let (is_in, said) = host.is_let_in(&lun)?;
    ensure!(!is_in, "it logged in to a target that proved nothing");
    ensure!(said.contains("login failure"), "{said}");
    host.demand_proof(&lun, user, secret)?;
    let (is_in, said) = host.is_let_in(&lun)?;
    ensure!(is_in, "with the right proof: {said}");
    host.wait_disk(&lun)?;
    host.log_out(&lun)
}

/// What the target proves: user and secret.
fn proof(info: &Value) -> Result<(&str, &str)> {
    Ok((
        text(info, "mutual_auth_username")?,
        text(info, "mutual_auth_password")?,
    ))
}

fn text<'a>(info: &'a Value, key: &str) -> Result<&'a str> {
    info[key]
        .as_str()
        .with_context(|| format!("no {key} in the connection info"))
}
