//! What the runners counted: the closing lines of cargo's test runner, and the lines that say a test was skipped.

use std::fmt;
use std::ops::AddAssign;

/// Tests by how they ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Well.
    pub(crate) passed: u64,
    /// Not well.
    pub(crate) failed: u64,
    /// Not at all, with a reason.
    pub(crate) skipped: u64,
    /// Which did not end well.
    pub(crate) names: Vec<String>,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.names.extend(other.names);
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

impl Count {
    /// From the output of `cargo test`. A test that said it was skipped has also been counted as passed.
    pub(crate) fn read(output: &str) -> Self {
        let mut count = Self::default();
        let mut said = 0;
        for line in output.lines() {
            if let Some((_, rest)) = line.split_once("test result: ") {
                let of = |word: &str| {
                    let before = rest.split(&format!(" {word}")).next().unwrap_or_default();
                    before
                        .rsplit([' ', '.'])
                        .next()
                        .and_then(|n| n.parse().ok())
                        .unwrap_or(0)
                };
                count.passed += of("passed");
                count.failed += of("failed");
                count.skipped += of("ignored");
            } else if line.starts_with("skipped: ") {
                count.skipped += 1;
                said += 1;
            } else if let Some(name) = failed(line) {
                count.names.push(name.to_owned());
            }
        }
        count.passed = count.passed.saturating_sub(said);
        count
    }
}

/// The test that a line says has failed.
fn failed(line: &str) -> Option<&str> {
    let of_cargo = || line.strip_prefix("test ")?.strip_suffix(" ... FAILED");
    line.strip_prefix("failed: ").or_else(of_cargo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_and_skips_are_summed() {
        let output = "\
running 3 tests
test store::quotas ... FAILED
failed: full pools: a pool is down
skipped: oracle: no qemu
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s
test result: FAILED. 4 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            Count::read(output),
            Count {
                passed: 6,
                failed: 2,
                skipped: 2,
                names: vec![
                    "store::quotas".to_owned(),
                    "full pools: a pool is down".to_owned()
                ],
            }
        );
        assert_eq!(Count::read("nothing ran"), Count::default());
        assert_eq!(
            Count::read(output).to_string(),
            "6 passed, 2 failed, 2 skipped"
        );
    }
}
