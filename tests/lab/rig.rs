//! A case's guests: thawed, compared before and after, and heard out when it fails.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ashlar_tests::lab::guest::{Guest, Wire};
use ashlar_tests::lab::host::Host;
use ashlar_tests::lab::image::Image;
use ashlar_tests::lab::storage::{Setup, Storage};
use ashlar_tests::lab::traces::Traces;
use ashlar_tests::{Result, binary};

/// The time that the cases have together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    start: Instant,
    /// How long after the start a case may begin.
    within: Duration,
}

impl Budget {
    /// From now; for ever, unless `ASHLAR_LAB_WITHIN_S` says otherwise.
    pub(crate) fn of_environment() -> Self {
        let given = std::env::var_os("ASHLAR_LAB_WITHIN_S");
        let given = given.and_then(|seconds| seconds.to_str()?.parse().ok());
        Self {
            start: Instant::now(),
            within: given.map_or(Duration::MAX, Duration::from_secs),
        }
    }

    /// Whether it is too late to begin.
    pub(crate) fn is_up(&self) -> bool {
        self.start.elapsed() > self.within
    }
}

/// Where a case keeps its guests.
pub(crate) struct Place {
    image: Image,
    case: String,
    dir: PathBuf,
    budget: Budget,
}

impl Place {
    /// An empty directory for the case.
    pub(crate) fn new(image: &Image, case: &str, budget: Budget) -> Result<Self> {
        let dir = binary::workspace()
            .join("target/lab/case")
            .join(case.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"));
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir_all(&dir)?;
        Ok(Self {
            image: image.clone(),
            case: case.to_owned(),
            dir,
            budget,
        })
    }

    /// Whether a case that can do with less should: the last quarter of the time belongs to those that have not begun.
    pub(crate) fn is_late(&self) -> bool {
        self.budget.start.elapsed() > self.budget.within / 4 * 3
    }

    /// Says that the case was not done whole.
    pub(crate) fn left_out(&self, what: &str) {
        skipped(&self.case, what);
    }

    /// Runs `case` on a storage node alone.
    pub(crate) fn one(
        &self,
        setup: Setup,
        case: impl FnOnce(&mut Storage) -> Result<()>,
    ) -> Result<()> {
        let (here, _) = Wire::pair()?;
        let mut storage = Storage::thaw(&self.image, &self.dir.join("storage"), here, setup)?;
        storage.prepare()?;
        let before = Traces::of(&storage.guest)?;
        let done = case(&mut storage).and_then(|()| before.are_unchanged(&storage.guest));
        self.keep_log(&storage)?;
        done.map_err(|error| error.context(storage.last_words()))?;
        self.clear()
    }

    /// Runs `case` on a storage node and a host beside it.
    pub(crate) fn two(
        &self,
        setup: Setup,
        case: impl FnOnce(&mut Storage, &mut Host) -> Result<()>,
    ) -> Result<()> {
        let (here, there) = Wire::pair()?;
        let mut host = Host::thaw(&self.image, &self.dir.join("host"), there)?;
        let mut storage = Storage::thaw(&self.image, &self.dir.join("storage"), here, setup)?;
        host.guest.wait_thawed()?;
        storage.prepare()?;
        let before = [Traces::of(&storage.guest)?, Traces::of(&host.guest)?];
        let done = case(&mut storage, &mut host).and_then(|()| {
            let guests: [&Guest; 2] = [&storage.guest, &host.guest];
            let mut pairs = before.iter().zip(guests);
            pairs.try_for_each(|(before, guest)| before.are_unchanged(guest))
        });
        self.keep_log(&storage)?;
        done.map_err(|error| {
            let dmesg = host.guest.shell.run("dmesg | tail -30").unwrap_or_default();
            let words = format!(
                "{}\n--- the host's kernel, its end\n{dmesg}",
                storage.last_words()
            );
            error.context(words)
        })?;
        drop((storage, host));
        self.clear()
    }

    /// The daemon's whole log, for whoever wants to know what took how long.
    fn keep_log(&self, storage: &Storage) -> Result<()> {
        let log = storage
            .guest
            .shell
            .run("journalctl -q --no-pager -o cat -u ashlard")
            .unwrap_or_default();
        Ok(std::fs::write(self.dir.with_extension("log"), log)?)
    }

    /// What a failed case leaves stays for whoever looks into it.
    fn clear(&self) -> Result<()> {
        Ok(std::fs::remove_dir_all(&self.dir)?)
    }
}

/// Says that time was too short for a case, or for `what` of it.
pub(crate) fn skipped(case: &str, what: &str) {
    crate::say(&format!(
        "skipped: {case}: {what}: this machine is slow, and the lab's time is up; `make lab CASE=\"{case}\"` does it"
    ));
}
