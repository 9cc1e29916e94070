//! A cell and a column of a list: what it says, how it sorts, how it looks, and when its column leaves.

use super::clock::Ms;
use super::data::Data;
use super::item::Item;
use super::theme::Tone;

/// What a cell sorts by.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(crate) enum Rank {
    Number(f64),
    Text(String),
    /// Sorts last, whichever way.
    Missing,
}

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    /// What it shows.
    pub(crate) text: String,
    /// What it sorts by.
    pub(crate) rank: Rank,
    /// How it looks.
    pub(crate) tone: Tone,
}

/// A column.
pub(crate) struct Column {
    /// Its heading.
    pub(crate) head: &'static str,
    /// Its narrowest width.
    pub(crate) width: usize,
    /// Whether it takes what is left over.
    pub(crate) grows: bool,
    /// Numbers stand on the right.
    pub(crate) is_number: bool,
    /// 0 always stays; the highest leaves first.
    pub(crate) leaves: u8,
    /// Makes the cell.
    pub(crate) cell: fn(&Item, &Data, Ms) -> Cell,
}

pub(crate) const fn column(
    head: &'static str,
    width: usize,
    leaves: u8,
    cell: fn(&Item, &Data, Ms) -> Cell,
) -> Column {
    Column {
        head,
        width,
        grows: false,
        is_number: false,
        leaves,
        cell,
    }
}

pub(crate) const fn number(
    head: &'static str,
    width: usize,
    leaves: u8,
    cell: fn(&Item, &Data, Ms) -> Cell,
) -> Column {
    Column {
        head,
        width,
        grows: false,
        is_number: true,
        leaves,
        cell,
    }
}

pub(crate) const fn growing(
    head: &'static str,
    width: usize,
    cell: fn(&Item, &Data, Ms) -> Cell,
) -> Column {
    Column {
        head,
        width,
        grows: true,
        is_number: false,
        leaves: 0,
        cell,
    }
}
