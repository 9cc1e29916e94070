//! What the guests get of ours: the programs under test, on a small disk that they unpack.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};

use crate::{Result, binary, cmd, venv};

/// The disk's length.
const LEN_MIB: u64 = 256;
/// How a guest unpacks the programs: past its page cache, which may be of the frozen guest's disk, and no further than
/// to the archive's end.
pub const UNPACK: &str = "dd if=/dev/vde bs=1M iflag=direct status=none 2>/dev/null | tar -x --exclude=./opt -C /; \
                          test -x /usr/bin/ashlard";
/// Where the Python packages are, once [`UNPACK_PYTHON`] was run: few cases need them.
pub const PYTHON: &str = "/opt/python";
/// How they get there.
pub const UNPACK_PYTHON: &str = "mkdir -p /opt/python && \
    dd if=/dev/vde bs=1M iflag=direct status=none 2>/dev/null | tar -xO ./opt/python.tar | tar -x -C /opt/python; \
    test -d /opt/python/os_brick";
/// Packages that no case needs and that are large.
const LEFT_OUT: &[&str] = &[
    "hypothesis*",
    "jsonschema_rs*",
    "manilaclient",
    "openstackclient",
    "pip",
    "pygments",
    "pytest*",
    "rich*",
    "schemathesis",
    "setuptools",
    "__pycache__",
];
/// What an operator copies to his host, and where it goes.
const SHIPPED: &[(&str, &str)] = &[
    ("ashlard.service", "etc/systemd/system"),
    ("90-ashlar.rules", "etc/udev/rules.d"),
];
const DEADLINE: Duration = Duration::from_secs(300);

/// Writes the disk.
pub fn write(disk: &Path) -> Result<()> {
    std::fs::copy(packed()?, disk)?;
    let file = std::fs::File::options().write(true).open(disk)?;
    Ok(file.set_len(LEN_MIB << 20)?)
}

/// The programs without what only a debugger reads, packed once a run.
fn packed() -> Result<PathBuf> {
    static PACKED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let packed = PACKED.get_or_init(|| pack().map_err(|error| format!("{error:#}")));
    packed.clone().map_err(|error| anyhow!(error))
}

fn pack() -> Result<PathBuf> {
    let lab = binary::workspace().join("target/lab");
    let dir = tempfile::tempdir_in(&lab)?;
    let tree = dir.path().join("tree");
    std::fs::create_dir_all(tree.join("usr/bin"))?;
    for (name, program) in [
        ("ashlard", binary::ashlard()?),
        ("ashlar", binary::ashlar()?),
    ] {
        let mut strip = cmd::program("strip");
        strip
            .arg(program)
            .arg("-o")
            .arg(tree.join("usr/bin").join(name));
        cmd::run_ok(&mut strip, DEADLINE)?;
    }
    for (file, dir) in SHIPPED {
        std::fs::create_dir_all(tree.join(dir))?;
        let from = binary::workspace().join("docs").join(file);
        std::fs::copy(from, tree.join(dir).join(file))?;
    }
    if let Ok(venv) = venv::get() {
        std::fs::create_dir_all(tree.join("opt"))?;
        let mut exclude = Vec::new();
        for name in LEFT_OUT {
            exclude.push(format!("--exclude={name}"));
        }
        tar(&venv.packages()?, &tree.join("opt/python.tar"), &exclude)?;
    }
    let packed = dir.path().join("tools.tar");
    tar(&tree, &packed, &[])?;
    let len = std::fs::metadata(&packed)?.len();
    ensure!(
        len <= LEN_MIB << 20,
        "the programs are {len} bytes; give their disk more"
    );
    // In one step: another run beside this one reads the old file or the new one.
    let place = lab.join("tools.tar");
    std::fs::rename(&packed, &place).with_context(|| place.display().to_string())?;
    Ok(place)
}

fn tar(tree: &Path, file: &Path, more: &[String]) -> Result<()> {
    let mut tar = cmd::program("tar");
    tar.arg("-C")
        .arg(tree)
        .args(["--owner=0", "--group=0"])
        .args(more);
    tar.arg("-cf").arg(file).arg(".");
    cmd::run_ok(&mut tar, DEADLINE).map(|_| ())
}
