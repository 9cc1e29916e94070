//! Offer a volume to another project: whoever knows the key may take it. One transaction; the key is told once.

use super::begin::Beginning;
use super::{Ctx, visible_volume};
use crate::error::{Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::{TransferId, VolumeId};
use crate::model::operation::Verb;
use crate::model::time::Time;
use crate::model::transfer::Transfer;
use crate::store::transfers::{self, Lock};
use crate::store::{Batch, snapshots, volumes};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Cinder's lengths: a key that a person can read to another, a salt that keeps equal keys apart. 32 letters each.
const KEY_LEN: usize = 16;
const SALT_LEN: usize = 8;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which volume.
    pub volume_id: VolumeId,
    /// The owner's name for the offer.
    pub name: Option<String>,
    /// Whether its snapshots go with it.
    pub with_snapshots: bool,
}

/// Offers it; the answer is the offer with its key.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    request: Request,
) -> Result<(Transfer, SecretString), Error> {
    let volume = visible_volume(ctx, caller, request.volume_id).await?;
    let id = volume.id.to_string();
    let transfer = Transfer {
        id: TransferId::random(),
        volume_id: volume.id,
        project_id: volume.project_id.clone(),
        name: request.name,
        with_snapshots: request.with_snapshots,
        created_at: Time::now(),
    };
    let (key, salt) = fresh_key()?;
    let lock = Lock {
        key_hash: key_hash(&salt, &key),
        salt,
    };
    let mut beginning = Beginning::new(ctx, caller, Verb::CreateTransfer, &id);
    beginning.moves_volume(&volume);
    beginning.rule(
        volumes::IS_UNCONNECTED,
        vec![id.as_str().into()],
        connected(&id),
    );
    if transfer.with_snapshots {
        beginning.rule(
            snapshots::ALL_AVAILABLE,
            vec![id.as_str().into()],
            unavailable_snapshot(&id),
        );
    }
    beginning.also(
        transfers::INSERT,
        transfers::insert_values(&transfer, &lock),
    );
    beginning.commit_at_once(Batch::new()).await?;
    Ok((transfer, key))
}

/// The hash of a key under a salt.
pub(super) fn key_hash(salt: &str, key: &SecretString) -> String {
    let mut hash = Sha256::new();
    hash.update(salt.as_bytes());
    hash.update(key.expose_secret().as_bytes());
    let mut text = String::new();
    for byte in hash.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A host of the one project must not stay in a volume of the other.
pub(super) fn connected(volume: &str) -> Error {
    Error::Refused(Refusal::Rule {
        why: format!(
            "Invalid volume: a host is let in to volume {volume}; end its connection before the volume changes hands."
        ),
    })
}

/// What an operation makes or destroys counts for the project that it was begun for.
pub(super) fn unavailable_snapshot(volume: &str) -> Error {
    Error::Refused(Refusal::Rule {
        why: format!(
            "Invalid snapshot: every snapshot of volume {volume} must be available to go with it; wait, delete it, or offer the volume with no_snapshots."
        ),
    })
}

fn fresh_key() -> Result<(SecretString, String), Error> {
    // No 0, 1, o, l: a key is read out and typed.
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0_u8; KEY_LEN + SALT_LEN];
    getrandom::fill(&mut random).map_err(|error| Error::Internal {
        what: format!("the system gave no random numbers: {error}"),
    })?;
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte & 31)]);
    let (key, salt) = random.split_at(KEY_LEN);
    let key: String = key.iter().map(letter).collect();
    Ok((SecretString::from(key), salt.iter().map(letter).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_random_and_hashes_salted() {
        let (key, salt) = fresh_key().unwrap();
        assert_eq!(key.expose_secret().len(), KEY_LEN);
        assert_eq!(salt.len(), SALT_LEN);
        let (other, _) = fresh_key().unwrap();
        assert_ne!(key.expose_secret(), other.expose_secret());
        assert_eq!(key_hash(&salt, &key), key_hash(&salt, &key));
        assert_ne!(key_hash(&salt, &key), key_hash("another1", &key));
        assert_ne!(key_hash(&salt, &key), key_hash(&salt, &other));
        assert!(!key_hash(&salt, &key).contains(key.expose_secret()));
    }
}
