//! `docs/cinder-api.md`, printed from the route table, the actions, the filters and the ladder.

use super::ladder::LADDER;
use super::microversion::maximum;
use super::routes::ROUTES;
use super::v3::backups::ACTIONS as BACKUP_ACTIONS;
use super::v3::resource_filters::RESOURCES;
use super::v3::snapshot_actions::ACTIONS as SNAPSHOT_ACTIONS;
use super::v3::volume_actions::ACTIONS;
use std::fmt::Write as _;

/// Where an endpoint answers otherwise than Cinder does, and why.
const DIFFERS: &[(&str, &str)] = &[
    (
        "every list",
        "an unknown filter is 400 for administrators too (from 3.31; Cinder answers them an empty list)",
    ),
    (
        "every path",
        "an administrator may name any project and then acts in it (Cinder: 400)",
    ),
    (
        "every path",
        "a wrong verb on a known path is 405 (Cinder: 404)",
    ),
    (
        "every body",
        "a body without `Content-Type: application/json` is refused: 400 when nothing is said, 415 otherwise",
    ),
    ("every body", "a text with a NUL character is 400"),
    (
        "OpenStack-API-Version",
        "a header that speaks of other services only counts as absent (Cinder: an error)",
    ),
    (
        "POST /v3/attachments",
        "`instance_uuid` may be null, as clients without nova send it",
    ),
    (
        "POST /v3/attachments/{id}/action os-complete",
        "refused (400) when the attachment was never connected; sets `attached_at`",
    ),
    (
        "PUT /v3/attachments/{id}, os-initialize_connection",
        "a connector without a well-formed iSCSI initiator is 400",
    ),
    (
        "connection_info",
        "`mutual_auth_username` and `mutual_auth_password` beside Cinder's keys where the target proves itself to the host in turn (`target.mutual_chap`); clients that do not know them ask for no proof",
    ),
    (
        "POST /v3/volumes",
        "scheduler hints are read and have no effect, as in a Cinder with its default filters",
    ),
    (
        "PUT /v3/os-services/freeze, thaw",
        "what is so already is 200 (Cinder: 400)",
    ),
    (
        "a frozen service",
        "refuses an extend (Cinder: error_extending) and a revert (Cinder: allowed) as it refuses a delete: 400",
    ),
    (
        "a disabled service",
        "volumes that it has may grow (Cinder: error_extending); it gets no new ones",
    ),
    (
        "GET /v3/scheduler-stats/get_pools",
        "pools of services that are down, disabled or frozen are listed too; `backend_state` says which are down",
    ),
    (
        "GET, PUT /v3/os-hosts",
        "disabled hosts are listed, and can be enabled again (Cinder: 404)",
    ),
    ("GET /v3/extensions", "only what has its routes here"),
    (
        "GET /v3/messages",
        "after Cinder's sentence the reason in words; a failed delete, detach or revert leaves a message too",
    ),
    (
        "POST /v3/volumes/{id}/action os-reset_status",
        "what is asked becomes true or is refused (400): a status that an operation shows while it runs cannot be asked for; `available` and its like need the volume's bytes; a status that attachments or hosts that are let in belie is refused with their names; `attach_status: detached` shuts the hosts out before the attachments go (Cinder deletes their rows and leaves the hosts connected); an offered volume is offered no more",
    ),
    (
        "POST /v3/volumes/{id}/action os-reset_status",
        "`attach_status: detached` alone leaves an error status and `maintenance`; `attach_status: attached` is refused unless it is so; `migration_status` can only be `none`",
    ),
    (
        "POST /v3/snapshots/{id}/action os-reset_status",
        "`available`, `error` and `error_deleting` only: no operation would end the others",
    ),
    (
        "POST /v3/snapshots/{id}/action os-update_snapshot_status",
        "always 400: no snapshot here is made with nova's help",
    ),
    (
        "POST /v3/volumes/{id}/action os-force_detach, os-detach; DELETE /v3/attachments/{id}",
        "nobody asks nova whether an instance still has the volume; the host is shut out first",
    ),
    (
        "POST /v3/volumes/{id}/action os-update_readonly_flag",
        "also refused (400) while a legacy connection without an attachment lets a host in",
    ),
    (
        "GET /v3/volumes",
        "`readonly` stands in the metadata once it was set, as in Cinder; `attached_mode`, which Cinder's os-attach adds, does not: the attachment has it",
    ),
    (
        "POST /v3/volume-transfers",
        "refused (400) while a host is let in without an attachment; on accept a private type that the receiver may not use is 400",
    ),
    (
        "POST /v3/volumes",
        "a type with an encryption record is 400: Ashlar does not encrypt, and makes nothing plain under that label",
    ),
    (
        "PUT /v3/qos-specs/{id}/delete_keys",
        "all keys or none (Cinder removes those before the first that is not there); null values are 400",
    ),
    (
        "PUT /v3/os-quota-sets/{id}",
        "all limits or none, and never below what is in use, also when requests race",
    ),
    (
        "every change",
        "an object that a running operation holds answers 409 with that operation's id",
    ),
    (
        "GET /v3/manageable_volumes, /v3/manageable_snapshots",
        "what is managed already is not listed; a file `volume-<id>.snapshot-<id>` is listed with snapshots, any other with volumes",
    ),
    (
        "POST /v3/manageable_volumes, /v3/manageable_snapshots",
        "`ref` must be `{\"source-name\": name}`; a snapshot larger than its volume is refused",
    ),
    (
        "GET /v3/backups/{id}",
        "`has_dependent_backups` is always false, and any backup can be deleted in any order: each is whole by itself, and `is_incremental` says only that an earlier one spared it reading",
    ),
    (
        "POST /v3/backups",
        "`container` names a backup store; one that is not up is 503. A parent is looked for among the project's available backups in that store (Cinder: 400 when the newest is not available)",
    ),
    (
        "POST /v3/backups",
        "a volume in use is copied from a snapshot of the driver's, also one that is available and that a legacy connection lets a host in to",
    ),
    (
        "POST /v3/backups/{id}/restore",
        "answers at once, also for a new volume (Cinder waits until that is made); one that failed or was cancelled in its midst leaves a volume that was there in `error_restoring`",
    ),
    (
        "POST /v3/backups/{id}/action os-reset_status",
        "`available` is refused (400) when the backup is not in its store",
    ),
    ("DELETE /v3/backups/{id}", "also from `error_deleting`"),
    (
        "backup records",
        "`backup_service` is `ashlar`, and `backup_url` holds the name of the store and what the backup says of itself; records of Cinder's own drivers are 400",
    ),
    (
        "os-retype",
        "with the policy `on-demand` a volume whose pool cannot be of the new type is moved to a pool of the same host; one that cannot move (in use, with snapshots) is refused at once (400), where Cinder answers 202 and fails later; `migration_status` stays null",
    ),
];

fn page() -> String {
    let mut page = format!(
        "# Cinder's API here\n\n\
         Printed from the tables in `daemon/src/api/` by its tests (`ASHLAR_BLESS=1 cargo test -p ashlar-daemon docs`);\n\
         do not edit. Advertised: 3.0 to **{}**.\n\n## Routes\n\n\
         A project may stand after `/v3`. What is not listed answers 404.\n\n| method | path | from |\n| --- | --- | --- |\n",
        maximum()
    );
    for route in ROUTES {
        let method = route.method.to_uppercase();
        writeln!(page, "| {method} | `{}` | 3.{} |", route.path, route.since).unwrap();
    }
    page.push_str("\n## Actions of a volume\n\nOthers answer 400: no such action.\n\n| action | from |\n| --- | --- |\n");
    for (name, since) in ACTIONS {
        writeln!(page, "| `{name}` | 3.{since} |").unwrap();
    }
    page.push_str("\n## Actions of a snapshot\n\n| action | from |\n| --- | --- |\n");
    for (name, since) in SNAPSHOT_ACTIONS {
        writeln!(page, "| `{name}` | 3.{since} |").unwrap();
    }
    page.push_str("\n## Actions of a backup\n\n| action | from |\n| --- | --- |\n");
    for (name, since) in BACKUP_ACTIONS {
        writeln!(page, "| `{name}` | 3.{since} |").unwrap();
    }
    page.push_str(
        "\n## Filters of lists\n\n| list | filter | from | for |\n| --- | --- | --- | --- |\n",
    );
    for (resource, listing) in RESOURCES {
        for rule in listing.filters {
            let whom = if rule.for_admins {
                "administrators"
            } else {
                "everybody"
            };
            writeln!(
                page,
                "| {resource} | `{}` | 3.{} | {whom} |",
                rule.wire, rule.since
            )
            .unwrap();
        }
    }
    page.push_str("\n## Where we differ\n\n| where | how |\n| --- | --- |\n");
    for (place, how) in DIFFERS {
        writeln!(page, "| {place} | {how} |").unwrap();
    }
    page.push_str(
        "\n## The ladder\n\n*done*: as in Cinder. *absent*: answers as a Cinder without the feature, and nothing wrong can come of it.\n\
         *missing*: advertising it would mislead a client, so the advertised maximum ends below it.\n\n\
         | step | changes | here | what a client sees |\n| --- | --- | --- | --- |\n",
    );
    for step in LADDER {
        let (state, note) = (step.state.as_str(), step.note);
        writeln!(
            page,
            "| 3.{} | {} | {state} | {note} |",
            step.minor, step.changes
        )
        .unwrap();
    }
    page
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test asks whether to rewrite the page it checks"
)]
fn the_page_is_printed_from_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cinder-api.md");
    if std::env::var("ASHLAR_BLESS").is_ok() {
        std::fs::write(path, page()).unwrap();
    }
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        checked_in,
        page(),
        "docs/cinder-api.md differs from the tables: run with ASHLAR_BLESS=1"
    );
}
