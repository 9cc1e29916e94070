//! Everything the console knows of the daemon's objects: a table a kind, keyed by identity.
//!
//! A row that is gone stays in its slot, marked, until the list is put in order again, so that no row moves under the
//! cursor. Must not know views, keys or HTTP.

use std::collections::HashMap;

use super::clock::Ms;
use super::item::{Item, Kind};

/// So many operations are listed, the newest; older ones are for the command line.
pub(crate) const OPERATIONS_MAX: usize = 500;

/// A place in a table; it keeps its number until `compact`.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// The row.
    pub(crate) item: Item,
    /// What a bare word of the filter is looked for in.
    pub(crate) words: String,
    /// Whether the object is no more.
    pub(crate) is_gone: bool,
    round: u32,
}

/// Whether a table is filled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Loaded {
    /// Nothing was asked for yet.
    #[default]
    Never,
    /// Pages are coming in.
    Coming,
    /// Whole.
    Whole,
    /// The daemon refused or has no such list: why, for people.
    Refused(String),
}

/// The rows of one kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    by_id: HashMap<String, usize>,
    /// How many live rows have a name, by its hash: two names with one hash only show an id too many.
    names: HashMap<u64, u32>,
    round: u32,
    /// Whether it is filled.
    pub(crate) loaded: Loaded,
    /// When the last answer for it came.
    pub(crate) at: Option<Ms>,
    /// Counts changes, so that orders made from it know when they are old.
    pub(crate) version: u64,
}

impl Table {
    /// A new listing begins: what it does not name is gone at its end.
    pub(crate) fn begin(&mut self) {
        self.round = self.round.wrapping_add(1);
        if self.loaded != Loaded::Whole {
            self.loaded = Loaded::Coming;
        }
    }

    /// The listing is whole.
    pub(crate) fn finish(&mut self) {
        let round = self.round;
        for at in 0..self.slots.len() {
            if self.slots[at].round != round {
                self.end(at);
            }
        }
        self.loaded = Loaded::Whole;
        self.version += 1;
    }

    /// Adds or replaces a row.
    pub(crate) fn put(&mut self, item: Item) {
        self.version += 1;
        let words = words(&item);
        let slot = Slot {
            item,
            words,
            is_gone: false,
            round: self.round,
        };
        *self.names.entry(hash(&slot.item.name)).or_default() += 1;
        match self.by_id.get(&slot.item.id).copied() {
            Some(at) => {
                self.end(at);
                self.slots[at] = slot;
            }
            None => {
                self.by_id.insert(slot.item.id.clone(), self.slots.len());
                self.slots.push(slot);
            }
        }
    }

    /// Marks a row as gone.
    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(at) = self.by_id.get(id).copied() {
            self.end(at);
            self.version += 1;
        }
    }

    /// A row lives no more; its name is one fewer.
    fn end(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        if std::mem::replace(&mut slot.is_gone, true) {
            return;
        }
        let name = hash(&slot.item.name);
        if let Some(count) = self.names.get_mut(&name) {
            *count -= 1;
            if *count == 0 {
                self.names.remove(&name);
            }
        }
    }

    /// Whether another live row has this name too: then it says nothing.
    pub(crate) fn is_double(&self, name: &str) -> bool {
        self.names.get(&hash(name)).is_some_and(|count| *count > 1)
    }

    /// Drops rows that are gone, except the one under the cursor.
    pub(crate) fn compact(&mut self, keep: Option<&str>) {
        let before = self.slots.len();
        self.slots
            .retain(|slot| !slot.is_gone || keep == Some(slot.item.id.as_str()));
        if self.slots.len() != before {
            self.by_id = (0..self.slots.len())
                .map(|at| (self.slots[at].item.id.clone(), at))
                .collect();
            self.version += 1;
        }
    }

    /// The slot of that number.
    pub(crate) fn slot(&self, at: usize) -> Option<&Slot> {
        self.slots.get(at)
    }

    /// All slots, with those that are gone.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The row of that id, unless it is gone.
    pub(crate) fn get(&self, id: &str) -> Option<&Item> {
        let slot = self.slots.get(*self.by_id.get(id)?)?;
        (!slot.is_gone).then_some(&slot.item)
    }

    /// The row of that id, gone or not.
    pub(crate) fn last_known(&self, id: &str) -> Option<&Item> {
        self.slots.get(*self.by_id.get(id)?).map(|slot| &slot.item)
    }

    /// The steps that are known of an operation.
    pub(crate) fn steps_of(&self, id: &str) -> Vec<super::item::Step> {
        let operation = self.last_known(id).and_then(Item::operation);
        operation
            .map(|operation| operation.steps.clone())
            .unwrap_or_default()
    }

    /// Whether there was a row of that id and it is gone.
    pub(crate) fn is_gone(&self, id: &str) -> bool {
        self.by_id.get(id).is_some_and(|&at| self.slots[at].is_gone)
    }

    /// The live rows.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Item> {
        self.slots
            .iter()
            .filter(|slot| !slot.is_gone)
            .map(|slot| &slot.item)
    }

    /// How many live rows.
    pub(crate) fn count(&self) -> usize {
        self.slots.iter().filter(|slot| !slot.is_gone).count()
    }
}

fn hash(name: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

fn words(item: &Item) -> String {
    let mut words = format!(
        "{} {} {} {} {}",
        item.name, item.id, item.status, item.project, item.of
    );
    match &item.more {
        super::item::More::Volume(volume) => {
            for part in [&volume.volume_type, &volume.pool] {
                words.push(' ');
                words.push_str(part);
            }
            for (_, host) in &volume.hosts {
                words.push(' ');
                words.push_str(host);
            }
        }
        super::item::More::Attachment(attachment) => {
            words.push_str(&format!(
                " {} {} {}",
                attachment.host, attachment.iqn, attachment.instance
            ));
        }
        super::item::More::Operation(operation) => {
            words.push_str(&format!(
                " {} {} {}",
                operation.what(),
                operation.error,
                operation.request_id
            ));
        }
        super::item::More::Session(session) => {
            words.push_str(&format!(" {} {}", session.initiator, session.address));
        }
        super::item::More::Pool(_)
        | super::item::More::Snapshot { .. }
        | super::item::More::Service { .. }
        | super::item::More::Type { .. } => {}
    }
    words.to_lowercase()
}

/// What a project may use and uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Quota {
    /// Resource, limit (-1 is none), in use.
    pub(crate) rows: Vec<(String, i64, i64)>,
}

impl Quota {
    /// What is left of a resource; `None` when there is no limit or no such row.
    pub(crate) fn left(&self, resource: &str) -> Option<i64> {
        let (_, limit, used) = self.rows.iter().find(|(name, ..)| name == resource)?;
        (*limit >= 0).then(|| limit - used)
    }
}

/// All tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Data {
    tables: [Table; Kind::ALL.len()],
    /// The quota of the caller's project, once it is known.
    pub(crate) quota: Option<Quota>,
}

impl Data {
    /// The table of a kind.
    pub(crate) fn of(&self, kind: Kind) -> &Table {
        &self.tables[kind.index()]
    }

    /// The same, to be changed.
    pub(crate) fn of_mut(&mut self, kind: Kind) -> &mut Table {
        &mut self.tables[kind.index()]
    }

    /// A live row.
    pub(crate) fn get(&self, kind: Kind, id: &str) -> Option<&Item> {
        self.of(kind).get(id)
    }

    /// A volume's name for people, from its id.
    pub(crate) fn volume_title(&self, id: &str) -> String {
        match self.of(Kind::Volume).last_known(id) {
            Some(volume) => volume.title(),
            None => id.chars().take(8).collect(),
        }
    }

    /// The snapshots of a volume.
    pub(crate) fn snapshots_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Item> {
        self.of(Kind::Snapshot)
            .rows()
            .filter(move |snapshot| snapshot.of == id)
    }

    /// The attachments of a volume.
    pub(crate) fn attachments_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Item> {
        self.of(Kind::Attachment)
            .rows()
            .filter(move |attachment| attachment.of == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn volume(id: &str) -> Item {
        Item::read(
            Kind::Volume,
            &json!({"id": id, "name": id, "status": "available"}),
        )
        .unwrap()
    }

    #[test]
    fn what_a_listing_no_longer_names_is_gone_but_keeps_its_place() {
        let mut table = Table::default();
        for id in ["a", "b", "c"] {
            table.put(volume(id));
        }
        table.begin();
        table.put(volume("a"));
        table.put(volume("c"));
        table.finish();
        assert!(table.is_gone("b"));
        assert_eq!(table.slot(1).unwrap().item.id, "b");
        table.compact(Some("b"));
        assert_eq!(table.slots().len(), 3);
        table.compact(None);
        assert_eq!((table.slots().len(), table.count()), (2, 2));
        assert_eq!(table.get("c").unwrap().id, "c");
    }

    #[test]
    fn names_that_two_live_rows_have_are_known() {
        let named = |id: &str, name: &str| {
            let value = json!({"id": id, "name": name, "status": "available"});
            Item::read(Kind::Volume, &value).unwrap()
        };
        let mut table = Table::default();
        table.put(named("1", "data"));
        table.put(named("1", "data"));
        assert!(!table.is_double("data"), "one row told twice is one");
        table.put(named("2", "data"));
        assert!(table.is_double("data"));
        table.put(named("2", "logs"));
        assert!(!table.is_double("data"));
        table.put(named("3", "data"));
        table.remove("3");
        table.remove("3");
        assert!(!table.is_double("data"));
        table.begin();
        table.finish();
        table.put(named("1", "data"));
        assert!(!table.is_double("data"));
    }

    #[test]
    fn a_quota_without_limit_leaves_nothing_to_say() {
        let rows = vec![
            ("volumes".to_owned(), 10, 4),
            ("gigabytes".to_owned(), -1, 4),
        ];
        let quota = Quota { rows };
        assert_eq!(quota.left("volumes"), Some(6));
        assert_eq!(quota.left("gigabytes"), None);
    }
}
