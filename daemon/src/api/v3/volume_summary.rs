//! `GET /volumes/summary` (3.12): how many volumes there are, how large they are in all, and (3.36) what their metadata
//! says. The filters are those of the list.

use super::volumes::LISTING;
use crate::api::Api;
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, ok};
use crate::api::page::Listing;
use crate::ops::unreadable;
use crate::store::list::ListRequest;
use crate::store::volumes;
use axum::extract::State;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// An answer names at most so many different values; a reader of more wants a list.
const VALUES_MAX: usize = 10_000;

/// So many different sets of pairs are read at once.
const PART: usize = 1000;

/// From this minor version on the metadata is told too.
const METADATA_FROM: u16 = 36;

/// As the list, but with Cinder's summary unknown filters are dropped at every version.
const SUMMARY: Listing = Listing {
    strict_from: u16::MAX,
    ..LISTING
};

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let wanted = SUMMARY.read(&call)?;
    let (count, size_gib) = if wanted.nothing {
        (0, 0)
    } else {
        let read = volumes::totals(&api.ctx.store, &wanted.request).await;
        read.map_err(unreadable)?
    };
    let mut summary = json!({"total_count": count, "total_size": size_gib});
    if call.version.at_least(METADATA_FROM) {
        let values = if wanted.nothing {
            BTreeMap::new()
        } else {
            values(&api, &wanted.request).await?
        };
        summary["metadata"] = json!(values);
    }
    Ok(ok(&json!({"volume-summary": summary})))
}

/// Every value of every key, each once.
async fn values(
    api: &Api,
    request: &ListRequest,
) -> Result<BTreeMap<String, BTreeSet<String>>, Fault> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut count = 0;
    let mut after = Some(String::new());
    while let Some(place) = after {
        let read = volumes::distinct_metadata(&api.ctx.store, request, &place, PART).await;
        let (part, next) = read.map_err(unreadable)?;
        for (key, value) in part.into_iter().flatten() {
            count += usize::from(found.entry(key).or_default().insert(value));
        }
        if count > VALUES_MAX {
            return Err(Fault::bad_request(format!(
                "The metadata of these volumes has more than {VALUES_MAX} different values: narrow the summary by a filter, or ask below microversion 3.{METADATA_FROM}."
            )));
        }
        after = next;
    }
    Ok(found)
}
