//! Which filters each list takes (3.33), from the tables that the lists themselves read.

use super::{attachments, backups, messages, pools, snapshots, types, volumes};
use crate::api::call::Call;
use crate::api::error::{Answer, ok};
use crate::api::page::Listing;
use serde_json::{Value, json};

pub(in crate::api) const RESOURCES: &[(&str, &Listing)] = &[
    ("attachment", &attachments::LISTING),
    ("backup", &backups::LISTING),
    ("message", &messages::LISTING),
    ("pool", &pools::LISTING),
    ("snapshot", &snapshots::LISTING),
    ("volume", &volumes::LISTING),
    ("volume_type", &types::LISTING),
];

pub(in crate::api) async fn list(call: Call) -> Answer {
    let asked = call.parameter("resource");
    let shown: Vec<Value> = RESOURCES
        .iter()
        .filter(|(name, _)| asked.is_none_or(|asked| asked == *name))
        .map(|(name, listing)| json!({"resource": name, "filters": filters(listing)}))
        .collect();
    Ok(ok(&json!({"resource_filters": shown})))
}

fn filters(listing: &Listing) -> Vec<&'static str> {
    let everybodys = listing.filters.iter().filter(|rule| !rule.for_admins);
    everybodys.map(|rule| rule.wire).collect()
}
