//! What a backup says in its metadata file: JSON that Cinder's chunked driver wrote.

use super::files::{Found, object_name};
use super::volume_meta::cut;
use crate::model::id::{BackupId, VolumeId};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::io::{self, Read};

/// As much as a million objects need.
const LEN_MAX: u64 = 256 << 20;
/// Objects of one backup. An incremental one has an object for each run of changed chunks.
const OBJECTS_MAX: usize = 1 << 20;
/// The only form there ever was.
const VERSION: &str = "1.0.0";

/// How an object is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Compression {
    None,
    /// Also what is called `gzip`: Cinder writes zlib's form for both.
    Zlib,
    Bzip2,
    Zstd,
}

impl TryFrom<String> for Compression {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        match word.to_lowercase().as_str() {
            "none" | "off" | "no" => Ok(Self::None),
            "zlib" | "gzip" => Ok(Self::Zlib),
            "bz2" | "bzip2" => Ok(Self::Bzip2),
            "zstd" => Ok(Self::Zstd),
            _ => Err(format!("unknown compression {word:?}")),
        }
    }
}

/// The hash of an object's bytes, as they are in the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Md5(pub(super) [u8; 16]);

impl TryFrom<String> for Md5 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let hash = super::hashes::bytes_of(text.as_bytes());
        hash.map(Self).ok_or_else(|| format!("no md5: {text:?}"))
    }
}

/// A part of the volume, in a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Object {
    /// Names its file.
    pub(super) number: u32,
    /// Where it begins in the volume.
    pub(super) offset: u64,
    /// How much of the volume it is.
    pub(super) len_bytes: u64,
    pub(super) compression: Compression,
    pub(super) md5: Md5,
}

impl Object {
    /// The first byte of the volume after it; cannot overflow in what was read by [`Metadata::read`].
    pub(super) fn end(&self) -> u64 {
        self.offset + self.len_bytes
    }
}

/// What a backup says of itself. Its objects do not overlap and stand in the volume's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) created_at: Option<String>,
    pub(super) parent_id: Option<BackupId>,
    pub(super) volume_meta: Option<String>,
    pub(super) objects: Vec<Object>,
}

impl Metadata {
    /// Reads the metadata of `found`; the error says what is wrong with it.
    pub(super) fn read(input: impl Read, found: &Found) -> io::Result<Self> {
        let input = io::BufReader::new(input.take(LEN_MAX));
        let read = serde_json::from_reader(input).map_err(io::Error::from);
        let checked = read.and_then(|form| Self::of(form, found).map_err(io::Error::other));
        checked.map_err(|error| match error.raw_os_error() {
            Some(_) => error,
            // It may quote a text without end.
            None => io::Error::other(cut(error.to_string())),
        })
    }

    fn of(form: Form, found: &Found) -> Result<Self, String> {
        if form.version != VERSION {
            return Err(format!(
                "it is of version {:?}, not {VERSION}",
                form.version
            ));
        }
        if (form.backup_id, form.volume_id) != (found.id, found.volume_id) {
            let (backup, volume) = (form.backup_id, form.volume_id);
            return Err(format!("it is of backup {backup} of volume {volume}"));
        }
        Ok(Self {
            name: form.backup_name,
            description: form.backup_description,
            created_at: form.created_at,
            parent_id: form.parent_id,
            volume_meta: form.volume_meta,
            objects: checked(form.objects, &found.prefix)?,
        })
    }

    /// The first byte of the volume that no object reaches.
    pub(super) fn end(&self) -> u64 {
        self.objects.last().map_or(0, Object::end)
    }
}

/// The objects, if their names are those of this backup's files, and their places those of parts of one volume.
fn checked(listed: Objects, prefix: &str) -> Result<Vec<Object>, String> {
    let mut end = 0;
    let mut objects = Vec::with_capacity(listed.0.len());
    for (name, form) in listed.0 {
        let number = name.rsplit('-').next().and_then(|text| text.parse().ok());
        let number = number.filter(|number| object_name(prefix, *number) == name);
        let number = number.ok_or_else(|| format!("no object of it is called {name:?}"))?;
        let object_end = form.offset.checked_add(form.length);
        let object_end = object_end.filter(|_| form.offset >= end && form.length > 0);
        end = object_end.ok_or_else(|| {
            let (offset, len_bytes) = (form.offset, form.length);
            format!("object {number} cannot be at byte {offset} with {len_bytes} bytes: what stands before it ends at {end}")
        })?;
        objects.push(Object {
            number,
            offset: form.offset,
            len_bytes: form.length,
            compression: form.compression,
            md5: form.md5,
        });
    }
    let mut numbers: Vec<u32> = objects.iter().map(|object| object.number).collect();
    numbers.sort_unstable();
    let twice = numbers.windows(2).find(|pair| pair.first() == pair.last());
    match twice.and_then(|pair| pair.first()) {
        Some(number) => Err(format!("object {number} is there twice")),
        None => Ok(objects),
    }
}

#[derive(Deserialize)]
struct Form {
    version: String,
    #[serde(deserialize_with = "id")]
    backup_id: BackupId,
    #[serde(deserialize_with = "id")]
    volume_id: VolumeId,
    backup_name: Option<String>,
    backup_description: Option<String>,
    created_at: Option<String>,
    parent_id: Option<BackupId>,
    volume_meta: Option<String>,
    objects: Objects,
}

fn id<'de, D: Deserializer<'de>, T: std::str::FromStr>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    let id = text.parse();
    id.map_err(|_| D::Error::custom(format!("no id: {text:?}")))
}

#[derive(Deserialize)]
struct ObjectForm {
    offset: u64,
    length: u64,
    compression: Compression,
    md5: Md5,
}

/// A list of maps with one entry each, a name and its object.
struct Objects(Vec<(String, ObjectForm)>);

impl<'de> Deserialize<'de> for Objects {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Objects;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of objects")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Objects, A::Error> {
                let mut objects = Vec::new();
                while let Some(Named(name, object)) = list.next_element()? {
                    if objects.len() == OBJECTS_MAX {
                        return Err(A::Error::custom(format!("more than {OBJECTS_MAX} objects")));
                    }
                    objects.push((name, object));
                }
                Ok(Objects(objects))
            }
        }
        from.deserialize_seq(List)
    }
}

struct Named(String, ObjectForm);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Named;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one name with its object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named, A::Error> {
                let entry = map.next_entry()?;
                let (name, object) =
                    entry.ok_or_else(|| A::Error::custom("an object without a name"))?;
                match map.next_key::<String>()? {
                    Some(_) => Err(A::Error::custom("two names for one object")),
                    None => Ok(Named(name, object)),
                }
            }
        }
        from.deserialize_map(One)
    }
}
