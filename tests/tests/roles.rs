//! api and volume as two processes on one state directory, joined only by the operations table and a doorbell.

use anyhow::ensure;
use ashlar_tests::Result;
use ashlar_tests::client::id;
use ashlar_tests::config::Config;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::initiator::{INITIATOR, connector};
use serde_json::json;

fn config(roles: &[&'static str]) -> Config {
    Config {
        roles: roles.to_vec(),
        ..Config::default()
    }
}

#[test]
fn what_one_process_accepts_another_does() -> Result<()> {
    let mut daemon = Daemon::start(config(&["api"]))?;
    let done = split(&mut daemon);
    done.map_err(|error| error.context(daemon.last_words()))?;
    daemon.stop()
}

fn split(daemon: &mut Daemon) -> Result<()> {
    let client = daemon.client()?;
    let work = config(&["scheduler", "volume"]);
    daemon.spawn_beside(&work)?;
    let volume = id(&client.make_volume("split", 1)?)?;
    let body = json!({"attachment": {"volume_uuid": volume, "connector": connector(INITIATOR)}});
    let attachment = client.post("/attachments", &body)?.expect(200)?.body["attachment"].clone();
    ensure!(
        attachment["connection_info"]["target_portal"] == daemon.portal(),
        "{attachment}"
    );
    client
        .delete(&format!("/attachments/{}", id(&attachment)?))?
        .expect(200)?;

    // Nobody works: what is accepted now waits in the table, and is done when somebody comes.
    daemon.kill_beside()?;
    let body = json!({"volume": {"name": "later", "size": 1}});
    let later = id(&client.post("/volumes", &body)?.expect(202)?.body["volume"])?;
    let shown = client.get(&format!("/volumes/{later}"))?.expect(200)?;
    ensure!(
        shown.body["volume"]["status"] == "creating",
        "{}",
        shown.text
    );
    daemon.spawn_beside(&work)?;
    client.wait_status("/volumes", "volume", &later, "available")?;

    // The api process comes and goes without the work noticing.
    client.delete(&format!("/volumes/{later}"))?.expect(202)?;
    daemon.kill()?;
    daemon.start_again()?;
    let client = daemon.client()?;
    client.wait_gone("/volumes", &later)?;
    client.destroy("/volumes", &volume)
}
