//! Say whether hosts may write to a volume. One transaction, and only while no host is let in: who is let in may write
//! until it is shut out, and the flag would be a lie.

use super::begin::Beginning;
use super::{Ctx, visible_volume};
use crate::error::{Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::VolumeId;
use crate::model::operation::Verb;
use crate::model::time::Time;
use crate::store::{Batch, volumes};

/// Says it.
pub async fn begin(ctx: &Ctx, caller: &Caller, id: VolumeId, readonly: bool) -> Result<(), Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::UpdateReadonly, &id);
    beginning.moves_volume(&volume);
    beginning.rule(
        volumes::IS_UNCONNECTED,
        vec![id.to_string().into()],
        Error::Refused(Refusal::Rule {
            why: format!(
                "Invalid volume: a host is let in to volume {id} without an attachment; terminate its connection first."
            ),
        }),
    );
    let values = vec![
        id.to_string().into(),
        i64::from(readonly).into(),
        Time::now().as_str().into(),
    ];
    beginning.also(volumes::SET_READONLY, values);
    beginning.commit_at_once(Batch::new()).await
}
