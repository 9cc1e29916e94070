//! Case 4, who is let in: a wrong secret, another host, and who is still logged in when it is detached.

use anyhow::ensure;
use ashlar_tests::Result;
use ashlar_tests::client::id;
use ashlar_tests::lab::storage::Setup;
use serde_json::json;

use crate::rig::Place;

pub(crate) fn case(place: &Place) -> Result<()> {
    place.two(Setup::default(), |storage, host| {
        let client = storage.client()?;
        let volume = id(&client.make_volume("guarded", 1)?)?;
        let body = json!({"attachment": {"volume_uuid": volume, "connector": host.connector()}});
        let made = client.post("/attachments", &body)?.expect(200)?.body["attachment"].clone();
        let (attachment, info) = (id(&made)?, made["connection_info"].clone());

        let lun = host.record(&info, Some("wrong-secret-123"))?;
        let (is_in, said) = host.is_let_in(&lun)?;
        ensure!(!is_in && said.contains("authorization failure"), "with a wrong secret: {said}");

        // The right secret, by a host that was not named.
        host.record(&info, None)?;
        // A host that was cut off gives up soon here, so that its write ends.
        let soon = "iscsiadm -m node -o update -n node.session.timeo.replacement_timeout -v 5";
        host.guest.shell.run(soon)?;
        let name = |name: &str| {
            let line = format!("echo InitiatorName={name} > /etc/iscsi/initiatorname.iscsi; systemctl restart iscsid");
            host.guest.shell.run(&line).map(|_| ())
        };
        name("iqn.1993-08.org.debian:01:other")?;
        let (is_in, said) = host.is_let_in(&lun)?;
        ensure!(!is_in && said.contains("authorization failure"), "under another name: {said}");
        name(&host.initiator())?;
        let (is_in, said) = host.is_let_in(&lun)?;
        ensure!(is_in, "with the right secret and name: {said}");
        host.wait_disk(&lun)?;

        // Who is logged in is known; taken away, it can write no more.
        let sessions = client.ashlar(reqwest::Method::GET, "/sessions", None)?.expect(200)?;
        let session = &sessions.body["sessions"][0];
        ensure!(session["initiator"] == json!(host.initiator()), "{}", sessions.text);
        ensure!(session["address"].as_str().is_some_and(|peer| peer.starts_with("10.77.0.2")), "{}", sessions.text);
        client.delete(&format!("/attachments/{attachment}"))?.expect(200)?;
        let write = format!("dd if=/dev/zero of={} bs=4k count=1 oflag=direct conv=nocreat", lun.path);
        let wrote = host.guest.shell.try_run(&write, ashlar_tests::lab::PATIENCE)?;
        ensure!(!wrote.status.success(), "a host wrote after it was detached");
        let node = "iscsiadm -m node --logout; iscsiadm -m node -o delete; udevadm settle -t 60";
        host.guest.shell.run(node)?;
        client.destroy("/volumes", &volume)
    })
}
