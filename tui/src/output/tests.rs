use serde_json::{Value, json};

use super::{Answer, Column, Columns, Form, Style, Units, write};

impl Style {
    const PLAIN: Style = Style {
        form: Form::Table,
        is_bare: false,
        is_exact: false,
        units: Units::Iec,
        width: None,
    };
}

const COLUMNS: &[Column] = &[
    Column::text("name", "name"),
    Column::gib("size", "size"),
    Column::text("iqn", "connection_info.target_iqn"),
    Column::time("created", "created_at"),
];

fn two() -> Vec<Value> {
    vec![
        json!({"id": "1", "name": "db", "size": 10, "created_at": "2025-01-02T03:04:05.000000",
            "connection_info": {"target_iqn": "iqn.x"}}),
        json!({"id": "2", "name": "a\u{1b}[31m\u{202e}\u{9b}", "size": null}),
    ]
}

fn shown(answer: Answer<'_>, style: &Style, wanted: &[&str]) -> String {
    let columns = Columns::choose(COLUMNS, COLUMNS, wanted).unwrap();
    let mut out = Vec::new();
    write(&mut out, answer, "volume", &columns, style).unwrap();
    String::from_utf8(out).unwrap()
}

fn form(form: Form) -> Style {
    Style {
        form,
        ..Style::PLAIN
    }
}

#[test]
fn a_table_has_heads_even_columns_units_and_no_control_characters() {
    assert_eq!(
        shown(Answer::Many(two()), &Style::PLAIN, &[]),
        "NAME   SIZE  IQN    CREATED\n\
         db      10G  iqn.x  2025-01-02T03:04:05\n\
         a[31m     -  -      -\n"
    );
}

#[test]
fn a_table_is_cut_to_a_terminal_and_never_in_a_pipe() {
    let item = || vec![json!({"name": "a-very-long-name-that-does-not-fit", "size": 1})];
    let narrow = Style {
        width: Some(40),
        ..Style::PLAIN
    };
    let text = shown(Answer::Many(item()), &narrow, &["name", "size"]);
    assert_eq!(
        text,
        "NAME                                SIZE\na-very-long-name-that-does-not-fit    1G\n"
    );
    let narrower = Style {
        width: Some(20),
        ..Style::PLAIN
    };
    let text = shown(Answer::Many(item()), &narrower, &["name", "size"]);
    assert_eq!(text, "NAME            SIZE\na-very-long...    1G\n");
    assert!(shown(Answer::Many(item()), &Style::PLAIN, &[]).contains("not-fit"));
}

#[test]
fn wide_characters_keep_the_columns_even() {
    let items = vec![
        json!({"name": "石", "size": 1}),
        json!({"name": "ab", "size": 1}),
    ];
    let text = shown(Answer::Many(items), &Style::PLAIN, &["name", "size"]);
    assert_eq!(text, "NAME  SIZE\n石      1G\nab      1G\n");
}

#[test]
fn for_programs_cells_are_exact_and_without_heads() {
    let style = Style {
        is_bare: true,
        is_exact: true,
        ..Style::PLAIN
    };
    assert_eq!(
        shown(Answer::Many(two()), &style, &["name", "size", "created"]),
        "db\t10737418240\t2025-01-02T03:04:05.000000Z\na[31m\t\t\n"
    );
    assert_eq!(
        shown(Answer::Many(two()), &form(Form::Value), &["name"]),
        "db\na[31m\n"
    );
    assert_eq!(shown(Answer::Many(two()), &form(Form::Id), &[]), "1\n2\n");
}

#[test]
fn units_are_asked_for() {
    let style = |units| Style {
        units,
        ..form(Form::Value)
    };
    let size = |gib: f64, units| {
        let item = json!({"size": gib});
        shown(Answer::One(item), &style(units), &["size"])
            .trim()
            .to_owned()
    };
    assert_eq!(size(1536.0, Units::Iec), "1.5T");
    assert_eq!(size(1536.0, Units::Si), "1.6TB");
    assert_eq!(size(1.0, Units::Bytes), "1073741824");
    assert_eq!(size(0.5, Units::Iec), "512M");
    assert_eq!(size(0.0, Units::Iec), "0B");
}

#[test]
fn json_is_one_document_with_sizes_also_in_bytes_however_many_pages_come() {
    let one_by_one = || two().into_iter().map(|item| Ok(vec![item]));
    let pages = shown(
        Answer::Pages(Box::new(one_by_one())),
        &form(Form::Json),
        &[],
    );
    let whole = shown(Answer::Many(two()), &form(Form::Json), &[]);
    assert_eq!(pages, whole);
    let parsed: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(parsed["schema"], "ashlar.volume/1");
    assert_eq!(parsed["items"][0]["size_bytes"], 10_737_418_240_u64);
    assert_eq!(parsed["items"][1]["id"], "2");
    let none: Value =
        serde_json::from_str(&shown(Answer::Many(vec![]), &form(Form::Json), &[])).unwrap();
    assert_eq!(none["items"], json!([]));
    let lines = shown(Answer::Many(two()), &form(Form::Jsonl), &[]);
    assert_eq!(lines.lines().count(), 2);
    for text in [&whole, &lines] {
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{text}");
    }
}

#[test]
fn chosen_columns_are_all_that_json_holds() {
    let text = shown(
        Answer::Many(two()),
        &form(Form::Jsonl),
        &["Name,connection_info.target_iqn"],
    );
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(
        first,
        json!({"name": "db", "connection_info.target_iqn": "iqn.x"})
    );
}

#[test]
fn yaml_keeps_words_that_it_would_take_for_something_else() {
    let item =
        json!({"name": "no", "meta": {"a b": "1e3", "y": []}, "list": [1, {"x": null, "z": 2}]});
    assert_eq!(
        shown(Answer::One(item), &form(Form::Yaml), &[]),
        "schema: \"ashlar.volume/1\"\nitems:\n- list:\n    - 1\n    - x: null\n      z: 2\n  meta:\n    \
         \"a b\": \"1e3\"\n    \"y\": []\n  name: \"no\"\n"
    );
    assert_eq!(
        shown(Answer::Many(vec![]), &form(Form::Yaml), &[]),
        "schema: \"ashlar.volume/1\"\nitems: []\n"
    );
}

#[test]
fn csv_quotes_and_defuses() {
    let items = vec![
        json!({"name": "a,\"b\"", "size": 1}),
        json!({"name": "=SUM(A1)", "size": 1}),
        json!({"name": "-5", "size": null}),
    ];
    assert_eq!(
        shown(Answer::Many(items), &form(Form::Csv), &["name", "size"]),
        "name,size\r\n\"a,\"\"b\"\"\",1073741824\r\n'=SUM(A1),1073741824\r\n-5,\r\n"
    );
    assert_eq!(
        shown(Answer::Many(vec![]), &form(Form::Csv), &["name"]),
        "name\r\n"
    );
}

#[test]
fn nothing_is_a_sentence_on_a_terminal_and_heads_only_in_a_pipe() {
    let terminal = Style {
        width: Some(80),
        ..Style::PLAIN
    };
    assert_eq!(shown(Answer::Many(vec![]), &terminal, &[]), "No volumes.\n");
    assert_eq!(
        shown(Answer::Many(vec![]), &Style::PLAIN, &[]),
        "NAME  SIZE  IQN  CREATED\n"
    );
    assert_eq!(shown(Answer::Done, &form(Form::Json), &[]), "");
}

#[test]
fn columns_are_chosen_by_head_or_field_in_the_order_named_and_added_with_a_plus() {
    let chosen = Columns::choose(COLUMNS, COLUMNS, &["size,NAME"]).unwrap();
    assert_eq!(chosen.shown, [COLUMNS[1], COLUMNS[0]]);
    let added = Columns::choose(&COLUMNS[..1], COLUMNS, &["+created"]).unwrap();
    assert_eq!(added.shown, [COLUMNS[0], COLUMNS[3]]);
    let failure = Columns::choose(COLUMNS, COLUMNS, &["colour"]).unwrap_err();
    assert!(failure.to_string().contains("name, size, iqn"), "{failure}");
    assert_eq!(failure.to_string().matches("size").count(), 1, "{failure}");
}

#[test]
fn a_chap_secret_is_not_in_a_table() {
    for key in ["auth_password", "mutual_auth_password"] {
        let item = json!({"name": {key: "s3cret", "auth_username": "u"}});
        let text = shown(Answer::One(item), &Style::PLAIN, &["name"]);
        assert!(
            !text.contains("s3cret") && text.contains("auth_username=u"),
            "{text}"
        );
    }
}

#[test]
fn objects_in_a_cell_are_told_in_words_and_without_secrets() {
    let told = |name: serde_json::Value| {
        let item = json!({"name": name});
        shown(Answer::One(item), &Style::PLAIN, &["name"])
    };
    let attachments = json!([{"attachment_id": "a1", "host_name": "db01"}, {"attachment_id": "a2", "host_name": null}]);
    assert_eq!(told(attachments), "name  db01, a2\n");
    let verdicts =
        json!([{"filter": "ServiceUpFilter", "passed": true, "why": "reported 2 s ago"}]);
    assert_eq!(told(verdicts), "name  ServiceUpFilter: reported 2 s ago\n");
    let others = told(json!([{"auth_password": "s3cret", "k": 1}]));
    assert!(
        !others.contains("s3cret") && others.contains("k=1"),
        "{others}"
    );
}

#[test]
fn forms_have_words() {
    assert_eq!(Form::parse("jsonl").unwrap(), Form::Jsonl);
    assert!(Form::parse("xml").unwrap_err().to_string().contains("yaml"));
}
