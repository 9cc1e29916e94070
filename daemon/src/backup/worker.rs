//! Jobs of a store, each done by a process of its own (`ashlard backup-worker`): what it takes in memory, what a library
//! panics at, what a hostile file makes of its reader, and what hangs in a dead mount are the job's misfortune and not the
//! daemon's.
//!
//! This is the daemon's end, which asks; [`process`] is the other. [`store`] is what can be asked, [`pipe`] what they say to
//! each other, [`lock`] and [`device`] are what jobs stand on.

pub(in crate::backup) mod device;
pub(in crate::backup) mod lock;
pub(in crate::backup) mod pipe;
mod process;
mod store;

use crate::backup::BackupError;
use crate::cmd;
use crate::driver::Work;
use pipe::{Answer, CANCEL, Failure, Job, LINE_LEN_MAX, Line, Place, Task};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::{Instant, MissedTickBehavior, timeout};

pub use process::run;
pub use store::WorkerStore;

/// How often is looked whether the work was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(100);
/// A worker says something twice a second; on a machine that is out of breath, less often.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// A worker that was told to stop does so sooner, or ends itself.
const STOP_MAX: Duration = Duration::from_secs(45);
/// From a worker's last word, or its kill, to its end.
const END_MAX: Duration = Duration::from_secs(10);

/// Finds a store, which may take its time over it.
type Find = Arc<dyn Fn() -> Result<Place, Failure> + Send + Sync>;

/// Where a store's jobs are done.
#[derive(Clone)]
pub(in crate::backup) struct Worker {
    /// The store's name, for what goes wrong.
    store: String,
    find: Find,
    means: Means,
}

#[derive(Debug, Clone)]
enum Means {
    /// In a process of this program.
    Process(PathBuf),
    /// In a thread, where there is no such program.
    #[cfg(test)]
    Thread,
}

impl Worker {
    /// Jobs in the store that `find` finds anew for each, done by processes of the running program, whatever became of its
    /// file since.
    pub(in crate::backup) fn new(
        store: &str,
        find: impl Fn() -> Result<Place, Failure> + Send + Sync + 'static,
    ) -> Self {
        Self {
            store: store.to_owned(),
            find: Arc::new(find),
            means: Means::Process(PathBuf::from("/proc/self/exe")),
        }
    }

    /// Has `task` done.
    async fn ask(&self, task: Task, work: &Work) -> Result<Answer, BackupError> {
        if work.is_cancelled() {
            return Err(BackupError::Cancelled);
        }
        let answer = self.answer(task, work).await;
        answer.map_err(|failure| failure.of(&self.store))
    }

    async fn answer(&self, task: Task, work: &Work) -> Result<Answer, Failure> {
        let lost = |error: tokio::task::JoinError| Failure::Unavailable(error.to_string());
        let find = Arc::clone(&self.find);
        let place = tokio::task::spawn_blocking(move || find()).await;
        let place = place.map_err(lost)??;
        let job = Job { place, task };
        match &self.means {
            Means::Process(program) => match Running::start(program, &job).await {
                Ok(running) => running.finish(work).await,
                Err(why) => Err(Failure::Unavailable(why)),
            },
            #[cfg(test)]
            Means::Thread => {
                let work = work.clone();
                let thread = move || process::perform(&job, &work, drop);
                tokio::task::spawn_blocking(thread).await.map_err(lost)?
            }
        }
    }

    /// Another answer than to what was asked.
    fn confused(&self) -> BackupError {
        let why = "the worker answered something else than it was asked".to_owned();
        Failure::Unavailable(why).of(&self.store)
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
    async fn start(program: &Path, job: &Job) -> Result<Self, String> {
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
