//! The command line against a real daemon: its exit codes and forms, as scripts rely on them.

use anyhow::ensure;
use ashlar_tests::cli::Cli;
use ashlar_tests::client::id;
use ashlar_tests::config::Config;
use ashlar_tests::{Result, binary, with_daemon};

#[test]
fn names_ids_prefixes_and_exit_codes() -> Result<()> {
    with_daemon(
        Config {
            driver: "fake",
            quota_gib: 10,
            ..Config::default()
        },
        |daemon| {
            let cli = Cli::new(binary::ashlar()?, &daemon.socket());
            let made = cli.one(&[
                "volume", "create", "db", "--size", "1G", "--meta", "a=b", "--wait",
            ])?;
            ensure!(made["status"] == "available", "{made}");
            let volume = id(&made)?;
            for word in ["db", volume.as_str()] {
                ensure!(
                    id(&cli.one(&["volume", "show", word])?)? == volume,
                    "{word}"
                );
            }
            cli.refused(&["volume", "show", "nosuch"], 3)?;
            // A script may not shorten an id: what is unique today is not tomorrow.
            cli.refused(&["volume", "show", &volume[..8]], 3)?;
            cli.refused(&["volume", "create", "big", "--size", "1T"], 6)?;
            cli.refused(&["volume", "extend", "db", "1"], 1)?;
            cli.refused(&["volume", "delete", "db"], 10)?;
            cli.refused(&["volume", "eat"], 2)?;
            cli.done(&["volume", "create", "db", "--size", "1", "--wait"])?;
            let both = cli.refused(&["volume", "show", "db"], 4)?;
            ensure!(both.contains(&volume), "{both}");
            cli.done(&["snapshot", "create", &volume, "s", "--wait"])?;
            let kept = cli.refused(&["volume", "delete", &volume, "--yes-delete", &volume], 5)?;
            ensure!(kept.contains("request req-"), "{kept}");
            let delete = [
                "volume",
                "delete",
                &volume,
                "nosuch",
                "--cascade",
                "--yes-delete",
                &volume,
            ];
            cli.refused(&delete, 7)?;
            ensure!(
                !cli.all(&["operation", "list"])?.is_empty(),
                "the journal is empty"
            );
            ensure!(cli.one(&["version"])?["api"] == "v3.0", "no version");
            Ok(())
        },
    )
}

#[test]
fn a_hostile_name_does_not_reach_the_terminal() -> Result<()> {
    with_daemon(
        Config {
            driver: "fake",
            ..Config::default()
        },
        |daemon| {
            let cli = Cli::new(binary::ashlar()?, &daemon.socket());
            let name = "a\u{1b}[2Jb";
            cli.done(&["volume", "create", name, "--size", "1", "--wait"])?;
            let ended = cli.run(&["volume", "list"])?;
            ensure!(
                ended.stdout.contains("a[2Jb") && !ended.stdout.contains('\u{1b}'),
                "{ended:?}"
            );
            Ok(())
        },
    )
}
