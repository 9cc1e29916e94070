//! What a first user ran into: keys that said nothing, figures that were old, dialogs that hid what they acted on.

use super::world::{ASCII, World};
use crate::console::change::Change;
use crate::console::data::Quota;
use crate::console::dialog::{Outcome, Planned};
use crate::console::event::{Answer, Ask, Effect, Event, Stream, Trouble, Whoami};
use crate::console::item::{Item, Kind};
use crate::console::keymap::Screen;
use crate::console::state::Overlay;
use crate::console::update::update;
use serde_json::json;

fn put_volume(world: &mut World, id: &str, name: &str) {
    let value = json!({"id": id, "name": name, "status": "available", "size": 1});
    let item = Item::read(Kind::Volume, &value).unwrap();
    world.state.data.of_mut(Kind::Volume).put(item);
    world.wait(2000);
}

fn flash(world: &World) -> String {
    let flash = world.state.flash.as_ref();
    flash.map(|flash| flash.text.clone()).unwrap_or_default()
}

fn refused(code: u16) -> Trouble {
    Trouble {
        code,
        ..Trouble::lost("changed")
    }
}

#[test]
fn a_key_of_another_screen_says_why_it_does_nothing() {
    let mut world = World::live((100, 30));
    for (screen, keys, why) in [
        ("1", "n", "nothing is selected here"),
        ("1", "^D", "nothing is selected here"),
        ("2", "x", "a pool cannot be extended"),
        ("4", "n", "a snapshot cannot be created here"),
        ("0", "/", "that is for lists"),
    ] {
        world.state.flash = None;
        world.keys(screen);
        world.keys(keys);
        assert!(
            flash(&world).contains(why),
            "{screen} {keys}: {}",
            flash(&world)
        );
        assert!(world.state.overlays.is_empty());
    }
}

#[test]
fn a_form_tells_the_quota_of_now() {
    let mut world = World::live((100, 30));
    world.at(Screen::Volumes, "pg-test-02");
    world.state.data.quota = Some(Quota {
        rows: vec![("gigabytes".to_owned(), 10, 1)],
    });
    world.keys("n Tab '1G");
    world.wait(1000);
    assert!(
        world
            .text(&ASCII)
            .contains("quota 22938 > 22939 of 30000 GiB")
    );
    world.state.data.quota = None;
    let change = Stream::Change {
        id: 101,
        kind: "volume".to_owned(),
        object_id: "other".to_owned(),
        is_deleted: true,
    };
    world.event(Event::Stream(change));
    world.wait(200);
    assert!(
        world.state.data.quota.is_some(),
        "while the form is open, too"
    );
}

#[test]
fn heartbeats_are_asked_for_while_somebody_looks_at_them() {
    let mut world = World::live((100, 30));
    world.keys("8");
    let mut asked = 0;
    for _ in 0..10 {
        world.now += 1000;
        world.state.link.heard_at = Some(world.now);
        let effects = update(&mut world.state, world.now, Event::Wake);
        asked += effects
            .iter()
            .filter(|effect| **effect == Effect::Ask(Ask::List(Kind::Service)))
            .count();
        world.state.fetches.listing.clear();
    }
    assert!((2..=3).contains(&asked), "{asked}");
}

#[test]
fn a_name_that_two_volumes_have_is_shown_and_typed_as_an_id() {
    let mut world = World::live((100, 30));
    put_volume(&mut world, "aaaaaaaa-1", "twin");
    assert!(!world.text(&ASCII).contains("aaaaaaaa twin"));
    put_volume(&mut world, "bbbbbbbb-2", "twin");
    world.at(Screen::Volumes, "twin");
    let text = world.text(&ASCII);
    assert!(
        text.contains("aaaaaaaa twin") && text.contains("bbbbbbbb twin"),
        "{text}"
    );
    world.keys("^D 'twin");
    assert!(world.text(&ASCII).contains("Type  aaaaaaaa  to arm"));
    world.keys("Enter");
    assert!(
        flash(&world).contains("type aaaaaaaa first"),
        "{}",
        flash(&world)
    );
    world.keys("^U 'aaaaaaaa Enter Enter");
    assert_eq!(world.changes.len(), 1);
    let (_, change, hash) = &world.changes[0];
    assert_eq!(change.object(), Some((Kind::Volume, "aaaaaaaa-1")));
    assert_eq!(
        hash.as_deref(),
        Some("h1"),
        "the plan that was shown is sent back"
    );
}

#[test]
fn a_name_too_long_to_type_is_not_asked_for() {
    let mut world = World::live((100, 30));
    let name = "x".repeat(255);
    put_volume(&mut world, "cccccccc-3", &name);
    world.at(Screen::Volumes, &name);
    world.keys("^D");
    assert!(world.text(&ASCII).contains("Type  cccccccc  to arm"));
}

#[test]
fn what_is_blocked_stands_first_among_many_and_the_rest_is_a_key_away() {
    let mut world = World::live((80, 24));
    for name in ["kafka-log-07", "pg-test-02", "pg-test-03", "vm-root-0042"] {
        world.keys("3 g");
        world.at(Screen::Volumes, name);
        world.keys("Space");
    }
    world.keys("3 g");
    world.at(Screen::Volumes, "pg-prod-02");
    world.keys("Space ^D");
    let text = world.text(&ASCII);
    let line = |word: &str| text.lines().position(|line| line.contains(word));
    assert!(line("ALL") < line("pg-prod-02"), "{text}");
    assert!(
        line("BLOCKS").is_some() && line("more lines: PgDn").is_some(),
        "{text}"
    );
    assert!(line("pg-prod-02") < line("kafka-log-07"), "{text}");
    let mut seen = text.clone();
    for _ in 0..5 {
        world.keys("PgDn");
        seen.push_str(&world.text(&ASCII));
    }
    for name in ["pg-test-02   available", "vm-root-0042   in-use", "COMMAND"] {
        assert!(seen.contains(name), "{name} in\n{seen}");
    }
    assert!(world.text(&ASCII).contains("PgUp: from the top"));
    world.keys("PgUp");
    assert_eq!(world.text(&ASCII), text);
}

#[test]
fn a_small_window_says_that_a_plan_goes_on_below() {
    let mut world = World::live((40, 12));
    world.at(Screen::Volumes, "pg-test-02");
    world.keys("^D");
    assert!(
        world.text(&ASCII).contains("more lines: PgDn"),
        "{}",
        world.text(&ASCII)
    );
    let mut seen = String::new();
    for _ in 0..4 {
        seen.push_str(&world.text(&ASCII));
        world.keys("PgDn");
    }
    assert!(seen.contains("LOST") && seen.contains("KEPT"), "{seen}");
    world.keys("'pg-test-02");
    assert!(
        world.text(&ASCII).contains("Type pg-test-02: pg-test-02"),
        "{}",
        world.text(&ASCII)
    );
}

#[test]
fn of_several_only_the_one_whose_plan_changed_is_sent_again() {
    let mut world = World::live((100, 30));
    for name in ["pg-test-02", "pg-test-03"] {
        world.at(Screen::Volumes, name);
        world.keys("Space");
    }
    world.keys("^D 'delete");
    world.event(Event::Key(crate::console::key::Key::char(' ')));
    world.keys("'2 Enter Enter");
    assert_eq!(world.changes.len(), 2);
    let sent = std::mem::take(&mut world.changes);
    world.hash = "h2".to_owned();
    let (ticket, change, _) = sent[0].clone();
    world.event(Event::Changed(ticket, change, Ok(json!({}))));
    let (ticket, change, _) = sent[1].clone();
    world.event(Event::Changed(ticket, change.clone(), Err(refused(412))));
    let Some(Overlay::Dialog(dialog)) = world.state.overlays.last() else {
        panic!("the dialog stays open");
    };
    assert_eq!(dialog.must_type().unwrap(), "delete 1");
    assert_eq!(dialog.targets[0].outcome, Outcome::Done);
    assert!(matches!(dialog.targets[1].planned, Planned::Known(_)));
    world.keys("'delete");
    world.event(Event::Key(crate::console::key::Key::char(' ')));
    world.keys("'1 Enter Enter");
    assert_eq!(world.changes.len(), 1, "what was done is not done twice");
    assert_eq!(
        (&world.changes[0].1, world.changes[0].2.as_deref()),
        (&change, Some("h2"))
    );
    let ticket = world.changes[0].0;
    world.event(Event::Changed(ticket, change, Ok(json!({}))));
    assert!(world.state.overlays.is_empty());
}

#[test]
fn a_range_goes_from_the_object_where_it_began() {
    let mut world = World::live((100, 30));
    world.at(Screen::Volumes, "pg-test-02");
    world.keys("v");
    for name in ["aa", "ab", "ac"] {
        put_volume(&mut world, name, name);
    }
    world.keys("j v");
    let marks: Vec<String> = world.state.list().unwrap().marks.iter().cloned().collect();
    let names: Vec<String> = marks
        .iter()
        .map(|id| world.state.data.volume_title(id))
        .collect();
    assert_eq!(names, ["pg-test-02", "pg-test-03"]);
}

#[test]
fn a_window_without_the_focus_says_that_it_stands_still() {
    let mut world = World::live((100, 30));
    world.event(Event::Focus(false));
    assert!(world.text(&ASCII).contains("PAUSED"));
    world.keys("j");
    assert!(world.text(&ASCII).contains("LIVE"), "whoever types looks");
}

#[test]
fn nothing_is_counted_that_was_never_told() {
    let mut world = World::cold((100, 30));
    world.keys("3");
    let text = world.text(&ASCII);
    assert!(
        text.contains("Volumes ?") && !text.contains("Volumes 0"),
        "{text}"
    );
    let denied = Trouble {
        why: "this token is no more.".to_owned(),
        ..refused(401)
    };
    world.event(Event::Stream(Stream::Lost(denied.clone())));
    for screen in ["3", "1"] {
        world.keys(screen);
        let text = world.text(&ASCII);
        assert!(
            text.contains("this token is no") && text.contains("--token-file"),
            "{text}"
        );
    }
    world.event(Event::Answer(Answer::Quota(Err(denied))));
    assert!(!world.state.is_over);
}

#[test]
fn the_plan_of_a_detach_frees_nothing_and_says_nothing_of_it() {
    let mut world = World::live((100, 30));
    world.at(Screen::Volumes, "pg-prod-02");
    world.keys("A");
    let Some(Overlay::Dialog(dialog)) = world.state.overlays.last_mut() else {
        panic!("no dialog");
    };
    assert!(matches!(
        dialog.targets[0].change,
        Change::DeleteAttachment { .. }
    ));
    if let Planned::Known(plan) = &mut dialog.targets[0].planned {
        plan.frees_bytes = Some(0);
    }
    assert!(
        !world.text(&ASCII).contains("frees 0"),
        "{}",
        world.text(&ASCII)
    );
}

#[test]
fn what_belongs_to_a_volume_is_told_by_what_it_is() {
    let mut world = World::live((100, 30));
    world.at(Screen::Volumes, "media-cold-11");
    world.keys("J");
    assert!(
        world.text(&ASCII).contains("extend volume media-col"),
        "{}",
        world.text(&ASCII)
    );
}

#[test]
fn only_what_is_full_looks_full() {
    let mut world = World::live((100, 30));
    let full = |free: f64| json!({"name": "h@b#p", "capabilities": {"total_capacity_gb": 100.0, "free_capacity_gb": free}});
    for (free, gauge) in [(2.0, "[#########.]"), (0.0, "[##########]")] {
        let item = Item::read(Kind::Pool, &full(free)).unwrap();
        world.state.data.of_mut(Kind::Pool).put(item);
        world.keys("1");
        assert!(world.text(&ASCII).contains(gauge), "{}", world.text(&ASCII));
    }
}

#[test]
fn operations_that_are_only_the_newest_say_so() {
    let mut world = World::live((100, 30));
    world.keys("7");
    assert!(world.text(&ASCII).contains("Tasks 3"));
    for number in 0..500 {
        let value = json!({"id": format!("o{number}"), "verb": "create_volume", "phase": "done"});
        let item = Item::read(Kind::Operation, &value).unwrap();
        world.state.data.of_mut(Kind::Operation).put(item);
    }
    world.wait(2000);
    assert!(
        world.text(&ASCII).contains("Tasks the newest 503"),
        "{}",
        world.text(&ASCII)
    );
}

#[test]
fn a_reader_is_told_at_the_key_that_the_role_only_reads() {
    let mut world = World::live((100, 30));
    let who = Whoami {
        role: "reader".to_owned(),
        ..world.state.whoami.clone().unwrap()
    };
    world.event(Event::Answer(Answer::Whoami(Ok(who))));
    let refused = refused(403);
    world.state.data.of_mut(Kind::Service).begin();
    world.state.data.of_mut(Kind::Service).finish();
    world.state.screen = Screen::Nodes;
    world.event(Event::Answer(Answer::NoPage(Kind::Service, refused)));
    let text = world.text(&ASCII);
    assert!(
        text.contains("Nodes ?") && text.contains("Your role cannot list services"),
        "{text}"
    );
    world.keys("3 n");
    assert!(
        flash(&world).contains("your role is reader"),
        "{}",
        flash(&world)
    );
    assert!(world.state.overlays.is_empty());
    assert!(world.text(&ASCII).contains("ashlar  RO"));
    world.event(Event::Resize(80, 24));
    assert!(world.text(&ASCII).contains("ashlar RO"));
}
