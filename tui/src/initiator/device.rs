//! The disks that a target's sessions brought, as the kernel and udev tell of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What names of a disk are preferred, the first first: the name of a multipath device, the world wide name, the SCSI id.
const NAMES: &[&str] = &["dm-uuid-mpath-", "wwn-", "scsi-3", "scsi-"];

/// The disks (`sda`) behind a target's sessions, one per path.
pub(super) fn disks(sys: &Path, iqn: &str, lun: u64) -> Vec<String> {
    let mut found = Vec::new();
    for session in names(&sys.join("class/iscsi_session")) {
        let dir = sys.join("class/iscsi_session").join(&session);
        let target = fs::read_to_string(dir.join("targetname")).unwrap_or_default();
        if target.trim() != iqn {
            continue;
        }
        let device = dir.join("device");
        for target in names(&device)
            .iter()
            .filter(|name| name.starts_with("target"))
        {
            let is_lun = |name: &&String| name.rsplit(':').next() == Some(lun.to_string().as_str());
            for address in names(&device.join(target)).iter().filter(is_lun) {
                found.extend(names(&device.join(target).join(address).join("block")));
            }
        }
    }
    found.sort();
    found
}

/// The multipath device over a disk, if there is one.
pub(super) fn multipath(sys: &Path, disk: &str) -> Option<String> {
    let holders = names(&sys.join("block").join(disk).join("holders"));
    holders.into_iter().find(|holder| {
        let uuid = fs::read_to_string(sys.join("block").join(holder).join("dm/uuid"));
        uuid.is_ok_and(|uuid| uuid.starts_with("mpath-"))
    })
}

/// The name of a disk that is the same after every boot: `/dev/disk/by-id/…`.
pub(super) fn by_id(dev: &Path, disk: &str) -> Option<PathBuf> {
    let dir = dev.join("disk/by-id");
    let leads_there = |name: &&String| {
        let to = fs::read_link(dir.join(name)).unwrap_or_default();
        to.file_name().is_some_and(|to| to == disk)
    };
    let all = names(&dir);
    let links: Vec<&String> = all.iter().filter(leads_there).collect();
    let best = NAMES
        .iter()
        .find_map(|start| links.iter().find(|name| name.starts_with(start)));
    best.map(|name| dir.join(name))
}

/// How multipath calls a disk: what its SCSI id has after `scsi-`.
pub(super) fn wwid(dev: &Path, disk: &str) -> Option<String> {
    let dir = dev.join("disk/by-id");
    names(&dir).into_iter().find_map(|name| {
        let to = fs::read_link(dir.join(&name)).ok()?;
        let id = name.strip_prefix("scsi-")?;
        (to.file_name()? == disk && id.starts_with('3')).then(|| id.to_owned())
    })
}

/// The length in bytes, as the kernel has it.
pub(super) fn len_bytes(sys: &Path, disk: &str) -> u64 {
    let sectors = fs::read_to_string(sys.join("block").join(disk).join("size")).unwrap_or_default();
    sectors
        .trim()
        .parse::<u64>()
        .unwrap_or(0)
        .saturating_mul(512)
}

/// Who uses a disk on this host; empty when nobody does and it may be taken away. Partitions count as the disk.
pub(super) fn users(sys: &Path, proc: &Path, disk: &str) -> Vec<String> {
    let mut found = Vec::new();
    let dir = sys.join("block").join(disk);
    let parts = names(&dir)
        .into_iter()
        .filter(|name| dir.join(name).join("partition").exists());
    let nodes: Vec<String> = parts.chain([disk.to_owned()]).collect();
    for node in &nodes {
        let node_dir = if node == disk {
            dir.clone()
        } else {
            dir.join(node)
        };
        for holder in names(&node_dir.join("holders")) {
            found.push(format!("{holder} is made on it"));
        }
        let number = fs::read_to_string(node_dir.join("dev")).unwrap_or_default();
        let mounts = fs::read_to_string(proc.join("self/mountinfo")).unwrap_or_default();
        for line in mounts.lines() {
            let mut fields = line.split(' ').skip(2);
            if fields.next() == Some(number.trim()) {
                let place = fields.nth(1).unwrap_or_default();
                found.push(format!("it is mounted at {place}"));
            }
        }
        let swaps = fs::read_to_string(proc.join("swaps")).unwrap_or_default();
        if swaps
            .lines()
            .any(|line| line.split_whitespace().next() == Some(&format!("/dev/{node}")))
        {
            found.push("it is swapped to".to_owned());
        }
    }
    found
}

/// Writes everything out that the kernel still has of a disk.
pub(super) fn flush(dev: &Path, disk: &str) -> io::Result<()> {
    fs::File::open(dev.join(disk))?.sync_all()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// The trees of a host with one volume over two paths and a partition on it.
    fn host() -> tempfile::TempDir {
        let host = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = host.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for (session, address, disk) in [
            ("session1", "2:0:0:0", "sdb"),
            ("session2", "3:0:0:0", "sdc"),
        ] {
            let session = format!("sys/class/iscsi_session/{session}");
            put(&format!("{session}/targetname"), "iqn.x:volume-1\n");
            put(
                &format!("{session}/device/target2:0:0/{address}/block/{disk}/size"),
                "",
            );
            put(&format!("sys/block/{disk}/size"), "2097152\n");
            put(&format!("sys/block/{disk}/dev"), "8:16\n");
        }
        put(
            "sys/class/iscsi_session/session3/targetname",
            "iqn.x:volume-2\n",
        );
        put("sys/block/sdb/holders/dm-3/x", "");
        put("sys/block/dm-3/dm/uuid", "mpath-36001405aa\n");
        put("sys/block/sdb/sdb1/partition", "1");
        put("sys/block/sdb/sdb1/dev", "8:17\n");
        put(
            "proc/self/mountinfo",
            "29 1 8:17 / /mnt/data rw - ext4 /dev/sdb1 rw\n30 1 9:9 / / rw - ext4 x rw\n",
        );
        put("proc/swaps", "Filename Type Size\n/dev/sdc partition 1\n");
        let ids = host.path().join("dev/disk/by-id");
        fs::create_dir_all(&ids).unwrap();
        for (name, to) in [
            ("scsi-36001405aa", "sdb"),
            ("wwn-0x6001405aa", "sdb"),
            ("scsi-SLIO-ORG_x", "sdb"),
            ("dm-uuid-mpath-36001405aa", "dm-3"),
        ] {
            symlink(format!("../../{to}"), ids.join(name)).unwrap();
        }
        host
    }

    #[test]
    fn a_volume_is_found_over_all_its_paths() {
        let host = host();
        let (sys, dev) = (host.path().join("sys"), host.path().join("dev"));
        assert_eq!(disks(&sys, "iqn.x:volume-1", 0), ["sdb", "sdc"]);
        assert!(disks(&sys, "iqn.x:volume-1", 1).is_empty());
        assert_eq!(multipath(&sys, "sdb").as_deref(), Some("dm-3"));
        assert_eq!(multipath(&sys, "sdc"), None);
        assert!(
            by_id(&dev, "sdb")
                .unwrap()
                .ends_with("disk/by-id/wwn-0x6001405aa")
        );
        assert!(
            by_id(&dev, "dm-3")
                .unwrap()
                .ends_with("disk/by-id/dm-uuid-mpath-36001405aa")
        );
        assert_eq!(wwid(&dev, "sdb").as_deref(), Some("36001405aa"));
        assert_eq!(len_bytes(&sys, "sdb"), 1 << 30);
    }

    #[test]
    fn whoever_uses_it_is_named() {
        let host = host();
        let (sys, proc) = (host.path().join("sys"), host.path().join("proc"));
        assert_eq!(
            users(&sys, &proc, "sdb"),
            ["it is mounted at /mnt/data", "dm-3 is made on it"]
        );
        assert_eq!(users(&sys, &proc, "sdc"), ["it is swapped to"]);
        assert!(users(&sys, &proc, "dm-3").is_empty());
    }
}
