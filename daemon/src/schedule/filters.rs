//! The filters in their order. Each looks at one pool and one request and at nothing else.

use super::capacity::{self, gib_f64};
use super::explanation::Verdict;
use super::{Need, Request, capabilities};
use crate::model::pool::Pool;
use crate::model::size::gib_from_bytes;

/// Physically free space below which nothing new comes to a pool, as a share of it: what is left is for the volumes
/// that are there and still growing.
const GUARD_PERCENT: f64 = 5.0;
/// But no more than this: on a large disk 5 % is room for many volumes. Who wants more sets `reserved_percentage`.
const GUARD_GIB_MAX: f64 = 32.0;

/// Every filter's verdict on `pool`.
pub(super) fn verdicts(pool: &Pool, request: &Request) -> Vec<Verdict> {
    let mut verdicts = vec![
        is_up(pool, request),
        is_only_choice(pool, request),
        availability_zone(pool, request),
        capacity::filter(pool, request),
        physical_space(pool, request),
        capabilities::filter(pool, &request.extra_specs),
        online_extend(pool, request),
        is_enabled(pool, request),
    ];
    if let Some(left) = &request.leaves_pool {
        verdicts.push(is_elsewhere(pool, left));
    }
    verdicts
}

/// A pool that does not report is not used, however good its last report was; nor one whose service is silent.
fn is_up(pool: &Pool, request: &Request) -> Verdict {
    let age_s = request.asked_at.seconds_since(&pool.reported_at);
    let silent = pool.service.as_ref().filter(|service| !service.is_up);
    let why = match silent {
        Some(service) => format!(
            "is down: its service was last heard {:.0} s ago",
            request.asked_at.seconds_since(&service.heard_at)
        ),
        None if pool.is_up => format!("reported {age_s:.0} s ago"),
        None => format!("is down: its last report is {age_s:.0} s old"),
    };
    let passed = pool.is_up && silent.is_none();
    Verdict::new("ServiceUpFilter", passed, why).with(vec![("report_age_s", age_s)])
}

/// The administrator's word: a disabled service gets no new volumes, but those it has may grow; a frozen one gets
/// neither.
fn is_enabled(pool: &Pool, request: &Request) -> Verdict {
    const NAME: &str = "ServiceEnabledFilter";
    let Some(service) = &pool.service else {
        return Verdict::new(NAME, true, "is of a service not heard yet".to_owned());
    };
    let is_new = matches!(request.need, Need::New { .. });
    let refused = if service.is_frozen {
        Some(format!("is frozen with its service {}", service.host))
    } else if service.is_disabled && is_new {
        let host = &service.host;
        Some(match &service.disabled_reason {
            Some(reason) => format!("is of the service {host}, which is disabled ({reason})"),
            None => format!("is of the service {host}, which is disabled"),
        })
    } else {
        None
    };
    let passed = refused.is_none();
    Verdict::new(
        NAME,
        passed,
        refused.unwrap_or_else(|| "is of an enabled service".to_owned()),
    )
}

/// Copies are placed beside their source, and a volume grows where it is.
fn is_only_choice(pool: &Pool, request: &Request) -> Verdict {
    let passed = request
        .only_pool
        .as_ref()
        .is_none_or(|only| *only == pool.address);
    let why = match &request.only_pool {
        None => "is one of all".to_owned(),
        Some(_) if passed => "is the only choice".to_owned(),
        Some(only) => format!("is not {only}, the only choice"),
    };
    Verdict::new("OnlyPoolFilter", passed, why)
}

/// A volume moves to another pool, and one of the same host: its volume service reads and writes both.
fn is_elsewhere(pool: &Pool, left: &str) -> Verdict {
    let host = |address: &str| address.split_once('@').map(|(host, _)| host.to_owned());
    let (passed, why) = if pool.address == left {
        (false, "is the pool that the volume leaves")
    } else if host(&pool.address) == host(left) {
        (true, "is another pool of the same host")
    } else {
        (
            false,
            "is of another host, to which this version cannot move a volume",
        )
    };
    Verdict::new("MoveFilter", passed, why.to_owned())
}

/// The owner's zone and the type's list of zones must both allow the pool's zone.
fn availability_zone(pool: &Pool, request: &Request) -> Verdict {
    const ZONES: &str = "RESKEY:availability_zones";
    let zone = &pool.availability_zone;
    let owner_allows = request
        .availability_zone
        .as_ref()
        .is_none_or(|wanted| wanted == zone);
    let type_allows = request
        .extra_specs
        .get(ZONES)
        .is_none_or(|zones| zones.split(',').any(|allowed| allowed.trim() == zone));
    let why = match (&request.availability_zone, request.extra_specs.get(ZONES)) {
        (Some(wanted), _) if !owner_allows => {
            format!("is in availability zone {zone}, not in {wanted}")
        }
        (_, Some(zones)) if !type_allows => {
            format!("is in availability zone {zone}, but the type wants one of {zones}")
        }
        (_, _) => format!("is in availability zone {zone}"),
    };
    Verdict::new("AvailabilityZoneFilter", owner_allows && type_allows, why)
}

/// What Cinder does not look at: the space that is really free.
///
/// What will be written at once must fit beside a guard: all of a thick volume, the bytes to be copied of a thin one
/// (none where the pool shares blocks with the source, which lies in it), nothing of an empty thin one. The guard is the larger of the pool's reserve
/// and of 5 % of the pool (32 GiB at most). A pool that is down to its guard takes nothing new at all.
fn physical_space(pool: &Pool, request: &Request) -> Verdict {
    let report = &pool.report;
    let total_gib = gib_from_bytes(report.total_bytes);
    let free_gib = gib_from_bytes(report.free_bytes);
    let reserved_gib = capacity::reserved_gib(report);
    let guard_gib = reserved_gib.max((total_gib * GUARD_PERCENT / 100.0).min(GUARD_GIB_MAX));
    let usable_gib = free_gib - guard_gib;
    let shares_blocks = request.leaves_pool.is_none()
        && report
            .capabilities
            .get("reflink")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let is_thin = capacity::is_thin(report, request);
    let written_gib = match (is_thin, shares_blocks) {
        (false, _) => gib_f64(request.added_gib()),
        (true, true) => 0.0,
        (true, false) => gib_from_bytes(request.copied_bytes),
    };
    let is_in_place = request.need == Need::InPlace;
    let passed = is_in_place || (usable_gib > 0.0 && usable_gib >= written_gib);
    let why = if passed {
        format!("has {free_gib:.2} GiB physically free, {guard_gib:.2} of them kept back")
    } else if usable_gib <= 0.0 {
        format!(
            "has only {free_gib:.2} of {total_gib:.2} GiB physically free, and keeps {guard_gib:.2} back"
        )
    } else {
        format!(
            "has {usable_gib:.2} GiB physically free beside the {guard_gib:.2} it keeps back, but {written_gib:.2} would be written at once"
        )
    };
    Verdict::new("PhysicalSpaceFilter", passed, why).with(vec![
        ("total_gib", total_gib),
        ("free_gib", free_gib),
        ("guard_gib", guard_gib),
        ("usable_gib", usable_gib),
        ("written_gib", written_gib),
    ])
}

/// A part of Cinder's CapabilitiesFilter: a volume that a host uses grows only where the driver can do that.
fn online_extend(pool: &Pool, request: &Request) -> Verdict {
    let is_online = match request.need {
        Need::New { .. } | Need::InPlace => false,
        Need::Extend { is_attached, .. } => is_attached,
    };
    let passed = !is_online || pool.report.online_extend_support;
    let why = if passed {
        "can grow the volume in its present state".to_owned()
    } else {
        "cannot grow a volume that is attached; detach it first".to_owned()
    };
    Verdict::new("OnlineExtendFilter", passed, why)
}
