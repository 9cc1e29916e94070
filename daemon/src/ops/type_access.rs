//! Who may use a private volume type, and which type a project's volumes get unasked. The administrator's; done at once.

use super::volume_types::{admins_only, for_admin, not_found};
use super::{Ctx, unreadable, unwritable};
use crate::error::{Conflict, Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::VolumeTypeId;
use crate::model::volume_type::{DEFAULT_TYPE_NAME, VolumeType};
use crate::store::type_access::{self, DefaultType};
use crate::store::{Batch, StoreError, volume_types};

/// The projects with access to a private type; a public one has no such list.
pub async fn projects(ctx: &Ctx, caller: &Caller, id: VolumeTypeId) -> Result<Vec<String>, Error> {
    let volume_type = for_admin(
        ctx,
        caller,
        id,
        "volume_extension:volume_type_access:get_all_for_type",
    )
    .await?;
    if volume_type.is_public {
        return Err(Error::NoSuchPart {
            why: "Access list not available for public volume types.".to_owned(),
        });
    }
    type_access::projects(&ctx.store, id)
        .await
        .map_err(unreadable)
}

/// Gives a project access to a private type.
pub async fn add(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeTypeId,
    project_id: &str,
) -> Result<(), Error> {
    for_admin(
        ctx,
        caller,
        id,
        "volume_extension:volume_type_access:addProjectAccess",
    )
    .await?;
    let mut batch = Batch::new();
    batch.guard(
        "private",
        type_access::IS_PRIVATE,
        vec![id.to_string().into()],
    );
    let values = vec![id.to_string().into(), project_id.into()];
    batch.add(type_access::ADD, values);
    match ctx.store.write(batch).await {
        Err(StoreError::Taken { .. }) => Err(Error::Conflict(Conflict::Exists {
            what: format!("Volume type access for {id} / {project_id} combination"),
        })),
        written => settled(written),
    }
}

/// Takes a project's access to a private type away; what it has of the type stays.
pub async fn remove(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeTypeId,
    project_id: &str,
) -> Result<(), Error> {
    for_admin(
        ctx,
        caller,
        id,
        "volume_extension:volume_type_access:removeProjectAccess",
    )
    .await?;
    let mut batch = Batch::new();
    batch.guard(
        "private",
        type_access::IS_PRIVATE,
        vec![id.to_string().into()],
    );
    let values = vec![id.to_string().into(), project_id.into()];
    batch.guard("access", type_access::REMOVE, values);
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { guard: "access" }) => Err(Error::NoSuchPart {
            why: format!("Volume type access not found for {id} / {project_id} combination."),
        }),
        written => settled(written),
    }
}

fn settled(written: Result<(), StoreError>) -> Result<(), Error> {
    match written {
        Err(StoreError::Conflict { .. }) => Err(Error::Refused(Refusal::Rule {
            why: "Invalid volume type: Type access modification is not applicable to public volume type.".to_owned(),
        })),
        written => written.map_err(unwritable),
    }
}

/// The type that the caller's volumes get unasked: the project's own default, else the one that always exists.
pub async fn default_type(ctx: &Ctx, caller: &Caller) -> Result<VolumeType, Error> {
    let own = type_access::default_of(&ctx.store, &caller.project_id)
        .await
        .map_err(unreadable)?;
    match own {
        Some(own) => super::volume_types::visible(ctx, caller, own.volume_type_id).await,
        None => volume_types::get_by_name(&ctx.store, DEFAULT_TYPE_NAME)
            .await
            .map_err(unreadable)?
            .ok_or_else(|| not_found(DEFAULT_TYPE_NAME)),
    }
}

/// Every project's default type.
pub async fn defaults(ctx: &Ctx, caller: &Caller) -> Result<Vec<DefaultType>, Error> {
    admins_only(caller, "volume_extension:default_get_all")?;
    type_access::defaults(&ctx.store).await.map_err(unreadable)
}

/// A project's default type.
pub async fn default_of(
    ctx: &Ctx,
    caller: &Caller,
    project_id: &str,
) -> Result<DefaultType, Error> {
    admins_only(caller, "volume_extension:default_get")?;
    let found = type_access::default_of(&ctx.store, project_id)
        .await
        .map_err(unreadable)?;
    found.ok_or_else(|| Error::NotFound {
        noun: "Default type for project",
        id: project_id.to_owned(),
    })
}

/// Sets a project's default type, by id or name.
pub async fn set_default(
    ctx: &Ctx,
    caller: &Caller,
    project_id: &str,
    word: &str,
) -> Result<DefaultType, Error> {
    admins_only(caller, "volume_extension:default_set_or_update")?;
    let gone = || {
        Error::Refused(Refusal::Rule {
            why: format!("Volume type with name {word} could not be found."),
        })
    };
    let found = volume_types::find(&ctx.store, word)
        .await
        .map_err(unreadable)?;
    let set = DefaultType {
        project_id: project_id.to_owned(),
        volume_type_id: found.ok_or_else(gone)?.id,
    };
    let id = set.volume_type_id.to_string();
    let mut batch = Batch::new();
    batch.guard("type", volume_types::LOCK, vec![id.as_str().into()]);
    batch.add(type_access::SET_DEFAULT, vec![project_id.into(), id.into()]);
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { .. }) => Err(gone()),
        Err(error) => Err(unwritable(error)),
        Ok(()) => Ok(set),
    }
}

/// Leaves a project without a default type of its own; already so is fine.
pub async fn unset_default(ctx: &Ctx, caller: &Caller, project_id: &str) -> Result<(), Error> {
    admins_only(caller, "volume_extension:default_unset")?;
    let mut batch = Batch::new();
    batch.add(type_access::UNSET_DEFAULT, vec![project_id.into()]);
    ctx.store.write(batch).await.map_err(unwritable)
}
