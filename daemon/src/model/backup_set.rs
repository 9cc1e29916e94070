//! A backup set: which volumes of a project are backed up when, how, and for how long.

use super::cron::Cron;
use super::id::{BackupSetId, VolumeId};
use super::retention::Retention;
use super::time::Time;
use super::volume::Volume;

/// Volumes that a set may name, and that one run backs up.
pub const VOLUMES_MAX: usize = 1000;

/// The most backups from one full one to the next.
pub const FULL_EVERY_MAX: u32 = 10_000;

/// A set as recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupSet {
    /// Its id.
    pub id: BackupSetId,
    /// The owner.
    pub project_id: String,
    /// Who made it: its backups are asked for in this name.
    pub user_id: String,
    /// What its backups are called after.
    pub name: String,
    /// The owner's description.
    pub description: Option<String>,
    /// Which volumes.
    pub selection: Selection,
    /// When; `None` means only when somebody asks.
    pub cron: Option<Cron>,
    /// How.
    pub how: How,
    /// For how long.
    pub retention: Retention,
    /// Whether it runs at its times.
    pub is_enabled: bool,
    /// When it runs next; `None` if it does not by itself.
    pub next_at: Option<Time>,
    /// When its row was made.
    pub created_at: Time,
    /// When its owner last changed it.
    pub updated_at: Option<Time>,
}

/// How a set's volumes are backed up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct How {
    /// The backup store; the default one when absent.
    pub store: Option<String>,
    /// Whether a backup is made on top of the volume's newest, where there is one.
    pub is_incremental: bool,
    /// After how many backups of a volume the next is a full one; 0 means never again.
    pub full_every: u32,
    /// Whether volumes in use are backed up, from a snapshot of them.
    pub may_be_attached: bool,
}

/// Which volumes of the project a set is of, as they are when it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// These.
    Volumes(Vec<VolumeId>),
    /// Those whose name is so: `*` stands for any characters, `?` for one.
    Named(String),
    /// Those of a type, by its name.
    OfType(String),
    /// Those that have this pair among their metadata.
    With {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// All.
    Project,
}

impl Selection {
    /// Whether a volume of the project is meant.
    pub fn takes(&self, volume: &Volume) -> bool {
        match self {
            Selection::Volumes(ids) => ids.contains(&volume.id),
            Selection::Named(pattern) => volume
                .name
                .as_deref()
                .is_some_and(|name| matches(pattern, name)),
            Selection::OfType(name) => volume.volume_type == *name,
            Selection::With { key, value } => volume.metadata.get(key) == Some(value),
            Selection::Project => true,
        }
    }
}

/// Whether `pattern` stands for all of `text`.
fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut place) = (0, 0);
    // Where the last `*` was, and how much of the text it stands for so far: only that one is ever tried again.
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match (pattern.get(at), star) {
            (Some('*'), _) => {
                star = Some((at, place));
                at += 1;
            }
            (Some(wanted), _) if *wanted == '?' || text.get(place) == Some(wanted) => {
                at += 1;
                place += 1;
            }
            (_, Some((of, until))) => {
                star = Some((of, until + 1));
                at = of + 1;
                place = until + 1;
            }
            (_, None) => return false,
        }
    }
    pattern.iter().skip(at).all(|left| *left == '*')
}

impl BackupSet {
    /// When it runs next after `now`; `None` if it is disabled or has no times.
    pub fn next_after(&self, now: &Time) -> Option<Time> {
        let cron = self.cron.as_ref().filter(|_| self.is_enabled)?;
        cron.next_after(now.civil()?).map(Time::from_civil)
    }

    /// The first time that is not before `start`; none as above.
    pub fn next_from(&self, start: &Time) -> Option<Time> {
        let second = jiff::SignedDuration::from_secs(1);
        let before = start.civil()?.checked_sub(second).ok()?;
        self.next_after(&Time::from_civil(before))
    }

    /// Whether the next backup of a volume is a full one, given its good backups of this set, the newest first, each by
    /// whether it was incremental. The first is.
    pub fn is_full_next(&self, were_incremental: impl IntoIterator<Item = bool>) -> bool {
        if !self.how.is_incremental {
            return true;
        }
        let mut since: u32 = 0;
        for was_incremental in were_incremental {
            since = since.saturating_add(1);
            if !was_incremental {
                break;
            }
        }
        since == 0 || (self.how.full_every > 0 && since >= self.how.full_every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The oracle: every way to split the text.
    fn slow(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, left) => left.is_none(),
            (Some(('*', rest)), _) => (0..=text.len()).any(|cut| slow(rest, &text[cut..])),
            (Some((wanted, rest)), Some((first, left))) => {
                (*wanted == '?' || wanted == first) && slow(rest, left)
            }
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_the_oracle_says(pattern in "[ab*?]{0,6}", text in "[ab]{0,8}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), slow(&p, &t));
        }
    }

    #[test]
    fn names_by_pattern() {
        assert!(matches("db-*", "db-") && matches("*prod*", "pg-prod-01") && matches("é?", "éa"));
        assert!(!matches("db-*", "xdb-1") && !matches("", "a") && !matches("?", ""));
        // What a naive matcher takes for ever to refuse.
        assert!(!matches(&"*a".repeat(120), &"b".repeat(255)));
    }

    fn set(is_incremental: bool, full_every: u32) -> BackupSet {
        BackupSet {
            id: BackupSetId::random(),
            project_id: "p".to_owned(),
            user_id: "u".to_owned(),
            name: "n".to_owned(),
            description: None,
            selection: Selection::Project,
            cron: "0 2 * * *".parse().ok(),
            how: How {
                is_incremental,
                full_every,
                ..How::default()
            },
            retention: Retention::default(),
            is_enabled: true,
            next_at: None,
            created_at: Time::from_stored("2026-12-01T00:00:00.000000".to_owned()),
            updated_at: None,
        }
    }

    #[test]
    fn every_nth_is_full() {
        assert!(set(false, 0).is_full_next([true]));
        assert!(!set(true, 0).is_full_next([true; 50]));
        let weekly = set(true, 7);
        let mut made: Vec<bool> = Vec::new();
        for _ in 0..21 {
            let is_full = weekly.is_full_next(made.iter().rev().copied());
            made.push(!is_full);
        }
        let full: Vec<usize> = (0..21).filter(|place| !made[*place]).collect();
        assert_eq!(full, [0, 7, 14]);
        assert!(set(true, 3).is_full_next([true, true, true]));
    }

    #[test]
    fn a_set_that_is_disabled_or_without_times_does_not_run_by_itself() {
        let now = Time::from_stored("2026-12-01T10:00:00.000000".to_owned());
        let mut set = set(true, 0);
        assert_eq!(
            set.next_after(&now).unwrap().as_str(),
            "2026-12-02T02:00:00.000000"
        );
        set.is_enabled = false;
        assert_eq!(set.next_after(&now), None);
        set.is_enabled = true;
        set.cron = None;
        assert_eq!(set.next_after(&now), None);
    }
}
