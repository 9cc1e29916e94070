//! T1: golden frames. Text and looks of every screen and popup, at every size of frame, in both glyph sets.
//!
//! `ASHLAR_BLESS=1 cargo test -p ashlar frames` writes them anew; the difference is then read in the commit.

use std::path::PathBuf;

use super::world::{ASCII, UNICODE, World, text_of};
use crate::console::event::{Event, Stream, Trouble};
use crate::console::keymap::Screen;
use crate::console::theme::{Theme, Tone};
use crate::console::view::view;

const SIZES: &[(u16, u16)] = &[(40, 12), (80, 24), (100, 30), (160, 50)];

/// A picture.
type Scene = (&'static str, fn(&mut World));

/// Every picture: its name, and how it is come by.
pub(super) const SCENES: &[Scene] = &[
    ("dashboard", |_| {}),
    ("pools", |world| world.keys("2 j")),
    ("volumes", |world| world.at(Screen::Volumes, "pg-prod-02")),
    ("volumes-filtered", |world| {
        world.keys("3 / 'pg Enter");
        world.keys("Space Space");
    }),
    ("snapshots", |world| world.keys("4")),
    ("attachments", |world| world.keys("5 j")),
    ("backups", |world| world.keys("6")),
    ("tasks", |world| {
        world.at(Screen::Tasks, &super::world::id(5, 2)[..8]);
        world.wait(200);
    }),
    ("nodes", |world| world.keys("8")),
    ("types", |world| world.keys("9")),
    ("quotas", |world| world.keys("0")),
    ("palette", |world| world.keys("3 : 'vde")),
    ("help", |world| world.keys("3 ?")),
    ("actions", |world| {
        world.at(Screen::Volumes, "pg-prod-02");
        world.keys(".");
    }),
    ("detail", |world| {
        world.at(Screen::Volumes, "pg-prod-02");
        world.keys("Enter");
    }),
    ("drawer", |world| world.keys("3 T")),
    ("sort", |world| world.keys("3 o")),
    ("create", |world| {
        world.keys("3 n 'pg-prod-03 Tab '750G Tab Right");
        world.wait(400);
    }),
    ("create-wrong", |world| world.keys("3 n 'pg Tab '90T ^S")),
    ("extend", |world| {
        world.at(Screen::Volumes, "pg-test-02");
        world.keys("x '+100G");
    }),
    ("attach", |world| {
        world.at(Screen::Volumes, "pg-test-02");
        world.keys("a 'iqn.1993-08.org.debian:01:db02 Tab 'db02");
    }),
    ("snapshot", |world| {
        world.at(Screen::Volumes, "pg-test-02");
        world.keys("s 'monday");
    }),
    ("delete", |world| {
        world.at(Screen::Volumes, "pg-test-02");
        world.keys("^D 'pg-test-0");
    }),
    ("delete-blocked", |world| {
        world.at(Screen::Volumes, "pg-prod-02");
        world.keys("^D");
    }),
    ("delete-many", |world| {
        world.at(Screen::Volumes, "pg-test-02");
        world.keys("Space Space ^D");
    }),
    ("delete-unplanned", |world| {
        world.has_plan = false;
        world.at(Screen::Volumes, "pg-prod-02");
        world.keys("^D");
    }),
    ("not-now", |world| {
        world.at(Screen::Volumes, "web-0412");
        world.keys("x");
    }),
    ("down", |world| {
        world.at(Screen::Volumes, "pg-prod-02");
        world.event(Event::Stream(Stream::Lost(Trouble::lost(
            "connection refused",
        ))));
        world.wait(300);
        world.keys("x");
    }),
];

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/console/golden")
        .join(format!("{name}.txt"))
}

/// Holds a text to its file.
pub(super) fn hold(path: &PathBuf, text: &str) {
    if std::env::var_os("ASHLAR_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == text,
        "{} is not what is drawn now (ASHLAR_BLESS=1 writes it anew):\n{text}",
        path.display()
    );
}

fn scene(play: fn(&mut World), size: (u16, u16), theme: &Theme) -> String {
    let mut world = World::live(size);
    play(&mut world);
    let buffer = view(&world.state, theme);
    let mut text = text_of(&buffer);
    text.push_str("looks:\n");
    // Runs of cells that look alike and not plain, as their tone's name.
    for y in 0..buffer.area.height {
        let mut runs: Vec<(u16, u16, String)> = Vec::new();
        for x in 0..buffer.area.width {
            let style = buffer[(x, y)].style();
            let plain = theme.style(Tone::Plain);
            let same = |tone: Tone| {
                let other = theme.style(tone);
                style.add_modifier == other.add_modifier
                    && style.fg.unwrap_or_default() == other.fg.unwrap_or_default()
            };
            let named = Tone::ALL
                .iter()
                .find(|(tone, _)| same(*tone))
                .map(|(_, name)| (*name).to_owned());
            let name = named.unwrap_or_else(|| {
                format!(
                    "{:?}+{:?}",
                    style.fg.unwrap_or_default(),
                    style.add_modifier
                )
            });
            if name == "plain" || theme.style(Tone::Plain) != plain {
                continue;
            }
            match runs.last_mut() {
                Some((_, end, last)) if *end + 1 == x && *last == name => *end = x,
                _ => runs.push((x, x, name)),
            }
        }
        for (from, to, name) in runs {
            text.push_str(&format!("r{y} c{from}-{to} {name}\n"));
        }
    }
    text
}

#[test]
fn every_screen_at_every_size_looks_as_it_was_agreed() {
    for (name, play) in SCENES {
        for size in SIZES {
            let text = scene(*play, *size, &ASCII);
            assert!(
                text.lines()
                    .take_while(|line| *line != "looks:")
                    .all(|line| line.is_ascii()),
                "{name}: not ASCII"
            );
            hold(&golden(&format!("{name}-{}x{}", size.0, size.1)), &text);
        }
        hold(
            &golden(&format!("{name}-100x30-utf8")),
            &scene(*play, (100, 30), &UNICODE),
        );
    }
}

#[test]
fn the_first_frame_needs_nobody() {
    let world = World::cold((100, 30));
    let text = world.text(&ASCII);
    assert!(
        text.contains("connecting") && text.contains("NEEDS ATTENTION"),
        "{text}"
    );
}

#[test]
fn no_size_is_too_small_or_too_large() {
    for (_, play) in SCENES {
        for size in [
            (1, 1),
            (2, 5),
            (7, 2),
            (39, 11),
            (41, 12),
            (79, 23),
            (81, 29),
            (120, 13),
            (300, 90),
        ] {
            let mut world = World::live((100, 30));
            play(&mut world);
            world.event(Event::Resize(size.0, size.1));
            let buffer = view(&world.state, &UNICODE);
            assert_eq!((buffer.area.width, buffer.area.height), size);
        }
    }
}
