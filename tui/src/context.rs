//! Contexts: which server, as whom. From `~/.config/ashlar/config.toml`, from OpenStack's `clouds.yaml`, or from the
//! `OS_*` of the environment.
//!
//! Only files of this machine are read, and each only when it is asked for. What stands there and cannot be used is
//! refused in words: a wrong server is worse than none. Secrets come from files, never from an argument.

mod clouds;

use std::path::PathBuf;

use crate::client::Token;
use crate::failure::{Exit, Failure};
use crate::settings::environment;
use crate::table::Given;

/// A configuration file is a page; anything longer is a wrong file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a context says.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// Its name; none where the environment alone says it.
    pub(crate) name: Option<String>,
    /// Where the server listens.
    pub(crate) endpoint: Option<String>,
    /// The project to act in.
    pub(crate) project: Option<String>,
    /// The token.
    pub(crate) token: Option<Token>,
    /// The file that holds it.
    pub(crate) token_file: Option<String>,
    /// Whether nothing may be changed.
    pub(crate) is_read_only: bool,
    /// Where it was read.
    pub(crate) source: String,
}

/// The context of this call: `--context`, `ASHLAR_CONTEXT`, `OS_CLOUD`, `OS_*`, the one in use; else an empty one.
pub(crate) fn chosen(given: &Given<'_>) -> Result<Context, Failure> {
    let named = given.option("context").map(str::to_owned);
    if let Some(name) = named.or_else(|| environment("ASHLAR_CONTEXT")) {
        return own(&name);
    }
    if environment("ASHLAR_ENDPOINT").is_some() || given.option("endpoint").is_some() {
        return Ok(Context::default());
    }
    if let Some(cloud) = environment("OS_CLOUD") {
        return clouds::cloud(&cloud);
    }
    if let Some(context) = clouds::from_environment()? {
        return Ok(context);
    }
    match current()? {
        Some(name) => own(&name),
        None => Ok(Context::default()),
    }
}

/// All contexts of the configuration file.
pub(crate) fn all() -> Result<Vec<Context>, Failure> {
    let Some(path) = directory().map(|dir| dir.join("config.toml")) else {
        return Ok(Vec::new());
    };
    let Some(text) = read(&path)? else {
        return Ok(Vec::new());
    };
    let source = path.display().to_string();
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| unusable(&source, &error.to_string()))?;
    let contexts = table.get("contexts").and_then(toml::Value::as_table);
    let contexts = contexts.into_iter().flatten();
    contexts
        .map(|(name, value)| from_toml(name, value, &source))
        .collect()
}

fn from_toml(name: &str, value: &toml::Value, source: &str) -> Result<Context, Failure> {
    let bad = |why: &str| unusable(source, &format!("the context {name}: {why}"));
    let table = value.as_table().ok_or_else(|| bad("is not a table"))?;
    let mut context = Context {
        name: Some(name.to_owned()),
        source: source.to_owned(),
        ..Context::default()
    };
    for (key, value) in table {
        let word = || value.as_str().map(str::to_owned);
        let slot = match key.as_str() {
            "endpoint" => &mut context.endpoint,
            "project" => &mut context.project,
            "token_file" => &mut context.token_file,
            "read_only" => {
                let flag = value.as_bool();
                context.is_read_only = flag.ok_or_else(|| bad("read_only is true or false"))?;
                continue;
            }
            "token" => return Err(bad("a token belongs into a file of its own: token_file")),
            other => return Err(bad(&format!("there is no key {other}"))),
        };
        *slot = Some(word().ok_or_else(|| bad(&format!("{key} is a text")))?);
    }
    Ok(context)
}

fn own(name: &str) -> Result<Context, Failure> {
    let mut contexts = all()?;
    let found = contexts
        .iter()
        .position(|context| context.name.as_deref() == Some(name));
    match found {
        Some(position) => Ok(contexts.swap_remove(position)),
        None => {
            let names: Vec<&str> = contexts.iter().filter_map(|c| c.name.as_deref()).collect();
            let hint = match &names[..] {
                [] => "~/.config/ashlar/config.toml names none".to_owned(),
                names => format!("there are: {}", names.join(", ")),
            };
            let what = format!("using the context {name}");
            Err(Failure::new(Exit::Usage, &what, "there is no such context").hint(&hint))
        }
    }
}

/// The name of the context in use.
pub(crate) fn current() -> Result<Option<String>, Failure> {
    let Some(path) = directory().map(|dir| dir.join("current")) else {
        return Ok(None);
    };
    let name = read(&path)?.unwrap_or_default().trim().to_owned();
    Ok(Some(name).filter(|name| !name.is_empty()))
}

/// Uses a context from now on.
pub(crate) fn make_current(name: &str) -> Result<(), Failure> {
    own(name)?;
    let what = format!("using the context {name}");
    let failed = |why: &str| Failure::new(Exit::Failed, &what, why);
    let dir = directory().ok_or_else(|| failed("HOME is not set"))?;
    // Written beside and renamed, so that it is never half of a name.
    let write = || {
        let beside = dir.join(format!("current.{}", std::process::id()));
        std::fs::write(&beside, format!("{name}\n"))?;
        std::fs::rename(&beside, dir.join("current"))
    };
    write().map_err(|error: std::io::Error| failed(&error.to_string()))
}

fn directory() -> Option<PathBuf> {
    config_home().map(|home| home.join("ashlar"))
}

/// `$XDG_CONFIG_HOME`, or `~/.config`.
fn config_home() -> Option<PathBuf> {
    environment("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| environment("HOME").map(|home| PathBuf::from(home).join(".config")))
}

/// A file's text; nothing when there is no such file.
fn read(path: &std::path::Path) -> Result<Option<String>, Failure> {
    let shown = path.display().to_string();
    let len = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(&shown, &error.to_string())),
    };
    if len > FILE_BYTES_MAX {
        return Err(unusable(&shown, "it is too long to be a configuration"));
    }
    let text = std::fs::read_to_string(path);
    text.map(Some)
        .map_err(|error| unusable(&shown, &error.to_string()))
}

fn unusable(source: &str, why: &str) -> Failure {
    Failure::new(Exit::Usage, &format!("reading {source}"), why.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(text: &str) -> Result<Context, Failure> {
        let table: toml::Table = text.parse().unwrap();
        from_toml("prod", &toml::Value::Table(table), "f")
    }

    #[test]
    fn a_context_says_where_as_whom_and_whether_it_may_change_anything() {
        let context =
            context("endpoint = \"http://h:8776\"\nproject = \"p\"\nread_only = true").unwrap();
        assert_eq!(context.endpoint.as_deref(), Some("http://h:8776"));
        assert!(context.is_read_only && context.token_file.is_none());
    }

    #[test]
    fn what_stands_there_and_means_nothing_is_refused() {
        for (text, why) in [
            ("endpont = \"x\"", "no key endpont"),
            ("endpoint = 1", "endpoint is a text"),
            ("read_only = \"yes\"", "true or false"),
            ("token = \"s3cret\"", "token_file"),
        ] {
            let failure = context(text).unwrap_err().to_string();
            assert!(
                failure.contains(why) && !failure.contains("s3cret"),
                "{failure}"
            );
        }
    }
}
