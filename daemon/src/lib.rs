//! ashlard.
