//! What a `[[backend]]` says of its driver: which keys each driver has, and what must hold of them.

use super::reader::Section;
use super::written::must_be_name;
use super::{DriverConfig, SecureDelete};

/// The drivers' names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Fake,
    Lvm,
}

/// Keys that only some drivers have.
const OF_DRIVERS: &[(&str, &[Kind], &str)] = &[
    (
        "pool",
        &[Kind::File, Kind::Fake],
        "the pools of \"lvm\" are named after its volume group; take it out",
    ),
    (
        "directory",
        &[Kind::File, Kind::Fake],
        "\"lvm\" has a volume_group instead; take it out",
    ),
    (
        "faults",
        &[Kind::Fake],
        "only the driver \"fake\" has faults; take it out",
    ),
    ("volume_group", &[Kind::Lvm], LVM_ONLY),
    ("thin_pool", &[Kind::Lvm], LVM_ONLY),
    ("thin_pool_percent", &[Kind::Lvm], LVM_ONLY),
    ("data_full_percent", &[Kind::Lvm], LVM_ONLY),
    ("metadata_full_percent", &[Kind::Lvm], LVM_ONLY),
    ("snapshot_percent", &[Kind::Lvm], LVM_ONLY),
];
const LVM_ONLY: &str = "only the driver \"lvm\" has it; take it out";

pub(super) fn check_driver(section: &Section<'_, '_>) -> Option<DriverConfig> {
    let words = [
        ("file", Kind::File),
        ("fake", Kind::Fake),
        ("lvm", Kind::Lvm),
    ];
    let kind = section
        .word("driver", &words)
        .or_else(|| section.missing("driver", "\"file\""))?;
    for (key, of, why) in OF_DRIVERS {
        if !of.contains(&kind) && section.value(key).is_some() {
            section.wrong(key, why);
        }
    }
    match kind {
        Kind::Lvm => check_lvm(section),
        Kind::File | Kind::Fake => check_directory(section, kind),
    }
}

fn check_wipe(section: &Section<'_, '_>) -> (SecureDelete, u64) {
    let words = [("zero", SecureDelete::Zero), ("none", SecureDelete::None)];
    let secure_delete = section.word("secure_delete", &words);
    let rate = section.rate("wipe_mib_per_s");
    (secure_delete.unwrap_or(SecureDelete::Zero), rate)
}

fn check_directory(section: &Section<'_, '_>, kind: Kind) -> Option<DriverConfig> {
    let pool = section.text("pool").unwrap_or_else(|| "pool".to_owned());
    must_be_name(section, "pool", Some(&pool));
    let (secure_delete, wipe_bytes_per_s) = check_wipe(section);
    let faults = section.text("faults").unwrap_or_default();
    let example = "\"/var/lib/ashlar-pool\"";
    let directory = section
        .path("directory", example)
        .or_else(|| section.missing("directory", example))?;
    Some(match kind {
        Kind::Fake => DriverConfig::Fake {
            pool,
            directory,
            faults,
        },
        Kind::File | Kind::Lvm => DriverConfig::File {
            pool,
            directory,
            secure_delete,
            wipe_bytes_per_s,
        },
    })
}

fn check_lvm(section: &Section<'_, '_>) -> Option<DriverConfig> {
    let group = section
        .text("volume_group")
        .or_else(|| section.missing("volume_group", "\"vg0\""));
    must_be_name(section, "volume_group", group.as_deref());
    let thin_pool = section.text("thin_pool");
    must_be_name(section, "thin_pool", thin_pool.as_deref());
    let (secure_delete, wipe_bytes_per_s) = check_wipe(section);
    let percent = |key, range, default| {
        let given = section.integer(key, range).unwrap_or(default);
        u8::try_from(given).unwrap_or(100)
    };
    let (thin_pool_percent, snapshot_percent) = (
        percent("thin_pool_percent", 1..=100, 95),
        percent("snapshot_percent", 1..=100, 100),
    );
    let (data_full_percent, metadata_full_percent) = (
        percent("data_full_percent", 1..=100, 95),
        percent("metadata_full_percent", 1..=100, 90),
    );
    let volume_group = group?;
    if thin_pool.as_deref() == Some(volume_group.as_str()) {
        section.wrong(
            "thin_pool",
            "must differ from volume_group, which is the name of the pool of thick volumes",
        );
    }
    Some(DriverConfig::Lvm {
        thin_pool: match thin_pool {
            None => Some(format!("{volume_group}-pool")),
            Some(none) if none == "none" => None,
            Some(name) => Some(name),
        },
        volume_group,
        thin_pool_percent,
        secure_delete,
        wipe_bytes_per_s,
        data_full_percent,
        metadata_full_percent,
        snapshot_percent,
    })
}
