//! What both engines agree on when texts are compared, so that a page of a list never differs by engine.
//!
//! - TEXT compares by bytes: SQLite's BINARY, PostgreSQL's collation "C" (checked when the database is opened).
//! - ORDER BY always says `NULLS FIRST` or `NULLS LAST` on a column that may be NULL: the defaults differ.
//! - LIKE is case-sensitive on both (SQLite is told so), `_` is one character and not one byte, and every LIKE says
//!   `ESCAPE '\'`: PostgreSQL's default, which SQLite has not. Patterns come from [`containing`] and its siblings.
//! - `lower` and `upper` fold ASCII only (PostgreSQL's ctype "C"): case-insensitive search is
//!   `lower(column) LIKE $1` with a pattern folded by `to_ascii_lowercase`.
//! - COUNT and MAX of BIGINT are BIGINT on both; SUM is NUMERIC on PostgreSQL: say `CAST(SUM(...) AS BIGINT)`.
//! - Conditions in a column (`EXISTS (...)`, `a = b`) read as 0 and 1.
//! - U+0000 is in no text; the store refuses it.

/// A text that LIKE takes for itself.
pub fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// The pattern of what contains `text`.
pub fn containing(text: &str) -> String {
    format!("%{}%", escaped(text))
}

/// The pattern of what starts with `text`.
pub fn starting_with(text: &str) -> String {
    format!("{}%", escaped(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_signs_are_escaped_and_nothing_else() {
        assert_eq!(containing(r"50%_\é"), r"%50\%\_\\é%");
        assert_eq!(starting_with("a"), "a%");
    }
}
