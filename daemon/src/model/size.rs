//! Sizes: whole gibibytes as the API speaks them, bytes as the edges do. The only conversions.

use std::fmt;

/// Bytes in one GiB.
pub const GIB: u64 = 1 << 30;

/// A volume's size in whole GiB: 1 to 2^31 - 1, the range that Cinder's schema accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gib(u32);

impl Gib {
    /// The largest size that Cinder's schema accepts.
    pub const MAX: u32 = i32::MAX as u32;

    /// `None` when outside 1 to [`Gib::MAX`].
    pub fn new(size_gib: i64) -> Option<Self> {
        let size_gib = u32::try_from(size_gib).ok()?;
        (1..=Self::MAX)
            .contains(&size_gib)
            .then_some(Self(size_gib))
    }

    /// The number of GiB.
    pub fn get(self) -> i64 {
        i64::from(self.0)
    }

    /// The size in bytes; cannot overflow, since 2^31 GiB are 2^61 bytes.
    pub fn bytes(self) -> u64 {
        u64::from(self.0) * GIB
    }
}

impl fmt::Display for Gib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Bytes as GiB with a fraction, for the scheduler's arithmetic and for people; never for a device's size.
#[expect(
    clippy::cast_precision_loss,
    reason = "53 bits of GiB fractions are exact far beyond any pool"
)]
pub fn gib_from_bytes(len_bytes: u64) -> f64 {
    len_bytes as f64 / GIB as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        assert_eq!(Gib::new(0), None);
        assert_eq!(Gib::new(-1), None);
        assert_eq!(Gib::new(i64::from(Gib::MAX) + 1), None);
        assert_eq!(Gib::new(i64::MAX), None);
        assert_eq!(Gib::new(3).map(Gib::bytes), Some(3 * GIB));
        assert_eq!(
            Gib::new(i64::from(Gib::MAX)).map(Gib::get),
            Some(2_147_483_647)
        );
    }
}
