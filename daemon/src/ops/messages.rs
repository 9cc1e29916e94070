//! Messages: written with the end of an operation that failed, so that its owner can read why; deleted by their
//! owner, or forgotten after a month.
//!
//! A message begins with Cinder's fixed sentence for the event and goes on with what the operation recorded. An
//! operation that was cancelled leaves none: who asked for that knows why.

use super::begin::Input;
use super::{Ctx, unreadable, unwritable};
use crate::error::Error;
use crate::error::chain;
use crate::model::caller::Caller;
use crate::model::id::MessageId;
use crate::model::message::{Action, Detail, Event, Message, Resource};
use crate::model::operation::{Operation, Verb};
use crate::model::time::Time;
use crate::store::{Batch, StoreError, messages};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a message is kept (Cinder's `message_ttl`).
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often those whose time is over are looked for.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// How [`Error::NoPool`] begins. The journal keeps errors as words, and this one is told by them after a crash too.
const NO_POOL: &str = "No valid backend was found: ";

/// What the failure of each verb is called in Cinder; of one that is not here Cinder has no words, or has no message.
const EVENTS: &[(Verb, Action, Detail)] = &[
    (
        Verb::CreateVolume,
        Action::CreateVolume,
        Detail::CreateFailed,
    ),
    (
        Verb::ExtendVolume,
        Action::ExtendVolume,
        Detail::ExtendFailed,
    ),
    (
        Verb::CreateSnapshot,
        Action::CreateSnapshot,
        Detail::SnapshotCreateFailed,
    ),
    (
        Verb::DeleteSnapshot,
        Action::DeleteSnapshot,
        Detail::SnapshotDeleteFailed,
    ),
    (
        Verb::CreateAttachment,
        Action::UpdateAttachment,
        Detail::AttachFailed,
    ),
    (
        Verb::UpdateAttachment,
        Action::UpdateAttachment,
        Detail::AttachFailed,
    ),
    (
        Verb::InitializeConnection,
        Action::AttachVolume,
        Detail::AttachFailed,
    ),
    (
        Verb::DeleteAttachment,
        Action::UpdateAttachment,
        Detail::DetachFailed,
    ),
    (
        Verb::TerminateConnection,
        Action::AttachVolume,
        Detail::DetachFailed,
    ),
    (
        Verb::DetachVolume,
        Action::AttachVolume,
        Detail::DetachFailed,
    ),
    (
        Verb::CreateBackup,
        Action::CreateBackup,
        Detail::BackupCreateFailed,
    ),
    (
        Verb::DeleteBackup,
        Action::DeleteBackup,
        Detail::BackupDeleteFailed,
    ),
    (
        Verb::RestoreBackup,
        Action::RestoreBackup,
        Detail::BackupRestoreFailed,
    ),
    (
        Verb::DrillBackup,
        Action::RestoreBackup,
        Detail::BackupRestoreFailed,
    ),
];

fn event(verb: Verb, error: &str) -> Event {
    let known = EVENTS.iter().find(|(of, _, _)| *of == verb);
    let (action, detail) = known.map_or((None, Detail::Unknown), |(_, action, detail)| {
        (Some(*action), *detail)
    });
    match (error.starts_with(NO_POOL), verb) {
        (true, Verb::CreateVolume) => Event {
            action: Some(Action::ScheduleVolume),
            detail: Detail::NoBackend,
        },
        (true, _) => Event {
            action,
            detail: Detail::NoBackend,
        },
        (false, _) => Event { action, detail },
    }
}

/// Adds the message of an operation that failed to the batch that ends it.
pub(super) fn why_failed(
    batch: &mut Batch,
    operation: &Operation,
    input: &Input,
    error: Option<&str>,
) {
    let error = error.unwrap_or_default();
    let event = event(operation.verb, error);
    let (resource, uuid) = match (&input.backup, &input.volume, input.snapshots.first()) {
        (Some(backup), _, _) => (Resource::Backup, &backup.id),
        (None, Some(volume), _) => (Resource::Volume, &volume.id),
        (None, None, Some(snapshot)) => (Resource::Snapshot, &snapshot.id),
        (None, None, None) => (Resource::Volume, &operation.object_id),
    };
    let ours = error.strip_prefix(NO_POOL).unwrap_or(error);
    let (project_id, request_id) = (&operation.project_id, &operation.request_id);
    tell(
        batch,
        (project_id, request_id),
        event,
        (resource, uuid.as_str()),
        ours,
    );
}

/// Adds the message that a backup set did not back up a volume, or did not do all that it should.
pub(super) fn not_backed_up(batch: &mut Batch, caller: &Caller, uuid: &str, why: &str) {
    let event = event(Verb::CreateBackup, why);
    let whose = (caller.project_id.as_str(), caller.request_id.as_str());
    tell(batch, whose, event, (Resource::Volume, uuid), why);
}

fn tell(
    batch: &mut Batch,
    (project_id, request_id): (&str, &str),
    event: Event,
    (resource, uuid): (Resource, &str),
    why: &str,
) {
    let message = Message {
        id: MessageId::random(),
        project_id: project_id.to_owned(),
        request_id: request_id.to_owned(),
        resource_type: resource.as_str().to_owned(),
        resource_uuid: uuid.to_owned(),
        event_id: event.id(resource),
        message_level: "ERROR".to_owned(),
        user_message: format!("{} {why}", event.sentence()).trim().to_owned(),
        created_at: Time::now(),
        guaranteed_until: Time::after(KEPT),
    };
    batch.add(messages::INSERT, messages::insert_values(&message));
}

/// The message, if it exists for this caller.
pub async fn visible(ctx: &Ctx, caller: &Caller, id: MessageId) -> Result<Message, Error> {
    let found = messages::get(&ctx.store, id).await.map_err(unreadable)?;
    found
        .filter(|message| caller.sees(&message.project_id))
        .ok_or_else(|| not_found(id))
}

/// Deletes a message that was read.
pub async fn delete(ctx: &Ctx, caller: &Caller, id: MessageId) -> Result<(), Error> {
    visible(ctx, caller, id).await?;
    let mut batch = Batch::new();
    batch.guard("message", messages::DELETE, vec![id.to_string().into()]);
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { .. }) => Err(not_found(id)),
        written => written.map_err(unwritable),
    }
}

/// Forgets messages whose time is over, until `shutdown`. The scheduler's task, as in Cinder.
pub async fn keep_forgetting(ctx: Arc<Ctx>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(FORGET_EVERY) => {}
            () = shutdown.cancelled() => return,
        }
        if let Err(error) = ctx.store.write(messages::forget(&Time::now())).await {
            tracing::warn!(
                error = chain(&error),
                "old messages were not forgotten; trying again"
            );
        }
    }
}

fn not_found(id: MessageId) -> Error {
    Error::NotFound {
        noun: "Message",
        id: id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pool_is_told_by_its_words() {
        let error = Error::NoPool {
            reason: "because".to_owned(),
        };
        assert_eq!(error.to_string(), format!("{NO_POOL}because"));
    }

    #[test]
    fn events_by_verb_and_reason() {
        let id = |verb, error: &str| event(verb, error).id(Resource::Volume);
        let no_pool = format!("{NO_POOL}x");
        assert_eq!(id(Verb::CreateVolume, &no_pool), "VOLUME_VOLUME_001_003");
        assert_eq!(id(Verb::CreateVolume, "x"), "VOLUME_VOLUME_008_012");
        assert_eq!(id(Verb::ExtendVolume, &no_pool), "VOLUME_VOLUME_007_003");
        assert_eq!(id(Verb::ExtendVolume, "x"), "VOLUME_VOLUME_007_010");
        assert_eq!(id(Verb::DeleteVolume, "x"), "VOLUME_000001");
    }
}
