//! A recorded world, and a hand that plays a console in it: no clock, no network, no thread.

use serde_json::{Value, json};

use crate::console::change::Change;
use crate::console::clock::{self, Ms};
use crate::console::data::Quota;
use crate::console::event::{Answer, Ask, Effect, Event, Plan, Stream, Whoami};
use crate::console::item::{Item, Kind};
use crate::console::key::Key;
use crate::console::keymap::Screen;
use crate::console::state::{Settings, State};
use crate::console::theme::{Glyphs, Theme};
use crate::console::update::{begin, update};
use crate::console::view::view;

/// Fri 21 Nov 2025, 14:31:02 UTC.
pub(super) const NOW: Ms = 1_763_735_462_000;

/// ASCII, colours.
pub(super) const ASCII: Theme = Theme {
    glyphs: Glyphs::Ascii,
    has_colour: true,
};
/// Unicode, colours.
pub(super) const UNICODE: Theme = Theme {
    glyphs: Glyphs::Unicode,
    has_colour: true,
};

/// An id that is the same in every run.
pub(super) fn id(kind: u32, number: u32) -> String {
    format!("{number:08x}-94d0-4b1e-9d0c-{kind:04x}{number:08x}")
}

fn ago(minutes: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(NOW - minutes * 60_000).unwrap();
    at.strftime("%Y-%m-%dT%H:%M:%S.000000").to_string()
}

fn volume(
    number: u32,
    name: &str,
    status: &str,
    size: u64,
    volume_type: &str,
    pool: &str,
) -> Value {
    json!({"id": id(1, number), "name": name, "status": status, "size": size, "volume_type": volume_type,
        "os-vol-host-attr:host": format!("stor01@default#{pool}"), "os-vol-tenant-attr:tenant_id": "dba",
        "created_at": ago(i64::from(number) * 700), "bootable": "false", "multiattach": false, "attachments": [],
        "description": "", "availability_zone": "nova"})
}

fn attach(volume: &mut Value, number: u32, host: &str) {
    volume["attachments"] = json!([{"attachment_id": id(3, number), "host_name": host}]);
}

/// The rows of a kind, as the wire tells them.
pub(super) fn rows(kind: Kind) -> Vec<Value> {
    match kind {
        Kind::Volume => {
            let mut all = vec![
                volume(1, "media-cold-11", "extending", 8192, "bulk", "tp-bulk"),
                volume(2, "kafka-log-07", "in-use", 2048, "silver", "tp-silver"),
                volume(3, "pg-prod-01", "in-use", 1024, "gold", "tp-gold"),
                volume(4, "pg-prod-02", "in-use", 500, "gold", "tp-gold"),
                volume(5, "pg-test-02", "available", 500, "silver", "tp-silver"),
                volume(6, "pg-test-03", "available", 500, "silver", "tp-silver"),
                volume(7, "vm-root-0042", "in-use", 40, "silver", "tp-silver"),
                volume(8, "web-0412", "error_deleting", 20, "silver", "tp-silver"),
                volume(9, "", "creating", 10, "gold", "tp-gold"),
            ];
            for (at, number, host) in [(1, 2, "kafka07"), (2, 3, "db01"), (3, 4, "db02"), (6, 7, "hv03")] {
                attach(&mut all[at], number, host);
            }
            all
        }
        Kind::Snapshot => vec![
            json!({"id": id(2, 1), "name": "daily-1120", "status": "available", "size": 500, "volume_id": id(1, 4), "created_at": ago(1951)}),
            json!({"id": id(2, 2), "name": "daily-1121", "status": "creating", "size": 500, "volume_id": id(1, 4), "created_at": ago(0)}),
            json!({"id": id(2, 3), "name": "pre-upgrade", "status": "available", "size": 1024, "volume_id": id(1, 3), "created_at": ago(27_000)}),
        ],
        Kind::Attachment => [(2, "attached"), (3, "attached"), (4, "attached"), (7, "attaching")]
            .into_iter()
            .map(|(number, status)| {
                json!({"id": id(3, number), "status": status, "volume_id": id(1, number), "attach_mode": "rw",
                    "attached_at": ago(57_600), "connection_info": {"target_portal": "10.0.1.5:3260", "target_lun": 0,
                    "target_iqn": format!("iqn.2010-10.org.openstack:volume-{}", id(1, number)), "auth_password": "never"}})
            })
            .collect(),
        Kind::Pool => [("tp-gold", 14_336.0, 8294.0, 22_938.0), ("tp-silver", 22_323.0, 1946.0, 75_878.0), ("tp-bulk", 89_395.0, 37_478.0, 98_330.0)]
            .into_iter()
            .map(|(name, total, free, promised)| {
                json!({"name": format!("stor01@default#{name}"), "capabilities": {"total_capacity_gb": total,
                    "free_capacity_gb": free, "provisioned_capacity_gb": promised, "thin_provisioning_support": true,
                    "max_over_subscription_ratio": "20.0", "volume_backend_name": "default"}})
            })
            .collect(),
        Kind::Operation => operations(),
        Kind::Type => ["gold", "silver", "bulk"]
            .iter()
            .enumerate()
            .map(|(at, name)| json!({"id": id(6, u32::try_from(at).unwrap()), "name": name, "is_public": true, "description": ""}))
            .collect(),
        Kind::Service => ["cinder-scheduler", "cinder-volume"]
            .iter()
            .map(|binary| json!({"binary": binary, "host": "stor01", "state": "up", "status": "enabled", "updated_at": ago(0)}))
            .collect(),
        Kind::Session => vec![
            json!({"id": id(8, 3), "volume_id": id(1, 3), "initiator": "iqn.1993-08.org.debian:01:db01", "address": "10.0.1.71",
                "read_bytes": 412_000_000_u64, "written_bytes": 88_000_000_u64, "quiet_s": 0}),
            json!({"id": id(8, 2), "volume_id": id(1, 2), "initiator": "iqn.1993-08.org.debian:01:kafka07", "address": "10.0.1.90",
                "read_bytes": 1_000_000_u64, "written_bytes": 1_480_000_000_u64, "quiet_s": 792_000}),
        ],
    }
}

fn operations() -> Vec<Value> {
    let step = |name: &str, begun: &str, ended: &str| json!({"name": name, "direction": "do", "started_at": begun, "finished_at": ended});
    vec![
        json!({"id": id(5, 1), "verb": "extend_volume", "phase": "running", "object_id": id(1, 1), "request_id": "req-5be1",
            "created_at": ago(6), "bytes_done": 2_700_000_000_u64, "bytes_total": 8_000_000_000_u64,
            "bytes_per_s": 95_000_000_u64, "left_s": 56, "can_cancel": true}),
        json!({"id": id(5, 2), "verb": "delete_volume", "phase": "failed", "object_id": id(1, 8), "request_id": "req-91ac44",
            "created_at": ago(34), "finished_at": ago(33), "can_retry": true,
            "error": "the target refused: LUN 0 has a session of web07; nothing was removed",
            "steps": [step("fence", "2025-11-21T13:57:02.000000", "2025-11-21T13:57:02.020000"), step("unexport", "2025-11-21T13:57:02.020000", "2025-11-21T13:58:02.120000")]}),
        json!({"id": id(5, 3), "verb": "create_snapshot", "phase": "done", "object_id": id(2, 1), "request_id": "req-1",
            "created_at": ago(1951), "finished_at": ago(1951)}),
    ]
}

/// A console in the recorded world.
pub(super) struct World {
    /// Its state.
    pub(super) state: State,
    /// The time.
    pub(super) now: Ms,
    /// Everything it asked for that changes something.
    pub(super) changes: Vec<(u64, Change, Option<String>)>,
    /// Its other effects, newest last.
    pub(super) others: Vec<Effect>,
    /// Whether the daemon can plan.
    pub(super) has_plan: bool,
    /// The hash of the next plan.
    pub(super) hash: String,
}

impl World {
    /// Not yet connected.
    pub(super) fn cold(size: (u16, u16)) -> Self {
        let settings = Settings {
            endpoint: "unix:/run/ashlar/api.sock".to_owned(),
            is_read_only: false,
        };
        let state = State::new(settings, size, NOW);
        let mut world = Self {
            state,
            now: NOW,
            changes: Vec::new(),
            others: Vec::new(),
            has_plan: true,
            hash: "h1".to_owned(),
        };
        world.others = begin(&world.state);
        world
    }

    /// Live, everything listed.
    pub(super) fn live(size: (u16, u16)) -> Self {
        let mut world = Self::cold(size);
        world.event(Event::Stream(Stream::Hello(100)));
        world
    }

    /// One event; questions are answered from the record at once.
    pub(super) fn event(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for effect in update(&mut self.state, self.now, event) {
                match effect {
                    Effect::Ask(ask) => {
                        events.extend(self.answers(ask).into_iter().map(Event::Answer))
                    }
                    Effect::Change {
                        ticket,
                        change,
                        plan_hash,
                    } => self.changes.push((ticket, change, plan_hash)),
                    Effect::WakeAt(_) => {}
                    other @ Effect::Connect { .. }
                    | other @ Effect::Copy(_)
                    | other @ Effect::Redraw
                    | other @ Effect::Quit => self.others.push(other),
                }
            }
        }
    }

    fn answers(&self, ask: Ask) -> Vec<Answer> {
        vec![match ask {
            Ask::Whoami => Answer::Whoami(Ok(Whoami {
                user: "admin".to_owned(),
                project: "dba".to_owned(),
                role: "admin".to_owned(),
                version: "0.1.0".to_owned(),
            })),
            Ask::List(kind) => {
                let items = rows(kind)
                    .iter()
                    .filter_map(|row| Item::read(kind, row))
                    .collect();
                Answer::Page {
                    kind,
                    items,
                    is_first: true,
                    is_last: true,
                }
            }
            Ask::One(kind, id) => {
                let found = rows(kind)
                    .iter()
                    .filter_map(|row| Item::read(kind, row))
                    .find(|item| item.id == id);
                Answer::One(kind, id, Ok(found))
            }
            Ask::Raw(ticket, _, id) => Answer::Raw(
                ticket,
                Ok(vec![format!("id: {id}"), "name: raw".to_owned()]),
            ),
            Ask::Plan(ticket, change) => {
                Answer::Plan(ticket, Ok(self.has_plan.then(|| self.plan(&change))))
            }
            Ask::Placement(ticket, _) => Answer::Placement(
                ticket,
                Ok(Some("the scheduler would pick tp-gold".to_owned())),
            ),
            Ask::Quota => {
                let rows = [
                    ("gigabytes", 30_000, 22_938),
                    ("volumes", 500, 412),
                    ("snapshots", -1, 3),
                ];
                let rows = rows
                    .map(|(name, limit, used)| (name.to_owned(), limit, used))
                    .to_vec();
                Answer::Quota(Ok(Quota { rows }))
            }
        }]
    }

    fn plan(&self, change: &Change) -> Plan {
        let attached =
            matches!(change, Change::DeleteVolume { title, .. } if title.contains("prod"));
        Plan {
            hash: self.hash.clone(),
            is_blocked: attached,
            blocks: if attached {
                vec!["1 attachment: db02".to_owned()]
            } else {
                Vec::new()
            },
            lost: vec!["the data, 500 GiB".to_owned()],
            breaks: Vec::new(),
            keeps: Vec::new(),
            frees_bytes: Some(500 << 30),
            level: "type_name".to_owned(),
        }
    }

    /// Time passes.
    pub(super) fn wait(&mut self, len: Ms) {
        self.now += len;
        self.event(Event::Wake);
    }

    /// Keys by their spelling, separated by spaces; a quoted word is typed.
    pub(super) fn keys(&mut self, line: &str) {
        for word in line.split(' ').filter(|word| !word.is_empty()) {
            match word.strip_prefix('\'') {
                Some(text) => text
                    .chars()
                    .for_each(|c| self.event(Event::Key(Key::char(c)))),
                None => self.event(Event::Key(
                    Key::parse(word).unwrap_or_else(|| panic!("{word} is no key")),
                )),
            }
        }
    }

    /// Goes to a screen, the cursor on the row of this name.
    pub(super) fn at(&mut self, screen: Screen, name: &str) {
        let digit = Screen::ALL.iter().find(|row| row.0 == screen).unwrap().1;
        self.keys(&digit.to_string());
        self.wait(clock::SECOND * 2);
        for _ in 0..100 {
            let title = self
                .state
                .under_cursor()
                .map(|(_, item)| item.title())
                .unwrap_or_default();
            if title == name {
                return;
            }
            self.keys("j");
        }
        panic!("no row {name} on {screen:?}");
    }

    /// The screen as text.
    pub(super) fn text(&self, theme: &Theme) -> String {
        text_of(&view(&self.state, theme))
    }
}

/// A buffer as lines, without spaces at their ends.
pub(super) fn text_of(buffer: &ratatui::buffer::Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(unicode_width::UnicodeWidthStr::width(symbol).max(1)).unwrap();
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
