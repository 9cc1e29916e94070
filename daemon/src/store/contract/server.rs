//! A private PostgreSQL for tests: one a test process, on a unix socket in a directory of its own, no TCP.
//!
//! PostgreSQL refuses to run as root, so that root's tests run it as `postgres` or `nobody`. A shell stands between:
//! it stops the server and removes the directory when its input ends, which is when the test process is gone, however
//! it went. Without PostgreSQL's programs the tests say that they were skipped, and why.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio_postgres::NoTls;

/// How long making and starting a server may take, on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// Makes, starts, awaits the end of its input, stops, removes. `$1` programs, `$2` directory, `$3`.. how to run as
/// another user.
const SCRIPT: &str = r#"
bin=$1; dir=$2; shift 2
trap 'kill -QUIT $server 2>/dev/null; wait; rm -rf "$dir"' EXIT
"$@" "$bin/initdb" -D "$dir/data" -U ashlar -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 || exit 1
"$@" "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off -c full_page_writes=off \
    -c max_connections=200 -c shared_buffers=32MB >>"$dir/log" 2>&1 </dev/null &
server=$!
echo started
cat >/dev/null
"#;

/// The server of this test process.
#[derive(Debug)]
pub(super) struct Server {
    dir: PathBuf,
    // Its input is the shell's: kept open as long as this process lives.
    _shell: Child,
}

static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The server, started by whoever asks first; or why there is none.
pub(super) async fn server() -> Result<&'static Server, &'static str> {
    let server = tokio::task::spawn_blocking(|| SERVER.get_or_init(start))
        .await
        .unwrap();
    match server {
        Ok(server) => {
            server.ready().await;
            Ok(server)
        }
        Err(why) => Err(why),
    }
}

impl Server {
    /// The URL of a new, empty database.
    pub(super) async fn database(&self, locale: &str) -> SecretString {
        let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        self.run(&format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE '{locale}'"
        ))
        .await;
        self.url(&name)
    }

    /// The URL of a database.
    pub(super) fn url(&self, database: &str) -> SecretString {
        let dir = self.dir.display().to_string().replace('/', "%2F");
        format!("postgresql://ashlar@{dir}/{database}").into()
    }

    /// Runs a text in the server's own database.
    pub(super) async fn run(&self, text: &str) {
        let config = format!("host={} user=ashlar dbname=postgres", self.dir.display());
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
        let line = tokio::spawn(connection);
        client.batch_execute(text).await.unwrap();
        drop(client);
        line.await.unwrap().unwrap();
    }

    /// Waits until it answers.
    async fn ready(&self) {
        let until = Instant::now() + START_TIMEOUT;
        let config = format!("host={} user=ashlar dbname=postgres", self.dir.display());
        while let Err(error) = tokio_postgres::connect(&config, NoTls).await {
            let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(
                Instant::now() < until,
                "PostgreSQL did not start: {error}\n{log}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[expect(
    clippy::zombie_processes,
    reason = "the shell ends when this process does, so nobody is left to wait for it"
)]
fn start() -> Result<Server, String> {
    let bin =
        programs().ok_or("no PostgreSQL 15 or later in /usr/lib/postgresql: install postgresql")?;
    let dir = tempfile::Builder::new()
        .prefix("ashlar-pg-")
        .tempdir()
        .unwrap()
        .keep();
    let user = unprivileged(&dir)?;
    let mut shell = command("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(&bin)
        .arg(&dir)
        .args(user)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 8];
    let started = shell.stdout.take().unwrap().read_exact(&mut said);
    started.map_err(|_end| format!("initdb failed; see {}", dir.join("log").display()))?;
    Ok(Server { dir, _shell: shell })
}

/// The newest installed server's programs.
fn programs() -> Option<PathBuf> {
    let versions = Path::new("/usr/lib/postgresql").read_dir().ok()?;
    let bins = versions.filter_map(|entry| {
        let path = entry.ok()?.path();
        let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let bin = path.join("bin");
        (version >= 15 && bin.join("initdb").exists()).then_some((version, bin))
    });
    bins.max().map(|(_, bin)| bin)
}

/// How to run as somebody who is not root, who then owns `dir`; nothing when we are not root.
fn unprivileged(dir: &Path) -> Result<Vec<String>, String> {
    if std::fs::metadata(dir).unwrap().uid() != 0 {
        return Ok(Vec::new());
    }
    let number = |flag: &str, user: &str| -> Option<u32> {
        let Output { status, stdout, .. } = command("id").args([flag, user]).output().ok()?;
        let text = String::from_utf8(stdout).ok()?;
        if status.success() {
            text.trim().parse().ok()
        } else {
            None
        }
    };
    let found = ["postgres", "nobody"]
        .into_iter()
        .find_map(|user| Some((number("-u", user)?, number("-g", user)?)));
    let (uid, gid) =
        found.ok_or("root has neither user postgres nor nobody to run PostgreSQL as")?;
    std::os::unix::fs::chown(dir, Some(uid), Some(gid)).unwrap();
    Ok([
        "setpriv",
        &format!("--reuid={uid}"),
        &format!("--regid={gid}"),
        "--clear-groups",
        "--",
    ]
    .map(str::to_owned)
    .to_vec())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the server of the tests is a child of the tests"
)]
fn command(program: &str) -> Command {
    Command::new(program)
}
