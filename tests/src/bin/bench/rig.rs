//! The daemons that are measured: release builds, each on a state directory of its own, started when first wanted.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ashlar_tests::config::Config;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::wait::{SOON, wait_for};
use ashlar_tests::{Result, binary};

use crate::backup::Backups;
use crate::http::Http;
use crate::many;

/// No quota stands in the way of a figure.
const NO_LIMIT: i64 = -1;

/// What figures use.
pub(crate) struct Rig {
    ashlard: PathBuf,
    fake: Option<Daemon>,
    file: Option<Daemon>,
    hundred_thousand: Option<Daemon>,
    backups: Option<Backups>,
}

impl Rig {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            ashlard: binary::build("ashlard", &["--release"])?,
            fake: None,
            file: None,
            hundred_thousand: None,
            backups: None,
        })
    }

    /// The program.
    pub(crate) fn ashlard(&self) -> &Path {
        &self.ashlard
    }

    /// A volume to be copied.
    pub(crate) fn backups(&mut self) -> Result<&mut Backups> {
        if self.backups.is_none() {
            self.backups = Some(Backups::new()?);
        }
        self.backups.as_mut().context("no volume")
    }

    /// A daemon that was not started yet.
    pub(crate) fn prepared(&self, driver: &'static str) -> Result<Daemon> {
        let config = Config {
            driver,
            auth: "none",
            is_tcp_served: true,
            quota_count: NO_LIMIT,
            quota_gib: NO_LIMIT,
            ..Config::default()
        };
        Daemon::of(self.ashlard.clone(), config)
    }

    /// The daemon with the fake driver.
    pub(crate) fn fake(&mut self) -> Result<&mut Daemon> {
        if self.fake.is_none() {
            self.fake = Some(started(self.prepared("fake")?)?);
        }
        self.fake.as_mut().context("no daemon")
    }

    /// The daemon with the file driver, on this machine's disk.
    pub(crate) fn file(&mut self) -> Result<&mut Daemon> {
        if self.file.is_none() {
            self.file = Some(started(self.prepared("file")?)?);
        }
        self.file.as_mut().context("no daemon")
    }

    /// A daemon whose record holds 100,000 volumes.
    pub(crate) fn hundred_thousand(&mut self) -> Result<&mut Daemon> {
        if self.hundred_thousand.is_none() {
            let mut daemon = started(self.prepared("fake")?)?;
            many::fill(&mut daemon, 100_000)?;
            self.hundred_thousand = Some(daemon);
        }
        self.hundred_thousand.as_mut().context("no daemon")
    }
}

fn started(mut daemon: Daemon) -> Result<Daemon> {
    daemon.start_again()?;
    Ok(daemon)
}

/// Where a daemon listens on TCP.
pub(crate) fn addr(daemon: &Daemon) -> Result<String> {
    let path = daemon.state_dir().join("api.addr");
    let text = wait_for("the address of the TCP port", SOON, || {
        Ok(std::fs::read_to_string(&path)
            .ok()
            .filter(|text| !text.trim().is_empty()))
    })?;
    Ok(text.trim().to_owned())
}

/// A connection to it.
pub(crate) fn http(daemon: &Daemon) -> Result<Http> {
    Http::connect(&addr(daemon)?)
}
