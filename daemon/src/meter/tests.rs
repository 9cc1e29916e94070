//! The table, the page in `docs/` and what is really written are the same.

use super::*;
use std::collections::BTreeSet;

fn page() -> String {
    let mut page = "# Metrics\n\n\
        `GET /metrics` answers in the text format of Prometheus. Who may read it: administrators, with their token in\n\
        `X-Auth-Token` or as `Authorization: Bearer`, and the unix socket; with `api.metrics = \"loopback\"` also whoever asks\n\
        over the loopback interface, without a token.\n\n\
        Printed from the table in `daemon/src/meter.rs` by its tests (`ASHLAR_BLESS=1 cargo test -p ashlar-daemon meter`); do not\n\
        edit. Times are in seconds, sizes in bytes. Counters and times are those of the process that answers (the role `api`);\n\
        gauges are read from the record and the target when they are asked for. Labels take their values from small sets: no id,\n\
        project or name of a client's is one.\n\n\
        | name | kind | labels | what it tells |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for one in METRICS {
        let labels: Vec<String> = one
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let kind = match one.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        page.push_str(&format!(
            "| `{}` | {kind} | {} | {} |\n",
            one.name,
            labels.join(", "),
            one.says
        ));
    }
    page
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test asks whether to rewrite the page it checks"
)]
fn the_page_is_printed_from_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    if std::env::var("ASHLAR_BLESS").is_ok() {
        std::fs::write(path, page()).unwrap();
    }
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        checked_in,
        page(),
        "docs/metrics.md differs: run with ASHLAR_BLESS=1"
    );
}

#[test]
fn every_line_of_the_answer_is_in_the_table_with_its_labels() {
    answered("/v3/volumes/{id}", "GET", 200, Duration::from_millis(3));
    operation_ended(Verb::CreateVolume, Phase::Done, 0.5);
    written(&Ok(()), Duration::from_millis(1));
    read(Duration::from_millis(1));
    record_is(true, true);
    queued("scheduler", Phase::Queued, 2);
    volumes("available", 7);
    target(Some((3, 2)));
    fold();
    let text = render();
    let mut seen = BTreeSet::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        let plain = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .filter(|plain| METRICS.iter().any(|one| one.name == *plain))
            .unwrap_or(name);
        let known = METRICS.iter().find(|one| one.name == plain);
        let known = known.unwrap_or_else(|| panic!("{line} is not in the table"));
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        for label in labels.map_or("", |(labels, _)| labels).split("\",") {
            let label = label.split('=').next().unwrap().trim();
            let may = label.is_empty() || label == "le" || known.labels.contains(&label);
            assert!(may, "{line}: {label}");
        }
        seen.insert(known.name);
    }
    assert!(seen.contains(HTTP_SECONDS) && seen.contains(BUILD) && seen.contains(TARGET_SESSIONS));
    assert!(
        text.contains("ashlar_http_request_seconds_bucket{route=\"/v3/volumes/{id}\""),
        "{text}"
    );
    assert!(
        text.contains("le=\"43200\""),
        "operations have bounds of their own"
    );
}

#[test]
fn names_tell_their_unit_and_are_there_once() {
    let names: BTreeSet<&str> = METRICS.iter().map(|one| one.name).collect();
    assert_eq!(names.len(), METRICS.len());
    for one in METRICS {
        assert!(one.name.starts_with("ashlar_"));
        assert_eq!(
            one.kind == Kind::Counter,
            one.name.ends_with("_total"),
            "{}",
            one.name
        );
        assert_eq!(
            one.kind == Kind::Histogram,
            one.name.ends_with("_seconds"),
            "{}",
            one.name
        );
    }
}
