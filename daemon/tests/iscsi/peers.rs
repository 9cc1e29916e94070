//! Initiators that others wrote: QEMU's and libiscsi's conformance suite. Where one is not installed
//! its test says that it is skipped, and why.

use crate::rig::{Rig, SECRET, USER, Volume};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
/// The names libiscsi's suite logs in by.
const SUITE: [&str; 2] = [
    "iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test",
    "iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test-2",
];
const QEMU: &str = "iqn.2008-11.org.linux-kvm";
/// What tgtd 1.0.85 passes of the suite: we must not be worse.
const PASSES_MIN: usize = 159;
/// A test of the suite that takes longer hangs.
const TEST_TIMEOUT: Duration = Duration::from_secs(25);

fn say(text: &str) {
    let _unheard = writeln!(std::io::stderr(), "{text}");
}

fn skipped(test: &str, why: &str) {
    say(&format!("skipped: iscsi {test}: {why}"));
}

/// Runs a program to its end, or kills it at the deadline: its status and what it printed.
#[expect(
    clippy::disallowed_methods,
    reason = "a foreign initiator is the test's subject"
)]
fn run(program: &str, arguments: &[&str], limit: Duration) -> Option<(Option<i32>, String)> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut errors = child.stderr.take().unwrap();
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        errors
            .read_to_end(&mut text)
            .map(|_| text)
            .unwrap_or_default()
    });
    let mut printed = child.stdout.take().unwrap();
    let printed = std::thread::spawn(move || {
        let mut text = Vec::new();
        printed
            .read_to_end(&mut text)
            .map(|_| text)
            .unwrap_or_default()
    });
    let code = wait(&mut child, limit);
    let text = [printed.join().unwrap(), errors.join().unwrap()].concat();
    Some((code, String::from_utf8_lossy(&text).into_owned()))
}

fn wait(child: &mut Child, limit: Duration) -> Option<i32> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            // One that crashed has failed; only one that had to be killed hung. (libiscsi 1.19's asynchronous LUN
            // reset test logs out before it has its answers, and then fails or crashes, against tgtd too.)
            return status.code().or(status.signal().map(|signal| 128 + signal));
        }
        if begin.elapsed() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn url(rig: &Rig, volume: &Volume) -> String {
    format!("iscsi://{USER}%{SECRET}@{}/{}/0", rig.portal, volume.iqn)
}

#[test]
fn qemu_copies_a_disk_in_and_finds_it_equal() {
    let limit = Duration::from_secs(60);
    let rig = Rig::start();
    let volume = rig.volume(64 * MIB);
    rig.allow(&volume, QEMU, SECRET, false);
    let url = url(&rig, &volume);
    match run("qemu-img", &["info", &url], limit) {
        None => return skipped("qemu", "qemu-img is not installed"),
        Some((_, text))
            if ["Unknown protocol", "Unable to load module"]
                .iter()
                .any(|words| text.contains(words)) =>
        {
            return skipped("qemu", "qemu-img has no iSCSI (package qemu-block-extra)");
        }
        Some((code, text)) => assert_eq!(code, Some(0), "{text}"),
    }
    let source = rig.dir.path().join("source");
    let content: Vec<u8> = (0..64 * MIB)
        .map(|at| u8::try_from(at / 65536 % 7 * (at % 31)).unwrap())
        .collect();
    std::fs::write(&source, &content).unwrap();
    let source = source.to_str().unwrap();
    let write = "write -P 0x5a 1M 3M";
    let io = [
        "-f",
        "raw",
        "-c",
        write,
        "-c",
        "discard 1M 3M",
        "-c",
        "read -P 0 1M 3M",
        &url,
    ];
    for (program, arguments) in [
        ("qemu-io", &io[..]),
        (
            "qemu-img",
            &["convert", "-n", "-f", "raw", "-O", "raw", source, &url],
        ),
        (
            "qemu-img",
            &["compare", "-f", "raw", "-F", "raw", source, &url],
        ),
    ] {
        let (code, text) = run(program, arguments, limit).unwrap();
        assert!(
            code == Some(0) && !text.contains("failed"),
            "{program}: {text}"
        );
    }
    assert!(
        std::fs::read(&volume.path).unwrap() == content,
        "the file equals the source"
    );
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Pass,
    Fail,
    Skip,
    Hang,
}

/// One test of the suite, in a process of its own.
fn conform(test: &str, url: &str) -> Verdict {
    let (code, text) = run(
        "iscsi-test-cu",
        &["-d", "-n", "-t", test, url, url],
        TEST_TIMEOUT,
    )
    .expect("it ran a moment ago");
    let asserts = text
        .lines()
        .find(|line| line.trim_start().starts_with("asserts"));
    let failed = asserts.and_then(|line| line.split_whitespace().nth(4));
    match (code, failed) {
        (None, _) => Verdict::Hang,
        (Some(_), Some("0")) if text.contains("SKIPPED") => Verdict::Skip,
        (Some(_), Some("0")) => Verdict::Pass,
        (Some(_), _) => Verdict::Fail,
    }
}

#[test]
fn libiscsis_suite_passes_where_tgtd_does() {
    let Some((_, list)) = run("iscsi-test-cu", &["-l"], TEST_TIMEOUT) else {
        return skipped(
            "libiscsi",
            "iscsi-test-cu is not installed (package libiscsi-bin)",
        );
    };
    let rig = Rig::start();
    let volume = rig.volume(128 * MIB);
    SUITE
        .iter()
        .for_each(|host| rig.allow(&volume, host, SECRET, false));
    let url = url(&rig, &volume);
    let tests: Vec<&str> = list
        .lines()
        .map(str::trim)
        .filter(|name| name.starts_with("ALL.") && name.matches('.').count() == 2)
        .collect();
    assert!(tests.len() > 200, "the suite is there: {list}");
    let verdicts: Vec<_> = tests
        .iter()
        .map(|test| (*test, conform(test, &url)))
        .collect();
    let count = |wanted: Verdict| {
        verdicts
            .iter()
            .filter(|(_, found)| *found == wanted)
            .count()
    };
    let failed: Vec<_> = verdicts
        .iter()
        .filter(|(_, found)| *found == Verdict::Fail)
        .map(|(name, _)| name)
        .collect();
    let (passes, skips) = (count(Verdict::Pass), count(Verdict::Skip));
    say(&format!(
        "{} tests: {passes} pass, {skips} skip, fail {failed:?}",
        tests.len()
    ));
    assert_eq!(count(Verdict::Hang), 0);
    assert!(passes >= PASSES_MIN, "{passes} passes, failed: {failed:?}");
}
