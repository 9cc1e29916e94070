//! Which pool a volume goes to. Pure: the same pools and request give the same answer, with its explanation.
//!
//! As in Cinder: every filter says of every pool whether it will do; the weighers order those that passed all; the
//! heaviest wins, and of equals the one whose address sorts first. Unlike Cinder, every filter is asked even after
//! another has failed, and the whole reckoning is kept, so that "no valid backend" is never the last word.
//!
//! Knows pools and nothing of who reported them, of rows, or of drivers.

mod capabilities;
mod capacity;
mod explanation;
mod extra_specs;
mod filters;
#[cfg(test)]
mod tests;

pub use explanation::{Explanation, PoolExplanation, Verdict, Weight};

use crate::model::pool::Pool;
use crate::model::size::Gib;
use crate::model::time::Time;
use std::collections::BTreeMap;

/// What is to be placed.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// A new volume, or growth where it is.
    pub need: Need,
    /// Where the owner wants it; `None` means anywhere.
    pub availability_zone: Option<String>,
    /// The volume type's extra specs.
    pub extra_specs: BTreeMap<String, String>,
    /// The one pool that can do it, when only one can: that of the source of a copy, or of the volume itself.
    pub only_pool: Option<String>,
    /// The pool that a volume leaves when it moves to another one.
    pub leaves_pool: Option<String>,
    /// Bytes that will be copied from a source at once, as far as known; 0 when there is no source.
    pub copied_bytes: u64,
    /// When it was asked; the pools' reports are as old as they were then.
    pub asked_at: Time,
}

/// How much is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A new volume.
    New {
        /// Its size.
        size_gib: Gib,
    },
    /// A volume that is there grows.
    Extend {
        /// What is added.
        added_gib: Gib,
        /// While a host uses it.
        is_attached: bool,
    },
    /// What lies in the pool already is to be one of its volumes, or of another type: nothing is added.
    InPlace,
}

impl Request {
    /// A new volume; placed in `only_pool` or nowhere when that is given.
    pub fn create(
        size_gib: Gib,
        availability_zone: Option<String>,
        extra_specs: BTreeMap<String, String>,
        only_pool: Option<String>,
    ) -> Self {
        Self {
            need: Need::New { size_gib },
            availability_zone,
            extra_specs,
            only_pool,
            leaves_pool: None,
            copied_bytes: 0,
            asked_at: Time::now(),
        }
    }

    /// Growth of a volume in `pool`.
    pub fn extend(added_gib: Gib, extra_specs: BTreeMap<String, String>, pool: String) -> Self {
        let is_attached = false;
        Self {
            need: Need::Extend {
                added_gib,
                is_attached,
            },
            availability_zone: None,
            extra_specs,
            only_pool: Some(pool),
            leaves_pool: None,
            copied_bytes: 0,
            asked_at: Time::now(),
        }
    }

    /// What lies in `pool` already, as a volume whose type has these specs.
    pub fn in_place(extra_specs: BTreeMap<String, String>, pool: String) -> Self {
        Self {
            need: Need::InPlace,
            availability_zone: None,
            extra_specs,
            only_pool: Some(pool),
            leaves_pool: None,
            copied_bytes: 0,
            asked_at: Time::now(),
        }
    }

    /// A volume that is there and leaves `pool` for any other, with all that it may hold.
    pub fn moving(
        size_gib: Gib,
        availability_zone: String,
        extra_specs: BTreeMap<String, String>,
        pool: String,
    ) -> Self {
        let anywhere = Self::create(size_gib, Some(availability_zone), extra_specs, None);
        Self {
            leaves_pool: Some(pool),
            ..anywhere.copying(size_gib.bytes())
        }
    }

    /// The same, with this many bytes to be copied from its source at once.
    pub fn copying(self, copied_bytes: u64) -> Self {
        Self {
            copied_bytes,
            ..self
        }
    }

    /// The same growth, while a host uses the volume.
    pub fn while_attached(self) -> Self {
        let need = match self.need {
            Need::New { size_gib } => Need::Extend {
                added_gib: size_gib,
                is_attached: true,
            },
            Need::Extend { added_gib, .. } => Need::Extend {
                added_gib,
                is_attached: true,
            },
            Need::InPlace => Need::InPlace,
        };
        Self { need, ..self }
    }

    /// What comes to what is there already.
    pub fn added_gib(&self) -> i64 {
        match self.need {
            Need::New { size_gib } => size_gib.get(),
            Need::Extend { added_gib, .. } => added_gib.get(),
            Need::InPlace => 0,
        }
    }

    /// Whether the type asks that all space is taken at once.
    pub fn is_thick(&self) -> bool {
        self.extra_specs
            .get("provisioning:type")
            .is_some_and(|kind| kind == "thick")
    }
}

/// Where it goes, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// The chosen pool's `host@backend#pool`; `None` when none will do.
    pub winner: Option<String>,
    /// The reckoning.
    pub explanation: Explanation,
}

/// Whether a pool has what a type's extra specs ask for: the part of the choice that does not depend on a size.
pub fn has_what_is_asked(pool: &Pool, extra_specs: &BTreeMap<String, String>) -> bool {
    capabilities::filter(pool, extra_specs).passed
}

/// Chooses among `pools`.
pub fn place(request: &Request, pools: &[Pool]) -> Placement {
    let mut explained: Vec<(&Pool, PoolExplanation)> = pools
        .iter()
        .map(|pool| {
            let explained = PoolExplanation {
                address: pool.address.clone(),
                verdicts: filters::verdicts(pool, request),
                weights: Vec::new(),
            };
            (pool, explained)
        })
        .collect();
    explained.sort_by(|(_, one), (_, other)| one.address.cmp(&other.address));
    weigh(&mut explained, request);
    let pools: Vec<PoolExplanation> = explained.into_iter().map(|(_, pool)| pool).collect();
    let mut winner: Option<&PoolExplanation> = None;
    for pool in pools.iter().filter(|pool| pool.passed()) {
        // Strictly heavier: of equals the first by address stays.
        if winner.is_none_or(|best| pool.weight() > best.weight()) {
            winner = Some(pool);
        }
    }
    let winner = winner.map(|pool| pool.address.clone());
    let explanation = Explanation {
        request: request.clone(),
        pools,
        winner: winner.clone(),
    };
    Placement {
        winner,
        explanation,
    }
}

/// Gives every pool that passed its weights, each weigher's raw values brought to 0..1 among them.
fn weigh(pools: &mut [(&Pool, PoolExplanation)], request: &Request) {
    let passed = || pools.iter().filter(|(_, explained)| explained.passed());
    let raws = passed().map(|(pool, _)| capacity::weight(pool, request));
    let least = raws.clone().fold(f64::INFINITY, f64::min);
    let most = raws.fold(f64::NEG_INFINITY, f64::max);
    for (pool, explained) in pools.iter_mut().filter(|(_, explained)| explained.passed()) {
        let raw = capacity::weight(pool, request);
        // All alike: nothing to choose by.
        let normalised = if most > least {
            (raw - least) / (most - least)
        } else {
            0.0
        };
        explained.weights.push(Weight {
            weigher: "CapacityWeigher",
            multiplier: capacity::WEIGHT_MULTIPLIER,
            raw,
            normalised,
        });
    }
}
