//! When something recurs: five fields as in a crontab (minute, hour, day of the month, month, day of the week), UTC. Pure.
//!
//! A field is `*`, a number, a range `1-5`, a step `*/15` or `8-18/2`, or a list of those; months and days of the week also
//! go by their first three letters, and Sunday is 0 or 7. As in cron, a day is meant when both day fields take it, and
//! when neither begins with `*`, already when one of them does.

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime};
use std::fmt;
use std::str::FromStr;

/// Characters of the text; the longest useful lists are shorter.
pub const CHARS_MAX: usize = 128;

/// The 29th of February falls on the same day of the week after 28 years at the latest, or 40 across a century without one.
const MONTHS_AHEAD: usize = 12 * 41;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// How long each month is at most.
const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Words for the common ones.
const WORDS: [(&str, &str); 4] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
];

/// Times that recur, to the minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    /// As it was said.
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day that one of the two day fields takes is enough.
    is_either_day: bool,
}

/// Why a text is no times that recur; the sentence is for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five fields, nor a word.
    #[error(
        "it must be five fields (minute, hour, day of the month, month, day of the week) or one of @hourly, @daily, @weekly, @monthly"
    )]
    Fields,
    /// One field cannot be read.
    #[error("'{part}' is no {field}: use {from} to {to}, ranges, steps and lists of them, or *")]
    Part {
        /// What was said.
        part: String,
        /// Which field.
        field: &'static str,
        /// Its smallest number.
        from: u32,
        /// Its largest.
        to: u32,
    },
    /// There is no such day in any year.
    #[error("no month that it names has such a day, so the time would never come")]
    Never,
}

/// A field: what it is called, its numbers, and names for them from the smallest on.
struct Field {
    name: &'static str,
    from: u32,
    to: u32,
    names: &'static [&'static str],
}

const fn field(name: &'static str, from: u32, to: u32, names: &'static [&'static str]) -> Field {
    Field {
        name,
        from,
        to,
        names,
    }
}

const FIELDS: [Field; 5] = [
    field("minute", 0, 59, &[]),
    field("hour", 0, 23, &[]),
    field("day of the month", 1, 31, &[]),
    field("month", 1, 12, &MONTHS),
    field("day of the week", 0, 7, &WEEKDAYS),
];

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(said: &str) -> Result<Self, CronError> {
        let said = said.trim();
        if said.len() > CHARS_MAX {
            return Err(CronError::Fields);
        }
        let word = WORDS.iter().find(|(word, _)| *word == said);
        let parts: Vec<&str> = word
            .map_or(said, |(_, fields)| fields)
            .split_whitespace()
            .collect();
        let [minute, hour, day, month, weekday] = parts[..] else {
            return Err(CronError::Fields);
        };
        let [minutes, hours, days, months, weekdays] = FIELDS;
        let weekdays = weekdays.read(weekday)?;
        let cron = Self {
            text: parts_or_word(said, &parts, word.is_some()),
            minutes: minutes.read(minute)?,
            hours: hours.read(hour)?,
            days: days.read(day)?,
            months: months.read(month)?,
            // 7 is Sunday, too.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            is_either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        // Every day of a month falls on every day of the week in some year, also the 29th of February.
        let has_a_day = (1..=12)
            .filter(|month| cron.months >> month & 1 == 1)
            .any(|month| {
                let longest = LONGEST.get(month - 1).copied().unwrap_or_default();
                cron.days & ((1 << (longest + 1)) - 1) != 0
            });
        if has_a_day || cron.is_either_day {
            Ok(cron)
        } else {
            Err(CronError::Never)
        }
    }
}

/// One blank between fields, so that what is shown is one spelling.
fn parts_or_word(said: &str, parts: &[&str], is_word: bool) -> String {
    if is_word {
        said.to_owned()
    } else {
        parts.join(" ")
    }
}

impl Field {
    /// The numbers that a field takes, a bit each.
    fn read(&self, said: &str) -> Result<u64, CronError> {
        said.split(',').try_fold(0, |taken, part| {
            let bits = self.part(part).ok_or_else(|| CronError::Part {
                part: part.to_owned(),
                field: self.name,
                from: self.from,
                to: self.to,
            })?;
            Ok(taken | bits)
        })
    }

    fn part(&self, part: &str) -> Option<u64> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, digits(step).filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.from, self.to),
            Some((from, to)) => (self.number(from)?, self.number(to)?),
            // What `5/15` means differs between crons.
            None if part.contains('/') => return None,
            None => (self.number(range)?, self.number(range)?),
        };
        if from > to {
            return None;
        }
        let steps = (from..=to).step_by(usize::try_from(step).ok()?);
        Some(steps.fold(0, |bits, number| bits | 1 << number))
    }

    fn number(&self, word: &str) -> Option<u32> {
        let named = self
            .names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(word));
        let number = match named {
            Some(place) => self.from + u32::try_from(place).ok()?,
            None => digits(word)?,
        };
        (self.from..=self.to).contains(&number).then_some(number)
    }
}

/// A number of plain digits: no sign, no blank.
fn digits(word: &str) -> Option<u32> {
    let are_digits =
        (1..=3).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| word.parse().ok()).flatten()
}

impl Cron {
    /// The first time after `instant`; `None` only beyond the calendar's end.
    pub fn next_after(&self, instant: DateTime) -> Option<DateTime> {
        let start = instant.with().second(0).subsec_nanosecond(0).build().ok()?;
        let start = start.checked_add(1.minute()).ok()?;
        let mut first = start.date();
        for _ in 0..=MONTHS_AHEAD {
            if let Some(found) = self.in_month(first, start) {
                return Some(found);
            }
            first = first.first_of_month().checked_add(1.month()).ok()?;
        }
        None
    }

    /// The first time not before `start`, from `first` to the end of its month.
    fn in_month(&self, first: Date, start: DateTime) -> Option<DateTime> {
        if self.months >> first.month() & 1 == 0 {
            return None;
        }
        (first.day()..=first.days_in_month()).find_map(|day| {
            let date = first.with().day(day).build().ok()?;
            self.is_day(date)
                .then(|| self.in_day(date, start))
                .flatten()
        })
    }

    fn is_day(&self, date: Date) -> bool {
        let by_day = self.days >> date.day() & 1 == 1;
        let by_weekday = self.weekdays >> date.weekday().to_sunday_zero_offset() & 1 == 1;
        match self.is_either_day {
            true => by_day || by_weekday,
            false => by_day && by_weekday,
        }
    }

    fn in_day(&self, date: Date, start: DateTime) -> Option<DateTime> {
        let hours = (0..24).filter(|hour| self.hours >> hour & 1 == 1);
        let times = hours.flat_map(|hour| {
            let minutes = (0..60).filter(|minute| self.minutes >> minute & 1 == 1);
            minutes.map(move |minute| date.at(hour, minute, 0, 0))
        });
        times.into_iter().find(|time| *time >= start)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cron(text: &str) -> Cron {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn next(text: &str, after: &str) -> String {
        let after = after.parse().unwrap();
        cron(text).next_after(after).unwrap().to_string()
    }

    #[test]
    fn times_by_hand() {
        for (text, after, expected) in [
            ("0 2 * * *", "2026-12-01T02:00:00", "2026-12-02T02:00:00"),
            ("0 2 * * *", "2026-12-01T01:59:59.5", "2026-12-01T02:00:00"),
            ("@hourly", "2026-12-31T23:00:00", "2027-01-01T00:00:00"),
            ("@daily", "2026-12-31T00:00:00", "2027-01-01T00:00:00"),
            ("@weekly", "2026-12-01T00:00:00", "2026-12-06T00:00:00"),
            ("@monthly", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
            (
                "*/15 8-18/2 * * mon-fri",
                "2026-12-05T09:00:00",
                "2026-12-07T08:00:00",
            ),
            ("5,35 * * * *", "2026-12-05T09:05:00", "2026-12-05T09:35:00"),
            ("0 0 29 2 *", "2096-03-01T00:00:00", "2104-02-29T00:00:00"),
            ("0 0 31 * *", "2026-12-31T00:00:00", "2027-01-31T00:00:00"),
            // Neither day field begins with *: one of them is enough.
            ("0 0 13 * fri", "2026-12-01T00:00:00", "2026-12-04T00:00:00"),
            // One of them does: both must take the day.
            (
                "0 0 1-7 * */7",
                "2026-12-01T00:00:00",
                "2026-12-06T00:00:00",
            ),
            (
                "0 0 30 feb sun",
                "2026-12-01T00:00:00",
                "2027-02-07T00:00:00",
            ),
            ("0 0 29 2 */6", "2073-01-01T00:00:00", "2076-02-29T00:00:00"),
        ] {
            assert_eq!(next(text, after), expected, "{text} after {after}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_field() {
        for bad in [
            "",
            "@yearly",
            "* * * *",
            "* * * * * *",
            "0 0 31 2 *",
            "0 0 30 feb *",
            "0 0 31 4,6,9,11 *",
        ] {
            assert!(bad.parse::<Cron>().is_err(), "{bad}");
        }
        for (bad, word) in [
            ("60 * * * *", "minute"),
            ("* 24 * * *", "hour"),
            ("* * 0 * *", "day of the month"),
            ("* * * 13 *", "month"),
            ("* * * * 8", "day of the week"),
            ("* * * * funday", "day of the week"),
            ("5-1 * * * *", "minute"),
            ("*/0 * * * *", "minute"),
            ("5/15 * * * *", "minute"),
            ("1,,2 * * * *", "minute"),
            ("+1 * * * *", "minute"),
            ("-1 * * * *", "minute"),
            ("1- * * * *", "minute"),
            ("** * * * *", "minute"),
        ] {
            let said = bad.parse::<Cron>().unwrap_err().to_string();
            assert!(said.contains(word), "{bad}: {said}");
        }
        assert!("1,".repeat(100).parse::<Cron>().is_err());
    }

    #[test]
    fn one_spelling_comes_back() {
        assert_eq!(cron(" 0   2 * * * ").to_string(), "0 2 * * *");
        assert_eq!(cron("@daily").to_string(), "@daily");
        assert_eq!(cron("0 0 * * SUN").weekdays, cron("0 0 * * 7").weekdays);
    }

    /// One field by reading it the slow way: every number is looked for in every part.
    fn takes(field: &str, number: u32, top: u32, low: u32) -> bool {
        field.split(',').any(|part| {
            let (range, step) = part.split_once('/').unwrap_or((part, "1"));
            let step: u32 = step.parse().unwrap();
            let (from, to) = match (range, range.split_once('-')) {
                ("*", _) => (low, top),
                (_, Some((from, to))) => (from.parse().unwrap(), to.parse().unwrap()),
                (one, None) => (one.parse().unwrap(), one.parse().unwrap()),
            };
            number >= from && number <= to && (number - from).is_multiple_of(step)
        })
    }

    /// The oracle: is this very minute meant?
    fn is_meant(fields: &[String; 5], time: DateTime) -> bool {
        let number = |value: i8| u32::try_from(value).unwrap();
        let weekday = number(time.weekday().to_sunday_zero_offset());
        let day = takes(&fields[2], number(time.day()), 31, 1);
        let of_week =
            takes(&fields[4], weekday, 7, 0) || (weekday == 0 && takes(&fields[4], 7, 7, 0));
        let day_is = if fields[2].starts_with('*') || fields[4].starts_with('*') {
            day && of_week
        } else {
            day || of_week
        };
        takes(&fields[0], number(time.minute()), 59, 0)
            && takes(&fields[1], number(time.hour()), 23, 0)
            && takes(&fields[3], number(time.month()), 12, 1)
            && day_is
    }

    fn a_field(low: u32, top: u32) -> impl Strategy<Value = String> {
        let number = low..=top;
        let range = (low..=top, low..=top).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
        let part = prop_oneof![
            3 => number.prop_map(|one| one.to_string()),
            2 => range.clone(),
            1 => (range, 1..9_u32).prop_map(|(range, step)| format!("{range}/{step}")),
            1 => (1..9_u32).prop_map(|step| format!("*/{step}")),
        ];
        prop_oneof![
            2 => Just("*".to_owned()),
            3 => proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join(",")),
        ]
    }

    fn fields() -> impl Strategy<Value = [String; 5]> {
        (
            a_field(0, 59),
            a_field(0, 23),
            a_field(1, 31),
            a_field(1, 12),
            a_field(0, 7),
        )
            .prop_map(|(a, b, c, d, e)| [a, b, c, d, e])
    }

    fn instants() -> impl Strategy<Value = DateTime> {
        (
            2020..2030_i16,
            1..=12_i8,
            1..=28_i8,
            0..24_i8,
            0..60_i8,
            0..60_i8,
        )
            .prop_map(|(year, month, day, hour, minute, second)| {
                jiff::civil::datetime(year, month, day, hour, minute, second, 0)
            })
    }

    proptest! {
        #[test]
        fn the_next_time_is_meant_and_none_before_it(fields in fields(), instant in instants()) {
            let Ok(cron) = fields.join(" ").parse::<Cron>() else {
                return Ok(()); // A day that no month has; the refusals have their own test.
            };
            let found = cron.next_after(instant).unwrap();
            prop_assert!(found > instant);
            prop_assert!(is_meant(&fields, found), "{} is not meant by {}", found, cron);
            // Minute by minute, as far as a naive search gets in a moment.
            let mut time = instant.with().second(0).build().unwrap();
            for _ in 0..3 * 24 * 60 {
                time = time.checked_add(1.minute()).unwrap();
                if time >= found {
                    break;
                }
                prop_assert!(!is_meant(&fields, time), "{} was passed over by {}", time, cron);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _read = text.parse::<Cron>();
        }
    }
}
