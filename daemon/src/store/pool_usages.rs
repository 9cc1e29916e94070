//! How much lies in each pool: counters that triggers keep, so that the scheduler reads a row a pool, however many
//! volumes there are.
//!
//! The triggers are made with those of the events (`watched.rs`), in both engines' words. A test compares the counters
//! with the sums. Fails nowhere.

use super::watched::Dialect;

/// A table whose rows lie in pools: `host` says in which, `size_gib` how large.
struct Held {
    table: &'static str,
    /// The counter of its rows' sizes.
    gib: &'static str,
    /// What a row adds to the number of volumes.
    volumes: i64,
}

const HELD: &[Held] = &[
    Held {
        table: "volumes",
        gib: "volumes_gib",
        volumes: 1,
    },
    Held {
        table: "snapshots",
        gib: "snapshots_gib",
        volumes: 0,
    },
];

/// The script that makes the triggers.
pub(super) fn triggers(dialect: Dialect) -> String {
    let of_each = |held: &Held| {
        [
            trigger(dialect, held, "INSERT", "", &put(held)),
            trigger(dialect, held, "DELETE", "", &taken(held)),
            trigger(
                dialect,
                held,
                "UPDATE",
                "WHEN (OLD.host IS DISTINCT FROM NEW.host OR OLD.size_gib <> NEW.size_gib)",
                &(taken(held) + &put(held)),
            ),
        ]
        .concat()
    };
    HELD.iter().map(of_each).collect()
}

fn put(held: &Held) -> String {
    let (gib, volumes) = (held.gib, held.volumes);
    format!(
        "INSERT INTO pool_usages (address, {gib}, volumes) SELECT NEW.host, NEW.size_gib, {volumes} \
         WHERE NEW.host IS NOT NULL ON CONFLICT (address) DO UPDATE SET {gib} = pool_usages.{gib} + excluded.{gib}, \
         volumes = pool_usages.volumes + excluded.volumes;\n"
    )
}

fn taken(held: &Held) -> String {
    let (gib, volumes) = (held.gib, held.volumes);
    format!(
        "UPDATE pool_usages SET {gib} = {gib} - OLD.size_gib, volumes = volumes - {volumes} \
         WHERE address = OLD.host;\n"
    )
}

fn trigger(dialect: Dialect, held: &Held, verb: &str, when: &str, body: &str) -> String {
    let table = held.table;
    let name = format!("pool_usage_{table}_{}", verb.to_lowercase());
    match dialect {
        Dialect::Sqlite => format!(
            "DROP TRIGGER IF EXISTS {name};\n\
             CREATE TRIGGER {name} AFTER {verb} ON {table} FOR EACH ROW {when} BEGIN\n{body}END;\n"
        ),
        Dialect::Postgres => format!(
            "CREATE OR REPLACE FUNCTION {name}() RETURNS TRIGGER LANGUAGE plpgsql AS $usage$ BEGIN\n\
             {body}RETURN NULL;\nEND $usage$;\n\
             DROP TRIGGER IF EXISTS {name} ON {table};\n\
             CREATE TRIGGER {name} AFTER {verb} ON {table} FOR EACH ROW {when} EXECUTE FUNCTION {name}();\n"
        ),
    }
}
