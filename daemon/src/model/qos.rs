//! Quality of service specs: what a host, or a backend, is to hold a volume of the type to.
//!
//! Ashlar's target does not throttle; what is for the front end goes to whoever attaches, in nova's words.

use super::id::QosSpecsId;
use super::size::Gib;
use super::time::Time;
use std::collections::BTreeMap;

/// The limits that may be given a GiB (`<limit>_per_gb`), with a floor (`<limit>_per_gb_min`) and a ceiling
/// (`<limit>_max`).
const TUNED: [&str; 6] = [
    "read_iops_sec",
    "read_bytes_sec",
    "write_iops_sec",
    "write_bytes_sec",
    "total_iops_sec",
    "total_bytes_sec",
];

/// Quality of service specs as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QosSpecs {
    /// Their id.
    pub id: QosSpecsId,
    /// Their unique name.
    pub name: String,
    /// Who is to keep them.
    pub consumer: Consumer,
    /// The limits; keys as nova or a backend knows them.
    pub specs: BTreeMap<String, String>,
    /// When the row was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Option<Time>,
}

/// Who is to keep them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consumer {
    /// The host that attaches.
    FrontEnd,
    /// The backend.
    BackEnd,
    /// Both.
    Both,
}

impl Consumer {
    /// Every one's spelling.
    pub const WORDS: &'static [&'static str] = &["front-end", "back-end", "both"];

    /// Cinder's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Consumer::FrontEnd => "front-end",
            Consumer::BackEnd => "back-end",
            Consumer::Both => "both",
        }
    }

    /// `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        [Consumer::FrontEnd, Consumer::BackEnd, Consumer::Both]
            .into_iter()
            .find(|one| one.as_str() == word)
    }
}

/// What a host that attaches is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrontEnd {
    /// As they were written.
    pub specs: BTreeMap<String, String>,
    /// What was reckoned from the volume's size.
    pub reckoned: BTreeMap<String, i64>,
}

impl QosSpecs {
    /// What a host is told of a volume of this size; `None` when they are for the backend alone.
    pub fn front_end(&self, size: Gib) -> Option<FrontEnd> {
        if self.consumer == Consumer::BackEnd {
            return None;
        }
        let mut told = FrontEnd {
            specs: self.specs.clone(),
            reckoned: BTreeMap::new(),
        };
        for limit in TUNED {
            let number = |key: &str| self.specs.get(key).and_then(|value| value.parse().ok());
            let [per_gb, least, most] = tuning(limit);
            let Some(each): Option<i64> = number(&per_gb) else {
                continue;
            };
            let wanted = each
                .saturating_mul(size.get())
                .max(number(&least).unwrap_or(0));
            let value = number(&most).map_or(wanted, |most: i64| wanted.min(most));
            for key in [per_gb.as_str(), &least, &most, limit] {
                told.specs.remove(key);
            }
            told.reckoned.insert(limit.to_owned(), value);
        }
        Some(told)
    }
}

/// Whether a key's value must be a whole number, since it is reckoned with.
pub fn is_reckoned_with(key: &str) -> bool {
    TUNED
        .iter()
        .any(|limit| tuning(limit).iter().any(|tuned| tuned == key))
}

fn tuning(limit: &str) -> [String; 3] {
    [
        format!("{limit}_per_gb"),
        format!("{limit}_per_gb_min"),
        format!("{limit}_max"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(consumer: Consumer, specs: &[(&str, &str)], gib: i64) -> Option<FrontEnd> {
        let specs = QosSpecs {
            id: QosSpecsId::random(),
            name: "q".to_owned(),
            consumer,
            specs: specs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            created_at: Time::now(),
            updated_at: None,
        };
        specs.front_end(Gib::new(gib).unwrap())
    }

    #[test]
    fn a_backends_specs_are_no_hosts_business() {
        assert_eq!(told(Consumer::BackEnd, &[("a", "1")], 1), None);
        for consumer in [Consumer::FrontEnd, Consumer::Both] {
            let told = told(consumer, &[("total_iops_sec", "500")], 1).unwrap();
            assert_eq!(told.specs["total_iops_sec"], "500");
            assert_eq!(told.reckoned, BTreeMap::new());
        }
    }

    #[test]
    fn a_limit_a_gib_has_a_floor_and_a_ceiling() {
        let specs = [
            ("total_iops_sec_per_gb", "10"),
            ("total_iops_sec_per_gb_min", "50"),
            ("total_iops_sec_max", "200"),
            ("total_iops_sec", "7"),
            ("read_bytes_sec_max", "9"),
        ];
        for (gib, iops) in [(1, 50), (10, 100), (1000, 200)] {
            let told = told(Consumer::Both, &specs, gib).unwrap();
            assert_eq!(told.reckoned, [("total_iops_sec".to_owned(), iops)].into());
            // A ceiling alone is a burst limit, and the host's.
            assert_eq!(
                told.specs,
                [("read_bytes_sec_max".to_owned(), "9".to_owned())].into()
            );
        }
    }

    #[test]
    fn what_is_reckoned_with() {
        assert!(is_reckoned_with("read_iops_sec_per_gb_min"));
        assert!(is_reckoned_with("read_iops_sec_max"));
        assert!(!is_reckoned_with("read_iops_sec"));
        assert!(!is_reckoned_with("size_iops_sec_per_gb"));
    }
}
