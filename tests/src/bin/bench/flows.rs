//! What a client waits for: create, extend, snapshot, from the request to the status it wants.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use ashlar_tests::wait::wait_for;
use serde_json::{Value, json};

use crate::figure::{Figure, Goal, median};
use crate::http::Http;
use crate::rig::{Rig, addr, http};

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "POST to available, fake driver, p50",
        unit: "ms",
        goal: Goal::Below(4.0),
        cinder: Some(216.0),
        is_once: false,
        measure: |rig| create(&mut http(rig.fake()?)?),
    },
    Figure {
        name: "POST to available, file driver, p50",
        unit: "ms",
        goal: Goal::Below(10.0),
        cinder: None,
        is_once: false,
        measure: |rig| create(&mut http(rig.file()?)?),
    },
    Figure {
        name: "creates/s, 16 clients, fake driver",
        unit: "/s",
        goal: Goal::Above(1000.0),
        cinder: Some(6.5),
        is_once: false,
        measure: creates,
    },
    Figure {
        name: "extend, fake driver, p50",
        unit: "ms",
        goal: Goal::Below(4.0),
        cinder: Some(97.0),
        is_once: false,
        measure: extend,
    },
    Figure {
        name: "snapshot, fake driver, p50",
        unit: "ms",
        goal: Goal::Below(4.0),
        cinder: Some(101.0),
        is_once: false,
        measure: snapshot,
    },
];

/// How many of each a round takes.
const SAMPLES: usize = 100;
/// Clients at once, and how long they go on.
const CLIENTS: usize = 16;
const TURN: Duration = Duration::from_secs(3);
const DEADLINE: Duration = Duration::from_secs(120);

fn body() -> Value {
    json!({"volume": {"size": 1, "name": "bench"}})
}

fn id(answer: &Value, noun: &str) -> Result<String> {
    let id = answer[noun]["id"].as_str();
    Ok(id.with_context(|| format!("no id in {answer}"))?.to_owned())
}

/// Makes a volume and waits until it is available.
pub(crate) fn new_volume(http: &mut Http) -> Result<String> {
    let id = id(&http.json("POST", "/volumes", &body(), 202)?, "volume")?;
    until(http, &format!("/volumes/{id}"), "volume")?;
    Ok(id)
}

/// Asks, without a pause, until the object is available.
fn until(http: &mut Http, path: &str, noun: &str) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        let answer = http.json("GET", path, &Value::Null, 200)?;
        match answer[noun]["status"].as_str() {
            Some("available") => return Ok(()),
            Some("error") => anyhow::bail!("{answer}"),
            _ => std::thread::yield_now(),
        }
    }
    anyhow::bail!("{path} was never available")
}

fn samples(mut one: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times_ms = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let began = Instant::now();
        one()?;
        times_ms.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(median(times_ms))
}

fn create(http: &mut Http) -> Result<f64> {
    samples(|| new_volume(http).map(|_| ()))
}

/// Volumes that were asked for and have become available, by the second, until the last one is.
fn creates(rig: &mut Rig) -> Result<f64> {
    let addr = addr(rig.fake()?)?;
    let began = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let addr = addr.clone();
            std::thread::spawn(move || -> Result<u32> {
                let mut http = Http::connect(&addr)?;
                let (body, mut done) = (body().to_string(), 0);
                while began.elapsed() < TURN {
                    let (status, answer) = http.call("POST", "/volumes", &body)?;
                    ensure!(
                        status == 202,
                        "{status}: {}",
                        String::from_utf8_lossy(answer)
                    );
                    done += 1;
                }
                Ok(done)
            })
        })
        .collect();
    let mut done = 0;
    for client in clients {
        let made = client
            .join()
            .map_err(|_| anyhow::anyhow!("a client died"))?;
        done += made?;
    }
    let mut http = Http::connect(&addr)?;
    wait_for("the last volume to be available", DEADLINE, || {
        let left = http.json("GET", "/volumes?status=creating&limit=1", &Value::Null, 200)?;
        Ok(left["volumes"]
            .as_array()
            .is_some_and(Vec::is_empty)
            .then_some(()))
    })?;
    Ok(f64::from(done) / began.elapsed().as_secs_f64())
}

fn extend(rig: &mut Rig) -> Result<f64> {
    let mut http = http(rig.fake()?)?;
    let id = new_volume(&mut http)?;
    let (path, mut size_gib) = (format!("/volumes/{id}"), 1);
    samples(|| {
        size_gib += 1;
        let wish = json!({"os-extend": {"new_size": size_gib}});
        http.json("POST", &format!("{path}/action"), &wish, 202)?;
        until(&mut http, &path, "volume")
    })
}

fn snapshot(rig: &mut Rig) -> Result<f64> {
    let mut http = http(rig.fake()?)?;
    let volume = new_volume(&mut http)?;
    let wish = json!({"snapshot": {"volume_id": volume}});
    samples(|| {
        let id = id(&http.json("POST", "/snapshots", &wish, 202)?, "snapshot")?;
        until(&mut http, &format!("/snapshots/{id}"), "snapshot")
    })
}
