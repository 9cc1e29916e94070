//! Every key of `ashlar.toml` with its default: what is not here is a mistake, and `docs/configuration.md` is held to it.

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// Its table: empty at the top.
    pub(super) section: &'static str,
    /// Its name there.
    pub(super) name: &'static str,
    /// What holds without it, as the page says it.
    pub(super) default: &'static str,
}

const fn key(section: &'static str, name: &'static str, default: &'static str) -> Key {
    Key {
        section,
        name,
        default,
    }
}

const REQUIRED: &str = "(required)";

/// The key, in the order of the page.
pub(super) const KEYS: &[Key] = &[
    key("", "state_dir", REQUIRED),
    key("", "host", "the host name"),
    key(
        "",
        "roles",
        "`[\"api\", \"scheduler\", \"volume\", \"backup\"]`",
    ),
    key("", "availability_zone", "`\"nova\"`"),
    key("", "log_format", "`\"text\"`"),
    key("api", "unix", "`<state_dir>/api.sock`"),
    key("api", "listen", "none"),
    key("api", "auth", "`\"token\"`"),
    key("api", "metrics", "`\"admin\"`"),
    key("target", "portals", "`[\"127.0.0.1:3260\"]`"),
    key("target", "iqn_prefix", "`\"iqn.2010-10.org.openstack:\"`"),
    key("target", "kind", "`\"auto\"`"),
    key(
        "target",
        "saveconfig",
        "`/etc/rtslib-fb-target/saveconfig.json`",
    ),
    key("target", "detach", "`\"cut\"`"),
    key("target", "mutual_chap", "`false`"),
    key("backend", "name", REQUIRED),
    key("backend", "driver", REQUIRED),
    key("backend", "pool", "`\"pool\"`"),
    key("backend", "directory", REQUIRED),
    key("backend", "secure_delete", "`\"zero\"`"),
    key("backend", "wipe_mib_per_s", "`0`"),
    key("backend", "max_over_subscription_ratio", "`20.0`"),
    key("backend", "reserved_percentage", "`0`"),
    key("backend", "faults", "`\"\"`"),
    key("backend", "volume_group", "(required)"),
    key("backend", "thin_pool", "`<volume_group>-pool`"),
    key("backend", "thin_pool_percent", "`95`"),
    key("backend", "data_full_percent", "`95`"),
    key("backend", "metadata_full_percent", "`90`"),
    key("backend", "snapshot_percent", "`100`"),
    key("backup_store", "name", REQUIRED),
    key("backup_store", "kind", "`\"restic\"`"),
    key("backup_store", "directory", REQUIRED),
    key(
        "backup_store",
        "password_file",
        "a file of ashlard's own in `state_dir`",
    ),
    key("backup_store", "copy_mib_per_s", "`0`"),
    key("quota", "volumes", "`10`"),
    key("quota", "snapshots", "`10`"),
    key("quota", "gigabytes", "`1000`"),
    key("quota", "per_volume_gigabytes", "`-1`"),
    key("quota", "backups", "`10`"),
    key("quota", "backup_gigabytes", "`1000`"),
    key("faults", "at", "none"),
    key("faults", "action", "none"),
];

/// The tables; the top is none.
pub(super) const SECTIONS: &[&str] = &[
    "api",
    "target",
    "backend",
    "backup_store",
    "quota",
    "faults",
];

/// The names that may stand in a section: at the top its keys and the tables.
pub(super) fn names(section: &str) -> Vec<&'static str> {
    let keys = KEYS.iter().filter(|key| key.section == section);
    let tables = SECTIONS.iter().filter(|_| section.is_empty());
    keys.map(|key| key.name).chain(tables.copied()).collect()
}

/// What was probably meant by a name that is not known in `section`.
pub(super) fn meant(section: &str, name: &str) -> Option<String> {
    let near = nearest(name, &names(section));
    if let Some(near) = near {
        return Some(format!("did you mean `{near}`?"));
    }
    let elsewhere = KEYS.iter().find(|key| key.name == name)?;
    Some(match elsewhere.section {
        "" => "it belongs to the top, before the first table".to_owned(),
        section @ ("backend" | "backup_store") => format!("it belongs into a [[{section}]]"),
        section => format!("it belongs into [{section}]"),
    })
}

/// The nearest of `words`, if it is near enough to be a slip of the hand.
pub(super) fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let near = words.iter().map(|one| (distance(word, one), *one)).min()?;
    let most = (word.chars().count() / 3).max(1);
    (near.0 <= most).then_some(near.1)
}

/// Letters to change, add or leave out (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (j, seen) in other.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or_default();
            let here = (diagonal + usize::from(*seen != letter))
                .min(above + 1)
                .min(left + 1);
            diagonal = above;
            if let Some(cell) = row.get_mut(j) {
                *cell = left;
            }
            left = here;
        }
        if let Some(last) = row.last_mut() {
            *last = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (one, other, wanted) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("portal", "portals", 1),
            ("same", "same", 0),
        ] {
            assert_eq!(distance(one, other), wanted, "{one} {other}");
            assert_eq!(distance(other, one), wanted, "{other} {one}");
        }
    }

    #[test]
    fn the_page_lists_every_key_with_its_default() {
        let page = include_str!("../../../docs/configuration.md");
        let rows: Vec<(String, &str)> = page
            .lines()
            .filter(|line| line.starts_with("| `"))
            .filter_map(|line| {
                let mut cells = line.split('|').map(str::trim).skip(1);
                Some((cells.next()?.trim_matches('`').to_owned(), cells.next()?))
            })
            .collect();
        let wanted: Vec<(String, &str)> = KEYS
            .iter()
            .map(|key| match key.section {
                "" => (key.name.to_owned(), key.default),
                section => (format!("{section}.{}", key.name), key.default),
            })
            .collect();
        assert_eq!(
            rows, wanted,
            "docs/configuration.md differs from config/keys.rs"
        );
    }
}
