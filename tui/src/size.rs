//! Sizes as people write them: `750G`, `1T`, `+100G`.

use crate::failure::Failure;

/// A size on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// This much.
    Total(u64),
    /// This much more than now.
    More(u64),
}

/// GiB from `N`, `NG`, `NGiB`, `NT`, `NTiB`; with `+` in front, so much more. Cinder counts in whole GiB.
pub(crate) fn parse(text: &str) -> Result<Size, Failure> {
    let bad = || {
        Failure::usage(
            &format!("`{text}` is not a size"),
            "write whole GiB or TiB, as 10, 10G, 1T, or +5G for so much more",
        )
    };
    let (more, rest) = match text.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let digits = rest.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match rest[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "g" | "gib" => 1,
        "t" | "tib" => 1024,
        _ => return Err(bad()),
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let count: u64 = digits.parse().map_err(|_| bad())?;
    let size_gib = count
        .checked_mul(unit)
        .filter(|size| *size > 0)
        .ok_or_else(bad)?;
    Ok(if more {
        Size::More(size_gib)
    } else {
        Size::Total(size_gib)
    })
}

/// Bytes for a person: whole or with one digit, in binary units.
pub(crate) fn in_words(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut scale = 1_u64;
    let mut unit = units[0];
    for next in &units[1..] {
        if bytes / scale < 1024 {
            break;
        }
        scale *= 1024;
        unit = next;
    }
    let tenths = u128::from(bytes) * 10 / u128::from(scale);
    if tenths % 10 == 0 || tenths >= 1000 {
        format!("{} {unit}", tenths / 10)
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_gib_in_the_usual_spellings() {
        for (text, size) in [
            ("1", Size::Total(1)),
            ("750G", Size::Total(750)),
            ("2TiB", Size::Total(2048)),
            ("+100g", Size::More(100)),
            ("+1t", Size::More(1024)),
        ] {
            assert_eq!(parse(text).unwrap(), size, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_whole_number_of_gib_is_refused() {
        for text in [
            "",
            "0",
            "+",
            "-1",
            "1.5G",
            "1M",
            "G",
            "++1",
            "99999999999999999999",
            "1 G",
        ] {
            assert!(parse(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn bytes_in_words() {
        for (bytes, words) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (1 << 30, "1 GiB"),
            (u64::MAX, "16383 PiB"),
        ] {
            assert_eq!(in_words(bytes), words);
        }
    }
}
