//! Why a beginning was stopped, in words for the caller: the objects are looked at once more, only to say so.

use super::Beginning;
use crate::error::{Conflict, Error, Refusal};
use crate::model::id::{AttachmentId, BackupId, SnapshotId, VolumeId};
use crate::ops::unreadable;
use crate::store::statuses::Noun;
use crate::store::{attachments, backups, operations, snapshots, volumes};

impl Beginning<'_> {
    /// Why a guard was not met, in words for the caller.
    pub(super) async fn explain(&mut self, guard: &'static str) -> Result<Error, Error> {
        if let Some((_, refusal)) = self.rules.iter_mut().find(|(name, _)| *name == guard)
            && let Some(refusal) = refusal.take()
        {
            return Ok(refusal);
        }
        if let Some(over) = self.over_quota(guard).await? {
            return Ok(over);
        }
        match guard {
            "room" => Ok(Error::Unavailable {
                what: "the journal",
                why: format!(
                    "{} operations are under way already; try again when some have ended",
                    operations::LIVE_MAX
                ),
            }),
            "claim" => self.held().await,
            _ => self.status_refused(guard).await,
        }
    }

    async fn held(&self) -> Result<Error, Error> {
        let input = self
            .input
            .volume
            .iter()
            .map(|subject| (subject.id.clone(), Noun::Volume));
        let snapshots = self.input.snapshots.iter();
        let input = input.chain(snapshots.map(|subject| (subject.id.clone(), Noun::Snapshot)));
        let backup = self.input.backup.iter();
        let input = input.chain(backup.map(|subject| (subject.id.clone(), Noun::Backup)));
        let claimed = self.claims.iter().map(|(id, noun, _)| (id.clone(), *noun));
        for (id, noun) in claimed.chain(input) {
            let holder = operations::holder(&self.ctx.store, &id)
                .await
                .map_err(unreadable)?;
            if let Some((operation, verb)) = holder {
                return Ok(Error::Conflict(Conflict::Held {
                    noun: title(noun),
                    id,
                    operation,
                    verb,
                }));
            }
        }
        Ok(self.changed())
    }

    /// The first object whose status is not what was wanted; if all are by now, somebody else was faster.
    async fn status_refused(&self, guard: &str) -> Result<Error, Error> {
        for wanted in self
            .wanted
            .iter()
            .filter(|wanted| wanted.noun.as_str() == guard)
        {
            let Some(is) = self.status_of(wanted.noun, &wanted.id).await? else {
                return Ok(Error::NotFound {
                    noun: title(wanted.noun),
                    id: wanted.id.clone(),
                });
            };
            if !wanted.statuses.iter().any(|status| *status == is) {
                return Ok(Error::Refused(Refusal::Status {
                    noun: wanted.noun.as_str(),
                    id: wanted.id.clone(),
                    is,
                    wants: wanted.statuses.clone(),
                }));
            }
        }
        Ok(self.changed())
    }

    async fn status_of(&self, noun: Noun, id: &str) -> Result<Option<String>, Error> {
        let store = &self.ctx.store;
        Ok(match noun {
            Noun::Volume => match id.parse::<VolumeId>() {
                Ok(id) => volumes::get(store, id)
                    .await
                    .map_err(unreadable)?
                    .map(|v| v.status.as_str()),
                Err(_) => None,
            },
            Noun::Snapshot => match id.parse::<SnapshotId>() {
                Ok(id) => snapshots::get(store, id)
                    .await
                    .map_err(unreadable)?
                    .map(|s| s.status.as_str()),
                Err(_) => None,
            },
            Noun::Attachment => match id.parse::<AttachmentId>() {
                Ok(id) => attachments::get(store, id)
                    .await
                    .map_err(unreadable)?
                    .map(|a| a.status.as_str()),
                Err(_) => None,
            },
            Noun::Backup => match id.parse::<BackupId>() {
                Ok(id) => backups::get(store, id)
                    .await
                    .map_err(unreadable)?
                    .map(|b| b.status.as_str()),
                Err(_) => None,
            },
        }
        .map(str::to_owned))
    }

    fn changed(&self) -> Error {
        let (noun, id) = self
            .wanted
            .first()
            .map_or(("Volume", self.object_id.clone()), |wanted| {
                (title(wanted.noun), wanted.id.clone())
            });
        Error::Conflict(Conflict::Changed { noun, id })
    }
}

fn title(noun: Noun) -> &'static str {
    match noun {
        Noun::Volume => "Volume",
        Noun::Snapshot => "Snapshot",
        Noun::Attachment => "Volume attachment",
        Noun::Backup => "Backup",
    }
}
