//! Verify a backup: whether all that it needs is in its store, or, every byte, whether it is what was stored.
//!
//! Nothing moves. Others may read the backup meanwhile; only what would remove it waits, or cancels this. What was found
//! stands at the backup once the first step is recorded. The second fails the operation if anything was, so that the owner
//! gets a message, and the journals of the backup and of its volume say so.

use super::backup_stores::{self, Wanted};
use super::begin::Beginning;
use super::edges::{engine_failed, engine_of};
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, look_queue, visible_backup};
use crate::backup::BackupError;
use crate::error::{Error, Refusal};
use crate::model::backup::{Depth, Verified};
use crate::model::caller::Caller;
use crate::model::id::{BackupId, OperationId};
use crate::model::operation::Verb;
use crate::model::time::Time;
use crate::store::{Batch, backups};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::VerifyBackup,
    steps: &[
        Step {
            name: "look",
            run: |job| Box::pin(look(job)),
            undo: None,
            can_cancel: true,
        },
        Step {
            name: "judge",
            run: |job| Box::pin(judge(job)),
            undo: None,
            can_cancel: false,
        },
    ],
    deadline: Duration::from_secs(7 * 24 * 3600), // Every byte of a large backup, over a slow line.
    done: |_| Ok(Batch::new()),
    failed: |_| Ok(Batch::new()),
};

/// Findings that are kept of one look; more tell nothing new.
const FINDINGS_MAX: usize = 100;
/// Characters that are kept of one.
const FINDING_LEN_MAX: usize = 500;

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    depth: Depth,
}

/// Accepts the request; the answer is the operation.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: BackupId,
    depth: Depth,
) -> Result<OperationId, Error> {
    let backup = visible_backup(ctx, caller, id).await?;
    let wanted = Wanted {
        store: Some(&backup.store),
        near: Some(&backup.host),
        ..Wanted::default()
    };
    let service = backup_stores::find(ctx, wanted).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::VerifyBackup, &id);
    beginning.reads_backup(&backup);
    // Two looks would write over what the other found.
    let values = vec![id.to_string().into(), beginning.id().to_string().into()];
    let twice = Refusal::Rule {
        why: format!("Backup {id} is being verified already; wait for that, or cancel it."),
    };
    beginning.rule(backups::IS_VERIFIED_ONCE, values, Error::Refused(twice));
    beginning.is_told_of(&backup.volume_id);
    beginning.asks(serde_json::to_value(Asked { depth }).unwrap_or_default());
    beginning.commit(look_queue(&service.host)).await
}

async fn look(job: &Job) -> Result<Outcome, Error> {
    let backup = job.backup().await?;
    let depth = job.asked::<Asked>()?.depth;
    let engine = engine_of(&job.ctx, &backup.store)?;
    let looked = engine.verify(Some(backup.id), depth, &job.work).await;
    let findings = match looked {
        Ok(findings) => findings,
        // That is an answer to what was asked.
        Err(error @ (BackupError::Absent { .. } | BackupError::Damaged { .. })) => {
            vec![error.to_string()]
        }
        Err(error) => return Err(engine_failed("verifying", &backup.id, error)),
    };
    let found = Verified {
        at: Time::now(),
        depth,
        findings: bounded(findings),
    };
    let mut outcome = Outcome::default();
    backups::verified(&mut outcome.also, backup.id, &found);
    Ok(outcome)
}

/// As much of the findings as is kept.
fn bounded(findings: Vec<String>) -> Vec<String> {
    let more = findings.len().saturating_sub(FINDINGS_MAX);
    let cut = |line: String| line.chars().take(FINDING_LEN_MAX).collect();
    let mut kept: Vec<String> = findings.into_iter().take(FINDINGS_MAX).map(cut).collect();
    if more > 0 {
        kept.push(format!("and {more} more"));
    }
    kept
}

async fn judge(job: &Job) -> Result<Outcome, Error> {
    let backup = job.backup().await?;
    let findings = backup.verified.map(|one| one.findings).unwrap_or_default();
    let Some((first, rest)) = findings.split_first() else {
        return Outcome::nothing();
    };
    let more = match rest.len() {
        0 => String::new(),
        more => format!(" (and {more} more, which the backup shows)"),
    };
    let why = format!(
        "{first}{more}. The backup was left as it is. While its volume is there, a new backup of it stores again what is \
         missing; other backups are to be verified, too"
    );
    let store = backup.store.clone();
    let damaged = BackupError::Damaged { store, why };
    Err(engine_failed("verifying", &backup.id, damaged))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_bounded() {
        let kept = bounded(vec!["é".repeat(FINDING_LEN_MAX + 1); FINDINGS_MAX + 3]);
        assert_eq!(kept.len(), FINDINGS_MAX + 1);
        assert_eq!(kept[0].chars().count(), FINDING_LEN_MAX);
        assert_eq!(kept[FINDINGS_MAX], "and 3 more");
        assert_eq!(bounded(vec!["x".to_owned()]), ["x"]);
    }
}
