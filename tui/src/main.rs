//! `ashlar`: the command line (and, later, the console) of Ashlar.
//!
//! It knows the HTTP API and nothing else of the daemon: any Cinder v3 endpoint will do for the nouns that Cinder has.
//! Data goes to standard output, everything else to standard error; the exit code says what kind of end it was
//! (`failure.rs`). The verbs are a table (`verbs/mod.rs`): the parser, the help and the dispatch are made from it.

mod ask;
mod client;
mod console;
mod failure;
mod find;
mod grammar;
mod output;
mod settings;
mod size;
mod text;
mod verbs;
mod wait;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::grammar::Given;
use crate::output::Answer;

/// What a verb may use: the server, and how to speak to whoever called.
pub(crate) struct Session {
    /// The one HTTP edge.
    pub(crate) client: Client,
    /// The form of the answer.
    pub(crate) form: output::Form,
    /// Whether and how long to wait for the end of what was begun.
    pub(crate) wait: Option<std::time::Duration>,
    /// Whether somebody sits at the terminal to be asked.
    pub(crate) may_ask: bool,
}

fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let is_bare = words.len() <= 1;
    if is_bare && std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        // Nothing but the name, on a terminal: the console.
        words = vec!["ashlar".into(), "tui".into()];
    }
    let matches = match grammar::command().try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version go to standard output with exit 0, usage errors to standard error with 2.
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            let _ = error.print();
            return exit.into();
        }
    };
    match run(&matches) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{failure}");
            failure.exit.into()
        }
    }
}

fn run(matches: &clap::ArgMatches) -> Result<(), Failure> {
    let Some((verb, given)) = grammar::chosen(matches) else {
        return Err(Failure::usage("no verb given", "see `ashlar --help`"));
    };
    let settings = settings::read(&given)?;
    if verb.noun == "tui" {
        let token = settings.token.as_ref();
        let (is_read_only, is_ascii) = (given.flag("read-only"), given.flag("ascii"));
        return console::open(
            &settings.endpoint,
            token,
            settings.project,
            is_read_only,
            is_ascii,
        );
    }
    let session = Session {
        client: Client::new(settings.endpoint, settings.token, settings.project)?,
        form: settings.form,
        wait: settings.wait,
        may_ask: std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
    };
    let answer = (verb.run)(&session, &given)?;
    print(&session, verb, &given, &answer)
}

fn print(
    session: &Session,
    verb: &grammar::Verb,
    given: &Given<'_>,
    answer: &Answer,
) -> Result<(), Failure> {
    let columns = output::choose(verb.columns, given.option("columns"))?;
    let is_terminal = std::io::stdout().is_terminal();
    let text = output::render(answer, verb.noun, &columns, session.form, is_terminal);
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // `ashlar volume list | head` is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(
            Exit::Failed,
            "the answer could not be written to standard output",
            &error.to_string(),
        )),
    }
}
