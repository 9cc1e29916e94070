//! Quality of service specs.

use super::describe::{Described, delete, get, post, put};
use super::schema::{field, links, list, named, object, one_of, pairs, text, uuid, wrapped};
use crate::api::v3::qos_specs::LISTING;
use crate::model::qos::Consumer;
use crate::ops::qos_specs::SPECS_MAX;
use serde_json::{Value, json};

const ALL: &str = "/v3/qos-specs";
const ONE: &str = "/v3/qos-specs/{id}";

pub(super) fn routes() -> Vec<Described> {
    let says = "The volume type.";
    vec![
        get(ALL, "Lists QoS specs.")
            .lists(&LISTING, false)
            .answers(200, named("QosSpecsPage"))
            .refuses(&[403]),
        post(
            ALL,
            "Creates QoS specs: a name, a consumer, and limits beside them.",
        )
        .body(wrapped("qos_specs", said(&["name"])))
        .answers(200, named("QosSpecsLinked"))
        .refuses(&[409]),
        get(ONE, "Shows QoS specs.")
            .answers(200, named("QosSpecsLinked"))
            .refuses(&[403]),
        put(ONE, "Adds or changes limits, or the consumer.")
            .body(wrapped("qos_specs", said(&[])))
            .answers(200, wrapped("qos_specs", pairs()))
            .refuses(&[409]),
        delete(ONE, "Deletes QoS specs.")
            .query(
                "force",
                one_of(&["true", "false"]),
                "Also when types have them.",
            )
            .answers_nothing(202),
        put(
            "/v3/qos-specs/{id}/delete_keys",
            "Takes limits away, all or none.",
        )
        .body(wrapped("keys", keys()))
        .answers_nothing(202)
        .refuses(&[409]),
        get(
            "/v3/qos-specs/{id}/associations",
            "The types that have them.",
        )
        .answers(
            200,
            wrapped("qos_associations", list(&named("QosAssociation"))),
        )
        .refuses(&[403]),
        get("/v3/qos-specs/{id}/associate", "Gives them to a type.")
            .query("vol_type_id", uuid(), says)
            .answers_nothing(202)
            .refuses(&[403]),
        get("/v3/qos-specs/{id}/disassociate", "Takes them from a type.")
            .query("vol_type_id", uuid(), says)
            .answers_nothing(202)
            .refuses(&[403]),
        get(
            "/v3/qos-specs/{id}/disassociate_all",
            "Takes them from every type.",
        )
        .answers_nothing(202)
        .refuses(&[403]),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let one = object([
        field("id", uuid()),
        field("name", text()),
        field("consumer", one_of(Consumer::WORDS)),
        field("specs", pairs()),
    ]);
    let linked = object([
        field("qos_specs", named("QosSpecs")),
        field("links", links()),
    ]);
    let page = object([
        field("qos_specs", list(&named("QosSpecs"))),
        field("qos_specs_links", links()).optional(),
    ]);
    let association = object([
        field("association_type", one_of(&["volume_type"])),
        field("name", text()),
        field("id", uuid()),
    ]);
    vec![
        ("QosSpecs", one),
        ("QosSpecsLinked", linked),
        ("QosSpecsPage", page),
        ("QosAssociation", association),
    ]
}

fn said(required: &[&str]) -> Value {
    let word =
        json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^\\u0000]*$"});
    json!({
        "type": "object", "required": required, "maxProperties": SPECS_MAX,
        "properties": {"name": word, "consumer": one_of(Consumer::WORDS)},
        "propertyNames": {"pattern": "^[a-zA-Z0-9\\-_:. /]{1,255}$"},
        "additionalProperties": super::schema::said_text(),
    })
}

fn keys() -> Value {
    json!({
        "type": "array", "uniqueItems": true, "maxItems": SPECS_MAX,
        "items": {"type": "string", "pattern": "^[a-zA-Z0-9\\-_:. /]{1,255}$"},
    })
}
