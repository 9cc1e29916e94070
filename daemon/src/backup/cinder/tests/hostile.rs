//! What somebody may write who means harm: nothing is read beside the store, no memory is taken for what is only claimed,
//! and nothing panics.

use super::super::files::Files;
use super::super::hashes::{Hash, Hashes, bytes_of};
use super::super::metadata::Metadata;
use super::writer::{Shape, Writer, pack};
use super::{Target, damage};
use crate::driver::Work;
use crate::model::id::BackupId;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;

fn backup() -> (Writer, BackupId) {
    let mut writer = Writer::new();
    let shape = Shape {
        has_hashes: false,
        ..Shape::default()
    };
    let id = writer.write(&[7; 10_000], &shape);
    (writer, id)
}

/// What a restore says after a change to the metadata; nothing is written.
async fn after(change: impl FnOnce(&mut Value)) -> String {
    let (writer, id) = backup();
    writer.edit(id, "_metadata", change);
    let target = Target::used();
    let why = damage(&target.restore(&writer.store(), id).await);
    assert!(target.is_untouched(), "{why}");
    why
}

fn renamed(name: &str) -> impl FnOnce(&mut Value) {
    move |metadata| {
        let about =
            json!({"offset": 0, "length": 10, "compression": "none", "md5": "0".repeat(32)});
        metadata["objects"] = json!([{ name: about }]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_elsewhere() {
    for name in ["/etc/passwd", "../../secret-00001", "x-00001", "", "-00001"] {
        let why = after(renamed(name)).await;
        assert!(why.contains("no object of it is called"), "{name}: {why}");
    }
    let (writer, id) = backup();
    let secret = writer.directory().join("secret");
    fs::write(&secret, [7; 4096]).unwrap();
    let object = writer.file(id, "-00001");
    fs::remove_file(&object).unwrap();
    std::os::unix::fs::symlink(&secret, &object).unwrap();
    let target = Target::used();
    let answer = target.restore(&writer.store(), id).await;
    assert!(answer.unwrap_err().to_string().contains("regular file"));
    assert!(target.is_untouched());
}

#[tokio::test(flavor = "multi_thread")]
async fn places_that_no_part_of_a_volume_has() {
    let places = [
        (json!(-1), json!(10)),
        (json!(0), json!(-10)),
        (json!(0), json!(0)),
        (json!(u64::MAX), json!(10)),
        (json!(0), json!(u64::MAX)),
        (json!(1u64 << 30), json!(1)),
        (json!(0.5), json!(10)),
        (json!("0"), json!(10)),
        (json!(0), json!(4097)),
    ];
    for (offset, length) in places {
        let why = after(|metadata| {
            let entry = metadata["objects"][0].as_object_mut().unwrap();
            let object = entry.values_mut().next().unwrap();
            object["offset"] = offset.clone();
            object["length"] = length.clone();
            let objects = metadata["objects"].as_array_mut().unwrap();
            // What is beyond the volume is so by itself.
            objects.truncate(if offset == json!(1u64 << 30) { 1 } else { 3 });
        });
        let why = why.await;
        assert!(!why.is_empty(), "{offset} {length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_no_known_form() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 7] = [
        ("version", |metadata| metadata["version"] = json!("2.0.0")),
        ("backup", |metadata| {
            metadata["backup_id"] = json!(BackupId::random().to_string())
        }),
        ("objects", |metadata| metadata["objects"] = Value::Null),
        ("twice", |metadata| {
            let mut first = metadata["objects"][0].clone();
            first.as_object_mut().unwrap().values_mut().next().unwrap()["offset"] = json!(100_000);
            metadata["objects"].as_array_mut().unwrap().push(first);
        }),
        ("compression", |metadata| {
            let entry = metadata["objects"][0].as_object_mut().unwrap();
            entry.values_mut().next().unwrap()["compression"] = json!("lzma");
        }),
        ("md5", |metadata| {
            let entry = metadata["objects"][0].as_object_mut().unwrap();
            entry.values_mut().next().unwrap()["md5"] = json!("x");
        }),
        ("GiB", |metadata| {
            let size = json!({"volume-base-metadata": {"size": u64::MAX}}).to_string();
            metadata["volume_meta"] = json!(size);
        }),
    ];
    for (word, change) in changes {
        let why = after(change).await;
        assert!(why.contains(word), "{word}: {why}");
    }
}

/// A few KiB that would be gigabytes: no more is unpacked than was claimed.
#[tokio::test(flavor = "multi_thread")]
async fn what_would_become_endless_when_unpacked() {
    for compression in ["zlib", "bz2", "zstd"] {
        let (writer, id) = backup();
        let bomb = pack(&vec![0; 64 << 20], compression).1;
        assert!(bomb.len() < 1 << 20);
        fs::write(writer.file(id, "-00001"), bomb).unwrap();
        writer.edit_object(id, 0, |object| object["compression"] = json!(compression));
        let why = damage(&Target::used().restore(&writer.store(), id).await);
        assert!(why.contains("more than its 4096"), "{why}");
    }
    // A frame that wants a window of 2 GiB.
    let (writer, id) = backup();
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(&[7; 4096]).unwrap();
    fs::write(writer.file(id, "-00001"), encoder.finish().unwrap()).unwrap();
    writer.edit_object(id, 0, |object| object["compression"] = json!("zstd"));
    let why = damage(&Target::used().restore(&writer.store(), id).await);
    assert!(why.contains("cannot be read"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sha256_file_that_claims_what_it_likes() {
    for (chunk_size, word) in [
        (json!(0), "no chunk_size"),
        (json!(u64::MAX), "more than"),
        (json!("x"), "no chunk_size"),
    ] {
        let (writer, id) = backup();
        let file = json!({"chunk_size": chunk_size, "sha256s": ["0".repeat(64)]});
        fs::write(writer.file(id, "_sha256file"), file.to_string()).unwrap();
        let why = damage(&Target::used().restore(&writer.store(), id).await);
        assert!(why.contains(word), "{why}");
    }
}

/// The hashes that serde finds in a text, if it is in the form that is read.
fn oracle(hashes: &[Hash]) -> Vec<u8> {
    let texts: Vec<String> = hashes.iter().map(|hash| super::writer::hex(hash)).collect();
    let file = json!({
        "backup_description": "a \"quoted\" \\ text", "backup_name": null, "chunk_size": 512, "created_at": "x",
        "sha256s": texts, "version": "1.0.0", "volume_id": -1.5e3,
    });
    serde_json::to_vec_pretty(&file).unwrap()
}

fn read_hashes(text: &[u8]) -> Result<Vec<Hash>, String> {
    let read = || {
        let mut hashes = Hashes::open(text)?;
        let mut found = Vec::new();
        while let Some(hash) = hashes.next()? {
            found.push(hash);
        }
        assert_eq!(hashes.next()?, None, "the end stays the end");
        Ok(found)
    };
    read().map_err(|error: std::io::Error| error.to_string())
}

fn metadata() -> (Vec<u8>, super::super::files::Found) {
    let (writer, id) = backup();
    let walk = Files::new(&writer.directory(), &Work::default())
        .walk()
        .unwrap();
    let text = fs::read(writer.file(id, "_metadata")).unwrap();
    (text, walk.backups[&id][0].clone())
}

proptest! {
    #[test]
    fn digits_are_read_as_they_were_written(bytes in any::<[u8; 16]>()) {
        let text = super::writer::hex(&bytes);
        prop_assert_eq!(bytes_of::<16>(text.as_bytes()), Some(bytes));
        prop_assert_eq!(bytes_of::<16>(text.to_uppercase().as_bytes()), Some(bytes));
        prop_assert_eq!(bytes_of::<16>(&text.as_bytes()[1..]), None);
    }

    #[test]
    fn hashes_are_read_as_they_were_written(hashes in prop::collection::vec(any::<Hash>(), 0..20)) {
        prop_assert_eq!(read_hashes(&oracle(&hashes)), Ok(hashes.clone()));
        let dense: Value = serde_json::from_slice(&oracle(&hashes)).unwrap();
        prop_assert_eq!(read_hashes(dense.to_string().as_bytes()), Ok(hashes));
    }

    #[test]
    fn no_sha256_file_makes_its_reader_panic(
        hashes in prop::collection::vec(any::<Hash>(), 0..4),
        cut in 0..2000usize,
        at in 0..2000usize,
        byte in any::<u8>(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut text = oracle(&hashes);
        let whole = text.len();
        text.truncate(cut);
        if cut < whole {
            prop_assert!(read_hashes(&text).is_err());
        }
        if let Some(changed) = text.get_mut(at) {
            *changed = byte;
        }
        // It may be good or not; it is no panic, and no hash that is not there.
        if let Ok(found) = read_hashes(&text) {
            prop_assert!(found.len() <= hashes.len());
        }
        prop_assert!(read_hashes(&noise).is_err());
    }
}

#[test]
fn no_metadata_makes_its_reader_panic() {
    let (text, found) = metadata();
    let whole = Metadata::read(&text[..], &found).unwrap();
    assert_eq!(whole.objects.len(), 3);
    let mut runner = proptest::test_runner::TestRunner::default();
    let cases = (
        0..text.len(),
        0..text.len(),
        any::<u8>(),
        prop::collection::vec(any::<u8>(), 0..100),
    );
    let ran = runner.run(&cases, |(cut, at, byte, noise)| {
        prop_assert!(Metadata::read(&text[..cut], &found).is_err());
        prop_assert!(Metadata::read(&noise[..], &found).is_err());
        let mut changed = text.clone();
        changed[at] = byte;
        if let Ok(read) = Metadata::read(&changed[..], &found) {
            let mut end = 0;
            for object in &read.objects {
                prop_assert!(object.offset >= end && object.len_bytes > 0);
                end = object.end();
            }
        }
        Ok(())
    });
    ran.unwrap();
    for deep in ["[", "{\"a\":"] {
        let text = deep.repeat(100_000);
        assert!(Metadata::read(text.as_bytes(), &found).is_err());
    }
}
