//! The whole API in one process, from the door to a record in a fresh directory.

mod attachments;
mod door;
mod events;
pub(super) mod fixture;
<<<<<<< HEAD
mod qos_specs;
mod quotas;
mod type_access;
=======
mod messages;
mod services;
>>>>>>> main
mod types;
mod volumes;
