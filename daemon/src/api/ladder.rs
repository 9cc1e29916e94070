//! THE LADDER: what each microversion changes, and whether it holds here.
//!
//! `docs/cinder-api.md` is printed from it. A step is *done*; or *absent*, when whoever asks for it is answered as by
//! a Cinder without that feature and nothing wrong can come of it; or *missing*, when advertising it would mislead a
//! client, and then the advertised maximum ends below it. The note says what a client sees.

/// Whether a step holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As in Cinder.
    Done,
    /// Answers as a Cinder without the feature; harmless.
    Absent,
    /// Would mislead; not advertised.
    Missing,
}

impl State {
    /// The word in the printed page.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Done => "done",
            State::Absent => "absent",
            State::Missing => "missing",
        }
    }
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// 3.`minor`.
    pub minor: u16,
    /// What it changes in Cinder.
    pub changes: &'static str,
    /// Whether it holds.
    pub state: State,
    /// What a client sees, where that is not plain.
    pub note: &'static str,
}

const fn done(minor: u16, changes: &'static str, note: &'static str) -> Step {
    Step {
        minor,
        changes,
        state: State::Done,
        note,
    }
}

const fn absent(minor: u16, changes: &'static str, note: &'static str) -> Step {
    Step {
        minor,
        changes,
        state: State::Absent,
        note,
    }
}

const fn missing(minor: u16, changes: &'static str, note: &'static str) -> Step {
    Step {
        minor,
        changes,
        state: State::Missing,
        note,
    }
}

const NO_ROUTE: &str = "404: no such route";
const NO_ACTION: &str = "400: no such action";
const NO_FIELD: &str = "the routes that it changes are 404";

/// Every step after 3.0, in order.
pub const LADDER: &[Step] = &[
    absent(1, "upload to an image: visibility, protected", NO_ACTION),
    done(2, "bootable filter of volumes is strict", ""),
    done(3, "user messages", ""),
    done(4, "glance_metadata filter of volumes", "for administrators"),
    done(5, "paging and filters of messages", ""),
    absent(6, "consistency group update may be empty", NO_FIELD),
    absent(7, "clusters", "404; cluster of a service is shown, null"),
    done(8, "manageable volumes and snapshots", ""),
    done(9, "backup update", ""),
    done(
        10,
        "group_id filter of volumes",
        "no volume is in a group: an empty list",
    ),
    absent(11, "group types", NO_ROUTE),
    done(
        12,
        "volume summary",
        "the filters of the list hold; Cinder drops them",
    ),
    absent(
        13,
        "groups",
        "404; group_id of a volume is shown, null; a create into a group is 404",
    ),
    absent(
        14,
        "group snapshots",
        "404; group_snapshot_id of a snapshot is shown, null",
    ),
    done(
        15,
        "metadata with Etag and If-Match",
        "also of snapshots, and If-Match also on POST and DELETE",
    ),
    absent(16, "migrate to a cluster", NO_ACTION),
    done(
        17,
        "cluster in the list of manageable objects",
        "404: there are no clusters",
    ),
    done(18, "project of a backup", "for administrators"),
    absent(19, "reset of a group snapshot's status", NO_ROUTE),
    absent(20, "reset of a group's status", NO_ROUTE),
    done(21, "provider_id of a volume, for administrators", "null"),
    done(22, "metadata filter of snapshots", ""),
    done(23, "delete with force", "for administrators"),
    absent(24, "clean-up of workers", NO_ROUTE),
    absent(25, "volumes of a group", NO_FIELD),
    absent(
        26,
        "fail-over and freeze of a cluster",
        "404; a freeze that names a cluster is 400",
    ),
    done(27, "attachments", ""),
    done(28, "filters of pools", ""),
    absent(29, "paging of group snapshots", NO_FIELD),
    done(30, "snapshots sort by name", ""),
    done(31, "unknown filters are refused", ""),
    absent(
        32,
        "log levels of services",
        "404: services of one process share one log, so no level could be of one of them",
    ),
    done(33, "the list of filters", ""),
    done(34, "filters that match a part (`name~`)", ""),
    done(35, "volume_type filter of pools", ""),
    done(36, "metadata in the volume summary", ""),
    done(37, "backups sort by name", "at every version"),
    absent(38, "replication of groups", NO_ROUTE),
    done(39, "limits of another project", "for administrators"),
    done(40, "revert to the newest snapshot", ""),
    done(41, "user_id of a snapshot", ""),
    done(42, "extend while in use", ""),
    done(43, "metadata of a backup", ""),
    done(44, "attachment complete", ""),
    done(45, "with_count of lists", ""),
    absent(
        46,
        "volume from a nova snapshot image",
        "400: there are no images to create from",
    ),
    done(47, "volume from a backup", ""),
    done(
        48,
        "shared_targets and service_uuid of a volume",
        "one target a volume: false",
    ),
    done(49, "backend_state of services", ""),
    done(50, "multiattach from the volume's type", ""),
    done(51, "zone of a backup", "that of its backup service"),
    done(
        52,
        "extra_specs filter of types",
        "the spec RESKEY:availability_zones is refused (400) until the scheduler keeps it",
    ),
    done(53, "unknown keys of a body are refused", ""),
    done(54, "mode of an attachment", ""),
    done(55, "transfers with snapshots", ""),
    done(56, "user_id of a backup", "for administrators"),
    done(
        57,
        "projects of a transfer",
        "a transfer that was accepted is gone, so accepted is false and the destination null",
    ),
    absent(58, "project of a group", NO_FIELD),
    done(
        59,
        "paging of transfers",
        "at every version; sort keys from 3.59 on",
    ),
    done(60, "created_at and updated_at filters of volumes", ""),
    done(61, "cluster_name of a volume, for administrators", "null"),
    done(62, "default type of a project", ""),
    done(63, "volume_type_id of a volume", ""),
    done(
        64,
        "encryption_key_id of a volume",
        "left out, as Cinder does for a volume that is not encrypted",
    ),
    done(65, "consumes_quota of volumes and snapshots", "true"),
    done(66, "snapshot in use without force", ""),
    done(
        67,
        "the project may be left out of the path",
        "at every version, as Cinder routes it",
    ),
    missing(
        68,
        "re-image",
        "below it nova refuses a rebuild of such a server at once; above it would fail in the middle",
    ),
    missing(
        69,
        "shared_targets may be null",
        "never null here, so nothing to do but 3.68",
    ),
    missing(70, "transfer of encrypted volumes", NO_ROUTE),
    missing(71, "completion of an extend by nova", NO_ACTION),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_once_and_in_order() {
        let minors: Vec<u16> = LADDER.iter().map(|step| step.minor).collect();
        assert_eq!(minors, (1..=71).collect::<Vec<u16>>());
    }

    #[test]
    fn what_is_not_done_says_what_a_client_sees() {
        for step in LADDER {
            assert!(
                step.state == State::Done || !step.note.is_empty(),
                "3.{}",
                step.minor
            );
        }
    }
}
