//! Key=value text as login and text requests carry it: pairs, each ended by a zero byte. Pure; knows
//! no key's meaning. Sizes and counts are limited, a repeated key is an error.

use super::limits::{TEXT_KEY_LEN_MAX, TEXT_KEYS_MAX, TEXT_VALUE_LEN_MAX};
use thiserror::Error;

/// Why text is not key=value pairs that we take.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum TextError {
    /// Not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// A pair without `=`, or an empty key.
    #[error("a pair without a key")]
    NoKey,
    /// A key or value above its limit.
    #[error("a key or value is too long")]
    TooLong,
    /// More pairs than the limit.
    #[error("too many keys")]
    TooMany,
    /// A key came twice.
    #[error("a key came twice")]
    Repeated,
}

/// Pairs in the order received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Reads pairs out of a data segment.
    pub fn parse(bytes: &[u8]) -> Result<Self, TextError> {
        let text = std::str::from_utf8(bytes).map_err(|_| TextError::NotUtf8)?;
        let mut pairs = Self::default();
        for pair in text.split('\0').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or(TextError::NoKey)?;
            if key.is_empty() {
                return Err(TextError::NoKey);
            }
            if key.len() > TEXT_KEY_LEN_MAX || value.len() > TEXT_VALUE_LEN_MAX {
                return Err(TextError::TooLong);
            }
            if pairs.0.len() == TEXT_KEYS_MAX {
                return Err(TextError::TooMany);
            }
            if pairs.get(key).is_some() {
                return Err(TextError::Repeated);
            }
            pairs.0.push((key.to_owned(), value.to_owned()));
        }
        Ok(pairs)
    }

    /// A key's value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    /// All pairs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// Builds a data segment of pairs.
#[derive(Debug, Clone, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Appends a pair.
    pub fn put(&mut self, key: &str, value: &str) {
        self.0.extend_from_slice(key.as_bytes());
        self.0.push(b'=');
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(0);
    }

    /// The segment.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Pairs, TextError, Writer};
    use proptest::prelude::{any, prop};

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
            if let Ok(pairs) = Pairs::parse(&bytes) {
                proptest::prop_assert!(pairs.iter().all(|(key, _)| !key.is_empty()));
            }
        }

        #[test]
        fn what_is_written_is_read(
            pairs in prop::collection::hash_map("[A-Za-z]{1,63}", "[ -~]{0,200}", 0..20)
        ) {
            let mut writer = Writer::default();
            pairs.iter().for_each(|(key, value)| writer.put(key, value));
            let read = Pairs::parse(&writer.finish()).unwrap();
            proptest::prop_assert_eq!(read.iter().count(), pairs.len());
            for (key, value) in &pairs {
                proptest::prop_assert_eq!(read.get(key), Some(value.as_str()));
            }
        }
    }

    #[test]
    fn limits_and_nonsense_are_named() {
        let many: String = (0..65).map(|n| format!("k{n}=v\0")).collect();
        let long = format!("{}=v\0", "k".repeat(64));
        let cases = [
            (&b"a\0"[..], TextError::NoKey),
            (b"=v\0", TextError::NoKey),
            (b"a=1\0a=2\0", TextError::Repeated),
            (b"\xff=1\0", TextError::NotUtf8),
            (many.as_bytes(), TextError::TooMany),
            (long.as_bytes(), TextError::TooLong),
        ];
        for (bytes, error) in cases {
            assert_eq!(Pairs::parse(bytes), Err(error));
        }
    }
}
