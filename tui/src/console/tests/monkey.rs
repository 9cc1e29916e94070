//! T3 and T4: seeded monkeys. Nothing panics at any size, nothing is changed but through a satisfied dialog or form, Esc
//! leads to the root, and an act is for the object that was under the cursor when its key went down.

use std::collections::VecDeque;

use serde_json::json;

use super::world::{NOW, UNICODE, World, id, rows};
use crate::console::change::Change;
use crate::console::dialog::Focus;
use crate::console::event::{Answer, Effect, Event, Stream, Trouble};
use crate::console::item::{Item, Kind};
use crate::console::key::{Code, Key};
use crate::console::keymap::{Screen, TABLE};
use crate::console::state::{Overlay, State};
use crate::console::update::update;
use crate::console::view::view;

const EVENTS: u32 = 50_000;

/// Marsaglia's xorshift: the same monkey for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = usize::try_from(self.roll(u64::try_from(all.len()).unwrap())).unwrap();
        &all[at]
    }
}

fn random_key(dice: &mut Dice) -> Key {
    let named = [
        Code::Enter,
        Code::Esc,
        Code::Tab,
        Code::BackTab,
        Code::Backspace,
        Code::Delete,
        Code::Up,
        Code::Down,
        Code::Left,
        Code::Right,
        Code::Home,
        Code::End,
        Code::PageUp,
        Code::PageDown,
        Code::F(2),
    ];
    match dice.roll(10) {
        0..5 => {
            let binding = dice.pick(TABLE);
            Key::parse(dice.pick::<&str>(binding.keys)).unwrap()
        }
        5..7 => Key::plain(*dice.pick(&named)),
        7 => Key::ctrl(char::from(b'a' + u8::try_from(dice.roll(26)).unwrap())),
        _ => Key::char(char::from_u32(32 + u32::try_from(dice.roll(95)).unwrap()).unwrap_or('石')),
    }
}

fn random_event(dice: &mut Dice) -> Event {
    let kind = *dice.pick(Kind::ALL);
    match dice.roll(40) {
        0 => Event::Resize(
            1 + u16::try_from(dice.roll(200)).unwrap(),
            1 + u16::try_from(dice.roll(60)).unwrap(),
        ),
        1 => Event::Stream(Stream::Lost(Trouble::lost("refused"))),
        2 => Event::Stream(Stream::Hello(dice.roll(300))),
        3 => Event::Stream(Stream::Gap(dice.roll(300))),
        4 => Event::Paste("pg-test-02\u{1b}\n".to_owned()),
        5 => Event::Focus(dice.roll(2) == 0),
        6 => Event::Wake,
        7 => {
            let some = rows(kind);
            let from = usize::try_from(dice.roll(3)).unwrap().min(some.len());
            let items = some[from..]
                .iter()
                .filter_map(|row| Item::read(kind, row))
                .collect();
            Event::Answer(Answer::Page {
                kind,
                items,
                is_first: true,
                is_last: dice.roll(2) == 0,
            })
        }
        8 => Event::Stream(Stream::Change {
            id: dice.roll(300),
            kind: kind.noun().to_owned(),
            object_id: id(1, u32::try_from(dice.roll(12)).unwrap()),
            is_deleted: dice.roll(3) == 0,
        }),
        9 => Event::Stream(Stream::Absent),
        10 => Event::Answer(Answer::NoPage(
            kind,
            Trouble {
                code: 403,
                ..Trouble::lost("no")
            },
        )),
        _ => Event::Key(random_key(dice)),
    }
}

/// What somebody would type who means it: else a monkey satisfies no dialog.
fn helpful(state: &State, dice: &mut Dice) -> Vec<Event> {
    let typed =
        |text: &str| -> Vec<Event> { text.chars().map(|c| Event::Key(Key::char(c))).collect() };
    let enter = || Event::Key(Key::plain(Code::Enter));
    let mut events = Vec::new();
    match state.overlays.last() {
        Some(Overlay::Dialog(dialog)) => {
            events.extend(typed(&dialog.must_type().unwrap_or_default()));
            events.extend([enter(), enter()]);
        }
        Some(Overlay::Form(form)) => {
            for field in &form.fields {
                let text = match field.label {
                    "Size" => "7",
                    "New size" => "+3",
                    "Initiator" => "iqn.a:b",
                    _ => "x",
                };
                events.extend(typed(text));
                events.push(Event::Key(Key::plain(Code::Tab)));
            }
            events.push(Event::Key(Key::ctrl('s')));
        }
        Some(_) => events.push(Event::Key(Key::plain(Code::Esc))),
        None => {
            events.push(Event::Stream(Stream::Hello(300)));
            events.extend(typed(dice.pick::<&str>(&["3", "4", "5", "7"])));
            events.push(Event::Key(random_key(dice)));
        }
    }
    events
}

/// Whether what is on top may send a change, now, with this key.
fn may_change(state: &State, event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let enter = key.code == Code::Enter;
    state.cannot_change().is_none()
        && match state.overlays.last() {
            Some(Overlay::Dialog(dialog)) => {
                enter && dialog.focus == Focus::Go && dialog.in_the_way().is_none()
            }
            Some(Overlay::Form(form)) => {
                let is_submit = *key == Key::ctrl('s')
                    || key.code == Code::F(2)
                    || (enter && form.focus == form.fields.len() + 1);
                is_submit && form.changes(&state.data).is_ok()
            }
            _ => false,
        }
}

#[test]
fn a_monkey_changes_nothing_but_through_a_satisfied_dialog_and_breaks_nothing() {
    let mut dice = Dice(0x00A5_41A2);
    let mut world = World::live((100, 30));
    let mut sent = 0;
    let mut queue: VecDeque<Event> = VecDeque::new();
    for round in 0..EVENTS {
        if queue.is_empty() && dice.roll(6) == 0 {
            queue.extend(helpful(&world.state, &mut dice));
        }
        let event = queue.pop_front().unwrap_or_else(|| random_event(&mut dice));
        world.now += i64::try_from(dice.roll(900)).unwrap();
        let may = may_change(&world.state, &event);
        let before = world.changes.len();
        world.event(event.clone());
        let new = world.changes.len() - before;
        assert!(
            new == 0 || may,
            "round {round}: {event:?} changed {:?}",
            world.changes.last()
        );
        sent += new;
        if new > 0 {
            answer_changes(&mut world, before, &mut dice);
        }
        if round % 7 == 0 {
            let buffer = view(&world.state, &UNICODE);
            assert_eq!((buffer.area.width, buffer.area.height), world.state.size);
        }
        if world.state.is_over {
            world = World::live((100, 30));
        }
        if round % 500 == 0 {
            reaches_the_root(&world);
        }
    }
    assert!(
        sent > 50,
        "the monkey satisfied only {sent} dialogs: it shows little"
    );
}

fn answer_changes(world: &mut World, from: usize, dice: &mut Dice) {
    for (ticket, change, _) in world.changes.clone().split_off(from) {
        let result = match dice.roll(4) {
            0 => Err(Trouble {
                code: 412,
                ..Trouble::lost("changed")
            }),
            1 => Err(Trouble {
                code: 409,
                ..Trouble::lost("busy")
            }),
            2 => Err(Trouble::lost("no answer")),
            _ => Ok(json!({})),
        };
        world.event(Event::Changed(ticket, change, result));
    }
}

fn reaches_the_root(world: &World) {
    let mut state = world.state.clone();
    for _ in 0..10 {
        let effects = update(&mut state, world.now, Event::Key(Key::plain(Code::Esc)));
        assert!(!effects.contains(&Effect::Quit), "Esc ended the console");
    }
    assert!(
        state.overlays.is_empty() && state.typing.is_none() && state.screen == Screen::Dash,
        "ten Esc do not lead to the root"
    );
}

#[test]
fn an_act_is_for_what_was_under_the_cursor_however_the_list_changes_meanwhile() {
    for seed in 1..200 {
        let mut dice = Dice(seed);
        let mut world = World::live((100, 30));
        world.keys("3");
        world.wait(2000);
        for _ in 0..dice.roll(9) {
            world.keys("j");
        }
        // Rows come, go and change while the hand is over the key.
        for number in 0..dice.roll(6) {
            let value = json!({"id": id(9, u32::try_from(number).unwrap()), "name": format!("a-new-{number}"), "status": "available", "size": 1});
            let item = Item::read(Kind::Volume, &value).unwrap();
            world.event(Event::Answer(Answer::One(
                Kind::Volume,
                item.id.clone(),
                Ok(Some(item)),
            )));
            world.wait(i64::try_from(dice.roll(1200)).unwrap());
        }
        let Some((_, under)) = world.state.under_cursor() else {
            continue;
        };
        let (expected, title) = (under.id.clone(), under.title());
        let shown = world.text(&UNICODE);
        let row = shown
            .lines()
            .find(|line| line.starts_with(" > "))
            .unwrap_or_default()
            .to_owned();
        world.keys("^D");
        let Some(Overlay::Dialog(dialog)) = world.state.overlays.last() else {
            continue;
        };
        let Change::DeleteVolume { id, .. } = &dialog.targets[0].change else {
            panic!("{:?}", dialog.targets)
        };
        assert_eq!(*id, expected, "seed {seed}");
        assert!(
            row.contains(&title[..title.len().min(8)]),
            "seed {seed}: the row under the cursor read {row:?}, not {title}"
        );
    }
}

#[test]
fn a_plan_that_changed_is_asked_for_and_armed_anew() {
    let mut world = World::live((100, 30));
    world.at(Screen::Volumes, "pg-test-02");
    world.keys("^D 'pg-test-02 Enter");
    assert!(
        world.changes.is_empty(),
        "Enter in the field only moves to the button"
    );
    world.keys("Enter");
    let (ticket, change, hash) = world.changes[0].clone();
    assert_eq!(hash.as_deref(), Some("h1"));
    world.hash = "h2".to_owned();
    let changed = Trouble {
        code: 412,
        ..Trouble::lost("the plan is another")
    };
    world.event(Event::Changed(ticket, change, Err(changed)));
    world.keys("Enter");
    assert_eq!(
        world.changes.len(),
        1,
        "Enter on Cancel must not send again"
    );
    world.keys("^D 'pg-test-02 Enter Enter");
    assert_eq!(world.changes[1].2.as_deref(), Some("h2"));
    let (ticket, change, _) = world.changes[1].clone();
    world.event(Event::Changed(ticket, change, Ok(json!(null))));
    assert!(world.state.overlays.is_empty());
    assert!(world.state.now >= NOW);
}

#[test]
fn holding_the_key_down_does_not_walk_through_a_dialog() {
    let mut world = World::live((100, 30));
    world.at(Screen::Volumes, "pg-test-02");
    for _ in 0..50 {
        world.keys("^D");
    }
    world.keys("y y Enter");
    assert!(world.changes.is_empty());
}

#[test]
fn a_read_only_console_and_a_lost_link_open_no_form() {
    let mut world = World::live((100, 30));
    world.at(Screen::Volumes, "pg-test-02");
    world.keys("^R x");
    assert!(world.state.overlays.is_empty());
    assert!(world.text(&UNICODE).contains("read-only: ^R lifts it"));
    world.keys("^R");
    world.event(Event::Stream(Stream::Lost(Trouble::lost("refused"))));
    world.keys("n");
    assert!(world.state.overlays.is_empty());
    assert!(world.text(&UNICODE).contains("not sent: no link"));
}
