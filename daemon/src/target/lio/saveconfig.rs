//! `saveconfig.json`: what targetcli shows as saved, and what `targetctl restore` makes again at boot.
//!
//! Ours are taken out and put in anew by name; everything else is kept as it was found, also what this version does
//! not know. Written in rtslib's shape (two blanks, sorted keys, mode 0600, since it holds the initiators' secrets)
//! and, unlike rtslib does it, by a rename: a crash leaves the old file or the new one.

use serde_json::{Map, Value, json};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Tens of thousands of objects; a file that is larger is not ours to read.
const LEN_MAX: u64 = 256 << 20;

/// One export's two entries.
pub(super) struct Entries {
    pub(super) storage_object: Value,
    pub(super) target: Value,
}

/// Puts `entries` in place of what the file has under `iqn`, or takes that out. Blocks.
pub(super) fn replace(path: &Path, iqn: &str, entries: Option<Entries>) -> io::Result<()> {
    let before = read(path)?;
    let mut now = before.clone();
    let (object, target) = match entries {
        Some(entries) => (Some(entries.storage_object), Some(entries.target)),
        None => (None, None),
    };
    exchange(&mut now, "storage_objects", "name", iqn, object)?;
    exchange(&mut now, "targets", "wwn", iqn, target)?;
    if now == before {
        return Ok(());
    }
    write(path, &now)
}

fn read(path: &Path) -> io::Result<Map<String, Value>> {
    let unreadable = |why: String| {
        let why = format!(
            "{}: {why}; it was left as it is: mend it, or move it away",
            path.display()
        );
        io::Error::new(io::ErrorKind::InvalidData, why)
    };
    match std::fs::metadata(path) {
        Ok(told) if told.len() > LEN_MAX => {
            return Err(unreadable(format!("{} bytes", told.len())));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let empty = json!({"fabric_modules": [], "storage_objects": [], "targets": []});
            return Ok(empty.as_object().cloned().unwrap_or_default());
        }
        Ok(_) | Err(_) => {}
    }
    let text = std::fs::read_to_string(path)?;
    serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))
}

fn exchange(
    all: &mut Map<String, Value>,
    list: &str,
    key: &str,
    iqn: &str,
    entry: Option<Value>,
) -> io::Result<()> {
    let found = all.entry(list).or_insert_with(|| json!([]));
    let Some(found) = found.as_array_mut() else {
        let why = format!("saveconfig.json: {list} is no list; it was left as it is");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    };
    let is_it = |one: &Value| one.get(key).and_then(Value::as_str) == Some(iqn);
    match (found.iter().position(is_it), entry) {
        (Some(at), Some(entry)) => found.splice(at..=at, [entry]).for_each(drop),
        (Some(at), None) => drop(found.remove(at)),
        (None, Some(entry)) => found.push(entry),
        (None, None) => {}
    }
    Ok(())
}

fn write(path: &Path, all: &Map<String, Value>) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    if !directory.exists() {
        std::fs::create_dir_all(directory)?;
    }
    let beside = path.with_extension("json.ashlar");
    let _ = std::fs::remove_file(&beside);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    let mut text = serde_json::to_string_pretty(all)?;
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    std::fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(dev: &str) -> Option<Entries> {
        Some(Entries {
            storage_object: json!({"name": "iqn.ours", "plugin": "block", "dev": dev}),
            target: json!({"wwn": "iqn.ours", "fabric": "iscsi", "tpgs": []}),
        })
    }

    #[test]
    fn what_is_foreign_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("saveconfig.json");
        let foreign = "{\n  \"fabric_modules\": [\n    {\n      \"name\": \"iscsi\"\n    }\n  ],\n  \"odd\": {\n    \"b\": 1,\n    \"c\": [\n      true\n    ]\n  },\n  \"storage_objects\": [\n    {\n      \"name\": \"disk\"\n    }\n  ],\n  \"targets\": [\n    {\n      \"wwn\": \"iqn.foreign\"\n    }\n  ]\n}\n";
        std::fs::write(&path, foreign).unwrap();
        replace(&path, "iqn.ours", entries("/dev/a")).unwrap();
        replace(&path, "iqn.ours", entries("/dev/b")).unwrap();
        let now: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(now["storage_objects"].as_array().unwrap().len(), 2);
        assert_eq!(now["storage_objects"][1]["dev"], "/dev/b");
        assert_eq!(now["targets"][0]["wwn"], "iqn.foreign");
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&path).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        replace(&path, "iqn.ours", None).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            foreign,
            "byte for byte"
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("saveconfig.json");
        for broken in ["{", "[]", "{\"targets\": 3}"] {
            std::fs::write(&path, broken).unwrap();
            assert!(
                replace(&path, "iqn.ours", entries("/dev/a")).is_err(),
                "{broken}"
            );
            assert_eq!(std::fs::read_to_string(&path).unwrap(), broken);
        }
    }

    #[test]
    fn it_is_made_when_missing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/saveconfig.json");
        replace(&path, "iqn.ours", None).unwrap();
        assert!(!path.exists(), "nothing to say, nothing written");
        replace(&path, "iqn.ours", entries("/dev/a")).unwrap();
        assert!(path.exists());
    }
}
