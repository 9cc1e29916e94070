//! What a volume knows of the image that it carries: three actions, none of which reaches an image service.

use crate::api::Api;
use crate::api::body::Object;
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, ok, ok_empty};
use crate::error::Error;
use crate::model::id::VolumeId;
use crate::ops::set_metadata::{self, Owner, Pairs};
use serde_json::{Map, Value, json};

/// `os-set_image_metadata`.
fn set_request(said: &Object<'_>) -> Result<Pairs, Fault> {
    said.only(&["metadata"])?;
    said.pairs("metadata")?
        .ok_or_else(|| Fault::bad_request("'metadata' is a required property"))
}

/// `os-unset_image_metadata`.
fn unset_request(said: &Object<'_>) -> Result<String, Fault> {
    said.only(&["key"])?;
    said.required_text("key")
}

pub(super) async fn act(
    api: &Api,
    call: &Call,
    id: VolumeId,
    name: &str,
    body: &Map<String, Value>,
) -> Answer {
    let (ctx, caller, owner) = (&api.ctx, &call.caller, Owner::Image(id));
    match name {
        "os-set_image_metadata" => {
            let added = set_request(&Object::within(body, name)?)?;
            let change = |mut pairs: Pairs| {
                pairs.extend(added.clone());
                Ok(pairs)
            };
            let pairs = set_metadata::begin(ctx, caller, owner, change).await?;
            Ok(ok(&json!({"metadata": pairs})))
        }
        "os-unset_image_metadata" => {
            let key = unset_request(&Object::within(body, name)?)?;
            let change = |mut pairs: Pairs| match pairs.remove(&key) {
                Some(_) => Ok(pairs),
                None => Err(Error::NoSuchPart {
                    why: format!("Glance metadata for volume/snapshot {id} cannot be found."),
                }),
            };
            set_metadata::begin(ctx, caller, owner, change).await?;
            Ok(ok_empty())
        }
        _ => {
            let pairs = set_metadata::get(ctx, caller, owner).await?;
            Ok(ok(&json!({"metadata": pairs})))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        let set = |said: Value| {
            let body = json!({"x": said});
            let object = Object::within(body.as_object().unwrap(), "x").unwrap();
            (set_request(&object).is_ok(), unset_request(&object).is_ok())
        };
        assert_eq!(set(json!({"metadata": {"a": "b"}})), (true, false));
        assert_eq!(set(json!({"key": "a"})), (false, true));
        for bad in [
            json!({}),
            json!({"metadata": null}),
            json!({"metadata": {"a": 1}}),
            json!({"metadata": {"\u{e4}": "b"}}),
            json!({"key": ""}),
            json!({"key": null}),
            json!({"key": "a", "metadata": {}}),
        ] {
            assert_eq!(set(bad.clone()), (false, false), "{bad}");
        }
    }
}
