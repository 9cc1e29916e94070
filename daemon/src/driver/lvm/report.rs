//! What LVM says of a group: one report for all its volumes, never a property per volume.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The columns that [`Lv`] is made of.
pub(super) const LV_COLUMNS: &str = "lv_name,lv_size,origin_size,pool_lv,origin,lv_attr,lv_tags,data_percent,metadata_percent,lv_skip_activation,kernel_discards";
/// The columns that [`Group`] is made of.
pub(super) const VG_COLUMNS: &str =
    "vg_name,vg_uuid,vg_size,vg_free,vg_extent_size,vg_missing_pv_count,vg_tags,pv_name";

/// The columns that [`ThinIds`] are made of.
pub(super) const THIN_COLUMNS: &str = "lv_name,thin_id,metadata_lv";

/// A volume group.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub(super) uuid: String,
    pub(super) size_bytes: u64,
    pub(super) free_bytes: u64,
    pub(super) extent_bytes: u64,
    /// Disks that are not there; what lies on them cannot be read.
    pub(super) missing_disks: u64,
    /// The nodes of those that are.
    pub(super) disks: Vec<PathBuf>,
    pub(super) tags: Vec<String>,
}

/// What a logical volume is, by the first letter of LVM's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// All its space is its own.
    Thick,
    /// Lies in a thin pool.
    Thin,
    /// A thin pool.
    ThinPool,
    /// Keeps what its origin held, by copying what is overwritten there.
    ClassicSnapshot,
    /// Anything else; never ours.
    Other,
}

/// A logical volume.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lv {
    pub(super) name: String,
    /// The space it has; of a classic snapshot the room for what changes.
    pub(super) size_bytes: u64,
    /// How long it reads.
    pub(super) len_bytes: u64,
    pub(super) kind: Kind,
    /// The thin pool it lies in.
    pub(super) pool: String,
    /// What it is a snapshot of.
    pub(super) origin: String,
    pub(super) tags: Vec<String>,
    /// How full a pool or a classic snapshot is; how much of a thin volume is written.
    pub(super) data_percent: Option<f64>,
    /// How full a pool's metadata are.
    pub(super) metadata_percent: Option<f64>,
    pub(super) is_active: bool,
    pub(super) is_open: bool,
    /// LVM leaves it out when it activates.
    pub(super) is_skipped: bool,
    /// Being merged into its origin, or having something merged into it.
    pub(super) is_merging: bool,
    /// A classic snapshot that overflowed: its content is lost.
    pub(super) is_invalid: bool,
    /// A pool that zeroes a block before a volume gets it.
    pub(super) zeroes: bool,
}

impl Lv {
    pub(super) fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|one| one == tag)
    }
}

/// What thin volumes are called in their pools' metadata, and where those are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ThinIds {
    ids: BTreeMap<String, u64>,
    metadata: BTreeMap<String, String>,
}

impl ThinIds {
    pub(super) fn id_of(&self, lv: &str) -> Option<u64> {
        self.ids.get(lv).copied()
    }

    /// The hidden volume with a pool's metadata.
    pub(super) fn metadata_of(&self, pool: &str) -> Option<&str> {
        self.metadata.get(pool).map(String::as_str)
    }
}

/// Why a report cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("LVM's report is not understood: {why}")]
pub(super) struct Unreadable {
    pub(super) why: String,
}

/// A report of volumes with the columns of `L`, or of groups.
#[derive(Deserialize)]
struct Whole<L> {
    report: Vec<Part<L>>,
}

#[derive(Deserialize)]
struct Part<L> {
    #[serde(default = "Vec::new")]
    lv: Vec<L>,
    #[serde(default)]
    vg: Vec<VgRow>,
}

#[derive(Deserialize)]
struct ThinRow {
    lv_name: String,
    thin_id: String,
    metadata_lv: String,
}

#[derive(Deserialize)]
struct LvRow {
    lv_name: String,
    lv_size: String,
    origin_size: String,
    pool_lv: String,
    origin: String,
    lv_attr: String,
    lv_tags: String,
    data_percent: String,
    metadata_percent: String,
    lv_skip_activation: String,
}

#[derive(Deserialize)]
struct VgRow {
    vg_uuid: String,
    vg_size: String,
    vg_free: String,
    vg_extent_size: String,
    vg_missing_pv_count: String,
    vg_tags: String,
    pv_name: String,
}

/// Reads the answer of `lvs --reportformat json --units b --nosuffix`.
pub(super) fn volumes(json: &str) -> Result<Vec<Lv>, Unreadable> {
    let parts = parsed::<LvRow>(json)?.report;
    parts.into_iter().flat_map(|part| part.lv).map(lv).collect()
}

/// Reads the same of [`THIN_COLUMNS`].
pub(super) fn thin_ids(json: &str) -> Result<ThinIds, Unreadable> {
    let parts = parsed::<ThinRow>(json)?.report;
    let mut ids = ThinIds::default();
    for row in parts.into_iter().flat_map(|part| part.lv) {
        if !row.thin_id.is_empty() {
            let id = number("thin_id", &row.thin_id)?;
            ids.ids.insert(row.lv_name.clone(), id);
        }
        if !row.metadata_lv.is_empty() {
            // Hidden volumes stand in brackets.
            let metadata = row.metadata_lv.trim_matches(['[', ']']).to_owned();
            ids.metadata.insert(row.lv_name, metadata);
        }
    }
    Ok(ids)
}

/// Reads the kernel's status of a thin pool: whether somebody holds its metadata. After start, length and target it has
/// the transaction, the metadata and the data in use, and where the held metadata are.
pub(super) fn is_held(status: &str) -> Option<bool> {
    let words: Vec<&str> = status.split_whitespace().collect();
    let held = words.get(6)?;
    (words[2] == "thin-pool").then(|| *held != "-")
}

/// Reads the answer of `vgs --reportformat json --units b --nosuffix`; `None` when there is no such group.
pub(super) fn group(json: &str) -> Result<Option<Group>, Unreadable> {
    let parts = parsed::<IgnoredAny>(json)?.report;
    // A row a disk, all the same but for its name; of one that is missing LVM says `[unknown]`.
    let rows: Vec<VgRow> = parts.into_iter().flat_map(|part| part.vg).collect();
    let disks = rows.iter().map(|row| PathBuf::from(&row.pv_name));
    let disks = disks.filter(|disk| disk.is_absolute()).collect();
    let row = rows.into_iter().next();
    row.map(|row| {
        Ok(Group {
            disks,
            uuid: row.vg_uuid,
            size_bytes: number("vg_size", &row.vg_size)?,
            free_bytes: number("vg_free", &row.vg_free)?,
            extent_bytes: number("vg_extent_size", &row.vg_extent_size)?,
            missing_disks: number("vg_missing_pv_count", &row.vg_missing_pv_count)?,
            tags: words(&row.vg_tags),
        })
    })
    .transpose()
}

fn parsed<L: DeserializeOwned>(json: &str) -> Result<Whole<L>, Unreadable> {
    serde_json::from_str(json).map_err(|error| Unreadable {
        why: error.to_string(),
    })
}

fn lv(row: LvRow) -> Result<Lv, Unreadable> {
    // lvs(8), "Attributes": type, permissions, allocation, fixed minor, state, open, target type, zeroes, health, skip.
    let attr = |at: usize| row.lv_attr.as_bytes().get(at).copied().unwrap_or(b'-');
    let kind = match attr(0) {
        b'-' | b'o' | b'O' if row.pool_lv.is_empty() => Kind::Thick,
        b'V' | b'o' | b'O' => Kind::Thin,
        b't' => Kind::ThinPool,
        b's' | b'S' => Kind::ClassicSnapshot,
        _ => Kind::Other,
    };
    let size_bytes = number("lv_size", &row.lv_size)?;
    Ok(Lv {
        size_bytes,
        len_bytes: match kind {
            Kind::ClassicSnapshot => number("origin_size", &row.origin_size)?,
            Kind::Thick | Kind::Thin | Kind::ThinPool | Kind::Other => size_bytes,
        },
        kind,
        pool: row.pool_lv,
        origin: row.origin,
        tags: words(&row.lv_tags),
        data_percent: row.data_percent.parse().ok(),
        metadata_percent: row.metadata_percent.parse().ok(),
        is_active: matches!(attr(4), b'a' | b's' | b'I' | b'S' | b'm' | b'M'),
        is_open: attr(5) == b'o',
        is_skipped: !row.lv_skip_activation.is_empty(),
        is_merging: matches!(attr(0), b'O' | b'S'),
        is_invalid: matches!(attr(4), b'I' | b'S'),
        zeroes: attr(7) == b'z',
        name: row.lv_name,
    })
}

fn number(field: &str, text: &str) -> Result<u64, Unreadable> {
    text.trim().parse().map_err(|_not_a_number| Unreadable {
        why: format!("{field} is {text:?}"),
    })
}

fn words(text: &str) -> Vec<String> {
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn row(attr: &str, pool: &str) -> Lv {
        let json = format!(
            r#"{{"report":[{{"lv":[{{"lv_name":"x","lv_size":"1073741824","origin_size":"2147483648","pool_lv":"{pool}","origin":"","lv_attr":"{attr}",
            "lv_tags":"ashlar,b","data_percent":"12.50","metadata_percent":"","lv_skip_activation":"","kernel_discards":""}}]}}]}}"#
        );
        volumes(&json).unwrap().remove(0)
    }

    #[test]
    fn attributes_are_read_as_lvs_writes_them() {
        // As printed by lvm2 2.03.16.
        let thin = row("Vwi-aotz--", "vg0-pool");
        assert_eq!(
            (thin.kind, thin.is_active, thin.is_open),
            (Kind::Thin, true, true)
        );
        let snapshot = row("Vwi---tz-k", "vg0-pool");
        assert_eq!((snapshot.kind, snapshot.is_active), (Kind::Thin, false));
        assert_eq!(row("twi-aotz--", "").kind, Kind::ThinPool);
        assert!(row("twi-aotz--", "").zeroes && !row("twi-aot---", "").zeroes);
        assert_eq!(row("-wi-a-----", "").kind, Kind::Thick);
        assert_eq!(row("owi-aos---", "").kind, Kind::Thick);
        let classic = row("swi-a-s---", "");
        assert_eq!(classic.kind, Kind::ClassicSnapshot);
        assert_eq!((classic.size_bytes, classic.len_bytes), (1 << 30, 2 << 30));
        assert!(row("swi-I-s---", "").is_invalid);
        assert!(row("Owi-a-s---", "").is_merging);
        assert_eq!(thin.tags, ["ashlar", "b"]);
        assert_eq!(thin.data_percent, Some(12.5));
    }

    #[test]
    fn a_group_has_the_disks_that_are_there() {
        let row = |disk: &str| {
            format!(
                r#"{{"vg_uuid":"u","vg_size":"8","vg_free":"4","vg_extent_size":"4","vg_missing_pv_count":"1","vg_tags":"","pv_name":"{disk}"}}"#
            )
        };
        let rows = ["/dev/vdb", "[unknown]", "/dev/vdc"].map(row).join(",");
        let found = group(&format!(r#"{{"report":[{{"vg":[{rows}]}}]}}"#));
        let disks = found.unwrap().unwrap().disks;
        assert_eq!(disks, [Path::new("/dev/vdb"), Path::new("/dev/vdc")]);
    }

    #[test]
    fn thin_volumes_have_ids_and_pools_have_metadata() {
        // As printed by lvm2 2.03.16.
        let told = r#"{"report":[{"lv":[
            {"lv_name":"vg0-pool","thin_id":"","metadata_lv":"[vg0-pool_tmeta]"},
            {"lv_name":"a","thin_id":"7","metadata_lv":""},
            {"lv_name":"thick","thin_id":"","metadata_lv":""}]}]}"#;
        let ids = thin_ids(told).unwrap();
        assert_eq!((ids.id_of("a"), ids.id_of("thick")), (Some(7), None));
        assert_eq!(ids.metadata_of("vg0-pool"), Some("vg0-pool_tmeta"));
    }

    #[test]
    fn the_kernel_says_whether_metadata_are_held() {
        // As printed by dmsetup 1.02.185.
        let free =
            "0 8388608 thin-pool 3 20/2048 1/65536 - rw discard_passdown queue_if_no_space - 1024";
        let held =
            "0 8388608 thin-pool 3 20/2048 1/65536 17 rw discard_passdown queue_if_no_space - 1024";
        assert_eq!((is_held(free), is_held(held)), (Some(false), Some(true)));
        assert_eq!(is_held("0 8388608 thin-pool Fail"), None);
        assert_eq!(is_held("0 8 linear 253:1 0 - - -"), None);
    }

    #[test]
    fn a_report_that_makes_no_sense_is_refused() {
        assert!(volumes("").is_err());
        assert!(volumes("{}").is_err());
        assert!(group(r#"{"report":[{"vg":[{"vg_uuid":"u","vg_size":"x","vg_free":"1","vg_extent_size":"1","vg_missing_pv_count":"0","vg_tags":"","pv_name":"/dev/a"}]}]}"#).is_err());
        assert_eq!(group(r#"{"report":[{"vg":[]}]}"#).unwrap(), None);
    }
}
