//! What lies in a backup store of plain files (`kind = "fake"`): an image and a description for each backup.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use serde_json::{Value, json};

use crate::{Result, pool};

/// The ids of the backups that are whole.
pub fn ids(store: &Path) -> Result<BTreeSet<String>> {
    let names = pool::names(store)?;
    let whole = names.iter().filter(|name| name.ends_with(".json"));
    Ok(whole.filter_map(|name| pool::id_in(name)).collect())
}

/// Lays a backup of an empty volume of 1 GiB into the store, as a daemon whose record is lost left it for a project; the
/// answer is its exported record, as `POST /backups/import_record` takes it.
pub fn lay(store: &Path, id: &str, project: &str) -> Result<Value> {
    let volume = json!({"id": "11111111-0000-4000-8000-000000000001", "name": "lost", "description": null, "size_gib": 1,
        "volume_type": "__DEFAULT__", "availability_zone": "nova", "bootable": false, "metadata": {}, "image_metadata": {}});
    let description = json!({"id": id, "project_id": project, "user_id": "u", "name": "laid", "description": null,
        "metadata": {}, "created_at": "2026-01-01T00:00:00.000000", "data_timestamp": "2026-01-01T00:00:00.000000",
        "parent_id": null, "snapshot_id": null, "volume": volume});
    fs::create_dir_all(store)?;
    File::create(store.join(format!("{id}.img")))?.set_len(1 << 30)?;
    let stored = json!({"objects": 1, "data_bytes": 0, "read_bytes": 0, "added_bytes": 0});
    let kept = json!({"description": description, "stored": stored});
    fs::write(store.join(format!("{id}.json")), kept.to_string())?;
    let record = json!({"store": "nas", "backup": description}).to_string();
    Ok(
        json!({"backup-record": {"backup_service": "ashlar", "backup_url": base64(record.as_bytes())}}),
    )
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let bits = part
            .iter()
            .fold(0, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - part.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > part.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
