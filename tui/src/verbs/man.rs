//! `ashlar man DIRECTORY`: the manual pages, made from the table.

use clap_mangen::Man;

use crate::Session;
use crate::failure::{Exit, Failure};
use crate::grammar;
use crate::output::Answer;
use crate::places::LOCAL;
use crate::table::{Arg, Given, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "man",
    aliases: &[],
    about: "Write the manual pages into a directory",
    place: &LOCAL,
    short: &[],
    long: &[],
    verbs: &[Verb::read(
        "man",
        "Write the manual pages into a directory: ashlar.1, one a noun, one a verb",
        &[Arg::One("directory", "where to; it must be there")],
        write,
    )],
};

fn write<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let directory = std::path::Path::new(given.word("directory"));
    if !session.dry_run {
        std::fs::create_dir_all(directory).map_err(|error| unwritten(directory, &error))?;
    }
    let mut root = grammar::command();
    // Gives every verb the options that stand everywhere.
    root.build();
    for (name, page) in pages(&root).map_err(|error| unwritten(directory, &error))? {
        if !session.dry_run {
            let path = directory.join(name);
            std::fs::write(&path, page).map_err(|error| unwritten(&path, &error))?;
        }
    }
    Ok(Answer::Done)
}

fn unwritten(path: &std::path::Path, error: &std::io::Error) -> Failure {
    let what = format!("writing the manual pages: {}", path.display());
    Failure::new(Exit::Failed, &what, &error.to_string())
}

/// Each page with its file's name: the program, its nouns, their verbs.
fn pages(root: &clap::Command) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    let mut open = vec![(root.clone(), "ashlar".to_owned())];
    while let Some((command, name)) = open.pop() {
        if name.ends_with("-help") {
            continue;
        }
        for below in command.get_subcommands() {
            open.push((below.clone(), format!("{name}-{}", below.get_name())));
        }
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        pages.push((format!("{name}.1"), page));
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_noun_and_verb_has_a_page() {
        let mut root = grammar::command();
        root.build();
        let pages = pages(&root).unwrap();
        for name in [
            "ashlar.1",
            "ashlar-volume.1",
            "ashlar-volume-extend.1",
            "ashlar-version.1",
        ] {
            let page = pages.iter().find(|(known, _)| known == name);
            let text = String::from_utf8(page.unwrap().1.clone()).unwrap();
            assert!(text.contains(".TH") && text.contains(".SH"), "{name}");
        }
    }
}
