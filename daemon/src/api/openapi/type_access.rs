//! Who may use a private volume type, default types of projects, and what a type says of encryption.

use super::describe::{Described, delete, get, post, put};
use super::schema::{
    any_of, exactly, field, integer, list, named, null, object, one_of, or_null, said_text, text,
    time, uuid, wrapped,
};
use crate::model::volume_type::ControlLocation;
use serde_json::{Value, json};

const TYPE: &str = "/v3/types/{id}/encryption";
const ONE: &str = "/v3/types/{id}/encryption/{key}";
const DEFAULT: &str = "/v3/default-types/{id}";

pub(super) fn routes() -> Vec<Described> {
    let mut all = encryption();
    all.extend(access());
    all
}

fn encryption() -> Vec<Described> {
    vec![
        get(
            TYPE,
            "What a type says of encryption; nothing, if it does not.",
        )
        .answers(200, any_of([object([]), named("TypeEncryption")]))
        .refuses(&[403]),
        post(
            TYPE,
            "Says how a type's volumes are encrypted; there can be none then.",
        )
        .body(wrapped("encryption", said_encryption(true)))
        .answers(
            200,
            wrapped("encryption", object(brief().into_iter().chain(ids()))),
        ),
        get(ONE, "One word of it.")
            .answers(200, json!({"type": "object", "maxProperties": 1}))
            .refuses(&[403]),
        put(
            ONE,
            "Changes it. The last part of the path may be anything.",
        )
        .body(wrapped("encryption", said_encryption(false)))
        .answers(200, wrapped("encryption", said_encryption(false)))
        .refuses(&[409]),
        delete(
            ONE,
            "Takes it away. The last part of the path may be anything.",
        )
        .answers_nothing(202),
    ]
}

fn access() -> Vec<Described> {
    let action = |name| wrapped(name, wrapped("project", project()));
    let default = || wrapped("default_type", named("DefaultType"));
    let defaults = || wrapped("default_types", list(&named("DefaultType")));
    vec![
        get(
            "/v3/types/{id}/os-volume-type-access",
            "The projects that may use a private type.",
        )
        .answers(
            200,
            wrapped("volume_type_access", list(&named("DefaultType"))),
        )
        .refuses(&[403]),
        post(
            "/v3/types/{id}/action",
            "Gives a project access to a private type, or takes it away.",
        )
        .body(any_of([
            action("addProjectAccess"),
            action("removeProjectAccess"),
        ]))
        .answers_nothing(202)
        .refuses(&[409]),
        get("/v3/default-types", "Every project's default type.")
            .answers(200, defaults())
            .refuses(&[403]),
        get("/v3/default-types/", "The same, as older clients spell it.")
            .answers(200, defaults())
            .refuses(&[403]),
        get(DEFAULT, "A project's default type.")
            .variable("id", project())
            .answers(200, default())
            .refuses(&[403]),
        put(DEFAULT, "Sets a project's default type, by id or name.")
            .variable("id", project())
            .body(wrapped("default_type", wrapped("volume_type", word())))
            .answers(200, default()),
        delete(
            DEFAULT,
            "Leaves a project without a default type of its own.",
        )
        .variable("id", project())
        .answers_nothing(204),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let stamps = [
        field("created_at", time()),
        field("updated_at", or_null(time())),
        field("deleted", exactly(false)),
        field("deleted_at", null()),
    ];
    vec![
        (
            "TypeEncryption",
            object(brief().into_iter().chain(ids()).chain(stamps)),
        ),
        (
            "DefaultType",
            object([field("project_id", text()), field("volume_type_id", uuid())]),
        ),
    ]
}

fn brief() -> [super::schema::Field; 4] {
    [
        field("provider", text()),
        field("control_location", one_of(ControlLocation::WORDS)),
        field("cipher", or_null(text())),
        field("key_size", or_null(integer())),
    ]
}

fn ids() -> [super::schema::Field; 2] {
    [
        field("volume_type_id", uuid()),
        field("encryption_id", uuid()),
    ]
}

/// Keys beyond these are passed over, as in Cinder.
fn said_encryption(is_whole: bool) -> Value {
    let required: &[&str] = if is_whole {
        &["provider", "control_location"]
    } else {
        &[]
    };
    let key_size = any_of([
        json!({"type": ["integer", "null"], "minimum": 0, "maximum": i32::MAX}),
        json!({"type": "string", "pattern": "^[0-9]{1,9}$"}),
    ]);
    let provider = if is_whole {
        said_text()
    } else {
        or_null(said_text())
    };
    json!({
        "type": "object", "required": required, "properties": {
            "provider": provider,
            "control_location": one_of(ControlLocation::WORDS),
            "cipher": or_null(said_text()),
            "key_size": key_size,
        },
    })
}

fn project() -> Value {
    json!({"type": "string", "pattern": "^[a-zA-Z0-9\\-_]{1,64}$"})
}

fn word() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^\\u0000]*$"})
}
