//! What a backup's metadata says of the volume: JSON within JSON, of which Cinder's metadata service is the author.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// More text is not looked at: it would be no description of a volume.
const LEN_MAX: usize = 1 << 20;
/// A name or value; Cinder's limit for both.
const TEXT_CHARS_MAX: usize = 255;

/// The volume as it was. All of it may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct VolumeMeta {
    pub(super) size_gib: Option<u64>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) project_id: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) availability_zone: Option<String>,
    pub(super) bootable: bool,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) image_metadata: BTreeMap<String, String>,
}

impl VolumeMeta {
    /// Reads what stands under `volume_meta`; the error says what is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.len() > LEN_MAX {
            return Err(format!("volume_meta has {} bytes", text.len()));
        }
        let form = serde_json::from_str::<Form>(text);
        let form = form.map_err(|error| cut(format!("volume_meta: {error}")))?;
        let base = form.base;
        Ok(Self {
            size_gib: base.size,
            name: base.display_name.map(cut),
            description: base.display_description.map(cut),
            project_id: base.project_id.map(cut),
            user_id: base.user_id.map(cut),
            availability_zone: base.availability_zone.map(cut),
            // A volume that has image metadata was made of an image.
            bootable: base.bootable == Some(Value::Bool(true)) || !form.image.is_empty(),
            metadata: texts(form.metadata),
            image_metadata: texts(form.image),
        })
    }
}

#[derive(Deserialize)]
struct Form {
    #[serde(rename = "volume-base-metadata", default)]
    base: Base,
    #[serde(rename = "volume-metadata", default)]
    metadata: BTreeMap<String, Value>,
    #[serde(rename = "volume-glance-metadata", default)]
    image: BTreeMap<String, Value>,
}

/// The volume's row, of which the rest is nobody's concern here.
#[derive(Default, Deserialize)]
struct Base {
    size: Option<u64>,
    display_name: Option<String>,
    display_description: Option<String>,
    project_id: Option<String>,
    user_id: Option<String>,
    availability_zone: Option<String>,
    bootable: Option<Value>,
}

/// Cinder keeps texts; what a hand made of them is shown as it stands.
fn texts(pairs: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let text = |value: Value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    let pairs = pairs.into_iter();
    pairs
        .map(|(key, value)| (cut(key), cut(text(value))))
        .collect()
}

/// As much of a text as Cinder keeps.
pub(super) fn cut(text: String) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cinder_says_of_a_volume() {
        let text = r#"{"version": 2, "volume-base-metadata": {"id": "x", "size": 3, "display_name": "root",
            "display_description": null, "project_id": "p", "user_id": "u", "availability_zone": "nova", "bootable": true,
            "provider_auth": "CHAP a b"}, "volume-metadata": {"k": "v", "n": 5}, "volume-glance-metadata": {"os": "debian"}}"#;
        let told = VolumeMeta::read(text).unwrap();
        assert_eq!((told.size_gib, told.bootable), (Some(3), true));
        assert_eq!(
            (told.name.as_deref(), told.description),
            (Some("root"), None)
        );
        assert_eq!(
            (told.project_id.as_deref(), told.user_id.as_deref()),
            (Some("p"), Some("u"))
        );
        assert_eq!(told.metadata["n"], "5");
        assert_eq!(told.image_metadata["os"], "debian");
        assert_eq!(VolumeMeta::read("{}"), Ok(VolumeMeta::default()));
        assert!(VolumeMeta::read("7").is_err() && VolumeMeta::read("").is_err());
        assert!(VolumeMeta::read(&" ".repeat(LEN_MAX + 1)).is_err());
        let long = cut("ä".repeat(300));
        assert_eq!(long.chars().count(), TEXT_CHARS_MAX);
    }
}
