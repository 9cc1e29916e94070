//! `make check`, `make lab` and `make soak`: every part that CI checks, one after the other, each with its time; the
//! last line is the sum of what the runners themselves counted.
//!
//! Output goes to `target/check/PART.log` and is shown when the part failed. All parts run, whatever fails.

mod count;
mod part;
mod reflink;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use ashlar_tests::{Result, binary, cmd, qemu, venv};

use crate::count::Count;
use crate::part::{Part, run, say};
use crate::reflink::Reflink;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let done = match words.next().as_deref() {
        None => check(),
        Some("soak") => soak(words.next().as_deref().unwrap_or("1")),
        Some("lab") => lab(words.next().as_deref().unwrap_or("")),
        Some(other) => Err(anyhow::anyhow!(
            "`{other}` is neither empty, `lab CASE` nor `soak HOURS`"
        )),
    };
    match done {
        Ok(count) => {
            for name in &count.names {
                say(&format!("failed: {name}"));
            }
            say(&format!("\n{count}"));
            if count.failed == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            say(&format!("check: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// How long after the check was begun a case of the lab may begin. A check has to end within 90 minutes, the lab comes
/// last, and on a machine half as fast as usual a case takes up to 20.
const LAB_UNTIL: Duration = Duration::from_mins(65);

/// How long ago the check was begun: whoever had to build this first says when that was, in seconds of the epoch.
fn begun_ago(start: Instant) -> Duration {
    let begun = std::env::var_os("ASHLAR_CHECK_BEGUN");
    let begun = begun.and_then(|seconds| seconds.to_str()?.parse().ok());
    let since = begun.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let ago = since.and_then(|since| since.elapsed().ok());
    ago.unwrap_or_else(|| start.elapsed())
}

fn check() -> Result<Count> {
    let start = Instant::now();
    install();
    let mut count = Count::default();
    for part in sources() {
        count += run(&part)?;
    }
    count += run(&licences())?;
    let kept = daemon_with_faults()?;
    let test = [
        "test",
        "--no-fail-fast",
        "--workspace",
        "--features",
        binary::FAULTS,
    ];
    let reflink = Reflink::mount(&binary::workspace().join("target/check"));
    if let Err(error) = &reflink {
        say(&format!("no file system that shares blocks: {error:#}"));
    }
    let inner = [&test, ["--lib", "--bins"].as_slice()].concat();
    count += run(&Part::cargo(
        "rings 1 and 2: units, edges, PostgreSQL",
        &inner,
    ))?;
    drop(reflink);
    let examples = [&test, ["--doc"].as_slice()].concat();
    count += run(&Part::cargo("examples in the docs", &examples))?;
    let outer = [&test, ["--test", "*"].as_slice()].concat();
    let mut ring = Part::cargo("ring 3: the daemon", &outer).env("ASHLAR_TEST_BIN", &kept);
    for (name, value) in qemu::ready(say)
        .map(|qemu| qemu.environment())
        .unwrap_or_default()
    {
        ring = ring.env(name, value);
    }
    count += run(&ring)?;
    let story = Part::cargo("make try", &["run", "--bin", "try"]);
    count += run(&story.counts_as_one())?;
    let left = LAB_UNTIL.saturating_sub(begun_ago(start));
    let lab = real_kernel("", &kept).env("ASHLAR_LAB_WITHIN_S", left.as_secs().to_string());
    count += run(&lab)?;
    say(&format!(
        "\nall parts took {:.0} s",
        start.elapsed().as_secs_f32()
    ));
    Ok(count)
}

/// A little optimised, with every check that an unoptimised build has: under emulation it was a fifth of the
/// processor's time. Only what is built for these tests, since it takes three times as long to compile.
const A_LITTLE: &str = "profile.dev.package.ashlar-daemon.opt-level=1";

/// The daemon that the black box tests run, built once, and by nobody else.
fn daemon_with_faults() -> Result<PathBuf> {
    let args = ["--features", binary::FAULTS, "--config", A_LITTLE];
    let ashlard = binary::build("ashlard", &args)?;
    let kept = ashlard.with_file_name("ashlard-faults");
    std::fs::copy(&ashlard, &kept).with_context(|| kept.display().to_string())?;
    Ok(kept)
}

/// The lab's cases whose name has `word`, and nothing else.
fn lab(word: &str) -> Result<Count> {
    if let Err(error) = venv::prepare(say) {
        say(&format!("{error:#}"));
    }
    run(&real_kernel(word, &daemon_with_faults()?))
}

fn real_kernel(word: &str, ashlard: &Path) -> Part {
    let part = Part::cargo(
        "ring 4: a real kernel",
        &["run", "--bin", "lab", "--", word],
    );
    part.env("ASHLAR_TEST_BIN", ashlard).shown()
}

/// What reads the sources only.
fn sources() -> Vec<Part> {
    let lints = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--features",
        binary::FAULTS,
        "--",
        "-D",
        "warnings",
    ];
    let docs = [
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ];
    vec![
        Part::cargo("format", &["fmt", "--all", "--check"]),
        Part::cargo("lints", &lints),
        Part::cargo("docs", &docs).env("RUSTDOCFLAGS", "-D rustdoc::broken_intra_doc_links"),
    ]
}

/// cargo-deny where it is installed. Building it would take longer than all the tests, and what it says of licences
/// `tidy` says too.
fn licences() -> Part {
    let is_there = cmd::run(
        binary::cargo().args(["deny", "--version"]),
        Duration::from_secs(20),
    )
    .is_ok_and(|ended| ended.status.success());
    if is_there {
        Part::cargo(
            "licences, bans and sources",
            &["deny", "check", "licenses", "bans", "sources"],
        )
    } else {
        Part::nothing(
            "licences",
            "cargo-deny is not installed; ring 3 (tidy) checks them",
        )
    }
}

/// Debian's packages that the tests use. Without root, tests that need them say that they are skipped.
fn install() {
    if let Err(error) = venv::prepare(say) {
        say(&format!("the clients of PyPI will be skipped: {error:#}"));
    }
    if let Err(error) = qemu::ready(say) {
        say(&format!("{error:#}"));
    }
    let has_postgres = std::fs::read_dir("/usr/lib/postgresql").is_ok_and(|dir| dir.count() > 0);
    let wanted = [
        ("postgresql", has_postgres),
        ("libiscsi-bin", cmd::find("iscsi-test-cu").is_ok()),
        ("restic", cmd::find("restic").is_ok()),
    ];
    let missing: Vec<&str> = wanted
        .into_iter()
        .filter(|(_, is_there)| !is_there)
        .map(|(name, _)| name)
        .collect();
    if missing.is_empty() {
        return;
    }
    let names = missing.join(" ");
    if !rustix::process::geteuid().is_root() {
        say(&format!(
            "tests will be skipped; install what they need with\n  sudo apt-get install {names}"
        ));
        return;
    }
    say(&format!("installing Debian's packages {names}"));
    if let Err(error) = qemu::apt_update().and_then(|()| qemu::apt_install(&missing)) {
        say(&format!("{error:#}"));
    }
}

/// The random and the killing tests, over and over with new seeds, for so many hours.
fn soak(hours: &str) -> Result<Count> {
    let hours: f32 = hours.parse().context("HOURS is not a number")?;
    let end = Instant::now() + Duration::from_secs_f32(hours * 3600.0);
    install();
    let kept = daemon_with_faults()?;
    let mut count = run(&real_kernel("", &kept).env("ASHLAR_FULL", "1"))?;
    let mut round = 0_u64;
    let first = u64::from(std::process::id()) << 20;
    while Instant::now() < end {
        round += 1;
        let seed = (first + round).to_string();
        let args = [
            "test",
            "--no-fail-fast",
            "--workspace",
            "--features",
            binary::FAULTS,
            "--test",
            "crash",
            "--test",
            "oracle",
            "--test",
            "concurrency",
            "--test",
            "bad_input",
        ];
        let part = Part::cargo(&format!("round {round}, ASHLAR_SEED={seed}"), &args);
        let part = part.env("ASHLAR_TEST_BIN", &kept).env("ASHLAR_SEED", &seed);
        count += run(&part.env("ASHLAR_FULL", "1"))?;
    }
    Ok(count)
}
