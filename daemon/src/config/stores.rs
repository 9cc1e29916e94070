//! `[[backup_store]]`: where copies are kept, and what must hold of it.

use super::reader::{Reader, Section};
use super::written::must_be_name;
use super::{Backend, BackupStore, Places};
use crate::model::backup::StoreKind;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const KINDS: &[(&str, StoreKind)] = &[
    (StoreKind::Restic.as_str(), StoreKind::Restic),
    (StoreKind::Cinder.as_str(), StoreKind::Cinder),
    (StoreKind::Fake.as_str(), StoreKind::Fake),
];

const EXAMPLE: &str = "\"/srv/backups\"";

pub(super) fn check_stores<'r, 't>(
    reader: &'r Reader<'t>,
    top: &Section<'r, 't>,
    state_dir: Option<&Path>,
    backends: &[Backend],
    places: &mut Places,
) -> Vec<BackupStore> {
    let written: &[Spanned<DeValue<'t>>] = match top.value("backup_store").map(Spanned::get_ref) {
        None => &[],
        Some(DeValue::Array(list)) => list,
        Some(_) => {
            let why = "must be a list of tables: write [[backup_store]] with two brackets";
            top.wrong("backup_store", why);
            &[]
        }
    };
    let mut stores: Vec<BackupStore> = Vec::new();
    for one in written {
        let DeValue::Table(table) = one.get_ref() else {
            let what = "backup_store: must be a table: write [[backup_store]]".to_owned();
            reader.note(Some(&one.span()), what);
            continue;
        };
        let section = section(reader, table, one);
        let Some(store) = check_store(&section) else {
            continue;
        };
        check_among(&section, &store, &stores, backends, state_dir);
        places.stores.push(section.place("directory"));
        stores.push(store);
    }
    stores
}

fn section<'r, 't>(
    reader: &'r Reader<'t>,
    table: &'r DeTable<'t>,
    one: &Spanned<DeValue<'t>>,
) -> Section<'r, 't> {
    Section::new(reader, "backup_store", table, Some(one.span()))
}

fn check_store(section: &Section<'_, '_>) -> Option<BackupStore> {
    let name = section
        .text("name")
        .or_else(|| section.missing("name", "\"default\""));
    must_be_name(section, "name", name.as_deref());
    let kind = section.word("kind", KINDS).unwrap_or(StoreKind::Restic);
    let directory = section
        .path("directory", EXAMPLE)
        .or_else(|| section.missing("directory", EXAMPLE));
    let password_file = section.path("password_file", "\"/etc/ashlar/backup.key\"");
    let rate = section.rate("copy_mib_per_s");
    Some(BackupStore {
        name: name?,
        kind,
        directory: directory?,
        password_file,
        bytes_per_s: rate,
    })
}

/// What must hold between one store, those before it and the pools.
fn check_among(
    section: &Section<'_, '_>,
    store: &BackupStore,
    before: &[BackupStore],
    backends: &[Backend],
    state_dir: Option<&Path>,
) {
    if before.iter().any(|other| other.name == store.name) {
        let why = format!(
            "{:?} is there twice; give this one another name",
            store.name
        );
        section.wrong("name", &why);
    }
    let directory = store.directory.as_path();
    let overlaps = |other: &Path| directory.starts_with(other) || other.starts_with(directory);
    let pools = backends
        .iter()
        .filter_map(|one| Some((one.directory()?, "backend", &one.name)));
    let stores = before
        .iter()
        .map(|one| (one.directory.as_path(), "backup_store", &one.name));
    if let Some((path, noun, other)) = pools.chain(stores).find(|(path, ..)| overlaps(path)) {
        let why = format!(
            "{} and {} of {noun} {other} lie one in the other; a backup store needs a directory of its own, best on another device",
            directory.display(),
            path.display(),
        );
        section.wrong("directory", &why);
    }
    if state_dir.is_some_and(|state_dir| state_dir.starts_with(directory)) {
        let why = "state_dir lies in it; a backup store needs a directory of its own";
        section.wrong("directory", why);
    }
}
