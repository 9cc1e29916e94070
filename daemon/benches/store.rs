//! How much sharing a COMMIT brings: creates a second with up to 64 batches a commit and with one, in one run.
//!
//! `cargo bench -p ashlar-daemon --bench store`. The two are run in turns, so that a busy machine slows both; the
//! ratio says more than the figures. Also what a point read costs.

use std::time::{Duration, Instant};

use ashlar_daemon::store::{Batch, Query, Sql, SqliteOptions, Store};

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
    Ok(())
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
