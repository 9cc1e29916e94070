//! CHAP (RFC 1994, as RFC 7143 12.1.3 uses it): challenges, responses, and their hexadecimal or
//! base64 spelling. Pure but for random numbers. Comparisons take the same time whatever differs;
//! no secret reaches a Debug output.

use md5::{Digest, Md5};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Challenge length: that of the longest response, as RFC 7143 asks at least.
pub const CHALLENGE_LEN: usize = 32;
/// Longest binary value (RFC 7143 6.1).
const BINARY_LEN_MAX: usize = 1024;

/// The hash of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `CHAP_A=5`.
    Md5,
    /// `CHAP_A=7` (RFC 7143 errata and IANA's PPP numbers).
    Sha256,
}

impl Algorithm {
    /// The first of the initiator's list that we have.
    pub fn choose(offered: &str) -> Option<Self> {
        offered.split(',').find_map(|number| match number.trim() {
            "5" => Some(Self::Md5),
            "7" => Some(Self::Sha256),
            _ => None,
        })
    }

    /// Its number on the wire.
    pub fn number(self) -> &'static str {
        match self {
            Self::Md5 => "5",
            Self::Sha256 => "7",
        }
    }

    /// The response to a challenge: hash over identifier, secret and challenge.
    pub fn response(self, identifier: u8, secret: &SecretString, challenge: &[u8]) -> Vec<u8> {
        let secret = secret.expose_secret().as_bytes();
        match self {
            Self::Md5 => digest::<Md5>(identifier, secret, challenge),
            Self::Sha256 => digest::<Sha256>(identifier, secret, challenge),
        }
    }
}

fn digest<D: Digest>(identifier: u8, secret: &[u8], challenge: &[u8]) -> Vec<u8> {
    let hash = D::new().chain_update([identifier]).chain_update(secret);
    hash.chain_update(challenge).finalize().to_vec()
}

/// A challenge of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Identifier hashed with it.
    pub identifier: u8,
    /// Random bytes.
    pub bytes: [u8; CHALLENGE_LEN],
}

impl Challenge {
    /// A fresh one from the system's random numbers.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut random = [0; CHALLENGE_LEN + 1];
        getrandom::fill(&mut random)?;
        let (identifier, rest) = (random[0], &random[1..]);
        let mut bytes = [0; CHALLENGE_LEN];
        bytes.copy_from_slice(rest);
        Ok(Self { identifier, bytes })
    }

    /// Whether `response` proves knowledge of `secret`.
    pub fn is_met(&self, algorithm: Algorithm, secret: &SecretString, response: &[u8]) -> bool {
        let expected = algorithm.response(self.identifier, secret, &self.bytes);
        bool::from(expected.ct_eq(response))
    }
}

/// Spells a binary value.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |text, byte| {
        text + &format!("{byte:02x}")
    })
}

/// Reads a binary value (`0x` hexadecimal or `0b` base64).
pub fn from_text(text: &str) -> Option<Vec<u8>> {
    let bytes = match text.get(..2)? {
        "0x" | "0X" => from_hex(&text[2..])?,
        "0b" | "0B" => from_base64(&text[2..])?,
        _ => return None,
    };
    (bytes.len() <= BINARY_LEN_MAX).then_some(bytes)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.bytes().map(hex_digit).collect();
    let digits = digits?;
    // An odd number of digits has its leading zero left out.
    let (head, pairs) = digits.split_at(digits.len() % 2);
    let pairs = pairs.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]);
    Some(head.iter().copied().chain(pairs).collect())
}

fn hex_digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len());
    for group in text.chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let mut bits: u32 = 0;
        for byte in group {
            bits = bits << 6 | u32::from(base64_digit(*byte)?);
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

fn base64_digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, Challenge, from_text, to_hex};
    use proptest::prelude::{any, prop};

    #[test]
    fn the_md5_response_is_the_hash_of_identifier_secret_challenge() {
        // printf '\x01secretchallenge' | md5sum
        let secret = "secret".into();
        let response = Algorithm::Md5.response(1, &secret, b"challenge");
        assert_eq!(to_hex(&response), MD5_OF_EXAMPLE);
        let response = Algorithm::Sha256.response(1, &secret, b"challenge");
        assert_eq!(to_hex(&response), SHA256_OF_EXAMPLE);
    }
    const MD5_OF_EXAMPLE: &str = "0x46e47770030e2b4e26a0db72a7efec00";
    const SHA256_OF_EXAMPLE: &str =
        "0x2dfa0526f4764864b7c3c5bc6596bcead3d8dbd984f4fc1d9f330299f0beced4";

    #[test]
    fn only_the_right_response_is_met() {
        let challenge = Challenge::random().unwrap();
        assert_ne!(challenge, Challenge::random().unwrap());
        let (secret, other) = ("right".into(), "wrong".into());
        let response = Algorithm::Md5.response(challenge.identifier, &secret, &challenge.bytes);
        assert!(challenge.is_met(Algorithm::Md5, &secret, &response));
        assert!(!challenge.is_met(Algorithm::Md5, &other, &response));
        assert!(!challenge.is_met(Algorithm::Sha256, &secret, &response));
        assert!(!challenge.is_met(Algorithm::Md5, &secret, &response[..15]));
        assert!(!challenge.is_met(Algorithm::Md5, &secret, &[]));
    }

    #[test]
    fn binary_values_in_both_spellings() {
        assert_eq!(from_text("0x0aFF"), Some(vec![0x0a, 0xff]));
        assert_eq!(from_text("0xaff"), Some(vec![0x0a, 0xff]));
        assert_eq!(from_text("0bSGVsbG8="), Some(b"Hello".to_vec()));
        assert_eq!(from_text("0bSGVsbA=="), Some(b"Hell".to_vec()));
        for bad in ["", "0", "12", "0xg0", "0b!", "0bA", "\u{e9}x"] {
            assert_eq!(from_text(bad), None, "{bad}");
        }
        assert_eq!(from_text(&format!("0x{}", "00".repeat(1025))), None);
    }

    #[test]
    fn the_initiators_first_known_algorithm_is_taken() {
        assert_eq!(Algorithm::choose("8,7,5"), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::choose("5"), Some(Algorithm::Md5));
        assert_eq!(Algorithm::choose("6,8"), None);
    }

    proptest::proptest! {
        #[test]
        fn hexadecimal_round_trip(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            proptest::prop_assert_eq!(from_text(&to_hex(&bytes)), Some(bytes));
        }
    }
}
