//! `docs/limits.md` says what the code says.

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use std::path::Path;

#[test]
fn every_limit_in_the_table_is_the_constants_value() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/limits.md"))?;
    let mut checked = 0;
    for line in page
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains(".rs`"))
    {
        let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        let [file, name, value] = quoted[..] else {
            anyhow::bail!("not `file` `NAME` `value`: {line}");
        };
        // The console's limits name their place from the top; all others are the daemon's.
        let place = match file.starts_with("tui/") {
            true => root.join(file),
            false => root.join("daemon/src").join(file),
        };
        let source = std::fs::read_to_string(place).with_context(|| line.to_owned())?;
        let is_it = |text: &str| {
            text.split_once(&format!("const {name}: "))
                .and_then(|(_, rest)| rest.split_once(" = "))
                .is_some_and(|(_, rest)| rest.starts_with(&format!("{value};")))
        };
        ensure!(is_it(&source), "{file} does not say that {name} is {value}");
        checked += 1;
    }
    ensure!(
        checked > 40,
        "only {checked} limits found: has the table changed its form?"
    );
    Ok(())
}
