//! METERS: what is counted and timed, under which names; the only file that names the metrics crates.
//!
//! The table [`METRICS`] is the documentation, `docs/metrics.md` is printed from it, and a test holds what is really
//! written to it. Labels take values from small sets only: route templates and never paths, verbs, statuses, the
//! configured pools and services; no id, project or name of a client's ever is one.
//!
//! Counters and times are of this process; what the record says is asked when somebody reads (`ops/measure.rs`).
//! Nothing here fails: a meter is a courtesy.

#[cfg(test)]
mod tests;

use crate::model::operation::{Phase, Verb};
use crate::store::StoreError;
use ::metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use std::time::Duration;

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the process ends.
    Counter,
    /// As it is now.
    Gauge,
    /// How many took up to how long.
    Histogram,
}

/// A metric by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// As Prometheus knows it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// By what it is split.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub says: &'static str,
}

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    says: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        says,
    }
}

const HTTP_REQUESTS: &str = "ashlar_http_requests_total";
const HTTP_SECONDS: &str = "ashlar_http_request_seconds";
const OPERATIONS: &str = "ashlar_operations_total";
const OPERATION_SECONDS: &str = "ashlar_operation_seconds";
const QUEUED: &str = "ashlar_queue_operations";
const WRITES: &str = "ashlar_record_writes_total";
const WRITE_SECONDS: &str = "ashlar_record_write_seconds";
const READ_SECONDS: &str = "ashlar_record_read_seconds";
const RECORD_UP: &str = "ashlar_record_up";
const RECORD_WRITABLE: &str = "ashlar_record_writable";
const POOL_TOTAL: &str = "ashlar_pool_total_bytes";
const POOL_FREE: &str = "ashlar_pool_free_bytes";
const POOL_PROVISIONED: &str = "ashlar_pool_provisioned_bytes";
const POOL_VOLUMES: &str = "ashlar_pool_volumes";
const POOL_UP: &str = "ashlar_pool_up";
const SERVICE_UP: &str = "ashlar_service_up";
const SERVICE_ENABLED: &str = "ashlar_service_enabled";
const VOLUMES: &str = "ashlar_volumes";
const TARGET_UP: &str = "ashlar_target_up";
const TARGET_EXPORTS: &str = "ashlar_target_exports";
const TARGET_SESSIONS: &str = "ashlar_target_sessions";
const BUILD: &str = "ashlar_build_info";

/// Every metric.
pub const METRICS: &[Metric] = &[
    metric(
        HTTP_REQUESTS,
        Kind::Counter,
        &["route", "method", "code"],
        "Requests answered, by the route's template; `-` when no route was reached.",
    ),
    metric(
        HTTP_SECONDS,
        Kind::Histogram,
        &["route", "method"],
        "How long answers took.",
    ),
    metric(
        OPERATIONS,
        Kind::Counter,
        &["verb", "phase"],
        "Operations that ended in this process: done, failed or cancelled.",
    ),
    metric(
        OPERATION_SECONDS,
        Kind::Histogram,
        &["verb", "phase"],
        "From the request to the end of the operation.",
    ),
    metric(
        QUEUED,
        Kind::Gauge,
        &["queue", "phase"],
        "Operations that are not over, by the queue that has them.",
    ),
    metric(
        WRITES,
        Kind::Counter,
        &["outcome"],
        "Batches given to the record: `ok`, `refused` by a guard, `failed`.",
    ),
    metric(
        WRITE_SECONDS,
        Kind::Histogram,
        &[],
        "From giving a batch to the record to its commit.",
    ),
    metric(
        READ_SECONDS,
        Kind::Histogram,
        &[],
        "How long reads of the record took.",
    ),
    metric(
        RECORD_UP,
        Kind::Gauge,
        &[],
        "1 when the record could be read just now. When 0, what is asked of it is as old as its last 1.",
    ),
    metric(
        RECORD_WRITABLE,
        Kind::Gauge,
        &[],
        "0 while the disk under the record is full.",
    ),
    metric(POOL_TOTAL, Kind::Gauge, &["pool"], "What is there in all."),
    metric(
        POOL_FREE,
        Kind::Gauge,
        &["pool"],
        "What is physically free.",
    ),
    metric(
        POOL_PROVISIONED,
        Kind::Gauge,
        &["pool"],
        "The sizes of the volumes and snapshots in it.",
    ),
    metric(POOL_VOLUMES, Kind::Gauge, &["pool"], "The volumes in it."),
    metric(
        POOL_UP,
        Kind::Gauge,
        &["pool"],
        "1 while its reports are recent.",
    ),
    metric(
        SERVICE_UP,
        Kind::Gauge,
        &["binary", "host"],
        "1 while the service is heard.",
    ),
    metric(
        SERVICE_ENABLED,
        Kind::Gauge,
        &["binary", "host"],
        "0 while the administrator has it disabled or frozen.",
    ),
    metric(VOLUMES, Kind::Gauge, &["status"], "Volumes, by status."),
    metric(
        TARGET_UP,
        Kind::Gauge,
        &[],
        "1 when this host's target answered just now.",
    ),
    metric(
        TARGET_EXPORTS,
        Kind::Gauge,
        &[],
        "Volumes that the target serves.",
    ),
    metric(
        TARGET_SESSIONS,
        Kind::Gauge,
        &[],
        "Hosts that are logged in.",
    ),
    metric(
        BUILD,
        Kind::Gauge,
        &["version"],
        "Always 1; which version runs.",
    ),
];

/// From below what an answer out of memory takes to what a client gives up on.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];
/// Operations go on to hours of copying.
const LONG_SECONDS: &[f64] = &[
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 7200.0,
    43200.0,
];

/// The meters of this process, there from the first use on.
fn meters() -> &'static PrometheusHandle {
    static METERS: OnceLock<PrometheusHandle> = OnceLock::new();
    METERS.get_or_init(|| {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        // Nobody else sets one; if somebody did, our page would be empty and nothing worse.
        let _ = ::metrics::set_global_recorder(recorder);
        for one in METRICS {
            match one.kind {
                Kind::Counter => ::metrics::describe_counter!(one.name, one.says),
                Kind::Gauge => ::metrics::describe_gauge!(one.name, one.says),
                Kind::Histogram => ::metrics::describe_histogram!(one.name, one.says),
            }
        }
        gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        handle
    })
}

fn builder() -> PrometheusBuilder {
    let long = Matcher::Full(OPERATION_SECONDS.to_owned());
    let others = Matcher::Suffix("_seconds".to_owned());
    // The bounds are constants in order, which is all that can be wrong with them.
    PrometheusBuilder::new()
        .set_buckets_for_metric(long, LONG_SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(others, SECONDS))
        .unwrap_or_default()
}

/// The page that Prometheus reads.
pub fn render() -> String {
    meters().render()
}

/// Folds what was timed into its histograms; to be called every few seconds, so that it does not pile up when nobody
/// reads.
pub fn fold() {
    meters().run_upkeep();
}

/// A request was answered.
pub fn answered(route: &str, method: &'static str, code: u16, took: Duration) {
    meters();
    let route = route.to_owned();
    counter!(HTTP_REQUESTS, "route" => route.clone(), "method" => method, "code" => code.to_string())
        .increment(1);
    histogram!(HTTP_SECONDS, "route" => route, "method" => method).record(took);
}

/// An operation ended.
pub fn operation_ended(verb: Verb, phase: Phase, took_s: f64) {
    meters();
    let (verb, phase) = (verb.as_str(), phase.as_str());
    counter!(OPERATIONS, "verb" => verb, "phase" => phase).increment(1);
    histogram!(OPERATION_SECONDS, "verb" => verb, "phase" => phase).record(took_s);
}

/// A batch was written, or was not.
pub fn written(outcome: &Result<(), StoreError>, took: Duration) {
    meters();
    let word = match outcome {
        Ok(()) => "ok",
        Err(StoreError::Conflict { .. } | StoreError::Taken { .. }) => "refused",
        Err(_) => "failed",
    };
    counter!(WRITES, "outcome" => word).increment(1);
    histogram!(WRITE_SECONDS).record(took);
}

/// The record was read.
pub fn read(took: Duration) {
    meters();
    histogram!(READ_SECONDS).record(took);
}

/// Whether the record answers, and takes writes.
pub fn record_is(up: bool, writable: bool) {
    meters();
    gauge!(RECORD_UP).set(one_if(up));
    gauge!(RECORD_WRITABLE).set(one_if(writable));
}

/// How many operations a queue has in a phase.
pub fn queued(queue: &str, phase: Phase, count: i64) {
    gauge!(QUEUED, "queue" => queue.to_owned(), "phase" => phase.as_str()).set(number(count));
}

/// A pool as it last said of itself, and what the record adds.
pub fn pool(pool: &crate::model::pool::Pool) {
    const GIB: i64 = 1 << 30;
    let set = |name: &'static str, value: f64| {
        gauge!(name, "pool" => pool.address.clone()).set(value);
    };
    set(POOL_TOTAL, bytes(pool.report.total_bytes));
    set(POOL_FREE, bytes(pool.report.free_bytes));
    set(
        POOL_PROVISIONED,
        number(pool.provisioned_gib.saturating_mul(GIB)),
    );
    set(POOL_VOLUMES, number(pool.total_volumes));
    set(POOL_UP, one_if(pool.is_up));
}

/// A service as it was last heard, and what was decided about it.
pub fn service(service: &crate::model::service::Service) {
    let set = |name: &'static str, value: f64| {
        let (binary, host) = (service.binary.as_str(), service.host.clone());
        gauge!(name, "binary" => binary, "host" => host).set(value);
    };
    set(SERVICE_UP, one_if(service.is_up));
    set(
        SERVICE_ENABLED,
        one_if(!service.is_disabled && !service.is_frozen),
    );
}

/// How many volumes have a status.
pub fn volumes(status: &'static str, count: i64) {
    gauge!(VOLUMES, "status" => status).set(number(count));
}

/// What the target serves to how many; `None` when it does not answer.
pub fn target(serves: Option<(usize, usize)>) {
    gauge!(TARGET_UP).set(one_if(serves.is_some()));
    let (exports, sessions) = match serves {
        Some((exports, sessions)) => (count(exports), count(sessions)),
        None => (f64::NAN, f64::NAN),
    };
    gauge!(TARGET_EXPORTS).set(exports);
    gauge!(TARGET_SESSIONS).set(sessions);
}

fn one_if(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

fn count(count: usize) -> f64 {
    number(i64::try_from(count).unwrap_or(i64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "a meter is exact up to 2^53")]
fn number(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "a meter is exact up to 2^53")]
fn bytes(bytes: u64) -> f64 {
    bytes as f64
}
