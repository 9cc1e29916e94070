//! Backups that Cinder made, from outside: over the wire into a volume, and the worker that reads what may be hostile.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use ashlar_tests::client::id;
use ashlar_tests::config::Config;
use ashlar_tests::{Result, binary, cmd, with_daemon};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The second of the three: on top of a full one, below another.
const BACKUP: &str = "0b11d000-0000-4000-8000-000000000002";
const VOLUME: &str = "da7fcbf011383e381205eb4baa87263cdf193290258fcf9cd4188a87bf997db9";
const LEN: usize = 57_348;
const GIB: u64 = 1 << 30;
/// Whatever an object unpacks to.
const MEMORY_MAX_KIB: u64 = 100 << 10;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cinder-backups")
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_record_of_cinders_becomes_a_volume() -> Result<()> {
    let config = Config {
        old_backups: Some(fixtures().join("store")),
        ..Config::default()
    };
    with_daemon(config, |daemon| {
        let client = daemon.client()?;
        let record = json!({
            "backup_service": "cinder.backup.drivers.posix.PosixBackupDriver",
            "backup_url": fs::read_to_string(fixtures().join("record-1"))?.trim(),
        });
        let body = json!({"backup-record": record});
        let made = client.post("/backups/import_record", &body)?.expect(201)?;
        ensure!(id(&made.body["backup"])? == BACKUP, "{made:?}");
        client.wait_status("/backups", "backup", BACKUP, "available")?;
        let shown = client.get(&format!("/backups/{BACKUP}"))?.expect(200)?;
        let backup = &shown.body["backup"];
        ensure!(
            backup["container"] == "old" && backup["is_incremental"] == true,
            "{backup}"
        );
        let path = format!("/backups/{BACKUP}/restore");
        let answer = client.post(&path, &json!({"restore": {}}))?.expect(202)?;
        let volume = answer.body["restore"]["volume_id"]
            .as_str()
            .context("no volume")?
            .to_owned();
        client.wait_status("/volumes", "volume", &volume, "available")?;
        let file = daemon.pool_dir().join(format!("volumes/volume-{volume}"));
        let mut content = vec![0; LEN];
        File::open(file)?.read_exact(&mut content)?;
        ensure!(sha256(&content) == VOLUME, "the volume is another");
        let create = json!({"backup": {"volume_id": volume, "container": "old"}});
        let refused = client.post("/backups", &create)?.expect(400)?;
        ensure!(refused.text.contains("only read"), "{}", refused.text);
        client.delete(&format!("/backups/{BACKUP}"))?.expect(202)?;
        client.wait_gone("/backups", BACKUP)?;
        ensure!(
            fixtures().join("store/0b/11").join(BACKUP).is_dir(),
            "what is Cinder's is gone"
        );
        Ok(())
    })
}

/// A full backup of one object that is packed into almost nothing, and of no chunk's hash: only its length is claimed.
fn one_object(directory: &Path, len_bytes: u64, packed: &[u8], md5: &str) -> Result<()> {
    let (backup, volume) = (BACKUP, "0a11d000-0000-4000-8000-000000000001");
    let prefix = format!("volume_{volume}_20260102030405_backup_{backup}");
    let mut objects = json!([{}]);
    objects[0][format!("{prefix}-00001")] =
        json!({"offset": 0, "length": len_bytes, "compression": "zstd", "md5": md5});
    let metadata = json!({
        "version": "1.0.0", "backup_id": backup, "volume_id": volume, "objects": objects, "parent_id": null,
        "volume_meta": "{\"volume-base-metadata\": {\"size\": 1}}", "created_at": "2026-01-02 03:04:05+00:00",
    });
    fs::write(directory.join(format!("{prefix}-00001")), packed)?;
    fs::write(
        directory.join(format!("{prefix}_metadata")),
        metadata.to_string(),
    )?;
    Ok(())
}

/// What the worker says at its end, and the most memory that it took.
fn work(directory: &Path, task: &Value) -> Result<(Value, u64)> {
    let keep = directory.parent().context("no parent")?;
    let place = json!({"Cinder": {"directory": directory, "keep": keep}});
    let mut child = cmd::program(binary::ashlard()?)
        .arg("backup-worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    writeln!(stdin, "{}", json!({"place": place, "task": task}))?;
    let mut most_kib = 0;
    let mut last = Value::Null;
    for line in BufReader::new(child.stdout.take().context("no stdout")?).lines() {
        last = serde_json::from_str(&line?)?;
        // Gone between its last word and this look.
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.split_whitespace().next());
        most_kib = most_kib.max(kib.map_or(Ok(0), str::parse)?);
    }
    child.wait()?;
    Ok((last, most_kib))
}

/// Cinder holds an object whole in memory; here one of a GiB takes what it takes to read a MiB.
#[test]
fn memory_is_bounded_whatever_an_object_unpacks_to() -> Result<()> {
    let top = tempfile::tempdir()?;
    let directory = top.path().join("store");
    fs::create_dir(&directory)?;
    let target = top.path().join("volume");
    File::create(&target)?.set_len(GIB)?;
    // 1 GiB of zeros.
    let packed = fs::read(fixtures().join("gib-of-zeros.zst"))?;
    one_object(&directory, GIB, &packed, "cd573cfaace07e7949bc0c46028904ff")?;
    let restore = json!({"Restore": {"backup": BACKUP, "volume": {"path": target, "len_bytes": GIB, "bytes_per_s": 0}, "is_blank": true}});
    let (last, most_kib) = work(&directory, &restore)?;
    ensure!(last["Done"]["Changed"] == true, "{last}");
    ensure!(most_kib > 0 && most_kib < MEMORY_MAX_KIB, "{most_kib} KiB");
    // The same that claims to be a MiB.
    one_object(
        &directory,
        1 << 20,
        &packed,
        "b6d81b360a5672d80c27430f39153e2c",
    )?;
    let (last, most_kib) = work(&directory, &restore)?;
    let why = last["Failed"]["Damaged"].as_str().context("no damage")?;
    ensure!(
        why.contains("more than its 1048576 bytes") && why.contains(BACKUP),
        "{why}"
    );
    ensure!(most_kib < MEMORY_MAX_KIB, "{most_kib} KiB");
    Ok(())
}
