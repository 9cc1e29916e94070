//! Operational parameters of a session and how RFC 7143 section 13 has both sides agree on them.
//! Pure: text in, text and [`Parameters`] out.

use super::limits::{
    DATA_SEGMENT_LEN_MAX, FIRST_BURST_LEN_MAX, LOGIN_SEGMENT_LEN_MAX, MAX_BURST_LEN_MAX,
};
use super::text::Writer;

/// What was agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// CRC32C over headers.
    pub header_digest: bool,
    /// CRC32C over data.
    pub data_digest: bool,
    /// Whether every write waits for an R2T beyond its immediate data.
    pub initial_r2t: bool,
    /// Whether a command may carry data.
    pub immediate_data: bool,
    /// Longest data segment the initiator takes.
    pub peer_segment_len: u32,
    /// Longest solicited sequence.
    pub max_burst_len: u32,
    /// Longest unsolicited data of a command.
    pub first_burst_len: u32,
}

impl Default for Parameters {
    /// The RFC's defaults, in force until negotiated.
    fn default() -> Self {
        Self {
            header_digest: false,
            data_digest: false,
            initial_r2t: true,
            immediate_data: true,
            peer_segment_len: LOGIN_SEGMENT_LEN_MAX,
            max_burst_len: 256 * 1024,
            first_burst_len: 64 * 1024,
        }
    }
}

/// A value that breaks the rules of its key; the login fails.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
#[error("an impossible value of {key}")]
pub struct BadValue {
    /// The key.
    pub key: &'static str,
}

/// RFC 7143 13.12: segment and burst lengths lie between 512 and 2^24 - 1.
const LEN_MIN: u32 = 512;
const LEN_MAX: u32 = 0x00ff_ffff;

impl Parameters {
    /// Takes one offered key; answers it where it wants an answer. `Ok(false)` when the key is not
    /// an operational one.
    pub fn offer(&mut self, key: &str, value: &str, out: &mut Writer) -> Result<bool, BadValue> {
        match key {
            "HeaderDigest" => self.header_digest = digest("HeaderDigest", value, out),
            "DataDigest" => self.data_digest = digest("DataDigest", value, out),
            "InitialR2T" => {
                // Either side may insist on Yes. We accept unsolicited data.
                self.initial_r2t = boolean("InitialR2T", value)?;
                out.put(key, if self.initial_r2t { "Yes" } else { "No" });
            }
            "ImmediateData" => {
                self.immediate_data = boolean("ImmediateData", value)?;
                out.put(key, if self.immediate_data { "Yes" } else { "No" });
            }
            "MaxRecvDataSegmentLength" => {
                // Declared by each side for itself: ours is put once, by the login.
                self.peer_segment_len = length("MaxRecvDataSegmentLength", value)?;
            }
            "MaxBurstLength" => {
                self.max_burst_len = length("MaxBurstLength", value)?.min(MAX_BURST_LEN_MAX);
                out.put(key, &self.max_burst_len.to_string());
            }
            "FirstBurstLength" => {
                let ours = FIRST_BURST_LEN_MAX;
                self.first_burst_len = length("FirstBurstLength", value)?.min(ours);
                out.put(key, &self.first_burst_len.to_string());
            }
            // One connection, one outstanding R2T, no recovery levels; each the least of both.
            "MaxConnections" | "MaxOutstandingR2T" => {
                number("MaxConnections or MaxOutstandingR2T", value, 1..=65535)?;
                out.put(key, "1");
            }
            "ErrorRecoveryLevel" => {
                number("ErrorRecoveryLevel", value, 0..=2)?;
                out.put(key, "0");
            }
            "DefaultTime2Wait" => {
                let wait = number("DefaultTime2Wait", value, 0..=3600)?;
                out.put(key, &wait.max(2).to_string());
            }
            "DefaultTime2Retain" => {
                number("DefaultTime2Retain", value, 0..=3600)?;
                out.put(key, "0");
            }
            "DataPDUInOrder" | "DataSequenceInOrder" => out.put(key, "Yes"),
            "IFMarker" | "OFMarker" => out.put(key, "No"),
            "iSCSIProtocolLevel" => out.put(key, "1"),
            "TaskReporting" => out.put(key, "RFC3720"),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Settles what depends on more than one key, once all are known.
    pub fn settle(&mut self) {
        self.first_burst_len = self.first_burst_len.min(self.max_burst_len);
    }
}

/// Declares what we accept in one data segment.
pub fn declare_segment_len(out: &mut Writer) {
    out.put(
        "MaxRecvDataSegmentLength",
        &DATA_SEGMENT_LEN_MAX.to_string(),
    );
}

fn digest(key: &'static str, offered: &str, out: &mut Writer) -> bool {
    let chosen = offered
        .split(',')
        .map(str::trim)
        .find(|name| matches!(*name, "None" | "CRC32C"));
    out.put(key, chosen.unwrap_or("Reject"));
    chosen == Some("CRC32C")
}

fn boolean(key: &'static str, value: &str) -> Result<bool, BadValue> {
    match value {
        "Yes" => Ok(true),
        "No" => Ok(false),
        _ => Err(BadValue { key }),
    }
}

fn length(key: &'static str, value: &str) -> Result<u32, BadValue> {
    number(key, value, LEN_MIN..=LEN_MAX)
}

fn number(
    key: &'static str,
    value: &str,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, BadValue> {
    let number = match value
        .strip_prefix("0x")
        .or_else(|| value.strip_prefix("0X"))
    {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => value.parse(),
    };
    number
        .ok()
        .filter(|number| range.contains(number))
        .ok_or(BadValue { key })
}

#[cfg(test)]
mod tests {
    use super::{BadValue, Parameters};
    use crate::target::iscsi::text::{Pairs, Writer};
    use proptest::prelude::any;

    fn answer(parameters: &mut Parameters, key: &str, value: &str) -> Option<String> {
        let mut out = Writer::default();
        parameters.offer(key, value, &mut out).unwrap();
        Pairs::parse(&out.finish())
            .unwrap()
            .get(key)
            .map(str::to_owned)
    }

    #[test]
    fn each_key_takes_its_rule() {
        let cases = [
            ("HeaderDigest", "CRC32C,None", Some("CRC32C")),
            ("DataDigest", "None,CRC32C", Some("None")),
            ("DataDigest", "SHA1", Some("Reject")),
            ("InitialR2T", "No", Some("No")),
            ("MaxBurstLength", "16776192", Some("1048576")),
            ("FirstBurstLength", "0x10000", Some("65536")),
            ("MaxOutstandingR2T", "16", Some("1")),
            ("MaxConnections", "4", Some("1")),
            ("ErrorRecoveryLevel", "2", Some("0")),
            ("DefaultTime2Retain", "20", Some("0")),
            ("MaxRecvDataSegmentLength", "262144", None),
        ];
        let mut parameters = Parameters::default();
        for (key, value, expected) in cases {
            assert_eq!(
                answer(&mut parameters, key, value).as_deref(),
                expected,
                "{key}"
            );
        }
        assert!(parameters.header_digest && !parameters.data_digest && !parameters.initial_r2t);
        assert_eq!(parameters.peer_segment_len, 262_144);
    }

    #[test]
    fn impossible_values_fail() {
        for (key, value) in [
            ("MaxBurstLength", "511"),
            ("MaxBurstLength", "16777216"),
            ("FirstBurstLength", "-1"),
            ("ErrorRecoveryLevel", "3"),
            ("InitialR2T", "maybe"),
        ] {
            let outcome = Parameters::default().offer(key, value, &mut Writer::default());
            assert_eq!(outcome, Err(BadValue { key }), "{key}={value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_offered_stays_within_limits(burst: u32, first: u32, segment in any::<u32>()) {
            let mut parameters = Parameters::default();
            for (key, value) in [
                ("MaxBurstLength", burst),
                ("FirstBurstLength", first),
                ("MaxRecvDataSegmentLength", segment),
            ] {
                let _refused = parameters.offer(key, &value.to_string(), &mut Writer::default());
            }
            parameters.settle();
            proptest::prop_assert!(parameters.peer_segment_len >= 512);
            proptest::prop_assert!(parameters.max_burst_len <= 1024 * 1024);
            proptest::prop_assert!(parameters.first_burst_len <= parameters.max_burst_len);
        }
    }
}
