//! Worked numbers for every rule, and what must hold for any pools.

use super::*;
use crate::model::id::ServiceId;
use crate::model::pool::PoolReport;
use crate::model::service::{Binary, Service};
use crate::model::size::GIB;
use proptest::prelude::*;

fn time(seconds: u32) -> Time {
    Time::from_stored(format!(
        "2026-11-22T18:{:02}:{:02}.000000",
        seconds / 60,
        seconds % 60
    ))
}

/// 100 GiB, 80 of them free, 30 provisioned, thin and thick, ratio 2.
fn pool(address: &str) -> Pool {
    Pool {
        address: address.to_owned(),
        availability_zone: "nova".to_owned(),
        report: PoolReport {
            pool: "pool".to_owned(),
            total_bytes: 100 * GIB,
            free_bytes: 80 * GIB,
            reserved_percentage: 0,
            max_over_subscription_ratio: 2.0,
            thin_provisioning_support: true,
            thick_provisioning_support: true,
            online_extend_support: true,
            multiattach: true,
            capabilities: BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]),
        },
        provisioned_gib: 30,
        allocated_gib: 30,
        total_volumes: 3,
        reported_at: time(0),
        is_up: true,
        service: None,
    }
}

/// The same pool, its service changed by `change`.
fn pool_with(change: impl FnOnce(&mut Service)) -> Pool {
    let mut service = Service {
        id: ServiceId::random(),
        binary: Binary::Volume,
        host: "h@b".to_owned(),
        availability_zone: "nova".to_owned(),
        is_disabled: false,
        disabled_reason: None,
        is_frozen: false,
        created_at: time(0),
        heard_at: time(0),
        changed_at: None,
        is_up: true,
        store_kind: None,
    };
    change(&mut service);
    Pool {
        service: Some(service),
        ..pool("h@b#p")
    }
}

fn gib(gib: i64) -> Gib {
    Gib::new(gib).unwrap()
}

fn new_volume(size_gib: i64, specs: &[(&str, &str)]) -> Request {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let specs = specs.iter().map(owned).collect();
    Request {
        asked_at: time(30),
        ..Request::create(gib(size_gib), None, specs, None)
    }
}

/// The filters that fail `pool`.
fn failed(pool: Pool, request: &Request) -> Vec<&'static str> {
    let placement = place(request, &[pool]);
    let verdicts = &placement.explanation.pools[0].verdicts;
    assert_eq!(verdicts.len(), 8, "every filter speaks");
    let failed = verdicts.iter().filter(|verdict| !verdict.passed);
    failed.map(|verdict| verdict.filter).collect()
}

const NOTHING: [&str; 0] = [];
const THICK: (&str, &str) = ("provisioning:type", "thick");

#[test]
fn thin_room_is_the_unreserved_total_times_the_ratio_less_the_provisioned() {
    // 100 × 2 − 30 = 170
    assert_eq!(failed(pool("a"), &new_volume(170, &[])), NOTHING);
    assert_eq!(failed(pool("a"), &new_volume(171, &[])), ["CapacityFilter"]);
    // ⌊100 × 7 / 100⌋ = 7; 93 × 2 − 30 = 156
    let mut reserving = pool("a");
    reserving.report.reserved_percentage = 7;
    assert_eq!(failed(reserving.clone(), &new_volume(156, &[])), NOTHING);
    assert_eq!(failed(reserving, &new_volume(157, &[])), ["CapacityFilter"]);
}

#[test]
fn the_reserve_is_whole_gib_rounded_down() {
    // ⌊99.9 × 10 / 100⌋ = 9, not 9.99: 90.9 × 2 − 30 = 151.8
    let mut odd = pool("a");
    odd.report.total_bytes = 999 * GIB / 10;
    odd.report.reserved_percentage = 10;
    let placement = place(&new_volume(151, &[]), &[odd]);
    let pool = &placement.explanation.pools[0];
    assert_eq!(pool.verdicts[3].numbers[7], ("virtual_free_gib", 151.8));
    assert_eq!(pool.weights[0].raw, 151.8);
}

#[test]
fn thick_room_is_the_lesser_of_free_and_unprovisioned() {
    // min(80, 100 − 30) = 70
    assert_eq!(failed(pool("a"), &new_volume(70, &[THICK])), NOTHING);
    assert_eq!(
        failed(pool("a"), &new_volume(71, &[THICK])),
        ["CapacityFilter"]
    );
    // min(60, 70) = 60; physically 60 − 5 = 55
    let mut filled = pool("a");
    filled.report.free_bytes = 60 * GIB;
    assert_eq!(failed(filled.clone(), &new_volume(55, &[THICK])), NOTHING);
    assert_eq!(
        failed(filled.clone(), &new_volume(60, &[THICK])),
        ["PhysicalSpaceFilter"]
    );
    let both = ["CapacityFilter", "PhysicalSpaceFilter"];
    assert_eq!(failed(filled, &new_volume(61, &[THICK])), both);
    // A pool that cannot be thin is thick without being asked, whatever its ratio.
    let mut solid = pool("a");
    solid.report.thin_provisioning_support = false;
    assert_eq!(failed(solid.clone(), &new_volume(70, &[])), NOTHING);
    assert_eq!(failed(solid, &new_volume(71, &[])), ["CapacityFilter"]);
    let mut hollow = pool("a");
    hollow.report.thick_provisioning_support = false;
    assert_eq!(failed(hollow, &new_volume(1, &[THICK])), ["CapacityFilter"]);
}

#[test]
fn odd_pools_fail_and_do_not_divide_by_zero() {
    let mut under = pool("a");
    under.report.max_over_subscription_ratio = 0.9;
    assert_eq!(failed(under, &new_volume(1, &[])), ["CapacityFilter"]);
    let mut nothing = pool("a");
    (nothing.report.total_bytes, nothing.report.free_bytes) = (0, 0);
    let both = ["CapacityFilter", "PhysicalSpaceFilter"];
    assert_eq!(failed(nothing, &new_volume(1, &[])), both);
    let mut all_reserved = pool("a");
    all_reserved.report.reserved_percentage = 100;
    assert_eq!(failed(all_reserved, &new_volume(1, &[])), both);
}

#[test]
fn a_full_disk_takes_nothing_however_thin() {
    // The guard is 5 % of 100 = 5.
    let mut full = pool("a");
    full.report.free_bytes = 5 * GIB;
    assert_eq!(
        failed(full.clone(), &new_volume(1, &[])),
        ["PhysicalSpaceFilter"]
    );
    full.report.free_bytes = 6 * GIB;
    assert_eq!(failed(full.clone(), &new_volume(1, &[])), NOTHING);
    // The reserve takes its place when larger: 10.
    full.report.reserved_percentage = 10;
    assert_eq!(failed(full, &new_volume(1, &[])), ["PhysicalSpaceFilter"]);
    // No more than 32 of a large pool.
    let mut large = pool("a");
    large.report.total_bytes = 10_000 * GIB;
    large.report.free_bytes = 33 * GIB;
    assert_eq!(failed(large.clone(), &new_volume(1, &[])), NOTHING);
    large.report.free_bytes = 32 * GIB;
    assert_eq!(failed(large, &new_volume(1, &[])), ["PhysicalSpaceFilter"]);
}

#[test]
fn what_is_copied_must_fit_unless_blocks_are_shared() {
    let mut request = new_volume(100, &[]);
    // 80 − 5 = 75
    request.copied_bytes = 75 * GIB;
    assert_eq!(failed(pool("a"), &request), NOTHING);
    request.copied_bytes = 76 * GIB;
    assert_eq!(failed(pool("a"), &request), ["PhysicalSpaceFilter"]);
    let mut sharing = pool("a");
    sharing
        .report
        .capabilities
        .insert("reflink".to_owned(), "True".to_owned());
    assert_eq!(failed(sharing, &request), NOTHING);
}

#[test]
fn growth_counts_what_is_added_and_stays_in_its_pool() {
    let grow = |by| Request::extend(gib(by), BTreeMap::new(), "a".to_owned());
    assert_eq!(failed(pool("a"), &grow(170)), NOTHING);
    assert_eq!(failed(pool("a"), &grow(171)), ["CapacityFilter"]);
    assert_eq!(failed(pool("b"), &grow(170)), ["OnlyPoolFilter"]);
    let mut offline = pool("a");
    offline.report.online_extend_support = false;
    assert_eq!(failed(offline.clone(), &grow(1)), NOTHING);
    let attached = grow(1).while_attached();
    assert_eq!(failed(pool("a"), &attached), NOTHING);
    assert_eq!(failed(offline, &attached), ["OnlineExtendFilter"]);
}

#[test]
fn zones_of_owner_and_type_both_count() {
    let mut request = new_volume(1, &[]);
    request.availability_zone = Some("east".to_owned());
    assert_eq!(failed(pool("a"), &request), ["AvailabilityZoneFilter"]);
    request.availability_zone = Some("nova".to_owned());
    assert_eq!(failed(pool("a"), &request), NOTHING);
    let zones = |list| new_volume(1, &[("RESKEY:availability_zones", list)]);
    assert_eq!(failed(pool("a"), &zones("east, nova")), NOTHING);
    assert_eq!(
        failed(pool("a"), &zones("east,west")),
        ["AvailabilityZoneFilter"]
    );
}

#[test]
fn specs_are_met_by_capabilities() {
    let met = [
        ("disk", "ssd"),
        ("capabilities:disk", "<or> hdd <or> ssd"),
        ("multiattach", "<is> True"),
        ("thin_provisioning_support", "true"),
        ("free_capacity_gb", ">= 80"),
        ("hw:anything", "of another scope"),
    ];
    assert_eq!(failed(pool("a"), &new_volume(1, &met)), NOTHING);
    for spec in [
        ("disk", "hdd"),
        ("colour", "red"),
        ("capabilities:colour", "<is> False"),
    ] {
        assert_eq!(
            failed(pool("a"), &new_volume(1, &[spec])),
            ["CapabilitiesFilter"]
        );
    }
}

#[test]
fn the_emptiest_wins_and_of_equals_the_first_by_address() {
    let (mut first, second, mut third) = (pool("c"), pool("b"), pool("a"));
    first.provisioned_gib = 10;
    third.provisioned_gib = 50;
    let placement = place(&new_volume(1, &[]), &[first, second, third]);
    assert_eq!(placement.winner.as_deref(), Some("c"));
    let all = placement.explanation.pools.iter();
    let weights: Vec<_> = all
        .map(|pool| {
            (
                pool.address.as_str(),
                pool.weights[0].raw,
                pool.weights[0].normalised,
            )
        })
        .collect();
    assert_eq!(
        weights,
        [("a", 150.0, 0.0), ("b", 170.0, 0.5), ("c", 190.0, 1.0)]
    );
    let placement = place(&new_volume(1, &[]), &[pool("b"), pool("a")]);
    assert_eq!(placement.winner.as_deref(), Some("a"));
    assert_eq!(placement.explanation.pools[0].weights[0].normalised, 0.0);
}

#[test]
fn the_reason_says_what_is_missing_where() {
    let mut down = pool("host@b#two");
    down.is_up = false;
    let mut small = pool("host@a#one");
    small.report.thin_provisioning_support = false;
    small.report.free_bytes = 123 * GIB / 10;
    let placement = place(&new_volume(100, &[]), &[down, small.clone()]);
    assert_eq!(placement.winner, None);
    assert_eq!(
        placement.explanation.reason(),
        "No pool can take a volume of 100 GiB: host@a#one has room for 12.30 of 100.00 GiB, and 100 are needed \
         (thick), and it has 7.30 GiB physically free beside the 5.00 it keeps back, but 100.00 would be written at \
         once; host@b#two is down: its last report is 30 s old."
    );
    let none = place(&new_volume(1, &[]), &[]).explanation.reason();
    assert!(none.contains("none has reported"), "{none}");
    let mut beside = new_volume(1, &[]);
    beside.only_pool = Some("host@gone#p".to_owned());
    let gone = place(&beside, &[small]).explanation.reason();
    assert!(
        gone.contains("host@gone#p, the only choice, has not reported"),
        "{gone}"
    );
    let many: Vec<Pool> = (0..9).map(|n| pool(&format!("h@b#{n}"))).collect();
    let many = place(&new_volume(1000, &[]), &many).explanation.reason();
    assert!(many.ends_with("6 more pools will not do either."), "{many}");
}

#[test]
fn the_json_holds_every_pool_and_every_verdict() {
    let placement = place(&new_volume(10, &[THICK]), &[pool("a"), pool("b")]);
    let json = placement.explanation.to_json();
    assert_eq!(json["winner"], "a");
    assert_eq!(json["request"]["need"]["new_gib"], 10);
    assert_eq!(json["request"]["extra_specs"]["provisioning:type"], "thick");
    assert_eq!(json["pools"].as_array().unwrap().len(), 2);
    let verdict = &json["pools"][1]["verdicts"][3];
    assert_eq!(verdict["filter"], "CapacityFilter");
    assert_eq!(verdict["passed"], true);
    assert_eq!(verdict["numbers"]["virtual_free_gib"], 70.0);
    assert_eq!(json["pools"][1]["weights"][0]["raw"], 70.0);
    assert_eq!(
        json["reason"],
        "a takes a volume of 10 GiB; 2 of 2 pools would do."
    );
}

prop_compose! {
    fn any_pool()(
        address in "[a-d]@b#p",
        sizes in (0_u64..200, 0_u64..200, -10_i64..400),
        reserved_percentage in 0_u8..=100,
        ratio in 0.5_f64..3.0,
        flags in (any::<bool>(), any::<bool>(), prop::bool::weighted(0.8)),
    ) -> Pool {
        let mut pool = pool(&address);
        pool.report.total_bytes = sizes.0 * GIB;
        pool.report.free_bytes = sizes.1.min(sizes.0) * GIB;
        pool.provisioned_gib = sizes.2;
        pool.report.reserved_percentage = reserved_percentage;
        pool.report.max_over_subscription_ratio = ratio;
        pool.report.thin_provisioning_support = flags.0;
        pool.report.thick_provisioning_support = flags.1;
        pool.is_up = flags.2;
        pool
    }
}

prop_compose! {
    fn any_request()(
        size_gib in 1_i64..150,
        thick in any::<bool>(),
        copied_gib in 0_u64..100,
        only in prop::option::weighted(0.2, "[a-d]@b#p"),
    ) -> Request {
        let mut request = new_volume(size_gib, if thick { &[THICK] } else { &[] });
        request.copied_bytes = copied_gib * GIB;
        request.only_pool = only;
        request
    }
}

/// Pools with different addresses, as the record has them.
fn any_pools() -> impl Strategy<Value = Vec<Pool>> {
    prop::collection::vec(any_pool(), 0..6).prop_map(|mut pools| {
        pools.sort_by(|one, other| one.address.cmp(&other.address));
        pools.dedup_by(|one, other| one.address == other.address);
        pools
    })
}

proptest! {
    #[test]
    fn the_winner_passes_everything_and_is_found_when_there_is_one(
        pools in any_pools(), request in any_request()
    ) {
        let placement = place(&request, &pools);
        let passed: Vec<_> =
            placement.explanation.pools.iter().filter(|pool| pool.passed()).collect();
        prop_assert_eq!(placement.winner.is_some(), !passed.is_empty());
        if let Some(winner) = &placement.winner {
            let found = passed.iter().find(|pool| pool.address == *winner).unwrap();
            for pool in &passed {
                let raw = |pool: &PoolExplanation| pool.weights[0].raw;
                prop_assert!(raw(pool) <= raw(found));
                prop_assert!(raw(pool) < raw(found) || pool.address >= *winner);
                prop_assert!((0.0..=1.0).contains(&pool.weights[0].normalised));
            }
            // Room that is promised is room that is there.
            let pool = pools.iter().find(|pool| pool.address == *winner).unwrap();
            prop_assert!(pool.is_up && pool.report.free_bytes > 0);
            if request.is_thick() || !pool.report.thin_provisioning_support {
                let needed_bytes = request.added_gib().unsigned_abs() * GIB;
                prop_assert!(pool.report.free_bytes > needed_bytes);
            }
        }
    }

    #[test]
    fn order_and_unfit_pools_change_nothing(
        pools in any_pools(), request in any_request(), unfit in any_pool()
    ) {
        let placement = place(&request, &pools);
        let mut turned = pools.clone();
        turned.reverse();
        prop_assert_eq!(&place(&request, &turned), &placement);
        turned.push(Pool { is_up: false, address: "0@b#p".to_owned(), ..unfit });
        prop_assert_eq!(place(&request, &turned).winner, placement.winner);
    }
}

#[test]
fn a_disabled_service_gets_nothing_new_and_a_frozen_one_nothing_at_all() {
    let growth = || Request {
        asked_at: time(30),
        ..Request::extend(gib(1), BTreeMap::new(), "h@b#p".to_owned())
    };
    let disabled = || {
        pool_with(|service| {
            service.is_disabled = true;
            service.disabled_reason = Some("disk change".to_owned());
        })
    };
    assert_eq!(failed(pool_with(|_| ()), &new_volume(1, &[])), NOTHING);
    assert_eq!(
        failed(disabled(), &new_volume(1, &[])),
        ["ServiceEnabledFilter"]
    );
    assert_eq!(failed(disabled(), &growth()), NOTHING);
    let reason = place(&new_volume(1, &[]), &[disabled()])
        .explanation
        .reason();
    assert!(
        reason.contains("is of the service h@b, which is disabled (disk change)"),
        "{reason}"
    );
    let frozen = || pool_with(|service| service.is_frozen = true);
    assert_eq!(
        failed(frozen(), &new_volume(1, &[])),
        ["ServiceEnabledFilter"]
    );
    assert_eq!(failed(frozen(), &growth()), ["ServiceEnabledFilter"]);
}

#[test]
fn a_silent_service_is_down_although_its_pool_has_just_reported() {
    let silent = pool_with(|service| service.is_up = false);
    assert_eq!(
        failed(silent.clone(), &new_volume(1, &[])),
        ["ServiceUpFilter"]
    );
    let reason = place(&new_volume(1, &[]), &[silent]).explanation.reason();
    assert!(
        reason.contains("its service was last heard 30 s ago"),
        "{reason}"
    );
}

#[test]
fn a_volume_moves_to_another_pool_of_its_own_host() {
    let moving = || Request {
        asked_at: time(30),
        ..Request::moving(
            gib(1),
            "nova".to_owned(),
            BTreeMap::new(),
            "h@b#p".to_owned(),
        )
    };
    let placed = |address: &str| place(&moving(), &[pool("h@b#p"), pool(address)]);
    assert_eq!(placed("h@b#q").winner.as_deref(), Some("h@b#q"));
    assert_eq!(placed("h@c#p").winner.as_deref(), Some("h@c#p"));
    let nowhere = placed("k@b#p");
    assert_eq!(nowhere.winner, None);
    let reason = nowhere.explanation.reason();
    for words in ["the pool that the volume leaves", "of another host"] {
        assert!(reason.contains(words), "{reason}");
    }
    // What it may hold must fit at once, whatever the pool shares with itself.
    let mut small = pool("h@b#q");
    small.report.free_bytes = (1 << 30) * 5 + (1 << 29);
    small
        .report
        .capabilities
        .insert("reflink".to_owned(), "True".to_owned());
    assert_eq!(place(&moving(), &[small]).winner, None);
}
