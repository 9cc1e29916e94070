//! `ashlar tui`: the console. What it does is in `console/`; it never comes to `run`, since it answers with no object.

use crate::failure::Failure;
use crate::grammar::{Arg, Level, Verb};

pub(super) const TUI: Verb = Verb {
    noun: "tui",
    name: "tui",
    about: "The console: the same verbs on a screen, live",
    args: &[
        Arg::Flag("read-only", "change nothing; ^R in the console lifts it"),
        Arg::Flag("ascii", "draw with ASCII characters only"),
    ],
    level: Level::Safe,
    columns: &[],
    run: |_, _| {
        Err(Failure::usage(
            "the console answers with no object",
            "run `ashlar tui` on a terminal",
        ))
    },
};
