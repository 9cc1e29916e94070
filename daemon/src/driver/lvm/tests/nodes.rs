//! The bytes of the groups' volumes: a sparse file each, and a link to it where the device node of an active one is.

use crate::driver::contract::{BLOCK_BYTES, Stamps};
use ashlar_dbus::fake::groups::{Content, Holds};
use rustix::fs::SeekFrom;
use std::fs::{self, File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};

/// What an earlier owner of the disk's blocks left there.
pub(super) const LEFTOVER: u64 = 0xdead;

/// The bytes, by key, and the nodes, by name.
pub(super) struct Nodes {
    bytes: PathBuf,
    devices: PathBuf,
}

impl Nodes {
    pub(super) fn new(bytes: &Path, devices: &Path) -> Self {
        for directory in [bytes, devices] {
            fs::create_dir(directory).unwrap();
        }
        let (bytes, devices) = (bytes.to_owned(), devices.to_owned());
        Self { bytes, devices }
    }

    fn open(&self, key: u64) -> File {
        let path = self.bytes.join(key.to_string());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.open(path).unwrap()
    }
}

impl Content for Nodes {
    fn make(&mut self, key: u64, len_bytes: u64, holds: Holds) {
        self.resize(key, len_bytes, holds);
    }

    fn copy(&mut self, from: u64, to: u64) {
        let (from, to) = (self.open(from), self.open(to));
        to.set_len(0).unwrap();
        to.set_len(from.metadata().unwrap().len()).unwrap();
        for data in data_of(&from) {
            let mut buffer = vec![0; usize::try_from(data.end - data.start).unwrap()];
            from.read_exact_at(&mut buffer, data.start).unwrap();
            to.write_all_at(&buffer, data.start).unwrap();
        }
    }

    fn resize(&mut self, key: u64, len_bytes: u64, holds: Holds) {
        let file = self.open(key);
        let before = file.metadata().unwrap().len();
        file.set_len(len_bytes).unwrap();
        // LVM zeroes no more than the start of a new volume.
        if holds == Holds::Leftovers && before < len_bytes {
            let (first, last) = (before / BLOCK_BYTES + 8, len_bytes / BLOCK_BYTES - 1);
            write_stamps(&file, &[(first, LEFTOVER), (last, LEFTOVER)]);
        }
    }

    fn remove(&mut self, key: u64) {
        fs::remove_file(self.bytes.join(key.to_string())).unwrap();
    }

    fn show(&mut self, vg: &str, lv: &str, key: u64) {
        let node = self.devices.join(vg).join(lv);
        fs::create_dir_all(self.devices.join(vg)).unwrap();
        if fs::symlink_metadata(&node).is_err() {
            symlink(self.bytes.join(key.to_string()), node).unwrap();
        }
    }

    fn hide(&mut self, vg: &str, lv: &str) {
        let node = self.devices.join(vg).join(lv);
        if fs::symlink_metadata(&node).is_ok() {
            fs::remove_file(node).unwrap();
        }
    }
}

pub(super) fn write_stamps(file: &File, stamps: &[(u64, u64)]) {
    for (block, stamp) in stamps {
        let bytes = stamp.to_le_bytes().repeat(512);
        file.write_all_at(&bytes, block * BLOCK_BYTES).unwrap();
    }
}

pub(super) fn read_stamps(path: &Path) -> (u64, Stamps) {
    let file = File::open(path).unwrap();
    let mut stamps = Stamps::new();
    for data in data_of(&file) {
        for block in data.start / BLOCK_BYTES..data.end.div_ceil(BLOCK_BYTES) {
            let mut bytes = [0; 4096];
            file.read_exact_at(&mut bytes, block * BLOCK_BYTES).unwrap();
            let stamp = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            let is_whole = bytes.chunks(8).all(|chunk| chunk == stamp.to_le_bytes());
            assert!(is_whole, "a torn block");
            if stamp != 0 {
                stamps.insert(block, stamp);
            }
        }
    }
    (file.metadata().unwrap().len(), stamps)
}

pub(super) fn data_of(file: &File) -> Vec<Range<u64>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Ok(start) = rustix::fs::seek(file, SeekFrom::Data(at)) {
        at = rustix::fs::seek(file, SeekFrom::Hole(start)).unwrap();
        found.push(start..at);
    }
    found
}
