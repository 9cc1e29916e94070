//! Writes backups as Cinder's chunked driver does.

use crate::model::id::{BackupId, VolumeId};
use md5::Md5;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// How a backup is to be written.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) compression: &'static str,
    /// Cinder's `backup_file_size`.
    pub(super) object_bytes: usize,
    /// Cinder's `backup_sha_block_size_bytes`.
    pub(super) chunk_bytes: usize,
    pub(super) parent: Option<BackupId>,
    pub(super) has_hashes: bool,
    /// Whether objects of zeros are left out, as Cinder never does.
    pub(super) is_sparse: bool,
    /// What is kept of the volume.
    pub(super) volume_meta: Value,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            compression: "zlib",
            object_bytes: 4096,
            chunk_bytes: 512,
            parent: None,
            has_hashes: true,
            is_sparse: false,
            volume_meta: json!({"version": 2, "volume-base-metadata": {"size": 1}}),
        }
    }
}

/// A directory of backups of one volume.
pub(super) struct Writer {
    top: tempfile::TempDir,
    volume_id: VolumeId,
    hashes: BTreeMap<BackupId, Vec<String>>,
}

impl Writer {
    pub(super) fn new() -> Self {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("store")).unwrap();
        Self {
            top,
            volume_id: VolumeId::random(),
            hashes: BTreeMap::new(),
        }
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.top.path().join("store")
    }

    pub(super) fn store(&self) -> crate::backup::WorkerStore {
        super::store(&self.directory(), &self.top.path().join("state"))
    }

    /// A file of a backup, by what its name ends with.
    pub(super) fn file(&self, id: BackupId, end: &str) -> PathBuf {
        let id = id.to_string();
        let name = format!("volume_{}_20260102030405_backup_{id}{end}", self.volume_id);
        self.container(&id).join(name)
    }

    fn container(&self, id: &str) -> PathBuf {
        self.directory().join(&id[0..2]).join(&id[2..4]).join(id)
    }

    pub(super) fn write(&mut self, content: &[u8], shape: &Shape) -> BackupId {
        let id = BackupId::random();
        fs::create_dir_all(self.container(&id.to_string())).unwrap();
        let hashes: Vec<String> = content.chunks(shape.chunk_bytes).map(sha256).collect();
        let mut objects = Vec::new();
        for (offset, part) in self.parts(content, shape, &hashes) {
            let number = objects.len() + 1;
            let path = self.file(id, &format!("-{number:05}"));
            let (compression, packed) = pack(part, shape.compression);
            fs::write(&path, packed).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let about = json!({
                "offset": offset, "length": part.len(), "compression": compression, "md5": hex(&Md5::digest(part)),
            });
            objects.push(json!({ name: about }));
        }
        let common = |mut value: Value| {
            value["version"] = json!("1.0.0");
            value["backup_id"] = json!(id.to_string());
            value["volume_id"] = json!(self.volume_id.to_string());
            value["backup_name"] = json!("nightly");
            value["backup_description"] = json!("with \"quotes\" and ümlauts");
            value["created_at"] = json!("2026-01-02 03:04:05+00:00");
            value
        };
        if shape.has_hashes {
            let file = common(json!({"chunk_size": shape.chunk_bytes, "sha256s": hashes}));
            write(&self.file(id, "_sha256file"), &file);
        }
        let parent_id = shape.parent.map(|parent| parent.to_string());
        let volume_meta =
            Some(shape.volume_meta.to_string()).filter(|_| !shape.volume_meta.is_null());
        let file = common(json!({
            "objects": objects, "parent_id": parent_id, "volume_meta": volume_meta,
        }));
        write(&self.file(id, "_metadata"), &file);
        self.hashes.insert(id, hashes);
        id
    }

    /// What becomes an object each: all of the volume, or each run of chunks that differ from the parent's.
    fn parts<'a>(
        &self,
        content: &'a [u8],
        shape: &Shape,
        hashes: &[String],
    ) -> Vec<(usize, &'a [u8])> {
        let theirs = shape.parent.map(|parent| &self.hashes[&parent]);
        let mut parts = Vec::new();
        for (index, object) in content.chunks(shape.object_bytes).enumerate() {
            let start = index * shape.object_bytes;
            let Some(theirs) = theirs else {
                if !shape.is_sparse || object.iter().any(|byte| *byte != 0) {
                    parts.push((start, object));
                }
                continue;
            };
            let mut run: Option<usize> = None;
            for at in (start..start + object.len()).step_by(shape.chunk_bytes) {
                let chunk = at / shape.chunk_bytes;
                match (hashes[chunk] != theirs[chunk], run) {
                    (true, None) => run = Some(at),
                    (false, Some(from)) => {
                        parts.push((from, &content[from..at]));
                        run = None;
                    }
                    (true, Some(_)) | (false, None) => {}
                }
            }
            if let Some(from) = run {
                parts.push((from, &content[from..start + object.len()]));
            }
        }
        parts
    }

    /// Changes a JSON file of a backup.
    pub(super) fn edit(&self, id: BackupId, end: &str, change: impl FnOnce(&mut Value)) {
        let path = self.file(id, end);
        let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        write(&path, &value);
    }

    /// Changes what the metadata says of an object, counted from 0.
    pub(super) fn edit_object(&self, id: BackupId, index: usize, change: impl FnOnce(&mut Value)) {
        self.edit(id, "_metadata", |metadata| {
            let entry = metadata["objects"][index].as_object_mut().unwrap();
            change(entry.values_mut().next().unwrap());
        });
    }
}

/// As `json.dumps(value, sort_keys=True, indent=2)`.
fn write(path: &Path, value: &Value) {
    fs::write(path, serde_json::to_vec_pretty(value).unwrap()).unwrap();
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Unless it would become larger.
pub(super) fn pack<'a>(bytes: &[u8], compression: &'a str) -> (&'a str, Vec<u8>) {
    let packed = match compression {
        "zlib" | "gzip" => {
            let mut encoder =
                flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "bz2" | "bzip2" => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => zstd::encode_all(bytes, 3).unwrap(),
        _ => bytes.to_vec(),
    };
    match packed.len() >= bytes.len() {
        true => ("none", bytes.to_vec()),
        false => (compression, packed),
    }
}
