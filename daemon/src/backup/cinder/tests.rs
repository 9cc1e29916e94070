//! Backups that Cinder made (`tests/fixtures/cinder-backups`), and others in the form of its driver: whole, damaged and
//! hostile ones.

mod damage;
mod golden;
mod hostile;
mod shapes;
mod writer;

use super::{Settings, open};
use crate::backup::{BackupEngine as _, BackupError, WorkerStore};
use crate::driver::{Device, Done, Work};
use crate::model::id::BackupId;
use crate::model::size::GIB;
use rustix::fs::SeekFrom;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// A store over a directory, whose jobs are done in threads.
fn store(directory: &Path, state_dir: &Path) -> WorkerStore {
    let settings = Settings {
        name: "old".to_owned(),
        directory: directory.to_owned(),
        state_dir: state_dir.to_owned(),
        bytes_per_s: 0,
    };
    open(settings).in_threads()
}

/// A volume of holes, or of old data, of one GiB and a bit: what restores go to.
struct Target {
    file: tempfile::NamedTempFile,
    is_blank: bool,
}

impl Target {
    fn blank() -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(GIB + 4096).unwrap();
        Self {
            file,
            is_blank: true,
        }
    }

    /// With something old at its begin, in its midst and at its end.
    fn used() -> Self {
        let target = Self::blank();
        for at in [0, 300_000, GIB / 2, GIB + 4000] {
            target.file.as_file().write_all_at(b"old data", at).unwrap();
        }
        Self {
            is_blank: false,
            ..target
        }
    }

    async fn restore(&self, store: &WorkerStore, id: BackupId) -> Result<Done, BackupError> {
        let device = Device {
            path: self.file.path().to_owned(),
            len_bytes: GIB + 4096,
        };
        store
            .restore(id, &device, self.is_blank, &Work::default())
            .await
    }

    async fn compare(&self, store: &WorkerStore, id: BackupId) -> Result<(), BackupError> {
        let device = Device {
            path: self.file.path().to_owned(),
            len_bytes: GIB + 4096,
        };
        store.compare(id, &device, &Work::default()).await
    }

    /// Turns a byte into another, and back.
    fn spoil(&self, at: u64) {
        let mut byte = [0];
        self.file.as_file().read_exact_at(&mut byte, at).unwrap();
        self.file.as_file().write_all_at(&[!byte[0]], at).unwrap();
    }

    /// Whether it is `content` and then zeros.
    fn holds(&self, content: &[u8]) -> bool {
        // Closed and opened as another reader does.
        let file = File::open(self.file.path()).unwrap();
        let mut begin = vec![0; content.len()];
        file.read_exact_at(&mut begin, 0).unwrap();
        begin == content && is_zero_from(&file, content.len() as u64)
    }

    fn is_untouched(&self) -> bool {
        let mut begin = [0; 8];
        self.file.as_file().read_exact_at(&mut begin, 0).unwrap();
        begin == *b"old data"
    }
}

fn is_zero_from(file: &File, mut at: u64) -> bool {
    while let Ok(data) = rustix::fs::seek(file, SeekFrom::Data(at)) {
        let hole = rustix::fs::seek(file, SeekFrom::Hole(data)).unwrap();
        let mut bytes = vec![0; usize::try_from(hole - data).unwrap()];
        file.read_exact_at(&mut bytes, data).unwrap();
        if bytes.iter().any(|byte| *byte != 0) {
            return false;
        }
        at = hole;
    }
    true
}

/// What is wrong, and with what, in the words that the user reads.
fn damage(answer: &Result<Done, BackupError>) -> String {
    match answer {
        Err(BackupError::Damaged { why, .. }) => why.clone(),
        other => panic!("no damage: {other:?}"),
    }
}
