//! The link: the daemon may die, the console may not.

use super::world::{UNICODE, World};
use crate::console::change::Change;
use crate::console::event::{Answer, Ask, Effect, Event, Stream, Trouble};
use crate::console::item::Kind;
use crate::console::keymap::Screen;
use crate::console::state::Phase;
use crate::console::update::update;

fn lost() -> Event {
    Event::Stream(Stream::Lost(Trouble::lost("connection refused")))
}

fn connects(world: &World) -> usize {
    world
        .others
        .iter()
        .filter(|effect| matches!(effect, Effect::Connect { .. }))
        .count()
}

#[test]
fn a_lost_daemon_is_tried_for_ever_and_not_too_often() {
    let mut world = World::live((100, 30));
    world.event(lost());
    let before = connects(&world);
    for _ in 0..60 {
        world.wait(1000);
        if matches!(
            world.others.last(),
            Some(Effect::Connect { since: Some(100) })
        ) {
            world.others.clear();
            world.event(lost());
        }
    }
    assert!(
        world.state.link.tries >= 6,
        "{} tries",
        world.state.link.tries
    );
    let tries_in_a_minute = world.state.link.tries;
    assert!(
        tries_in_a_minute <= 10,
        "{tries_in_a_minute} connects in the first minute"
    );
    assert!(before <= 1);
    for _ in 0..600 {
        world.wait(1000);
        if matches!(world.others.last(), Some(Effect::Connect { .. })) {
            world.others.clear();
            world.event(lost());
        }
    }
    assert!(!world.state.is_over);
    let per_minute = (world.state.link.tries - tries_in_a_minute) / 10;
    assert!(per_minute <= 6, "{per_minute} connects a minute");
    let text = world.text(&UNICODE);
    assert!(
        text.contains("DOWN 6") && text.contains("connection refused"),
        "{text}"
    );
}

#[test]
fn the_data_stays_with_its_age_and_comes_to_life_again() {
    let mut world = World::live((100, 30));
    world.at(Screen::Volumes, "pg-prod-02");
    world.event(lost());
    world.wait(400);
    let text = world.text(&UNICODE);
    assert!(
        text.contains("pg-prod-01") && text.contains("DATA FROM 14:31"),
        "{text}"
    );
    assert!(text.contains("tasks ?"), "{text}");
    world.others.clear();
    world.wait(1000);
    assert_eq!(world.others, [Effect::Connect { since: Some(100) }]);
    world.event(Event::Stream(Stream::Hello(120)));
    assert!(world.text(&UNICODE).contains("LIVE"));
    assert_eq!(
        world.state.link.event_id,
        Some(100),
        "what was missed is still to come"
    );
}

#[test]
fn silence_is_a_lost_link() {
    let mut world = World::live((100, 30));
    world.wait(5_000);
    world.event(Event::Stream(Stream::Beat));
    world.wait(10_000);
    assert_eq!(world.state.link.phase, Phase::Live);
    world.wait(2_000);
    assert!(matches!(world.state.link.phase, Phase::Down { .. }));
}

#[test]
fn a_gap_and_another_record_list_everything_anew() {
    let mut world = World::live((100, 30));
    for event in [Stream::Gap(500), Stream::Hello(3)] {
        let effects = update(&mut world.state, world.now, Event::Stream(event));
        assert!(
            effects.contains(&Effect::Ask(Ask::List(Kind::Volume))),
            "{effects:?}"
        );
        for kind in Kind::ALL {
            world.event(Event::Answer(Answer::Page {
                kind: *kind,
                items: Vec::new(),
                is_first: true,
                is_last: true,
            }));
        }
    }
    assert_eq!(world.state.link.event_id, Some(3));
}

#[test]
fn changes_are_gathered_and_asked_for_one_by_one_or_all_at_once() {
    let mut world = World::live((100, 30));
    let change = |number: u32| {
        Event::Stream(Stream::Change {
            id: 101 + u64::from(number),
            kind: "volume".to_owned(),
            object_id: super::world::id(1, number),
            is_deleted: false,
        })
    };
    update(&mut world.state, world.now, change(1));
    update(&mut world.state, world.now, change(2));
    let effects = update(&mut world.state, world.now + 150, Event::Wake);
    let ones = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Ask(Ask::One(Kind::Volume, _))))
        .count();
    assert_eq!(ones, 2, "{effects:?}");
    for number in 10..60 {
        update(&mut world.state, world.now + 200, change(number));
    }
    let effects = update(&mut world.state, world.now + 400, Event::Wake);
    assert!(
        effects.contains(&Effect::Ask(Ask::List(Kind::Volume))),
        "{effects:?}"
    );
    assert_eq!(world.state.link.event_id, Some(160));
}

#[test]
fn a_daemon_without_events_is_polled() {
    let mut world = World::cold((100, 30));
    world.event(Event::Stream(Stream::Absent));
    assert!(world.text(&UNICODE).contains("POLLING"));
    world.wait(10);
    let effects = update(&mut world.state, world.now + 5000, Event::Wake);
    assert!(
        effects.contains(&Effect::Ask(Ask::List(Kind::Volume))),
        "{effects:?}"
    );
}

#[test]
fn an_unknown_token_is_told_and_not_tried_again_by_itself() {
    let mut world = World::live((100, 30));
    world.event(Event::Stream(Stream::Lost(Trouble {
        code: 401,
        ..Trouble::lost("no such token")
    })));
    world.others.clear();
    for _ in 0..100 {
        world.wait(1000);
    }
    assert_eq!(connects(&world), 0, "no storm of wrong tokens");
    assert!(world.text(&UNICODE).contains("DENIED"));
    world.keys("r");
    assert_eq!(connects(&world), 1);
}

#[test]
fn refusals_say_what_why_what_is_unchanged_and_the_id() {
    for (code, words) in [
        (400, "why"),
        (403, "role"),
        (409, "Nothing was changed"),
        (413, "quota"),
        (429, "wait 7 s"),
        (503, "again in a while"),
        (0, "may not have arrived"),
    ] {
        let mut world = World::live((160, 50));
        world.at(Screen::Volumes, "pg-test-02");
        world.keys("x '+5G ^S");
        let (ticket, change, _) = world.changes.pop().unwrap();
        assert!(
            matches!(&change, Change::ExtendVolume { size_gib: 505, .. }),
            "{change:?}"
        );
        let trouble = Trouble {
            code,
            why: "why".to_owned(),
            request_id: "req-7".to_owned(),
            retry_after_s: (code == 429).then_some(7),
        };
        world.event(Event::Changed(ticket, change, Err(trouble)));
        let text = world.text(&UNICODE);
        assert!(
            text.contains("extend pg-test-02 to 505G failed: why") && text.contains("req-7"),
            "{code}: {text}"
        );
        assert!(text.contains(words), "{code}: {text}");
        assert!(text.contains("+5G"), "what was typed stays");
    }
}
