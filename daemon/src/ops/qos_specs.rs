//! Quality of service specs: make, change, delete, and give them to volume types. The administrator's; done at once.
//!
//! They may change while volumes have them: a host is told when it connects the next time.

use super::volume_types::{self as types, admins_only};
use super::{Ctx, unreadable, unwritable};
use crate::error::{Conflict, Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::{QosSpecsId, VolumeTypeId};
use crate::model::qos::{Consumer, QosSpecs, is_reckoned_with};
use crate::model::time::Time;
use crate::model::volume_type::VolumeType;
use crate::store::json::map_text;
use crate::store::list::{ListError, ListRequest};
use crate::store::{Batch, StoreError, Value, qos_specs, volume_types};
use std::collections::BTreeMap;

/// There are at most so many limits in one set of specs; a host is told all of them with each connection.
pub const SPECS_MAX: usize = 64;

/// The specs, for an administrator.
pub async fn get(ctx: &Ctx, caller: &Caller, id: QosSpecsId) -> Result<QosSpecs, Error> {
    get_for(ctx, caller, id, "volume_extension:qos_specs_manage:get").await
}

async fn get_for(
    ctx: &Ctx,
    caller: &Caller,
    id: QosSpecsId,
    action: &'static str,
) -> Result<QosSpecs, Error> {
    admins_only(caller, action)?;
    let found = qos_specs::get(&ctx.store, id).await.map_err(unreadable)?;
    found.ok_or_else(|| not_found(id))
}

/// A page of them; the reader has settled who asks.
pub async fn list(ctx: &Ctx, request: &ListRequest) -> Result<Vec<QosSpecs>, ListError> {
    qos_specs::list(&ctx.store, request).await
}

/// Makes a set of specs.
pub async fn create(
    ctx: &Ctx,
    caller: &Caller,
    name: String,
    consumer: Consumer,
    specs: BTreeMap<String, String>,
) -> Result<QosSpecs, Error> {
    admins_only(caller, "volume_extension:qos_specs_manage:create")?;
    check(&specs)?;
    let made = QosSpecs {
        id: QosSpecsId::random(),
        name,
        consumer,
        specs,
        created_at: Time::now(),
        updated_at: None,
    };
    let mut batch = Batch::new();
    batch.add(qos_specs::INSERT, qos_specs::insert_values(&made));
    match ctx.store.write(batch).await {
        Err(StoreError::Taken { .. }) => Err(Error::Conflict(Conflict::NameTaken {
            noun: "QoS Specs",
            name: made.name,
        })),
        Err(error) => Err(unwritable(error)),
        Ok(()) => Ok(made),
    }
}

/// Adds or replaces limits, and the consumer if it is said.
pub async fn update(
    ctx: &Ctx,
    caller: &Caller,
    id: QosSpecsId,
    consumer: Option<Consumer>,
    specs: BTreeMap<String, String>,
) -> Result<(), Error> {
    let was = get_for(ctx, caller, id, "volume_extension:qos_specs_manage:update").await?;
    let mut all = was.specs.clone();
    all.extend(specs);
    check(&all)?;
    replace(ctx, &was, consumer.unwrap_or(was.consumer), &all).await
}

/// Removes limits: all of those named, or none when one is not there.
pub async fn delete_keys(
    ctx: &Ctx,
    caller: &Caller,
    id: QosSpecsId,
    keys: &[String],
) -> Result<(), Error> {
    let was = get_for(ctx, caller, id, "volume_extension:qos_specs_manage:delete").await?;
    let mut left = was.specs.clone();
    for key in keys {
        left.remove(key).ok_or_else(|| Error::NoSuchPart {
            why: format!("QoS spec {id} has no spec with key {key}."),
        })?;
    }
    replace(ctx, &was, was.consumer, &left).await
}

async fn replace(
    ctx: &Ctx,
    was: &QosSpecs,
    consumer: Consumer,
    specs: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let values: Vec<Value> = vec![
        was.id.to_string().into(),
        was.consumer.as_str().into(),
        map_text(&was.specs).into(),
        consumer.as_str().into(),
        map_text(specs).into(),
        Time::now().as_str().into(),
    ];
    let mut batch = Batch::new();
    batch.guard("same", qos_specs::UPDATE, values);
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { .. }) => Err(Error::Conflict(Conflict::Changed {
            noun: "QoS specs",
            id: was.id.to_string(),
        })),
        written => written.map_err(unwritable),
    }
}

/// Deletes them; with `force` also when types have them, which then have none.
pub async fn delete(ctx: &Ctx, caller: &Caller, id: QosSpecsId, force: bool) -> Result<(), Error> {
    admins_only(caller, "volume_extension:qos_specs_manage:delete")?;
    let key = || vec![id.to_string().into()];
    let mut batch = Batch::new();
    batch.guard("specs", qos_specs::LOCK, key());
    if force {
        batch.add(
            volume_types::DISASSOCIATE_ALL,
            vec![id.to_string().into(), now()],
        );
    } else {
        batch.guard("unused", qos_specs::IS_UNUSED, key());
    }
    batch.add(qos_specs::DELETE, key());
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { guard: "unused" }) => Err(Error::Refused(Refusal::Rule {
            why: "Qos specs still in use.".to_owned(),
        })),
        Err(StoreError::Conflict { .. }) => Err(not_found(id)),
        written => written.map_err(unwritable),
    }
}

/// The types that have them.
pub async fn associations(
    ctx: &Ctx,
    caller: &Caller,
    id: QosSpecsId,
) -> Result<Vec<VolumeType>, Error> {
    get_for(ctx, caller, id, "volume_extension:qos_specs_manage:get_all").await?;
    volume_types::with_qos_specs(&ctx.store, id)
        .await
        .map_err(unreadable)
}

/// Gives them to a type that has none; already so is fine.
pub async fn associate(
    ctx: &Ctx,
    caller: &Caller,
    id: QosSpecsId,
    type_id: VolumeTypeId,
) -> Result<(), Error> {
    get_for(ctx, caller, id, "volume_extension:qos_specs_manage:update").await?;
    let volume_type = types::visible(ctx, caller, type_id).await?;
    let mut batch = Batch::new();
    batch.guard("specs", qos_specs::LOCK, vec![id.to_string().into()]);
    let values = vec![type_id.to_string().into(), id.to_string().into(), now()];
    batch.guard("free", volume_types::ASSOCIATE, values);
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { guard: "free" }) => Err(Error::Refused(Refusal::Rule {
            why: format!(
                "Invalid volume type: Type {type_id} is already associated with another qos specs: {}",
                volume_type.qos_specs_id.map_or_else(
                    || "one that just came".to_owned(),
                    |other| other.to_string()
                )
            ),
        })),
        Err(StoreError::Conflict { .. }) => Err(not_found(id)),
        written => written.map_err(unwritable),
    }
}

/// Takes them from a type; already so is fine.
pub async fn disassociate(
    ctx: &Ctx,
    caller: &Caller,
    id: QosSpecsId,
    type_id: VolumeTypeId,
) -> Result<(), Error> {
    get_for(ctx, caller, id, "volume_extension:qos_specs_manage:update").await?;
    types::visible(ctx, caller, type_id).await?;
    let values = vec![type_id.to_string().into(), id.to_string().into(), now()];
    let mut batch = Batch::new();
    batch.add(volume_types::DISASSOCIATE, values);
    ctx.store.write(batch).await.map_err(unwritable)
}

/// Takes them from every type.
pub async fn disassociate_all(ctx: &Ctx, caller: &Caller, id: QosSpecsId) -> Result<(), Error> {
    get_for(ctx, caller, id, "volume_extension:qos_specs_manage:update").await?;
    let mut batch = Batch::new();
    batch.add(
        volume_types::DISASSOCIATE_ALL,
        vec![id.to_string().into(), now()],
    );
    ctx.store.write(batch).await.map_err(unwritable)
}

fn check(specs: &BTreeMap<String, String>) -> Result<(), Error> {
    if specs.len() > SPECS_MAX {
        return Err(invalid(
            "qos_specs",
            format!("there may be at most {SPECS_MAX} limits"),
        ));
    }
    let is_number = |value: &str| value.parse::<i64>().is_ok_and(|number| number >= 0);
    let wrong = specs
        .iter()
        .find(|(key, value)| is_reckoned_with(key) && !is_number(value));
    match wrong {
        None => Ok(()),
        Some((key, _)) => Err(invalid(key, "it must be a whole number".to_owned())),
    }
}

fn invalid(field: &str, why: String) -> Error {
    Error::Invalid {
        field: field.to_owned(),
        why,
    }
}

fn now() -> Value {
    Time::now().as_str().into()
}

fn not_found(id: QosSpecsId) -> Error {
    Error::NotFound {
        noun: "QoS specs",
        id: id.to_string(),
    }
}
