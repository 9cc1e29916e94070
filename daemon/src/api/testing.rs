//! Calls for tests: what passed the door, without a door.

use super::call::{Call, Media};
use super::links::Links;
use super::microversion::Microversion;
use crate::model::caller::{Caller, Role};
use bytes::Bytes;

/// What a test asks; by default a member of project `p`, at 3.0, with an empty query.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asks<'a> {
    pub(super) query: &'a str,
    pub(super) minor: u16,
    pub(super) admin: bool,
    pub(super) body: &'a str,
}

pub(super) fn call(asks: &Asks<'_>) -> Call {
    let caller = Caller {
        project_id: "p".to_owned(),
        user_id: "u".to_owned(),
        role: if asks.admin {
            Role::Admin
        } else {
            Role::Member
        },
        request_id: "req-1".to_owned(),
    };
    Call::new(
        caller,
        Microversion::of(asks.minor),
        Links::new(None, Some("h"), Some("p".to_owned())),
        super::door::query(Some(asks.query)),
        Bytes::from(asks.body.to_owned()),
        Media::Json,
    )
}
