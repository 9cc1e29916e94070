//! Reservations: RESERVE and RELEASE (6), and persistent ones (SPC-4 5.13) by initiator port. They
//! live in memory: a restart of the target forgets them, as the capabilities say (no persistence
//! through power loss).

use super::cdb::{Command, ReserveOut};
use super::sense::Sense;
use super::{Outcome, Unit, cut};
use crate::target::iscsi::limits::REGISTRATIONS_MAX;
use std::collections::BTreeMap;

const WRITE_EXCLUSIVE: u8 = 1;
const EXCLUSIVE: u8 = 3;
const WRITE_EXCLUSIVE_REGISTRANTS: u8 = 5;
const EXCLUSIVE_REGISTRANTS: u8 = 6;
const WRITE_EXCLUSIVE_ALL: u8 = 7;
const EXCLUSIVE_ALL: u8 = 8;

fn is_kind(kind: u8) -> bool {
    matches!(
        kind,
        WRITE_EXCLUSIVE
            | EXCLUSIVE
            | WRITE_EXCLUSIVE_REGISTRANTS
            | EXCLUSIVE_REGISTRANTS
            | WRITE_EXCLUSIVE_ALL
            | EXCLUSIVE_ALL
    )
}

/// Who has reserved a volume, and who is registered.
#[derive(Debug, Default)]
pub struct Reservations {
    simple: Option<String>,
    keys: BTreeMap<String, u64>,
    held: Option<Held>,
    generation: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    port: String,
    kind: u8,
}

impl Held {
    fn by_all(&self) -> bool {
        matches!(self.kind, WRITE_EXCLUSIVE_ALL | EXCLUSIVE_ALL)
    }

    fn admits_registrants(&self) -> bool {
        self.by_all()
            || matches!(
                self.kind,
                WRITE_EXCLUSIVE_REGISTRANTS | EXCLUSIVE_REGISTRANTS
            )
    }

    fn admits_readers(&self) -> bool {
        matches!(
            self.kind,
            WRITE_EXCLUSIVE | WRITE_EXCLUSIVE_REGISTRANTS | WRITE_EXCLUSIVE_ALL
        )
    }
}

/// Whom an act of one initiator concerns, told after the lock is released.
struct News(Vec<(String, Sense)>);

impl Reservations {
    /// Whether `port` may run `command` now.
    pub fn allows(&self, port: &str, command: &Command) -> bool {
        let always = matches!(
            command,
            Command::Inquiry { .. } | Command::ReportLuns { .. } | Command::RequestSense { .. }
        );
        if always {
            return true;
        }
        if self.simple.as_ref().is_some_and(|holder| holder != port) {
            return matches!(command, Command::Release);
        }
        if matches!(command, Command::Reserve | Command::Release) {
            return self.keys.is_empty();
        }
        let Some(held) = &self.held else { return true };
        let registered = self.keys.contains_key(port);
        if held.port == port || (registered && held.admits_registrants()) {
            return true;
        }
        if command.writes() || matches!(command, Command::SyncCache(_)) {
            return false;
        }
        command.span().is_none() || held.admits_readers()
    }

    /// A session ended.
    pub fn forget(&mut self, port: &str) {
        self.simple.take_if(|holder| holder == port);
    }

    /// The unit was reset; persistent reservations persist.
    pub fn reset(&mut self) {
        self.simple = None;
    }

    fn key_of(&self, port: &str) -> Option<u64> {
        self.keys.get(port).copied()
    }

    fn holds(&self, port: &str) -> bool {
        let by_all = |held: &Held| held.by_all() && self.keys.contains_key(port);
        self.held
            .as_ref()
            .is_some_and(|held| held.port == port || by_all(held))
    }

    fn others(&self, port: &str, sense: Sense) -> News {
        let others = self.keys.keys().filter(|other| *other != port);
        News(others.map(|other| (other.clone(), sense)).collect())
    }

    fn register(&mut self, port: &str, key: u64) -> Result<News, Outcome> {
        self.generation = self.generation.wrapping_add(1);
        if key != 0 {
            if self.keys.len() >= REGISTRATIONS_MAX && !self.keys.contains_key(port) {
                return Err(Outcome::Check(Sense::NO_REGISTRATION_ROOM));
            }
            self.keys.insert(port.to_owned(), key);
            return Ok(News(Vec::new()));
        }
        self.keys.remove(port);
        let over = |held: &mut Held| match held.by_all() {
            true => self.keys.is_empty(),
            false => held.port == port,
        };
        let Some(held) = self.held.take_if(over) else {
            return Ok(News(Vec::new()));
        };
        if !held.admits_registrants() {
            return Ok(News(Vec::new()));
        }
        Ok(self.others(port, Sense::RESERVATIONS_RELEASED))
    }

    fn reserve(&mut self, port: &str, kind: u8) -> Result<News, Outcome> {
        match &self.held {
            None => {
                self.held = Some(Held {
                    port: port.to_owned(),
                    kind,
                })
            }
            Some(held) if held.kind == kind && self.holds(port) => {}
            Some(_) => return Err(Outcome::Conflict),
        }
        Ok(News(Vec::new()))
    }

    fn release(&mut self, port: &str, kind: u8) -> Result<News, Outcome> {
        let Some(held) = self.held.clone().filter(|_| self.holds(port)) else {
            return Ok(News(Vec::new()));
        };
        if held.kind != kind {
            return Err(Outcome::Check(Sense::INVALID_RELEASE));
        }
        self.held = None;
        if !held.admits_registrants() {
            return Ok(News(Vec::new()));
        }
        Ok(self.others(port, Sense::RESERVATIONS_RELEASED))
    }

    fn clear(&mut self, port: &str) -> News {
        let news = self.others(port, Sense::RESERVATIONS_PREEMPTED);
        self.keys.clear();
        self.held = None;
        self.generation = self.generation.wrapping_add(1);
        news
    }

    fn preempt(&mut self, port: &str, victim: u64, kind: u8) -> Result<News, Outcome> {
        let by_all = self.held.as_ref().is_some_and(Held::by_all);
        if victim == 0 && !by_all {
            return Err(Outcome::Check(Sense::INVALID_PARAMETER));
        }
        let takes = match &self.held {
            None => false,
            Some(_) if by_all => victim == 0,
            Some(held) => self.key_of(&held.port) == Some(victim),
        };
        let chosen = |key: u64| (by_all && victim == 0) || key == victim;
        if !self.keys.values().any(|key| chosen(*key)) {
            return Err(Outcome::Conflict);
        }
        let gone = self
            .keys
            .iter()
            .filter(|(other, key)| *other != port && chosen(**key));
        let gone: Vec<String> = gone.map(|(other, _)| other.clone()).collect();
        self.keys.retain(|other, _| !gone.contains(other));
        if takes {
            self.held = Some(Held {
                port: port.to_owned(),
                kind,
            });
        }
        self.generation = self.generation.wrapping_add(1);
        let told = gone
            .into_iter()
            .map(|other| (other, Sense::REGISTRATIONS_PREEMPTED));
        Ok(News(told.collect()))
    }

    fn out(&mut self, port: &str, out: &ReserveOut, list: &List) -> Result<News, Outcome> {
        let key = self.key_of(port);
        // REGISTER AND IGNORE EXISTING KEY asks for no key; REGISTER takes 0 for "none yet".
        let known = match out.action {
            6 => true,
            0 => key.unwrap_or(0) == list.key,
            _ => key == Some(list.key),
        };
        if !known {
            return Err(Outcome::Conflict);
        }
        let kind = out.scope_type & 0x0f;
        let typed = matches!(out.action, 1 | 2 | 4);
        if typed && (out.scope_type >> 4 != 0 || !is_kind(kind)) {
            return Err(Outcome::Check(Sense::INVALID_FIELD));
        }
        match out.action {
            0 | 6 => self.register(port, list.action_key),
            1 => self.reserve(port, kind),
            2 => self.release(port, kind),
            3 => Ok(self.clear(port)),
            4 => self.preempt(port, list.action_key, kind),
            _ => Err(Outcome::Check(Sense::INVALID_FIELD)),
        }
    }

    fn read(&self, action: u8) -> Result<Vec<u8>, Sense> {
        let content = match action {
            0 => self
                .keys
                .values()
                .flat_map(|key| key.to_be_bytes())
                .collect(),
            1 => self.held.as_ref().map_or_else(Vec::new, |held| {
                let key = if held.by_all() {
                    0
                } else {
                    self.key_of(&held.port).unwrap_or(0)
                };
                [&key.to_be_bytes()[..], &[0, 0, 0, 0, 0, held.kind, 0, 0]].concat()
            }),
            2 => return Ok(vec![0, 8, 0, 0x80, 0xea, 0x01, 0, 0]),
            3 => self.full_status(),
            _ => return Err(Sense::INVALID_FIELD),
        };
        let len = u32::try_from(content.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes();
        Ok([&self.generation.to_be_bytes()[..], &len, &content].concat())
    }
}

impl Reservations {
    /// Each registration with its initiator port, as READ FULL STATUS lays it out.
    fn full_status(&self) -> Vec<u8> {
        let mut content = Vec::new();
        for (port, key) in &self.keys {
            let holds = self.holds(port);
            let kind = self
                .held
                .as_ref()
                .filter(|_| holds)
                .map_or(0, |held| held.kind);
            // An iSCSI transport id in the form "name,i,0xISID", ended by zeros.
            let name_len = (port.len() + 1).next_multiple_of(4);
            let len = u16::try_from(name_len).unwrap_or(u16::MAX);
            content.extend_from_slice(&key.to_be_bytes());
            content.extend_from_slice(&[0, 0, 0, 0, u8::from(holds), kind, 0, 0, 0, 0, 0, 1]);
            content.extend_from_slice(&(u32::from(len) + 4).to_be_bytes());
            content.extend_from_slice(&[0x45, 0]);
            content.extend_from_slice(&len.to_be_bytes());
            content.extend_from_slice(port.as_bytes());
            content.resize(content.len() + name_len - port.len(), 0);
        }
        content
    }
}

struct List {
    key: u64,
    action_key: u64,
}

fn parse_list(out: &ReserveOut, data: &[u8]) -> Result<List, Sense> {
    let list = data
        .first_chunk::<24>()
        .filter(|_| out.list_len == 24 && data.len() == 24);
    let list = list.ok_or(Sense::PARAMETER_LENGTH)?;
    // SPEC_I_PT, ALL_TG_PT and APTPL are not among our capabilities.
    if list[20] & 0x0d != 0 {
        return Err(Sense::INVALID_PARAMETER);
    }
    let (key, rest) = list
        .split_first_chunk::<8>()
        .ok_or(Sense::PARAMETER_LENGTH)?;
    let action_key = rest.first_chunk::<8>().ok_or(Sense::PARAMETER_LENGTH)?;
    Ok(List {
        key: u64::from_be_bytes(*key),
        action_key: u64::from_be_bytes(*action_key),
    })
}

/// RESERVE (6).
pub fn reserve(unit: Unit<'_>) -> Outcome {
    unit.lun.reservations().simple = Some(unit.nexus.port.clone());
    Outcome::Good
}

/// RELEASE (6).
pub fn release(unit: Unit<'_>) -> Outcome {
    unit.lun.reservations().forget(&unit.nexus.port);
    Outcome::Good
}

/// PERSISTENT RESERVE IN.
pub fn reserve_in(unit: Unit<'_>, action: u8, alloc_len: u32) -> Outcome {
    unit.lun
        .reservations()
        .read(action)
        .map(|bytes| cut(bytes, alloc_len))
        .into()
}

/// PERSISTENT RESERVE OUT.
pub fn reserve_out(unit: Unit<'_>, out: &ReserveOut, data: &[u8]) -> Outcome {
    let list = match parse_list(out, data) {
        Ok(list) => list,
        Err(sense) => return Outcome::Check(sense),
    };
    let outcome = unit.lun.reservations().out(&unit.nexus.port, out, &list);
    match outcome {
        Ok(News(news)) => {
            for (port, sense) in news {
                unit.lun.attend_all(sense, |nexus| nexus.port == port);
            }
            Outcome::Good
        }
        Err(outcome) => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::{List, Reservations};
    use crate::target::iscsi::scsi::Outcome;
    use crate::target::iscsi::scsi::cdb::{Command, ReserveOut, Span};

    fn out(on: &mut Reservations, port: &str, action: u8, kind: u8, keys: (u64, u64)) -> bool {
        let out = ReserveOut {
            action,
            scope_type: kind,
            list_len: 24,
        };
        match on.out(
            port,
            &out,
            &List {
                key: keys.0,
                action_key: keys.1,
            },
        ) {
            Ok(_) => true,
            Err(outcome) => {
                assert_eq!(outcome, Outcome::Conflict);
                false
            }
        }
    }

    #[test]
    fn each_type_lets_in_whom_it_should() {
        let span = Span { lba: 0, blocks: 1 };
        let write = Command::Write { span, fua: false };
        let read = Command::Read(span);
        // Type; may a registered other read, write; may a stranger read, write.
        let table = [
            (1, [true, false, true, false]),
            (3, [false; 4]),
            (5, [true, true, true, false]),
            (6, [true, true, false, false]),
            (7, [true, true, true, false]),
            (8, [true, true, false, false]),
        ];
        for (kind, expected) in table {
            let mut on = Reservations::default();
            assert!(
                !out(&mut on, "a", 1, kind, (1, 0)),
                "no reservation unregistered"
            );
            assert!(out(&mut on, "a", 0, 0, (0, 1)) && out(&mut on, "b", 0, 0, (0, 2)));
            assert!(out(&mut on, "a", 1, kind, (1, 0)));
            let found = [
                on.allows("b", &read),
                on.allows("b", &write),
                on.allows("c", &read),
                on.allows("c", &write),
            ];
            assert_eq!(found, expected, "type {kind}");
            assert!(on.allows("a", &write));
        }
    }

    #[test]
    fn preempting_takes_the_reservation_and_the_registration() {
        let span = Span { lba: 0, blocks: 1 };
        let write = Command::Write { span, fua: false };
        let mut on = Reservations::default();
        assert!(out(&mut on, "a", 0, 0, (0, 1)) && out(&mut on, "b", 0, 0, (0, 2)));
        assert!(out(&mut on, "a", 1, 1, (1, 0)));
        assert!(!out(&mut on, "b", 4, 1, (2, 9)), "nobody has that key");
        assert!(out(&mut on, "b", 4, 1, (2, 1)));
        assert!(on.allows("b", &write) && !on.allows("a", &write));
        assert!(out(&mut on, "b", 3, 0, (2, 0)), "clear");
        assert!(on.allows("a", &write));
    }
}
