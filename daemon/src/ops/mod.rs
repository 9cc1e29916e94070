//! VERBS.
