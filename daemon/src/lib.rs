//! Ashlar turns a Cinder v3 request into rows, rows into work, and work into blocks that a host can reach; each of
//! those three turns has one place.
//!
//! In reading order: [`model`] (nouns, and THE TABLE of statuses), [`ops`] (verbs: one file, one operation),
//! [`driver`] and [`target`] (edges), [`schedule`] (which pool), [`store`] (the record), [`api`] (the wire).

pub mod api;
pub mod cmd;
pub mod config;
pub mod driver;
pub mod error;
pub mod locks;
pub mod model;
pub mod ops;
pub mod schedule;
pub mod store;
pub mod sys;
pub mod target;
