//! The table is whole, agrees with itself, and is what `docs/status.md` says.

use super::*;
use std::fmt::Write as _;

#[test]
fn every_verb_has_one_row() {
    for verb in Verb::ALL {
        assert_eq!(
            TABLE.iter().filter(|row| row.verb == *verb).count(),
            1,
            "{}",
            verb.as_str()
        );
        assert_eq!(Verb::parse(verb.as_str()), Some(*verb));
        assert_eq!(row(*verb).verb, *verb);
    }
    assert_eq!(TABLE.len(), Verb::ALL.len());
}

#[test]
fn an_object_that_is_made_never_returns_to_a_previous_status() {
    fn check<S: Word>(verb: Verb, one: Option<Move<S>>) {
        let Some(one) = one else { return };
        if one.from.is_empty() {
            assert!(
                one.done != End::Previous && one.failed != End::Previous,
                "{}",
                verb.as_str()
            );
        }
        if let Some(during) = one.during {
            assert!(
                one.from.is_empty() || one.from.len() > 1 || one.from[0] != during,
                "{}: a status that is both the only start and the middle says nothing",
                verb.as_str()
            );
        }
    }
    for row in TABLE {
        check(row.verb, row.volume);
        check(row.verb, row.snapshot);
        check(row.verb, row.attachment);
        check(row.verb, row.backup);
    }
}

#[test]
fn statuses_that_only_a_live_operation_explains() {
    assert_eq!(
        volume_only_during(),
        [
            V::Creating,
            V::Deleting,
            V::Extending,
            V::Reverting,
            V::Managing,
            V::Unmanaging,
            V::Retyping,
            V::BackingUp,
            V::RestoringBackup
        ]
    );
    assert_eq!(
        snapshot_only_during(),
        [
            S::Deleting,
            S::Restoring,
            S::Creating,
            S::Unmanaging,
            S::BackingUp
        ]
    );
    assert_eq!(
        backup_only_during(),
        [B::Creating, B::Restoring, B::Deleting]
    );
}

#[test]
fn spellings_round_trip() {
    for status in VolumeStatus::ALL {
        assert_eq!(VolumeStatus::parse(status.as_str()), Some(*status));
    }
    assert_eq!(VolumeStatus::parse("in_use"), None);
    assert_eq!(VolumeStatus::ErrorBackingUp.as_str(), "error_backing-up");
}

fn end<S: Word>(end: End<S>) -> String {
    match end {
        End::Is(status) => format!("`{}`", status.word()),
        End::Previous => "(previous)".to_owned(),
        End::AsAsked => "(as asked)".to_owned(),
        End::Gone => "(gone)".to_owned(),
        End::FromAttachments => "(from its attachments)".to_owned(),
    }
}

fn line<S: Word>(page: &mut String, verb: Verb, noun: &str, one: Option<Move<S>>, note: &str) {
    let Some(one) = one else { return };
    let from = if one.from.is_empty() {
        "(made)".to_owned()
    } else if one.from == S::EVERY {
        "(any)".to_owned()
    } else {
        one.from
            .iter()
            .map(|status| format!("`{}`", status.word()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let during = one.during.map_or("(unchanged)".to_owned(), |status| {
        format!("`{}`", status.word())
    });
    writeln!(
        page,
        "| {} | {noun} | {from} | {during} | {} | {} | {note} |",
        verb.as_str(),
        end(one.done),
        end(one.failed)
    )
    .unwrap();
}

fn reads(page: &mut String) {
    page.push_str(
        "\n## What is read from\n\n| operation | source | must be |\n| --- | --- | --- |\n",
    );
    for row in TABLE {
        let words = |words: Vec<&str>| {
            words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        if !row.source_volume.is_empty() {
            let list = words(
                row.source_volume
                    .iter()
                    .map(|status| status.as_str())
                    .collect(),
            );
            writeln!(page, "| {} | volume | {list} |", row.verb.as_str()).unwrap();
        }
        if !row.source_snapshot.is_empty() {
            let list = words(
                row.source_snapshot
                    .iter()
                    .map(|status| status.as_str())
                    .collect(),
            );
            writeln!(page, "| {} | snapshot | {list} |", row.verb.as_str()).unwrap();
        }
        if !row.source_backup.is_empty() {
            let list = words(row.source_backup.iter().map(|one| one.as_str()).collect());
            writeln!(page, "| {} | backup | {list} |", row.verb.as_str()).unwrap();
        }
    }
}

fn only_during(page: &mut String) {
    page.push_str(
        "\n## Statuses that only a live operation explains\n\n\
         After a crash and recovery none of these is left without an operation that is running or being undone.\n\n",
    );
    let volume: Vec<&str> = volume_only_during()
        .into_iter()
        .map(VolumeStatus::as_str)
        .collect();
    let snapshot: Vec<&str> = snapshot_only_during()
        .into_iter()
        .map(SnapshotStatus::as_str)
        .collect();
    let backup: Vec<&str> = backup_only_during()
        .into_iter()
        .map(BackupStatus::as_str)
        .collect();
    writeln!(
        page,
        "- volume: {}\n- snapshot: {}\n- backup: {}",
        volume.join(", "),
        snapshot.join(", "),
        backup.join(", ")
    )
    .unwrap();
}

fn printed() -> String {
    let mut page = String::from(
        "# Statuses: THE TABLE\n\n\
         Printed from `daemon/src/model/status.rs` by its tests (`ASHLAR_BLESS=1 cargo test -p ashlar-daemon status`);\n\
         do not edit. An operation may begin only in a status of *from*; the one conditional UPDATE that begins it\n\
         carries that list. While it runs the object shows *during*; it ends in *done*, or in *failed* with what was\n\
         done undone. A cancelled operation ends where it began.\n\n\
         | operation | noun | from | during | done | failed | note |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in TABLE {
        line(&mut page, row.verb, "volume", row.volume, row.note);
        line(&mut page, row.verb, "snapshot", row.snapshot, row.note);
        line(&mut page, row.verb, "attachment", row.attachment, row.note);
        line(&mut page, row.verb, "backup", row.backup, row.note);
    }
    reads(&mut page);
    only_during(&mut page);
    page.push_str(
        "\n## Rows to come\n\n| operation | noun | from | during | done | failed |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for row in TO_COME {
        writeln!(page, "| {} |", row.join(" | ")).unwrap();
    }
    page
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test asks whether to rewrite the page it checks"
)]
fn the_page_is_printed_from_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/status.md");
    if std::env::var("ASHLAR_BLESS").is_ok() {
        std::fs::write(path, printed()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        page,
        printed(),
        "docs/status.md differs from the table: run with ASHLAR_BLESS=1"
    );
}
