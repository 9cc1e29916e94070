//! A list as it is looked at: cursor by identity, order, filter, marks.
//!
//! The order is made in `arrange` and kept as slot numbers; drawing takes a window of it and nothing more, so that a
//! list of 100,000 costs what its visible rows cost. Must not know the terminal.

use std::collections::BTreeSet;

use super::clock::Ms;
use super::columns::{self, Rank};
use super::data::{Data, Slot};
use super::item::Kind;
use super::subject::Seen;
use super::theme::Tone;
use crate::filter::Filter;

/// How far an inverse range of marks may reach, and with it what one dialog can hold.
pub(crate) const MARKS_MAX: usize = 500;

/// A list as it is looked at.
#[derive(Debug, Clone)]
pub(crate) struct List {
    /// What it lists.
    pub(crate) kind: Kind,
    /// The object under the cursor.
    pub(crate) cursor: Option<String>,
    /// The position of that object in the order.
    pub(crate) at: usize,
    /// The first visible position.
    pub(crate) top: usize,
    /// The column sorted by, and whether downwards.
    pub(crate) sort: (usize, bool),
    /// The text of the filter.
    pub(crate) filter: String,
    /// Whether only what has a problem is shown.
    pub(crate) only_problems: bool,
    /// Marked ids; they survive filters.
    pub(crate) marks: BTreeSet<String>,
    /// The object where a range began: rows may move before it ends.
    pub(crate) range_from: Option<String>,
    /// What is wrong with the filter's text; what it asked for before still holds.
    pub(crate) fault: Option<String>,
    /// Whether nothing had the words as they stand, and their letters were looked for.
    pub(crate) is_fuzzy: bool,
    wanted: Filter,
    order: Vec<usize>,
    version: u64,
    is_stale: bool,
}

impl List {
    /// An empty look at a kind.
    pub(crate) fn new(kind: Kind) -> Self {
        // Operations: the newest first, as the daemon lists them.
        let sort = if kind == Kind::Operation {
            (columns::of(kind).len() - 1, false)
        } else {
            (0, false)
        };
        Self {
            kind,
            cursor: None,
            at: 0,
            top: 0,
            sort,
            filter: String::new(),
            only_problems: false,
            marks: BTreeSet::new(),
            range_from: None,
            fault: None,
            is_fuzzy: false,
            wanted: Filter::default(),
            order: Vec::new(),
            version: u64::MAX,
            is_stale: true,
        }
    }

    /// The slots in order.
    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }

    /// The filter, sort or problems changed: the order is old.
    pub(crate) fn touch(&mut self) {
        self.is_stale = true;
    }

    /// Whether a key asked for another order or filter.
    pub(crate) fn is_touched(&self) -> bool {
        self.is_stale
    }

    /// Whether the order is older than the data.
    pub(crate) fn is_old(&self, data: &Data) -> bool {
        self.is_stale || self.version != data.of(self.kind).version
    }

    /// Makes the order anew. The cursor stays on its object; an object that is gone keeps its row until the next move.
    pub(crate) fn arrange(&mut self, data: &mut Data, project: &str, now: Ms) {
        data.of_mut(self.kind).compact(self.cursor.as_deref());
        let data = &*data;
        match Filter::parse(&self.filter) {
            Ok(filter) => {
                self.wanted = filter;
                self.fault = None;
            }
            // While `size>` is being typed, what was asked for before holds.
            Err(bad) => self.fault = Some(bad.to_string()),
        }
        let mut rows = self.chosen(&self.wanted, data, project, now);
        self.is_fuzzy = rows.is_empty() && !self.filter.is_empty();
        if self.is_fuzzy {
            rows = self.chosen(&self.wanted.loosened(), data, project, now);
            self.is_fuzzy = !rows.is_empty();
        }
        let table = data.of(self.kind);
        let is_down = self.sort.1;
        rows.sort_by(|one, other| {
            let by_rank = compare(&one.0, &other.0, is_down);
            let name = |at: usize| table.slot(at).map(|slot| (&slot.item.name, &slot.item.id));
            by_rank.then_with(|| name(one.1).cmp(&name(other.1)))
        });
        self.order = rows.into_iter().map(|(_, at)| at).collect();
        self.version = table.version;
        self.is_stale = false;
        self.find_cursor(data);
    }

    /// The rows that a filter takes, with what they sort by.
    fn chosen(&self, wanted: &Filter, data: &Data, project: &str, now: Ms) -> Vec<(Rank, usize)> {
        let column = columns::of(self.kind).get(self.sort.0);
        let mut rows: Vec<(Rank, usize)> = Vec::new();
        for (at, slot) in data.of(self.kind).slots().iter().enumerate() {
            let is_cursor = slot.is_gone && self.cursor.as_deref() == Some(slot.item.id.as_str());
            let is_marked = self.marks.contains(&slot.item.id);
            let seen = Seen {
                slot,
                is_marked,
                data,
                project,
                now,
            };
            let is_in = (!self.only_problems || is_problem(slot)) && wanted.takes(&seen);
            if (slot.is_gone && !is_cursor) || !is_in {
                continue;
            }
            let rank = column.map_or(Rank::Missing, |column| {
                (column.cell)(&slot.item, data, now).rank
            });
            rows.push((rank, at));
        }
        rows
    }

    fn find_cursor(&mut self, data: &Data) {
        let table = data.of(self.kind);
        let position = |id: &str| {
            let is_it = |at: &usize| table.slot(*at).is_some_and(|slot| slot.item.id == id);
            self.order.iter().position(is_it)
        };
        match self.cursor.as_deref().and_then(position) {
            Some(at) => self.at = at,
            None => self.put_at(self.at, data),
        }
    }

    /// Puts the cursor on a position, as near as there is one.
    pub(crate) fn put_at(&mut self, at: usize, data: &Data) {
        self.at = at.min(self.order.len().saturating_sub(1));
        let slot = self
            .order
            .get(self.at)
            .and_then(|at| data.of(self.kind).slot(*at));
        self.cursor = slot.map(|slot| slot.item.id.clone());
    }

    /// Moves by so many rows.
    pub(crate) fn step(&mut self, by: isize, data: &Data) {
        self.put_at(self.at.saturating_add_signed(by), data);
    }

    /// Scrolls so that the cursor is among `height` rows.
    pub(crate) fn follow(&mut self, height: usize) {
        let height = height.max(1);
        if self.at < self.top {
            self.top = self.at;
        } else if self.at >= self.top + height {
            self.top = self.at + 1 - height;
        }
        self.top = self.top.min(self.order.len().saturating_sub(height));
    }

    /// What an act is for: the marked objects that are still there, else the one under the cursor.
    pub(crate) fn targets(&self, data: &Data) -> Vec<String> {
        let table = data.of(self.kind);
        let alive = |id: &&String| table.get(id).is_some();
        if self.marks.iter().any(|id| table.get(id).is_some()) {
            return self.marks.iter().filter(alive).cloned().collect();
        }
        self.cursor.iter().filter(alive).cloned().collect()
    }

    /// Marks or unmarks.
    pub(crate) fn toggle(&mut self, id: &str) -> bool {
        if self.marks.remove(id) {
            return true;
        }
        let fits = self.marks.len() < MARKS_MAX;
        if fits {
            self.marks.insert(id.to_owned());
        }
        fits
    }
}

/// Whether a row needs somebody.
pub(crate) fn is_problem(slot: &Slot) -> bool {
    let share = columns::used_share(&slot.item).unwrap_or(0.0);
    Tone::of_status(&slot.item.status) == Tone::Bad || share >= columns::POOL_WARN_SHARE
}

fn compare(one: &Rank, other: &Rank, is_down: bool) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    match (one, other) {
        (Rank::Missing, Rank::Missing) => Ordering::Equal,
        (Rank::Missing, _) => Ordering::Greater,
        (_, Rank::Missing) => Ordering::Less,
        _ => {
            let order = one.partial_cmp(other).unwrap_or(Ordering::Equal);
            if is_down { order.reverse() } else { order }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::item::Item;
    use serde_json::json;

    fn data(names: &[(&str, u64)]) -> Data {
        let mut data = Data::default();
        for (name, size) in names {
            let value = json!({"id": name, "name": name, "status": "available", "size": size});
            data.of_mut(Kind::Volume)
                .put(Item::read(Kind::Volume, &value).unwrap());
        }
        data
    }

    fn shown(list: &List, data: &Data) -> Vec<String> {
        let name = |at: &usize| data.of(list.kind).slot(*at).unwrap().item.name.clone();
        list.order().iter().map(name).collect()
    }

    #[test]
    fn the_cursor_stays_on_its_object_whatever_the_order() {
        let mut data = data(&[("a", 1), ("b", 3), ("c", 2)]);
        let mut list = List::new(Kind::Volume);
        list.arrange(&mut data, "", 0);
        list.step(1, &data);
        assert_eq!(list.cursor.as_deref(), Some("b"));
        list.sort = (2, true);
        list.touch();
        list.arrange(&mut data, "", 0);
        assert_eq!(shown(&list, &data), ["b", "c", "a"]);
        assert_eq!((list.cursor.as_deref(), list.at), (Some("b"), 0));
    }

    #[test]
    fn what_is_gone_keeps_its_row_until_the_cursor_leaves_it() {
        let mut data = data(&[("a", 1), ("b", 2), ("c", 3)]);
        let mut list = List::new(Kind::Volume);
        list.arrange(&mut data, "", 0);
        list.step(1, &data);
        data.of_mut(Kind::Volume).remove("b");
        list.arrange(&mut data, "", 0);
        assert_eq!(shown(&list, &data), ["a", "b", "c"]);
        assert!(
            list.targets(&data).is_empty(),
            "an act has no target that is gone"
        );
        list.step(1, &data);
        list.arrange(&mut data, "", 0);
        assert_eq!(shown(&list, &data), ["a", "c"]);
        assert_eq!(list.cursor.as_deref(), Some("c"));
    }

    #[test]
    fn words_narrow_marks_survive_and_missing_values_sort_last() {
        let mut data = data(&[("pg-1", 1), ("pg-2", 2), ("web", 3)]);
        let odd = json!({"id": "none", "name": "none", "status": "error"});
        data.of_mut(Kind::Volume)
            .put(Item::read(Kind::Volume, &odd).unwrap());
        let mut list = List::new(Kind::Volume);
        list.toggle("web");
        list.filter = "PG !pg-2".to_owned();
        list.arrange(&mut data, "", 0);
        assert_eq!(shown(&list, &data), ["pg-1"]);
        assert_eq!(list.targets(&data), ["web"]);
        list.filter.clear();
        for is_down in [false, true] {
            list.sort = (2, is_down);
            list.arrange(&mut data, "", 0);
            assert_eq!(shown(&list, &data).last().unwrap(), "none");
        }
        list.only_problems = true;
        list.arrange(&mut data, "", 0);
        assert_eq!(shown(&list, &data), ["none"]);
    }
}
