//! The console on a terminal, against a real daemon: keys in, screens out, and the terminal given back at the end.

use std::time::Duration;

use anyhow::ensure;
use ashlar_tests::cli::Cli;
use ashlar_tests::config::Config;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::pty::{Terminal, environment};
use ashlar_tests::wait::{SOON, wait_for};
use ashlar_tests::{Result, binary, with_daemon};
use rustix::process::Signal;

const SIZE: (u16, u16) = (110, 32);
const ESC: &str = "\u{1b}";
const CTRL_D: &str = "\u{4}";
const CTRL_S: &str = "\u{13}";

fn fake() -> Config {
    Config {
        driver: "fake",
        quota_gib: 100,
        ..Config::default()
    }
}

fn open(daemon: &Daemon, term: &str, args: &[&str]) -> Result<Terminal> {
    let endpoint = format!("unix:{}", daemon.socket().display());
    Terminal::start(
        &binary::ashlar()?,
        args,
        &environment(term, &endpoint)?,
        SIZE,
    )
}

#[test]
fn create_extend_attach_snapshot_detach_delete_on_the_screen() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let cli = Cli::new(binary::ashlar()?, &daemon.socket());
        // Bare, as a person starts it.
        let mut screen = open(daemon, "xterm-256color", &[])?;
        screen.shows("LIVE")?;
        screen.shows("Nothing needs you.")?;
        screen.send("3")?;
        screen.shows("No volumes yet. n makes one.")?;
        screen.send("npg-01\t10G")?;
        screen.shows("COMMAND     ashlar volume create --size=10G pg-01")?;
        screen.send(CTRL_S)?;
        screen.shows("o available")?;
        let made = cli.one(&["volume", "show", "pg-01"])?;
        ensure!(made["size"] == 10, "{made}");
        screen.send("x+5G")?;
        screen.shows("10G > 15G")?;
        screen.send(CTRL_S)?;
        screen.shows("Accepted: extend pg-01 to 15G")?;
        wait_for("the larger volume", SOON, || {
            Ok((cli.one(&["volume", "show", "pg-01"])?["size"] == 15).then_some(()))
        })?;
        screen.shows_row(&["pg-01", "o available", "15G"])?;
        screen.send("aiqn.1993-08.org.debian:01:db01\tdb01")?;
        screen.shows("--initiator=iqn.1993-08.org.debian:01:db01 --host=db01")?;
        screen.send(CTRL_S)?;
        screen.shows("Accepted: attach pg-01 to db01")?;
        screen.shows_row(&["pg-01", "~ attaching"])?;
        screen.send("5")?;
        screen.shows("..openstack:volume-")?;
        screen.send("H")?;
        screen.shows("Complete attachment pg-01")?;
        screen.send("\t\r")?;
        screen.shows_row(&["pg-01", "* attached"])?;
        screen.send("3")?;
        screen.shows_row(&["pg-01", "* in-use"])?;
        screen.send("smonday")?;
        screen.send(CTRL_S)?;
        screen.shows("Accepted: snapshot pg-01")?;
        screen.send("4")?;
        screen.shows_row(&["monday", "o available"])?;
        destroy(&cli, &mut screen)
    })
}

/// What is in the way is told; then it goes, in its order.
fn destroy(cli: &Cli, screen: &mut Terminal) -> Result<()> {
    screen.send("3")?;
    screen.shows_row(&["pg-01", "* in-use"])?;
    screen.send(CTRL_D)?;
    screen.shows("BLOCKS")?;
    screen.send("\t\r")?;
    screen.send(ESC)?;
    screen.hides("BLOCKS")?;
    screen.send("A")?;
    screen.shows("Detach attachment pg-01")?;
    // The name where the daemon wants it, else Tab: both arm the button, which the last Enter presses.
    arm(screen, "pg-01")?;
    screen.shows_row(&["pg-01", "o available"])?;
    screen.send("4")?;
    screen.shows_row(&["monday", "o available"])?;
    screen.send(CTRL_D)?;
    screen.shows("Delete snapshot monday")?;
    arm(screen, "monday")?;
    screen.shows("(gone)")?;
    screen.send("j")?;
    screen.shows("No snapshots yet.")?;
    screen.send("3")?;
    screen.shows_row(&["pg-01", "o available"])?;
    screen.send(CTRL_D)?;
    screen.shows("Delete volume pg-01")?;
    ensure!(
        cli.all(&["volume", "list"])?.len() == 1,
        "the dialog alone deleted it"
    );
    arm(screen, "pg-01")?;
    wait_for("the end of the volume", SOON, || {
        Ok(cli.all(&["volume", "list"])?.is_empty().then_some(()))
    })?;
    screen.shows("(gone)")?;
    screen.send("k")?;
    screen.shows("No volumes yet. n makes one.")?;
    // From the dashboard q is out.
    screen.send("1q")?;
    ensure!(screen.end(SOON)?.success(), "q is no failure");
    screen.is_restored()
}

/// Does what the topmost dialog asks for and presses its button.
fn arm(screen: &mut Terminal, name: &str) -> Result<()> {
    screen.hides("waiting for the plan")?;
    screen.hides("asking the daemon")?;
    if screen.screen().contains("to arm the button") {
        screen.send(name)?;
        screen.send("\r")?;
    } else {
        screen.send("\t")?;
    }
    screen.send("\r")?;
    // The dialog is gone once the daemon took it on.
    screen.hides("[ Cancel Esc ]")
}

#[test]
fn the_daemon_may_die_and_come_back_and_the_console_stays() -> Result<()> {
    with_daemon(fake(), |daemon| {
        let cli = Cli::new(binary::ashlar()?, &daemon.socket());
        cli.done(&["volume", "create", "before", "--size", "1G", "--wait"])?;
        let mut screen = open(daemon, "screen", &["tui"])?;
        screen.send("3")?;
        screen.shows("before")?;
        daemon.kill()?;
        screen.shows("DOWN")?;
        screen.shows("DATA FROM")?;
        screen.shows("before")?;
        screen.send("n")?;
        screen.shows("not sent: no link")?;
        ensure!(screen.is_running()?, "it ended with its daemon");
        daemon.start_again()?;
        screen.shows("LIVE")?;
        cli.done(&["volume", "create", "after", "--size", "1G", "--wait"])?;
        screen.shows("after")?;
        screen.hides("DATA FROM")?;
        screen.signal(Signal::TERM)?;
        ensure!(screen.end(SOON)?.success(), "SIGTERM is a way to leave");
        screen.is_restored()
    })
}

#[test]
fn the_terminal_is_given_back_and_nothing_is_written_at_rest() -> Result<()> {
    with_daemon(fake(), |daemon| {
        for term in ["xterm", "linux", "tmux", "vt220"] {
            let mut screen = open(daemon, term, &["tui", "--read-only"])?;
            screen.shows("LIVE")?;
            screen.shows("RO")?;
            screen.send("3n")?;
            screen.shows("read-only: ^R lifts it")?;
            screen.send("\u{3}")?;
            ensure!(screen.end(SOON)?.success(), "^C on {term}");
            screen.is_restored()?;
        }
        let mut screen = open(daemon, "xterm-256color", &["tui"])?;
        screen.shows("Nothing needs you.")?;
        let first = screen.len_bytes();
        ensure!(first < 12 << 10, "the first frames took {first} bytes");
        screen.signal(Signal::HUP)?;
        screen.end(SOON)?;
        screen.is_restored()
    })
}

#[test]
fn without_a_terminal_or_a_daemon_it_says_so() -> Result<()> {
    let ashlar = binary::ashlar()?;
    let cli = Cli::new(
        ashlar.clone(),
        std::path::Path::new("/nonexistent/api.sock"),
    );
    let told = cli.refused(&["tui"], 2)?;
    ensure!(told.contains("needs a terminal"), "{told}");
    let dumb = environment("dumb", "unix:/nonexistent/api.sock")?;
    let mut screen = Terminal::start(&ashlar, &["tui"], &dumb, SIZE)?;
    screen.shows("needs a terminal")?;
    ensure!(
        screen.end(Duration::from_secs(10))?.code() == Some(2),
        "not a usage error"
    );
    // No daemon: the console opens all the same, and waits for one.
    let env = environment("xterm", "unix:/nonexistent/api.sock")?;
    let mut screen = Terminal::start(&ashlar, &[], &env, SIZE)?;
    screen.shows("DOWN")?;
    screen.shows("No link to the daemon")?;
    screen.send("q")?;
    ensure!(screen.end(SOON)?.success(), "q without a daemon");
    screen.is_restored()
}
