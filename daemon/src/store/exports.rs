//! Exports and connections in the record: which volumes are to be reachable, with which credentials, for whom.
//!
//! This is the intent that targets are made to match, and the source of every `connection_info`; a target's own
//! state is never read back as truth.

use super::Store;
use super::batch::{Query, Row, Sql, StoreError, Value};
use crate::model::id::VolumeId;
use crate::target::{Address, Chap, Credentials};
use secrecy::{ExposeSecret, SecretString};

/// A volume that is to be reachable.
#[derive(Debug, Clone)]
pub struct ExportRow {
    /// The volume.
    pub volume_id: VolumeId,
    /// What initiators must prove.
    pub chap: Chap,
    /// How it is reached; known once the target has it.
    pub address: Option<Address>,
}

/// An initiator that is to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRow {
    /// The volume.
    pub volume_id: VolumeId,
    /// The initiator's IQN, lower case.
    pub initiator: String,
    /// The attachment it is for; empty for Cinder's legacy calls, which have none yet.
    pub attachment_id: String,
    /// Whether writes are refused.
    pub read_only: bool,
    /// Whether it is to be shut out, and the target may not have done so yet.
    pub is_leaving: bool,
}

const GET: Sql = Sql {
    name: "exports.get",
    text: "SELECT volume_id, chap_user, chap_secret, iqn, portals, lun, mutual_user, mutual_secret \
           FROM exports WHERE volume_id = $1",
};

const ALL_EXPORTS: Sql = Sql {
    name: "exports.all",
    text: "SELECT volume_id, chap_user, chap_secret, iqn, portals, lun, mutual_user, mutual_secret \
           FROM exports ORDER BY volume_id",
};

const CONNECTIONS: Sql = Sql {
    name: "exports.connections",
    text: "SELECT volume_id, initiator, attachment_id, read_only, CASE WHEN left_by IS NULL THEN 0 ELSE 1 END \
           FROM connections WHERE volume_id = $1 ORDER BY initiator, attachment_id",
};

/// Parameters: volume_id, chap_user, chap_secret, mutual_user, mutual_secret. Keeps the credentials of an export that
/// exists: hosts have them.
pub const INSERT: Sql = Sql {
    name: "exports.insert",
    text: "INSERT INTO exports (volume_id, chap_user, chap_secret, mutual_user, mutual_secret) \
           VALUES ($1, $2, $3, $4, $5) \
           ON CONFLICT (volume_id) DO NOTHING",
};

/// Parameters: volume_id, iqn, portals, lun.
pub const SET_ADDRESS: Sql = Sql {
    name: "exports.set_address",
    text: "UPDATE exports SET iqn = $2, portals = $3, lun = $4 WHERE volume_id = $1",
};

/// Parameters: volume_id. Only when nobody is let in any more.
pub const DELETE_UNUSED: Sql = Sql {
    name: "exports.delete_unused",
    text: "DELETE FROM exports WHERE volume_id = $1 \
           AND NOT EXISTS (SELECT 1 FROM connections c WHERE c.volume_id = exports.volume_id)",
};

/// Parameters: volume_id, initiator, attachment_id, read_only, operation. One that is let in already stays the one
/// that its own operation made; one that was leaving is made anew.
pub const CONNECT: Sql = Sql {
    name: "exports.connect",
    text: "INSERT INTO connections (volume_id, initiator, attachment_id, read_only, made_by) \
           VALUES ($1, $2, $3, $4, $5) \
           ON CONFLICT (volume_id, initiator, attachment_id) DO UPDATE SET read_only = excluded.read_only, \
           made_by = CASE WHEN connections.left_by IS NULL THEN connections.made_by ELSE excluded.made_by END, \
           left_by = NULL",
};

/// Parameters: volume_id, operation. What this operation made is to go.
pub const LEAVE_MADE: Sql = Sql {
    name: "exports.leave_made",
    text: "UPDATE connections SET left_by = $2 WHERE volume_id = $1 AND made_by = $2",
};

/// Parameters: volume_id, operation, initiator. What Cinder's legacy calls let in for this initiator is to go.
pub const LEAVE_LEGACY: Sql = Sql {
    name: "exports.leave_legacy",
    text: "UPDATE connections SET left_by = $2 WHERE volume_id = $1 AND initiator = $3 AND attachment_id = ''",
};

/// Parameters: volume_id, operation, attachment_id. What was let in for this attachment is to go.
pub const LEAVE_ATTACHMENT: Sql = Sql {
    name: "exports.leave_attachment",
    text: "UPDATE connections SET left_by = $2 WHERE volume_id = $1 AND attachment_id = $3",
};

/// Parameters: volume_id, operation, attachment_id. Everybody is to go, unless the volume has another attachment.
pub const LEAVE_WITH_LAST: Sql = Sql {
    name: "exports.leave_with_last",
    text: "UPDATE connections SET left_by = $2 WHERE volume_id = $1 AND NOT EXISTS \
           (SELECT 1 FROM attachments a WHERE a.volume_id = connections.volume_id AND a.id <> $3)",
};

/// Parameters: volume_id, operation. Everybody is to go.
pub const LEAVE_ALL: Sql = Sql {
    name: "exports.leave_all",
    text: "UPDATE connections SET left_by = $2 WHERE volume_id = $1",
};

/// Parameters: volume_id. Those who were leaving have left.
pub const DELETE_LEFT: Sql = Sql {
    name: "exports.delete_left",
    text: "DELETE FROM connections WHERE volume_id = $1 AND left_by IS NOT NULL",
};

/// Parameters: volume_id.
pub const DISCONNECT_ALL: Sql = Sql {
    name: "exports.disconnect_all",
    text: "DELETE FROM connections WHERE volume_id = $1",
};

/// Parameters: volume_id, initiator, attachment_id, instance. A guard: the attachment has no other host already, and
/// neither has the volume, unless it is multiattach or the other is for the same instance (a live migration). One
/// that is leaving counts: it may still write.
pub const IS_ONLY_HOST: Sql = Sql {
    name: "exports.is_only_host",
    text: "UPDATE volumes SET id = id WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM connections c \
           WHERE c.volume_id = volumes.id AND c.initiator <> $2 AND (c.attachment_id = $3 \
           OR (volumes.multiattach = 0 AND NOT EXISTS (SELECT 1 FROM attachments a \
           WHERE a.id = c.attachment_id AND a.instance_uuid = CAST($4 AS TEXT)))))",
};

pub(super) const ALL: &[Sql] = &[
    GET,
    ALL_EXPORTS,
    CONNECTIONS,
    INSERT,
    SET_ADDRESS,
    DELETE_UNUSED,
    CONNECT,
    LEAVE_MADE,
    LEAVE_LEGACY,
    LEAVE_ATTACHMENT,
    LEAVE_WITH_LAST,
    LEAVE_ALL,
    DELETE_LEFT,
    DISCONNECT_ALL,
    IS_ONLY_HOST,
];

/// The volume's export, or `None`.
pub async fn get(store: &Store, volume: VolumeId) -> Result<Option<ExportRow>, StoreError> {
    let row = store
        .row(Query::of(GET, vec![volume.to_string().into()]))
        .await?;
    row.map(|row| read(&row)).transpose()
}

/// Every export that is to be.
pub async fn all(store: &Store) -> Result<Vec<ExportRow>, StoreError> {
    let rows = store.rows(Query::of(ALL_EXPORTS, Vec::new())).await?;
    rows.iter().map(read).collect()
}

/// Who is to be let in to a volume, and who is leaving it.
pub async fn connections(
    store: &Store,
    volume: VolumeId,
) -> Result<Vec<ConnectionRow>, StoreError> {
    let rows = store
        .rows(Query::of(CONNECTIONS, vec![volume.to_string().into()]))
        .await?;
    let read = |row: &Row| {
        Ok(ConnectionRow {
            volume_id: row.parsed(0, |text| text.parse().ok())?,
            initiator: row.text(1)?.to_owned(),
            attachment_id: row.text(2)?.to_owned(),
            read_only: row.int(3)? != 0,
            is_leaving: row.int(4)? != 0,
        })
    };
    rows.iter().map(read).collect()
}

/// The parameters of [`INSERT`].
pub fn insert_values(volume: VolumeId, chap: &Chap) -> Vec<Value> {
    let mutual = chap.mutual.as_ref();
    vec![
        volume.to_string().into(),
        chap.user.as_str().into(),
        chap.secret.expose_secret().into(),
        mutual.map(|one| one.user.as_str()).into(),
        mutual.map(|one| one.secret.expose_secret()).into(),
    ]
}

/// The parameters of [`SET_ADDRESS`].
pub fn address_values(volume: VolumeId, address: &Address) -> Vec<Value> {
    vec![
        volume.to_string().into(),
        address.iqn.as_str().into(),
        address.portals.join(" ").into(),
        i64::from(address.lun).into(),
    ]
}

fn read(row: &Row) -> Result<ExportRow, StoreError> {
    let address = match (row.optional_text(3)?, row.optional_text(4)?) {
        (Some(iqn), Some(portals)) => Some(Address {
            iqn: iqn.to_owned(),
            portals: portals.split(' ').map(str::to_owned).collect(),
            lun: u32::try_from(row.int(5)?).map_err(|_| StoreError::Unreadable { column: 5 })?,
        }),
        (None, _) | (_, None) => None,
    };
    let mutual = row.optional_text(6)?.zip(row.optional_text(7)?);
    Ok(ExportRow {
        volume_id: row.parsed(0, |text| text.parse().ok())?,
        chap: Chap {
            user: row.text(1)?.to_owned(),
            secret: SecretString::from(row.text(2)?.to_owned()),
            mutual: mutual.map(|(user, secret)| Credentials {
                user: user.to_owned(),
                secret: SecretString::from(secret.to_owned()),
            }),
        },
        address,
    })
}
