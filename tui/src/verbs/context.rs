//! `ashlar context ...`: which server is spoken to, as whom. On this machine only.

use serde_json::{Value, json};

use crate::Session;
use crate::context::{self, Context};
use crate::failure::Failure;
use crate::listing;
use crate::output::{Answer, Column};
use crate::places::LOCAL;
use crate::table::{Arg, Given, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "context",
    aliases: &["contexts", "ctx"],
    about: "Contexts: which server, as whom",
    place: &LOCAL,
    short: COLUMNS,
    long: COLUMNS,
    verbs: &[LIST, SHOW, USE],
};

const COLUMNS: &[Column] = &[
    Column::text("name", "name"),
    Column::text("in use", "is_current"),
    Column::text("endpoint", "endpoint"),
    Column::text("project", "project"),
    Column::text("token", "token"),
    Column::text("read only", "read_only"),
    Column::text("from", "source"),
];

const LIST: Verb = Verb::read("list", "List the contexts", &[], |_, given| {
    let current = context::current()?;
    let contexts = context::all()?;
    let items = contexts.iter().map(|one| view(one, one.name == current));
    listing::of_items(given, items.collect())
})
.list();

const SHOW: Verb = Verb::read(
    "show",
    "Show the context of this call, wherever it comes from",
    &[],
    show,
);

fn show<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let mut item = view(&context::chosen(given)?, true);
    // The endpoint of this call, also where the environment or a default names it.
    item["endpoint"] = Value::from(session.client.endpoint());
    Ok(Answer::One(item))
}

/// A context without its secret.
fn view(context: &Context, is_current: bool) -> Value {
    let token = match (&context.token, &context.token_file) {
        (Some(_), _) => Some("(hidden)"),
        (None, file) => file.as_deref(),
    };
    json!({
        "name": context.name,
        "is_current": is_current,
        "endpoint": context.endpoint,
        "project": context.project,
        "token": token,
        "read_only": context.is_read_only,
        "source": context.source,
    })
}

// It changes this machine and no server, hence a read-only context does not forbid it.
const USE: Verb = Verb::read(
    "use",
    "Use a context from now on",
    &[Arg::One("name", "as `context list` shows it")],
    |session, given| {
        if session.dry_run {
            return Ok(Answer::Done);
        }
        context::make_current(given.word("name"))?;
        Ok(Answer::Done)
    },
);
