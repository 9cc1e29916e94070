//! The worker: one job, done in a process of its own, so that what it takes in memory, what a library panics at and
//! what hangs in a dead mount are the job's misfortune and not the daemon's.
//!
//! It says at least once a second how far it is. It ends soon after it is told to stop, and also when its stdin is
//! closed, which is how it learns that its daemon died; whoever comes next waits for its locks.

use super::pipe::{Answer, CANCEL, Failure, Job, LINE_LEN_MAX, Line, Place};
use crate::backup::{cinder, restic};
use crate::driver::Work;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// Behind everything that hosts wait for, with the CPU and, as Linux derives it, with the disk.
const NICENESS: i32 = 10;
/// How often it says how far it is.
const TICK: Duration = Duration::from_millis(500);
/// A stopped job writes out what it has in hand, so that the next try need not; longer than this it does not take.
const STOP_MAX: Duration = Duration::from_secs(30);
/// When nothing moved for so long, nothing will: a mount that does not answer.
const STALL_MAX: Duration = Duration::from_secs(900);

/// How many calls to the store there were; it grows as long as something moves.
type Calls = Box<dyn Fn() -> u64 + Send>;

/// Reads a job from stdin and does it. The exit code says whether an answer was written, good or bad.
pub fn run() -> ExitCode {
    // It is as good without.
    let _ = rustix::process::nice(NICENESS);
    std::panic::set_hook(Box::new(|panic| {
        // The library has threads whose end nobody notices: the first panic ends all.
        end(&Line::Failed(Failure::Unavailable(format!(
            "the worker failed: {}",
            panic.to_string().replace('\n', " ")
        ))));
    }));
    let mut text = String::new();
    let read = io::stdin().lock().take(LINE_LEN_MAX).read_line(&mut text);
    let job: Job = match read.map_err(|error| error.to_string()).and_then(|_| {
        serde_json::from_str(&text).map_err(|error| {
            // Not the text: it has the password.
            format!("at column {}: {:?}", error.column(), error.classify())
        })
    }) {
        Ok(job) => job,
        Err(why) => {
            say(&Line::Failed(Failure::Unavailable(format!(
                "the worker was given no job: {why}"
            ))));
            return ExitCode::FAILURE;
        }
    };
    drop(text);
    let work = Work::default();
    listen(&work);
    let watched = work.clone();
    let line = match perform(&job, &work, |calls| watch(watched, calls)) {
        Ok(answer) => Line::Done(answer),
        Err(failure) => Line::Failed(failure),
    };
    say(&line);
    ExitCode::SUCCESS
}

/// Hears the word to stop, or that nobody is there to say it.
fn listen(work: &Work) {
    let work = work.clone();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            match line {
                Ok(line) if line == CANCEL => break,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        work.cancel();
    });
}

/// Says how far it is, and ends what does not end by itself.
fn watch(work: Work, calls: Calls) {
    thread::spawn(move || {
        let mut stopped_at = None;
        let mut moved_at = Instant::now();
        let mut moved = (work.progress(), calls());
        loop {
            thread::park_timeout(TICK);
            let (done_bytes, total_bytes) = work.progress();
            say(&Line::Progress {
                done_bytes,
                total_bytes,
            });
            let now = (work.progress(), calls());
            if now != moved {
                (moved, moved_at) = (now, Instant::now());
            }
            if work.is_cancelled() {
                let stopped_at = *stopped_at.get_or_insert_with(Instant::now);
                if stopped_at.elapsed() >= STOP_MAX {
                    end(&Line::Failed(Failure::Cancelled));
                }
            }
            if moved_at.elapsed() >= STALL_MAX {
                let why = format!("nothing moved for {} s", STALL_MAX.as_secs());
                end(&Line::Failed(Failure::Unavailable(why)));
            }
        }
    });
}

/// A line to the daemon. When it is gone, nobody misses it.
fn say(line: &Line) {
    if let Ok(mut text) = serde_json::to_vec(line) {
        text.push(b'\n');
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(&text).and_then(|()| stdout.flush());
    }
}

fn end(line: &Line) -> ! {
    say(line);
    std::process::exit(1)
}

/// Does a job; `watch` is given what tells that something moves, before it begins.
pub(super) fn perform(
    job: &Job,
    work: &Work,
    watch: impl FnOnce(Calls),
) -> Result<Answer, Failure> {
    match &job.place {
        Place::Restic(place) => {
            let directory = restic::Directory::new(&place.directory, work);
            let watched = directory.clone();
            watch(Box::new(move || watched.calls()));
            restic::perform(place, &job.task, &directory, work)
        }
        Place::Cinder(place) => {
            let files = cinder::Files::new(&place.directory, work);
            let watched = files.clone();
            watch(Box::new(move || watched.calls()));
            cinder::perform(place, &job.task, &files, work)
        }
    }
}
