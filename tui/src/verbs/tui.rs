//! `ashlar tui`: the console. What it does is in `console/`; it never comes to `run`, since it answers with no object.

use crate::failure::Failure;
use crate::places::LOCAL;
use crate::table::{Arg, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "tui",
    aliases: &[],
    about: "The console: the same verbs on a screen, live",
    place: &LOCAL,
    short: &[],
    long: &[],
    verbs: &[Verb::read(
        "tui",
        "Open the console on this terminal",
        &[
            Arg::Flag("read-only", "change nothing; ^R in the console lifts it"),
            Arg::Flag("ascii", "draw with ASCII characters only"),
        ],
        |_, _| {
            let hint = "run `ashlar tui` on a terminal";
            Err(Failure::usage("the console answers with no object", hint))
        },
    )],
};
