//! The one domain error: what went wrong, by what the caller can do about it.
//!
//! `Display` is the sentence for the caller; the cause stays in `source` and goes to the log with the whole chain.
//! Knows no HTTP: `api/error.rs` alone turns these into codes and bodies.

use crate::backup::BackupError;
use crate::driver::DriverError;
use crate::target::TargetError;

/// An error with its causes, for the log; what a wrapper has already said of its cause is said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// That an object does not exist, in Cinder's words, which differ by noun.
pub fn no_such(noun: &str, id: &str) -> String {
    match noun {
        "Volume attachment" => {
            format!("Volume attachment could not be found with filter: attachment_id = {id}.")
        }
        "QoS specs" => format!("No such QoS spec {id}."),
        "Default type for project" => format!("Default type for project {id} not found."),
        "Volume type encryption for type" => {
            format!("Volume type encryption for type {id} does not exist.")
        }
        _ => format!("{noun} {id} could not be found."),
    }
}

/// Why a request or an operation did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object does not exist, or not for this caller.
    #[error("{}", no_such(noun, id))]
    NotFound {
        /// What kind of object, as Cinder says it (`Volume`, `Snapshot`).
        noun: &'static str,
        /// What the caller asked for.
        id: String,
    },
    /// The object exists, but not the part of it that was asked for (a key, an access).
    #[error("{why}")]
    NoSuchPart {
        /// Which part of which object, in Cinder's words.
        why: String,
    },
    /// The request itself cannot be right.
    #[error("Invalid input for {field}: {why}")]
    Invalid {
        /// The field or parameter.
        field: String,
        /// What it should be.
        why: String,
    },
    /// Right as a request, but not in the object's present state.
    #[error("{0}")]
    Refused(Refusal),
    /// A quota would be exceeded; nothing was taken from it.
    #[error("{0}")]
    OverQuota(OverQuota),
    /// The caller made a condition (`If-Match`) that does not hold; nothing was changed.
    #[error("{noun} {id} is not as If-Match says: look again and repeat with what there is now.")]
    NotAsStated {
        /// What kind of object.
        noun: &'static str,
        /// Its id.
        id: String,
    },
    /// Somebody else is at it: another operation holds the object, or changed it meanwhile.
    #[error("{0}")]
    Conflict(Conflict),
    /// The caller may not.
    #[error("Policy doesn't allow {action} to be performed.")]
    Forbidden {
        /// What was tried, in Cinder's `resource:verb`.
        action: &'static str,
    },
    /// No or no valid credentials.
    #[error("The request you have made requires authentication.")]
    Unauthenticated,
    /// A part that is needed does not answer; the request may be repeated.
    #[error("{what} is not available: {why}")]
    Unavailable {
        /// The part.
        what: &'static str,
        /// What was noticed and what to do.
        why: String,
    },
    /// No service that could do it is up; in Cinder's words, then ours.
    #[error("Service {binary} could not be found. {why}")]
    NoService {
        /// The program, as Cinder calls it.
        binary: &'static str,
        /// What was looked for, and what to do.
        why: String,
    },
    /// An operation that the caller waits for did not end in time; it goes on or undoes itself.
    #[error("Operation {operation} did not end within {waited_s} s; it goes on by itself.")]
    TimedOut {
        /// The operation's id.
        operation: String,
        /// How long was waited.
        waited_s: u64,
    },
    /// A backend could not do its step.
    #[error("{step} of {object} failed: {reason}")]
    Backend {
        /// The step, in words.
        step: &'static str,
        /// The object it was for.
        object: String,
        /// The backend's first sentence, fit for the owner.
        reason: String,
        #[source]
        source: Box<EdgeError>,
    },
    /// An operation that the caller waited for failed; it was undone.
    #[error("{verb} failed: {reason}")]
    OperationFailed {
        /// The operation's verb.
        verb: &'static str,
        /// What it recorded.
        reason: String,
    },
    /// No pool can take the volume.
    #[error("No valid backend was found: {reason}")]
    NoPool {
        /// Which pool failed which test by how much.
        reason: String,
    },
    /// Stopped because somebody asked.
    #[error("The operation was cancelled.")]
    Cancelled,
    /// The record cannot be read or written.
    #[error("The record could not be {doing}.")]
    Store {
        /// `read` or `written`.
        doing: &'static str,
        #[source]
        source: crate::store::StoreError,
    },
    /// A mistake in Ashlar itself.
    #[error("Internal error: {what}")]
    Internal {
        /// What should not be possible.
        what: String,
    },
}

/// Which edge could not, with its cause.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// Where the bytes live.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// How a host reaches them.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Where the copies live.
    #[error(transparent)]
    Backup(#[from] BackupError),
}

/// A request that the object's state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The status is none of those that the operation begins in.
    #[error("Invalid {noun}: {noun} {id} must be {}, but its status is {is}.", wants.join(" or "))]
    Status {
        /// `volume`, `snapshot`, `attachment` or `backup`.
        noun: &'static str,
        /// Its id.
        id: String,
        /// Its status.
        is: String,
        /// What it should be.
        wants: Vec<&'static str>,
    },
    /// A volume with snapshots was to be deleted without them.
    #[error(
        "Invalid volume: Volume {id} still has {count} snapshot(s) and cannot be deleted: delete them first, or delete with cascade."
    )]
    HasSnapshots {
        /// The volume.
        id: String,
        /// How many it has.
        count: i64,
    },
    /// The volume is attached.
    #[error("Invalid volume: Volume {id} is attached; detach it first.")]
    Attached {
        /// The volume.
        id: String,
    },
    /// The administrator froze the backend.
    #[error("Modification operations are not allowed on frozen storage backends.")]
    Frozen,
    /// The snapshot is not of this volume.
    #[error("Invalid snapshot: Snapshot {snapshot} is of another volume than {volume}.")]
    NotOfThisVolume {
        /// The snapshot.
        snapshot: String,
        /// The volume.
        volume: String,
    },
    /// Only the newest snapshot can be reverted to.
    #[error(
        "Invalid snapshot: Volume {volume} can only be reverted to its newest snapshot, {newest}."
    )]
    NotNewest {
        /// The volume.
        volume: String,
        /// The snapshot it could be reverted to.
        newest: String,
    },
    /// The volume has grown since the snapshot.
    #[error(
        "Invalid volume: Volume {volume} has grown from {snapshot_gib} to {volume_gib} GiB since the snapshot, and a revert would cut it off; create a volume from the snapshot instead."
    )]
    SizeDiffers {
        /// The volume.
        volume: String,
        /// Its size.
        volume_gib: i64,
        /// The snapshot's.
        snapshot_gib: i64,
    },
    /// Any other rule, in words.
    #[error("{why}")]
    Rule {
        /// The rule and what to do.
        why: String,
    },
}

/// A quota that would be exceeded, in Cinder's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverQuota {
    /// Too many volumes.
    #[error(
        "VolumeLimitExceeded: Maximum number of volumes allowed ({limit}) exceeded for quota '{name}'."
    )]
    Volumes {
        /// The quota, `volumes` or that of a type.
        name: String,
        /// The limit.
        limit: i64,
    },
    /// Too many snapshots.
    #[error(
        "SnapshotLimitExceeded: Maximum number of snapshots allowed ({limit}) exceeded for quota '{name}'."
    )]
    Snapshots {
        /// The quota, `snapshots` or that of a type.
        name: String,
        /// The limit.
        limit: i64,
    },
    /// Too many GiB.
    #[error(
        "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed {name} quota. Requested {requested}G, quota is {limit}G and {used}G has been consumed."
    )]
    Gigabytes {
        /// The quota, `gigabytes` or that of a type.
        name: String,
        /// What was asked for.
        requested: i64,
        /// The limit.
        limit: i64,
        /// What is in use.
        used: i64,
    },
    /// Too many backups.
    #[error("BackupLimitExceeded: Maximum number of backups allowed ({limit}) exceeded")]
    Backups {
        /// The limit.
        limit: i64,
    },
    /// Too many GiB of backups.
    #[error(
        "VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup gigabytes quota. Requested {requested}G, quota is {limit}G and {used}G has been consumed."
    )]
    BackupGigabytes {
        /// What was asked for.
        requested: i64,
        /// The limit.
        limit: i64,
        /// What is in use.
        used: i64,
    },
    /// One volume too large.
    #[error(
        "VolumeSizeExceedsLimit: Requested volume size {requested}G is larger than maximum allowed limit {limit}G."
    )]
    PerVolume {
        /// What was asked for.
        requested: i64,
        /// The limit.
        limit: i64,
    },
}

/// Who is in the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A running operation holds an object that this one needs.
    #[error("{noun} {id} is held by operation {operation} ({verb}); try again when it has ended.")]
    Held {
        /// `Volume` or `Snapshot`.
        noun: &'static str,
        /// Its id.
        id: String,
        /// The operation that holds it.
        operation: String,
        /// What that does.
        verb: String,
    },
    /// The object changed between look and act.
    #[error("{noun} {id} changed meanwhile; look again and repeat the request.")]
    Changed {
        /// `Volume`, `Snapshot`, ...
        noun: &'static str,
        /// Its id.
        id: String,
    },
    /// The name is taken.
    #[error("{noun} {name} already exists.")]
    NameTaken {
        /// `Volume Type`.
        noun: &'static str,
        /// The name.
        name: String,
    },
    /// It is there already.
    #[error("{what} already exists.")]
    Exists {
        /// What is there.
        what: String,
    },
    /// The volume is connected to another host.
    #[error("Volume {volume} is connected to host {host} and is not multiattach.")]
    OtherHost {
        /// The volume.
        volume: String,
        /// The host that has it.
        host: String,
    },
    /// The host that is to be detached still uses the volume, and the policy is not to cut it.
    #[error(
        "Volume {volume} is still logged in to by {initiator} ({peer}); log out there first. Nothing was changed."
    )]
    StillLoggedIn {
        /// The volume.
        volume: String,
        /// Who is logged in.
        initiator: String,
        /// From where.
        peer: String,
    },
}
