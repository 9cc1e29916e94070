//! Volume types: list, show, create, update, delete.

use crate::api::Api;
use crate::api::body::{Object, boolean_of, only};
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, accepted_empty, ok};
use crate::api::filter::{Kind, Rule};
use crate::api::page::{self, Listing, Wanted};
use crate::model::caller::{Caller, Role};
use crate::model::volume_type::VolumeType;
use crate::ops::{type_access, volume_types};
use crate::store;
use crate::store::list::Filter;
use axum::extract::State;
use serde_json::{Map, Value, json};

/// The noun in Cinder's words.
pub(super) const NOUN: &str = "Volume type";

/// The extra specs that everybody may see; the others tell of the administrator's backends.
pub(super) const VISIBLE_SPECS: &[&str] = &[
    "multiattach",
    "RESKEY:availability_zones",
    "replication_enabled",
];

/// What types can be listed by; `is_public` is read by itself.
pub(in crate::api) const LISTING: Listing = Listing {
    sort: &[
        ("id", "id"),
        ("name", "name"),
        ("is_public", "is_public"),
        ("created_at", "created_at"),
        ("updated_at", "updated_at"),
    ],
    filters: &[
        Rule {
            wire: "is_public",
            column: "id",
            kind: Kind::Ignored,
            since: 0,
            for_admins: false,
        },
        Rule {
            wire: "extra_specs",
            column: "extra_specs",
            kind: Kind::Pairs,
            since: 52,
            for_admins: false,
        },
        Rule {
            wire: "name",
            column: "name",
            kind: Kind::Text,
            since: 0,
            for_admins: true,
        },
        Rule {
            wire: "description",
            column: "description",
            kind: Kind::Text,
            since: 0,
            for_admins: true,
        },
    ],
    of_projects: false,
    strict_from: 52,
};

/// `POST /types`.
fn create_request(body: &Map<String, Value>) -> Result<volume_types::NewType, Fault> {
    only(body, &["volume_type"])?;
    let said = Object::within(body, "volume_type")?;
    said.only(&[
        "name",
        "description",
        "extra_specs",
        "os-volume-type-access:is_public",
    ])?;
    Ok(volume_types::NewType {
        name: said.required_text("name")?,
        description: said.text("description")?,
        is_public: said
            .boolean("os-volume-type-access:is_public")?
            .unwrap_or(true),
        extra_specs: said.pairs("extra_specs")?.unwrap_or_default(),
    })
}

/// `PUT /types/{id}`.
fn update_request(body: &Map<String, Value>) -> Result<volume_types::Change, Fault> {
    only(body, &["volume_type"])?;
    let said = Object::within(body, "volume_type")?;
    said.only(&["name", "description", "is_public"])?;
    let change = volume_types::Change {
        name: said.text("name")?,
        description: said.text("description")?,
        is_public: said.boolean("is_public")?,
    };
    if change.name.as_deref() == Some("") {
        return Err(Fault::bad_request("Volume type name can not be empty."));
    }
    if change == volume_types::Change::default() {
        return Err(Fault::bad_request(
            "Specify volume type name, description, is_public or a combination thereof.",
        ));
    }
    Ok(change)
}

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    let mut wanted = LISTING.read(&call)?;
    restrict(&call, &mut wanted)?;
    let found = if wanted.nothing {
        Vec::new()
    } else {
        let listed = store::volume_types::list(&api.ctx.store, &wanted.request).await;
        listed.map_err(|error| page::fault(NOUN, error))?
    };
    let types: Vec<Value> = found.iter().map(|one| view(&call.caller, one)).collect();
    let body = page::body(&call, &wanted, "volume_types", "types", types, None);
    // Cinder's spelling, in the singular.
    Ok(ok(&body.with_links("volume_type_links")))
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let found = volume_types::visible(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    Ok(ok(&json!({"volume_type": view(&call.caller, &found)})))
}

pub(in crate::api) async fn show_default(State(api): State<Api>, call: Call) -> Answer {
    let found = type_access::default_type(&api.ctx, &call.caller).await?;
    Ok(ok(&json!({"volume_type": view(&call.caller, &found)})))
}

pub(in crate::api) async fn create(State(api): State<Api>, call: Call) -> Answer {
    let request = create_request(&call.json()?)?;
    let made = volume_types::create(&api.ctx, &call.caller, request).await?;
    Ok(ok(&json!({"volume_type": view(&call.caller, &made)})))
}

pub(in crate::api) async fn update(State(api): State<Api>, call: Call) -> Answer {
    let change = update_request(&call.json()?)?;
    let changed = volume_types::update(&api.ctx, &call.caller, call.id(NOUN)?, change).await?;
    Ok(ok(&json!({"volume_type": view(&call.caller, &changed)})))
}

pub(in crate::api) async fn delete(State(api): State<Api>, call: Call) -> Answer {
    volume_types::delete(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    Ok(accepted_empty())
}

/// Public types and those that the project has access to, unless an administrator asks for private ones
/// (`is_public=False`) or for all (`None`).
fn restrict(call: &Call, wanted: &mut Wanted) -> Result<(), Fault> {
    let asked = call
        .parameter("is_public")
        .filter(|_| call.caller.role == Role::Admin);
    let public = match asked {
        None => Some(true),
        Some(word) if word.eq_ignore_ascii_case("none") => None,
        Some(word) => Some(boolean_of(word).ok_or_else(|| {
            Fault::bad_request(format!("Invalid is_public filter [{}]", shown(word)))
        })?),
    };
    wanted.request.filters.extend(match public {
        None => None,
        Some(true) => Some(store::volume_types::open_to(&call.caller.project_id)),
        Some(false) => Some(Filter::equal("is_public", 0)),
    });
    // A filter by specs that the caller may not see would tell their values.
    let hidden = |key: &str| {
        !VISIBLE_SPECS
            .iter()
            .any(|visible| key.starts_with(&format!("\"{visible}\":")))
    };
    let asks_hidden = wanted.request.filters.iter().any(|filter| {
        filter.column == "extra_specs"
            && filter
                .values
                .iter()
                .any(|value| matches!(value, store::Value::Text(text) if hidden(text)))
    });
    wanted.nothing |= asks_hidden && call.caller.role != Role::Admin;
    Ok(())
}

pub(super) fn view(caller: &Caller, one: &VolumeType) -> Value {
    let is_admin = caller.role == Role::Admin;
    let mut view = json!({
        "id": one.id.to_string(),
        "name": one.name,
        "is_public": one.is_public,
        "description": one.description,
        "extra_specs": specs(caller, one),
        "os-volume-type-access:is_public": one.is_public,
    });
    if is_admin {
        view["qos_specs_id"] = json!(one.qos_specs_id.map(|id| id.to_string()));
    }
    view
}

/// The extra specs that the caller may see.
pub(super) fn specs(caller: &Caller, one: &VolumeType) -> Value {
    let visible = |key: &str| caller.role == Role::Admin || VISIBLE_SPECS.contains(&key);
    let specs = one.extra_specs.iter().filter(|(key, _)| visible(key));
    specs
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect::<Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{self, Asks};
    use crate::model::id::VolumeTypeId;
    use crate::model::time::Time;

    #[test]
    fn hidden_specs_stay_hidden() {
        let one = VolumeType {
            id: VolumeTypeId::random(),
            name: "n".to_owned(),
            description: None,
            is_public: true,
            extra_specs: [
                ("multiattach", "<is> True"),
                ("volume_backend_name", "secret"),
            ]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
            qos_specs_id: None,
            encryption: None,
            created_at: Time::now(),
            updated_at: None,
        };
        let seen = |admin| {
            view(
                &testing::call(&Asks {
                    admin,
                    ..Asks::default()
                })
                .caller,
                &one,
            )
        };
        assert_eq!(
            seen(false)["extra_specs"],
            json!({"multiattach": "<is> True"})
        );
        assert_eq!(seen(true)["extra_specs"]["volume_backend_name"], "secret");
        assert!(seen(false).get("qos_specs_id").is_none());
        let asks = |query, admin| {
            let call = testing::call(&Asks {
                query,
                minor: 52,
                admin,
                ..Asks::default()
            });
            let mut wanted = LISTING.read(&call).unwrap();
            restrict(&call, &mut wanted).unwrap();
            wanted.nothing
        };
        assert!(asks("extra_specs={'volume_backend_name':'secret'}", false));
        assert!(!asks("extra_specs={'volume_backend_name':'secret'}", true));
        assert!(!asks("extra_specs={'multiattach':'<is> True'}", false));
    }

    #[test]
    fn which_are_public() {
        let filters = |query, admin| {
            let call = testing::call(&Asks {
                query,
                admin,
                ..Asks::default()
            });
            let mut wanted = LISTING.read(&call).unwrap();
            restrict(&call, &mut wanted)
                .map(|()| wanted.request.filters)
                .map_err(|fault| fault.code())
        };
        let open = || Ok(vec![store::volume_types::open_to("p")]);
        assert_eq!(filters("", true), open());
        assert_eq!(filters("is_public=None", true), Ok(vec![]));
        assert_eq!(filters("is_public=None", false), open());
        let private = vec![Filter::equal("is_public", 0)];
        assert_eq!(filters("is_public=false", true), Ok(private));
        assert_eq!(filters("is_public=x", true), Err(400));
    }

    #[test]
    fn wrong_requests() {
        let create = |body: Value| create_request(body.as_object().unwrap()).is_err();
        assert!(create(json!({"volume_type": {}})));
        assert!(create(json!({"volume_type": {"name": ""}})));
        assert!(create(json!({"volume_type": {"name": "n", "x": 1}})));
        assert!(create(
            json!({"volume_type": {"name": "n", "extra_specs": {"k": 1}}})
        ));
        assert!(!create(json!({"volume_type": {"name": "n"}})));
        let update = |body: Value| update_request(body.as_object().unwrap()).is_err();
        assert!(update(json!({"volume_type": {}})));
        assert!(update(json!({"volume_type": {"name": " "}})));
        assert!(!update(json!({"volume_type": {"is_public": "no"}})));
    }
}
