//! T8 and the large lists: what a frame costs in bytes, and that a list of 100,000 costs what its window costs.

use std::time::{Duration, Instant};

use serde_json::json;

use super::world::{UNICODE, World};
use crate::console::event::{Answer, Event};
use crate::console::item::{Item, Kind};
use crate::console::keymap::Screen;
use crate::console::terminal::Painter;
use crate::console::view::view;

const FIRST_PAINT_MAX: usize = 6 * 1024;
const CURSOR_MOVE_MAX: usize = 300;
const REFRESH_MAX: usize = 400;

fn bytes(painter: &mut Painter, world: &World) -> usize {
    painter.frame(view(&world.state, &UNICODE)).unwrap().len()
}

#[test]
fn frames_cost_what_was_promised() {
    let mut world = World::live((100, 30));
    world.at(Screen::Volumes, "pg-test-02");
    world.keys("p");
    let mut painter = Painter::default();
    let first = bytes(&mut painter, &world);
    assert!(first <= FIRST_PAINT_MAX, "first paint: {first} bytes");
    assert_eq!(bytes(&mut painter, &world), 0, "a frame without change");
    world.keys("j");
    let moved = bytes(&mut painter, &world);
    assert!(
        moved > 0 && moved <= CURSOR_MOVE_MAX,
        "cursor move: {moved} bytes"
    );
    let value = json!({"id": super::world::id(1, 5), "name": "pg-test-02", "status": "reserved", "size": 500});
    let item = Item::read(Kind::Volume, &value).unwrap();
    world.event(Event::Answer(Answer::One(
        Kind::Volume,
        item.id.clone(),
        Ok(Some(item)),
    )));
    let refreshed = bytes(&mut painter, &world);
    assert!(
        refreshed > 0 && refreshed <= REFRESH_MAX,
        "refresh: {refreshed} bytes"
    );
}

#[test]
fn nothing_is_written_while_nothing_happens() {
    let mut world = World::live((100, 30));
    world.keys("3");
    // What was said last goes by itself; ages change their words on the minute.
    for _ in 0..4 {
        world.wait(5_000);
        world.event(Event::Stream(crate::console::event::Stream::Beat));
    }
    let mut painter = Painter::default();
    bytes(&mut painter, &world);
    let mut written = 0;
    for _ in 0..3 {
        world.event(Event::Stream(crate::console::event::Stream::Beat));
        world.wait(5_000);
        written += bytes(&mut painter, &world);
    }
    assert_eq!(written, 0);
}

#[test]
fn a_list_of_a_hundred_thousand_is_drawn_by_its_window() {
    let mut world = World::live((200, 60));
    let item = |at: u32| {
        let value = json!({"id": super::world::id(1, at), "name": format!("vol-{at:06}"), "status": "available", "size": at % 500 + 1});
        Item::read(Kind::Volume, &value).unwrap()
    };
    let items = (0..100_000).map(item).collect();
    world.event(Event::Answer(Answer::Page {
        kind: Kind::Volume,
        items,
        is_first: true,
        is_last: true,
    }));
    world.keys("3 p");
    let start = Instant::now();
    for _ in 0..20 {
        world.keys("j");
        assert!(view(&world.state, &UNICODE).area.width == 200);
    }
    // Generous for a debug build on a busy machine: feeding every row to a frame would take seconds.
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "20 frames took {:?}",
        start.elapsed()
    );
    assert!(world.text(&UNICODE).contains("100,000"));
}
