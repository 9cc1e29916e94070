//! How nouns of the model are written into descriptions; the model itself knows no form.

use crate::model::backup::{Depth, DescribedVolume};
use crate::model::id::BackupId;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

impl Serialize for BackupId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BackupId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Depth {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Depth {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = String::deserialize(from)?;
        Depth::parse(&word).ok_or_else(|| D::Error::custom("no depth of a look"))
    }
}

/// The fields of a described volume; the compiler holds them to the noun's.
#[derive(Serialize, Deserialize)]
#[serde(remote = "DescribedVolume")]
struct Form {
    id: String,
    name: Option<String>,
    description: Option<String>,
    size_gib: u64,
    volume_type: String,
    availability_zone: String,
    bootable: bool,
    metadata: BTreeMap<String, String>,
    image_metadata: BTreeMap<String, String>,
}

impl Serialize for DescribedVolume {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Form::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for DescribedVolume {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Form::deserialize(from)
    }
}
