//! What was set for this call: the command line first, then the environment, then the default.
//!
//! A token never comes from the command line, where every process could read it: from `ASHLAR_TOKEN` or from a file.

use std::env::var_os;
use std::io::IsTerminal as _;
use std::time::Duration;

use crate::client::{Endpoint, Token, Writes};
use crate::context;
use crate::failure::{Exit, Failure};
use crate::output::{Form, Style, Units};
use crate::table::Given;
use crate::wait::Wait;

/// Where the daemon listens when nothing else was said.
const DEFAULT_ENDPOINT: &str = "unix:/run/ashlar/api.sock";
/// Long enough for a full copy of a small volume; longer waits are asked for.
const DEFAULT_TIMEOUT: &str = "10m";
/// A token is short; anything longer is a wrong file.
const TOKEN_FILE_BYTES_MAX: u64 = 4096;

/// The settings of one call.
pub(crate) struct Settings {
    pub(crate) endpoint: Endpoint,
    pub(crate) token: Option<Token>,
    pub(crate) project: Option<String>,
    pub(crate) style: Style,
    pub(crate) wait: Option<Wait>,
    pub(crate) writes: Writes,
    pub(crate) if_match: Option<String>,
    pub(crate) is_traced: bool,
}

/// Reads them all.
pub(crate) fn read(given: &Given<'_>) -> Result<Settings, Failure> {
    let context = context::chosen(given)?;
    // What is said for this call goes before what a context says, piece by piece.
    let is_named = given.option("context").is_some();
    let from_environment = |name| if is_named { None } else { environment(name) };
    let endpoint = given
        .option("endpoint")
        .map(str::to_owned)
        .or_else(|| from_environment("ASHLAR_ENDPOINT"))
        .or(context.endpoint)
        .unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
    let token = match (given.option("token-file"), from_environment("ASHLAR_TOKEN")) {
        (Some(path), _) => Some(token_from_file(path)?),
        (None, Some(token)) => Some(Token::new(token)),
        (None, None) => match (context.token, context.token_file) {
            (Some(token), _) => Some(token),
            (None, Some(path)) => Some(token_from_file(&path)?),
            (None, None) => None,
        },
    };
    let project = given
        .option("project")
        .map(str::to_owned)
        .or_else(|| from_environment("ASHLAR_PROJECT"))
        .or(context.project);
    let timeout = timeout(given)?;
    let wait = given.option("wait").map(|status| Wait {
        timeout,
        status: Some(status.to_owned()).filter(|status| !status.is_empty()),
    });
    Ok(Settings {
        endpoint: Endpoint::parse(&endpoint)?,
        token,
        project,
        style: style(given)?,
        wait,
        writes: if given.flag("dry-run") {
            Writes::Told
        } else if context.is_read_only || environment("ASHLAR_READONLY").is_some_and(|v| v != "0") {
            Writes::Refused
        } else {
            Writes::Sent
        },
        if_match: given.option("if-match").map(quoted_tag),
        is_traced: given.flag("debug"),
    })
}

/// How long a wait may last.
pub(crate) fn timeout(given: &Given<'_>) -> Result<Duration, Failure> {
    duration(given.option("timeout").unwrap_or(DEFAULT_TIMEOUT))
}

/// How the answer is to look.
pub(crate) fn style(given: &Given<'_>) -> Result<Style, Failure> {
    let is_terminal = std::io::stdout().is_terminal();
    Ok(Style {
        form: Form::parse(given.option("output").unwrap_or("table"))?,
        is_bare: given.flag("no-heads"),
        is_exact: given.flag("exact"),
        units: Units::parse(given.option("units").unwrap_or("iec"))?,
        width: is_terminal.then(terminal_width),
    })
}

/// How wide the terminal is; a table that cannot know is not cut.
fn terminal_width() -> usize {
    let asked = rustix::termios::tcgetwinsize(std::io::stdout());
    match asked {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => usize::MAX,
    }
}

/// An entity tag stands in quotes on the wire; on a command line they are a nuisance.
fn quoted_tag(tag: &str) -> String {
    format!("\"{}\"", tag.trim_matches('"'))
}

/// A variable of the environment that is set and not empty.
pub(crate) fn environment(name: &str) -> Option<String> {
    var_os(name)?
        .into_string()
        .ok()
        .filter(|value| !value.is_empty())
}

fn token_from_file(path: &str) -> Result<Token, Failure> {
    let refuse = |why: &str| {
        Failure::new(Exit::Usage, &format!("reading the token file {path}"), why)
            .hint("write the token, and nothing else, on its first line")
    };
    let len = std::fs::metadata(path)
        .map_err(|error| refuse(&error.to_string()))?
        .len();
    if len > TOKEN_FILE_BYTES_MAX {
        return Err(refuse("it is too long to be a token"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| refuse(&error.to_string()))?;
    match text.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => Ok(Token::new(line.to_owned())),
        _ => Err(refuse("its first line is empty")),
    }
}

/// `90`, `90s`, `10m`, `2h`.
pub(crate) fn duration(text: &str) -> Result<Duration, Failure> {
    let bad = || Failure::usage(&format!("`{text}` is not a time"), "write 90s, 10m or 2h");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_s = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(bad()),
    };
    let count: u64 = digits.parse().map_err(|_| bad())?;
    count
        .checked_mul(unit_s)
        .map(Duration::from_secs)
        .ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("10m").unwrap(), Duration::from_secs(600));
        assert_eq!(duration("2h").unwrap(), Duration::from_secs(7200));
        for text in [
            "",
            "m",
            "1d",
            "-1s",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_token_file_holds_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let name = path.to_str().unwrap();
        std::fs::write(&path, "abc\n").unwrap();
        assert_eq!(token_from_file(name).unwrap(), Token::new("abc".to_owned()));
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(token_from_file(name).unwrap_err().exit, Exit::Usage);
        std::fs::write(&path, "x".repeat(5000)).unwrap();
        assert_eq!(token_from_file(name).unwrap_err().exit, Exit::Usage);
    }
}
