//! Begins a failed or cancelled operation anew, by the same rules as the first time.
//!
//! A retry is a new operation: the old one stays in the journal as it ended. What the rules do not allow from where the
//! object is now (a size that is not larger any more, a volume in an error that only a delete leaves) is refused by that
//! operation's own `begin`, with its reason. What needs more than the record holds is refused here, and so is what was
//! asked before something else was: a delete or a revert of long ago is not what anybody wants of the object of today.

use super::begin::Input;
use super::{
    Ctx, delete_attachment, delete_backup, delete_snapshot, delete_volume, detach_volume,
    drill_backup, extend_volume, get_operation, revert_volume, unreadable, verify_backup,
};
use crate::error::{Error, Refusal};
use crate::model::backup::Depth;
use crate::model::caller::Caller;
use crate::model::id::OperationId;
use crate::model::operation::{Operation, Phase, Verb};
use crate::model::size::Gib;
use crate::model::status::VolumeStatus;
use crate::store::list::{Filter, ListError, ListRequest};
use crate::store::operations;
use std::str::FromStr;

/// Whether an operation may be asked to be begun anew; whether it then begins, its rules say.
pub fn may_retry(operation: &Operation) -> bool {
    matches!(operation.phase, Phase::Failed | Phase::Cancelled) && refusal(operation.verb).is_none()
}

/// Why a verb cannot be begun anew out of the journal.
fn refusal(verb: Verb) -> Option<&'static str> {
    use Verb::{
        CreateAttachment, CreateBackup, CreateSnapshot, CreateVolume, DeleteAttachment,
        DeleteBackup, DeleteSnapshot, DeleteVolume, DetachVolume, DrillBackup, ExtendVolume,
        InitializeConnection, RevertVolume, TerminateConnection, UpdateAttachment, VerifyBackup,
    };
    let again = [
        DeleteVolume,
        DeleteSnapshot,
        DeleteBackup,
        DeleteAttachment,
        DetachVolume,
        ExtendVolume,
        RevertVolume,
        VerifyBackup,
        DrillBackup,
    ];
    let of_hosts = [
        CreateAttachment,
        UpdateAttachment,
        InitializeConnection,
        TerminateConnection,
    ];
    if again.contains(&verb) {
        None
    } else if [CreateVolume, CreateSnapshot, CreateBackup].contains(&verb) {
        Some(
            "what it made is in error, and Cinder lets only a delete begin there: delete it and create anew",
        )
    } else if of_hosts.contains(&verb) {
        Some("it needs the host's connector, which only the host has: ask for it there again")
    } else {
        Some("the record does not hold all that it needs: ask for it again")
    }
}

/// Begins it anew; the new operation.
pub async fn begin(ctx: &Ctx, caller: &Caller, id: OperationId) -> Result<Operation, Error> {
    let operation = get_operation(ctx, caller, id).await?;
    let verb = operation.verb;
    let refused = |why: &str| {
        Error::Refused(Refusal::Rule {
            why: format!(
                "Operation {id} ({}) cannot be begun anew: {why}.",
                verb.as_str()
            ),
        })
    };
    if !matches!(operation.phase, Phase::Failed | Phase::Cancelled) {
        return Err(refused(&format!("it is {}", operation.phase.as_str())));
    }
    if let Some(why) = refusal(verb) {
        return Err(refused(why));
    }
    if let Some(later) = later(ctx, &operation).await? {
        let (later, verb) = (later.id, later.verb.as_str());
        return Err(refused(&format!(
            "operation {later} ({verb}) of the same object came after it; ask for it again if it is still wanted"
        )));
    }
    let input: Input = serde_json::from_str(&operation.input)
        .map_err(|_| refused("another version wrote it, and this one cannot read it"))?;
    again(ctx, caller, &operation, &input).await?;
    let again = [Filter::equal("verb", verb.as_str())];
    let newest = newest(ctx, &operation.object_id, again.into()).await?;
    newest.ok_or_else(|| unread(&operation))
}

/// The newest operation on the same object, if it is another one.
async fn later(ctx: &Ctx, operation: &Operation) -> Result<Option<Operation>, Error> {
    let newest = newest(ctx, &operation.object_id, Vec::new()).await?;
    Ok(newest.filter(|newest| newest.id != operation.id))
}

async fn again(
    ctx: &Ctx,
    caller: &Caller,
    operation: &Operation,
    input: &Input,
) -> Result<(), Error> {
    let object = &operation.object_id;
    let snapshot = input.snapshots.first().map(|one| one.id.as_str());
    let verb = operation.verb;
    if verb == Verb::DeleteVolume {
        let cascade = !input.snapshots.is_empty();
        delete_volume::begin(ctx, caller, id(object)?, cascade).await
    } else if verb == Verb::DeleteSnapshot {
        delete_snapshot::begin(ctx, caller, id(object)?).await
    } else if verb == Verb::DeleteBackup {
        delete_backup::begin(ctx, caller, id(object)?).await
    } else if verb == Verb::DeleteAttachment {
        let rest = delete_attachment::begin(ctx, caller, id(object)?).await;
        rest.map(drop)
    } else if verb == Verb::DetachVolume {
        let attachment = input.attachment.as_ref();
        let attachment = attachment.map(|one| id(&one.id)).transpose()?;
        detach_volume::begin(ctx, caller, id(object)?, attachment).await
    } else if verb == Verb::ExtendVolume {
        let size = input.asked.get("new_gib");
        let size = size.and_then(serde_json::Value::as_i64);
        let size = size.and_then(Gib::new).ok_or_else(|| unread(operation))?;
        let was = input.volume.as_ref().and_then(|one| one.was.as_deref());
        let was_attached = was == Some(VolumeStatus::InUse.as_str());
        extend_volume::begin(ctx, caller, id(object)?, size, was_attached).await
    } else if verb == Verb::RevertVolume {
        let snapshot = snapshot.ok_or_else(|| unread(operation))?;
        revert_volume::begin(ctx, caller, id(object)?, id(snapshot)?).await
    } else if verb == Verb::VerifyBackup {
        let depth = input.asked.get("depth").and_then(serde_json::Value::as_str);
        let depth = depth.and_then(Depth::parse);
        let depth = depth.ok_or_else(|| unread(operation))?;
        let begun = verify_backup::begin(ctx, caller, id(object)?, depth).await;
        begun.map(drop)
    } else if verb == Verb::DrillBackup {
        let begun = drill_backup::begin(ctx, caller, id(object)?).await;
        begun.map(drop)
    } else {
        Err(unread(operation))
    }
}

fn unread(operation: &Operation) -> Error {
    Error::Internal {
        what: format!("operation {} does not say what was asked", operation.id),
    }
}

fn id<T: FromStr>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::Internal {
        what: format!("{text} is no id"),
    })
}

/// The newest operation on an object that the filters let through.
async fn newest(
    ctx: &Ctx,
    object_id: &str,
    mut filters: Vec<Filter>,
) -> Result<Option<Operation>, Error> {
    filters.push(Filter::equal("object_id", object_id));
    let request = ListRequest {
        filters,
        limit: 1,
        ..ListRequest::default()
    };
    match operations::list(&ctx.store, &request).await {
        Ok(found) => Ok(found.into_iter().next()),
        Err(ListError::Store(source)) => Err(unreadable(source)),
        Err(error @ ListError::NoSuchMarker { .. }) => Err(Error::Internal {
            what: error.to_string(),
        }),
    }
}
