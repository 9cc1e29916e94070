//! The two documents, put together out of the descriptions; and the tests that hold the descriptions to the table.

use super::describe::Described;
use super::faults::{self, is_at_door};
use super::schema::{named, text};
use super::{
    ashlar, attachments, backup_sets, backup_stores, backups, events, manageable, messages,
    metadata, plan, qos_specs, quota_sets, services, snapshots, transfers, type_access, types,
    versions, volume_actions, volumes,
};
use crate::api::microversion::maximum;
use crate::api::routes::ROUTES;
use serde_json::{Map, Value, json};

/// A noun's routes and schemas.
struct Noun {
    tag: &'static str,
    routes: Vec<Described>,
    schemas: Vec<(&'static str, Value)>,
}

/// Every noun; a new one is a line here.
fn nouns() -> Vec<Noun> {
    let noun = |tag, routes, schemas| Noun {
        tag,
        routes,
        schemas,
    };
    vec![
        noun("versions", versions::routes(), versions::schemas()),
        noun("volumes", volumes::routes(), volumes::schemas()),
        noun("volume actions", volume_actions::routes(), vec![]),
        noun("metadata", metadata::routes(), metadata::schemas()),
        noun("snapshots", snapshots::routes(), snapshots::schemas()),
        noun("backups", backups::routes(), backups::schemas()),
        noun("manageable", manageable::routes(), manageable::schemas()),
        noun("attachments", attachments::routes(), attachments::schemas()),
        noun("transfers", transfers::routes(), transfers::schemas()),
        noun("types", types::routes(), types::schemas()),
        noun("type access", type_access::routes(), type_access::schemas()),
        noun("QoS specs", qos_specs::routes(), qos_specs::schemas()),
        noun("quotas", quota_sets::routes(), quota_sets::schemas()),
        noun("services", services::routes(), services::schemas()),
        noun("messages", messages::routes(), messages::schemas()),
        noun("ashlar", ashlar::routes(), ashlar::schemas()),
        noun(
            "backup stores",
            backup_stores::routes(),
            backup_stores::schemas(),
        ),
        noun("events", events::routes(), events::schemas()),
        noun("plan", plan::routes(), plan::schemas()),
        noun("backup sets", backup_sets::routes(), backup_sets::schemas()),
    ]
}

/// Every description.
pub(super) fn descriptions() -> Vec<Described> {
    nouns().into_iter().flat_map(|noun| noun.routes).collect()
}

/// Every schema that others name.
pub(super) fn components() -> Value {
    let mut schemas: Map<String, Value> = faults::schemas().into_iter().collect();
    for (name, schema) in nouns().into_iter().flat_map(|noun| noun.schemas) {
        let before = schemas.insert(name.to_owned(), schema);
        assert!(before.is_none(), "two schemas are called {name}");
    }
    json!({"schemas": schemas})
}

/// Which document a path belongs to.
fn is_ours(path: &str) -> bool {
    path.starts_with("/ashlar/")
}

fn document(title: &str, about: &str, wanted: impl Fn(&str) -> bool) -> Value {
    let mut paths = Map::new();
    for noun in nouns() {
        for route in noun.routes.iter().filter(|route| wanted(route.path)) {
            let path = paths.entry(route.path).or_insert_with(|| json!({}));
            path[route.method] = operation(route, noun.tag);
        }
    }
    let mut components = components();
    components["securitySchemes"] =
        json!({"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}});
    components["responses"] = refusals();
    components["parameters"] = json!({"Microversion": microversion()});
    keep_what_is_named(&paths, &mut components);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title, "description": about, "version": maximum().to_string(),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": components,
    })
}

/// Leaves out the schemas that only the other document names.
fn keep_what_is_named(paths: &Map<String, Value>, components: &mut Value) {
    let mut text = format!("{}{}", json!(paths), components["responses"]);
    let Some(schemas) = components["schemas"].as_object_mut() else {
        return;
    };
    let is_named =
        |name: &str, text: &str| text.contains(&format!("#/components/schemas/{name}\""));
    let mut kept: Map<String, Value> = Map::new();
    while let Some(name) = schemas.keys().find(|name| is_named(name, &text)).cloned() {
        if let Some(schema) = schemas.remove(&name) {
            text.push_str(&schema.to_string());
            kept.insert(name, schema);
        }
    }
    *schemas = kept;
}

fn operation(route: &Described, tag: &str) -> Value {
    let since = ROUTES
        .iter()
        .find(|known| (known.method, known.path) == (route.method, route.path))
        .map_or(0, |known| known.since);
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [tag],
        "parameters": parameters(route),
        "responses": responses(route),
    });
    if since > 0 {
        operation["x-since-minor"] = json!(since);
    }
    if let Some(schema) = &route.body {
        operation["requestBody"] =
            json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    if is_at_door(route.path) {
        operation["security"] = json!([]);
    }
    operation
}

fn operation_id(route: &Described) -> String {
    let words = route
        .path
        .split(['/', '{', '}', '-'])
        .filter(|word| !word.is_empty());
    std::iter::once(route.method)
        .chain(words)
        .collect::<Vec<_>>()
        .join("_")
}

fn parameters(route: &Described) -> Vec<Value> {
    let mut all: Vec<Value> = route
        .names()
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": route.variable_schema(name)}))
        .collect();
    all.extend(route.query.iter().map(|one| {
        json!({"name": one.name, "in": "query", "description": one.says, "schema": one.schema})
    }));
    if route.path.starts_with("/v3/") && !is_at_door(route.path) {
        all.push(json!({"$ref": "#/components/parameters/Microversion"}));
    }
    all
}

/// The header by which a client asks for a microversion.
fn microversion() -> Value {
    let versions = (0..=maximum().minor()).map(|minor| format!("volume 3.{minor}"));
    json!({
        "name": "OpenStack-API-Version", "in": "header", "description": "Absent: 3.0.",
        "schema": {"type": "string", "enum": versions.collect::<Vec<_>>()},
    })
}

fn responses(route: &Described) -> Map<String, Value> {
    let mut all = Map::new();
    for (code, schema) in &route.answers {
        let mut answer = json!({"description": route.summary});
        // OpenAPI has no word for a body that may be missing: what is said of it then would be false of the other.
        let is_sure = !(route.answers.iter()).any(|(same, body)| same == code && body.is_none());
        if let Some(schema) = schema.as_ref().filter(|_| is_sure) {
            answer["content"] = json!({"application/json": {"schema": schema}});
        }
        if let Some(media) = route.streams.filter(|_| *code == 200) {
            answer["content"][media] = json!({"schema": text()});
        }
        all.insert(code.to_string(), answer);
    }
    for code in faults::of(route) {
        let answer = json!({"$ref": format!("#/components/responses/{}", faults::name(code))});
        all.insert(code.to_string(), answer);
    }
    all
}

/// Every refusal, described once.
fn refusals() -> Value {
    let one = |code: u16| {
        let schema = named(&faults::name(code));
        json!({"description": faults::says(code), "content": {"application/json": {"schema": schema}}})
    };
    let all = faults::FAULTS
        .iter()
        .map(|(code, _, _)| (faults::name(*code), one(*code)));
    Value::Object(all.collect())
}

/// Both documents, by file name.
fn documents() -> [(&'static str, Value); 2] {
    let cinder = document(
        "OpenStack Block Storage API v3, as Ashlar answers it",
        "A project may stand after `/v3`. `x-since-minor` marks fields that came with a microversion, \
         `x-for-administrators` those that others are not shown.",
        |path| !is_ours(path),
    );
    let ours = document(
        "Ashlar's own API",
        "What Cinder's API has no words for: operations, tokens, and these documents.",
        is_ours,
    );
    [("cinder-v3.json", cinder), ("ashlar-v1.json", ours)]
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test asks whether to rewrite the documents it checks"
)]
fn the_documents_are_printed_from_the_descriptions() {
    for (name, document) in documents() {
        let path = format!("{}/../docs/openapi/{name}", env!("CARGO_MANIFEST_DIR"));
        let printed = serde_json::to_string_pretty(&document).unwrap() + "\n";
        if std::env::var("ASHLAR_BLESS").is_ok() {
            std::fs::write(&path, &printed).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            checked_in == printed,
            "docs/openapi/{name} differs from the descriptions: run with ASHLAR_BLESS=1"
        );
    }
}

#[test]
fn every_route_is_described_once_and_nothing_else_is() {
    let mut described: Vec<(&str, &str)> = descriptions()
        .iter()
        .map(|one| (one.path, one.method))
        .collect();
    let mut there: Vec<(&str, &str)> = ROUTES.iter().map(|one| (one.path, one.method)).collect();
    there.extend(versions::AT_DOOR.iter().map(|path| (*path, "get")));
    described.sort_unstable();
    there.sort_unstable();
    let missing: Vec<_> = there
        .iter()
        .filter(|one| !described.contains(one))
        .collect();
    assert!(
        missing.is_empty(),
        "routes without a description in api/openapi/: {missing:?}"
    );
    assert_eq!(described, there);
}

#[test]
fn every_action_is_described() {
    use crate::api::v3::volume_actions::ACTIONS;
    let described: Vec<&str> = volume_actions::actions()
        .iter()
        .map(|(name, _)| *name)
        .collect();
    let there: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(described, there, "api/openapi/volume_actions.rs");
}

#[test]
fn every_schema_is_one_and_every_reference_leads_somewhere() {
    for (name, document) in documents() {
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for (schema_name, schema) in schemas {
            assert!(jsonschema::meta::is_valid(schema), "{name}: {schema_name}");
        }
        let text = document.to_string();
        for part in text.split("\"#/components/schemas/").skip(1) {
            let wanted = part.split('"').next().unwrap();
            assert!(schemas.contains_key(wanted), "{name}: no schema {wanted}");
        }
    }
    assert!(jsonschema::meta::is_valid(&text()));
}
