//! Keeps the target's process running: starts it, notices when it died, starts it again and makes its exports match
//! the record; also when a step could not tell the target what it had to. The target outlives this process; a new one finds it and goes on with it.

use crate::cmd;
use crate::driver::Done;
use crate::ops::{Ctx, recover};
use crate::target::iscsi::IscsiTarget;
use crate::target::{Target, TargetError};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the target is asked whether it lives. Hosts ride out a restart: their initiators retry for minutes.
const LOOK: Duration = Duration::from_millis(500);
/// How long a started target may take to answer.
const START: Duration = Duration::from_secs(10);
/// How often a started target is asked whether it answers yet.
const START_LOOK: Duration = Duration::from_millis(5);

/// The one who keeps it.
#[derive(Clone)]
pub(crate) struct TargetKeeper {
    target: Arc<IscsiTarget>,
    config_path: PathBuf,
    /// The process that was last seen to match the record.
    known: Arc<AtomicU32>,
}

impl TargetKeeper {
    /// Finds the running target, or starts one.
    pub(crate) async fn start(
        target: Arc<IscsiTarget>,
        config_path: PathBuf,
    ) -> Result<Self, TargetError> {
        let keeper = Self {
            target,
            config_path,
            known: Arc::default(),
        };
        let pid = keeper.find_or_start().await?;
        keeper.known.store(pid, Ordering::Relaxed);
        Ok(keeper)
    }

    /// Keeps it until `shutdown`.
    pub(crate) async fn keep(self, ctx: Arc<Ctx>, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = shutdown.cancelled() => return,
            }
            let pid = match self.find_or_start().await {
                Ok(pid) => pid,
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, cause, "the target is not running, or stopped; trying again");
                    continue;
                }
            };
            let is_new = self.known.load(Ordering::Relaxed) != pid;
            if is_new {
                tracing::warn!(pid, "the target was started again");
            } else if !ctx.gate.take_doubt() {
                continue;
            }
            match recover::exports_match_the_record(&ctx).await {
                Ok(()) => self.known.store(pid, Ordering::Relaxed),
                Err(error) => {
                    self.known.store(0, Ordering::Relaxed);
                    tracing::error!(%error, "the exports were not compared with the record; trying again")
                }
            }
        }
    }

    /// At the end of this process: a target that serves nobody ends too, one that serves somebody stays.
    pub(crate) async fn let_go(self) {
        let ended = match self.target.exports().await {
            Ok(exports) if exports.is_empty() => self
                .target
                .stop(true)
                .await
                .map(|done| done == Done::Changed),
            Ok(_) => Ok(false),
            Err(error) => Err(error),
        };
        match ended {
            Ok(true) => tracing::info!("the target had no exports and ended"),
            Ok(false) => tracing::info!("the target goes on serving its exports"),
            Err(error) => tracing::warn!(%error, "the target could not be asked to end"),
        }
    }

    async fn find_or_start(&self) -> Result<u32, TargetError> {
        match self.target.hello().await {
            Ok(hello) => return Ok(hello.pid),
            // It is there, but stopped or hung: another one could not take its lock, and would end at once.
            Err(error) if is_late(&error) => return Err(error),
            Err(_) => {}
        }
        let started =
            cmd::start_target(&self.config_path).map_err(|source| TargetError::Unavailable {
                doing: "starting",
                source,
            })?;
        tracing::info!(pid = started, "target started");
        let deadline = Instant::now() + START;
        loop {
            match self.target.hello().await {
                Ok(hello) => return Ok(hello.pid),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => tokio::time::sleep(START_LOOK).await,
            }
        }
    }
}

/// Whether nobody answered in time, where somebody listens.
fn is_late(error: &TargetError) -> bool {
    matches!(error, TargetError::Unavailable { source, .. } if source.kind() == std::io::ErrorKind::TimedOut)
}
