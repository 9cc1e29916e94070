//! Every shape that the driver may have been configured to write.

use super::Target;
use super::writer::{Shape, Writer};
use crate::backup::contract::Volumes;
use crate::backup::{BackupEngine as _, Depth};
use crate::driver::Work;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Text, noise, zeros and an odd end.
fn content(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = "a volume is a row of blocks; "
        .repeat(len / 20)
        .into_bytes();
    bytes.resize(len, 0);
    let noise = Volumes::new(seed).noise(len / 4);
    bytes[len / 2..len / 2 + noise.len()].copy_from_slice(&noise);
    bytes
}

async fn comes_back(writer: &Writer, id: crate::model::id::BackupId, wanted: &[u8]) {
    let store = writer.store();
    for target in [Target::blank(), Target::used()] {
        target.restore(&store, id).await.unwrap();
        assert!(target.holds(wanted));
    }
    let found = store.verify(Some(id), Depth::Data, &Work::default()).await;
    assert_eq!(found.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_compression_by_all_its_names() {
    let wanted = content(50_000, 3);
    for compression in ["none", "off", "no", "zlib", "gzip", "bz2", "bzip2", "zstd"] {
        let mut writer = Writer::new();
        let shape = Shape {
            compression,
            ..Shape::default()
        };
        let id = writer.write(&wanted, &shape);
        comes_back(&writer, id, &wanted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn none_one_and_many_objects_with_and_without_hashes() {
    for has_hashes in [true, false] {
        for len in [0, 1, 511, 512, 4096, 4097, 100_000] {
            let mut writer = Writer::new();
            let wanted = vec![7; len];
            let shape = Shape {
                has_hashes,
                ..Shape::default()
            };
            let id = writer.write(&wanted, &shape);
            comes_back(&writer, id, &wanted).await;
        }
    }
}

/// Read in several pieces, and its chunks do not end where the pieces do.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_larger_than_what_is_read_at_once() {
    let mut writer = Writer::new();
    let wanted = content((3 << 20) + 777, 9);
    let shape = Shape {
        object_bytes: 96 * 32_749,
        chunk_bytes: 32_749,
        ..Shape::default()
    };
    let id = writer.write(&wanted, &shape);
    comes_back(&writer, id, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_object_has_is_zeros_also_where_a_parent_had_something() {
    let mut writer = Writer::new();
    let mut wanted = vec![0; 20_480];
    wanted[9000..9100].fill(1);
    let sparse = Shape {
        is_sparse: true,
        ..Shape::default()
    };
    let full = writer.write(&wanted, &sparse);
    comes_back(&writer, full, &wanted).await;
    wanted.fill(0);
    let parent = Some(full);
    let id = writer.write(&wanted, &Shape { parent, ..sparse });
    comes_back(&writer, id, &wanted).await;
}

/// Where Cinder kept nothing of the volume, its size is what its objects need.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_says_nothing_of_its_volume() {
    let mut writer = Writer::new();
    let bare = Shape {
        volume_meta: Value::Null,
        ..Shape::default()
    };
    let full = writer.write(&[1; 5000], &bare);
    let parent = Some(full);
    let id = writer.write(&[1; 5000], &Shape { parent, ..bare });
    comes_back(&writer, id, &[1; 5000]).await;
    let list = writer.store().list().await.unwrap();
    for (told, _) in list {
        assert_eq!((told.volume.size_gib, told.project_id.as_str()), (1, ""));
        assert_eq!(told.created_at, "2026-01-02T03:04:05.000000");
    }
    let mut odd = Writer::new();
    let shape = Shape {
        volume_meta: json!("no map"),
        ..Shape::default()
    };
    let id = odd.write(&[1; 5000], &shape);
    let store = odd.store();
    Target::blank().restore(&store, id).await.unwrap();
    let work = Work::default();
    let found = store
        .verify(Some(id), Depth::Structure, &work)
        .await
        .unwrap();
    assert!(
        found.len() == 1 && found[0].contains("volume_meta"),
        "{found:?}"
    );
}

#[derive(Debug, Clone)]
struct Chain {
    len: usize,
    chunk_bytes: usize,
    chunks_per_object: usize,
    compressions: Vec<&'static str>,
    /// For each backup after the first: where something changes, and into what.
    changes: Vec<Vec<(usize, usize, u8)>>,
}

fn chain() -> impl Strategy<Value = Chain> {
    let change = (0..60_000usize, 1..5000usize, any::<u8>());
    let changes = prop::collection::vec(prop::collection::vec(change, 0..6), 0..4);
    let compression = prop::sample::select(vec!["none", "zlib", "bz2", "zstd"]);
    let compressions = prop::collection::vec(compression, 4);
    (
        1..60_000usize,
        1..2000usize,
        1..9usize,
        compressions,
        changes,
    )
        .prop_map(
            |(len, chunk_bytes, chunks_per_object, compressions, changes)| Chain {
                len,
                chunk_bytes: chunk_bytes.max(len / 200),
                chunks_per_object,
                compressions,
                changes,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_chain_comes_back_at_each_of_its_times(chain in chain()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut writer = Writer::new();
        let mut now = content(chain.len, 1);
        let shape = |number: usize, parent| Shape {
            compression: chain.compressions[number],
            object_bytes: chain.chunk_bytes * chain.chunks_per_object,
            chunk_bytes: chain.chunk_bytes,
            parent,
            ..Shape::default()
        };
        let mut made = vec![(writer.write(&now, &shape(0, None)), now.clone())];
        for (number, changes) in chain.changes.iter().enumerate() {
            for (at, len, byte) in changes {
                let end = (at + len).min(now.len());
                now[(*at).min(end)..end].fill(*byte);
            }
            let parent = made.last().map(|(id, _)| *id);
            made.push((writer.write(&now, &shape(number + 1, parent)), now.clone()));
        }
        let store = writer.store();
        for (id, wanted) in made {
            let target = Target::used();
            runtime.block_on(target.restore(&store, id)).unwrap();
            prop_assert!(target.holds(&wanted));
        }
    }
}
