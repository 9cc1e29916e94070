//! What the processes hold of the machine's memory, shared pages shared out (PSS).

use anyhow::Context as _;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::{Result, target};
use serde_json::Value;

use crate::figure::{Figure, Goal};
use crate::rig::{Rig, http};

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "memory of all processes, idle",
        unit: "MiB",
        goal: Goal::Below(25.0),
        cinder: Some(889.0),
        // Before other daemons run, which would share its pages.
        is_once: true,
        measure: idle,
    },
    Figure {
        name: "memory of all processes, 100,000 volumes",
        unit: "MiB",
        goal: Goal::Below(60.0),
        cinder: None,
        is_once: true,
        measure: many,
    },
];

/// After a start and a first request.
fn idle(rig: &mut Rig) -> Result<f64> {
    let mut daemon = rig.prepared("file")?;
    daemon.start_again()?;
    http(&daemon)?.json("GET", "/volumes/detail", &Value::Null, 200)?;
    let held = pss_mib(&daemon)?;
    daemon.stop()?;
    Ok(held)
}

/// After every page of the list was read once.
fn many(rig: &mut Rig) -> Result<f64> {
    let daemon = rig.hundred_thousand()?;
    let mut client = http(daemon)?;
    let mut page = "/volumes/detail?all_tenants=1&limit=1000".to_owned();
    loop {
        let answer = client.json("GET", &page, &Value::Null, 200)?;
        let volumes = answer["volumes"].as_array().context("no list")?;
        let Some(last) = volumes.last().and_then(|volume| volume["id"].as_str()) else {
            break;
        };
        page = format!("/volumes/detail?all_tenants=1&limit=1000&marker={last}");
    }
    pss_mib(daemon)
}

fn pss_mib(daemon: &Daemon) -> Result<f64> {
    let own = daemon.pid().context("ashlard does not run")?;
    let target = target::pid(&daemon.state_dir()).context("the target does not run")?;
    let kib = pss_kib(own)? + pss_kib(target.as_raw_nonzero().get().unsigned_abs())?;
    Ok(kib / 1024.0)
}

fn pss_kib(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.with_context(|| format!("no Pss in {path}"))?.parse()?)
}
