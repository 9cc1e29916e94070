//! Make and revoke access tokens. The administrator's; done at once. Only the hash of a secret comes here.

use super::{Ctx, unreadable, unwritable};
use crate::error::{Error, Refusal};
use crate::model::caller::{Caller, Role};
use crate::model::id::TokenId;
use crate::store::tokens::{self, Token};
use crate::store::{Batch, StoreError};

/// Every token, oldest first.
pub async fn list(ctx: &Ctx, caller: &Caller) -> Result<Vec<Token>, Error> {
    admins_only(caller)?;
    tokens::list(&ctx.store).await.map_err(unreadable)
}

/// Records a token by the hash of its secret.
pub async fn create(ctx: &Ctx, caller: &Caller, token: &Token, hash: &str) -> Result<(), Error> {
    admins_only(caller)?;
    let mut batch = Batch::new();
    batch.guard("room", tokens::INSERT, tokens::insert_values(token, hash));
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { .. }) => Err(Error::Refused(Refusal::Rule {
            why: "There are as many tokens as there may be: revoke some first.".to_owned(),
        })),
        written => written.map_err(unwritable),
    }
}

/// One token, without its secret.
pub async fn get(ctx: &Ctx, caller: &Caller, id: TokenId) -> Result<Token, Error> {
    let found = list(ctx, caller).await?;
    found
        .into_iter()
        .find(|token| token.id == id)
        .ok_or_else(|| Error::NotFound {
            noun: "Token",
            id: id.to_string(),
        })
}

/// Revokes a token; whoever uses it is shut out from the next request on.
pub async fn revoke(ctx: &Ctx, caller: &Caller, id: TokenId) -> Result<(), Error> {
    admins_only(caller)?;
    let mut batch = Batch::new();
    batch.guard("token", tokens::DELETE, vec![id.to_string().into()]);
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { .. }) => Err(Error::NotFound {
            noun: "Token",
            id: id.to_string(),
        }),
        written => written.map_err(unwritable),
    }
}

fn admins_only(caller: &Caller) -> Result<(), Error> {
    if caller.role == Role::Admin {
        Ok(())
    } else {
        Err(Error::Forbidden {
            action: "ashlar:tokens",
        })
    }
}
