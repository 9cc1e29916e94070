//! Limits of projects and of classes: read them with what is used, set them, forget them. Done at once.
//!
//! A project's own limit counts first, then the class `default`, then the configuration; of a volume type there is none
//! where nobody set one. A limit below what is in use is refused, by the same row that a create takes from.

use super::{Ctx, QuotaLimits, unreadable, unwritable};
use crate::error::{Error, Refusal};
use crate::model::caller::{Caller, Role};
use crate::model::id::VolumeTypeId;
use crate::store::quotas::{self, Counter, DEFAULT_CLASS, Resource, recorded};
use crate::store::{Batch, StoreError, volume_types};
use std::collections::BTreeMap;

/// A line of a quota set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The resource as Cinder spells it: `volumes`, `gigabytes_<type>`, ...
    pub name: String,
    /// The limit; -1 for none.
    pub limit: i64,
    /// What is in use.
    pub in_use: i64,
}

/// A project's limits, and what it uses.
pub async fn of_project(ctx: &Ctx, caller: &Caller, project_id: &str) -> Result<Vec<Quota>, Error> {
    let names = names_for(ctx, caller, project_id).await?;
    let (own, class) = quotas::of_project_and_class(&ctx.store, project_id, DEFAULT_CLASS)
        .await
        .map_err(unreadable)?;
    Ok(lines(&ctx.quota, &names, &own, &class))
}

/// The limits of a project that has none of its own.
pub async fn defaults(ctx: &Ctx, caller: &Caller, project_id: &str) -> Result<Vec<Quota>, Error> {
    let names = names_for(ctx, caller, project_id).await?;
    let class = quotas::of_class(&ctx.store, DEFAULT_CLASS)
        .await
        .map_err(unreadable)?;
    Ok(lines(&ctx.quota, &names, &BTreeMap::new(), &class))
}

/// A class's limits; where it has none, those of the class `default`.
pub async fn of_class(ctx: &Ctx, caller: &Caller, class: &str) -> Result<Vec<Quota>, Error> {
    admins_only(caller, "volume_extension:quota_classes:get")?;
    let names = names(ctx).await?;
    let own = quotas::of_class(&ctx.store, class)
        .await
        .map_err(unreadable)?;
    let default = quotas::of_class(&ctx.store, DEFAULT_CLASS)
        .await
        .map_err(unreadable)?;
    Ok(lines(&ctx.quota, &names, &own, &default))
}

/// Sets limits of a project: all of them, or none when one is below what is in use.
pub async fn set(
    ctx: &Ctx,
    caller: &Caller,
    project_id: &str,
    limits: &BTreeMap<String, i64>,
) -> Result<(), Error> {
    admins_only(caller, "volume_extension:quotas:update")?;
    let limits = resolved(&names(ctx).await?, limits)?;
    let mut batch = Batch::new();
    for (resource, (_, limit)) in &limits {
        quotas::set_limit(&mut batch, project_id, resource.clone(), *limit);
    }
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { .. }) => {
            let used = quotas::usage(&ctx.store, project_id)
                .await
                .map_err(unreadable)?;
            Err(below_usage(&limits, &used))
        }
        written => written.map_err(unwritable),
    }
}

/// Sets limits of a class. Those of `default` hold from now on for whoever has none; what is in use already stays.
pub async fn set_class(
    ctx: &Ctx,
    caller: &Caller,
    class: &str,
    limits: &BTreeMap<String, i64>,
) -> Result<(), Error> {
    admins_only(caller, "volume_extension:quota_classes:update")?;
    let mut batch = Batch::new();
    for (resource, (_, limit)) in resolved(&names(ctx).await?, limits)? {
        quotas::set_class_limit(&mut batch, class, resource, limit);
    }
    ctx.store.write(batch).await.map_err(unwritable)
}

/// Leaves a project without limits of its own; what it uses stays counted.
pub async fn forget(ctx: &Ctx, caller: &Caller, project_id: &str) -> Result<(), Error> {
    admins_only(caller, "volume_extension:quotas:delete")?;
    let mut batch = Batch::new();
    quotas::forget_limits(&mut batch, project_id);
    ctx.store.write(batch).await.map_err(unwritable)
}

/// A resource of a quota set: its names here and in the record, and the limit where the record has none.
struct Named {
    name: String,
    recorded: String,
    resource: Resource,
    volume_type: Option<VolumeTypeId>,
}

async fn names_for(ctx: &Ctx, caller: &Caller, project_id: &str) -> Result<Vec<Named>, Error> {
    if caller.sees(project_id) {
        names(ctx).await
    } else {
        Err(Error::Forbidden {
            action: "volume_extension:quotas:show",
        })
    }
}

async fn names(ctx: &Ctx) -> Result<Vec<Named>, Error> {
    let types = volume_types::names(&ctx.store).await.map_err(unreadable)?;
    let in_all = Resource::ALL.map(|resource| Named {
        name: resource.as_str().to_owned(),
        recorded: recorded(resource, None),
        resource,
        volume_type: None,
    });
    let of_types = types.iter().flat_map(|(id, name)| {
        Resource::BY_TYPE.map(|resource| Named {
            name: format!("{}_{name}", resource.as_str()),
            recorded: recorded(resource, Some(*id)),
            resource,
            volume_type: Some(*id),
        })
    });
    Ok(in_all.into_iter().chain(of_types).collect())
}

fn lines(
    configured: &QuotaLimits,
    names: &[Named],
    own: &BTreeMap<String, Counter>,
    class: &BTreeMap<String, Counter>,
) -> Vec<Quota> {
    let line = |named: &Named| {
        let counter = own.get(&named.recorded).copied().unwrap_or_default();
        let of_class = class.get(&named.recorded).and_then(|one| one.limit);
        let otherwise = match named.volume_type {
            None => configured.of(named.resource),
            Some(_) => -1,
        };
        Quota {
            name: named.name.clone(),
            limit: counter.limit.or(of_class).unwrap_or(otherwise),
            in_use: counter.in_use,
        }
    };
    names.iter().map(line).collect()
}

/// By the resource's name in the record: its name as asked, and the limit.
type Resolved = BTreeMap<String, (String, i64)>;

fn resolved(names: &[Named], limits: &BTreeMap<String, i64>) -> Result<Resolved, Error> {
    let by_name: BTreeMap<&str, &str> = names
        .iter()
        .map(|named| (named.name.as_str(), named.recorded.as_str()))
        .collect();
    limits
        .iter()
        .map(|(name, limit)| match by_name.get(name.as_str()) {
            Some(recorded) => Ok(((*recorded).to_owned(), (name.clone(), *limit))),
            None => Err(Error::Invalid {
                field: "quota_set".to_owned(),
                why: format!("Bad key(s) in quota set: {name}"),
            }),
        })
        .collect()
}

fn below_usage(limits: &Resolved, used: &BTreeMap<String, i64>) -> Error {
    let in_use = |resource: &String| used.get(resource).copied().unwrap_or(0);
    let short = limits
        .iter()
        .find(|(resource, (_, limit))| *limit >= 0 && *limit < in_use(resource));
    let why = match short {
        Some((resource, (name, limit))) => format!(
            "Quota {name} limit must be equal or greater than existing resources. Current usage is {} and the requested limit is {limit}.",
            in_use(resource)
        ),
        None => "More was in use than a limit allows, a moment ago; repeat the request.".to_owned(),
    };
    Error::Refused(Refusal::Rule { why })
}

fn admins_only(caller: &Caller, action: &'static str) -> Result<(), Error> {
    if caller.role == Role::Admin {
        Ok(())
    } else {
        Err(Error::Forbidden { action })
    }
}
