//! A backup store that is a restic repository: plain `restic` lists, checks and restores what is in it, with Ashlar gone.
//!
//! This end only asks: everything is done by a worker process of the same program (`worker.rs`), one a job, which is
//! told what to do over `pipe.rs`. In reading order: [`pipe`], [`worker`], [`layout`] (what lies in a repository),
//! [`repository`], [`store`] with [`source`] and [`parent`], [`restore`], [`verify`], [`upkeep`]; [`directory`],
//! [`device`] and [`lock`] are what they stand on.

mod device;
mod directory;
mod key;
mod layout;
mod lock;
mod parent;
mod pipe;
mod repository;
mod restore;
mod source;
mod store;
mod upkeep;
mod verify;
mod worker;

#[cfg(test)]
mod tests;

use crate::backup::{BackupEngine, BackupError, Depth, Description, Source, StoreReport, Stored};
use crate::cmd;
use crate::driver::{Device, Done, Work};
use crate::model::id::BackupId;
use async_trait::async_trait;
use pipe::{Answer, CANCEL, Failure, Job, LINE_LEN_MAX, Line, Task};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::{Instant, MissedTickBehavior, timeout};

pub use worker::run as run_worker;

/// How often is looked whether the work was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(100);
/// A worker says something twice a second; on a machine that is out of breath, less often.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// A worker that was told to stop does so sooner, or ends itself.
const STOP_MAX: Duration = Duration::from_secs(45);
/// From a worker's last word, or its kill, to its end.
const END_MAX: Duration = Duration::from_secs(10);

/// Where a store is and how it is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The store's name: of letters, digits, `-`, `_` and `.`, since files are named by it.
    pub name: String,
    /// The repository's directory: local, or where an NFS share is mounted. Made with the repository.
    pub directory: PathBuf,
    /// The file whose first line is the repository's password. Without, one is made below `state_dir`.
    pub password_file: Option<PathBuf>,
    /// Ashlar's state directory.
    pub state_dir: PathBuf,
    /// How long what nobody needs stays before a prune deletes it. At least as long as the longest copy into the
    /// repository by anybody else; zero when there is nobody else.
    pub keep_deleted: Duration,
}

impl Settings {
    /// Long enough for any copy that another program has under way.
    pub const KEEP_DELETED: Duration = Duration::from_secs(23 * 3600);
}

/// The store.
#[derive(Debug)]
pub struct ResticStore {
    settings: Settings,
    worker: Worker,
}

/// Where jobs are done.
#[derive(Debug, Clone)]
enum Worker {
    /// In a process of this program.
    Process(PathBuf),
    /// In a thread, where there is no such program.
    #[cfg(test)]
    Thread,
}

impl ResticStore {
    /// A store whose jobs are done by processes of the running program, whatever became of its file since.
    pub fn new(settings: Settings) -> Self {
        Self::with_worker(settings, PathBuf::from("/proc/self/exe"))
    }

    /// A store whose jobs are done by processes of `program`.
    pub fn with_worker(settings: Settings, program: PathBuf) -> Self {
        Self {
            settings,
            worker: Worker::Process(program),
        }
    }

    async fn ask(&self, task: Task, work: &Work) -> Result<Answer, BackupError> {
        if work.is_cancelled() {
            return Err(BackupError::Cancelled);
        }
        let settings = self.settings.clone();
        let place = tokio::task::spawn_blocking(move || key::place(&settings));
        let place = place
            .await
            .map_err(|error| self.unavailable(error.to_string()))?;
        let place = place.map_err(|failure| failure.of(&self.settings.name))?;
        let job = Job { place, task };
        let answer = match &self.worker {
            Worker::Process(program) => {
                let running = Running::start(program, &job).await;
                match running {
                    Ok(running) => running.finish(work).await,
                    Err(why) => Err(Failure::Unavailable(why)),
                }
            }
            #[cfg(test)]
            Worker::Thread => {
                let work = work.clone();
                let thread = tokio::task::spawn_blocking(move || {
                    let directory = directory::Directory::new(&job.place.directory, &work);
                    worker::perform(&job, &directory, &work)
                });
                thread.await.unwrap()
            }
        };
        answer.map_err(|failure| failure.of(&self.settings.name))
    }

    fn unavailable(&self, why: String) -> BackupError {
        Failure::Unavailable(why).of(&self.settings.name)
    }

    fn confused(&self) -> BackupError {
        self.unavailable("the worker answered something else than it was asked".to_owned())
    }

    async fn changed(&self, task: Task, work: &Work) -> Result<Done, BackupError> {
        let Answer::Changed(is_changed) = self.ask(task, work).await? else {
            return Err(self.confused());
        };
        Ok(match is_changed {
            true => Done::Changed,
            false => Done::AlreadySo,
        })
    }
}

#[async_trait]
impl BackupEngine for ResticStore {
    fn kind(&self) -> &'static str {
        "restic"
    }

    async fn report(&self) -> Result<StoreReport, BackupError> {
        let Answer::Report(report) = self.ask(Task::Report, &Work::default()).await? else {
            return Err(self.confused());
        };
        Ok(report)
    }

    async fn store(
        &self,
        description: &Description,
        source: &Source,
        work: &Work,
    ) -> Result<Stored, BackupError> {
        let task = Task::Store {
            description: Box::new(description.clone()),
            path: source.device.path.clone(),
            len_bytes: source.device.len_bytes,
            parent: source.parent,
            changed: source.changed.clone(),
        };
        let Answer::Stored(stored) = self.ask(task, work).await? else {
            return Err(self.confused());
        };
        Ok(stored)
    }

    async fn restore(
        &self,
        backup: BackupId,
        target: &Device,
        is_blank: bool,
        work: &Work,
    ) -> Result<Done, BackupError> {
        let task = Task::Restore {
            backup,
            path: target.path.clone(),
            len_bytes: target.len_bytes,
            is_blank,
        };
        self.changed(task, work).await
    }

    async fn remove(&self, backup: BackupId) -> Result<Done, BackupError> {
        self.changed(Task::Remove { backup }, &Work::default())
            .await
    }

    async fn prune(&self, work: &Work) -> Result<u64, BackupError> {
        let Answer::FreedBytes(freed_bytes) = self.ask(Task::Prune, work).await? else {
            return Err(self.confused());
        };
        Ok(freed_bytes)
    }

    async fn list(&self) -> Result<Vec<(Description, Stored)>, BackupError> {
        let Answer::Backups(backups) = self.ask(Task::List, &Work::default()).await? else {
            return Err(self.confused());
        };
        Ok(backups)
    }

    async fn verify(
        &self,
        backup: Option<BackupId>,
        depth: Depth,
        work: &Work,
    ) -> Result<Vec<String>, BackupError> {
        let task = Task::Verify { backup, depth };
        let Answer::Findings(findings) = self.ask(task, work).await? else {
            return Err(self.confused());
        };
        Ok(findings)
    }
}

/// A worker at work. Dropped, it is killed.
struct Running {
    child: Child,
    /// Open as long as we live: it is how the worker knows.
    stdin: ChildStdin,
    stdout: ChildStdout,
    unread: Vec<u8>,
}

impl Running {
    async fn start(program: &std::path::Path, job: &Job) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("its worker cannot be started: {error}");
        let mut child = cmd::start_backup_worker(program).map_err(told)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (mut stdin, stdout) = pipes.ok_or("its worker has no pipes")?;
        let mut text = serde_json::to_vec(job).map_err(|error| error.to_string())?;
        text.push(b'\n');
        if text.len() as u64 > LINE_LEN_MAX {
            return Err("the job is too long; were there so many changed ranges?".to_owned());
        }
        let given = timeout(SILENCE_MAX, stdin.write_all(&text)).await;
        // One that ended already takes none: how it ended is told by `finish`.
        let _ = given.map_err(|_| "its worker takes no job")?;
        Ok(Self {
            child,
            stdin,
            stdout,
            unread: Vec::new(),
        })
    }

    /// Passes progress on until the worker says its last word.
    async fn finish(mut self, work: &Work) -> Result<Answer, Failure> {
        let mut ticks = tokio::time::interval(CANCEL_POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard_at = Instant::now();
        let mut told_at = None;
        loop {
            tokio::select! {
                line = read_line(&mut self.stdout, &mut self.unread) => {
                    heard_at = Instant::now();
                    match line? {
                        Some(Line::Progress { done_bytes, total_bytes }) => {
                            work.report(done_bytes, total_bytes);
                        }
                        Some(Line::Done(answer)) => {
                            self.end().await;
                            return Ok(answer);
                        }
                        Some(Line::Failed(failure)) => {
                            self.end().await;
                            return Err(failure);
                        }
                        None => return Err(Failure::Unavailable(self.how_it_died().await)),
                    }
                }
                _ = ticks.tick() => {
                    if work.is_cancelled() && told_at.is_none() {
                        told_at = Some(Instant::now());
                        // It may be at its end anyway.
                        let _ = self.stdin.write_all(format!("{CANCEL}\n").as_bytes()).await;
                    }
                    if told_at.is_some_and(|told_at| told_at.elapsed() >= STOP_MAX) {
                        self.kill().await;
                        return Err(Failure::Cancelled);
                    }
                    if heard_at.elapsed() >= SILENCE_MAX {
                        self.kill().await;
                        let why = format!("its worker was silent for {} s", SILENCE_MAX.as_secs());
                        return Err(Failure::Unavailable(why));
                    }
                }
            }
        }
    }

    /// It said its last word, or was killed; one that hangs in a dead mount is left to the kernel.
    async fn end(mut self) {
        if timeout(END_MAX, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    async fn kill(&mut self) {
        // It ended by itself meanwhile, or cannot end: nothing more to do in either case.
        let _ = self.child.start_kill();
        let _ = timeout(END_MAX, self.child.wait()).await;
    }

    async fn how_it_died(&mut self) -> String {
        let ended = timeout(END_MAX, self.child.wait()).await;
        match ended {
            Ok(Ok(status)) => format!("its worker ended before it was done: {}", words(status)),
            Ok(Err(error)) => format!("its worker was lost: {error}"),
            Err(_) => "its worker fell silent".to_owned(),
        }
    }
}

fn words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("killed by signal {signal}"),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "nobody knows how".to_owned(),
    }
}

/// The next line; `None` at the end. Nothing is lost when it is given up half way: what was read stays in `unread`.
async fn read_line(
    stdout: &mut ChildStdout,
    unread: &mut Vec<u8>,
) -> Result<Option<Line>, Failure> {
    let lost =
        |why: String| Failure::Unavailable(format!("its worker cannot be understood: {why}"));
    let mut searched = 0;
    loop {
        let rest = unread.get(searched..).unwrap_or_default();
        if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = unread.drain(..=searched + end).collect();
            let line = serde_json::from_slice(&line);
            return line.map(Some).map_err(|error| lost(error.to_string()));
        }
        searched = unread.len();
        if searched as u64 > LINE_LEN_MAX {
            return Err(lost("a line without end".to_owned()));
        }
        let read = stdout.read_buf(unread).await;
        if read.map_err(|error| lost(error.to_string()))? == 0 {
            return Ok(None);
        }
    }
}
