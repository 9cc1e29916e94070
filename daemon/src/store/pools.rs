//! Pools in the record: each volume service writes what its backends last said; the scheduler reads it.

use super::Store;
use super::batch::{Query, Row, Sql, StoreError, Value};
use super::json::{map_text, read_map};
use super::services;
use crate::model::pool::{Pool, PoolReport};
use crate::model::service::{Binary, Service, service_host};
use crate::model::time::Time;
use serde_json::json;
use std::time::Duration;

/// A pool whose report is older than this is down (Cinder's `service_down_time`).
pub const DOWN_AFTER: Duration = Duration::from_secs(60);

const LIST: Sql = Sql {
    name: "pools.list",
    text: "SELECT p.address, p.availability_zone, p.report, p.reported_at, \
           COALESCE(u.volumes_gib + u.snapshots_gib, 0), COALESCE(u.volumes, 0), COALESCE(u.volumes_gib, 0) \
           FROM pools p LEFT JOIN pool_usages u ON u.address = p.address ORDER BY p.address",
};

/// Parameters: [`report_values`].
pub const REPORT: Sql = Sql {
    name: "pools.report",
    text: "INSERT INTO pools (address, availability_zone, report, reported_at) VALUES ($1, $2, $3, $4) \
           ON CONFLICT (address) DO UPDATE SET availability_zone = excluded.availability_zone, \
           report = excluded.report, reported_at = excluded.reported_at",
};

pub(super) const ALL: &[Sql] = &[LIST, REPORT];

/// Every pool that ever reported, with what the record says lies in it.
pub async fn list(store: &Store) -> Result<Vec<Pool>, StoreError> {
    let queries = vec![Query::of(LIST, Vec::new()), services::query()];
    let answers = store.read(queries).await?;
    let [rows, services] = &answers[..] else {
        return Err(StoreError::Unreadable { column: 0 });
    };
    let services = services::read_all(services)?;
    let now = Time::now();
    let with_service = |row| {
        let mut pool = read(row, &now)?;
        let host = service_host(&pool.address);
        let runs = |one: &&Service| one.binary == Binary::Volume && one.host == host;
        pool.service = services.iter().find(runs).cloned();
        Ok(pool)
    };
    rows.iter().map(with_service).collect()
}

/// The parameters of [`REPORT`].
pub fn report_values(address: &str, availability_zone: &str, report: &PoolReport) -> Vec<Value> {
    let text = json!({
        "pool": report.pool,
        "total_bytes": report.total_bytes,
        "free_bytes": report.free_bytes,
        "reserved_percentage": report.reserved_percentage,
        "max_over_subscription_ratio": report.max_over_subscription_ratio,
        "thin_provisioning_support": report.thin_provisioning_support,
        "thick_provisioning_support": report.thick_provisioning_support,
        "online_extend_support": report.online_extend_support,
        "multiattach": report.multiattach,
        "capabilities": map_text(&report.capabilities),
    });
    vec![
        address.into(),
        availability_zone.into(),
        text.to_string().into(),
        Time::now().as_str().into(),
    ]
}

fn read(row: &Row, now: &Time) -> Result<Pool, StoreError> {
    let reported_at = Time::from_stored(row.text(3)?.to_owned());
    Ok(Pool {
        address: row.text(0)?.to_owned(),
        availability_zone: row.text(1)?.to_owned(),
        report: row.parsed(2, read_report)?,
        provisioned_gib: row.int(4)?,
        total_volumes: row.int(5)?,
        allocated_gib: row.int(6)?,
        is_up: now.seconds_since(&reported_at) <= DOWN_AFTER.as_secs_f64(),
        reported_at,
        service: None,
    })
}

fn read_report(text: &str) -> Option<PoolReport> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let flag = |name: &str| value.get(name)?.as_bool();
    Some(PoolReport {
        pool: value.get("pool")?.as_str()?.to_owned(),
        total_bytes: value.get("total_bytes")?.as_u64()?,
        free_bytes: value.get("free_bytes")?.as_u64()?,
        reserved_percentage: u8::try_from(value.get("reserved_percentage")?.as_u64()?).ok()?,
        max_over_subscription_ratio: value.get("max_over_subscription_ratio")?.as_f64()?,
        thin_provisioning_support: flag("thin_provisioning_support")?,
        thick_provisioning_support: flag("thick_provisioning_support")?,
        online_extend_support: flag("online_extend_support")?,
        multiattach: flag("multiattach")?,
        capabilities: read_map(value.get("capabilities")?.as_str()?)?,
    })
}
