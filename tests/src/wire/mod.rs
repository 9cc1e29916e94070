//! Wire examples: requests with the answers that Cinder gives, kept as data in `tests/fixtures/cinder/`, a file a noun.
//!
//! [`example`] reads them, [`shape`] fills in what several say, [`matching`] compares an answer with what is expected,
//! [`stage`] brings about what an example is given, and [`coverage`] says which are missing. The format is told in
//! `docs/adding-an-operation.md`.

pub mod coverage;
pub mod example;
pub mod matching;
pub mod shape;
pub mod stage;
