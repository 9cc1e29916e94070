//! From exec to the first answer.

use std::time::Instant;

use ashlar_tests::Result;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::initiator::connector;
use ashlar_tests::wait::{SOON, wait_for};
use serde_json::json;

use crate::figure::{Figure, Goal};
use crate::flows::new_volume;
use crate::many;
use crate::rig::{Rig, http};

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "start to first answer, empty",
        unit: "ms",
        goal: Goal::Below(60.0),
        cinder: Some(5000.0),
        is_once: false,
        measure: empty,
    },
    Figure {
        name: "start to first answer, 10,000 volumes, 500 exports",
        unit: "ms",
        goal: Goal::Below(1000.0),
        cinder: None,
        is_once: true,
        measure: full,
    },
];

const VOLUMES: i64 = 10_000;
const EXPORTS: usize = 500;

fn empty(rig: &mut Rig) -> Result<f64> {
    let mut daemon = rig.prepared("file")?;
    time_ms(&mut daemon)
}

/// The target's process has to be started too, as after a reboot.
fn full(rig: &mut Rig) -> Result<f64> {
    let mut daemon = rig.prepared("file")?;
    daemon.start_again()?;
    let mut client = http(&daemon)?;
    for _ in 0..EXPORTS {
        let id = new_volume(&mut client)?;
        let wish = json!({"attachment": {
            "volume_uuid": id, "instance_uuid": null, "connector": connector("iqn.1993-08.org.debian:01:bench"),
        }});
        client.json("POST", "/attachments", &wish, 200)?;
    }
    drop(client);
    many::fill(&mut daemon, VOLUMES)?;
    daemon.stop()?;
    time_ms(&mut daemon)
}

fn time_ms(daemon: &mut Daemon) -> Result<f64> {
    // A client made beforehand: building one reads certificates.
    let client = daemon.client()?;
    let began = Instant::now();
    daemon.spawn()?;
    wait_for("the first answer", SOON, || {
        Ok(client.is_up().then_some(()))
    })?;
    let took_ms = began.elapsed().as_secs_f64() * 1000.0;
    daemon.stop()?;
    Ok(took_ms)
}
