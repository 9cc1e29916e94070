//! What a case leaves behind: logical volumes, the kernel's target, what is saved of it, sessions and mounts.

use anyhow::{Result, ensure};

use super::guest::Guest;

/// What is looked at, and how.
const LOOKS: &[(&str, &str)] = &[
    (
        "logical volumes",
        "lvs --noheadings -a -o vg_name,lv_name,lv_size,lv_tags | sort",
    ),
    // A thin pool has one device more since it was first used.
    (
        "device mapper",
        "dmsetup ls | sed 's/\\t.*//' | grep -v -e '-tpool$' | sort",
    ),
    (
        "the kernel's target",
        "cd /sys/kernel/config/target && ls -d core/*/* iscsi/iqn* 2>/dev/null | grep -v '/alua$'",
    ),
    (
        "saveconfig.json",
        "grep -E '\"(name|wwn)\"' /etc/rtslib-fb-target/saveconfig.json 2>/dev/null",
    ),
    (
        "sessions",
        "iscsiadm -m session 2>/dev/null; iscsiadm -m node 2>/dev/null",
    ),
    (
        "mounts",
        "findmnt -rn -o TARGET,SOURCE | grep -v systemd | sort",
    ),
    ("file systems' leftovers", "ls -A /mnt"),
];

/// What was found in a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces(Vec<String>);

impl Traces {
    /// Looks.
    pub fn of(guest: &Guest) -> Result<Self> {
        let end = "@@@";
        let whole: Vec<String> = LOOKS
            .iter()
            .map(|(_, look)| format!("({look}); echo {end}"))
            .collect();
        let told = guest.shell.run(&whole.join("; "))?;
        Ok(Self(
            told.split(end).map(|part| part.trim().to_owned()).collect(),
        ))
    }

    /// Demands that nothing has been added or lost since.
    pub fn are_unchanged(&self, guest: &Guest) -> Result<()> {
        let now = Self::of(guest)?;
        for ((what, _), (before, after)) in LOOKS.iter().zip(self.0.iter().zip(&now.0)) {
            let is_new = |line: &&str| !before.lines().any(|old| old == *line);
            let is_lost = |line: &&str| !after.lines().any(|new| new == *line);
            let new: Vec<&str> = after.lines().filter(is_new).take(20).collect();
            let lost: Vec<&str> = before.lines().filter(is_lost).take(20).collect();
            ensure!(
                new.is_empty() && lost.is_empty(),
                "{what} differ; more than before:\n{}\nless than before:\n{}",
                new.join("\n"),
                lost.join("\n")
            );
        }
        Ok(())
    }
}
