//! Ashlar turns a Cinder v3 request into rows, rows into work, and work into blocks that a host can reach; each of
//! those three turns has one place.
//!
//! In reading order: [`model`] (nouns, and THE TABLE of statuses), [`ops`] (verbs: one file, one operation),
//! [`driver`], [`target`] and [`backup`] (edges), [`schedule`] (which pool), [`store`] (the record), [`api`] (the wire). This
//! file puts a process together out of its configuration; `edges.rs` alone names the concrete edges for it.

pub mod api;
pub mod backup;
pub mod cmd;
pub mod config;
pub mod driver;
pub mod error;
pub mod locks;
pub mod meter;
pub mod model;
pub mod ops;
pub mod schedule;
pub mod store;
pub mod sys;
pub mod target;

mod edges;
mod keep_exports;
pub mod keep_record;
mod keep_target;
mod pace;

use crate::config::{Auth, Config, Metrics, RoleName};
use crate::edges::Exporting;
use crate::keep_target::TargetKeeper;
use crate::model::id::VolumeTypeId;
use crate::model::service::Binary;
use crate::model::time::Time;
use crate::model::volume_type::{DEFAULT_TYPE_NAME, VolumeType};
use crate::ops::{Ctx, Doorbell, Faults, Lane, Queue};
use crate::store::{Batch, SqliteOptions, Store, StoreError, volume_types};
use crate::target::iscsi::{IscsiTarget, TargetConfig, TargetServeError};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why a process of Ashlar cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A directory cannot be made.
    #[error("{} cannot be used", path.display())]
    Directory {
        /// The directory or file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Another process has a role on the state directory.
    #[error(transparent)]
    Lock(#[from] locks::LockError),
    /// The record cannot be opened.
    #[error("the record in {} cannot be opened", directory.display())]
    Open {
        /// The state directory.
        directory: PathBuf,
        #[source]
        source: StoreError,
    },
    /// A backend cannot be opened.
    #[error("backend {backend} cannot be opened")]
    Backend {
        /// The backend.
        backend: String,
        #[source]
        source: edges::BackendError,
    },
    /// The target cannot be started or reached.
    #[error("the target cannot be used")]
    Target(#[source] target::TargetError),
    /// The target process itself cannot serve.
    #[error(transparent)]
    Serve(#[from] TargetServeError),
    /// The API's socket or address cannot be had.
    #[error(transparent)]
    Listen(#[from] api::server::ListenError),
    /// What the record holds cannot be used.
    #[error(transparent)]
    Domain(#[from] error::Error),
    /// The record failed while running; nothing that was answered is lost, but nothing more can be kept.
    #[error("the record failed; ashlard ends so that nothing is answered that is not kept")]
    Broken(#[source] StoreError),
    /// The fault that the configuration asks for is no known one.
    #[error("faults: {action} is no action")]
    Fault {
        /// As written.
        action: String,
    },
}

/// Runs what the configuration asks for until `shutdown`. `config_path` is handed to the target's process.
pub async fn run(
    config: Config,
    config_path: PathBuf,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    raise_descriptor_limit();
    make_directory(&config.state_dir)?;
    let mut role_locks = Vec::new();
    for role in &config.roles {
        role_locks.push(locks::take(&config.state_dir, *role)?);
    }
    let opened = Store::open_sqlite(&config.state_dir, SqliteOptions::default()).await;
    let store = opened.map_err(|source| RunError::Open {
        directory: config.state_dir.clone(),
        source,
    })?;
    ensure_default_type(&store).await?;
    let doorbell = Doorbell::shared(&config.state_dir).map_err(|source| RunError::Directory {
        path: config.state_dir.join("bells"),
        source,
    })?;
    let (drivers, target) = match config.has(RoleName::Volume) {
        true => (
            edges::open_drivers(&config)?,
            Some(edges::open_target(&config)),
        ),
        false => (BTreeMap::new(), None),
    };
    let backups = match config.has(RoleName::Volume) || config.has(RoleName::Backup) {
        true => edges::backup_engines(&config),
        false => BTreeMap::new(),
    };
    let ctx = Arc::new(Ctx {
        store: store.clone(),
        drivers,
        backups,
        target: target.as_ref().map(Exporting::target),
        host: config.host.clone(),
        availability_zone: config.availability_zone.clone(),
        quota: config.quota,
        doorbell,
        detach_policy: config.target.detach,
        mutual_chap: config.target.mutual_chap,
        gate: Default::default(),
        faults: faults(&config)?,
    });
    let tasks = TaskTracker::new();
    start_heartbeat(&config, &ctx, &tasks, &shutdown).await;
    start_backup_role(&config, &ctx, &tasks, &shutdown).await;
    let keeper = match target {
        Some(target) => start_volume_role(&ctx, target, config_path, &tasks, &shutdown).await?,
        None => None,
    };
    start_workers(&config, &ctx, &tasks, &shutdown);
    if config.has(RoleName::Api) {
        serve_api(&config, &ctx, &tasks, &shutdown).await?;
    }
    tracing::info!(state_dir = %config.state_dir.display(), roles = ?config.roles, "ready");
    let broken = tokio::select! {
        () = shutdown.cancelled() => None,
        cause = store.broken() => Some(cause),
    };
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;
    if let Some(keeper) = keeper {
        keeper.let_go().await;
    }
    store.close().await;
    drop(role_locks);
    broken.map_or(Ok(()), |cause| Err(RunError::Broken(cause)))
}

/// Serves exports over iSCSI until `shutdown`; the process that [`run`] starts beside itself.
pub async fn run_target(config: &Config, shutdown: CancellationToken) -> Result<(), RunError> {
    make_directory(&config.state_dir)?;
    let config = TargetConfig {
        state_dir: config.state_dir.clone(),
        listen: config.target.portals.clone(),
        portals: edges::portals(config),
        iqn_prefix: config.target.iqn_prefix.clone(),
    };
    Ok(target::iscsi::serve(config, shutdown).await?)
}

/// Ends the target process of a state directory, whatever it serves. When none is running, it is so already.
pub async fn stop_target(state_dir: &Path) -> Result<(), RunError> {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    let target = IscsiTarget::new(state_dir, "", Vec::new());
    match target.stop(false).await {
        Ok(_) => Ok(()),
        // Nobody holds the control socket, so there is no process.
        Err(target::TargetError::Unavailable { source, .. })
            if matches!(source.kind(), ConnectionRefused | NotFound) =>
        {
            Ok(())
        }
        Err(error) => Err(RunError::Target(error)),
    }
}

/// Every operation with its steps, for people and for the crash harness.
pub fn operations_json() -> serde_json::Value {
    let operation = |verb: &model::operation::Verb| {
        let steps: Vec<&str> = ops::plan(*verb)
            .map(|plan| plan.steps.iter().map(|step| step.name).collect())
            .unwrap_or_default();
        serde_json::json!({"operation": verb.as_str(), "steps": steps})
    };
    model::operation::Verb::ALL.iter().map(operation).collect()
}

/// As many open files as the system lets us have: every connection, reader of events and export is one.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files stays low; many connections at once will be refused");
        }
    }
}

fn make_directory(path: &Path) -> Result<(), RunError> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|source| RunError::Directory {
        path: path.to_owned(),
        source,
    })
}

async fn start_volume_role(
    ctx: &Arc<Ctx>,
    exporting: Exporting,
    config_path: PathBuf,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<Option<TargetKeeper>, RunError> {
    let keeper = match exporting {
        Exporting::Process(target) => {
            let keeper = TargetKeeper::start(target, config_path).await;
            Some(keeper.map_err(RunError::Target)?)
        }
        Exporting::Kernel(_) => None,
    };
    ops::recover::exports_match_the_record(ctx).await?;
    ops::report_pools::report(ctx).await;
    tasks.spawn(ops::report_pools::keep_reporting(
        Arc::clone(ctx),
        shutdown.clone(),
    ));
    match keeper.clone() {
        Some(keeper) => tasks.spawn(keeper.keep(Arc::clone(ctx), shutdown.clone())),
        None => tasks.spawn(keep_exports::keep(Arc::clone(ctx), shutdown.clone())),
    };
    Ok(keeper)
}

/// Before anything is placed: the first beat is written when this returns.
async fn start_heartbeat(
    config: &Config,
    ctx: &Arc<Ctx>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let mut runs = Vec::new();
    if config.has(RoleName::Scheduler) {
        runs.push((Binary::Scheduler, config.host.clone()));
        tasks.spawn(ops::messages::keep_forgetting(
            Arc::clone(ctx),
            shutdown.clone(),
        ));
        tasks.spawn(ops::run_backup_sets::keep_running(
            Arc::clone(ctx),
            shutdown.clone(),
        ));
    }
    for backend in ctx.drivers.keys() {
        runs.push((Binary::Volume, format!("{}@{backend}", config.host)));
    }
    if runs.is_empty() {
        return;
    }
    ops::heartbeat::beat(ctx, &runs).await;
    tasks.spawn(ops::heartbeat::keep_beating(
        Arc::clone(ctx),
        runs,
        shutdown.clone(),
    ));
}

/// Each store's service is up when this returns, unless its store takes long to open.
async fn start_backup_role(
    config: &Config,
    ctx: &Arc<Ctx>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) {
    if !config.has(RoleName::Backup) {
        return;
    }
    let mut opening = Vec::new();
    for store in ctx.backups.keys() {
        let (opened, is_open) = oneshot::channel();
        let (ctx, store) = (Arc::clone(ctx), store.clone());
        tasks.spawn(ops::backup_stores::keep(
            ctx,
            store,
            opened,
            shutdown.clone(),
        ));
        opening.push(is_open);
    }
    let all = async {
        for is_open in opening {
            let _gone = is_open.await;
        }
    };
    let patience = ops::backup_stores::START_WAITS;
    if tokio::time::timeout(patience, all).await.is_err() {
        tracing::warn!("not every backup store is open yet; their services come up when they are");
    }
}

fn start_workers(
    config: &Config,
    ctx: &Arc<Ctx>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let mut queues = Vec::new();
    if config.has(RoleName::Scheduler) {
        queues.push(Queue::scheduler());
    }
    if config.has(RoleName::Volume) {
        for backend in ctx.drivers.keys() {
            let service = format!("{}@{backend}", config.host);
            queues.extend(Lane::ALL.map(|lane| Queue::lane(&service, lane)));
        }
    }
    if config.has(RoleName::Backup) {
        for store in ctx.backups.keys() {
            let service = format!("{}@{store}", config.host);
            queues.push(Queue::backup(&service));
            queues.push(Queue::look(&service));
        }
    }
    tasks.spawn(ops::run_worker(Arc::clone(ctx), queues, shutdown.clone()));
}

async fn serve_api(
    config: &Config,
    ctx: &Arc<Ctx>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<(), RunError> {
    let auth = match config.api.auth {
        Auth::Token => api::AuthMode::Token,
        Auth::None => api::AuthMode::None,
    };
    let listen = api::server::Listen {
        unix: Some((config.api.unix.clone(), 0o600)),
        tcp: config.api.listen,
    };
    let server = api::server::Server::bind(&listen, auth).await?;
    if let Some(address) = server.tcp_address() {
        // With port 0 configured, this is how others learn where.
        let path = config.state_dir.join("api.addr");
        std::fs::write(&path, address.to_string())
            .map_err(|source| RunError::Directory { path, source })?;
        tracing::info!(%address, "listening");
    }
    let state = api::State {
        ctx: Arc::clone(ctx),
        auth,
        public_endpoint: None,
        metrics: match config.api.metrics {
            Metrics::Admin => api::MetricsFor::Administrators,
            Metrics::Loopback => api::MetricsFor::Loopback,
        },
    };
    tasks.spawn(ops::measure::keep_folding(shutdown.clone()));
    tasks.spawn(ops::prune::keep_pruning(Arc::clone(ctx), shutdown.clone()));
    tasks.spawn(server.run(api::Door::new(api::Api::new(state)), shutdown.clone()));
    Ok(())
}

/// Volumes without a type get `__DEFAULT__`; it always exists, as in Cinder.
async fn ensure_default_type(store: &Store) -> Result<(), RunError> {
    let default = VolumeType {
        id: VolumeTypeId::random(),
        name: DEFAULT_TYPE_NAME.to_owned(),
        description: Some("Default Volume Type".to_owned()),
        is_public: true,
        extra_specs: BTreeMap::new(),
        qos_specs_id: None,
        encryption: None,
        created_at: Time::now(),
        updated_at: None,
    };
    let mut batch = Batch::new();
    batch.add(
        volume_types::INSERT_IF_ABSENT,
        volume_types::insert_values(&default),
    );
    match store.write(batch).await {
        // A full disk keeps what is there readable, and the type is there after the first start.
        Ok(()) | Err(StoreError::Full(_)) => Ok(()),
        Err(source) => Err(RunError::Domain(error::Error::Store {
            doing: "written",
            source,
        })),
    }
}

#[cfg(not(feature = "faults"))]
fn faults(_: &Config) -> Result<Faults, RunError> {
    Ok(Faults)
}

#[cfg(feature = "faults")]
fn faults(config: &Config) -> Result<Faults, RunError> {
    match &config.faults {
        None => Ok(Faults::default()),
        Some((at, action)) => Faults::new(at, action).ok_or_else(|| RunError::Fault {
            action: action.clone(),
        }),
    }
}
