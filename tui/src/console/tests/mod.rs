//! Tests of the console as a whole: frames, monkeys, races, hostile names, bytes. What is recorded stands in `world`.

mod bytes;
mod first_user;
mod frames;
mod hostile;
mod link;
mod monkey;
mod shots;
mod world;
