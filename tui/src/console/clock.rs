//! Time as the console tells it: milliseconds since 1970, given from outside; ages in coarse words.
//!
//! Only `now` looks at a clock; everything else is told the time.

/// Milliseconds since 1970.
pub(crate) type Ms = i64;

/// A second.
pub(crate) const SECOND: Ms = 1000;

/// The time now: the console's only look at a clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the console's one clock; the rest is told the time"
)]
pub(crate) fn now() -> Ms {
    jiff::Timestamp::now().as_millisecond()
}

/// Reads the times of both APIs: `2025-11-21T14:31:02.000000` (UTC, as Cinder writes it) and RFC 3339.
pub(crate) fn parse(text: &str) -> Option<Ms> {
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Some(timestamp.as_millisecond());
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

/// `<1m`, `12m`, `5h`, `3d`, `2y`: changes rarely, so that a list at rest stays at rest.
pub(crate) fn age(now: Ms, then: Ms) -> String {
    let s = (now - then).max(0) / SECOND;
    match s {
        0..60 => "<1m".to_owned(),
        60..3600 => format!("{}m", s / 60),
        3600..86_400 => format!("{}h", s / 3600),
        86_400..63_072_000 => format!("{}d", s / 86_400),
        _ => format!("{}y", s / 31_536_000),
    }
}

/// A length of time: `12 ms`, `0.4 s`, `12 s`, `3m 20s`, `2h 5m`, `9d 4h`.
pub(crate) fn span(len: Ms) -> String {
    let s = len.max(0) / SECOND;
    match s {
        0 if (1..100).contains(&len) => format!("{len} ms"),
        0..10 => format!("{}.{} s", s, (len.max(0) % SECOND) / 100),
        10..60 => format!("{s} s"),
        60..3600 => format!("{}m {}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {}m", s / 3600, s / 60 % 60),
        _ => format!("{}d {}h", s / 86_400, s / 3600 % 24),
    }
}

/// `2025-11-21 14:31` in UTC.
pub(crate) fn minute(at: Ms) -> String {
    stamp(at, "%Y-%m-%d %H:%M")
}

/// `14:31:24` in UTC.
pub(crate) fn time_of_day(at: Ms) -> String {
    stamp(at, "%H:%M:%S")
}

fn stamp(at: Ms, form: &str) -> String {
    match jiff::Timestamp::from_millisecond(at) {
        Ok(timestamp) => timestamp.strftime(form).to_string(),
        Err(_) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_a_time_are_read() {
        let at = 1_763_735_462_000;
        assert_eq!(parse("2025-11-21T14:31:02.000000"), Some(at));
        assert_eq!(parse("2025-11-21T14:31:02Z"), Some(at));
        assert_eq!(parse("soon"), None);
        assert_eq!(minute(at), "2025-11-21 14:31");
        assert_eq!(time_of_day(at), "14:31:02");
    }

    #[test]
    fn ages_are_coarse_and_never_negative() {
        for (len_s, word) in [
            (-5, "<1m"),
            (59, "<1m"),
            (60, "1m"),
            (7200, "2h"),
            (90_000, "1d"),
        ] {
            assert_eq!(age(len_s * SECOND, 0), word);
        }
        assert_eq!(span(400), "0.4 s");
        assert_eq!(span(12), "12 ms");
        assert_eq!(span(200 * SECOND), "3m 20s");
        assert_eq!(span(-1), "0.0 s");
    }
}
