//! `ashlar completion SHELL`: the script that lets a shell complete what is typed. What it offers, `complete.rs` knows.

use crate::Session;
use crate::complete::WORD;
use crate::failure::Failure;
use crate::output::Answer;
use crate::places::LOCAL;
use crate::table::{Arg, Given, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "completion",
    aliases: &[],
    about: "Print the script that completes words in a shell",
    place: &LOCAL,
    short: &[],
    long: &[],
    verbs: &[Verb::read(
        "completion",
        "Print the script that completes words in a shell: source <(ashlar completion bash)",
        &[Arg::One("shell", "bash, zsh or fish")],
        script,
    )],
};

const BASH: &str = r#"_ashlar() {
    local IFS=$'\n'
    COMPREPLY=($(ashlar @ASK@ "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1))
}
complete -o default -F _ashlar ashlar
"#;

const ZSH: &str = r#"#compdef ashlar
_ashlar() {
    local line
    local -a offers
    for line in "${(@f)$(ashlar @ASK@ "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        if [[ $line == *$'\t'* ]]; then
            offers+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        else
            offers+=("${line//:/\\:}")
        fi
    done
    _describe ashlar offers
}
(( $+functions[compdef] )) && compdef _ashlar ashlar
"#;

const FISH: &str = r#"function __ashlar_offers
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    ashlar @ASK@ $before[2..-1] "$current" 2>/dev/null
end
complete -c ashlar -f -a '(__ashlar_offers)'
"#;

fn script<'s>(_: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let script = match given.word("shell") {
        "bash" => BASH,
        "zsh" => ZSH,
        "fish" => FISH,
        other => {
            return Err(Failure::usage(
                &format!("there is no script for the shell `{other}`"),
                "use bash, zsh or fish",
            ));
        }
    };
    Ok(Answer::Text(script.replace("@ASK@", WORD)))
}
