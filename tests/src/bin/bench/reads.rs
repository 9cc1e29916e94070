//! What lists and looks cost.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use ashlar_tests::{Result, cmd};
use serde_json::Value;

use crate::figure::{Figure, Goal, median};
use crate::flows::new_volume;
use crate::http::{Http, MICROVERSION};
use crate::many;
use crate::rig::{Rig, addr, http};

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "GET one volume, p50",
        unit: "ms",
        goal: Goal::Below(0.3),
        cinder: Some(12.0),
        is_once: false,
        measure: get_one,
    },
    Figure {
        name: "GET one volume, 16 connections (wrk)",
        unit: "/s",
        goal: Goal::Above(15_000.0),
        cinder: Some(152.0),
        is_once: false,
        measure: get_many,
    },
    Figure {
        name: "GET detail of 1000 volumes, p50",
        unit: "ms",
        goal: Goal::Below(8.0),
        cinder: Some(579.0),
        is_once: false,
        measure: detail,
    },
    Figure {
        name: "page of 100 of 100,000 against of 1,000",
        unit: "times",
        goal: Goal::Below(1.2),
        cinder: None,
        is_once: false,
        measure: pages,
    },
];

/// How many of each a round takes.
const SAMPLES: usize = 500;
const LARGE_SAMPLES: usize = 40;
const WRK_DEADLINE: Duration = Duration::from_secs(60);

fn time_ms(http: &mut Http, path: &str) -> Result<f64> {
    let began = Instant::now();
    let (status, body) = http.call("GET", path, "")?;
    anyhow::ensure!(
        status == 200,
        "{path}: {status}: {}",
        String::from_utf8_lossy(body)
    );
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

fn times(http: &mut Http, path: &str, samples: usize) -> Result<f64> {
    let times_ms: Result<Vec<f64>> = (0..samples).map(|_| time_ms(http, path)).collect();
    Ok(median(times_ms?))
}

fn get_one(rig: &mut Rig) -> Result<f64> {
    let mut http = http(rig.fake()?)?;
    let id = new_volume(&mut http)?;
    times(&mut http, &format!("/volumes/{id}"), SAMPLES)
}

/// Requests a second of wrk, which has one thread of its own on the same cores.
fn get_many(rig: &mut Rig) -> Result<f64> {
    let addr = addr(rig.fake()?)?;
    let id = new_volume(&mut Http::connect(&addr)?)?;
    let mut command = cmd::program(cmd::find("wrk").context("apt-get install wrk")?);
    command.args(["-t1", "-c16", "-d4s", "-H"]);
    command.arg(format!("OpenStack-API-Version: {MICROVERSION}"));
    command.arg(format!("http://{addr}/v3/admin/volumes/{id}"));
    let ended = cmd::run_ok(&mut command, WRK_DEADLINE)?;
    anyhow::ensure!(!ended.stdout.contains("Non-2xx"), "{}", ended.stdout);
    let rate = ended
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    Ok(rate.context("wrk names no rate")?.trim().parse()?)
}

fn detail(rig: &mut Rig) -> Result<f64> {
    let mut http = http(rig.hundred_thousand()?)?;
    times(&mut http, "/volumes/detail?limit=1000", LARGE_SAMPLES)
}

/// A page from the middle of the list, in turns: of all volumes, and of a project that has a thousand.
fn pages(rig: &mut Rig) -> Result<f64> {
    let mut http = http(rig.hundred_thousand()?)?;
    let large = middle(&mut http, "all_tenants=1", 100_000)?;
    let small = middle(
        &mut http,
        &format!("all_tenants=1&project_id={}", many::SMALL_PROJECT),
        1000,
    )?;
    let mut ratios = Vec::new();
    for _ in 0..LARGE_SAMPLES {
        ratios.push(time_ms(&mut http, &large)? / time_ms(&mut http, &small)?);
    }
    Ok(median(ratios))
}

/// The path of the page after the middle of a list.
fn middle(http: &mut Http, filter: &str, count: usize) -> Result<String> {
    let path = format!("/volumes?{filter}&limit=1&offset={}", count / 2);
    let answer = http.json("GET", &path, &Value::Null, 200)?;
    let marker = answer["volumes"][0]["id"]
        .as_str()
        .context("an empty list")?;
    Ok(format!(
        "/volumes/detail?{filter}&limit=100&marker={marker}"
    ))
}
