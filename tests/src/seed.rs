//! Random choices that can be replayed: the seed is printed, `ASHLAR_SEED` brings it back.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

/// A small generator (SplitMix64): good enough for choices, and the same on every machine.
#[derive(Debug, Clone)]
pub struct Seed {
    state: u64,
}

impl Seed {
    /// From `ASHLAR_SEED`, else from `default`, else a new one; printed in each case.
    pub fn of_test(name: &str, default: Option<u64>) -> Self {
        let given = std::env::var_os("ASHLAR_SEED")
            .and_then(|text| text.to_str().and_then(|text| text.parse().ok()));
        let seed = given
            .or(default)
            .unwrap_or_else(|| RandomState::new().build_hasher().finish());
        say(&format!("{name}: replay with ASHLAR_SEED={seed}"));
        Self::new(seed)
    }

    /// From a number.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end.max(1)
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = usize::try_from(self.below(items.len() as u64)).ok()?;
        items.get(index)
    }

    /// A second, independent stream.
    pub fn fork(&mut self) -> Self {
        Self::new(self.bits())
    }
}

/// A line for whoever reads the test's output.
#[expect(
    clippy::print_stdout,
    reason = "the test runner captures it and shows it on failure"
)]
pub fn say(line: &str) {
    println!("{line}");
}

/// Says that a test cannot run here and why; the runner counts these lines. Written past the capture of test output.
pub fn skipped(test: &str, why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// `sample` of something, or ten times as much when `ASHLAR_FULL` asks for the full matrix.
pub fn sample_or_full(sample: u64) -> u64 {
    if std::env::var_os("ASHLAR_FULL").is_some() {
        sample * 10
    } else {
        sample
    }
}
