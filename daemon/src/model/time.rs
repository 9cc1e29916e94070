//! Time: UTC, in Cinder's naive spelling with six digits and no offset (rule W5: a `Z` breaks gophercloud).

use jiff::Timestamp;
use jiff::civil::DateTime;
use std::fmt;
use std::time::Duration;

/// An instant as it is stored and as it goes on the wire: `2026-11-22T18:43:43.000000`, UTC, no offset.
///
/// The text form sorts like the time, so pages sorted by time agree on both database engines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(String);

impl Time {
    /// The current time. Tests that need another one make a [`Time`] from text.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the clock"
    )]
    pub fn now() -> Self {
        Self::from_timestamp(Timestamp::now())
    }

    /// This time from now; for deadlines that are recorded.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the clock"
    )]
    pub fn after(span: Duration) -> Self {
        let later = Timestamp::now().checked_add(span).unwrap_or(Timestamp::MAX);
        Self::from_timestamp(later)
    }

    /// This time ago; for what is kept so long.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the clock"
    )]
    pub fn before(span: Duration) -> Self {
        let earlier = Timestamp::now().checked_sub(span).unwrap_or(Timestamp::MIN);
        Self::from_timestamp(earlier)
    }

    fn from_timestamp(timestamp: Timestamp) -> Self {
        Self(timestamp.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string())
    }

    /// Takes back what [`Time::as_str`] gave; the store holds nothing else.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// What another program wrote: with a `T` or a blank between date and time, with an offset or, when it has none, in
    /// UTC. `None` for what is no time.
    pub fn read(text: &str) -> Option<Self> {
        let read = |text: &str| text.parse::<Timestamp>().ok();
        let timestamp = read(text).or_else(|| read(&format!("{text}Z")))?;
        Some(Self::from_timestamp(timestamp))
    }

    /// The stored and wire spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A time of the calendar, UTC.
    pub fn from_civil(at: DateTime) -> Self {
        Self(at.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string())
    }

    /// The same as a time of the calendar, UTC; `None` when it is not readable.
    pub fn civil(&self) -> Option<DateTime> {
        self.0.parse().ok()
    }

    /// This time, and `span` more; itself when it is not readable.
    pub fn plus(&self, span: Duration) -> Self {
        let later = format!("{}Z", self.0)
            .parse::<Timestamp>()
            .ok()
            .and_then(|time| time.checked_add(span).ok());
        later.map_or_else(|| self.clone(), Self::from_timestamp)
    }

    /// Seconds from `earlier` to this time; 0 when it is not earlier or one is not readable.
    pub fn seconds_since(&self, earlier: &Time) -> f64 {
        let read = |time: &Time| format!("{}Z", time.0).parse::<Timestamp>().ok();
        match (read(self), read(earlier)) {
            (Some(late), Some(early)) => (late - early)
                .total(jiff::Unit::Second)
                .unwrap_or(0.0)
                .max(0.0),
            (None, _) | (_, None) => 0.0,
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cinder_spelling() {
        let now = Time::now();
        assert_eq!(now.as_str().len(), "2026-11-22T18:43:43.000000".len());
        assert!(!now.as_str().contains('Z') && !now.as_str().contains('+'));
        let later = Time::after(Duration::from_secs(90));
        assert!(later > now);
        assert!((later.seconds_since(&now) - 90.0).abs() < 1.0);
        assert!(now.seconds_since(&later) == 0.0);
        let eve = Time::from_stored("2026-12-31T23:59:59.500000".to_owned());
        let new_year = eve.plus(Duration::from_millis(750));
        assert_eq!(new_year.as_str(), "2027-01-01T00:00:00.250000");
        for (text, wanted) in [
            ("2026-12-01 10:21:48+00:00", "2026-12-01T10:21:48.000000"),
            ("2026-12-01 12:21:48.5+02:00", "2026-12-01T10:21:48.500000"),
            ("2026-12-01T10:21:48Z", "2026-12-01T10:21:48.000000"),
            ("2026-12-01 10:21:48", "2026-12-01T10:21:48.000000"),
        ] {
            assert_eq!(
                Time::read(text).as_ref().map(Time::as_str),
                Some(wanted),
                "{text}"
            );
        }
        for text in ["", "None", "2026-13-01 00:00:00", "soon"] {
            assert_eq!(Time::read(text), None, "{text}");
        }
        assert_eq!(eve.civil().map(Time::from_civil), Some(eve));
        let nonsense = Time::from_stored("soon".to_owned());
        assert_eq!(nonsense.civil(), None);
        assert_eq!(nonsense.plus(Duration::from_secs(1)), nonsense);
    }
}
