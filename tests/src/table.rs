//! THE TABLE, read from `docs/status.md`, which the daemon's own tests print from its source.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};

use crate::{Result, binary};

/// A row: what an operation does to the status of one noun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The operation.
    pub operation: String,
    /// The noun.
    pub noun: String,
    /// Where it may begin; empty when the operation makes the object.
    pub from: Vec<String>,
    /// What is shown while it runs; none when nothing changes.
    pub during: Option<String>,
    /// Where it ends.
    pub done: String,
    /// Where it ends when it failed.
    pub failed: String,
}

/// Every row of the first table of the page.
pub fn rows() -> Result<Vec<Row>> {
    let path = binary::workspace().join("docs/status.md");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let rows = parse(&text);
    ensure!(!rows.is_empty(), "docs/status.md holds no table");
    Ok(rows)
}

/// The statuses of a noun that only a live operation explains.
pub fn transient(rows: &[Row], noun: &str) -> BTreeSet<String> {
    let resting: BTreeSet<&String> = rows
        .iter()
        .filter(|row| row.noun == noun)
        .flat_map(|row| &row.from)
        .collect();
    let of_noun = rows.iter().filter(|row| row.noun == noun);
    of_noun
        .filter_map(|row| row.during.clone())
        .filter(|status| !resting.contains(status) && !ENDS_TOO.contains(&status.as_str()))
        .collect()
}

/// Also statuses in which an object may rest between two requests.
const ENDS_TOO: &[&str] = &["attaching", "detaching"];

fn parse(text: &str) -> Vec<Row> {
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("| operation |"))
        .skip(2);
    lines
        .take_while(|line| line.starts_with('|'))
        .filter_map(row)
        .collect()
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let words = |cell: &str| -> Vec<String> {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let one = |cell: &str| words(cell).pop().unwrap_or_else(|| cell.to_owned());
    Some(Row {
        operation: (*cells.first()?).to_owned(),
        noun: (*cells.get(1)?).to_owned(),
        from: words(cells.get(2)?),
        during: words(cells.get(3)?).pop(),
        done: one(cells.get(4)?),
        failed: one(cells.get(5)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_read_as_it_is_printed() {
        let rows = rows().unwrap();
        let extend = rows
            .iter()
            .find(|row| row.operation == "extend_volume")
            .unwrap();
        assert_eq!(extend.from, ["available", "in-use"]);
        assert_eq!(extend.during.as_deref(), Some("extending"));
        assert_eq!(extend.failed, "error_extending");
        let transient = transient(&rows, "volume");
        for status in ["creating", "deleting", "extending", "reverting"] {
            assert!(transient.contains(status), "{transient:?}");
        }
        assert!(
            !transient.contains("in-use") && !transient.contains("attaching"),
            "{transient:?}"
        );
    }
}
