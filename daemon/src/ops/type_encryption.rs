//! What a volume type says of encryption: records for clients, the administrator's, done at once.
//!
//! Ashlar does not encrypt. A type that volumes have keeps what it says, as in Cinder; and no volume is made of a type
//! that says it is encrypted, so that plain data never lies under that label. Both are asked in the transaction itself.

use super::volume_types::for_admin;
use super::{Ctx, unwritable};
use crate::error::{Conflict, Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::{EncryptionId, VolumeTypeId};
use crate::model::time::Time;
use crate::model::volume_type::{ControlLocation, Encryption, VolumeType};
use crate::store::volume_types::encryption_text;
use crate::store::{Batch, StoreError, Value, volume_types};

/// What is to be said of encryption; `None` leaves as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The provider.
    pub provider: Option<String>,
    /// Who would encrypt.
    pub control_location: Option<ControlLocation>,
    /// The cipher.
    pub cipher: Option<String>,
    /// The key's size.
    pub key_size_bits: Option<i64>,
}

/// Says how a type's volumes are encrypted; refused while volumes have it.
pub async fn create(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeTypeId,
    provider: String,
    control_location: ControlLocation,
    change: Change,
) -> Result<Encryption, Error> {
    for_admin(
        ctx,
        caller,
        id,
        "volume_extension:volume_type_encryption:create",
    )
    .await?;
    let encryption = Encryption {
        id: EncryptionId::random(),
        provider,
        control_location,
        cipher: change.cipher,
        key_size_bits: change.key_size_bits,
        created_at: Time::now(),
        updated_at: None,
    };
    let mut batch = unused(id);
    let text = encryption_text(&encryption);
    let values = vec![id.to_string().into(), text.into(), now()];
    batch.guard("none", volume_types::ADD_ENCRYPTION, values);
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { guard: "none" }) => Err(rule(format!(
            "Volume type encryption for type {id} already exists."
        ))),
        written => settled(written, id, "create").map(|()| encryption),
    }
}

/// Changes it; refused while volumes have the type.
pub async fn update(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeTypeId,
    change: Change,
) -> Result<(), Error> {
    let volume_type = for_admin(
        ctx,
        caller,
        id,
        "volume_extension:volume_type_encryption:update",
    )
    .await?;
    let was = volume_type.encryption.ok_or_else(|| not_found(id))?;
    let mut is = was.clone();
    is.provider = change.provider.unwrap_or(is.provider);
    is.control_location = change.control_location.unwrap_or(is.control_location);
    is.cipher = change.cipher.or(is.cipher);
    is.key_size_bits = change.key_size_bits.or(is.key_size_bits);
    is.updated_at = Some(Time::now());
    let mut batch = unused(id);
    let values = vec![
        id.to_string().into(),
        encryption_text(&was).into(),
        encryption_text(&is).into(),
        now(),
    ];
    batch.guard("same", volume_types::SET_ENCRYPTION, values);
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { guard: "same" }) => Err(Error::Conflict(Conflict::Changed {
            noun: "Volume type",
            id: id.to_string(),
        })),
        written => settled(written, id, "update"),
    }
}

/// Says nothing of encryption any more; refused while volumes have the type.
pub async fn delete(ctx: &Ctx, caller: &Caller, id: VolumeTypeId) -> Result<(), Error> {
    for_admin(
        ctx,
        caller,
        id,
        "volume_extension:volume_type_encryption:delete",
    )
    .await?;
    let mut batch = unused(id);
    let values = vec![id.to_string().into(), now()];
    batch.guard("some", volume_types::REMOVE_ENCRYPTION, values);
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { guard: "some" }) => Err(not_found(id)),
        written => settled(written, id, "delete"),
    }
}

/// Why no volume is made of this type, or why it could not be when it seemed that it could.
pub(super) fn refusal(volume_type: &VolumeType) -> Error {
    match volume_type.encryption {
        Some(_) => rule(format!(
            "Volume type {} is encrypted, and Ashlar does not encrypt: it makes no volume of this type. Choose another type, or encrypt on the host.",
            volume_type.name
        )),
        None => Error::Conflict(Conflict::Changed {
            noun: "Volume type",
            id: volume_type.id.to_string(),
        }),
    }
}

/// That a type has nothing said of encryption.
pub fn not_found(id: VolumeTypeId) -> Error {
    Error::NotFound {
        noun: "Volume type encryption for type",
        id: id.to_string(),
    }
}

fn unused(id: VolumeTypeId) -> Batch {
    let key = || vec![id.to_string().into()];
    let mut batch = Batch::new();
    batch.guard("type", volume_types::LOCK, key());
    batch.guard("unused", volume_types::IS_UNUSED, key());
    batch
}

fn settled(
    written: Result<(), StoreError>,
    id: VolumeTypeId,
    doing: &'static str,
) -> Result<(), Error> {
    match written {
        Err(StoreError::Conflict { guard: "unused" }) => Err(rule(format!(
            "Cannot {doing} encryption specs. Volume type in use."
        ))),
        Err(StoreError::Conflict { .. }) => Err(super::volume_types::not_found(&id.to_string())),
        written => written.map_err(unwritable),
    }
}

fn now() -> Value {
    Time::now().as_str().into()
}

fn rule(why: String) -> Error {
    Error::Refused(Refusal::Rule { why })
}
