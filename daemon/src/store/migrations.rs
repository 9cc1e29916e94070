//! The schema as an append-only list of scripts: a record's version is how many of them it has run.
//!
//! A script is one SQL text for both engines: columns only TEXT and BIGINT, no DEFERRABLE (a group commit would fail as
//! a whole at COMMIT for one batch's fault). Scripts are never edited once released; a change is a new entry at the end.
//! All that are missing run in one exclusive transaction when the record is opened, so that a crash leaves the old
//! schema or the new one. A record newer than the list is refused in words and left as it is.

use super::batch::StoreError;
pub use super::schema::MIGRATIONS;

/// Which scripts are missing in a record of version `found`; refuses one of a newer version.
pub(super) fn missing<'a>(
    scripts: &'a [&'static str],
    found: i64,
) -> Result<impl Iterator<Item = (i64, &'static str)> + use<'a>, StoreError> {
    let known = version(scripts);
    let done = usize::try_from(found)
        .ok()
        .filter(|_| found <= known)
        .ok_or(StoreError::TooNew { found, known })?;
    Ok((1..).zip(scripts.iter().copied()).skip(done))
}

/// The version that a record has when all of `scripts` have run.
pub(super) fn version(scripts: &[&str]) -> i64 {
    i64::try_from(scripts.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_runs_and_the_newer_is_refused() {
        let scripts = ["a", "b", "c"];
        assert_eq!(missing(&scripts, 0).unwrap().count(), 3);
        assert_eq!(
            missing(&scripts, 2).unwrap().collect::<Vec<_>>(),
            [(3, "c")]
        );
        assert_eq!(missing(&scripts, 3).unwrap().count(), 0);
        let refused = missing(&scripts, 4).err().unwrap().to_string();
        assert!(refused.contains("schema 4") && refused.contains("knows 3"));
        assert!(missing(&scripts, -1).is_err());
    }

    #[test]
    fn scripts_keep_to_what_both_engines_have() {
        for script in MIGRATIONS {
            let script = script.to_uppercase();
            for word in [
                "DEFER",
                "INTEGER",
                "SERIAL",
                "AUTOINCREMENT",
                "BOOLEAN",
                "VARCHAR",
            ] {
                assert!(!script.contains(word), "{word} in a migration");
            }
        }
    }
}
