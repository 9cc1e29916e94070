//! The little language of extra specs: an operator, then operands, separated by spaces.
//!
//! | spec | met when |
//! |---|---|
//! | `x` | the capability is `x`; booleans in any case and Python's spelling |
//! | `<is> True` | both are true, or neither is |
//! | `<in> x` | the capability contains `x` |
//! | `<or> a <or> b` | it is one of them |
//! | `= n`, `>= n` | the number is at least `n` (`=` too: so it is upstream) |
//! | `== n`, `!= n`, `<= n` | as numbers |
//! | `s== x` `s!= x` `s< x` `s<= x` `s> x` `s>= x` | as text |
//!
//! An operator without an operand, or with one that is no number where a number is wanted, is not met.

use std::cmp::Ordering;

/// Whether a capability of value `has` meets the spec `wanted`.
pub(super) fn is_met(has: &str, wanted: &str) -> bool {
    let mut words = wanted.split_whitespace();
    let operator = words.next().unwrap_or_default();
    // As upstream, the first operand counts.
    let operand = words.next();
    let as_number = |test: fn(Ordering) -> bool| {
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| !number.is_nan());
        operand
            .and_then(number)
            .zip(number(has))
            .and_then(|(wanted, has)| has.partial_cmp(&wanted))
            .is_some_and(test)
    };
    let as_text = |test: fn(Ordering) -> bool| operand.is_some_and(|wanted| test(has.cmp(wanted)));
    match operator {
        "<is>" => operand.is_some_and(|wanted| is_true(has) == is_true(wanted)),
        "<in>" => operand.is_some_and(|wanted| has.contains(wanted)),
        "<or>" => {
            // Operands are every second word; what stands between is taken for <or>, as upstream does.
            let operands = wanted.split_whitespace().skip(1).step_by(2);
            operands.into_iter().any(|wanted| wanted == has)
        }
        "=" | ">=" => as_number(Ordering::is_ge),
        "==" => as_number(Ordering::is_eq),
        "!=" => as_number(Ordering::is_ne),
        "<=" => as_number(Ordering::is_le),
        "s==" => as_text(Ordering::is_eq),
        "s!=" => as_text(Ordering::is_ne),
        "s<" => as_text(Ordering::is_lt),
        "s<=" => as_text(Ordering::is_le),
        "s>" => as_text(Ordering::is_gt),
        "s>=" => as_text(Ordering::is_ge),
        _ => has == wanted || is_same_boolean(has, wanted),
    }
}

/// What oslo's `bool_from_string` takes for true; everything else is false.
fn is_true(text: &str) -> bool {
    let text = text.trim();
    ["1", "t", "true", "on", "y", "yes"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

fn is_same_boolean(has: &str, wanted: &str) -> bool {
    let is_boolean =
        |text: &str| text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
    is_boolean(has) && has.eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use super::is_met;

    #[test]
    fn operators_as_upstream() {
        let met = [
            ("ssd", "ssd"),
            ("True", "true"),
            ("False", "FALSE"),
            ("True", "<is> yes"),
            ("no", "<is> False"),
            ("12345", "<in> 234"),
            ("b", "<or> a <or> b"),
            ("a", "<or> a"),
            ("3", "= 2"),
            ("2", "= 2"),
            ("2.0", "== 2"),
            ("3", "!= 2"),
            ("2", ">= 2"),
            ("-1", "<= 0"),
            ("a", "s== a"),
            ("a", "s!= b"),
            ("a", "s< b"),
            ("b", "s<= b"),
            ("c", "s> b"),
            ("b", "s>= b"),
            ("two words", "two words"),
        ];
        for (has, wanted) in met {
            assert!(is_met(has, wanted), "{has:?} {wanted:?}");
        }
        let unmet = [
            ("ssd", "hdd"),
            ("ssd", "SSD"),
            ("True", "<is> False"),
            ("True", "<is>"),
            ("x", "<in>"),
            ("12345", "<in> 9"),
            ("or", "<or> a <or> b"),
            ("", "<or>"),
            ("1", "= 2"),
            ("fast", "= 2"),
            ("2", ">= fast"),
            ("2", "=="),
            ("NaN", "== NaN"),
            ("3", "<= 2"),
            ("a", "s=="),
            ("b", "s< b"),
            ("two", "two words"),
            ("x", ""),
        ];
        for (has, wanted) in unmet {
            assert!(!is_met(has, wanted), "{has:?} {wanted:?}");
        }
    }
}
