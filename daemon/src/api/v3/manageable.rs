//! What lies in a pool and is not managed: listing it, and taking it over as a volume or a snapshot. The
//! administrator's; the older routes (`os-volume-manage`, `os-snapshot-manage`) lead to the same handlers.

use super::{snapshots, volume_view};
use crate::api::Api;
use crate::api::body::{Object, only};
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, accepted, ok};
use crate::api::page::{self, LIMIT_MAX};
use crate::error::Error;
use crate::model::size::GIB;
use crate::ops::list_manageable::{Manageable, is_plain, snapshot_of};
use crate::ops::{list_manageable, manage_snapshot, manage_volume};
use axum::extract::State;
use serde_json::{Map, Value, json};

/// The key under which a reference names an object; a pool of files knows no other.
const SOURCE_NAME: &str = "source-name";

/// `POST /manageable_volumes`.
fn volume_request(call: &Call, body: &Map<String, Value>) -> Result<manage_volume::Request, Fault> {
    only(body, &["volume"])?;
    let volume = Object::within(body, "volume")?;
    let mut keys = vec![
        "description",
        "availability_zone",
        "bootable",
        "volume_type",
        "name",
        "host",
        "ref",
        "metadata",
    ];
    if call.version.at_least(16) {
        keys.push("cluster");
    }
    volume.only(&keys)?;
    let some = |key: &str| Ok::<_, Fault>(volume.text(key)?.filter(|text| !text.is_empty()));
    let host = host_or_cluster(some("host")?, some("cluster")?, call.version.at_least(16))?;
    Ok(manage_volume::Request {
        host,
        source: source(&volume)?,
        name: some("name")?,
        description: volume.text("description")?,
        volume_type: some("volume_type")?,
        availability_zone: some("availability_zone")?,
        metadata: volume.pairs("metadata")?.unwrap_or_default(),
        bootable: volume.boolean("bootable")?.unwrap_or(false),
    })
}

/// `POST /manageable_snapshots`.
fn snapshot_request(body: &Map<String, Value>) -> Result<manage_snapshot::Request, Fault> {
    only(body, &["snapshot"])?;
    let snapshot = Object::within(body, "snapshot")?;
    // As upstream, which lets further keys pass here.
    let older = snapshot.text("display_name")?;
    Ok(manage_snapshot::Request {
        volume_id: snapshot.required_id("volume_id")?,
        source: source(&snapshot)?,
        name: snapshot.text("name")?.or(older),
        description: snapshot.text("description")?,
        metadata: snapshot.pairs("metadata")?.unwrap_or_default(),
    })
}

/// What the reference names.
fn source(object: &Object<'_>) -> Result<String, Fault> {
    let wanted = || {
        Fault::bad_request(format!(
            "Invalid input for field/attribute ref. It must be {{\"{SOURCE_NAME}\": \"<the name of a file in the \
             pool's directory import>\"}}."
        ))
    };
    let reference = object.value("ref").ok_or_else(wanted)?;
    let name = reference.get(SOURCE_NAME).and_then(Value::as_str);
    name.filter(|name| is_plain(name))
        .map(str::to_owned)
        .ok_or_else(wanted)
}

/// The host; there are no clusters.
fn host_or_cluster(
    host: Option<String>,
    cluster: Option<String>,
    with_clusters: bool,
) -> Result<String, Fault> {
    match (host, cluster) {
        (Some(host), None) => Ok(host),
        (None, Some(cluster)) => Err(Fault::not_found("Cluster", &shown(&cluster))),
        _ if with_clusters => Err(Fault::bad_request(
            "Invalid input received: One and only one of cluster and host must be set.",
        )),
        _ => Err(Fault::bad_request(
            "Invalid input received: Host field is missing.",
        )),
    }
}

pub(in crate::api) async fn create_volume(State(api): State<Api>, call: Call) -> Answer {
    let request = volume_request(&call, &call.json()?)?;
    let volume = manage_volume::begin(&api.ctx, &call.caller, request)
        .await
        .map_err(unknown_here)?;
    Ok(accepted(
        &json!({"volume": volume_view::detail(&call, &volume, &[], None)}),
    ))
}

/// What the body names and is not there is a wrong body upstream, and no missing object.
fn unknown_here(error: Error) -> Fault {
    let Error::NotFound { noun, id } = &error else {
        return error.into();
    };
    let id = shown(id);
    match *noun {
        "Host" => Fault::bad_request(format!("Host '{id}' not found")),
        "Volume type" => Fault::bad_request(format!(
            "Invalid volume type: Cannot find requested '{id}' volume type"
        )),
        _ => error.into(),
    }
}

pub(in crate::api) async fn create_snapshot(State(api): State<Api>, call: Call) -> Answer {
    let request = snapshot_request(&call.json()?)?;
    let snapshot = manage_snapshot::begin(&api.ctx, &call.caller, request).await?;
    Ok(accepted(
        &json!({"snapshot": snapshots::detail(&call, &snapshot)}),
    ))
}

pub(in crate::api) async fn list_volumes(State(api): State<Api>, call: Call) -> Answer {
    list(&api, &call, Noun::Volumes, false).await
}

pub(in crate::api) async fn list_volumes_detail(State(api): State<Api>, call: Call) -> Answer {
    list(&api, &call, Noun::Volumes, true).await
}

pub(in crate::api) async fn list_snapshots(State(api): State<Api>, call: Call) -> Answer {
    list(&api, &call, Noun::Snapshots, false).await
}

pub(in crate::api) async fn list_snapshots_detail(State(api): State<Api>, call: Call) -> Answer {
    list(&api, &call, Noun::Snapshots, true).await
}

/// What a listing is of. A file whose name says that it was a snapshot is listed with those; any other with volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noun {
    Volumes,
    Snapshots,
}

async fn list(api: &Api, call: &Call, noun: Noun, is_detail: bool) -> Answer {
    let action = match noun {
        Noun::Volumes => "volume_extension:list_manageable",
        Noun::Snapshots => "snapshot_extension:list_manageable",
    };
    list_manageable::may(&call.caller, action)?;
    let some = |key: &str| call.parameter(key).filter(|text| !text.is_empty());
    let with_clusters = call.version.at_least(17);
    let cluster = some("cluster").filter(|_| with_clusters);
    let (host, cluster) = (some("host").map(str::to_owned), cluster.map(str::to_owned));
    let host = host_or_cluster(host, cluster, with_clusters)?;
    let order = Order::read(call)?;
    let mut found = list_manageable::begin(&api.ctx, &call.caller, &host, action).await?;
    found.retain(|one| (noun == Noun::Snapshots) == snapshot_of(&one.name).is_some());
    let page: Vec<Value> = order
        .page(found)?
        .iter()
        .map(|one| view(one, noun, is_detail))
        .collect();
    let collection = match noun {
        Noun::Volumes => "manageable-volumes",
        Noun::Snapshots => "manageable-snapshots",
    };
    Ok(ok(&json!({ collection: page })))
}

fn view(one: &Manageable, noun: Noun, is_detail: bool) -> Value {
    let reference = |name: &str| json!({ SOURCE_NAME: name });
    let mut view = json!({
        "reference": reference(&one.name),
        "size": one.len_bytes.div_ceil(GIB),
        "safe_to_manage": one.why_not.is_none(),
    });
    if noun == Noun::Snapshots {
        view["source_reference"] = snapshot_of(&one.name).map_or(Value::Null, reference);
    }
    if is_detail {
        view["reason_not_safe"] = json!(one.why_not);
        // What Ashlar has already is not listed.
        view["cinder_id"] = Value::Null;
        view["extra_info"] = Value::Null;
    }
    view
}

/// In which order, and which part.
struct Order {
    by: Vec<(Key, bool)>,
    limit: usize,
    offset: usize,
    marker: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Reference,
    Size,
}

impl Order {
    fn read(call: &Call) -> Result<Self, Fault> {
        let (limit, offset) = page::limits(call)?;
        let mut by = Vec::new();
        for (key, direction) in page::sort_words(call)? {
            let key = match key {
                "reference" => Key::Reference,
                "size" => Key::Size,
                other => {
                    let why = format!("Invalid sort keys passed: {}", shown(other));
                    return Err(Fault::bad_request(why));
                }
            };
            let ascending = match direction {
                "asc" => true,
                "desc" | "" => false,
                other => {
                    let why = format!("Invalid sort dirs passed: {}", shown(other));
                    return Err(Fault::bad_request(why));
                }
            };
            by.push((key, ascending));
        }
        Ok(Self {
            by,
            limit: usize::try_from(limit.min(LIMIT_MAX)).unwrap_or(0),
            offset: usize::try_from(offset).unwrap_or(usize::MAX),
            marker: call.parameter("marker").map(marked),
        })
    }

    fn page(&self, mut found: Vec<Manageable>) -> Result<Vec<Manageable>, Fault> {
        // By name at last, so that pages never differ; upstream's order when nothing is asked for is by it, downwards.
        let last = (Key::Reference, false);
        found.sort_by(|one, other| {
            let keys = self.by.iter().chain([&last]);
            keys.map(|(key, ascending)| {
                let order = match key {
                    Key::Reference => one.name.cmp(&other.name),
                    Key::Size => (one.len_bytes.div_ceil(GIB)).cmp(&other.len_bytes.div_ceil(GIB)),
                };
                if *ascending { order } else { order.reverse() }
            })
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
        });
        let start = match &self.marker {
            None => 0,
            Some(marker) => {
                let at = found.iter().position(|one| one.name == *marker);
                let why = || Fault::bad_request(format!("marker not found: {}", shown(marker)));
                at.ok_or_else(why)? + 1
            }
        };
        let part = found.into_iter().skip(start).skip(self.offset);
        Ok(part.take(self.limit).collect())
    }
}

/// The name that a marker means: the whole reference, as clients print it, or the name alone.
fn marked(marker: &str) -> String {
    let reference: Option<Value> = serde_json::from_str(&marker.replace('\'', "\"")).ok();
    let name = reference
        .as_ref()
        .and_then(|one| one.get(SOURCE_NAME)?.as_str());
    name.unwrap_or(marker).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{self, Asks};

    fn order(query: &str) -> Result<Order, u16> {
        let call = testing::call(&Asks {
            query,
            minor: 8,
            admin: true,
            ..Asks::default()
        });
        Order::read(&call).map_err(|fault| fault.code())
    }

    fn pages(query: &str) -> Result<String, u16> {
        let all = [("a", 3), ("b", 1), ("c", 3), ("d", 2)].map(|(name, gib)| Manageable {
            name: name.to_owned(),
            len_bytes: gib * GIB - 5,
            why_not: None,
        });
        let page = order(query)?.page(all.to_vec());
        let page = page.map_err(|fault| fault.code())?;
        Ok(page.iter().map(|one| one.name.as_str()).collect())
    }

    #[test]
    fn order_and_pages() {
        for (query, wanted) in [
            ("", "dcba"),
            ("sort=reference:asc", "abcd"),
            ("sort=size:asc,reference:asc", "bdac"),
            ("sort=size", "cadb"),
            ("limit=2", "dc"),
            ("limit=2&offset=1", "cb"),
            ("limit=2&marker=c", "ba"),
            ("marker={'source-name':'c'}&sort=reference:asc", "d"),
            ("limit=0", ""),
            ("offset=9", ""),
        ] {
            assert_eq!(pages(query).as_deref(), Ok(wanted), "{query}");
        }
        for bad in [
            "sort=name",
            "sort=size:up",
            "marker=x",
            "limit=-1",
            "offset=x",
            "limit=x",
        ] {
            assert_eq!(pages(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn what_is_taken_over_is_named_plainly() {
        let at = |minor, said: Value| {
            let call = testing::call(&Asks {
                minor,
                admin: true,
                ..Asks::default()
            });
            let body = json!({ "volume": said });
            volume_request(&call, body.as_object().unwrap()).map_err(|fault| fault.code())
        };
        let good =
            json!({"host": "h@b#p", "ref": {"source-name": "x"}, "bootable": "yes", "name": ""});
        let request = at(0, good).unwrap();
        assert_eq!(
            (request.source.as_str(), request.bootable, request.name),
            ("x", true, None)
        );
        for bad in [
            json!({"ref": {"source-name": "x"}}),
            json!({"host": "h"}),
            json!({"host": "h", "ref": "x"}),
            json!({"host": "h", "ref": {"source-id": "1"}}),
            json!({"host": "h", "ref": {"source-name": "../x"}}),
            json!({"host": "h", "ref": {"source-name": ""}}),
            json!({"host": "h", "ref": {"source-name": "x"}, "cluster": "c"}),
            json!({"host": "h", "ref": {"source-name": "x"}, "bootable": "maybe"}),
            json!({"host": "h", "ref": {"source-name": "x"}, "metadata": {"k": 1}}),
        ] {
            assert_eq!(at(0, bad.clone()).unwrap_err(), 400, "{bad}");
        }
        let cluster = json!({"ref": {"source-name": "x"}, "cluster": "c"});
        assert_eq!(at(16, cluster).unwrap_err(), 404);
        let snapshot = |said: Value| {
            let body = json!({ "snapshot": said });
            snapshot_request(body.as_object().unwrap()).map_err(|fault| fault.code())
        };
        assert_eq!(
            snapshot(json!({"ref": {"source-name": "x"}})).unwrap_err(),
            400
        );
        assert_eq!(
            snapshot(json!({"volume_id": "x", "ref": {"source-name": "x"}})).unwrap_err(),
            400
        );
    }
}
