//! Make, change and delete volume types and their extra specs. The administrator's; done at once; no status moves. Who
//! sees a type is settled here for everybody else too.
//!
//! A type that volumes have keeps its extra specs, as in Cinder: they say what those volumes are.

use super::{Ctx, unreadable, unwritable};
use crate::error::{Conflict, Error, Refusal};
use crate::model::caller::{Caller, Role};
use crate::model::id::VolumeTypeId;
use crate::model::time::Time;
use crate::model::volume_type::{DEFAULT_TYPE_NAME, VolumeType};
use crate::store::json::map_text;
use crate::store::{Batch, StoreError, Value, quotas, type_access, volume_types};
use std::collections::BTreeMap;

/// A spec that the scheduler does not keep yet; taking it would place volumes where it forbids.
const ZONES_SPEC: &str = "RESKEY:availability_zones";

/// What a new type is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewType {
    /// Its unique name.
    pub name: String,
    /// The administrator's description.
    pub description: Option<String>,
    /// Whether every project may use it.
    pub is_public: bool,
    /// What a pool must offer, and what the volume will be.
    pub extra_specs: BTreeMap<String, String>,
}

/// What is to change; `None` leaves as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The new name.
    pub name: Option<String>,
    /// The new description.
    pub description: Option<String>,
    /// Whether every project may use it.
    pub is_public: Option<bool>,
}

/// The type by its id, if it exists for this caller: private ones do for administrators and for projects with access.
pub async fn visible(ctx: &Ctx, caller: &Caller, id: VolumeTypeId) -> Result<VolumeType, Error> {
    let found = volume_types::get(&ctx.store, id)
        .await
        .map_err(unreadable)?;
    for_caller(ctx, caller, found, &id.to_string()).await
}

/// The type by id or name, if it exists for this caller.
pub async fn find(ctx: &Ctx, caller: &Caller, word: &str) -> Result<VolumeType, Error> {
    let found = volume_types::find(&ctx.store, word)
        .await
        .map_err(unreadable)?;
    for_caller(ctx, caller, found, word).await
}

async fn for_caller(
    ctx: &Ctx,
    caller: &Caller,
    found: Option<VolumeType>,
    word: &str,
) -> Result<VolumeType, Error> {
    let found = found.ok_or_else(|| not_found(word))?;
    let may = found.is_public
        || caller.role == Role::Admin
        || volume_types::has_access(&ctx.store, found.id, &caller.project_id)
            .await
            .map_err(unreadable)?;
    may.then_some(found).ok_or_else(|| not_found(word))
}

/// Makes a type.
pub async fn create(ctx: &Ctx, caller: &Caller, new: NewType) -> Result<VolumeType, Error> {
    admins_only(caller, "volume_extension:type_create")?;
    check_specs(&new.extra_specs)?;
    let volume_type = VolumeType {
        id: VolumeTypeId::random(),
        name: new.name,
        description: new.description,
        is_public: new.is_public,
        extra_specs: new.extra_specs,
        qos_specs_id: None,
        encryption: None,
        created_at: Time::now(),
        updated_at: None,
    };
    let mut batch = Batch::new();
    batch.add(
        volume_types::INSERT,
        volume_types::insert_values(&volume_type),
    );
    write(ctx, batch, &volume_type).await?;
    Ok(volume_type)
}

/// Changes name, description or who may use it.
pub async fn update(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeTypeId,
    change: Change,
) -> Result<VolumeType, Error> {
    admins_only(caller, "volume_extension:type_update")?;
    let mut volume_type = visible(ctx, caller, id).await?;
    if volume_type.name == DEFAULT_TYPE_NAME && change.name.is_some() {
        return Err(rule(format!(
            "The volume type {DEFAULT_TYPE_NAME} keeps its name: volumes without a type get it."
        )));
    }
    let now = Time::now();
    let mut batch = Batch::new();
    let mut sets = |sql, value: Value| {
        batch.guard(
            "type",
            sql,
            vec![id.to_string().into(), value, now.as_str().into()],
        );
    };
    if let Some(name) = change.name {
        sets(volume_types::SET_NAME, name.as_str().into());
        volume_type.name = name;
    }
    if let Some(description) = change.description {
        sets(volume_types::SET_DESCRIPTION, description.as_str().into());
        volume_type.description = Some(description);
    }
    if let Some(is_public) = change.is_public {
        sets(volume_types::SET_PUBLIC, i64::from(is_public).into());
        volume_type.is_public = is_public;
    }
    write(ctx, batch, &volume_type).await?;
    volume_type.updated_at = Some(now);
    Ok(volume_type)
}

/// Deletes a type that no volume has.
pub async fn delete(ctx: &Ctx, caller: &Caller, id: VolumeTypeId) -> Result<(), Error> {
    admins_only(caller, "volume_extension:type_delete")?;
    let volume_type = visible(ctx, caller, id).await?;
    if volume_type.name == DEFAULT_TYPE_NAME {
        return Err(rule(format!(
            "The volume type {id} is the default volume type and cannot be deleted."
        )));
    }
    let key = || vec![id.to_string().into()];
    let mut batch = Batch::new();
    batch.guard("type", volume_types::LOCK, key());
    batch.guard("unused", volume_types::IS_UNUSED, key());
    batch.guard("no default", volume_types::IS_NO_DEFAULT, key());
    batch.add(type_access::REMOVE_ALL, key());
    quotas::forget_type(&mut batch, id);
    batch.add(volume_types::DELETE, key());
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { guard: "unused" }) => {
            Err(rule("Target volume type is still in use.".to_owned()))
        }
        Err(StoreError::Conflict {
            guard: "no default",
        }) => Err(rule(format!(
            "The volume type {id} is the default volume type of a project and cannot be deleted."
        ))),
        Err(StoreError::Conflict { .. }) => Err(not_found(&id.to_string())),
        written => written.map_err(unwritable),
    }
}

/// Puts `extra_specs` in place of those there are; refused while volumes have the type.
pub async fn set_extra_specs(
    ctx: &Ctx,
    caller: &Caller,
    volume_type: &VolumeType,
    extra_specs: &BTreeMap<String, String>,
) -> Result<(), Error> {
    admins_only(caller, "volume_extension:types_manage")?;
    check_specs(extra_specs)?;
    let id = volume_type.id.to_string();
    let mut batch = Batch::new();
    batch.guard("same", volume_types::LOCK, vec![id.as_str().into()]);
    batch.guard("unused", volume_types::IS_UNUSED, vec![id.as_str().into()]);
    let values = vec![
        id.as_str().into(),
        map_text(&volume_type.extra_specs).into(),
        map_text(extra_specs).into(),
        Time::now().as_str().into(),
    ];
    batch.guard("same", volume_types::SET_EXTRA_SPECS, values);
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { guard: "unused" }) => {
            Err(rule("Volume Type is currently in use.".to_owned()))
        }
        Err(StoreError::Conflict { .. }) => Err(Error::Conflict(Conflict::Changed {
            noun: "Volume type",
            id,
        })),
        written => written.map_err(unwritable),
    }
}

/// The type, for what only administrators do with it.
pub async fn for_admin(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeTypeId,
    action: &'static str,
) -> Result<VolumeType, Error> {
    admins_only(caller, action)?;
    visible(ctx, caller, id).await
}

async fn write(ctx: &Ctx, batch: Batch, volume_type: &VolumeType) -> Result<(), Error> {
    match ctx.store.write(batch).await {
        Err(StoreError::Taken { .. }) => Err(Error::Conflict(Conflict::NameTaken {
            noun: "Volume Type",
            name: volume_type.name.clone(),
        })),
        Err(StoreError::Conflict { .. }) => Err(not_found(&volume_type.id.to_string())),
        written => written.map_err(unwritable),
    }
}

fn check_specs(specs: &BTreeMap<String, String>) -> Result<(), Error> {
    if specs.contains_key(ZONES_SPEC) {
        return Err(Error::Invalid {
            field: ZONES_SPEC.to_owned(),
            why:
                "this scheduler does not keep it, and volumes could land in a zone that it forbids"
                    .to_owned(),
        });
    }
    Ok(())
}

pub(super) fn admins_only(caller: &Caller, action: &'static str) -> Result<(), Error> {
    if caller.role == Role::Admin {
        Ok(())
    } else {
        Err(Error::Forbidden { action })
    }
}

pub(super) fn not_found(id: &str) -> Error {
    Error::NotFound {
        noun: "Volume type",
        id: id.to_owned(),
    }
}

fn rule(why: String) -> Error {
    Error::Refused(Refusal::Rule { why })
}
