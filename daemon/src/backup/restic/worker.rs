//! The worker: one job, done in a process of its own, so that what it takes in memory, what a library panics at and
//! what hangs in a dead mount are the job's misfortune and not the daemon's.
//!
//! It says at least once a second how far it is. It ends soon after it is told to stop, and also when its stdin is
//! closed, which is how it learns that its daemon died; whoever comes next waits for its locks.

use super::directory::Directory;
use super::pipe::{Answer, CANCEL, Failure, Job, LINE_LEN_MAX, Line, Place, Task};
use super::repository::{Repository, explain};
use super::store::{Copy, store};
use super::{device::Opened, lock, restore, upkeep, verify};
use crate::driver::Work;
use crate::model::id::BackupId;
use sha2::{Digest as _, Sha256};
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::path::Path;
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
    let directory = Directory::new(&job.place.directory, &work);
    listen(&work);
    watch(&work, &directory);
    let line = match perform(&job, &directory, &work) {
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
fn watch(work: &Work, directory: &Directory) {
    let (work, directory) = (work.clone(), directory.clone());
    thread::spawn(move || {
        let mut stopped_at = None;
        let mut moved_at = Instant::now();
        let mut moved = (work.progress(), directory.calls());
        loop {
            thread::park_timeout(TICK);
            let (done_bytes, total_bytes) = work.progress();
            say(&Line::Progress {
                done_bytes,
                total_bytes,
            });
            let now = (work.progress(), directory.calls());
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

/// Does a job.
pub(super) fn perform(job: &Job, directory: &Directory, work: &Work) -> Result<Answer, Failure> {
    let Job { place, task } = job;
    match task {
        Task::Store {
            description,
            path,
            len_bytes,
            data,
            parent,
            changed,
        } => {
            let _store = share(place, work)?;
            let claim = claim(place, description.id, work)?;
            let copy = Copy {
                description,
                path,
                len_bytes: *len_bytes,
                data: data.as_deref(),
                parent: *parent,
                changed: changed.clone(),
                was_left_behind: claim.was_left_behind(),
            };
            store(Repository::open(place, directory)?, &copy, work).map(Answer::Stored)
        }
        // Whatever else it is, it may be cut off between any two calls.
        Task::Report
        | Task::Restore { .. }
        | Task::Remove { .. }
        | Task::Prune
        | Task::List
        | Task::Verify { .. } => {
            directory.cut_short_when_cancelled();
            perform_short(place, task, directory, work)
        }
    }
}

fn perform_short(
    place: &Place,
    task: &Task,
    directory: &Directory,
    work: &Work,
) -> Result<Answer, Failure> {
    match task {
        Task::Report => {
            // Two that make it at once would make two.
            let _making = lock::claim(&place.keep, &format!("{}.report", place.store), work)?;
            let repository = Repository::open_or_make(place, directory)?;
            upkeep::report(&repository).map(Answer::Report)
        }
        Task::List => upkeep::list(Repository::open(place, directory)?).map(Answer::Backups),
        Task::Restore {
            backup,
            path,
            len_bytes,
            is_blank,
        } => {
            let _store = share(place, work)?;
            let _claim = claim_device(place, path, work)?;
            let target = Opened::to_write(path, *len_bytes)?;
            restore_to(place, *backup, &target, *is_blank, directory, work)?;
            Ok(Answer::Changed(true))
        }
        Task::Remove { backup } => {
            let _store = share(place, work)?;
            let _claim = claim(place, *backup, work)?;
            let repository = Repository::open(place, directory)?;
            upkeep::remove(&repository, *backup).map(Answer::Changed)
        }
        Task::Prune => {
            let keep_deleted = Duration::from_secs(place.keep_deleted_s);
            let is_alone = keep_deleted.is_zero();
            let _store = lock::store(&place.keep, &place.store, is_alone, work)?;
            let repository = Repository::open(place, directory)?;
            upkeep::prune(&repository, keep_deleted).map(Answer::FreedBytes)
        }
        Task::Verify { backup, depth } => {
            let _store = share(place, work)?;
            let repository = Repository::open(place, directory)?;
            verify::verify(repository, *backup, *depth, work).map(Answer::Findings)
        }
        Task::Store { .. } => Err(Failure::Unavailable("a copy is no short task".to_owned())),
    }
}

fn restore_to(
    place: &Place,
    id: BackupId,
    target: &Opened,
    is_blank: bool,
    directory: &Directory,
    work: &Work,
) -> Result<(), Failure> {
    let repository = Repository::open(place, directory)?;
    let backup = repository.backup(id)?;
    let need_bytes = backup.about.as_ref().map_or(0, |about| about.len_bytes);
    target.holds(need_bytes)?;
    let rustic = repository.indexed()?;
    let explained = |error: &rustic_core::RusticError| explain(directory, error);
    restore::restore(
        &rustic,
        &backup.snapshot,
        target,
        is_blank,
        work,
        &explained,
    )
}

/// A place in the store beside others.
fn share(place: &Place, work: &Work) -> Result<lock::Lock, Failure> {
    lock::store(&place.keep, &place.store, false, work)
}

fn claim(place: &Place, backup: BackupId, work: &Work) -> Result<lock::Lock, Failure> {
    lock::claim(&place.keep, &format!("{}.{backup}", place.store), work)
}

/// One writer for a device, whatever it is restored from.
fn claim_device(place: &Place, path: &Path, work: &Work) -> Result<lock::Lock, Failure> {
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    let short: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    lock::claim(&place.keep, &format!("device-{short}"), work)
}
