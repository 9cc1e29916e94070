//! The invariants of `docs/architecture.md` and the rules of the house, checked over the sources.
//!
//! Text is enough for this: a rule that a search cannot check is a rule that a reader cannot check either.

use anyhow::{Context as _, ensure};
use ashlar_tests::{Result, binary, cmd};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// A file is read in one sitting.
const FILE_LINES_MAX: usize = 500;
/// Each with its reason.
const LONGER: &[(&str, &str)] = &[
    (
        "daemon/src/driver/file.rs",
        "the driver's verbs in the order of the contract, each beside what undoes it",
    ),
    (
        "daemon/src/ops/begin.rs",
        "one guarded transaction and the reasons for its refusal, which must be read side by side",
    ),
    (
        "daemon/src/model/status.rs",
        "THE TABLE is one table: which statuses meet shows only side by side",
    ),
    (
        "daemon/src/target/iscsi/pdu.rs",
        "the layouts of RFC 7143 section 11 in its order, each a few lines of offsets",
    ),
    (
        "daemon/src/target/iscsi/registry.rs",
        "exports and sessions change under one lock, and that nothing is missed shows only whole",
    ),
];
/// The bird's eye view stays one.
const ARCHITECTURE_LINES_MAX: usize = 200;

struct Source {
    path: String,
    /// Without what is compiled for tests only.
    code: String,
    whole: String,
}

fn sources() -> Result<Vec<Source>> {
    let top = binary::workspace();
    let mut found = Vec::new();
    for member in ["daemon", "dbus", "tui", "tests"] {
        walk(&top, &top.join(member), &mut found)?;
    }
    ensure!(found.len() > 50, "only {} sources were found", found.len());
    Ok(found)
}

fn walk(top: &Path, dir: &Path, found: &mut Vec<Source>) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("target/debug") {
            walk(top, &path, found)?;
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let whole = std::fs::read_to_string(&path)?;
            let path = path.strip_prefix(top)?.to_string_lossy().into_owned();
            let code = whole
                .split("#[cfg(test)]\nmod tests {")
                .next()
                .unwrap_or_default();
            let lines = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let code = lines.collect::<Vec<_>>().join("\n");
            found.push(Source { path, code, whole });
        }
    }
    Ok(())
}

/// Files below `place` whose code holds one of `words`, except those below `except`.
fn offenders(place: &str, words: &[&str], except: &[&str]) -> Result<Vec<String>> {
    let is_exempt = |path: &str| except.iter().any(|other| path.starts_with(other));
    let mut found = Vec::new();
    for source in sources()? {
        let applies = source.path.starts_with(place) && !is_exempt(&source.path);
        if !applies || (source.path.starts_with("daemon/") && is_test_code(&source.path)) {
            continue;
        }
        for (number, line) in source.code.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                found.push(format!(
                    "{}: `{word}` (line {} of its code)",
                    source.path,
                    number + 1
                ));
            }
        }
    }
    Ok(found)
}

/// Files that are compiled for tests only, by their names.
fn is_test_code(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
        || path.ends_with("/testing.rs")
        || path.contains("/tests/")
        || path.contains("/contract/")
        || path.ends_with("/contract.rs")
}

fn nobody(rule: &str, found: &[String]) -> Result<()> {
    ensure!(found.is_empty(), "{rule}\n  {}", found.join("\n  "));
    Ok(())
}

#[test]
fn model_knows_nothing() -> Result<()> {
    let others = [
        "crate::api",
        "crate::ops",
        "crate::store",
        "crate::driver",
        "crate::target",
        "crate::schedule",
        "crate::config",
        "crate::cmd",
        "serde",
        "tokio",
        "std::fs",
        "std::net",
        "axum",
        "async fn",
    ];
    nobody(
        "model knows nothing of the rest",
        &offenders("daemon/src/model/", &others, &[])?,
    )
}

#[test]
fn api_changes_things_through_begin_only() -> Result<()> {
    let edges = ["crate::driver", "crate::target", "Connection"];
    let found = offenders("daemon/src/api/", &edges, &["daemon/src/api/server.rs"])?;
    nobody("api never calls a driver or a target", &found)
}

#[test]
fn ops_sees_traits_never_a_concrete_edge() -> Result<()> {
    let concrete = [
        "driver::file",
        "driver::fake",
        "driver::lvm",
        "backup::fake",
        "backup::restic",
        "backup::cinder",
        "target::iscsi",
        "target::lio",
        "axum",
        "StatusCode",
        "hyper",
        "crate::api",
    ];
    nobody(
        "ops sees traits only",
        &offenders("daemon/src/ops/", &concrete, &[])?,
    )
}

#[test]
fn edges_know_no_status_and_no_row() -> Result<()> {
    let words = ["crate::store", "crate::ops", "crate::api", "model::status"];
    nobody(
        "a driver knows no row",
        &offenders("daemon/src/driver/", &words, &[])?,
    )?;
    nobody(
        "a target knows no row",
        &offenders("daemon/src/target/", &words, &[])?,
    )?;
    nobody(
        "a backup engine knows no row",
        &offenders("daemon/src/backup/", &words, &[])?,
    )?;
    let library = offenders(
        "daemon/src/",
        &["rustic_core"],
        &["daemon/src/backup/restic"],
    )?;
    nobody("rustic_core is in backup/restic", &library)
}

#[test]
fn sql_is_in_store_only() -> Result<()> {
    let words = [
        "SELECT ",
        "INSERT INTO",
        "DELETE FROM",
        "rusqlite",
        "tokio_postgres",
    ];
    nobody(
        "SQL lives in store",
        &offenders("daemon/src/", &words, &["daemon/src/store/"])?,
    )
}

#[test]
fn http_codes_are_in_one_file() -> Result<()> {
    let words = ["StatusCode::"];
    let found = offenders("daemon/src/", &words, &["daemon/src/api/error.rs"])?;
    nobody("HTTP codes appear in api/error.rs", &found)
}

#[test]
fn programs_configfs_unsafe_and_the_bus_have_one_place_each() -> Result<()> {
    let mut commands = offenders(
        "",
        &["Command::new("],
        &["daemon/src/cmd.rs", "tests/src/cmd.rs", "tui/src/cmd.rs"],
    )?;
    // clap's Command is no program.
    commands.retain(|line| is_elsewhere(line) && !line.starts_with("tui/src/grammar.rs"));
    nobody("programs are started in cmd.rs", &commands)?;
    let configfs = offenders(
        "daemon/",
        &["/sys/kernel/config"],
        &["daemon/src/target/configfs.rs"],
    )?;
    nobody("configfs is touched in target/configfs.rs", &configfs)?;
    let bus = offenders("daemon/", &["zbus"], &[])?;
    nobody("zbus is in dbus/", &bus)?;
    let mut unsafes = offenders(
        "",
        &["unsafe {", "unsafe fn", "unsafe impl"],
        &["daemon/src/sys/"],
    )?;
    unsafes.retain(|line| is_elsewhere(line));
    nobody("unsafe is in daemon/src/sys", &unsafes)
}

/// The rules themselves name what they forbid.
fn is_elsewhere(line: &str) -> bool {
    !line.starts_with("tests/tests/tidy.rs")
}

#[test]
fn every_module_says_what_it_is_for() -> Result<()> {
    let mut found = Vec::new();
    for source in sources()? {
        if !source.whole.starts_with("//! ") && !source.path.ends_with("/tests.rs") {
            found.push(source.path);
        }
    }
    nobody("every module opens with //!", &found)
}

#[test]
fn files_are_short_and_well_named() -> Result<()> {
    let mut found = Vec::new();
    for source in sources()? {
        let lines = source
            .whole
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
            .lines();
        let count = lines.count();
        let is_excused = LONGER.iter().any(|(path, _)| *path == source.path);
        if count > FILE_LINES_MAX && !is_excused && !is_test_code(&source.path) {
            found.push(format!("{}: {count} lines; split it by noun", source.path));
        }
        let stem = Path::new(&source.path)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        if ["utils", "util", "helpers", "common", "misc", "manager"].contains(&stem.as_ref()) {
            found.push(format!("{}: that name says nothing", source.path));
        }
    }
    for (path, reason) in LONGER {
        ensure!(!reason.is_empty(), "{path} is long without a reason");
    }
    nobody("files are short and well named", &found)
}

#[test]
fn nothing_is_unfinished_ignored_or_silenced() -> Result<()> {
    let words = [
        "todo!(",
        "unimplemented!(",
        "#[ignore",
        "#[allow(",
        "#![allow(",
    ];
    let mut found = Vec::new();
    for source in sources()?
        .iter()
        .filter(|source| source.path != "tests/tests/tidy.rs")
    {
        for word in words.iter().filter(|word| source.whole.contains(**word)) {
            found.push(format!("{}: {word}", source.path));
        }
    }
    nobody(
        "nothing is unfinished, ignored or silenced without a reason",
        &found,
    )
}

#[test]
fn nobody_sleeps_in_a_test() -> Result<()> {
    let mut found = Vec::new();
    let may = ["tests/src/wait.rs", "tests/tests/tidy.rs"];
    for source in sources()?
        .iter()
        .filter(|source| !may.contains(&source.path.as_str()))
    {
        let is_test_file = source.path.starts_with("tests/") || source.path.ends_with("/tests.rs");
        let test_code = match source.whole.split_once("#[cfg(test)]\nmod tests {") {
            _ if is_test_file => source.whole.as_str(),
            Some((_, tests)) => tests,
            None => continue,
        };
        // A pause between two looks is a wait; it has its deadline in sight.
        let lines: Vec<&str> = test_code.lines().collect();
        for (number, _) in lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.contains("sleep("))
        {
            let near = lines[number.saturating_sub(6)..number].join(" ");
            if !near.contains("deadline") {
                found.push(format!("{}: {}", source.path, lines[number].trim()));
            }
        }
    }
    nobody(
        "tests wait for a thing with a deadline, and never sleep",
        &found,
    )
}

#[test]
fn members_do_not_depend_on_each_other() -> Result<()> {
    for member in ["dbus", "tui", "tests"] {
        let manifest =
            std::fs::read_to_string(binary::workspace().join(member).join("Cargo.toml"))?;
        let dependencies = manifest.split("dependencies]").skip(1).collect::<String>();
        ensure!(
            !dependencies.contains("ashlar"),
            "{member} depends on another member"
        );
        ensure!(
            !dependencies.contains("path ="),
            "{member} depends on a path"
        );
    }
    Ok(())
}

/// What a dependency's licence may be: `deny.toml` says so, and this holds where cargo-deny is not installed.
#[test]
fn every_dependency_has_a_licence_that_we_may_use() -> Result<()> {
    let top = binary::workspace();
    let deny = std::fs::read_to_string(top.join("deny.toml"))?;
    let list = deny
        .split("allow = [")
        .nth(1)
        .and_then(|rest| rest.split(']').next());
    let list = list.context("deny.toml allows nothing")?;
    let allowed: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    let mut command = binary::cargo();
    // What is built here: crates of other systems are not even fetched.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    command
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform", &platform])
        .current_dir(top);
    let ended = cmd::run_ok(&mut command, Duration::from_secs(60))?;
    let metadata: Value = serde_json::from_str(&ended.stdout)?;
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().context("no packages")? {
        let licence = package["license"].as_str().unwrap_or_default();
        if !is_allowed(licence, &allowed) {
            found.push(format!(
                "{} {}: {licence:?}",
                package["name"], package["version"]
            ));
        }
    }
    nobody("licences are those of deny.toml", &found)
}

/// An SPDX expression: every AND part needs one OR part that is allowed. `/` is the old spelling of OR.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    !plain.trim().is_empty()
        && plain
            .split(" AND ")
            .all(|part| part.split(" OR ").any(|one| allowed.contains(one.trim())))
}

#[test]
fn the_pages_say_what_they_must() -> Result<()> {
    let top = binary::workspace();
    let read =
        |path: &str| std::fs::read_to_string(top.join(path)).with_context(|| path.to_owned());
    let lines = read("docs/architecture.md")?.lines().count();
    ensure!(
        lines < ARCHITECTURE_LINES_MAX,
        "docs/architecture.md has {lines} lines"
    );
    let readme = read("README.md")?;
    for command in ["make try", "make check"] {
        ensure!(
            readme.contains(command),
            "README.md does not name `{command}`"
        );
    }
    ensure!(
        read(".ci/run")?.contains("make check"),
        ".ci/run does not run `make check`"
    );
    ensure!(
        read("CHANGELOG.md")?.contains("## [Unreleased]"),
        "CHANGELOG.md has no Unreleased"
    );
    Ok(())
}

/// Every file that a page or a comment names is there.
#[test]
fn walkthroughs_name_files_that_exist() -> Result<()> {
    let top = binary::workspace();
    let mut found = Vec::new();
    for page in ["docs/architecture.md", "docs/walkthroughs.md"] {
        let text = std::fs::read_to_string(top.join(page)).with_context(|| page.to_owned())?;
        for word in text.split('`').skip(1).step_by(2) {
            let is_path = ["daemon/", "dbus/", "tui/", "tests/", "docs/"]
                .iter()
                .any(|start| word.starts_with(start) && word.len() > start.len());
            let plain = word
                .split("::")
                .next()
                .unwrap_or_default()
                .trim_end_matches('/');
            if is_path && !plain.contains(['{', '*', ' ', '<']) && !top.join(plain).exists() {
                found.push(format!("{page}: {word}"));
            }
        }
    }
    nobody("pages name files that exist", &found)
}

#[test]
fn licence_expressions_are_read_rightly() {
    let allowed: BTreeSet<&str> = ["MIT", "Apache-2.0", "Unicode-3.0"].into();
    for good in [
        "MIT",
        "MIT OR GPL-3.0",
        "GPL-2.0/MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
    ] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(GPL-3.0 OR MPL-2.0) AND MIT",
    ] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}
