//! A thin pool's metadata: `dmsetup`, `thin_dump` and `thin_delta` over the bytes of the groups in memory. Whether
//! somebody holds them outlives a daemon, as in the kernel.

use super::super::report::THIN_COLUMNS;
use super::nodes::data_of;
use ashlar_dbus::fake::groups::{Groups, Kind, Refused, Volume};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// LVM's default.
const BLOCK_BYTES: u64 = 65536;

pub(super) struct HeldMetadata {
    bytes: PathBuf,
    /// Is there while they are held.
    held: PathBuf,
}

impl HeldMetadata {
    pub(super) fn in_directory(bytes: &Path) -> Self {
        Self {
            bytes: bytes.to_owned(),
            held: bytes.with_file_name("held"),
        }
    }

    /// Somebody else holds them.
    pub(super) fn hold(&self) {
        File::create_new(&self.held).unwrap();
    }

    pub(super) fn is_held(&self) -> bool {
        self.held.exists()
    }

    /// What a program that concerns metadata says; `None` when it is another.
    pub(super) fn run(
        &self,
        groups: &Groups,
        program: &str,
        args: &[&str],
    ) -> Option<Result<String, Refused>> {
        Some(match (program, args) {
            ("lvs", [.., columns, vg]) if *columns == THIN_COLUMNS => ids(groups, vg),
            ("dmsetup", ["status", pool]) if pool.ends_with("-tpool") => {
                let held = if self.is_held() { "17" } else { "-" };
                let rest = "rw discard_passdown queue_if_no_space - 1024";
                Ok(format!("0 8 thin-pool 3 20/2048 1/65536 {held} {rest}\n"))
            }
            ("dmsetup", ["message", _, "0", "reserve_metadata_snap"]) => match self.is_held() {
                true => Err(Refused("Device or resource busy".to_owned())),
                false => {
                    self.hold();
                    Ok(String::new())
                }
            },
            ("dmsetup", ["message", _, "0", "release_metadata_snap"]) => {
                let released = std::fs::remove_file(&self.held);
                let released = released.map_err(|_| Refused("Invalid argument".to_owned()));
                released.map(|()| String::new())
            }
            ("thin_dump", ["--dev-id", id, "--metadata-snap", _]) => self.dump(id),
            ("thin_delta", ["--snap1", one, "--snap2", other, "--metadata-snap", _]) => {
                self.delta(one, other)
            }
            _ => return None,
        })
    }

    fn dump(&self, id: &str) -> Result<String, Refused> {
        self.must_be_held()?;
        let mapped = self.mapped(id);
        let mut xml = superblock();
        let count = mapped.len();
        let _ = writeln!(xml, "  <device dev_id=\"{id}\" mapped_blocks=\"{count}\">");
        for block in mapped {
            let _ = writeln!(
                xml,
                "    <single_mapping origin_block=\"{block}\" data_block=\"9\"/>"
            );
        }
        Ok(xml + "  </device>\n</superblock>\n")
    }

    fn delta(&self, one: &str, other: &str) -> Result<String, Refused> {
        self.must_be_held()?;
        let (left, right) = (self.mapped(one), self.mapped(other));
        let mut xml = superblock();
        let _ = writeln!(xml, "  <diff left=\"{one}\" right=\"{other}\">");
        for block in left.union(&right) {
            let kind = match (left.contains(block), right.contains(block)) {
                (true, false) => "left_only",
                (false, true) => "right_only",
                _ if self.read(one, *block) == self.read(other, *block) => "same",
                _ => "different",
            };
            let _ = writeln!(xml, "    <{kind} begin=\"{block}\" length=\"1\"/>");
        }
        Ok(xml + "  </diff>\n</superblock>\n")
    }

    fn must_be_held(&self) -> Result<(), Refused> {
        let none = || Refused("no current metadata snap".to_owned());
        self.is_held().then_some(()).ok_or_else(none)
    }

    fn mapped(&self, id: &str) -> BTreeSet<u64> {
        let file = File::open(self.bytes.join(id)).unwrap();
        let data = data_of(&file).into_iter();
        data.flat_map(|data| data.start / BLOCK_BYTES..data.end.div_ceil(BLOCK_BYTES))
            .collect()
    }

    fn read(&self, id: &str, block: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(BLOCK_BYTES).unwrap()];
        let file = File::open(self.bytes.join(id)).unwrap();
        let _ = file.read_at(&mut bytes, block * BLOCK_BYTES).unwrap();
        bytes
    }
}

fn ids(groups: &Groups, vg: &str) -> Result<String, Refused> {
    let row = |(name, volume): (&String, &Volume)| {
        let (thin_id, metadata_lv) = match volume.kind {
            Kind::Thin { .. } => (volume.key.to_string(), String::new()),
            Kind::ThinPool => (String::new(), format!("[{name}_tmeta]")),
            Kind::Thick | Kind::Snapshot { .. } => (String::new(), String::new()),
        };
        json!({"lv_name": name, "thin_id": thin_id, "metadata_lv": metadata_lv})
    };
    let rows: Vec<Value> = groups.group(vg)?.volumes.iter().map(row).collect();
    Ok(json!({"report": [{"lv": rows}]}).to_string())
}

fn superblock() -> String {
    let sectors = BLOCK_BYTES / 512;
    format!("<superblock uuid=\"\" data_block_size=\"{sectors}\" nr_data_blocks=\"16384\">\n")
}
