//! Begins a failed or cancelled operation anew, by the same rules as the first time.
//!
//! A retry is a new operation: the old one stays in the journal as it ended. What the rules do not allow from where the
//! object is now (a size that is not larger any more, a volume in an error that only a delete leaves) is refused by that
//! operation's own `begin`, with its reason. What needs more than the record holds is refused here.

use super::begin::Input;
use super::{
    Ctx, delete_attachment, delete_snapshot, delete_volume, detach_volume, extend_volume,
    get_operation, revert_volume, unreadable,
};
use crate::error::{Error, Refusal};
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
    match verb {
        Verb::DeleteVolume
        | Verb::DeleteSnapshot
        | Verb::DeleteAttachment
        | Verb::DetachVolume
        | Verb::ExtendVolume
        | Verb::RevertVolume => None,
        Verb::CreateVolume | Verb::CreateSnapshot => Some(
            "what it made is in error, and Cinder lets only a delete begin there: delete it and create anew",
        ),
        Verb::CreateAttachment
        | Verb::UpdateAttachment
        | Verb::InitializeConnection
        | Verb::TerminateConnection => {
            Some("it needs the host's connector, which only the host has: ask for it there again")
        }
        _ => Some("it is done at once and leaves nothing to be done again: ask for it again"),
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
    let input: Input = serde_json::from_str(&operation.input)
        .map_err(|_| refused("another version wrote it, and this one cannot read it"))?;
    again(ctx, caller, &operation, &input).await?;
    newest(ctx, &operation).await
}

async fn again(
    ctx: &Ctx,
    caller: &Caller,
    operation: &Operation,
    input: &Input,
) -> Result<(), Error> {
    let object = &operation.object_id;
    let snapshot = input.snapshots.first().map(|one| one.id.as_str());
    match operation.verb {
        Verb::DeleteVolume => {
            let cascade = !input.snapshots.is_empty();
            delete_volume::begin(ctx, caller, id(object)?, cascade).await
        }
        Verb::DeleteSnapshot => delete_snapshot::begin(ctx, caller, id(object)?).await,
        Verb::DeleteAttachment => delete_attachment::begin(ctx, caller, id(object)?)
            .await
            .map(drop),
        Verb::DetachVolume => {
            let attachment = input.attachment.as_ref();
            let attachment = attachment.map(|one| id(&one.id)).transpose()?;
            detach_volume::begin(ctx, caller, id(object)?, attachment).await
        }
        Verb::ExtendVolume => {
            let size = input
                .asked
                .get("new_gib")
                .and_then(serde_json::Value::as_i64);
            let size = size.and_then(Gib::new).ok_or_else(|| unread(operation))?;
            let was = input.volume.as_ref().and_then(|one| one.was.as_deref());
            let was_attached = was == Some(VolumeStatus::InUse.as_str());
            extend_volume::begin(ctx, caller, id(object)?, size, was_attached).await
        }
        Verb::RevertVolume => {
            let snapshot = snapshot.ok_or_else(|| unread(operation))?;
            revert_volume::begin(ctx, caller, id(object)?, id(snapshot)?).await
        }
        _ => Err(unread(operation)),
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

/// The newest operation of the same verb on the same object.
async fn newest(ctx: &Ctx, old: &Operation) -> Result<Operation, Error> {
    let request = ListRequest {
        filters: vec![
            Filter::equal("object_id", old.object_id.as_str()),
            Filter::equal("verb", old.verb.as_str()),
        ],
        limit: 1,
        ..ListRequest::default()
    };
    match operations::list(&ctx.store, &request).await {
        Ok(found) => found.into_iter().next().ok_or_else(|| unread(old)),
        Err(ListError::Store(source)) => Err(unreadable(source)),
        Err(error @ ListError::NoSuchMarker { .. }) => Err(Error::Internal {
            what: error.to_string(),
        }),
    }
}
