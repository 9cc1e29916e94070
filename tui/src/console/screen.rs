//! The screens: their digits, their titles, and what they list.

use super::item::Kind;

/// The screens, in the order of their digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Screen {
    Dash,
    Pools,
    Volumes,
    Snapshots,
    Attachments,
    Backups,
    Tasks,
    Nodes,
    Types,
    Quotas,
}

impl Screen {
    /// Every screen with its digit, its title, and its short title in row 2.
    pub(crate) const ALL: &'static [(Screen, char, &'static str, &'static str)] = &[
        (Screen::Dash, '1', "Dashboard", "Dash"),
        (Screen::Pools, '2', "Pools", "Pools"),
        (Screen::Volumes, '3', "Volumes", "Volumes"),
        (Screen::Snapshots, '4', "Snapshots", "Snaps"),
        (Screen::Attachments, '5', "Attachments", "Attach"),
        (Screen::Backups, '6', "Backups", "Backups"),
        (Screen::Tasks, '7', "Tasks", "Tasks"),
        (Screen::Nodes, '8', "Nodes", "Nodes"),
        (Screen::Types, '9', "Types", "Types"),
        (Screen::Quotas, '0', "Quotas", "Quotas"),
    ];

    /// Its title.
    pub(crate) fn title(self) -> &'static str {
        Screen::ALL
            .iter()
            .find(|row| row.0 == self)
            .map_or("", |row| row.2)
    }

    /// What it lists, if it is a list.
    pub(crate) fn kind(self) -> Option<Kind> {
        match self {
            Screen::Pools => Some(Kind::Pool),
            Screen::Volumes => Some(Kind::Volume),
            Screen::Snapshots => Some(Kind::Snapshot),
            Screen::Attachments => Some(Kind::Attachment),
            Screen::Tasks => Some(Kind::Operation),
            Screen::Nodes => Some(Kind::Service),
            Screen::Types => Some(Kind::Type),
            Screen::Dash | Screen::Backups | Screen::Quotas => None,
        }
    }

    /// The screen that lists a kind.
    pub(crate) fn of(kind: Kind) -> Screen {
        match kind {
            Kind::Pool => Screen::Pools,
            Kind::Volume => Screen::Volumes,
            Kind::Snapshot => Screen::Snapshots,
            Kind::Attachment | Kind::Session => Screen::Attachments,
            Kind::Operation => Screen::Tasks,
            Kind::Service => Screen::Nodes,
            Kind::Type => Screen::Types,
        }
    }
}
