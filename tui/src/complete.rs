//! What a shell may offer next: nouns, verbs, options and their values, and the names of what there is.
//!
//! The shell's script asks with `ashlar __complete WORDS...`; the last word is the one to complete. Everything but the
//! names is known without a server. Names are asked for with 200 ms of patience and kept for 30 s. It never fails: a
//! shell that waits or shows errors is worse than one that offers nothing.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use clap::Command;
use serde_json::Value;

use crate::Session;
use crate::client::text;
use crate::context;
use crate::grammar;
use crate::output::FORMS;
use crate::places::{self, ParamKind, Place};
use crate::settings::{self, environment};
use crate::table::{Arg, Noun, Verb};
use crate::text::{harmless, shell_quoted};
use crate::verbs;

/// The word by which a shell's script asks.
pub(crate) const WORD: &str = "__complete";
/// Longer than this nobody waits for a Tab.
const PATIENCE: Duration = Duration::from_millis(200);
/// So long names that were fetched are offered again.
const CACHED_FOR: Duration = Duration::from_secs(30);
/// More than this a shell does not show.
const NAMES_MAX: usize = 1000;

/// Options that say which server is asked.
const WHERE: &[&str] = &["--context", "--endpoint", "--project", "--token-file"];

/// Prints what may come, one a line: the word, and after a tab what it is.
pub(crate) fn run(words: &[String]) {
    let mut out = std::io::stdout().lock();
    for (word, about) in offers(words) {
        let line = if about.is_empty() {
            word
        } else {
            format!("{word}\t{about}")
        };
        if writeln!(out, "{}", line.replace('\n', " ")).is_err() {
            return;
        }
    }
}

/// What was typed so far.
struct Typed<'a> {
    /// Words that are no options, in their order.
    places: Vec<&'a str>,
    /// The options that say which server is asked, with their values.
    wheres: Vec<&'a str>,
    /// The option whose value is being typed.
    open: Option<&'a str>,
}

fn offers(words: &[String]) -> Vec<(String, String)> {
    let (current, before) = match words.split_last() {
        Some((current, before)) => (current.as_str(), before),
        None => ("", words),
    };
    let root = grammar::command();
    let typed = typed(&root, before);
    let noun = typed.places.first().and_then(|word| noun(word));
    let verb = noun.and_then(|noun| match noun.verbs {
        [alone] if alone.name == noun.name => Some((alone, &typed.places[1..])),
        verbs => {
            let name = typed.places.get(1)?;
            let verb = verbs.iter().find(|verb| verb.name == *name)?;
            Some((verb, &typed.places[2..]))
        }
    });
    let all = if let Some(option) = typed.open {
        values(option, noun, verb.map(|(verb, _)| verb), &typed)
    } else if current.starts_with('-') {
        options(&root, noun, verb.map(|(verb, _)| verb))
    } else {
        match (noun, verb) {
            (None, _) if typed.places.is_empty() => nouns(),
            (None, _) => Vec::new(),
            (Some(noun), None) => verbs_of(noun),
            (Some(noun), Some((verb, given))) => objects(noun, verb, given, &typed),
        }
    };
    let mut fitting: Vec<_> = all
        .into_iter()
        .filter(|(word, _)| word.starts_with(current))
        .collect();
    fitting.dedup();
    fitting
}

/// Tells options and their values from places.
fn typed<'a>(root: &Command, before: &'a [String]) -> Typed<'a> {
    let mut typed = Typed {
        places: Vec::new(),
        wheres: Vec::new(),
        open: None,
    };
    for word in before {
        if let Some(option) = typed.open.take() {
            if WHERE.contains(&option) {
                typed.wheres.extend([option, word.as_str()]);
            }
        } else if word.starts_with('-') && word.len() > 1 {
            let noun = typed.places.first().and_then(|word| noun(word));
            let has_value = !word.contains('=') && takes_value(root, noun, &typed, word);
            typed.open = has_value.then_some(word.as_str());
        } else {
            typed.places.push(word);
        }
    }
    typed
}

fn takes_value(root: &Command, noun: Option<&Noun>, typed: &Typed<'_>, word: &str) -> bool {
    let is_it = |arg: &clap::Arg| match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => word.chars().nth(1).is_some_and(|c| {
            arg.get_short() == Some(c) || (c == 'f' && arg.get_short() == Some('o'))
        }),
    };
    let needs = |arg: &clap::Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
    if let Some(arg) = root.get_arguments().find(|arg| is_it(arg)) {
        return needs(arg);
    }
    let below = noun.and_then(|noun| root.find_subcommand(noun.name));
    let below = below.map(|below| {
        let verb = typed.places.get(1);
        verb.and_then(|verb| below.find_subcommand(verb))
            .unwrap_or(below)
    });
    below.is_some_and(|below| below.get_arguments().any(|arg| is_it(arg) && needs(arg)))
}

fn noun(word: &str) -> Option<&'static Noun> {
    verbs::NOUNS
        .iter()
        .copied()
        .find(|noun| noun.name == word || noun.aliases.contains(&word))
}

fn nouns() -> Vec<(String, String)> {
    let all = verbs::NOUNS.iter();
    all.map(|noun| (noun.name.to_owned(), noun.about.to_owned()))
        .collect()
}

fn verbs_of(noun: &Noun) -> Vec<(String, String)> {
    let all = noun.verbs.iter();
    all.map(|verb| (verb.name.to_owned(), verb.about.to_owned()))
        .collect()
}

fn options(root: &Command, noun: Option<&Noun>, verb: Option<&Verb>) -> Vec<(String, String)> {
    let below = noun.and_then(|noun| root.find_subcommand(noun.name));
    let below = below.and_then(|below| match verb {
        Some(verb) => below.find_subcommand(verb.name).or(Some(below)),
        None => Some(below),
    });
    let own = below.into_iter().flat_map(Command::get_arguments);
    own.chain(root.get_arguments())
        .filter_map(|arg| {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            Some((format!("--{}", arg.get_long()?), help))
        })
        .collect()
}

fn plain(words: impl IntoIterator<Item = impl ToString>) -> Vec<(String, String)> {
    let words = words.into_iter();
    words
        .map(|word| (word.to_string(), String::new()))
        .collect()
}

/// What may follow an option.
fn values(
    option: &str,
    noun: Option<&Noun>,
    verb: Option<&Verb>,
    typed: &Typed<'_>,
) -> Vec<(String, String)> {
    let columns = || {
        let columns = noun
            .into_iter()
            .flat_map(|noun| noun.short.iter().chain(noun.long));
        let mut heads: Vec<String> = columns.map(|c| c.head.replace(' ', "_")).collect();
        heads.sort_unstable();
        heads.dedup();
        plain(heads)
    };
    match option {
        "-o" | "-f" | "--output" | "--format" => plain(FORMS.iter().map(|(name, _)| *name)),
        "-c" | "--columns" | "--sort" => columns(),
        "--units" => plain(["iec", "si", "b"]),
        "--role" => plain(["admin", "member", "reader"]),
        "--mode" => plain(["rw", "ro"]),
        "--bootable" | "--readonly" | "--public" => plain(["true", "false"]),
        "--context" => match context::all() {
            Ok(contexts) => plain(contexts.into_iter().filter_map(|context| context.name)),
            Err(_) => Vec::new(),
        },
        _ => {
            let name = option.trim_start_matches('-');
            let params = verb
                .filter(|verb| verb.is_list)
                .and(noun)
                .map(|noun| noun.place.params);
            let param = params
                .into_iter()
                .flatten()
                .find(|param| param.option == name);
            let place = match param.map(|param| param.kind) {
                Some(ParamKind::Object(place)) => Some(place),
                _ => place_of(name),
            };
            place.map(|place| names(place, typed)).unwrap_or_default()
        }
    }
}

/// What may come at the next place.
fn objects(noun: &Noun, verb: &Verb, given: &[&str], typed: &Typed<'_>) -> Vec<(String, String)> {
    let mut places = verb
        .args
        .iter()
        .filter(|arg| matches!(arg, Arg::One(..) | Arg::Maybe(..) | Arg::Many(..)));
    let mut left = given.len();
    let arg = places.find(|arg| {
        let is_it = left == 0 || matches!(arg, Arg::Many(..));
        left = left.saturating_sub(1);
        is_it
    });
    let Some(arg) = arg else {
        return Vec::new();
    };
    match arg.name() {
        "shell" => plain(["bash", "zsh", "fish"]),
        "state" => plain(["available", "error", "in-use"]),
        "topic" => plain(crate::verbs::topics()),
        "object" if !noun.place.list.is_empty() && noun.name != "journal" => {
            names(noun.place, typed)
        }
        "object" => names(&places::VOLUME, typed),
        // A new name is not one of those there are.
        "name" | "size" | "source" | "key" => Vec::new(),
        name => place_of(name)
            .map(|place| names(place, typed))
            .unwrap_or_default(),
    }
}

fn place_of(name: &str) -> Option<&'static Place> {
    let place = match name {
        "volume" | "source" => &places::VOLUME,
        "snapshot" => &places::SNAPSHOT,
        "attachment" => &places::ATTACHMENT,
        "backup" => &places::BACKUP,
        "backup-set" => &places::BACKUP_SET,
        "type" => &places::TYPE,
        "qos" => &places::QOS,
        "transfer" => &places::TRANSFER,
        "pool" => &places::POOL,
        "host" => &places::SERVICE,
        "operation" => &places::OPERATION,
        "session" => &places::SESSION,
        "zone" => &places::ZONE,
        _ => return None,
    };
    Some(place)
}

/// The names of what there is, by now or a moment ago.
fn names(place: &'static Place, typed: &Typed<'_>) -> Vec<(String, String)> {
    let mut line = vec!["ashlar", "version"];
    line.extend(&typed.wheres);
    let Ok(matches) = grammar::command().try_get_matches_from(line) else {
        return Vec::new();
    };
    let Some(settings) = grammar::chosen(&matches).and_then(|given| settings::read(&given).ok())
    else {
        return Vec::new();
    };
    let project = settings.project.as_deref().unwrap_or_default();
    let cache = cache_file(&format!("{} {project} {}", settings.endpoint, place.noun));
    if let Some(names) = cached(cache.as_ref(), CACHED_FOR) {
        return plain(names);
    }
    let (sender, receiver) = mpsc::channel();
    // The thread is left behind when it takes too long: the program ends, and it with it.
    std::thread::spawn(move || {
        let session = Session::new(settings);
        let session = Session {
            client: session.client.hurried(PATIENCE),
            ..session
        };
        let _ = sender.send(fetch(&session, place));
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(Some(names)) => {
            keep(cache.as_ref(), &names);
            plain(names)
        }
        // What was true lately is a better offer than none.
        _ => plain(cached(cache.as_ref(), Duration::MAX).unwrap_or_default()),
    }
}

fn fetch(session: &Session, place: &Place) -> Option<Vec<String>> {
    let mut pages = session.client.pages(place, &[], Some(NAMES_MAX), None);
    let items = pages.next()?.ok()?;
    Some(words_of(&items, place))
}

/// The word for each object: a name that a shell would take apart, that is none or that several have is an id.
fn words_of(items: &[Value], place: &Place) -> Vec<String> {
    let mut count: HashMap<String, usize> = HashMap::new();
    for item in items {
        *count.entry(text(item, place.name)).or_default() += 1;
    }
    let word = |item: &Value| {
        let name = text(item, place.name);
        let is_plain = !name.is_empty() && shell_quoted(&name) == name && harmless(&name) == name;
        if is_plain && count.get(&name) == Some(&1) {
            name
        } else {
            text(item, place.id)
        }
    };
    let mut words: Vec<String> = items.iter().map(word).collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn cache_file(key: &str) -> Option<PathBuf> {
    let home = environment("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| environment("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    // Hex of the key: a path of the endpoint is not a path of the cache.
    let name: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
    (name.len() < 250).then(|| home.join("ashlar").join(name))
}

fn cached(path: Option<&PathBuf>, at_most: Duration) -> Option<Vec<String>> {
    let path = path?;
    let age = std::fs::metadata(path)
        .ok()?
        .modified()
        .ok()?
        .elapsed()
        .ok()?;
    if age > at_most {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().map(str::to_owned).collect())
}

fn keep(path: Option<&PathBuf>, names: &[String]) {
    let Some(path) = path else {
        return;
    };
    let beside = path.with_extension(std::process::id().to_string());
    let write = || {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::fs::write(&beside, names.join("\n"))?;
        std::fs::rename(&beside, path)
    };
    // Without a cache the next Tab asks again.
    let _: std::io::Result<()> = write();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        offers(&words).into_iter().map(|(word, _)| word).collect()
    }

    #[test]
    fn nouns_verbs_options_and_values_come_from_the_table() {
        assert_eq!(offered("vol"), ["volume"]);
        assert_eq!(offered("volume ext"), ["extend"]);
        assert_eq!(offered("vol -o json rety"), ["retype"]);
        assert_eq!(offered("volume delete --casc"), ["--cascade"]);
        assert_eq!(offered("volume delete --dry"), ["--dry-run"]);
        assert_eq!(offered("-o js"), ["json", "jsonl"]);
        assert_eq!(offered("volume list --sort si"), ["size"]);
        assert_eq!(offered("completion z"), ["zsh"]);
        assert_eq!(offered("volume reset-state v err"), ["error"]);
        assert!(offered("volume create ").is_empty());
        assert!(offered("nosuch thing ").is_empty());
        assert!(offers(&[]).len() > 20);
    }

    #[test]
    fn only_a_name_that_one_object_has_is_offered() {
        let items = [
            ("1", "data"),
            ("2", "data"),
            ("3", "logs"),
            ("4", "a b"),
            ("5", ""),
        ];
        let items = items.map(|(id, name)| serde_json::json!({"id": id, "name": name}));
        let words = words_of(&items, &places::VOLUME);
        assert_eq!(words, ["1", "2", "4", "5", "logs"]);
    }

    #[test]
    fn a_server_that_is_not_there_costs_no_more_than_the_patience() {
        let began = std::time::Instant::now();
        assert!(offered("--endpoint unix:/nonexistent/s volume show x").is_empty());
        assert!(began.elapsed() < PATIENCE * 10, "{:?}", began.elapsed());
    }

    #[test]
    fn what_was_fetched_is_kept_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/names");
        keep(Some(&path), &["a".to_owned(), "b".to_owned()]);
        assert_eq!(cached(Some(&path), CACHED_FOR).unwrap(), ["a", "b"]);
        assert_eq!(cached(Some(&path), Duration::ZERO), None);
        assert_eq!(cached(None, CACHED_FOR), None);
    }
}
