//! Sizes as the console shows and reads them: binary units, three or four digits.

/// `40G`, `1.5T`: a whole number of GiB in a cell.
pub(crate) fn gib(size_gib: u64) -> String {
    short(size_gib.saturating_mul(1 << 30))
}

/// A fractional number of GiB in a cell; `-` for what is no number, `inf` for a pool that tells no end.
pub(crate) fn gib_f(size_gib: f64) -> String {
    if size_gib.is_infinite() {
        return "inf".to_owned();
    }
    if !size_gib.is_finite() {
        return "-".to_owned();
    }
    if size_gib.abs() >= 1024.0 {
        format!("{:.1}T", size_gib / 1024.0)
    } else if size_gib.abs() >= 100.0 || size_gib.fract() == 0.0 {
        format!("{size_gib:.0}G")
    } else {
        format!("{size_gib:.1}G")
    }
}

/// `512B`, `4.0K`, `430M`, `1.5T`.
pub(crate) fn short(len_bytes: u64) -> String {
    let units = ["B", "K", "M", "G", "T", "P", "E"];
    let mut at = 0;
    let mut scale: u64 = 1;
    while at + 1 < units.len() && len_bytes / scale >= 1024 {
        scale = scale.saturating_mul(1024);
        at += 1;
    }
    let whole = len_bytes / scale;
    let rest = len_bytes % scale;
    if at == 0 || whole >= 100 || (rest == 0 && units[at] == "G") {
        return format!("{whole}{}", units[at]);
    }
    let tenth = u128::from(rest) * 10 / u128::from(scale);
    format!("{whole}.{tenth}{}", units[at])
}

/// `805,306,368,000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Reads a size into whole GiB: `750`, `750G`, `750GiB`, `0.75T`; `+` in front adds to `now_gib`. Rounds up.
pub(crate) fn read_gib(text: &str, now_gib: Option<u64>) -> Result<u64, String> {
    let (base, rest) = match (text.trim().strip_prefix('+'), now_gib) {
        (Some(rest), Some(now)) => (now, rest),
        (Some(_), None) => return Err("there is no size yet to add to".to_owned()),
        (None, _) => (0, text.trim()),
    };
    let number = rest.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale_milli: u64 = match rest[number.len()..].to_ascii_lowercase().as_str() {
        "" | "g" | "gib" => 1000,
        "t" | "tib" => 1_024_000,
        "gb" | "tb" => return Err("write G or T: sizes are whole GiB".to_owned()),
        _ => return Err("write a size, as 10G, 1.5T or +5G".to_owned()),
    };
    let milli = milli(number).ok_or("write a size, as 10G, 1.5T or +5G")?;
    let product = milli.checked_mul(scale_milli).ok_or("that is too large")?;
    let more = product.div_ceil(1_000_000);
    if more == 0 {
        return Err("it must be at least 1 GiB".to_owned());
    }
    base.checked_add(more)
        .ok_or_else(|| "that is too large".to_owned())
}

/// Thousandths of a decimal number.
fn milli(number: &str) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if number.is_empty() || number == "." || part.len() > 3 {
        return None;
    }
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    whole.checked_mul(1000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_hold_three_or_four_digits() {
        for (len, cell) in [
            (512, "512B"),
            (4096, "4.0K"),
            (430 << 20, "430M"),
            (40 << 30, "40G"),
            (1536 << 30, "1.5T"),
        ] {
            assert_eq!(short(len), cell);
        }
        assert_eq!(gib(2048), "2.0T");
        assert_eq!(gib_f(8.5), "8.5G");
        assert_eq!(gib_f(f64::INFINITY), "inf");
        assert_eq!(grouped(805_306_368_000), "805,306,368,000");
        assert_eq!(short(u64::MAX), "15.9E");
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(read_gib("750", None), Ok(750));
        assert_eq!(read_gib("0.75T", None), Ok(768));
        assert_eq!(read_gib("1.5g", None), Ok(2));
        assert_eq!(read_gib("+5G", Some(10)), Ok(15));
        for bad in [
            "",
            "G",
            "-1",
            "0",
            "1.2345G",
            "1 G",
            "5GB",
            "+5G",
            "99999999999999999999",
            "18446744073709551T",
        ] {
            assert!(read_gib(bad, None).is_err(), "{bad}");
        }
    }
}
