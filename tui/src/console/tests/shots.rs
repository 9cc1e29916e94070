//! `docs/console.md`: the console as text, drawn from the recorded world, with the keys out of their table.
//!
//! `make shots` writes it; this test holds it to the code.

use std::path::PathBuf;

use super::frames::{SCENES, hold};
use super::world::{ASCII, World};
use crate::console::keymap::{On, TABLE};

/// The pictures of the page: scene, and what it shows.
const PICTURES: &[(&str, &str)] = &[
    (
        "dashboard",
        "The dashboard (`1`): what needs somebody, worst first; the pools; what is being done.",
    ),
    (
        "volumes",
        "Volumes (`3`), with a preview of what is under the cursor.",
    ),
    (
        "tasks",
        "Operations (`7`): a failure says why, and its steps say where.",
    ),
    (
        "attachments",
        "Attachments (`5`), with the sessions of the target and how long they have been quiet.",
    ),
    (
        "create",
        "A new volume: what will be, and the command line that does the same, as one types.",
    ),
    (
        "delete-blocked",
        "Before a delete: what blocks it, what is lost, what breaks and what is kept. Cancel has the focus.",
    ),
    ("delete", "The name is typed before the button is armed."),
    (
        "palette",
        "The palette (`:`): every verb of the command line, every screen, every object.",
    ),
    (
        "down",
        "The daemon is gone: what was known stays, dimmed and with its age; connecting is tried for ever.",
    ),
];

fn page() -> String {
    let mut page = String::from(
        "# The console\n\n\
         `ashlar` on a terminal opens the console; so does `ashlar tui`, with `--read-only` and `--ascii`. It speaks the same\n\
         HTTP API as the command line and keeps nothing of its own: it may be closed or killed at any time, and the daemon's\n\
         work goes on. Printed by `make shots` from recorded answers; a test holds this page to the code.\n\n\
         - No key changes anything by itself: it opens a form or a dialog. A dialog acts on the objects that it names.\n\
         - What a delete would do is reckoned by the daemon and shown before; if anything changed since, the daemon refuses\n\
         \x20 and the dialog shows what is so now.\n\
         - Everything shown was measured by the daemon. There are no forecasts and no rates that it does not tell.\n\
         - Names and messages come from others: control characters are shown as `<1b>`.\n\
         - Without the focus (where the terminal tells of it) nothing is drawn, and the link reads `PAUSED`, until it is back.\n\
         - `NO_COLOR` is honoured; glyphs and words say what colours say. ASCII where the locale is not UTF-8.\n",
    );
    for (name, about) in PICTURES {
        let (_, play) = SCENES.iter().find(|(scene, _)| scene == name).unwrap();
        let mut world = World::live((100, 30));
        play(&mut world);
        page.push_str(&format!(
            "\n## {}\n\n{about}\n\n```text\n{}```\n",
            title(name),
            world.text(&ASCII)
        ));
    }
    page.push_str(
        "\n## Keys\n\n| key | does | where | command line |\n| --- | --- | --- | --- |\n",
    );
    for binding in TABLE {
        let keys: Vec<String> = binding
            .keys
            .iter()
            .map(|key| format!("`{}`", key.replace('|', "\\|")))
            .collect();
        let place = match binding.on {
            On::Everywhere => "everywhere".to_owned(),
            On::Lists => "lists".to_owned(),
            On::Kinds(kinds) => kinds
                .iter()
                .map(|kind| format!("{}s", kind.noun()))
                .collect::<Vec<_>>()
                .join(", "),
        };
        let command = match binding.cli {
            Some(("*", verb)) => format!("`ashlar ... {verb}`"),
            Some((noun, verb)) => format!("`ashlar {noun} {verb}`"),
            None => String::new(),
        };
        page.push_str(&format!(
            "| {} | {} | {place} | {command} |\n",
            keys.join(" "),
            binding.about
        ));
    }
    page
}

fn title(name: &str) -> String {
    let words = name.replace('-', ", ");
    let mut chars = words.chars();
    chars.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

#[test]
fn the_page_of_the_console_is_what_the_console_draws() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/console.md");
    hold(&path, &page());
}
