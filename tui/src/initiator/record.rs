//! open-iscsi's records of targets: how this host logs in to a volume.
//!
//! `iscsiadm` makes and removes a record, but takes a CHAP secret only as an argument, which everybody on the machine
//! can read. So the secret is written into the record's own file, which only root can.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where open-iscsi keeps its records: Debian's place, and the one of newer releases.
pub(super) const ROOTS: &[&str] = &["/etc/iscsi/nodes", "/var/lib/iscsi/nodes"];
/// `nodes/IQN/ADDRESS,PORT,TPGT/INTERFACE`.
const DEPTH: usize = 2;

/// The keys of what the target proves. A record that has them demands the proof.
const PROOF: [&str; 2] = [
    "node.session.auth.username_in",
    "node.session.auth.password_in",
];

/// What a host proves, and what it wants proved.
pub(super) struct Chap<'a> {
    pub(super) user: &'a str,
    pub(super) secret: &'a str,
    /// The target's user and secret; `None`: it need prove nothing.
    pub(super) proof: Option<(&'a str, &'a str)>,
}

/// The records of a target; none when this host does not know it.
pub(super) fn of(roots: &[&str], iqn: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for root in roots {
        walk(&Path::new(root).join(iqn), DEPTH, &mut found);
    }
    found.sort();
    found
}

fn walk(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_file() {
            found.push(path);
        } else if depth > 1 {
            walk(&path, depth - 1, found);
        }
    }
}

/// Puts what is proved, by the host and to it, into a record.
pub(super) fn set_chap(record: &Path, chap: &Chap<'_>) -> io::Result<()> {
    let text = with_chap(&fs::read_to_string(record)?, chap);
    let beside = record.with_file_name(".ashlar-new");
    let _left_by_a_crash = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, record)
}

fn with_chap(text: &str, chap: &Chap<'_>) -> String {
    let mut ours = vec![
        ("node.session.auth.authmethod", "CHAP"),
        ("node.session.auth.username", chap.user),
        ("node.session.auth.password", chap.secret),
    ];
    if let Some((user, secret)) = chap.proof {
        ours.extend(PROOF.into_iter().zip([user, secret]));
    }
    let is_ours = |line: &&str| {
        let key = key_of(line);
        PROOF.contains(&key) || ours.iter().any(|(our, _)| key == *our)
    };
    let is_end = |line: &&str| line.starts_with("# END RECORD");
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| !is_ours(line) && !is_end(line))
        .map(str::to_owned)
        .collect();
    lines.extend(ours.iter().map(|(key, value)| format!("{key} = {value}")));
    lines.extend(text.lines().filter(is_end).map(str::to_owned));
    lines.join("\n") + "\n"
}

/// The user name in a record: each attachment has one of its own, so it tells whose record this is.
pub(super) fn user(record: &Path) -> Option<String> {
    let text = fs::read_to_string(record).ok()?;
    let line = text
        .lines()
        .find(|line| key_of(line) == "node.session.auth.username")?;
    Some(line.split_once('=')?.1.trim().to_owned())
}

fn key_of(line: &str) -> &str {
    line.split('=').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const FRESH: &str = "# BEGIN RECORD 2.1.8\nnode.name = iqn.x\nnode.session.auth.authmethod = None\nnode.conn[0].address = 10.0.0.1\n# END RECORD\n";

    #[test]
    fn the_secret_is_in_the_record_and_only_root_reads_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("iqn.x/10.0.0.1,3260,1");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("default"), FRESH).unwrap();
        let roots = [root.path().to_str().unwrap(), "/nowhere"];
        let records = of(&roots, "iqn.x");
        assert_eq!(records, [dir.join("default")]);
        assert!(of(&roots, "iqn.y").is_empty());
        assert_eq!(user(&records[0]), None);

        for secret in ["first", "second"] {
            let chap = Chap {
                user: "u",
                secret,
                proof: None,
            };
            set_chap(&records[0], &chap).unwrap();
            let text = fs::read_to_string(&records[0]).unwrap();
            let wanted = format!(
                "# BEGIN RECORD 2.1.8\nnode.name = iqn.x\nnode.conn[0].address = 10.0.0.1\n\
                 node.session.auth.authmethod = CHAP\nnode.session.auth.username = u\n\
                 node.session.auth.password = {secret}\n# END RECORD\n"
            );
            assert_eq!(text, wanted);
        }
        assert_eq!(user(&records[0]).as_deref(), Some("u"));
        let mode = fs::metadata(&records[0]).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    }
    #[test]
    fn the_proof_is_demanded_for_as_long_as_it_is_told() {
        let chap = |proof| Chap {
            user: "u",
            secret: "mine",
            proof,
        };
        let one_way = with_chap(FRESH, &chap(None));
        assert!(!one_way.contains("_in"), "{one_way}");
        let both = with_chap(&one_way, &chap(Some(("t", "theirs"))));
        let added = "node.session.auth.username_in = t\nnode.session.auth.password_in = theirs\n";
        assert_eq!(
            both,
            one_way.replace("# END", &format!("{added}# END")),
            "nothing else changes"
        );
        assert_eq!(with_chap(&both, &chap(Some(("t", "theirs")))), both);
        assert_eq!(with_chap(&both, &chap(None)), one_way);
    }
}
