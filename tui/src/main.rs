//! `ashlar`: the command line (and, later, the console) of Ashlar.
//!
//! It knows the HTTP API and nothing else of the daemon: any Cinder v3 endpoint will do for the nouns that Cinder has.
//! Data goes to standard output, everything else to standard error; the exit code says what kind of end it was
//! (`failure.rs`). The nouns and verbs are a table (`verbs/mod.rs`): the parser, the help and the dispatch are made
//! from it.

mod ask;
mod client;
mod clock;
mod cmd;
mod complete;
mod console;
mod context;
mod failure;
mod filter;
mod find;
mod grammar;
mod initiator;
mod listing;
mod output;
mod places;
mod plan;
mod select;
mod settings;
mod size;
mod sort;
mod table;
mod text;
mod verbs;
mod wait;
mod watch;

use std::ffi::OsString;
use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::client::{Client, Writes};
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Column, Columns, Form, Style};
use crate::settings::Settings;
use crate::table::{Given, Level};

/// What a verb may use: the server, and how to speak to whoever called.
pub(crate) struct Session {
    /// The one HTTP edge.
    pub(crate) client: Client,
    /// The form of the answer.
    pub(crate) form: Form,
    /// Whether and how long to wait for the end of what was begun.
    pub(crate) wait: Option<wait::Wait>,
    /// Whether somebody sits at the terminal to be asked.
    pub(crate) may_ask: bool,
    /// Whether only to say what would happen.
    pub(crate) dry_run: bool,
    /// What must still be true for an act to be done.
    pub(crate) if_match: Option<String>,
}

#[cfg(test)]
impl Session {
    /// One without a server.
    pub(crate) fn for_tests() -> Self {
        let endpoint = client::Endpoint::Unix("/nonexistent/api.sock".to_owned());
        Self {
            client: Client::new(endpoint, None, None, Writes::Sent, false),
            form: Form::Table,
            wait: None,
            may_ask: false,
            dry_run: false,
            if_match: None,
        }
    }
}

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    if args.get(1).is_some_and(|word| word == complete::WORD) {
        let words = args.iter().skip(2);
        let words: Vec<String> = words
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        complete::run(&words);
        return Exit::Done.into();
    }
    if args.len() <= 1 && std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        // Nothing but the name, on a terminal: the console.
        args = vec!["ashlar".into(), "tui".into()];
    }
    let matches = match grammar::command().try_get_matches_from(args) {
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
    let Some(given) = grammar::chosen(&matches) else {
        return Exit::Usage.into();
    };
    match run(&given) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            tell(&given, &failure);
            failure.exit.into()
        }
    }
}

fn tell(given: &Given<'_>, failure: &Failure) {
    if failure.exit == Exit::Done && failure.call().is_none() {
        return;
    }
    let form = given.option("output").map(Form::parse);
    let is_json = matches!(form, Some(Ok(form)) if form.is_json());
    let mut err = std::io::stderr().lock();
    let _ = match failure.call() {
        Some(call) => writeln!(err, "would send {}", text::harmless(call)),
        None if is_json => writeln!(err, "{}", failure.json()),
        None => writeln!(err, "{failure}"),
    };
}

impl Session {
    /// As the settings say.
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            form: settings.style.form,
            wait: settings.wait,
            may_ask: std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
            dry_run: settings.writes == Writes::Told,
            if_match: settings.if_match,
            client: Client::new(
                settings.endpoint,
                settings.token,
                settings.project,
                settings.writes,
                settings.is_traced,
            ),
        }
    }
}

fn run(given: &Given<'_>) -> Result<(), Failure> {
    let settings = settings::read(given)?;
    if given.noun.name == "tui" {
        let is_read_only = given.flag("read-only") || settings.writes != Writes::Sent;
        let (token, is_ascii) = (settings.token.as_ref(), given.flag("ascii"));
        return console::open(
            &settings.endpoint,
            token,
            settings.project,
            is_read_only,
            is_ascii,
        );
    }
    let style = settings.style;
    let writes = settings.writes;
    let session = Session::new(settings);
    if writes == Writes::Refused && given.verb.level != Level::Read {
        let what = format!("{} {}", given.noun.name, given.verb.name);
        let why =
            "nothing may be changed from here: ASHLAR_READONLY is set, or the context is read-only";
        return Err(Failure::new(Exit::NotAllowed, &what, why).unchanged());
    }
    // A column that is not there is told before anything is done.
    let columns = columns(given, &style)?;
    if let Some(every) = given.option("watch") {
        return watch::run(&session, given, &columns, &style, every);
    }
    let answered = (given.verb.run)(&session, given);
    match answered {
        Ok(Answer::Planned(items)) => print_plan(given, items, &style),
        Ok(answer) => print(answer, given.noun.name, &columns, &style),
        Err(failure) => {
            if !failure.done().is_empty() {
                let done = Answer::Many(failure.done().to_vec());
                print(done, given.noun.name, &columns, &style)?;
            }
            Err(failure)
        }
    }
}

fn columns(given: &Given<'_>, style: &Style) -> Result<Columns, Failure> {
    let is_wide = matches!(style.form, Form::Wide | Form::Csv);
    let default = given.columns(is_wide);
    let mut known = given.columns(true).to_vec();
    known.extend(given.noun.short.iter().chain(given.noun.long));
    Columns::choose(default, &known, &given.all("columns"))
}

fn print(answer: Answer<'_>, noun: &str, columns: &Columns, style: &Style) -> Result<(), Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    output::write(&mut out, answer, noun, columns, style)?;
    out.flush().map_err(|error| output::unwritten(&error))
}

/// The columns of a plan.
const PLAN: &[Column] = &[
    Column::text("name", "name"),
    Column::text("blocks", "blocks"),
    Column::text("lost", "lost"),
    Column::text("breaks", "breaks"),
    Column::text("kept", "keeps"),
    Column::bytes("frees", "frees_bytes"),
    Column::text("pool", "placement.winner"),
    Column::text("blocked", "is_blocked"),
    Column::text("tag", "if_match"),
];

/// What a dry run found: exit 0 if all of it would run, 5 if not.
fn print_plan(
    given: &Given<'_>,
    items: Vec<serde_json::Value>,
    style: &Style,
) -> Result<(), Failure> {
    let columns = Columns::choose(PLAN, PLAN, &[])?;
    let count = items.len();
    let is_blocked = |item: &&serde_json::Value| item["is_blocked"].as_bool() == Some(true);
    let blocked = items.iter().filter(is_blocked).count();
    let free = items.iter().filter(|item| !is_blocked(item));
    let frees: u64 = free.filter_map(|item| item["frees_bytes"].as_u64()).sum();
    print(Answer::Many(items), "plan", &columns, style)?;
    if blocked == 0 {
        let freed = if frees > 0 {
            format!(", {} freed", size::in_words(frees))
        } else {
            String::new()
        };
        let _ = writeln!(std::io::stderr(), "{count} of {count} would be done{freed}");
        return Ok(());
    }
    let what = format!("{} {}", given.noun.name, given.verb.name);
    let why = format!(
        "{} of {count} would be done, {blocked} would be refused",
        count - blocked
    );
    Err(Failure::new(Exit::Conflict, &what, &why).unchanged())
}
