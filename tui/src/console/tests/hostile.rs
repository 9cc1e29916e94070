//! T10: names are hostile. What the emulator shows is the cleaned text, columns stand, and no escape of the data is in
//! the bytes.

use serde_json::json;

use super::world::{UNICODE, World};
use crate::console::event::{Answer, Event};
use crate::console::item::{Item, Kind};
use crate::console::terminal::Painter;
use crate::console::text::clean;
use crate::console::view::view;

fn corpus() -> Vec<String> {
    let mut names: Vec<String> = [
        "\u{1b}[2J\u{1b}[H",
        "\u{1b}]52;c;ZXZpbA==\u{7}",
        "bell\u{7}",
        "two\nlines\r\n",
        "\u{202e}gnp.exe",
        "zero\u{200b}width\u{200d}",
        "石石石石石石石石石石石石石石石",
        "e\u{301}\u{301}\u{301}",
        "",
        "same",
        "same",
        "\u{9b}31m",
        "\u{7f}\u{80}",
        "tab\tbed",
        "🦀🦀",
        "-rf",
        "'; reboot #",
        "\u{feff}bom",
    ]
    .iter()
    .map(|name| (*name).to_owned())
    .collect();
    names.push("x".repeat(255));
    names.push("\u{1b}".repeat(255));
    names
}

#[test]
fn hostile_names_reach_the_screen_only_cleaned_and_move_no_column() {
    for size in [(80, 24), (100, 30), (160, 50)] {
        let mut world = World::live(size);
        let named = corpus().into_iter().enumerate().map(|(at, name)| {
            json!({"id": format!("{at:08x}-0000"), "name": name, "status": name, "size": 7, "volume_type": name,
                "os-vol-host-attr:host": format!("h@b#{name}"), "description": name, "attachments": [{"host_name": name}]})
        });
        let items = named
            .filter_map(|value| Item::read(Kind::Volume, &value))
            .collect();
        world.event(Event::Answer(Answer::Page {
            kind: Kind::Volume,
            items,
            is_first: true,
            is_last: true,
        }));
        world.keys("3");
        for keys in ["", "Enter", "Esc .", "Esc ^D", "Esc C", "Esc : 'xx", "Esc"] {
            world.keys(keys);
            let buffer = view(&world.state, &UNICODE);
            for cell in buffer.content() {
                assert_eq!(
                    clean(cell.symbol()),
                    cell.symbol(),
                    "a cell holds what was to be cleaned"
                );
            }
            let bytes = Painter::default().frame(buffer.clone()).unwrap();
            let mut parser =
                vt100::Parser::new(size.1.try_into().unwrap(), size.0.try_into().unwrap(), 0);
            parser.process(&bytes);
            let shown = parser.screen().contents();
            let drawn = super::world::text_of(&buffer);
            for (row, (one, other)) in drawn.lines().zip(shown.lines()).enumerate() {
                assert_eq!(
                    one.trim_end(),
                    other.trim_end(),
                    "row {row} at {size:?} after {keys:?}"
                );
            }
        }
    }
}

#[test]
fn the_size_column_stands_whatever_the_names_are() {
    let mut world = World::live((100, 30));
    let rows = corpus().into_iter().enumerate().map(|(at, name)| json!({"id": format!("{at:08x}-0000"), "name": name, "status": "available", "size": 7}));
    let items = rows
        .filter_map(|value| Item::read(Kind::Volume, &value))
        .collect();
    world.event(Event::Answer(Answer::Page {
        kind: Kind::Volume,
        items,
        is_first: true,
        is_last: true,
    }));
    world.keys("3 p");
    let buffer = view(&world.state, &UNICODE);
    let columns: std::collections::BTreeSet<u16> = (4..27)
        .flat_map(|y| {
            (0..99)
                .filter(move |x| (*x, y) != (0, 0))
                .map(move |x| (x, y))
        })
        .filter(|(x, y)| buffer[(*x, *y)].symbol() == "7" && buffer[(*x + 1, *y)].symbol() == "G")
        .map(|(x, _)| x)
        .collect();
    assert_eq!(columns.len(), 1, "sizes stand in columns {columns:?}");
}
