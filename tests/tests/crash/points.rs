//! The points, as the daemon lists them, and the workers that go through them.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use ashlar_tests::config::{Config, Fault};
use ashlar_tests::daemon::Daemon;
use ashlar_tests::seed::say;
use ashlar_tests::{Result, binary, cmd};
use serde_json::Value;

use crate::tour;

/// Points worked on at a time by each of the tests: most of the time goes into waiting for the disk.
const WORKERS: usize = 2;
/// More failures than this tell nothing new.
const FAILURES_SHOWN: usize = 3;

/// Every step of every operation, on each way that the tour takes through it, at each of `points`, with `action`.
pub(crate) fn all(points: &[&'static str], action: &'static str) -> Result<Vec<Fault>> {
    let mut command = cmd::program(binary::ashlard()?);
    let ended = cmd::run_ok(command.arg("operations"), Duration::from_secs(10))?;
    let table: Value = serde_json::from_str(&ended.stdout)?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("not a word");
    let mut faults = Vec::new();
    for row in table.as_array().context("not a list")? {
        let operation = text(&row["operation"])?;
        for step in row["steps"].as_array().context("no steps")? {
            let step = text(step)?;
            for arrival in 1..=tour::ways(&operation) {
                faults.extend(points.iter().map(|point| Fault {
                    operation: operation.clone(),
                    step: step.clone(),
                    point,
                    arrival,
                    action,
                }));
            }
        }
    }
    ensure!(!faults.is_empty(), "`ashlard operations` lists no steps");
    Ok(faults)
}

/// Does `act` at each point, on a daemon of its own.
pub(crate) fn each(
    faults: &[Fault],
    act: impl Fn(usize, &Fault, &mut Daemon) -> Result<()> + Sync,
) -> Result<()> {
    let start = Instant::now();
    let queue: Mutex<VecDeque<(usize, &Fault)>> = Mutex::new(chosen(faults));
    let failures: Mutex<Vec<String>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((number, fault)) =
                    queue.lock().ok().and_then(|mut queue| queue.pop_front())
                {
                    if let Err(error) = one(number, fault, &act)
                        && let Ok(mut failures) = failures.lock()
                    {
                        failures.push(format!("{}: {error:#}", name(fault)));
                    }
                }
            });
        }
    });
    let count = faults.len();
    say(&format!(
        "{count} points in {:.1} s",
        start.elapsed().as_secs_f32()
    ));
    let failures = failures.into_inner().unwrap_or_default();
    if !failures.is_empty() {
        let names: Vec<&str> = failures
            .iter()
            .map(|failure| failure.split(": ").next().unwrap_or_default())
            .collect();
        let shown = failures
            .iter()
            .take(FAILURES_SHOWN)
            .cloned()
            .collect::<Vec<_>>();
        bail!(
            "{} of {count} points failed:\n  {}\n\n{}",
            failures.len(),
            names.join("\n  "),
            shown.join("\n\n")
        );
    }
    Ok(())
}

fn one(
    number: usize,
    fault: &Fault,
    act: impl Fn(usize, &Fault, &mut Daemon) -> Result<()>,
) -> Result<()> {
    let mut daemon = Daemon::prepared(Config::default())?;
    let done = act(number, fault, &mut daemon);
    done.map_err(|error| error.context(daemon.last_words()))
}

/// All of them, or those whose name contains `ASHLAR_POINT`, to look at one by hand.
fn chosen(faults: &[Fault]) -> VecDeque<(usize, &Fault)> {
    let Some(part) = std::env::var_os("ASHLAR_POINT") else {
        return faults.iter().enumerate().collect();
    };
    let part = part.to_string_lossy().into_owned();
    faults
        .iter()
        .enumerate()
        .filter(|(_, fault)| name(fault).contains(&part))
        .collect()
}

fn name(fault: &Fault) -> String {
    format!(
        "{} {}/{}/{}#{}",
        fault.action, fault.operation, fault.step, fault.point, fault.arrival
    )
}
