use serde_json::{Value, json};

use crate::Session;
use crate::client::Writes;
use crate::client::stand_in::{Answers, StandIn};
use crate::failure::{Exit, Failure};
use crate::grammar;
use crate::output::Answer;

const ID: &str = "aaaa0000-0000-4000-8000-000000000001";

fn run(session: &Session, line: &[&str]) -> Result<Vec<Value>, Failure> {
    let words = ["ashlar"].iter().chain(line);
    let matches = grammar::command().try_get_matches_from(words).unwrap();
    let given = grammar::chosen(&matches).unwrap();
    match (given.verb.run)(session, &given)? {
        Answer::One(item) => Ok(vec![item]),
        Answer::Many(items) | Answer::Planned(items) => Ok(items),
        Answer::Pages(pages) => {
            let pages: Result<Vec<_>, _> = pages.collect();
            Ok(pages?.into_iter().flatten().collect())
        }
        Answer::Text(text) => Ok(vec![Value::from(text)]),
        Answer::Done => Ok(Vec::new()),
    }
}

fn one_volume() -> Answers {
    let volume = json!({"id": ID, "name": "db", "status": "available", "size": 4});
    vec![
        (
            "GET /v3/p/volumes/detail",
            200,
            json!({"volumes": [volume]}).to_string(),
        ),
        (
            "GET /v3/p/volumes/aaaa",
            200,
            json!({"volume": volume}).to_string(),
        ),
    ]
}

fn plan(is_blocked: bool, level: &str) -> String {
    json!({"plan": {"verb": "delete_volume", "hash": "abc", "is_blocked": is_blocked, "after": {},
        "objects": [{"id": ID, "name": "db", "blocks": if is_blocked { json!(["it is attached"]) } else { json!([]) },
            "lost": ["4 GiB"], "breaks": [], "keeps": [], "frees_bytes": 1, "level": level}]}})
    .to_string()
}

#[test]
fn a_dry_run_shows_the_plan_of_the_server_and_does_nothing() {
    let mut answers = one_volume();
    answers.push(("POST /ashlar/v1/plan", 200, plan(true, "type_name")));
    let server = StandIn::new(answers);
    let session = server.session(Writes::Told);
    let items = run(
        &session,
        &["volume", "delete", "db", "--cascade", "--dry-run"],
    )
    .unwrap();
    assert_eq!(items[0]["if_match"], "plan-abc");
    assert_eq!(items[0]["is_blocked"], true);
    let asked = server.asked();
    let body = asked.last().unwrap();
    assert!(
        body.contains(r#""verb":"delete_volume""#) && body.contains(r#""cascade":true"#),
        "{body}"
    );
    assert!(
        asked.iter().all(|line| !line.starts_with("DELETE")),
        "{asked:?}"
    );
}

#[test]
fn a_server_without_plans_is_planned_for_in_words() {
    let server = StandIn::new(one_volume());
    let session = server.session(Writes::Told);
    let items = run(&session, &["volume", "delete", "db", "--dry-run"]).unwrap();
    assert_eq!(items[0]["is_blocked"], false);
    let note = items[0]["note"].as_str().unwrap();
    assert!(note.contains("cannot say beforehand"), "{note}");
}

#[test]
fn what_is_not_confirmed_is_not_done_and_the_plan_can_ask_for_more() {
    let mut answers = one_volume();
    answers.push(("POST /ashlar/v1/plan", 200, plan(false, "type_name")));
    answers.push(("POST /v3/p/volumes", 202, "{}".to_owned()));
    let server = StandIn::new(answers);
    let session = server.session(Writes::Sent);
    let failure = run(&session, &["volume", "unmanage", "db"]).unwrap_err();
    assert_eq!(failure.exit, Exit::Unconfirmed);
    // The verb alone would be content with --yes; what the plan found asks for the name.
    assert!(failure.to_string().contains("--yes-delete db"), "{failure}");
    let is_changed = server
        .asked()
        .iter()
        .any(|line| line.starts_with("POST /v3"));
    assert!(!is_changed);
}

#[test]
fn an_act_carries_the_tag_that_was_given_and_a_change_meanwhile_is_exit_5() {
    let mut answers = one_volume();
    let changed = r#"{"preconditionFailed": {"code": 412, "message": "it changed"}}"#;
    answers.push(("DELETE /v3/p/volumes/aaaa", 412, changed.to_owned()));
    let server = StandIn::new(answers);
    let session = Session {
        if_match: Some("\"plan-abc\"".to_owned()),
        ..server.session(Writes::Sent)
    };
    let failure = run(&session, &["volume", "delete", "db", "--yes-delete", "db"]).unwrap_err();
    assert_eq!(failure.exit, Exit::Conflict);
    let last = server.asked().pop().unwrap().to_lowercase();
    assert!(last.contains("if-match: \"plan-abc\""), "{last}");
}

#[test]
fn named_twice_is_done_once_and_several_are_confirmed_by_their_count() {
    let mut answers = one_volume();
    answers.push(("DELETE /v3/p/volumes/aaaa", 202, String::new()));
    let server = StandIn::new(answers);
    let session = server.session(Writes::Sent);
    run(
        &session,
        &["volume", "delete", "db", ID, "--yes-delete", "delete 1"],
    )
    .unwrap();
    let deletes = server.asked();
    let deletes = deletes.iter().filter(|line| line.starts_with("DELETE"));
    assert_eq!(deletes.count(), 1);
}

#[test]
fn a_filter_is_asked_of_the_server_where_it_can_be_and_of_every_object_anyway() {
    let server = StandIn::new(one_volume());
    let session = server.session(Writes::Sent);
    let list = |filter| {
        run(&session, &["volume", "list", "--filter", filter])
            .unwrap()
            .len()
    };
    // The stand-in answers with everything, as a server does that does not know a filter.
    assert_eq!(list("status=error"), 0);
    assert_eq!(list("status=available size=4"), 1);
    assert!(
        server.asked()[0].contains("status=error"),
        "{:?}",
        server.asked()
    );
}

#[test]
fn a_retype_a_quota_and_a_service_say_what_cinder_wants_to_hear() {
    let mut answers = one_volume();
    let types = json!({"volume_types": [{"id": "t1", "name": "gold"}]}).to_string();
    answers.push(("GET /v3/p/types", 200, types));
    answers.push(("POST /v3/p/volumes/aaaa", 202, String::new()));
    answers.push((
        "PUT /v3/p/os-quota-sets/q",
        200,
        r#"{"quota_set": {"volumes": 5}}"#.to_owned(),
    ));
    answers.push(("PUT /v3/p/os-services", 200, "{}".to_owned()));
    let server = StandIn::new(answers);
    let session = server.session(Writes::Sent);
    for (line, call, body) in [
        (
            &["volume", "retype", "db", "gold", "--yes"][..],
            "POST /v3/p/volumes/aaaa",
            json!({"os-retype": {"new_type": "t1", "migration_policy": "never"}}),
        ),
        (
            &[
                "quota",
                "set",
                "q",
                "--per-volume-gigabytes",
                "5",
                "--limit-of",
                "volumes_gold=-1",
                "--yes",
            ],
            "PUT /v3/p/os-quota-sets/q",
            json!({"quota_set": {"per_volume_gigabytes": 5, "volumes_gold": -1}}),
        ),
        (
            &["service", "disable", "a@b", "--reason", "cable", "--yes"],
            "PUT /v3/p/os-services/disable-log-reason",
            json!({"host": "a@b", "binary": "cinder-volume", "disabled_reason": "cable"}),
        ),
    ] {
        run(&session, line).unwrap();
        let asked = server.asked();
        let sent = asked.iter().rev().find(|text| text.starts_with(call));
        let sent = sent.unwrap_or_else(|| panic!("{call} was not called: {asked:?}"));
        let sent: Value = serde_json::from_str(sent.split("\r\n").last().unwrap()).unwrap();
        assert_eq!(sent, body);
    }
}

#[test]
fn a_look_at_a_backup_and_the_import_of_a_store_are_waited_for() {
    let backups = json!({"backups": [{"id": ID, "name": "n", "status": "available"}]}).to_string();
    let stores = json!({"backup_stores": [{"host": "h@nas", "name": "nas"}]}).to_string();
    let is = |phase: &str| {
        let ended = json!({"id": "o", "phase": phase, "error": "cut short", "finished_at": "2026"});
        json!({"operation": ended}).to_string()
    };
    let begun = || json!({"operation": {"id": "o", "phase": "queued"}}).to_string();
    let ends = |phase| {
        let server = StandIn::new(vec![
            ("GET /v3/p/backups/detail", 200, backups.clone()),
            ("GET /ashlar/v1/backup-stores", 200, stores.clone()),
            ("GET /ashlar/v1/operations/o", 200, is(phase)),
            ("POST /ashlar/v1/backups/aaaa", 202, begun()),
            ("POST /ashlar/v1/backup-stores/h@nas/import", 202, begun()),
        ]);
        let mut session = server.session(Writes::Sent);
        session.wait = Some(crate::wait::Wait {
            timeout: std::time::Duration::from_secs(20),
            status: None,
        });
        let verify = ["backup", "verify", "n", "--depth", "data"];
        let import = ["backup-store", "import", "nas"];
        let ended = [run(&session, &verify), run(&session, &import)];
        let asked = server.asked();
        assert!(
            asked
                .iter()
                .any(|text| text.ends_with("{\"depth\":\"data\"}")),
            "{asked:?}"
        );
        ended.map(|ended| ended.map(drop).map_err(|failure| failure.exit))
    };
    assert_eq!(ends("done"), [Ok(()), Ok(())]);
    assert_eq!(
        ends("failed"),
        [Err(Exit::EndedInError), Err(Exit::EndedInError)]
    );
}

/// The list of verbs in `docs/cli.md` is the table's; `ASHLAR_BLESS=1` writes it.
#[test]
fn the_page_lists_the_verbs_that_there_are() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("<!-- verbs -->\n").unwrap();
    let (listed, after) = rest.split_once("<!-- /verbs -->").unwrap();
    let mut table = String::from(
        "| noun | verb | changes | key | what it does |\n| --- | --- | --- | --- | --- |\n",
    );
    for (noun, verb) in super::all() {
        let level = match verb.level {
            crate::table::Level::Read => "no",
            crate::table::Level::Form => "yes",
            crate::table::Level::Confirm => "asks first",
            crate::table::Level::TypeName => "asks for the name",
        };
        let key = verb.key.map(|key| format!("`{key}`")).unwrap_or_default();
        let about = verb.about.replace('|', "\\|");
        table.push_str(&format!(
            "| {} | {} | {level} | {key} | {about} |\n",
            noun.name, verb.name
        ));
    }
    if std::env::var_os("ASHLAR_BLESS").is_some() {
        let page = format!("{before}<!-- verbs -->\n{table}<!-- /verbs -->{after}");
        std::fs::write(&path, page).unwrap();
        return;
    }
    assert_eq!(
        listed, table,
        "docs/cli.md is not what the table says; ASHLAR_BLESS=1 writes it"
    );
}
