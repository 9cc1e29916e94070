//! `ashlar volume ...`

use serde_json::{Value, json};

use super::{pairs, put};
use crate::client::{Method, text};
use crate::failure::Failure;
use crate::find::{self, SNAPSHOT, TYPE, VOLUME};
use crate::grammar::{Arg, Given, Level, Verb};
use crate::output::{Answer, Column};
use crate::size::{self, Size};
use crate::{Session, ask, wait};

const SHORT: &[Column] = &[
    Column {
        head: "id",
        field: "id",
    },
    Column {
        head: "name",
        field: "name",
    },
    Column {
        head: "status",
        field: "status",
    },
    Column {
        head: "GiB",
        field: "size",
    },
    Column {
        head: "type",
        field: "volume_type",
    },
    Column {
        head: "created",
        field: "created_at",
    },
];

const LONG: &[Column] = &[
    Column {
        head: "id",
        field: "id",
    },
    Column {
        head: "name",
        field: "name",
    },
    Column {
        head: "description",
        field: "description",
    },
    Column {
        head: "status",
        field: "status",
    },
    Column {
        head: "GiB",
        field: "size",
    },
    Column {
        head: "type",
        field: "volume_type",
    },
    Column {
        head: "zone",
        field: "availability_zone",
    },
    Column {
        head: "from snapshot",
        field: "snapshot_id",
    },
    Column {
        head: "from volume",
        field: "source_volid",
    },
    Column {
        head: "bootable",
        field: "bootable",
    },
    Column {
        head: "multiattach",
        field: "multiattach",
    },
    Column {
        head: "pool",
        field: "os-vol-host-attr:host",
    },
    Column {
        head: "project",
        field: "os-vol-tenant-attr:tenant_id",
    },
    Column {
        head: "metadata",
        field: "metadata",
    },
    Column {
        head: "created",
        field: "created_at",
    },
    Column {
        head: "updated",
        field: "updated_at",
    },
];

pub(super) const CREATE: Verb = Verb {
    noun: "volume",
    name: "create",
    about: "Create a volume: empty, from a snapshot, or as a clone of a volume",
    args: &[
        Arg::Maybe("name", "its name"),
        Arg::Option(
            "size",
            "its size: 10, 10G or 1T; may be left out with a source",
        ),
        Arg::Option("type", "its volume type"),
        Arg::Option("snapshot", "the snapshot to start from"),
        Arg::Option("source", "the volume to clone"),
        Arg::Option("description", "what it is for"),
        Arg::Option("zone", "its availability zone"),
        Arg::Repeated("meta", "metadata, KEY=VALUE"),
    ],
    level: Level::Safe,
    columns: LONG,
    run: create,
};

fn create(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    let size_gib = match given.option("size").map(size::parse).transpose()? {
        Some(Size::Total(size_gib)) => Some(size_gib),
        Some(Size::More(_)) => {
            return Err(Failure::usage(
                "a new volume has no size to add to",
                "write --size 10G",
            ));
        }
        None => None,
    };
    let mut volume = json!({"metadata": pairs(&given.all("meta"))?});
    put(&mut volume, "name", given.option("name"));
    put(&mut volume, "description", given.option("description"));
    put(&mut volume, "availability_zone", given.option("zone"));
    if let Some(word) = given.option("type") {
        let kind = find::find(session, &TYPE, word)?;
        put(&mut volume, "volume_type", Some(&text(&kind, "id")));
    }
    let mut source_size = Value::Null;
    if let Some(word) = given.option("snapshot") {
        let snapshot = find::find(session, &SNAPSHOT, word)?;
        put(&mut volume, "snapshot_id", Some(&text(&snapshot, "id")));
        source_size = snapshot["size"].clone();
    }
    if let Some(word) = given.option("source") {
        let source = find::find(session, &VOLUME, word)?;
        put(&mut volume, "source_volid", Some(&text(&source, "id")));
        source_size = source["size"].clone();
    }
    volume["size"] = size_gib.map_or(source_size, Value::from);
    if volume["size"].is_null() {
        return Err(Failure::usage("the volume has no size", "write --size 10G"));
    }
    let body = json!({"volume": volume});
    let what = format!("creating the volume {}", given.word("name"));
    let answer = session
        .client
        .cinder(Method::Post, "/volumes", Some(&body))
        .map_err(|failure| failure.of(&what))?;
    Ok(Answer::One(wait::settled(
        session,
        &VOLUME,
        find::inner(&answer, "volume"),
    )?))
}

pub(super) const LIST: Verb = Verb {
    noun: "volume",
    name: "list",
    about: "List the volumes of the project",
    args: &[
        Arg::Option("status", "only those in this status"),
        Arg::Option("name", "only those of this name"),
        Arg::Flag("all-projects", "of every project (admin)"),
    ],
    level: Level::Safe,
    columns: SHORT,
    run: list,
};

fn list(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    let mut filters = Vec::new();
    for key in ["status", "name"] {
        if let Some(value) = given.option(key) {
            filters.push((key, value));
        }
    }
    if given.flag("all-projects") {
        filters.push(("all_tenants", "1"));
    }
    Ok(Answer::Many(session.client.list(
        VOLUME.list,
        VOLUME.collection,
        &filters,
    )?))
}

pub(super) const SHOW: Verb = Verb {
    noun: "volume",
    name: "show",
    about: "Show a volume",
    args: &[Arg::One(
        "volume",
        "its name, its id, or the start of its id",
    )],
    level: Level::Safe,
    columns: LONG,
    run: |session, given| {
        Ok(Answer::One(find::find(
            session,
            &VOLUME,
            given.word("volume"),
        )?))
    },
};

pub(super) const EXTEND: Verb = Verb {
    noun: "volume",
    name: "extend",
    about: "Make a volume larger, in use or not",
    args: &[
        Arg::One("volume", "its name or id"),
        Arg::One("size", "the new size (1T), or so much more (+100G)"),
    ],
    level: Level::Safe,
    columns: LONG,
    run: extend,
};

fn extend(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    let size = size::parse(given.word("size"))?;
    let volume = find::find(session, &VOLUME, given.word("volume"))?;
    let now = volume["size"].as_u64().unwrap_or(0);
    let new_size = match size {
        Size::Total(size_gib) => size_gib,
        Size::More(more_gib) => now.saturating_add(more_gib),
    };
    act(
        session,
        &volume,
        "extending",
        &json!({"os-extend": {"new_size": new_size}}),
    )
}

pub(super) const REVERT: Verb = Verb {
    noun: "volume",
    name: "revert",
    about: "Put a volume back to its newest snapshot; what was written since is lost",
    args: &[
        Arg::One("volume", "its name or id"),
        Arg::One("snapshot", "its newest snapshot, by name or id"),
    ],
    level: Level::Confirm,
    columns: LONG,
    run: revert,
};

fn revert(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    let volume = find::find(session, &VOLUME, given.word("volume"))?;
    let snapshot = find::find(session, &SNAPSHOT, given.word("snapshot"))?;
    ask::before(
        session,
        given,
        "revert",
        "volume",
        given.word("volume"),
        &volume,
    )?;
    let body = json!({"revert": {"snapshot_id": text(&snapshot, "id")}});
    act(session, &volume, "reverting", &body)
}

/// One of Cinder's actions; the answer is the volume afterwards.
fn act(session: &Session, volume: &Value, doing: &str, body: &Value) -> Result<Answer, Failure> {
    let id = text(volume, "id");
    session
        .client
        .cinder(Method::Post, &format!("/volumes/{id}/action"), Some(body))
        .map_err(|failure| failure.of(&format!("{doing} the volume {id}")))?;
    let volume = find::show(session, &VOLUME, &id)?;
    Ok(Answer::One(wait::settled(session, &VOLUME, volume)?))
}

pub(super) const DELETE: Verb = Verb {
    noun: "volume",
    name: "delete",
    about: "Delete volumes and what is in them",
    args: &[
        Arg::Many("volume", "names or ids"),
        Arg::Flag("cascade", "their snapshots too"),
        Arg::Flag("absent-ok", "a volume that is not there is no failure"),
    ],
    level: Level::TypeName,
    columns: &[],
    run: delete,
};

fn delete(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    ask::each(&given.all("volume"), |word| {
        let volume = match find::find(session, &VOLUME, word) {
            Err(failure)
                if given.flag("absent-ok") && failure.exit == crate::failure::Exit::NotFound =>
            {
                return Ok(());
            }
            other => other?,
        };
        ask::before(session, given, "deletion", "volume", word, &volume)?;
        let id = text(&volume, "id");
        let query = if given.flag("cascade") {
            "?cascade=true"
        } else {
            ""
        };
        session
            .client
            .cinder(Method::Delete, &format!("/volumes/{id}{query}"), None)
            .map_err(|failure| failure.of(&format!("deleting the volume {word}")))?;
        wait::gone(session, &VOLUME, &id)
    })
}
