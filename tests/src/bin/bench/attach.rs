//! Attach, log in, let go: how much of it is ours.

use std::time::Instant;

use anyhow::Context as _;
use ashlar_tests::initiator::{Disk, INITIATOR, connector};
use ashlar_tests::{Result, qemu};
use serde_json::{Value, json};

use crate::figure::{Figure, Goal, median};
use crate::flows::new_volume;
use crate::rig::{Rig, http};
use crate::say;

pub(crate) const FIGURES: &[Figure] = &[Figure {
    name: "attach cycle with a login, ours of it, p50",
    unit: "ms",
    goal: Goal::Below(15.0),
    cinder: Some(146.0),
    is_once: false,
    measure: cycle,
}];

const SAMPLES: usize = 20;

/// Create the attachment with its connector, (the host logs in and reads the disk's size), complete, delete.
fn cycle(rig: &mut Rig) -> Result<f64> {
    let qemu = qemu::ready(say)?;
    let mut http = http(rig.file()?)?;
    let volume = new_volume(&mut http)?;
    let wish = json!({"attachment": {
        "volume_uuid": volume, "instance_uuid": null, "connector": connector(INITIATOR),
    }});
    let mut times_ms = Vec::new();
    for _ in 0..SAMPLES {
        let began = Instant::now();
        let attached = http.json("POST", "/attachments", &wish, 200)?;
        let to_attach = began.elapsed();
        let attachment = &attached["attachment"];
        let id = attachment["id"].as_str().context("no id")?;
        let disk = Disk::new(&qemu, &attachment["connection_info"], INITIATOR)?;
        disk.len_bytes()?;
        let began = Instant::now();
        let complete = json!({"os-complete": null});
        http.json("POST", &format!("/attachments/{id}/action"), &complete, 204)?;
        http.json("DELETE", &format!("/attachments/{id}"), &Value::Null, 200)?;
        times_ms.push((to_attach + began.elapsed()).as_secs_f64() * 1000.0);
    }
    Ok(median(times_ms))
}
