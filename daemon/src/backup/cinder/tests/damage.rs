//! Every kind of damage is found before a byte of it is written, and told with the backup and the object.

use super::writer::{Shape, Writer};
use super::{Target, damage};
use crate::backup::{BackupEngine as _, BackupError, Depth};
use crate::driver::Work;
use crate::model::id::BackupId;
use serde_json::{Value, json};
use std::fs;

/// A full backup of four objects and one that changes two of its chunks.
fn chain(compression: &'static str) -> (Writer, BackupId, BackupId) {
    let mut writer = Writer::new();
    let mut content: Vec<u8> = (0..16_384u32)
        .map(|at| (at / 64).to_le_bytes()[0])
        .collect();
    let shape = Shape {
        compression,
        ..Shape::default()
    };
    let full = writer.write(&content, &shape);
    content[600] ^= 255;
    content[9000] ^= 255;
    let parent = Some(full);
    let id = writer.write(&content, &Shape { parent, ..shape });
    (writer, full, id)
}

/// What a restore says, and that a look at the data says the same.
async fn told(writer: &Writer, id: BackupId) -> String {
    let store = writer.store();
    let target = Target::used();
    let why = damage(&target.restore(&store, id).await);
    let found = store.verify(Some(id), Depth::Data, &Work::default()).await;
    let found = found.unwrap();
    assert!(found.contains(&why), "{why:?} is not among {found:?}");
    why
}

fn flip(path: &std::path::Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_names_its_object() {
    for compression in ["none", "zlib", "bz2", "zstd"] {
        let (writer, full, id) = chain(compression);
        let path = writer.file(full, "-00003");
        let mut bytes = fs::read(&path).unwrap();
        // One bit may be one that the packing does not need.
        let half = bytes.len() / 2;
        bytes[half..].iter_mut().for_each(|byte| *byte ^= 255);
        fs::write(&path, bytes).unwrap();
        let why = told(&writer, id).await;
        assert!(
            why.contains(&full.to_string()) && why.contains("-00003"),
            "{why}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_md5_counts_where_there_are_no_hashes_and_the_hashes_where_the_md5_agrees() {
    let (writer, full, id) = chain("none");
    fs::remove_file(writer.file(full, "_sha256file")).unwrap();
    fs::remove_file(writer.file(id, "_sha256file")).unwrap();
    Target::used().restore(&writer.store(), id).await.unwrap();
    flip(&writer.file(full, "-00001"), 5);
    let why = told(&writer, id).await;
    assert!(why.contains("md5"), "{why}");

    let (writer, full, id) = chain("none");
    let path = writer.file(full, "-00002");
    flip(&path, 1000);
    let bytes = fs::read(&path).unwrap();
    let md5 = super::writer::hex(&<md5::Md5 as md5::Digest>::digest(&bytes));
    writer.edit_object(full, 1, |object| object["md5"] = json!(md5));
    let why = told(&writer, id).await;
    assert!(
        why.contains("chunk at byte 512") && why.contains("-00002"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_known_before_anything_is_written() {
    let lost = |end: &'static str, of_parent: bool| (end, of_parent);
    for (end, of_parent) in [
        lost("-00002", false),
        lost("-00004", true),
        lost("_metadata", true),
    ] {
        let (writer, full, id) = chain("zlib");
        let of = if of_parent { full } else { id };
        fs::remove_file(writer.file(of, end)).unwrap();
        let target = Target::used();
        let why = damage(&target.restore(&writer.store(), id).await);
        assert!(why.contains(&of.to_string()), "{why}");
        assert!(target.is_untouched(), "{end}");
        let (store, work) = (writer.store(), Work::default());
        let found = store.verify(None, Depth::Structure, &work).await.unwrap();
        assert!(found.contains(&why), "{end}");
    }
    let (writer, full, _) = chain("none");
    fs::write(writer.file(full, "-00001"), "short").unwrap();
    let target = Target::used();
    let why = damage(&target.restore(&writer.store(), full).await);
    assert!(why.contains("5 bytes instead of 4096"), "{why}");
    assert!(target.is_untouched());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_or_less_than_it_says() {
    for (len, word) in [
        (4095u32, "more than its 4095"),
        (4097, "4096 bytes instead of 4097"),
    ] {
        let (writer, full, _) = chain("zlib");
        // The next one begins where this one ends.
        writer.edit(full, "_metadata", |metadata| {
            metadata["objects"].as_array_mut().unwrap().truncate(1);
        });
        writer.edit_object(full, 0, |object| object["length"] = json!(len));
        fs::remove_file(writer.file(full, "_sha256file")).unwrap();
        let why = told(&writer, full).await;
        assert!(why.contains(word) && why.contains("-00001"), "{why}");
    }
}

/// Only the sha256 file can tell that a part of the volume is in no object.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_entry_of_the_metadata_is_noticed() {
    for of_parent in [true, false] {
        let (writer, full, id) = chain("zlib");
        let of = if of_parent { full } else { id };
        writer.edit(of, "_metadata", |metadata| {
            metadata["objects"].as_array_mut().unwrap().pop();
        });
        let why = told(&writer, id).await;
        assert!(
            why.contains("no object has the chunk") && why.contains(&of.to_string()),
            "{why}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sha256_file_that_is_cut_short_or_another() {
    let (writer, full, id) = chain("zlib");
    let path = writer.file(full, "_sha256file");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let why = told(&writer, full).await;
    assert!(
        why.contains("sha256 file") && why.contains("cut short"),
        "{why}"
    );
    fs::write(&path, bytes).unwrap();
    let hashes = |change: fn(&mut Vec<Value>)| {
        move |file: &mut Value| change(file["sha256s"].as_array_mut().unwrap())
    };
    writer.edit(id, "_sha256file", hashes(|hashes| hashes.truncate(3)));
    assert!(told(&writer, id).await.contains("ends before"));
    let (writer, _, id) = chain("zlib");
    writer.edit(id, "_sha256file", |file| file["chunk_size"] = json!(1024));
    assert!(told(&writer, id).await.contains("parent's"));
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_that_lead_nowhere() {
    let (writer, full, id) = chain("zlib");
    writer.edit(full, "_metadata", |metadata| {
        metadata["parent_id"] = json!(id.to_string())
    });
    assert!(told(&writer, id).await.contains("stands on itself"));
    let nobody = BackupId::random();
    writer.edit(full, "_metadata", |metadata| {
        metadata["parent_id"] = json!(nobody.to_string())
    });
    assert!(told(&writer, id).await.contains(&nobody.to_string()));
    // Both are left out, and what is whole is not.
    let (other, _, _) = chain("none");
    copy(&other.directory(), &writer.directory());
    let list = writer.store().list().await.unwrap();
    assert_eq!(list.len(), 2);
    assert!(
        list.iter()
            .all(|(told, _)| told.id != id && told.id != full)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_there_twice_or_not_at_all() {
    let (writer, full, id) = chain("zlib");
    copy(&writer.directory(), &writer.directory().join("copy"));
    let why = damage(&Target::used().restore(&writer.store(), id).await);
    assert!(why.contains("twice") && why.contains("copy"), "{why}");
    fs::remove_dir_all(writer.directory().join("copy")).unwrap();
    let answer = Target::used()
        .restore(&writer.store(), BackupId::random())
        .await;
    assert!(
        matches!(answer, Err(BackupError::Absent { .. })),
        "{answer:?}"
    );
    fs::remove_dir_all(writer.directory()).unwrap();
    fs::create_dir(writer.directory()).unwrap();
    let answer = Target::used().restore(&writer.store(), full).await;
    let is_told =
        matches!(&answer, Err(BackupError::Unavailable { why, .. }) if why.contains("mounted"));
    assert!(is_told, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_stops_it() {
    let (writer, _, id) = chain("zlib");
    let work = Work::default();
    work.cancel();
    let answer = writer.store().verify(Some(id), Depth::Data, &work).await;
    assert!(matches!(answer, Err(BackupError::Cancelled)), "{answer:?}");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    let entries: Vec<_> = fs::read_dir(from).unwrap().collect();
    fs::create_dir_all(to).unwrap();
    for entry in entries {
        let path = entry.unwrap().path();
        let there = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &there),
            false => {
                fs::copy(&path, there).unwrap();
            }
        }
    }
}
