//! The microversion of a request: read from its header, bounded by what the ladder lets us advertise, echoed.
//!
//! The maximum is computed: it is the highest step of [`ladder`](super::ladder) below which nothing is missing. A
//! client asks for at most what it knows and what we advertise, so the number is a promise about every step under it.

use super::error::{Body, Fault, set_header};
use super::ladder::{LADDER, State};
use axum::http::{HeaderMap, Response, header::HeaderName};
use std::fmt;

/// The header by which a client asks and by which the answer echoes.
pub(super) const HEADER: &str = "openstack-api-version";

/// Our name in that header.
const SERVICE: &str = "volume";

/// Version 3.`minor` of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Microversion(u16);

impl Microversion {
    /// What a request without the header gets.
    pub const MIN: Microversion = Microversion(0);

    /// The version 3.`minor`.
    pub const fn of(minor: u16) -> Self {
        Self(minor)
    }

    /// The number after the dot.
    pub const fn minor(self) -> u16 {
        self.0
    }

    /// Whether what came with 3.`minor` holds.
    pub const fn at_least(self, minor: u16) -> bool {
        self.0 >= minor
    }
}

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "3.{}", self.0)
    }
}

/// The highest version under which no step of the ladder is missing.
pub fn maximum() -> Microversion {
    let mut highest = Microversion::MIN;
    for step in LADDER {
        match step.state {
            State::Done | State::Absent => highest = Microversion(step.minor),
            State::Missing => break,
        }
    }
    highest
}

/// Reads the header: absent, or without a word about us, means 3.0.
pub fn requested(headers: &HeaderMap) -> Result<Microversion, Fault> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(Microversion::MIN);
    };
    let text = value.to_str().map_err(|_| malformed("(not ASCII)"))?;
    for part in text.split(',') {
        let mut words = part.split_whitespace();
        if words.next() != Some(SERVICE) {
            continue;
        }
        return match (words.next(), words.next()) {
            (Some(version), None) => parse(version),
            (Some(_) | None, _) => Err(malformed(part.trim())),
        };
    }
    Ok(Microversion::MIN)
}

fn parse(text: &str) -> Result<Microversion, Fault> {
    if text == "latest" {
        return Ok(maximum());
    }
    let (major, minor) = text.split_once('.').ok_or_else(|| malformed(text))?;
    let major = number(major).ok_or_else(|| malformed(text))?;
    let minor = number(minor).ok_or_else(|| malformed(text))?;
    if major == 0 {
        return Err(malformed(text));
    }
    if major != 3 || minor > maximum().0 {
        return Err(Fault::not_acceptable(format!(
            "Version {major}.{minor} is not supported by the API. Minimum is {} and maximum is {}.",
            Microversion::MIN,
            maximum()
        )));
    }
    Ok(Microversion(minor))
}

/// Digits without a leading zero; a number beyond 16 bits is one that we do not support either.
fn number(text: &str) -> Option<u16> {
    let well_formed = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    well_formed.then(|| text.parse().unwrap_or(u16::MAX))
}

fn malformed(text: &str) -> Fault {
    let shown: String = text.chars().take(40).collect();
    Fault::bad_request(format!(
        "API Version String {shown} is of invalid format. Must be of format MajorNum.MinorNum."
    ))
}

/// Echoes the version on an answer of the versioned API.
pub(super) fn put(response: &mut Response<Body>, version: Microversion) {
    let name = HeaderName::from_static(HEADER);
    set_header(response, name, &format!("{SERVICE} {version}"));
    set_header(response, axum::http::header::VARY, "OpenStack-API-Version");
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn ask(text: &str) -> Result<Microversion, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(text.as_bytes()).unwrap());
        requested(&headers).map_err(|fault| fault.code())
    }

    #[test]
    fn cinders_rules() {
        assert_eq!(requested(&HeaderMap::new()), Ok(Microversion::MIN));
        assert_eq!(ask("volume 3.0"), Ok(Microversion::of(0)));
        assert_eq!(ask("volume 3.27"), Ok(Microversion::of(27)));
        assert_eq!(ask("volume latest"), Ok(maximum()));
        assert_eq!(ask("compute 2.1, volume 3.44"), Ok(Microversion::of(44)));
        assert_eq!(ask("compute 2.1"), Ok(Microversion::MIN));
        for beyond in [
            "volume 3.999",
            "volume 2.0",
            "volume 4.0",
            "volume 3.99999999999",
        ] {
            assert_eq!(ask(beyond), Err(406), "{beyond}");
        }
        for bad in [
            "volume",
            "volume 3",
            "volume 3.",
            "volume .3",
            "volume 3.01",
            "volume 3.1.1",
            "volume 0.1",
            "volume -3.1",
            "volume 3.1 x",
            "volume newest",
            "volume 3.é",
        ] {
            assert_eq!(ask(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn the_maximum_stops_below_the_first_missing_step() {
        let first_missing = LADDER
            .iter()
            .find(|step| step.state == State::Missing)
            .map(|step| step.minor);
        if let Some(first_missing) = first_missing {
            assert_eq!(maximum(), Microversion::of(first_missing - 1));
        }
        // Nova does not attach below this, and the rest is what 3.66 promises its clients.
        assert!(maximum().at_least(66));
    }
}
