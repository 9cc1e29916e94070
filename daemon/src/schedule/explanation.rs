//! The reckoning of one placement: for people in a sentence, for the record and the API as JSON.

use super::{Need, Request};
use serde_json::{Value, json};

/// Pools named in the sentence; the rest is counted, and all are in the JSON.
const REASON_POOLS_MAX: usize = 3;

/// What one filter said of one pool.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The filter, by Cinder's name where Cinder has it.
    pub filter: &'static str,
    /// Whether the pool will do.
    pub passed: bool,
    /// Why, in words that go on after the pool's name.
    pub why: String,
    /// The numbers that decided, by name.
    pub numbers: Vec<(&'static str, f64)>,
}

impl Verdict {
    pub(super) fn new(filter: &'static str, passed: bool, why: String) -> Self {
        let numbers = Vec::new();
        Self {
            filter,
            passed,
            why,
            numbers,
        }
    }

    pub(super) fn with(self, numbers: Vec<(&'static str, f64)>) -> Self {
        Self { numbers, ..self }
    }
}

/// What one weigher said of one pool that passed.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// The weigher.
    pub weigher: &'static str,
    /// How much it counts.
    pub multiplier: f64,
    /// Its value.
    pub raw: f64,
    /// Its value brought to 0..1 among the pools that passed.
    pub normalised: f64,
}

/// All that was said of one pool.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolExplanation {
    /// `host@backend#pool`.
    pub address: String,
    /// Every filter's verdict, in the order of the filters.
    pub verdicts: Vec<Verdict>,
    /// Every weigher's value; empty unless all filters passed.
    pub weights: Vec<Weight>,
}

impl PoolExplanation {
    /// Whether every filter passed it.
    pub fn passed(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.passed)
    }

    /// The sum by which the pools that passed are ordered.
    pub fn weight(&self) -> f64 {
        self.weights
            .iter()
            .map(|weight| weight.multiplier * weight.normalised)
            .sum()
    }

    fn why_not(&self) -> String {
        let failed = self.verdicts.iter().filter(|verdict| !verdict.passed);
        let whys: Vec<&str> = failed.map(|verdict| verdict.why.as_str()).collect();
        format!("{} {}", self.address, whys.join(", and it "))
    }
}

/// The whole reckoning, pools sorted by address.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What was asked for.
    pub request: Request,
    /// Every pool there was.
    pub pools: Vec<PoolExplanation>,
    /// The chosen one.
    pub winner: Option<String>,
}

impl Explanation {
    /// One sentence for people: where it goes, or why nowhere.
    pub fn reason(&self) -> String {
        let what = match self.request.need {
            Need::New { size_gib } => format!("a volume of {size_gib} GiB"),
            Need::Extend { added_gib, .. } => format!("a volume's growth by {added_gib} GiB"),
            Need::InPlace => "what lies there already as a volume of this type".to_owned(),
        };
        if let Some(winner) = &self.winner {
            let fit = self.pools.iter().filter(|pool| pool.passed()).count();
            let of = self.pools.len();
            return format!("{winner} takes {what}; {fit} of {of} pools would do.");
        }
        if self.pools.is_empty() {
            return format!(
                "No pool can take {what}: none has reported yet; is a volume service running?"
            );
        }
        // When one pool is the only choice, the others' shortcomings are no news.
        let only = self.request.only_pool.as_ref();
        let is_news = |address: &String| only.is_none_or(|only| only == address);
        let news: Vec<_> = self
            .pools
            .iter()
            .filter(|pool| is_news(&pool.address))
            .collect();
        if let (Some(only), true) = (only, news.is_empty()) {
            return format!("No pool can take {what}: {only}, the only choice, has not reported.");
        }
        let mut whys: Vec<String> = news
            .iter()
            .take(REASON_POOLS_MAX)
            .map(|pool| pool.why_not())
            .collect();
        if news.len() > REASON_POOLS_MAX {
            whys.push(format!(
                "{} more pools will not do either",
                news.len() - REASON_POOLS_MAX
            ));
        }
        format!("No pool can take {what}: {}.", whys.join("; "))
    }

    /// The whole, to be stored and shown.
    pub fn to_json(&self) -> Value {
        let need = match self.request.need {
            Need::New { size_gib } => json!({ "new_gib": size_gib.get() }),
            Need::Extend {
                added_gib,
                is_attached,
            } => {
                json!({ "added_gib": added_gib.get(), "attached": is_attached })
            }
            Need::InPlace => json!({ "in_place": true }),
        };
        let pools: Vec<Value> = self.pools.iter().map(pool_json).collect();
        json!({
            "request": {
                "need": need,
                "availability_zone": self.request.availability_zone,
                "extra_specs": self.request.extra_specs,
                "only_pool": self.request.only_pool,
                "leaves_pool": self.request.leaves_pool,
                "copied_bytes": self.request.copied_bytes,
                "asked_at": self.request.asked_at.as_str(),
            },
            "winner": self.winner,
            "reason": self.reason(),
            "pools": pools,
        })
    }
}

fn pool_json(pool: &PoolExplanation) -> Value {
    let verdicts: Vec<Value> = pool
        .verdicts
        .iter()
        .map(|verdict| {
            let numbers: serde_json::Map<String, Value> = verdict
                .numbers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            json!({
                "filter": verdict.filter,
                "passed": verdict.passed,
                "why": verdict.why,
                "numbers": numbers,
            })
        })
        .collect();
    let weights: Vec<Value> = pool
        .weights
        .iter()
        .map(|weight| {
            json!({
                "weigher": weight.weigher,
                "multiplier": weight.multiplier,
                "raw": weight.raw,
                "normalised": weight.normalised,
            })
        })
        .collect();
    json!({
        "pool": pool.address,
        "passed": pool.passed(),
        "weight": pool.passed().then(|| pool.weight()),
        "verdicts": verdicts,
        "weights": weights,
    })
}
