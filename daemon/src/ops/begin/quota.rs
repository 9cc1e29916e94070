//! What a beginning takes of quotas: of the project's own, and of what the project may have of a volume type.
//!
//! Gathered while the operation is put together and written after everything else, in one order for all operations, so
//! that two of them never wait for each other in a circle and so that a volume's row is there when its type is asked.

use super::Beginning;
use crate::error::{Error, OverQuota};
use crate::model::size::Gib;
use crate::ops::unreadable;
use crate::store::quotas::{self, Counter, DEFAULT_CLASS, Of, Resource, recorded};
use crate::store::{Batch, snapshots, volume_types, volumes};

/// What is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Of the project's own quota.
    InAll(Resource),
    /// Of what one volume may have; nothing is counted.
    Size,
    /// Of what the project may have of a volume type.
    OfType(Resource, Of),
}

impl What {
    fn guard(self) -> &'static str {
        match self {
            What::InAll(resource) => resource.as_str(),
            What::Size => Resource::PerVolumeGigabytes.as_str(),
            What::OfType(resource, _) => resource.guard_of_type(),
        }
    }

    fn order(self) -> (u8, Resource) {
        match self {
            What::InAll(resource) => (0, resource),
            What::Size => (1, Resource::PerVolumeGigabytes),
            What::OfType(resource, _) => (2, resource),
        }
    }
}

/// Quota that is taken, to say so when there is not enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    project_id: String,
    what: What,
    amount: i64,
}

impl Beginning<'_> {
    /// Takes quota of a project, in all and of a volume type; refused when either limit would be exceeded.
    pub(in crate::ops) fn takes(
        &mut self,
        project_id: &str,
        of: Of,
        resource: Resource,
        amount: i64,
    ) {
        self.taken(project_id, What::InAll(resource), amount);
        self.takes_of_type(project_id, of, resource, amount);
    }

    /// Takes quota of a project in all: of what is not counted by volume type.
    pub(in crate::ops) fn takes_in_all(
        &mut self,
        project_id: &str,
        resource: Resource,
        amount: i64,
    ) {
        self.taken(project_id, What::InAll(resource), amount);
    }

    /// Takes quota of a volume type only: for what the project has already, of another type.
    pub(in crate::ops) fn takes_of_type(
        &mut self,
        project_id: &str,
        of: Of,
        resource: Resource,
        amount: i64,
    ) {
        self.taken(project_id, What::OfType(resource, of), amount);
    }

    /// Gives quota back to a project at once: before anything is taken, so also where one project does both.
    pub(in crate::ops) fn gives_back(
        &mut self,
        project_id: &str,
        of: Of,
        resource: Resource,
        amount: i64,
    ) {
        quotas::give_back(&mut self.batch, project_id, of, resource, amount);
    }

    /// Demands that a volume of this size is within what one volume of the project may have.
    pub(in crate::ops) fn needs_size_allowed(&mut self, project_id: &str, size: Gib) {
        self.taken(project_id, What::Size, size.get());
    }

    fn taken(&mut self, project_id: &str, what: What, amount: i64) {
        self.taken.push(Taken {
            project_id: project_id.to_owned(),
            what,
            amount,
        });
    }

    /// Adds the guards.
    pub(super) fn take_quotas(&mut self, batch: &mut Batch) {
        self.taken
            .sort_by(|a, b| (&a.project_id, a.what.order()).cmp(&(&b.project_id, b.what.order())));
        for taken in &self.taken {
            let (project_id, amount) = (taken.project_id.as_str(), taken.amount);
            match taken.what {
                What::InAll(resource) => {
                    let limit = self.ctx.quota.of(resource);
                    quotas::take(batch, project_id, resource, amount, limit);
                }
                What::Size => {
                    let limit = self.ctx.quota.of(Resource::PerVolumeGigabytes);
                    quotas::fits(batch, project_id, amount, limit);
                }
                What::OfType(resource, of) => {
                    quotas::take_of_type(batch, project_id, of, resource, amount);
                }
            }
        }
    }

    /// What was short when a quota's guard was not met; `None` when the guard is no quota's.
    pub(super) async fn over_quota(&self, guard: &str) -> Result<Option<Error>, Error> {
        let mut first = None;
        for taken in self
            .taken
            .iter()
            .filter(|taken| taken.what.guard() == guard)
        {
            let (over, is_short) = self.look_at(taken).await?;
            if is_short {
                return Ok(Some(Error::OverQuota(over)));
            }
            first.get_or_insert(over);
        }
        // None is short any more: somebody gave back meanwhile.
        Ok(first.map(Error::OverQuota))
    }

    async fn look_at(&self, taken: &Taken) -> Result<(OverQuota, bool), Error> {
        let (own, class) =
            quotas::of_project_and_class(&self.ctx.store, &taken.project_id, DEFAULT_CLASS)
                .await
                .map_err(unreadable)?;
        let (resource, key, name) = self.named(taken.what).await?;
        let counter: Counter = own.get(&key).copied().unwrap_or_default();
        let otherwise = match taken.what {
            What::OfType(..) => -1,
            What::InAll(_) | What::Size => self.ctx.quota.of(resource),
        };
        let of_class = class.get(&key).and_then(|counter| counter.limit);
        let limit = counter.limit.or(of_class).unwrap_or(otherwise);
        let (requested, used) = (taken.amount, counter.in_use);
        let is_short = limit >= 0 && used.saturating_add(requested) > limit;
        let over = match (taken.what, resource) {
            (What::Size, _) => OverQuota::PerVolume { requested, limit },
            (_, Resource::Volumes) => OverQuota::Volumes { name, limit },
            (_, Resource::Snapshots) => OverQuota::Snapshots { name, limit },
            (_, Resource::Backups) => OverQuota::Backups { limit },
            (_, Resource::BackupGigabytes) => OverQuota::BackupGigabytes {
                requested,
                limit,
                used,
            },
            (_, Resource::Gigabytes | Resource::PerVolumeGigabytes | Resource::Groups) => {
                OverQuota::Gigabytes {
                    name,
                    requested,
                    limit,
                    used,
                }
            }
        };
        Ok((over, is_short))
    }

    /// The resource, its name in the record and its name for people.
    async fn named(&self, what: What) -> Result<(Resource, String, String), Error> {
        let store = &self.ctx.store;
        let (resource, of) = match what {
            What::InAll(resource) => {
                return Ok((
                    resource,
                    recorded(resource, None),
                    resource.as_str().to_owned(),
                ));
            }
            What::Size => {
                let size = Resource::PerVolumeGigabytes;
                return Ok((size, recorded(size, None), size.as_str().to_owned()));
            }
            What::OfType(resource, of) => (resource, of),
        };
        let volume = match of {
            Of::Type(_) => None,
            Of::Volume(id) => Some(id),
            Of::Snapshot(id) => {
                let snapshot = snapshots::get(store, id).await.map_err(unreadable)?;
                snapshot.map(|snapshot| snapshot.volume_id)
            }
        };
        let found = match (of, volume) {
            (Of::Type(id), _) => Some(id),
            (_, Some(id)) => {
                let volume = volumes::get(store, id).await.map_err(unreadable)?;
                volume.map(|volume| volume.volume_type_id)
            }
            (_, None) => None,
        };
        let Some(id) = found else {
            return Ok((resource, String::new(), resource.as_str().to_owned()));
        };
        let found = volume_types::get(store, id).await.map_err(unreadable)?;
        let name = found.map_or_else(|| id.to_string(), |found| found.name);
        Ok((
            resource,
            recorded(resource, Some(id)),
            format!("{}_{name}", resource.as_str()),
        ))
    }
}
