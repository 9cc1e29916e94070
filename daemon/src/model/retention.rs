//! Which backups of a volume are kept, and why each is. Pure.
//!
//! Each rule keeps so many: the last ones, or the newest of as many hours, days, weeks (from Monday), months and years, UTC.
//! Only hours, days and so on that have a backup count, so that nothing goes because time goes by. A backup may be kept
//! by several rules, and goes when none keeps it. Where no rule says anything, everything is kept; where one does, it
//! keeps the newest, so that the only good backup never goes.

use super::time::Time;
use jiff::civil::DateTime;

/// The most that one rule may keep.
pub const KEPT_MAX: u32 = 10_000;

/// How many of each are kept; 0 says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// The newest ones, whenever they were made.
    pub last: u32,
    /// Hours of which the newest is kept.
    pub hourly: u32,
    /// Days.
    pub daily: u32,
    /// Weeks.
    pub weekly: u32,
    /// Months.
    pub monthly: u32,
    /// Years.
    pub yearly: u32,
}

/// Why a backup is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// One of the last.
    Last,
    /// The newest of its hour.
    Hourly,
    /// The newest of its day.
    Daily,
    /// The newest of its week.
    Weekly,
    /// The newest of its month.
    Monthly,
    /// The newest of its year.
    Yearly,
    /// No rule says that anything goes.
    NoRule,
}

impl Reason {
    /// Every one.
    pub const ALL: [Reason; 7] = [
        Reason::Last,
        Reason::Hourly,
        Reason::Daily,
        Reason::Weekly,
        Reason::Monthly,
        Reason::Yearly,
        Reason::NoRule,
    ];

    /// The spelling on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Last => "last",
            Reason::Hourly => "hourly",
            Reason::Daily => "daily",
            Reason::Weekly => "weekly",
            Reason::Monthly => "monthly",
            Reason::Yearly => "yearly",
            Reason::NoRule => "no_rule",
        }
    }
}

/// Names the hour, day and so on that an instant is in.
type Span = fn(DateTime) -> String;

impl Retention {
    /// Whether anything ever goes.
    pub fn removes(&self) -> bool {
        *self != Self::default()
    }

    /// Why each is kept, in the order of `times`; for nothing, it goes. The times of the good backups of one volume, in any
    /// order; of two of one time the one that comes first counts as the newer.
    pub fn keeps(&self, times: &[Time]) -> Vec<Vec<Reason>> {
        if !self.removes() {
            return vec![vec![Reason::NoRule]; times.len()];
        }
        let mut newest_first: Vec<usize> = (0..times.len()).collect();
        newest_first.sort_by(|a, b| times.get(*b).cmp(&times.get(*a)));
        let mut kept = vec![Vec::new(); times.len()];
        let mut keep = |reason: Reason, count: u32, span: &dyn Fn(usize) -> String| {
            let (mut left, mut before) = (count, None);
            for place in &newest_first {
                if left == 0 {
                    break;
                }
                let of = Some(span(*place));
                if of != before {
                    left -= 1;
                    if let Some(reasons) = kept.get_mut(*place) {
                        reasons.push(reason);
                    }
                    before = of;
                }
            }
        };
        keep(Reason::Last, self.last, &|place| place.to_string());
        let spans: [(Reason, u32, Span); 5] = [
            (Reason::Hourly, self.hourly, |at| {
                format!("{} {}", at.date(), at.hour())
            }),
            (Reason::Daily, self.daily, |at| at.date().to_string()),
            (Reason::Weekly, self.weekly, |at| {
                let week = at.date().iso_week_date();
                format!("{}-{}", week.year(), week.week())
            }),
            (Reason::Monthly, self.monthly, |at| {
                format!("{}-{}", at.year(), at.month())
            }),
            (Reason::Yearly, self.yearly, |at| at.year().to_string()),
        ];
        for (reason, count, span) in spans {
            // A time that cannot be read is an hour, a day and so on of its own: it is rather kept.
            keep(reason, count, &|place| {
                times
                    .get(place)
                    .map(|time| time.civil().map_or_else(|| time.to_string(), span))
                    .unwrap_or_default()
            });
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn time(text: &str) -> Time {
        Time::from_stored(format!("{text}:00.000000"))
    }

    #[test]
    fn by_hand() {
        let times = [
            "2026-11-29T02:00", // A Sunday.
            "2026-11-30T02:00",
            "2026-12-01T02:00",
            "2026-12-01T14:00",
            "2025-12-31T23:00",
            "2025-06-01T00:00",
        ];
        let retention = Retention {
            last: 1,
            daily: 2,
            weekly: 2,
            monthly: 2,
            yearly: 5,
            ..Retention::default()
        };
        let times = times.map(time);
        let words: Vec<String> = retention
            .keeps(&times)
            .iter()
            .map(|reasons| {
                reasons
                    .iter()
                    .map(|one| one.as_str())
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        let expected = [
            "weekly",
            "daily monthly",
            "",
            "last daily weekly monthly yearly",
            "yearly",
            "",
        ];
        assert_eq!(words, expected);
        assert_eq!(
            Retention::default().keeps(&times),
            vec![vec![Reason::NoRule]; 6]
        );
        assert!(retention.keeps(&[]).is_empty());
    }

    #[test]
    fn the_week_of_a_year_may_begin_in_another() {
        let times = ["2024-12-30T00:00", "2025-01-05T00:00", "2025-01-06T00:00"].map(time);
        let retention = Retention {
            weekly: 9,
            ..Retention::default()
        };
        let kept: Vec<bool> = retention
            .keeps(&times)
            .iter()
            .map(|one| !one.is_empty())
            .collect();
        assert_eq!(kept, [false, true, true]);
    }

    fn retentions() -> impl Strategy<Value = Retention> {
        (0..4_u32, 0..4_u32, 0..4_u32, 0..4_u32, 0..4_u32, 0..4_u32).prop_map(
            |(last, hourly, daily, weekly, monthly, yearly)| Retention {
                last,
                hourly,
                daily,
                weekly,
                monthly,
                yearly,
            },
        )
    }

    fn times() -> impl Strategy<Value = Vec<Time>> {
        let one = (2023..2027_i32, 1..=12_u32, 1..=28_u32, 0..24_u32, 0..60_u32).prop_map(
            |(year, month, day, hour, minute)| {
                time(&format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}"))
            },
        );
        let close = (1..=4_u32, 0..24_u32, 0..60_u32).prop_map(|(day, hour, minute)| {
            time(&format!("2026-03-{day:02}T{hour:02}:{minute:02}"))
        });
        proptest::collection::vec(prop_oneof![one, close], 0..40)
    }

    /// The oracle: which of its span is the newest, and how many spans that have one are newer.
    fn is_kept(times: &[Time], place: usize, count: u32, span: impl Fn(&Time) -> String) -> bool {
        let is_newer = |other: usize| {
            times[other] > times[place] || (times[other] == times[place] && other < place)
        };
        let own = span(&times[place]);
        let mut newer: BTreeSet<String> = BTreeSet::new();
        for other in (0..times.len()).filter(|other| is_newer(*other)) {
            newer.insert(span(&times[other]));
        }
        !newer.contains(&own) && newer.len() < count as usize
    }

    /// The Monday of its week, reckoned by going back a day at a time.
    fn monday(time: &Time) -> String {
        let mut date = time.civil().unwrap().date();
        while date.weekday() != jiff::civil::Weekday::Monday {
            date = date.yesterday().unwrap();
        }
        date.to_string()
    }

    proptest! {
        #[test]
        fn each_is_kept_for_what_the_oracle_says(retention in retentions(), times in times()) {
            let kept = retention.keeps(&times);
            prop_assert_eq!(kept.len(), times.len());
            for (place, reasons) in kept.iter().enumerate() {
                let cut = |len: usize| move |time: &Time| time.as_str()[..len].to_owned();
                let nth = (0..times.len()).filter(|other| {
                    times[*other] > times[place] || (times[*other] == times[place] && *other < place)
                }).count();
                let expected: Vec<Reason> = [
                    (Reason::Last, nth < retention.last as usize),
                    (Reason::Hourly, is_kept(&times, place, retention.hourly, cut(13))),
                    (Reason::Daily, is_kept(&times, place, retention.daily, cut(10))),
                    (Reason::Weekly, is_kept(&times, place, retention.weekly, monday)),
                    (Reason::Monthly, is_kept(&times, place, retention.monthly, cut(7))),
                    (Reason::Yearly, is_kept(&times, place, retention.yearly, cut(4))),
                    (Reason::NoRule, !retention.removes()),
                ].into_iter().filter(|(_, is)| *is).map(|(reason, _)| reason).collect();
                prop_assert_eq!(reasons, &expected, "of {:?}", times);
            }
        }

        #[test]
        fn the_newest_never_goes(retention in retentions(), times in times()) {
            let kept = retention.keeps(&times);
            let newest = times.iter().zip(&kept).max_by_key(|(time, reasons)| ((*time).clone(), reasons.len()));
            prop_assert!(newest.is_none_or(|(_, reasons)| !reasons.is_empty()));
        }

        #[test]
        fn once_gone_the_others_are_kept_as_before(retention in retentions(), times in times()) {
            let kept = retention.keeps(&times);
            let left: Vec<(Time, Vec<Reason>)> = times.iter().cloned().zip(kept)
                .filter(|(_, reasons)| !reasons.is_empty()).collect();
            let alone: Vec<Time> = left.iter().map(|(time, _)| time.clone()).collect();
            let again = retention.keeps(&alone);
            prop_assert!(again.iter().all(|reasons| !reasons.is_empty()), "{:?}", alone);
        }
    }
}
