//! Which backup service takes what, what the stores are, and the keeping of one: it is opened at the start, and its service
//! is up from then on.
//!
//! Each store that a process with the role `backup` reaches is a service `cinder-backup` at `host@store`. One that cannot
//! be opened is a warning, its service is not up, and whoever asks for it hears 503; it is tried again until it can.

use super::edges::engine_of;
use super::{Ctx, heartbeat, only_for_admins, report_store, unreadable};
use crate::driver::Work;
use crate::error::{Error, Refusal, chain};
use crate::model::backup::StoreKind;
use crate::model::backup_store::{BackupStore, store_name};
use crate::model::caller::Caller;
use crate::model::service::{Binary, Service};
use crate::store::operations::{self, Place};
use crate::store::{backup_stores as stored, services};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// The store that is meant when none is named, if there is one of this name; else the first.
const DEFAULT_STORE: &str = "default";

/// How long a start waits for the stores to open; then it goes on, and they open when they can.
pub const START_WAITS: Duration = Duration::from_secs(10);
/// How long a store may take to open: a new one derives its key from the password, which is meant to be slow, and a server
/// of files may be starting itself.
const OPEN_WITHIN: Duration = Duration::from_secs(300);
/// When a store that could not be opened is tried again.
const OPEN_AGAIN: Duration = Duration::from_secs(30);

/// What is asked of a backup service.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    /// A store by name; any when absent.
    pub(super) store: Option<&'a str>,
    /// A zone; any when absent.
    pub(super) availability_zone: Option<&'a str>,
    /// The host that comes first, if its service will do.
    pub(super) near: Option<&'a str>,
    /// Whether something is to be stored in it.
    pub(super) for_storing: bool,
}

/// A backup service that is up, enabled and what is wanted.
pub(super) async fn find(ctx: &Ctx, wanted: Wanted<'_>) -> Result<Service, Error> {
    let all = services::list(&ctx.store).await.map_err(unreadable)?;
    let will_do = |one: &Service| {
        one.binary == Binary::Backup
            && one.is_up
            && !one.is_disabled
            && wanted
                .store
                .is_none_or(|store| store == store_name(&one.host))
            && (wanted.availability_zone).is_none_or(|zone| zone == one.availability_zone)
            && !(wanted.for_storing && is_read_only(one))
    };
    if let Some(store) = wanted.store
        && wanted.for_storing
        && all
            .iter()
            .any(|one| store_name(&one.host) == store && is_read_only(one))
    {
        return Err(only_read(store));
    }
    let is_near = |one: &Service| {
        let host = one.host.split_once('@').map_or("", |(host, _)| host);
        wanted
            .near
            .is_some_and(|near| near == host || near == one.host)
    };
    // By name after that, so that it is the same one each time.
    let best = all.into_iter().filter(will_do).min_by_key(|one| {
        let store = store_name(&one.host).to_owned();
        (
            store != DEFAULT_STORE,
            store,
            !is_near(one),
            one.host.clone(),
        )
    });
    best.ok_or_else(|| none_is_up(wanted))
}

/// The one store of this kind.
pub(super) async fn of_kind(ctx: &Ctx, kind: StoreKind) -> Result<Service, Error> {
    let all = services::list(&ctx.store).await.map_err(unreadable)?;
    let is_of_it = |one: &&Service| one.is_up && !one.is_disabled && one.store_kind == Some(kind);
    let stores = all.iter().filter(is_of_it).map(|one| store_name(&one.host));
    let stores: BTreeSet<&str> = stores.collect();
    let kind = kind.as_str();
    let mut stores = stores.into_iter();
    match (stores.next(), stores.next()) {
        (Some(store), None) => {
            let wanted = Wanted {
                store: Some(store),
                ..Wanted::default()
            };
            find(ctx, wanted).await
        }
        (None, _) => Err(Error::NoService {
            binary: Binary::Backup.as_str(),
            why: format!(
                "No backup store of the kind {kind} is up and enabled; a [[backup_store]] in the configuration makes one."
            ),
        }),
        (Some(one), Some(other)) => Err(Error::Refused(Refusal::Rule {
            why: format!(
                "The record does not say which backup store it is of, and {one} and {other} are both of the kind {kind}; disable the services of all but the one that has it."
            ),
        })),
    }
}

/// Whether nothing is ever written to the store of a service.
fn is_read_only(service: &Service) -> bool {
    service.store_kind.is_some_and(StoreKind::is_read_only)
}

fn only_read(store: &str) -> Error {
    Error::Refused(Refusal::Rule {
        why: format!(
            "Invalid backup: the backup store {store} is only read, since what is in it is another program's; name another store, or none."
        ),
    })
}

/// Every store that a backup service ever asked, as it was last told; for administrators.
pub async fn list(ctx: &Ctx, caller: &Caller) -> Result<Vec<BackupStore>, Error> {
    only_for_admins(caller, "backup_store:get_all")?;
    stored::list(&ctx.store).await.map_err(unreadable)
}

/// The store that is named as `host@store`, or as `store`: of several services of that name the first that is up.
pub async fn get(ctx: &Ctx, caller: &Caller, named: &str) -> Result<BackupStore, Error> {
    only_for_admins(caller, "backup_store:get")?;
    let all = stored::list(&ctx.store).await.map_err(unreadable)?;
    let is_it = |one: &BackupStore| one.host == named || one.name() == named;
    let found = all.into_iter().filter(is_it).min_by_key(|one| !one.is_up());
    found.ok_or_else(|| Error::NotFound {
        noun: "Backup store",
        id: named.to_owned(),
    })
}

/// The service of a store that is named as in [`get`]; it must be up and enabled.
pub(super) async fn service_of(ctx: &Ctx, caller: &Caller, named: &str) -> Result<Service, Error> {
    let service = get(ctx, caller, named).await?.service;
    let takes_work = |one: &Service| one.is_up && !one.is_disabled;
    service.filter(takes_work).ok_or_else(|| {
        none_is_up(Wanted {
            store: Some(named),
            ..Wanted::default()
        })
    })
}

fn none_is_up(wanted: Wanted<'_>) -> Error {
    let zone = wanted
        .availability_zone
        .map(|zone| format!(" in the zone {zone}"))
        .unwrap_or_default();
    let why = match wanted.store {
        Some(store) => format!("No service of the backup store {store} is up and enabled{zone}."),
        None => format!(
            "No backup store is up and enabled{zone}; a [[backup_store]] in the configuration makes one."
        ),
    };
    Error::NoService {
        binary: Binary::Backup.as_str(),
        why,
    }
}

/// Opens the store, making it if nothing is there, however often that takes; says from then on that its service is up and
/// what it reports, until `shutdown`. `opened` hears when that was said for the first time.
pub async fn keep(
    ctx: Arc<Ctx>,
    store: String,
    opened: oneshot::Sender<()>,
    shutdown: CancellationToken,
) {
    let opening = async {
        while !open(&ctx, &store).await {
            tokio::time::sleep(OPEN_AGAIN).await;
        }
    };
    if shutdown.run_until_cancelled(opening).await.is_none() {
        return;
    }
    // A start that did not wait for it is no reason to stop.
    let _unheard = opened.send(());
    let Some(engine) = ctx.backups.get(&store) else {
        return;
    };
    let host = format!("{}@{store}", ctx.host);
    let reporting = report_store::keep_reporting(&ctx, &host, engine.as_ref());
    let beating = heartbeat::keep_beating(Arc::clone(&ctx), runs(&ctx, &store), shutdown.clone());
    tokio::join!(shutdown.run_until_cancelled(reporting), beating);
}

/// Opens the store and says that its service is up; whether it could be opened.
pub(super) async fn open(ctx: &Ctx, store: &str) -> bool {
    let Some(engine) = ctx.backups.get(store) else {
        return false;
    };
    let host = format!("{}@{store}", ctx.host);
    let is_open = report_store::report(ctx, &host, engine.as_ref(), OPEN_WITHIN).await;
    if is_open {
        heartbeat::beat(ctx, &runs(ctx, store)).await;
    }
    is_open
}

fn runs(ctx: &Ctx, store: &str) -> Vec<(Binary, String)> {
    vec![(Binary::Backup, format!("{}@{store}", ctx.host))]
}

/// Gives back the room of what was removed, unless something else waits in the service's queue that will do it. What
/// cannot be given back now will be another time, so this does not fail.
pub(super) async fn prune(ctx: &Ctx, store: &str, queue: &str, work: &Work) {
    let waiting = operations::live(&ctx.store, queue, &Place::default(), 2).await;
    if waiting.is_ok_and(|part| part.operations.len() > 1) {
        return;
    }
    let Ok(engine) = engine_of(ctx, store) else {
        return;
    };
    if engine.kind().is_read_only() {
        return;
    }
    match engine.prune(work).await {
        Ok(freed_bytes) => tracing::info!(store, freed_bytes, "backup store pruned"),
        Err(error) => tracing::warn!(
            store,
            error = chain(&error),
            "the backup store was not pruned; the next delete tries again"
        ),
    }
}
