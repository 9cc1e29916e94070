//! How much sharing a COMMIT brings: creates a second with up to 64 batches a commit and with one, in one run.
//!
//! `cargo bench -p ashlar-daemon --bench store`. The two are run in turns, so that a busy machine slows both; the
//! ratio says more than the figures. Also what a point read costs, and what the events cost a create as the API records
//! it: once with the triggers that write them, once without.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use ashlar_daemon::model::id::{OperationId, VolumeId, VolumeTypeId};
use ashlar_daemon::model::operation::{Operation, Phase, Verb};
use ashlar_daemon::model::time::Time;
use ashlar_daemon::model::volume_type::VolumeType;
use ashlar_daemon::store::migrations::MIGRATIONS;
use ashlar_daemon::store::operations::{self, Mode};
use ashlar_daemon::store::quotas::{self, Resource};
use ashlar_daemon::store::statuses::Noun;
use ashlar_daemon::store::{Batch, Query, Sql, SqliteOptions, Store, volume_types};

const SCHEMA: &[&str] = &[
    "CREATE TABLE things (id TEXT NOT NULL PRIMARY KEY, status TEXT NOT NULL);
    CREATE TABLE usages (project_id TEXT NOT NULL PRIMARY KEY, in_use BIGINT NOT NULL);",
];
const INSERT: Sql = Sql {
    name: "thing.insert",
    text: "INSERT INTO things (id, status) VALUES ($1, $2)",
};
const TAKE: Sql = Sql {
    name: "usage.take",
    text: "INSERT INTO usages (project_id, in_use) SELECT $1, CAST($2 AS BIGINT) WHERE CAST($2 AS BIGINT) <= $3
        ON CONFLICT (project_id) DO UPDATE SET in_use = usages.in_use + excluded.in_use
        WHERE usages.in_use + excluded.in_use <= $3",
};
const GET: Sql = Sql {
    name: "thing.get",
    text: "SELECT status FROM things WHERE id = $1",
};
const INSERT_VOLUME: Sql = Sql {
    name: "volume.insert",
    text: "INSERT INTO volumes (id, project_id, user_id, size_gib, status, availability_zone, volume_type_id, \
           multiattach, bootable, metadata, created_at) \
           VALUES ($1, 'p', 'u', 1, 'creating', 'nova', $2, 0, 0, '{}', $3)",
};
/// Callers at once, as in the spike that the design rests on.
const TASKS: usize = 64;
const TURN: Duration = Duration::from_secs(1);
const TURNS: usize = 3;

fn main() -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(run())
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
async fn run() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut best = [0.0_f64; 2];
    for turn in 0..TURNS {
        for (side, group) in [1, 64].into_iter().enumerate() {
            let dir = dir.path().join(format!("{turn}-{group}"));
            std::fs::create_dir(&dir)?;
            let options = SqliteOptions {
                group,
                migrations: SCHEMA,
                ..SqliteOptions::default()
            };
            let store = Store::open_sqlite(&dir, options).await?;
            let rate = creates(&store).await?;
            best[side] = best[side].max(rate);
            println!("{group:>2} batches a commit: {rate:>8.0} creates/s");
            if turn == 0 && group == 64 {
                println!("point reads:          {:>8.0} /s", reads(&store).await?);
            }
            store.close().await;
        }
    }
    println!("ratio of the best turns: {:.1}", best[1] / best[0]);
    events_cost(dir.path()).await
}

/// Whole creates (quota, volume, operation, claim) a second, with and without the events that they leave.
#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
async fn events_cost(dir: &Path) -> anyhow::Result<()> {
    let mut best = [0.0_f64; 2];
    for turn in 0..TURNS {
        for (side, has_events) in [true, false].into_iter().enumerate() {
            let dir = dir.join(format!("whole-{turn}-{has_events}"));
            std::fs::create_dir(&dir)?;
            let mut scripts = MIGRATIONS.to_vec();
            if !has_events {
                // Without this table the record makes no triggers.
                scripts.push("DROP TABLE event_triggers");
            }
            let options = SqliteOptions {
                migrations: scripts.leak(),
                ..SqliteOptions::default()
            };
            let store = Store::open_sqlite(&dir, options).await?;
            let rate = whole_creates(&store).await?;
            best[side] = best[side].max(rate);
            println!("whole creates, events {has_events:>5}: {rate:>8.0} /s");
            store.close().await;
        }
    }
    println!(
        "a create with its events costs {:.2} of one without",
        best[1] / best[0]
    );
    Ok(())
}

async fn whole_creates(store: &Store) -> anyhow::Result<f64> {
    let volume_type = VolumeType {
        id: VolumeTypeId::random(),
        name: "t".to_owned(),
        description: None,
        is_public: true,
        extra_specs: BTreeMap::new(),
        qos_specs_id: None,
        encryption: None,
        created_at: Time::now(),
        updated_at: None,
        encryption: None,
        qos_specs_id: None,
    };
    let mut batch = Batch::new();
    batch.add(
        volume_types::INSERT,
        volume_types::insert_values(&volume_type),
    );
    store.write(batch).await?;
    let volume_type_id = volume_type.id;
    per_second(|_| {
        let store = store.clone();
        async move {
            let began = Instant::now();
            let mut done = 0_u32;
            while began.elapsed() < TURN {
                store.write(whole_create(volume_type_id)).await?;
                done += 1;
            }
            Ok(done)
        }
    })
    .await
}

fn whole_create(volume_type_id: VolumeTypeId) -> Batch {
    let id = VolumeId::random().to_string();
    let operation = Operation {
        id: OperationId::random(),
        verb: Verb::CreateVolume,
        queue: "scheduler".to_owned(),
        // Over at once: how many live is counted for each, and is not what is measured here.
        phase: Phase::Done,
        project_id: "p".to_owned(),
        user_id: "u".to_owned(),
        owner_id: "p".to_owned(),
        request_id: "r".to_owned(),
        object_id: id.clone(),
        input: "{}".to_owned(),
        steps_done: 0,
        bytes_done: 0,
        bytes_total: 0,
        cancel_requested: false,
        error: None,
        created_at: Time::now(),
        finished_at: None,
        deadline_at: Time::now(),
    };
    let mut batch = Batch::new();
    operations::insert(&mut batch, &operation);
    quotas::take(&mut batch, "p", Resource::Volumes, 1, -1);
    quotas::take(&mut batch, "p", Resource::Gigabytes, 1, -1);
    let now = Time::now();
    let values = vec![
        id.as_str().into(),
        volume_type_id.to_string().into(),
        now.as_str().into(),
    ];
    batch.add(INSERT_VOLUME, values);
    operations::claim(&mut batch, operation.id, Noun::Volume, &id, Mode::Exclusive);
    batch
}

/// Creates (a quota and a row, guarded) by [`TASKS`] callers for one turn; how many a second.
async fn creates(store: &Store) -> anyhow::Result<f64> {
    per_second(|task| {
        let store = store.clone();
        async move {
            let began = Instant::now();
            let mut done = 0_u32;
            while began.elapsed() < TURN {
                let mut batch = Batch::new();
                batch.guard("quota", TAKE, vec!["p".into(), 1.into(), i64::MAX.into()]);
                batch.add(
                    INSERT,
                    vec![format!("{task}-{done}").into(), "creating".into()],
                );
                store.write(batch).await?;
                done += 1;
            }
            Ok(done)
        }
    })
    .await
}

async fn reads(store: &Store) -> anyhow::Result<f64> {
    per_second(|task| {
        let store = store.clone();
        async move {
            let began = Instant::now();
            let mut done = 0_u32;
            while began.elapsed() < TURN {
                let query = Query::of(GET, vec![format!("{task}-0").into()]);
                anyhow::ensure!(store.row(query).await?.is_some(), "a row is missing");
                done += 1;
            }
            Ok(done)
        }
    })
    .await
}

async fn per_second<F>(work: impl Fn(usize) -> F) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<u32>> + Send + 'static,
{
    let began = Instant::now();
    let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(work(task))).collect();
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(f64::from(done) / began.elapsed().as_secs_f64())
}
