//! `ashlard`: arguments, configuration, log, run.

use anyhow::{Context, Result};
use ashlar_daemon::config::{Config, LogFormat};
use ashlar_daemon::keep_record;
use clap::{Parser, Subcommand};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How `--check-config` ends when there are mistakes.
const BAD_CONFIG: u8 = 2;

/// Block storage with Cinder's API, in one small system.
#[derive(Parser)]
#[command(name = "ashlard", version)]
struct Arguments {
    /// The configuration; runs in the foreground and logs to stderr.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/ashlar/ashlar.toml",
        global = true
    )]
    config: PathBuf,
    /// Only says whether the configuration is good.
    #[arg(long, value_name = "FILE")]
    check_config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serves exports over iSCSI; started by ashlard itself, and outlives it.
    Target {
        /// Ends the running target instead.
        #[arg(long)]
        stop: bool,
        /// With --stop: the state directory of the target to end, when its configuration is not at hand.
        #[arg(long, value_name = "DIR", requires = "stop")]
        state_dir: Option<PathBuf>,
    },
    /// Makes or reads one backup, as told on stdin; started by ashlard itself, and ends with it.
    BackupWorker,
    /// Prints every operation with its steps, as JSON.
    Operations,
    /// Keeps, restores and checks the record: everything that ashlard knows, but not the volumes' data.
    Db {
        #[command(subcommand)]
        act: Db,
    },
}

#[derive(Subcommand)]
enum Db {
    /// Copies the record, whole, also while ashlard runs.
    Backup {
        /// The copy; must not be there yet.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Puts a backup in the record's place and keeps the old record beside; ashlard must not run.
    Restore {
        /// The backup.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Looks for damage and contradictions in the record, or in a backup, and changes nothing.
    Check {
        /// The backup to look at instead.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(path) = &arguments.check_config {
        return check_config(path);
    }
    if let Some(Command::BackupWorker) = arguments.command {
        start_log(LogFormat::Text);
        return ashlar_daemon::backup::run_worker();
    }
    match command(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where no configuration could be read yet; else the log is there already.
            start_log(LogFormat::Text);
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Begins the log; only the first call counts.
fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // The target outlives who reads its stderr: a line that cannot be written is lost, and must not be a panic.
        .log_internal_errors(false);
    let begun = match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
    };
    // There is a log already.
    let _ = begun;
}

/// Reads the configuration and begins the log as it says.
fn configured(path: &Path) -> Result<Config> {
    let config = Config::read(path)?;
    start_log(config.log_format);
    Ok(config)
}

/// Exit code 0 when the configuration is good, 2 when it is not.
#[expect(
    clippy::print_stdout,
    reason = "these answers are the command's output"
)]
fn check_config(path: &Path) -> ExitCode {
    match Config::check(path) {
        Ok(_) => {
            println!("{}: good", path.display());
            ExitCode::SUCCESS
        }
        Err(mistakes) => {
            println!("{mistakes}");
            ExitCode::from(BAD_CONFIG)
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "these answers are the command's output"
)]
fn command(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Some(Command::Operations) => {
            println!("{}", ashlar_daemon::operations_json());
            Ok(())
        }
        Some(Command::Target {
            stop: true,
            state_dir,
        }) => {
            let state_dir = match state_dir {
                Some(state_dir) => state_dir.clone(),
                None => configured(&arguments.config)?.state_dir,
            };
            in_runtime(async move { Ok(ashlar_daemon::stop_target(&state_dir).await?) })
        }
        Some(Command::Target { stop: false, .. }) => {
            let config = configured(&arguments.config)?;
            in_runtime(async move { Ok(ashlar_daemon::run_target(&config, stop_signal()?).await?) })
        }
        Some(Command::BackupWorker) => Ok(()),
        Some(Command::Db { act }) => db(&Config::read(&arguments.config)?, act),
        None => run(&arguments.config),
    }
}

#[expect(
    clippy::print_stdout,
    reason = "these answers are the command's output"
)]
fn db(config: &Config, act: &Db) -> Result<()> {
    match act {
        Db::Backup { file } => println!("{}", keep_record::back_up(config, file)?),
        Db::Restore { file } => println!("{}", keep_record::restore(config, file)?),
        Db::Check { file } => {
            let checked = keep_record::check(config, file.as_deref())?;
            println!("{}: {}", checked.path.display(), checked.held);
            for finding in &checked.findings {
                println!("- {finding}");
            }
            let count = checked.findings.len();
            if count > 0 {
                return Err(keep_record::RecordError::Findings { count }.into());
            }
            println!("good");
        }
    }
    Ok(())
}

fn run(path: &Path) -> Result<()> {
    let config = configured(path)?;
    let path = std::path::absolute(path).context("the configuration's path")?;
    in_runtime(async move { Ok(ashlar_daemon::run(config, path, stop_signal()?).await?) })
}

/// Runs on threads of its own. What still blocks at the end (a copy, an overwrite) is cut off as by a crash, which
/// every step must bear anyway.
fn in_runtime(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Cancelled at SIGTERM or SIGINT.
fn stop_signal() -> Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(token)
}
