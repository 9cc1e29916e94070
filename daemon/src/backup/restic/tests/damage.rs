//! Repositories damaged on purpose: it is told of what, nothing wrong is given back, and what is whole stays so.

use super::super::Settings;
use super::Store;
use crate::backup::contract::{
    MIB, Subject as _, Volumes, all_of, assert_holds, bytes, description, listed, stored, write,
};
use crate::backup::{BackupEngine, BackupError, Depth, Source};
use crate::driver::Work;
use crate::model::id::{BackupId, VolumeId};
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

/// A store with a backup of noise that is to be damaged and one of other noise that is not.
struct Two {
    store: Store,
    volumes: Volumes,
    engine: Arc<dyn BackupEngine>,
    hurt: BackupId,
    hurt_bytes: Vec<u8>,
    whole: BackupId,
    whole_bytes: Vec<u8>,
}

async fn two() -> Two {
    let store = Store::fresh();
    let engine = store.engine();
    let mut volumes = Volumes::new(7);
    let small = volumes.empty("small", 3 * MIB);
    write(&small, &volumes.noise(2 << 20), 5);
    let (whole, _) = stored(&engine, &all_of(&small)).await;
    let large = volumes.empty("large", 7 * MIB);
    write(&large, &volumes.noise(5 << 20), MIB);
    let (hurt, _) = stored(&engine, &all_of(&large)).await;
    Two {
        hurt_bytes: bytes(&large.path),
        whole_bytes: bytes(&small.path),
        store,
        volumes,
        engine,
        hurt,
        whole,
    }
}

impl Two {
    /// That the one is said to be damaged, by word `word` when only its structure is looked at, and the other is whole.
    async fn assert_told(mut self, word: Option<&str>) -> Self {
        let work = Work::default();
        let target = self.volumes.empty("target", 7 * MIB);
        let answer = self.engine.restore(self.hurt, &target, true, &work).await;
        assert!(
            matches!(answer, Err(BackupError::Damaged { .. })),
            "{answer:?}"
        );
        let structure = self
            .engine
            .verify(Some(self.hurt), Depth::Structure, &work)
            .await;
        let structure = structure.unwrap();
        match word {
            Some(word) => assert!(structure[0].contains(word), "{structure:?}"),
            None => assert_eq!(structure, Vec::<String>::new()),
        }
        let data = self.engine.verify(None, Depth::Data, &work).await.unwrap();
        let hurt = self.hurt.to_string();
        assert!(
            !data.is_empty() && data.iter().all(|line| line.contains(&hurt)),
            "{data:?}"
        );
        let sound = self
            .engine
            .verify(Some(self.whole), Depth::Data, &work)
            .await;
        assert_eq!(sound.unwrap(), Vec::<String>::new());
        let want = self.whole_bytes.clone();
        assert_holds(&self.engine, &mut self.volumes, self.whole, &want).await;
        self
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_found() {
    let two = two().await;
    let pack = fs::File::options()
        .read(true)
        .write(true)
        .open(&two.store.files("data")[0])
        .unwrap();
    let mut byte = [0];
    pack.read_exact_at(&mut byte, 3 << 20).unwrap();
    pack.write_all_at(&[byte[0] ^ 4], 3 << 20).unwrap();
    two.assert_told(None).await;
}

/// And a copy on top of it does not count on what is not there: it stores it again, which makes the old one whole too.
#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_is_missing_or_cut_short_is_found_and_made_good() {
    for is_missing in [true, false] {
        let two = two().await;
        let pack = two.store.files("data")[0].clone();
        match is_missing {
            true => fs::remove_file(&pack).unwrap(),
            false => fs::File::options()
                .write(true)
                .open(&pack)
                .unwrap()
                .set_len(2 << 20)
                .unwrap(),
        }
        let word = if is_missing { "missing" } else { "cut short" };
        let mut two = two.assert_told(Some(word)).await;
        let source = Source {
            device: crate::driver::Device {
                path: two.volumes.path("large"),
                len_bytes: 7 * MIB,
            },
            data: None,
            parent: Some(two.hurt),
            changed: Some(Vec::new()),
        };
        let (again, _) = stored(&two.engine, &source).await;
        let want = two.hurt_bytes.clone();
        for id in [again, two.hurt] {
            assert_holds(&two.engine, &mut two.volumes, id, &want).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_missing_is_found() {
    let two = two().await;
    // The later one: by time, since both are small.
    let mut indexes = two.store.files("index");
    indexes.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    fs::remove_file(indexes.last().unwrap()).unwrap();
    two.assert_told(Some("")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_cannot_be_read_hides_no_other_and_stops_a_prune() {
    let mut two = two().await;
    let mut snapshots = two.store.files("snapshots");
    snapshots.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    let last = snapshots.last().unwrap().clone();
    let kept = fs::read(&last).unwrap();
    let mut broken = kept.clone();
    broken[40] ^= 1;
    fs::write(&last, &broken).unwrap();
    assert_eq!(listed(&two.engine).await, [two.whole]);
    let (work, target) = (Work::default(), two.volumes.empty("target", 7 * MIB));
    for answer in [
        two.engine
            .restore(two.hurt, &target, true, &work)
            .await
            .err(),
        two.engine.remove(two.hurt).await.err(),
        two.engine.prune(&work).await.err(),
    ] {
        assert!(
            matches!(answer, Some(BackupError::Damaged { .. })),
            "{answer:?}"
        );
    }
    let told = two
        .engine
        .verify(None, Depth::Structure, &work)
        .await
        .unwrap();
    assert!(
        told.len() == 1 && told[0].contains("cannot be read"),
        "{told:?}"
    );
    fs::write(&last, &kept).unwrap();
    let want = two.hurt_bytes.clone();
    assert_holds(&two.engine, &mut two.volumes, two.hurt, &want).await;
}

/// What is removed comes back to the disk when nobody else may need it, and no sooner.
#[tokio::test(flavor = "multi_thread")]
async fn room_comes_back_with_a_prune() {
    let mut two = two().await;
    let careful = Settings {
        keep_deleted: Duration::from_secs(3600),
        ..two.store.settings.clone()
    };
    let careful = Store::with(&careful);
    two.engine.remove(two.hurt).await.unwrap();
    let freed_bytes = careful.prune(&Work::default()).await.unwrap();
    assert!(freed_bytes < MIB, "somebody may count on it");
    // What is marked is not counted on from now on.
    let source = Source {
        device: crate::driver::Device {
            path: two.volumes.path("large"),
            len_bytes: 7 * MIB,
        },
        data: None,
        parent: None,
        changed: None,
    };
    let (again, _) = stored(&two.engine, &source).await;
    careful.prune(&Work::default()).await.unwrap();
    let want = two.hurt_bytes.clone();
    assert_holds(&two.engine, &mut two.volumes, again, &want).await;
    two.engine.remove(again).await.unwrap();
    let before = two.engine.report().await.unwrap().used_bytes;
    let freed_bytes = two.engine.prune(&Work::default()).await.unwrap();
    let after = two.engine.report().await.unwrap().used_bytes;
    assert!(
        freed_bytes >= 5 * MIB && before - after >= 5 * MIB,
        "{freed_bytes}"
    );
    let want = two.whole_bytes.clone();
    assert_holds(&two.engine, &mut two.volumes, two.whole, &want).await;
}

/// As a worker leaves it that was killed when all packs were written and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_worker_wrote_is_not_written_again() {
    let two = two().await;
    for (place, one) in [
        ("index", two.store.files("index")),
        ("snapshots", two.store.files("snapshots")),
    ] {
        assert_eq!(one.len(), 2, "{place}");
        let mut one = one;
        one.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
        fs::remove_file(one.last().unwrap()).unwrap();
    }
    let mut one = description(VolumeId::random());
    one.id = two.hurt;
    let claim = two.store.settings.state_dir.join("backup");
    fs::write(claim.join(format!("near.{}.claim", one.id)), "").unwrap();
    let device = crate::driver::Device {
        path: two.volumes.path("large"),
        len_bytes: 7 * MIB,
    };
    let again = two
        .engine
        .store(&one, &all_of(&device), &Work::default())
        .await
        .unwrap();
    assert!(again.added_bytes < MIB, "{again:?}");
    let mut two = two;
    let want = two.hurt_bytes.clone();
    assert_holds(&two.engine, &mut two.volumes, two.hurt, &want).await;
}
