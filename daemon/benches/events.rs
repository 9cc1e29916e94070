//! A thousand readers of the event stream at a thousand changes a second: how far behind is the last of them, and what
//! memory does it take?
//!
//! `cargo bench -p ashlar-daemon --bench events`. Server and readers share this process and its cores, so both figures
//! hold more than the server's own part. A reader's lag is the age of the newest frame in each piece that it receives.

use ashlar_daemon::api::server::{Listen, Server};
use ashlar_daemon::api::{Api, AuthMode, Door, MetricsFor, State};
use ashlar_daemon::model::id::VolumeTypeId;
use ashlar_daemon::model::time::Time;
use ashlar_daemon::model::volume_type::VolumeType;
use ashlar_daemon::ops::{Ctx, Doorbell, QuotaLimits};
use ashlar_daemon::store::{Batch, SqliteOptions, Store, volume_types};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const READERS: usize = 1_000;
const CHANGES_PER_S: u32 = 1_000;
const SECONDS: u32 = 10;
/// The goal: no reader is further behind.
const LAG_MAX: Duration = Duration::from_secs(1);

/// What the readers saw, and how far behind the last of them was.
#[derive(Default)]
struct Seen {
    lag_max_ms: AtomicU64,
    /// Readers that have seen the last change.
    finished: AtomicU64,
    /// What the first and the last to finish had received: not the same if one of them was told of a gap.
    len_bytes_min: AtomicU64,
    len_bytes_max: AtomicU64,
}

fn main() -> anyhow::Result<()> {
    raise_descriptor_limit()?;
    tokio::runtime::Runtime::new()?.block_on(run())
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
async fn run() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let store = Store::open_sqlite(dir.path(), SqliteOptions::default()).await?;
    let stop = CancellationToken::new();
    let address = serve(&store, &stop).await?;
    let before = resident_kib()?;
    let seen = Arc::new(Seen::default());
    seen.len_bytes_min.store(u64::MAX, Ordering::Relaxed);
    let changes = 1 + CHANGES_PER_S * SECONDS;
    // The record is new: ids begin with 1.
    let last = i64::from(changes);
    for _ in 0..READERS {
        let reader = connect(address).await?;
        tokio::spawn(read(reader, last, Arc::clone(&seen)));
    }
    let connected = resident_kib()?;
    change(&store).await?;
    let deadline = Instant::now() + Duration::from_secs(30);
    let wanted = u64::try_from(READERS)?;
    while seen.finished.load(Ordering::Relaxed) < wanted && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let after = resident_kib()?;
    stop.cancel();
    let finished = seen.finished.load(Ordering::Relaxed);
    let lag = seen.lag_max_ms.load(Ordering::Relaxed);
    let (least, most) = (
        seen.len_bytes_min.load(Ordering::Relaxed),
        seen.len_bytes_max.load(Ordering::Relaxed),
    );
    let met = u128::from(lag) <= LAG_MAX.as_millis() && finished == wanted && least == most;
    println!(
        "{finished} of {READERS} readers saw all {changes} changes of {SECONDS} s, {least} to {most} bytes each"
    );
    println!(
        "memory, readers included: {before} KiB alone, {connected} KiB connected, {after} KiB after"
    );
    println!(
        "{}",
        serde_json::json!({"name": "events_lag_max", "value": lag, "unit": "ms", "goal": LAG_MAX.as_millis(), "met": met})
    );
    println!(
        "{}",
        serde_json::json!({"name": "events_memory", "value": after - before, "unit": "KiB"})
    );
    Ok(())
}

async fn serve(store: &Store, stop: &CancellationToken) -> anyhow::Result<SocketAddr> {
    let quota = QuotaLimits {
        volumes: -1,
        snapshots: -1,
        gigabytes: -1,
        per_volume_gigabytes: -1,
    };
    let ctx = Ctx {
        store: store.clone(),
        drivers: BTreeMap::new(),
        target: None,
        host: "h".to_owned(),
        availability_zone: "nova".to_owned(),
        quota,
        doorbell: Doorbell::local(),
        gate: Default::default(),
        faults: Default::default(),
    };
    let auth = AuthMode::None;
    let state = State {
        ctx: Arc::new(ctx),
        auth,
        public_endpoint: None,
        metrics: MetricsFor::Administrators,
    };
    let listen = Listen {
        unix: None,
        tcp: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
    };
    let server = Server::bind(&listen, auth).await?;
    let address = server
        .tcp_address()
        .ok_or_else(|| anyhow::anyhow!("no address"))?;
    tokio::spawn(server.run(Door::new(Api::new(state)), stop.clone()));
    Ok(address)
}

/// A reader that has been greeted.
async fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(b"GET /ashlar/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await?;
    let mut text = Vec::new();
    while !text.windows(12).any(|window| window == b"event: hello") {
        anyhow::ensure!(stream.read_buf(&mut text).await? > 0, "the stream ended");
    }
    Ok(stream)
}

async fn read(mut stream: TcpStream, last: i64, seen: Arc<Seen>) -> anyhow::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut kept = 0;
    let mut len_bytes = 0;
    loop {
        let read = stream.read(&mut buffer[kept..]).await?;
        anyhow::ensure!(read > 0, "the stream ended");
        len_bytes += u64::try_from(read)?;
        let len = kept + read;
        if let Some((id, at)) = newest(&buffer[..len]) {
            let lag = Duration::from_secs_f64(Time::now().seconds_since(&at));
            seen.lag_max_ms
                .fetch_max(u64::try_from(lag.as_millis())?, Ordering::Relaxed);
            if id == last {
                seen.finished.fetch_add(1, Ordering::Relaxed);
                seen.len_bytes_min.fetch_min(len_bytes, Ordering::Relaxed);
                seen.len_bytes_max.fetch_max(len_bytes, Ordering::Relaxed);
            }
        }
        // A frame that the read has cut is found whole at the next one.
        kept = FRAME_LEN_MAX.min(len);
        buffer.copy_within(len - kept..len, 0);
    }
}

/// A frame of this bench is shorter.
const FRAME_LEN_MAX: usize = 512;

/// The id and the time of the last whole frame.
fn newest(text: &[u8]) -> Option<(i64, Time)> {
    let tail = &text[text.len().saturating_sub(2 * FRAME_LEN_MAX)..];
    let tail = String::from_utf8_lossy(tail);
    let (whole, _) = tail.rsplit_once("\n\n")?;
    let (_, frame) = whole.rsplit_once("id: ")?;
    let (id, rest) = frame.split_once('\n')?;
    let (_, at) = rest.split_once("\"at\":\"")?;
    let at = Time::from_stored(at.get(..26)?.to_owned());
    Some((id.parse().ok()?, at))
}

/// Changes a type a thousand times a second, in ten parts.
async fn change(store: &Store) -> anyhow::Result<()> {
    let one = VolumeType {
        id: VolumeTypeId::random(),
        name: "t".to_owned(),
        description: None,
        is_public: true,
        extra_specs: BTreeMap::new(),
        qos_specs_id: None,
        encryption: None,
        created_at: Time::now(),
        updated_at: None,
    };
    let mut batch = Batch::new();
    batch.add(volume_types::INSERT, volume_types::insert_values(&one));
    store.write(batch).await?;
    let began = Instant::now();
    let part = CHANGES_PER_S / 100;
    for turn in 0..SECONDS * 100 {
        let writes = (0..part).map(|number| {
            let mut batch = Batch::new();
            let values = vec![
                one.id.to_string().into(),
                format!("t-{turn}-{number}").into(),
                Time::now().as_str().into(),
            ];
            batch.add(volume_types::SET_NAME, values);
            store.write(batch)
        });
        futures_util::future::try_join_all(writes).await?;
        tokio::time::sleep_until(began + Duration::from_millis(10) * (turn + 1)).await;
    }
    Ok(())
}

fn resident_kib() -> anyhow::Result<i64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let text = line.unwrap_or_default().trim().trim_end_matches(" kB");
    Ok(text.parse()?)
}

fn raise_descriptor_limit() -> anyhow::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}
