//! Operations from begin to end, with a worker, the fake driver and a target that only remembers.
#![cfg(test)]

mod backup_sets;
mod backup_stores;
mod backups;
mod cancel;
mod cinder_backups;
mod connections;
mod drill_backup;
mod fixture;
mod let_go;
mod manage;
mod messages;
mod moving;
mod quota;
mod resets;
mod retain_backups;
mod retype;
mod transfers;
