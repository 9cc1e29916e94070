//! Access tokens in the record: only the SHA-256 of a secret is kept. The secrets are 256 random bits, so a fast
//! hash leaves nothing to guess; see docs/adr.

use super::Store;
use super::batch::{Query, Row, Sql, StoreError, Value};
use crate::model::caller::Role;
use crate::model::id::TokenId;
use crate::model::time::Time;

/// A token as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id; no secret.
    pub id: TokenId,
    /// What its maker called it.
    pub name: String,
    /// Whose objects it sees.
    pub project_id: String,
    /// Who uses it, for the record.
    pub user_id: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Time,
    /// When it stops to work.
    pub expires_at: Option<Time>,
}

const BY_HASH: Sql = Sql {
    name: "tokens.by_hash",
    text: "SELECT id, name, project_id, user_id, role, created_at, expires_at FROM tokens WHERE hash = $1",
};

const LIST: Sql = Sql {
    name: "tokens.list",
    text: "SELECT id, name, project_id, user_id, role, created_at, expires_at FROM tokens \
           ORDER BY created_at, id LIMIT 1000",
};

/// Parameters: [`insert_values`].
pub const INSERT: Sql = Sql {
    name: "tokens.insert",
    text: "INSERT INTO tokens (id, hash, name, project_id, user_id, role, created_at, expires_at) \
           SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE (SELECT COUNT(*) FROM tokens) < 1000",
};

/// Parameters: id. A guard: the token existed.
pub const DELETE: Sql = Sql {
    name: "tokens.delete",
    text: "DELETE FROM tokens WHERE id = $1",
};

pub(super) const ALL: &[Sql] = &[BY_HASH, LIST, INSERT, DELETE];

/// The token whose secret has this hash (lower-case hex), or `None`.
pub async fn find_by_hash(store: &Store, hash: &str) -> Result<Option<Token>, StoreError> {
    let row = store.row(Query::of(BY_HASH, vec![hash.into()])).await?;
    row.map(|row| read(&row)).transpose()
}

/// Every token, oldest first; there are at most 1000.
pub async fn list(store: &Store) -> Result<Vec<Token>, StoreError> {
    let rows = store.rows(Query::of(LIST, Vec::new())).await?;
    rows.iter().map(read).collect()
}

/// The parameters of [`INSERT`].
pub fn insert_values(token: &Token, hash: &str) -> Vec<Value> {
    vec![
        token.id.to_string().into(),
        hash.into(),
        token.name.as_str().into(),
        token.project_id.as_str().into(),
        token.user_id.as_str().into(),
        token.role.as_str().into(),
        token.created_at.as_str().into(),
        token.expires_at.as_ref().map(Time::as_str).into(),
    ]
}

fn read(row: &Row) -> Result<Token, StoreError> {
    Ok(Token {
        id: row.parsed(0, |text| text.parse().ok())?,
        name: row.text(1)?.to_owned(),
        project_id: row.text(2)?.to_owned(),
        user_id: row.text(3)?.to_owned(),
        role: row.parsed(4, Role::parse)?,
        created_at: Time::from_stored(row.text(5)?.to_owned()),
        expires_at: row
            .optional_text(6)?
            .map(|text| Time::from_stored(text.to_owned())),
    })
}
