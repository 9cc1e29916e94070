//! The record of a backup as Cinder exports it: base64 of JSON, the backup's row. What makes its row here is read out of it,
//! and where its files lie is not: the store finds them by the backup's id.

use crate::backup::{DescribedVolume, Description};
use crate::model::id::{BackupId, SnapshotId, VolumeId};
use crate::model::time::Time;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The drivers that write files in the form that a store of the kind `cinder` reads: module, class. Before Rocky Cinder
/// named a driver by its module alone.
const DRIVERS: &[(&str, &str)] = &[
    ("cinder.backup.drivers.posix", "PosixBackupDriver"),
    ("cinder.backup.drivers.nfs", "NFSBackupDriver"),
    ("cinder.backup.drivers.glusterfs", "GlusterfsBackupDriver"),
];

/// Whether `backup_service` is one whose records are read here.
pub(super) fn is_service(service: &str) -> bool {
    DRIVERS.iter().any(|(module, class)| {
        let rest = service.strip_prefix(module);
        rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('.') == Some(class))
    })
}

/// What is wanted of the row; Cinder's record has more.
#[derive(Deserialize)]
struct Row {
    id: Option<BackupId>,
    size: Option<u64>,
    volume_id: Option<String>,
    parent_id: Option<BackupId>,
    snapshot_id: Option<String>,
    display_name: Option<String>,
    display_description: Option<String>,
    data_timestamp: Option<String>,
    created_at: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
}

/// What a record says; the error says what is wrong with it.
pub(super) fn read(text: &str) -> Result<Description, String> {
    let json = STANDARD
        .decode(text.trim())
        .map_err(|error| error.to_string())?;
    let row: Row = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
    let volume_id = row.volume_id.and_then(|id| id.parse::<VolumeId>().ok());
    let snapshot_id = row.snapshot_id.and_then(|id| id.parse::<SnapshotId>().ok());
    let created_at = row.created_at.as_deref().and_then(Time::read);
    let instant = row.data_timestamp.as_deref().and_then(Time::read);
    let created_at = created_at.unwrap_or_else(Time::now);
    let instant = instant.unwrap_or_else(|| created_at.clone());
    Ok(Description {
        id: row.id.ok_or("it has no id")?,
        // Whoever imports it owns it.
        project_id: String::new(),
        user_id: String::new(),
        name: row.display_name,
        description: row.display_description,
        metadata: row.metadata.unwrap_or_default(),
        created_at: created_at.as_str().to_owned(),
        data_timestamp: instant.as_str().to_owned(),
        parent_id: row.parent_id,
        snapshot_id: snapshot_id.map(|id| id.to_string()),
        volume: DescribedVolume {
            id: volume_id.ok_or("it has no volume_id")?.to_string(),
            name: None,
            description: None,
            size_gib: row.size.ok_or("it has no size")?,
            volume_type: String::new(),
            availability_zone: String::new(),
            bootable: false,
            metadata: BTreeMap::new(),
            image_metadata: BTreeMap::new(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn record() -> Value {
        json!({
            "id": "0b000000-0000-4000-8000-000000000002", "size": 2, "volume_id": "0a000000-0000-4000-8000-000000000001",
            "parent_id": null, "snapshot_id": null, "display_name": "nightly", "display_description": null,
            "data_timestamp": "2026-01-02T03:04:05Z", "created_at": "2026-01-02T03:05:00Z", "metadata": {"k": "v"},
            "container": "0b/00/0b000000-0000-4000-8000-000000000002", "service_metadata": "volume_x", "object_count": 3,
            "service": "cinder.backup.drivers.nfs.NFSBackupDriver", "status": "available", "driver_info": {},
        })
    }

    fn text(record: &Value) -> String {
        STANDARD.encode(record.to_string())
    }

    #[test]
    fn records_of_the_drivers_that_write_this_form() {
        for service in [
            "cinder.backup.drivers.posix.PosixBackupDriver",
            "cinder.backup.drivers.nfs.NFSBackupDriver",
            "cinder.backup.drivers.nfs",
            "cinder.backup.drivers.posix",
            "cinder.backup.drivers.glusterfs",
        ] {
            assert!(is_service(service), "{service}");
        }
        for service in [
            "cinder.backup.drivers.ceph.CephBackupDriver",
            "cinder.backup.drivers.nfsx",
            "cinder.backup.drivers.nfs.PosixBackupDriver",
            "ashlar",
            "",
        ] {
            assert!(!is_service(service), "{service}");
        }
    }

    #[test]
    fn what_a_record_says() {
        let told = read(&text(&record())).unwrap();
        assert_eq!(told.id.to_string(), "0b000000-0000-4000-8000-000000000002");
        assert_eq!(
            (told.volume.size_gib, told.name.as_deref()),
            (2, Some("nightly"))
        );
        assert_eq!(told.data_timestamp, "2026-01-02T03:04:05.000000");
        assert_eq!(told.metadata["k"], "v");
        assert_eq!(told.parent_id, None);
        for key in ["id", "size", "volume_id"] {
            let mut less = record();
            less[key] = Value::Null;
            assert!(read(&text(&less)).unwrap_err().contains(key), "{key}");
        }
        let mut odd = record();
        odd["size"] = json!(-1);
        assert!(read(&text(&odd)).is_err());
        assert!(read("***").is_err() && read(&STANDARD.encode("[")).is_err());
    }
}
