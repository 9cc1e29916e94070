//! Which parts of a thin volume were ever written, and where two differ, as their pool's metadata have it.
//!
//! The metadata of a pool in use are read through a *metadata snapshot*, which the kernel holds until it is released, one
//! for a pool (Linux, Documentation/admin-guide/device-mapper/thin-provisioning.rst). So that one of ours that a crash
//! left is told from somebody else's, the pool carries a tag while we hold one.
//!
//! What cannot be told costs time and nothing else, since all of the volume is read then: no error of LVM's or of the
//! metadata's tools is an error of this. What they tell is believed only when it is whole and adds up: a part left out here
//! would be a hole in a backup.

use super::LvmDriver;
use super::names::Name;
use super::report::{Kind, Lv, ThinIds};
use super::vg::find;
use crate::driver::{DriverError, ObjectRef, PARTS_MAX, SnapshotRef};
use crate::error::chain;
use std::ops::Range;

/// The pool's tag while we hold its metadata.
pub(super) const HOLDS_METADATA: &str = "ashlar-holds-metadata";
/// The unit of `data_block_size`.
const SECTOR_BYTES: u64 = 512;
/// Parts with less between them are one: what reads them does so by the MiB.
const GAP_BYTES: u64 = 1 << 20;

impl LvmDriver {
    pub(super) async fn parts_of(
        &self,
        object: &ObjectRef,
        since: Option<&SnapshotRef>,
    ) -> Result<Option<Vec<Range<u64>>>, DriverError> {
        let _turn = self.turn().await?;
        let lvs = self.vg.volumes().await?;
        let lv = match object {
            ObjectRef::Volume(volume) => {
                self.volume_in(&lvs, &Name::of_volume(volume.id), &volume.pool)?
            }
            ObjectRef::Snapshot(snapshot) => {
                let name = Name::of_snapshot(snapshot.id).text;
                self.must_find(&lvs, &name, &snapshot.pool)?
            }
        };
        let since = since.map(|since| Name::of_snapshot(since.id).text);
        let Some(pool) = pool_of(&lvs, &lv.name) else {
            return Ok(None);
        };
        let is_elsewhere =
            |since: &String| pool_of(&lvs, since).is_none_or(|other| other.name != pool.name);
        if since.as_ref().is_some_and(is_elsewhere) {
            return Ok(None);
        }
        let parts = match self.read_metadata(pool, &lv.name, since.as_deref()).await {
            Ok(parts) => parts,
            Err(error) => {
                tracing::info!(
                    volume = lv.name,
                    pool = pool.name,
                    error = chain(&error),
                    "the pool does not tell what was written; all is read"
                );
                None
            }
        };
        Ok(parts.map(|parts| coarse(parts, PARTS_MAX)))
    }

    async fn read_metadata(
        &self,
        pool: &Lv,
        lv: &str,
        since: Option<&str>,
    ) -> Result<Option<Vec<Range<u64>>>, DriverError> {
        let tools = &self.vg.tools;
        let ids = tools.thin_ids().await?;
        let is_ours = pool.has_tag(HOLDS_METADATA);
        if tools.are_metadata_held(&pool.name).await? {
            if !is_ours {
                return Ok(None);
            }
            // By a daemon that died, and old.
            tools.release_metadata(&pool.name).await?;
        }
        if !is_ours {
            tools
                .mark(&pool.name, &[HOLDS_METADATA], &[], false)
                .await?;
        }
        let parts = match tools.hold_metadata(&pool.name).await {
            Ok(()) => {
                let parts = self.ask(&ids, &pool.name, lv, since).await;
                // As long as this fails, the tag says whose they are.
                tools.release_metadata(&pool.name).await?;
                parts
            }
            Err(error) => Err(error),
        };
        tools
            .mark(&pool.name, &[], &[HOLDS_METADATA], false)
            .await?;
        parts
    }

    async fn ask(
        &self,
        ids: &ThinIds,
        pool: &str,
        lv: &str,
        since: Option<&str>,
    ) -> Result<Option<Vec<Range<u64>>>, DriverError> {
        let tools = &self.vg.tools;
        let Some((metadata, id)) = ids.metadata_of(pool).zip(ids.id_of(lv)) else {
            return Ok(None);
        };
        let told = match since {
            None => written(&tools.thin_dump(metadata, id).await?, id),
            Some(since) => {
                let Some(since) = ids.id_of(since) else {
                    return Ok(None);
                };
                differing(&tools.thin_delta(metadata, since, id).await?, since, id)
            }
        };
        if told.is_none() {
            tracing::warn!(
                volume = lv,
                pool,
                "what the pool's metadata say of it does not add up; all is read"
            );
        }
        Ok(told)
    }
}

/// The pool of a thin volume that reads as zeros where nothing was written: not one upon a volume outside of the pool.
fn pool_of<'lvs>(lvs: &'lvs [Lv], lv: &str) -> Option<&'lvs Lv> {
    let lv = find(lvs, lv).filter(|lv| lv.kind == Kind::Thin)?;
    let is_of_pool = |origin: &Lv| origin.kind == Kind::Thin && origin.pool == lv.pool;
    let is_alone = lv.origin.is_empty() || find(lvs, &lv.origin).is_some_and(is_of_pool);
    find(lvs, &lv.pool).filter(|pool| is_alone && pool.kind == Kind::ThinPool)
}

/// Reads the answer of `thin_dump --dev-id`: the parts of the device that are mapped. `None` when the device is not in it,
/// or the mappings are not as many as it says.
fn written(xml: &str, id: u64) -> Option<Vec<Range<u64>>> {
    let block_bytes = block_bytes(xml)?;
    let device = elements(xml).find(|(name, _)| *name == "device")?.1;
    if number(device, "dev_id") != Some(id) {
        return None;
    }
    let mut parts = Vec::new();
    let mut blocks = 0_u64;
    for (name, attributes) in elements(xml) {
        let (first, count) = match name {
            "range_mapping" => (
                number(attributes, "origin_begin")?,
                number(attributes, "length")?,
            ),
            "single_mapping" => (number(attributes, "origin_block")?, 1),
            "superblock" | "/superblock" | "device" | "/device" => continue,
            _ => return None,
        };
        blocks = blocks.checked_add(count)?;
        parts.push(bytes(first, count, block_bytes)?);
    }
    (number(device, "mapped_blocks") == Some(blocks)).then_some(parts)
}

/// Reads the answer of `thin_delta`: the parts in which the right device differs from the left.
fn differing(xml: &str, left: u64, right: u64) -> Option<Vec<Range<u64>>> {
    let block_bytes = block_bytes(xml)?;
    let diff = elements(xml).find(|(name, _)| *name == "diff")?.1;
    if (number(diff, "left"), number(diff, "right")) != (Some(left), Some(right)) {
        return None;
    }
    let mut parts = Vec::new();
    for (name, attributes) in elements(xml) {
        match name {
            "different" | "left_only" | "right_only" => {
                let (first, count) = (number(attributes, "begin")?, number(attributes, "length")?);
                parts.push(bytes(first, count, block_bytes)?);
            }
            "superblock" | "/superblock" | "diff" | "/diff" | "same" => {}
            _ => return None,
        }
    }
    Some(parts)
}

/// How long a block is; `None` when the answer was cut off.
fn block_bytes(xml: &str) -> Option<u64> {
    let whole = xml.trim_end().ends_with("</superblock>");
    let head = elements(xml).find(|(name, _)| *name == "superblock")?.1;
    let sectors = number(head, "data_block_size").filter(|sectors| *sectors > 0)?;
    sectors.checked_mul(SECTOR_BYTES).filter(|_| whole)
}

/// The elements, each with its attributes as written. What these tools print has neither text nor comments.
fn elements(xml: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = xml.split('<').skip(1);
    parts
        .filter_map(|part| part.split_once('>'))
        .map(|(element, _)| {
            let element = element.trim_end_matches('/').trim_end();
            element
                .split_once(char::is_whitespace)
                .unwrap_or((element, ""))
        })
}

fn number(attributes: &str, name: &str) -> Option<u64> {
    let value = attributes.split_whitespace().find_map(|attribute| {
        let (key, value) = attribute.split_once('=')?;
        (key == name).then_some(value)
    })?;
    value.trim_matches('"').parse().ok()
}

fn bytes(first: u64, count: u64, block_bytes: u64) -> Option<Range<u64>> {
    let start = first.checked_mul(block_bytes)?;
    let len_bytes = count.checked_mul(block_bytes)?;
    Some(start..start.checked_add(len_bytes)?)
}

/// At most `max` parts that have all of `parts` in them: what lies between two that are near counts as well.
fn coarse(mut parts: Vec<Range<u64>>, max: usize) -> Vec<Range<u64>> {
    parts.sort_unstable_by_key(|part| part.start);
    let mut gap_bytes = GAP_BYTES;
    loop {
        let mut joined: Vec<Range<u64>> = Vec::new();
        for part in &parts {
            match joined.last_mut() {
                Some(last) if part.start.saturating_sub(last.end) < gap_bytes => {
                    last.end = last.end.max(part.end);
                }
                _ => joined.push(part.clone()),
            }
        }
        if joined.len() <= max.max(1) {
            return joined;
        }
        parts = joined;
        gap_bytes = gap_bytes.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // As printed by thin-provisioning-tools 0.9.0.
    const DUMP: &str = r#"<superblock uuid="" time="2" transaction="3" flags="0" version="2" data_block_size="128" nr_data_blocks="16384">
  <device dev_id="1" mapped_blocks="21" transaction="0" creation_time="0" snap_time="1">
    <range_mapping origin_begin="0" data_begin="0" length="20" time="0"/>
    <single_mapping origin_block="100" data_block="50" time="1"/>
  </device>
</superblock>
"#;
    const DELTA: &str = r#"<superblock uuid="" time="2" transaction="3" data_block_size="128" nr_data_blocks="16384">
  <diff left="1" right="2">
    <same begin="0" length="10"/>
    <different begin="10" length="10"/>
    <left_only begin="100" length="1"/>
  </diff>
</superblock>
"#;
    const BLOCK: u64 = 65536;

    #[test]
    fn what_is_mapped_was_written() {
        let parts = written(DUMP, 1).unwrap();
        assert_eq!(parts, [0..20 * BLOCK, 100 * BLOCK..101 * BLOCK]);
        let blank = DUMP.replace("\"21\"", "\"0\"");
        let blank: Vec<&str> = blank
            .lines()
            .filter(|line| !line.contains("mapping"))
            .collect();
        assert_eq!(written(&blank.join("\n"), 1), Some(Vec::new()));
    }

    #[test]
    fn an_answer_that_is_not_whole_tells_nothing() {
        // Of a device that it does not know thin_dump prints nothing, and succeeds.
        let of_none = r#"<superblock uuid="" time="2" transaction="3" flags="0" version="2" data_block_size="128" nr_data_blocks="16384">
</superblock>"#;
        assert_eq!(written(of_none, 1), None);
        assert_eq!(written(DUMP, 2), None);
        for end in 0..DUMP.trim_end().len() {
            assert_eq!(written(&DUMP[..end], 1), None, "cut off at {end}");
        }
        let lines: Vec<&str> = DUMP.lines().collect();
        let short: Vec<&str> = lines
            .iter()
            .copied()
            .filter(|line| !line.contains("single"))
            .collect();
        assert_eq!(written(&short.join("\n"), 1), None);
        assert_eq!(
            written(&DUMP.replace("range_mapping", "other_mapping"), 1),
            None
        );
        assert_eq!(differing(DELTA, 2, 1), None);
        assert_eq!(
            differing(&DELTA.replace("left_only", "unheard_of"), 1, 2),
            None
        );
        assert_eq!(differing(&DELTA[..DELTA.len() - 5], 1, 2), None);
    }

    #[test]
    fn what_only_one_of_two_has_differs() {
        let parts = differing(DELTA, 1, 2).unwrap();
        assert_eq!(parts, [10 * BLOCK..20 * BLOCK, 100 * BLOCK..101 * BLOCK]);
    }

    proptest! {
        #[test]
        fn coarse_parts_are_few_apart_and_lose_nothing(
            parts in proptest::collection::vec((0_u64..1 << 40, 1_u64..1 << 24), 0..200),
            max in 1_usize..50,
        ) {
            let parts: Vec<Range<u64>> = parts.into_iter().map(|(at, len)| at..at + len).collect();
            let coarse = coarse(parts.clone(), max);
            prop_assert!(coarse.len() <= max);
            prop_assert!(coarse.windows(2).all(|two| two[0].end < two[1].start));
            for part in parts {
                prop_assert!(coarse.iter().any(|one| one.start <= part.start && part.end <= one.end));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[<>/a-z0-9=\" ]{0,200}") {
            let _ = (written(&text, 1), differing(&text, 1, 2));
        }
    }
}
