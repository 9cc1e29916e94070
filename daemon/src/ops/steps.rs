//! Plans and steps: what an operation does, as data, and the engine that does it.
//!
//! A [`Plan`] names its steps with their undo side by side. The engine runs them in order, records each, and knows
//! nothing of what they do. N steps are N + 1 commits: the begin, and one a step, the last of which is also the end.
//!
//! Rules that every step keeps:
//! - It may be done again, wholly or after half of it, and so may its undo.
//! - It reads what it needs from the record, where `begin` has put names, ids and sizes before anything was done.
//! - What it wants recorded goes into its [`Outcome`] and commits together with "this step is done".

use super::begin::Input;
use super::faults::{Order, Point};
use super::{Ctx, journal, unwritable};
use crate::driver::Work;
use crate::error::{Error, chain};
use crate::meter;
use crate::model::operation::{Operation, Phase, Verb};
use crate::model::time::Time;
use crate::store::Batch;
use crate::store::operations::{self, StepRecord};
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an operation does.
pub struct Plan {
    /// The operation.
    pub verb: Verb,
    /// In the order they are done; undone from the last to the first.
    pub steps: &'static [Step],
    /// How long it may take before it is stopped and undone.
    pub deadline: Duration,
    /// What else changes in the record when it ended well.
    pub done: fn(&Job) -> Result<Batch, Error>,
    /// What else changes when it failed and was undone.
    pub failed: fn(&Job) -> Result<Batch, Error>,
}

/// A step with its undo.
pub struct Step {
    /// Its name in the journal.
    pub name: &'static str,
    /// Does it.
    pub run: StepFn,
    /// Takes it back, wholly or half done; `None` when nothing is to be taken back, or nothing can be.
    pub undo: Option<StepFn>,
    /// Whether a cancel may still stop the operation before this step, or in its midst.
    pub can_cancel: bool,
}

/// A step's function.
pub(super) type StepFn = for<'a> fn(&'a Job) -> StepFuture<'a>;
/// What a step's function returns.
pub(super) type StepFuture<'a> = Pin<Box<dyn Future<Output = Result<Outcome, Error>> + Send + 'a>>;

/// What a step wants recorded.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Statements that commit together with the step.
    pub also: Batch,
    /// Who does the next step, if somebody else.
    pub next_queue: Option<String>,
}

impl Outcome {
    /// Nothing but that the step is done.
    pub fn nothing() -> Result<Self, Error> {
        Ok(Self::default())
    }
}

/// An operation at work.
pub struct Job {
    /// What it may use.
    pub ctx: Arc<Ctx>,
    /// Its row.
    pub operation: Operation,
    /// The objects it moves and what was asked, out of its row.
    pub(super) input: Input,
    /// How far the present step is.
    pub work: Work,
}

/// How often a running step's progress is written and a wish to cancel is looked for.
const LOOK_AFTER: Duration = Duration::from_millis(500);

/// How often an undo is tried, and how long is waited in between.
const UNDO_TRIES: u32 = 3;
const UNDO_PAUSE: Duration = Duration::from_millis(200);

/// The record could not be written: the operation stays as recorded and is taken up again.
struct Unrecorded(Error);

/// How an operation was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Over, or in another queue.
    Settled,
    /// As it was recorded last; to be taken up again after a while.
    Unrecorded,
    /// As it is, because this version cannot read it.
    Unread,
}

/// Does what is left of an operation, from wherever its row says it is, until it is over or moves to a
/// queue other than those in `quick`.
pub(super) async fn carry_out(ctx: Arc<Ctx>, operation: Operation, quick: &[String]) -> Left {
    let Some((mut job, plan)) = read(ctx, operation) else {
        tracing::error!("this version cannot read the operation; it is left as it is");
        return Left::Unread;
    };
    let stopped = if job.operation.phase == Phase::Undoing {
        undo(&mut job, plan).await
    } else {
        run(&mut job, plan, quick).await
    };
    match stopped {
        Ok(()) => Left::Settled,
        Err(Unrecorded(error)) => {
            tracing::error!(
                error = chain(&error),
                "not recorded; the operation will be taken up again"
            );
            Left::Unrecorded
        }
    }
}

/// The operation's job and plan; `None` unless both of its possible ends can be made of its row, so that none is
/// begun that could never be recorded as over.
fn read(ctx: Arc<Ctx>, operation: Operation) -> Option<(Job, &'static Plan)> {
    let plan = super::plan(operation.verb)?;
    let input = serde_json::from_str::<Input>(&operation.input).ok()?;
    let cursor = u64::try_from(operation.bytes_done).unwrap_or(0);
    let job = Job {
        ctx,
        operation,
        input,
        work: Work::resuming(cursor),
    };
    let is_whole = (plan.done)(&job).is_ok() && (plan.failed)(&job).is_ok();
    is_whole.then_some((job, plan))
}

async fn run(job: &mut Job, plan: &Plan, quick: &[String]) -> Result<(), Unrecorded> {
    job.operation.phase = Phase::Running;
    let taken_from = job.operation.queue.clone();
    // Its row was read just now; from the second step on it is asked anew.
    let mut is_cancelled = job.operation.cancel_requested;
    while let Some(step) = plan.steps.get(job.operation.steps_done) {
        if step.can_cancel && is_cancelled {
            return turn_back(job, plan, Error::Cancelled).await;
        }
        let started_at = Time::now();
        let outcome = match attempt(job, plan, step).await {
            Ok(outcome) => outcome,
            Err(error) => return turn_back(job, plan, error).await,
        };
        record(job, plan, step, outcome, started_at).await?;
        let _ = job.ctx.faults.at(plan.verb, step.name, Point::AfterRecord);
        let queue = &job.operation.queue;
        let moved = *queue != taken_from && !quick.contains(queue);
        if job.operation.phase.is_over() || moved {
            return Ok(());
        }
        job.work = Work::default();
        is_cancelled = is_cancel_requested(job).await;
    }
    Ok(())
}

/// Does one step, with the faults that the harness asks for, looked after meanwhile.
async fn attempt(job: &mut Job, plan: &Plan, step: &Step) -> Result<Outcome, Error> {
    let injected = || Error::Internal {
        what: "injected fault".to_owned(),
    };
    let before = job.ctx.faults.at(plan.verb, step.name, Point::BeforeEffect);
    if before == Order::Fail {
        return Err(injected());
    }
    let mut outcome = looked_after(job, step).await?;
    let after = job.ctx.faults.at(plan.verb, step.name, Point::AfterEffect);
    if after == Order::Fail {
        return Err(injected());
    }
    if before == Order::Repeat || after == Order::Repeat {
        outcome = looked_after(job, step).await?;
    }
    Ok(outcome)
}

/// Waits for a step while writing its progress and passing on a wish to cancel, if the step may be stopped. The step
/// itself is always awaited to its end: what it started must have stopped before anything is undone.
async fn looked_after(job: &Job, step: &Step) -> Result<Outcome, Error> {
    let mut running = (step.run)(job);
    let mut written = job.work.progress();
    let mut rate = Rate::from(written.0);
    let mut late = false;
    loop {
        match tokio::time::timeout(LOOK_AFTER, &mut running).await {
            // It stopped because it was asked to; any other end is its own.
            Ok(Err(Error::Cancelled)) if late => {
                return Err(Error::TimedOut {
                    operation: job.operation.id.to_string(),
                    waited_s: super::plan(job.operation.verb)
                        .map_or(0, |plan| plan.deadline.as_secs()),
                });
            }
            Ok(outcome) => return outcome,
            Err(_elapsed) => {
                let progress = job.work.progress();
                if progress != written {
                    written = progress;
                    write_progress(job, progress, rate.now_at(progress.0)).await;
                }
                if Time::now() > job.operation.deadline_at && !late {
                    late = true;
                    tracing::warn!("past its deadline; the step was asked to stop");
                    job.work.cancel();
                }
                if step.can_cancel && is_cancel_requested(job).await {
                    job.work.cancel();
                }
            }
        }
    }
}

/// Bytes a second, smoothed over some ten looks so that a time left that is made of it does not jump.
struct Rate {
    looked_at: Instant,
    bytes: u64,
    per_s: Option<f64>,
}

impl Rate {
    /// What one look weighs.
    const WEIGHT: f64 = 0.2;

    fn from(bytes: u64) -> Self {
        Self {
            looked_at: Instant::now(),
            bytes,
            per_s: None,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is for people, and `as` saturates"
    )]
    fn now_at(&mut self, bytes: u64) -> u64 {
        let elapsed = self.looked_at.elapsed().as_secs_f64().max(0.001);
        let look = bytes.saturating_sub(self.bytes) as f64 / elapsed;
        let per_s = match self.per_s {
            None => look,
            Some(before) => before + Self::WEIGHT * (look - before),
        };
        *self = Self {
            looked_at: Instant::now(),
            bytes,
            per_s: Some(per_s),
        };
        per_s as u64
    }
}

async fn write_progress(job: &Job, (done, total): (u64, u64), per_s: u64) {
    let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let batch = operations::progress(job.operation.id, bytes(done), bytes(total), bytes(per_s));
    if let Err(error) = job.ctx.store.write(batch).await {
        // Progress is a courtesy and a resume point; the step itself does not depend on it.
        tracing::warn!(%error, "progress was not recorded");
    }
}

async fn is_cancel_requested(job: &Job) -> bool {
    match operations::get(&job.ctx.store, job.operation.id).await {
        Ok(Some(operation)) => operation.cancel_requested,
        Ok(None) | Err(_) => false,
    }
}

/// Records a step as done; the last one together with the end of the operation.
async fn record(
    job: &mut Job,
    plan: &Plan,
    step: &Step,
    outcome: Outcome,
    started_at: Time,
) -> Result<(), Unrecorded> {
    let position = job.operation.steps_done;
    job.operation.steps_done += 1;
    if let Some(queue) = outcome.next_queue {
        job.operation.queue = queue;
    }
    let is_last = job.operation.steps_done == plan.steps.len();
    let mut batch = Batch::new();
    operations::record_step(
        &mut batch,
        &job.operation,
        &step_record(step, position, "do", started_at),
    );
    batch.extend(outcome.also);
    if is_last {
        batch.extend((plan.done)(job).map_err(Unrecorded)?);
        batch.extend(journal::ends(job, Phase::Done, None));
    }
    write(job, batch).await?;
    if is_last {
        job.operation.phase = Phase::Done;
        ended(job);
    }
    Ok(())
}

/// From doing to undoing: the present step first, since it may be half done. One that was never begun is undone too:
/// that finds nothing to do, and a cancel that comes after a crash cannot tell it from one that was.
async fn turn_back(job: &mut Job, plan: &Plan, error: Error) -> Result<(), Unrecorded> {
    tracing::warn!(error = chain(&error), "failed; undoing");
    let steps = (job.operation.steps_done + 1).min(plan.steps.len());
    job.operation.error = Some(error.to_string());
    let batch = operations::turn(job.operation.id, steps, &error.to_string());
    write(job, batch).await?;
    job.operation.phase = Phase::Undoing;
    job.operation.steps_done = steps;
    undo(job, plan).await
}

async fn undo(job: &mut Job, plan: &Plan) -> Result<(), Unrecorded> {
    while let Some(position) = job.operation.steps_done.checked_sub(1) {
        let Some(step) = plan.steps.get(position) else {
            break;
        };
        job.work = Work::default();
        let started_at = Time::now();
        if let Some(take_back) = step.undo
            && let Err(error) = undo_step(job, take_back).await
        {
            let so_far = job.operation.error.take().unwrap_or_default();
            job.operation.error = Some(format!(
                "{so_far} Then {} could not be undone: {error}",
                step.name
            ));
        }
        job.operation.steps_done = position;
        if position > 0 {
            let mut batch = Batch::new();
            operations::record_step(
                &mut batch,
                &job.operation,
                &step_record(step, position, "undo", started_at),
            );
            write(job, batch).await?;
        }
    }
    let cancelled = job.operation.error.as_deref() == Some(&Error::Cancelled.to_string());
    let phase = if cancelled {
        Phase::Cancelled
    } else {
        Phase::Failed
    };
    let mut batch = (plan.failed)(job).map_err(Unrecorded)?;
    batch.extend(journal::ends(job, phase, job.operation.error.as_deref()));
    write(job, batch).await?;
    job.operation.phase = phase;
    ended(job);
    Ok(())
}

/// The one line of an operation's end, and its meters.
fn ended(job: &Job) {
    let operation = &job.operation;
    let took_s = Time::now().seconds_since(&operation.created_at);
    tracing::info!(
        took_s,
        error = operation.error,
        "{}",
        operation.phase.as_str()
    );
    meter::operation_ended(operation.verb, operation.phase, took_s);
}

async fn undo_step(job: &Job, take_back: StepFn) -> Result<Outcome, Error> {
    let mut tries = 1;
    loop {
        match take_back(job).await {
            Ok(outcome) => return Ok(outcome),
            Err(error) if tries == UNDO_TRIES => return Err(error),
            Err(error) => {
                tracing::warn!(error = chain(&error), tries, "undo failed; trying again");
                tries += 1;
                tokio::time::sleep(UNDO_PAUSE * tries).await;
            }
        }
    }
}

async fn write(job: &Job, mut batch: Batch) -> Result<(), Unrecorded> {
    // What runs already must be able to end, also on a full disk.
    batch.essential();
    let written = job.ctx.store.write(batch).await;
    written.map_err(|error| Unrecorded(unwritable(error)))?;
    job.ctx.doorbell.ring();
    Ok(())
}

fn step_record(step: &Step, position: usize, direction: &str, started_at: Time) -> StepRecord {
    StepRecord {
        position: i64::try_from(position).unwrap_or(i64::MAX),
        name: step.name.to_owned(),
        direction: direction.to_owned(),
        started_at,
        finished_at: Time::now(),
    }
}

impl Job {
    /// The id of the object that it is about.
    pub(super) fn object_id<T: FromStr>(&self) -> Result<T, Error> {
        let text = &self.operation.object_id;
        text.parse().map_err(|_| Error::Internal {
            what: format!(
                "operation {} is about {text}, which is no id",
                self.operation.id
            ),
        })
    }

    /// What was asked, as the operation's own type.
    pub(super) fn asked<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_value(self.input.asked.clone()).map_err(|error| Error::Internal {
            what: format!("operation {} cannot be read: {error}", self.operation.id),
        })
    }
}
