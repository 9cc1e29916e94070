//! The command line of Ashlar.
fn main() {}
