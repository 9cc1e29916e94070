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

#[test]
fn lists_are_filtered_sorted_cut_and_shown_in_every_form() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let cli = Cli::new(binary::ashlar()?, &daemon.socket());
        for (name, size) in [("pg-1", "3G"), ("pg-2", "1G"), ("web", "2G")] {
            cli.done(&["volume", "create", name, "--size", size, "--wait"])?;
        }
        let shown = |args: &[&str]| -> Result<String> {
            let ended = cli.run(&[&["volume", "list"], args].concat())?;
            ensure!(ended.status.success(), "{args:?}: {}", ended.stderr);
            Ok(ended.stdout)
        };
        let names = |args: &[&str]| {
            Ok::<_, anyhow::Error>(
                shown(&[args, &["-o", "value", "-c", "name"]].concat())?.replace('\n', " "),
            )
        };
        ensure!(names(&["--filter", "pg", "--sort", "size"])? == "pg-2 pg-1 ");
        ensure!(names(&["--filter", "size>1G !pg", "--sort", "name"])? == "web ");
        ensure!(names(&["--filter", "status=error|creating"])?.is_empty());
        ensure!(names(&["--sort", "name:desc", "--limit", "2"])? == "web pg-2 ");
        ensure!(
            names(&["--sort", "name", "--filter", "age<1h", "--marker", "web"])?.starts_with("pg-")
        );
        let exact = shown(&["--filter", "web", "-Hp", "-c", "name,size"])?;
        ensure!(exact == "web\t2147483648\n", "{exact}");
        let openstack = shown(&["-f", "json", "-c", "ID", "-c", "Name", "--filter", "web"])?;
        let openstack: serde_json::Value = serde_json::from_str(&openstack)?;
        ensure!(
            openstack["items"][0]["name"] == "web" && openstack["items"][0].get("status").is_none()
        );
        ensure!(shown(&["-o", "jsonl"])?.lines().count() == 3);
        ensure!(shown(&["-o", "csv", "--limit", "1"])?.lines().count() == 2);
        ensure!(shown(&["-o", "yaml"])?.starts_with("schema: \"ashlar.volume/1\"\nitems:\n- "));
        ensure!(shown(&["-o", "wide"])?.starts_with("ID "));
        cli.refused(&["volume", "list", "--filter", "status="], 2)?;
        cli.refused(&["volume", "list", "--filter", "colour=red"], 2)?;
        cli.refused(&["volume", "list", "-c", "colour"], 2)?;
        Ok(())
    })
}

#[test]
fn nothing_is_changed_by_a_dry_run_a_read_only_call_or_without_an_answer() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let cli = Cli::new(binary::ashlar()?, &daemon.socket());
        cli.done(&["volume", "create", "db", "--size", "1G", "--wait"])?;
        for line in [
            &["volume", "create", "x", "--size", "1G", "-n"][..],
            &["volume", "delete", "db", "-n"],
            &["volume", "extend", "db", "2G", "-n"],
            &["volume", "set", "db", "--name", "other", "-n"],
            &["type", "create", "gold", "-n"],
        ] {
            let ended = cli.run(line)?;
            ensure!(ended.status.success(), "{line:?}: {}", ended.stderr);
        }
        let error = cli.refused(&["volume", "delete", "db", "-o", "json"], 10)?;
        let error: serde_json::Value = serde_json::from_str(error.lines().last().unwrap_or(""))?;
        ensure!(
            error["error"]["code"] == "unconfirmed" && error["error"]["unchanged"] == true,
            "{error}"
        );
        let read_only = cli.clone().with("ASHLAR_READONLY", "1");
        read_only.refused(&["volume", "delete", "db", "--yes-delete", "db"], 12)?;
        read_only.done(&["volume", "show", "db"])?;
        let volumes = cli.all(&["volume", "list"])?;
        ensure!(
            volumes.len() == 1 && volumes[0]["name"] == "db" && volumes[0]["size"] == 1,
            "{volumes:?}"
        );
        ensure!(
            cli.all(&["type", "list"])?.len() == 1,
            "a dry run made a type"
        );
        let nowhere = cli.with("ASHLAR_ENDPOINT", "unix:/nonexistent/api.sock");
        nowhere.refused(&["volume", "list"], 9)?;
        Ok(())
    })
}

#[test]
fn ids_come_from_standard_input_and_waits_end() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let cli = Cli::new(binary::ashlar()?, &daemon.socket());
        for name in ["a", "b"] {
            cli.done(&["volume", "create", name, "--size", "1G", "--wait=available"])?;
        }
        let ids = cli.run(&["volume", "list", "-o", "id"])?.stdout;
        let none = cli.run_with_input(&["volume", "delete", "-", "--yes-delete", "x"], "")?;
        ensure!(
            none.status.success() && none.stderr.contains("nothing to do"),
            "{none:?}"
        );
        let delete = [
            "volume",
            "delete",
            "-",
            "--yes-delete",
            "delete 2",
            "--wait",
        ];
        let deleted = cli.run_with_input(&delete, &ids)?;
        ensure!(deleted.status.success(), "{}", deleted.stderr);
        ensure!(cli.all(&["volume", "list"])?.is_empty());
        cli.done(&["volume", "delete", "a", "--absent-ok", "--yes-delete", "a"])?;
        let made = cli.one(&[
            "volume",
            "create",
            "c",
            "--size",
            "1G",
            "--exists-ok",
            "--wait",
        ])?;
        let again = cli.one(&["volume", "create", "c", "--size", "1G", "--exists-ok"])?;
        ensure!(id(&made)? == id(&again)?, "a second volume was made");
        cli.refused(
            &[
                "volume",
                "set",
                "c",
                "--name",
                "d",
                "--wait=nosuch",
                "--timeout",
                "x",
            ],
            2,
        )?;
        let late = [
            "volume",
            "extend",
            "c",
            "2G",
            "--wait=in-use",
            "--timeout",
            "1s",
        ];
        cli.refused(&late, 8)?;
        for operation in cli.all(&["operation", "list"])? {
            cli.done(&["operation", "wait", &id(&operation)?])?;
        }
        Ok(())
    })
}

#[test]
fn what_an_admin_looks_at_is_there() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let cli = Cli::new(binary::ashlar()?, &daemon.socket());
        cli.done(&["volume", "create", "db", "--size", "1G", "--wait"])?;
        let pools = cli.all(&["pool", "list"])?;
        ensure!(
            pools.len() == 1 && pools[0]["used_pct"].is_number(),
            "{pools:?}"
        );
        ensure!(cli.all(&["service", "list", "--filter", "state=up"])?.len() == 3);
        ensure!(cli.one(&["zone", "list"])?["zoneName"] == "nova");
        ensure!(cli.one(&["volume", "summary"])?["total_count"] == 1);
        let quota = cli.all(&["quota", "show", "--filter", "resource=volumes"])?;
        ensure!(quota[0]["in_use"] == 1, "{quota:?}");
        let events = cli.all(&["event", "list", "--filter", "kind=volume"])?;
        ensure!(!events.is_empty(), "no events");
        // What is kept comes at once; the limit ends the watch.
        let watched = cli.run(&[
            "event", "watch", "--since", "0", "--limit", "3", "-o", "jsonl",
        ])?;
        ensure!(
            watched.status.success() && watched.stdout.lines().count() == 3,
            "{watched:?}"
        );
        let explained = cli.run(&["explain", "volume.status", "available"])?;
        ensure!(explained.stdout.contains("delete_volume"), "{explained:?}");
        Ok(())
    })
}

#[test]
fn a_shell_completes_words_and_names_and_a_closed_pipe_is_quiet() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let cli = Cli::new(binary::ashlar()?, &daemon.socket());
        for name in ["pg-prod", "with blank"] {
            cli.done(&["volume", "create", name, "--size", "1G", "--wait"])?;
        }
        let script = r#"
            set -u
            source <(ashlar completion bash)
            try() { COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMPREPLY=(); _ashlar; echo "${COMPREPLY[*]-}"; }
            try ashlar volu
            try ashlar volume ext
            try ashlar volume show pg
            try ashlar volume show wi
            ashlar volume list -o jsonl | :
            echo "${PIPESTATUS[0]}"
        "#;
        let ended = cli.shell("bash", script)?;
        let lines: Vec<&str> = ended.stdout.lines().collect();
        // A name with a blank is offered by its id, which no shell takes apart.
        ensure!(
            lines == ["volume", "extend", "pg-prod", "", "0"],
            "{ended:?}"
        );
        ensure!(ended.stderr.is_empty(), "{}", ended.stderr);
        Ok(())
    })
}

fn fake() -> Config {
    Config {
        driver: "fake",
        ..Config::default()
    }
}

#[test]
fn at_a_terminal_it_asks_and_only_the_name_is_a_yes() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let cli = Cli::new(binary::ashlar()?, &daemon.socket());
        for name in ["db", "e\u{1b}[2Jvil"] {
            cli.done(&["volume", "create", name, "--size", "1G", "--wait"])?;
        }
        let db = id(&cli.one(&["volume", "show", "db"])?)?;
        // util-linux's `script` gives it a terminal.
        let script = format!(
            r#"
            typed() {{ printf '%s\n' "$1" | script -qec "ashlar $2" /dev/null; echo "exit ${{PIPESTATUS[1]}}"; }}
            typed yes 'volume delete db'
            typed '' 'volume delete db'
            typed 'delete 2' 'volume delete db {db}x e'
            typed '' 'volume show {start} -c name'
            typed db 'volume delete db --wait'
            typed '' 'volume list'
            "#,
            start = &db[..8]
        );
        let ended = cli.shell("bash", &script)?;
        // An answered question ends without a line of its own.
        let words: Vec<&str> = ended.stdout.split_whitespace().collect();
        let exits: Vec<&str> = words
            .windows(2)
            .filter(|pair| pair[0] == "exit")
            .map(|pair| pair[1])
            .collect();
        ensure!(exits == ["10", "10", "10", "0", "0", "0"], "{ended:?}");
        ensure!(ended.stdout.contains("type db to go on"), "{ended:?}");
        ensure!(!ended.stdout.contains("\u{1b}[2J"), "{ended:?}");
        let left = cli.all(&["volume", "list"])?;
        ensure!(left.len() == 1, "{left:?}");
        Ok(())
    })
}
