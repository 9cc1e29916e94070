//! A thousand readers of the event stream while a thousand changes a second are made.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use ashlar_tests::wait::wait_for;
use memchr::memmem;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::figure::{Figure, Goal};
use crate::flows::new_volume;
use crate::http::{Http, find};
use crate::rig::{Rig, addr};

pub(crate) const FIGURES: &[Figure] = &[Figure {
    name: "1,000 event readers at 1,000 changes/s, worst delay",
    unit: "ms",
    goal: Goal::Below(1000.0),
    cinder: None,
    is_once: false,
    measure: delay,
}];

const READERS: usize = 1000;
/// So many of them open their stream at once: a thousand requests in one instant are more than the door lets in.
const OPENING: usize = 64;
const WRITERS: u32 = 4;
const CHANGES_PER_S: u32 = 1000;
const TURN: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(60);
/// Where a frame's name could be cut between two reads.
const SEAM_BYTES: usize = 32;
const CHANGE: &[u8] = b"event: change";
const US_PER_DAY: u64 = 86_400_000_000;

/// What all readers together have seen.
#[derive(Default)]
struct Seen {
    ready: AtomicU64,
    changes: AtomicU64,
    gaps: AtomicU64,
    worst_us: AtomicU64,
    is_over: AtomicBool,
}

fn delay(rig: &mut Rig) -> Result<f64> {
    more_files()?;
    let addr = addr(rig.fake()?)?;
    let seen = Arc::new(Seen::default());
    let readers = {
        let (addr, seen) = (addr.clone(), Arc::clone(&seen));
        std::thread::spawn(move || read_all(&addr, &seen))
    };
    let all_ready = wait_for("every reader's first frame", DEADLINE, || {
        ensure!(!readers.is_finished(), "the readers ended");
        let ready = seen.ready.load(Ordering::Relaxed);
        Ok((ready == READERS as u64).then_some(()))
    });
    let written = all_ready.and_then(|()| change(&addr)).and_then(|made| {
        let wanted = u64::from(made) * READERS as u64;
        wait_for("every change at every reader", DEADLINE, || {
            Ok((seen.changes.load(Ordering::Relaxed) >= wanted).then_some(made))
        })
    });
    seen.is_over.store(true, Ordering::Relaxed);
    readers
        .join()
        .map_err(|_| anyhow::anyhow!("the readers died"))??;
    let made = written?;
    ensure!(
        seen.gaps.load(Ordering::Relaxed) == 0,
        "readers were told of gaps"
    );
    let wanted = CHANGES_PER_S * u32::try_from(TURN.as_secs())?;
    ensure!(
        made >= wanted * 9 / 10,
        "only {made} of {wanted} changes could be made"
    );
    Ok(seen.worst_us.load(Ordering::Relaxed) as f64 / 1000.0)
}

/// Renames volumes, evenly in time; how many times.
fn change(addr: &str) -> Result<u32> {
    let (report, reports) = mpsc::channel();
    for _ in 0..WRITERS {
        let (addr, report) = (addr.to_owned(), report.clone());
        std::thread::spawn(move || {
            let _ = report.send(rename(&addr));
        });
    }
    drop(report);
    reports.into_iter().sum()
}

fn rename(addr: &str) -> Result<u32> {
    let mut http = Http::connect(addr)?;
    let path = format!("/volumes/{}", new_volume(&mut http)?);
    let (began, mut made) = (Instant::now(), 0);
    let pace = Duration::from_secs(1) * WRITERS / CHANGES_PER_S;
    while began.elapsed() < TURN {
        let wish = json!({"volume": {"name": format!("renamed-{made}")}});
        http.json("PUT", &path, &wish, 200)?;
        made += 1;
        if let Some(early) = (pace * made).checked_sub(began.elapsed()) {
            // Nobody unparks it: the pace is what is measured against.
            std::thread::park_timeout(early);
        }
    }
    Ok(made)
}

fn read_all(addr: &str, seen: &Arc<Seen>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut readers = tokio::task::JoinSet::new();
        let opening = Arc::new(Semaphore::new(OPENING));
        for _ in 0..READERS {
            readers.spawn(read(
                addr.to_owned(),
                Arc::clone(seen),
                Arc::clone(&opening),
            ));
        }
        while let Some(ended) = readers.join_next().await {
            ended.context("a reader died")??;
        }
        Ok(())
    })
}

async fn read(addr: String, seen: Arc<Seen>, opening: Arc<Semaphore>) -> Result<()> {
    let mut place = Some(opening.acquire_owned().await?);
    let mut stream = TcpStream::connect(&addr).await?;
    let request = format!(
        "GET /ashlar/v1/events HTTP/1.1\r\nHost: {addr}\r\nAccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut seam = Vec::with_capacity(SEAM_BYTES + BUFFER_BYTES);
    let mut is_ready = false;
    while !seen.is_over.load(Ordering::Relaxed) {
        let waited = tokio::time::timeout(Duration::from_millis(500), stream.readable());
        if waited.await.is_err() {
            continue;
        }
        if !take(&stream, &mut seam)? {
            continue;
        }
        note(&seam, &seen, &mut is_ready)?;
        if is_ready {
            place.take();
        }
        // What is left of the last frame may hold the first half of a name: it is looked at again with the next read,
        // without what was counted.
        let counted = find_last(&seam, CHANGE).map_or(0, |at| at + CHANGE.len());
        let keep = seam.len().saturating_sub(SEAM_BYTES).max(counted);
        seam.drain(..keep);
    }
    Ok(())
}

const BUFFER_BYTES: usize = 16 * 1024;

/// Reads what there is; `false` when there was nothing after all.
fn take(stream: &TcpStream, into: &mut Vec<u8>) -> Result<bool> {
    let mut buffer = [0_u8; BUFFER_BYTES];
    match stream.try_read(&mut buffer) {
        Ok(0) => anyhow::bail!("the stream ended"),
        Ok(len) => {
            into.extend_from_slice(&buffer[..len]);
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Counts frames, and takes the delay of the first of them, which waited longest.
fn note(bytes: &[u8], seen: &Seen, is_ready: &mut bool) -> Result<()> {
    if !*is_ready {
        ensure!(
            !bytes.starts_with(b"HTTP/1.1 4") && !bytes.starts_with(b"HTTP/1.1 5"),
            "{}",
            String::from_utf8_lossy(bytes)
        );
        if find(bytes, b"event: hello").is_some() {
            *is_ready = true;
            seen.ready.fetch_add(1, Ordering::Relaxed);
        }
    }
    let changes = memmem::find_iter(bytes, CHANGE).count();
    seen.changes.fetch_add(changes as u64, Ordering::Relaxed);
    if find(bytes, b"event: gap").is_some() {
        seen.gaps.fetch_add(1, Ordering::Relaxed);
    }
    if changes > 0
        && let Some(at_us) = first_time_us(bytes)
    {
        let now_us = time_of_day_us()?;
        let late_us = (now_us + US_PER_DAY - at_us) % US_PER_DAY;
        seen.worst_us.fetch_max(late_us, Ordering::Relaxed);
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "compared with the daemon's own times"
)]
fn time_of_day_us() -> Result<u64> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_micros())? % US_PER_DAY)
}

/// The time of day in the first change's `"at":"2026-01-01T12:34:56.123456"`.
fn first_time_us(bytes: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"at\":\"";
    let change = find(bytes, CHANGE)?;
    let rest = &bytes[change..];
    let start = find(rest, KEY)? + KEY.len();
    let time = std::str::from_utf8(rest.get(start + 11..start + 26)?).ok()?;
    let number = |from: usize, to: usize| time.get(from..to)?.parse::<u64>().ok();
    let seconds = (number(0, 2)? * 60 + number(3, 5)?) * 60 + number(6, 8)?;
    Some(seconds * 1_000_000 + number(9, 15)?)
}

fn find_last(hay: &[u8], needle: &[u8]) -> Option<usize> {
    memmem::rfind(hay, needle)
}

/// A thousand connections need as many files.
fn more_files() -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let has = getrlimit(Resource::Nofile);
    let wants = Rlimit {
        current: has.maximum,
        maximum: has.maximum,
    };
    setrlimit(Resource::Nofile, wants).context("raising the limit of open files")
}
