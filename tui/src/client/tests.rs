use serde_json::{Value, json};

use super::stand_in::StandIn;
use super::{Client, Endpoint, Method, Token, Writes, text};
use crate::failure::Exit;
use crate::places::{Api, VOLUME};

#[test]
fn a_token_is_not_shown_by_debug() {
    assert_eq!(
        format!("{:?}", Token::new("s3cret".to_owned())),
        "Token(hidden)"
    );
}

#[test]
fn a_daemon_that_is_not_there_is_exit_9_with_what_to_do() {
    let endpoint = Endpoint::Unix("/nonexistent/api.sock".to_owned());
    let client = Client::new(endpoint, None, None, Writes::Sent, false);
    let failure = client.versions().unwrap_err();
    assert_eq!(failure.exit, Exit::Unreachable);
    let failure = failure.of("listing").to_string();
    for word in ["listing", "unix:/nonexistent/api.sock", "ASHLAR_ENDPOINT"] {
        assert!(failure.contains(word), "{failure}");
    }
}

#[test]
fn a_list_is_read_page_by_page_and_no_further_than_the_limit() {
    let page = |ids: &[&str], has_more: bool| {
        let items: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
        let mut page = json!({"volumes": items});
        if has_more {
            page["volumes_links"] = json!([{"rel": "next"}]);
        }
        page.to_string()
    };
    let pages = || {
        vec![
            ("GET /v3/p/volumes/detail", 200, page(&["a", "b"], true)),
            ("GET /v3/p/volumes/detail", 200, page(&["c"], false)),
        ]
    };
    let ids = |server: &StandIn, limit| {
        let client = server.client(Writes::Sent);
        let pages = client.pages(&VOLUME, &[("status", "error")], limit, None);
        pages
            .flat_map(|page| page.unwrap())
            .map(|item| text(&item, "id"))
            .collect::<String>()
    };
    let server = StandIn::new(pages());
    assert_eq!(ids(&server, None), "abc");
    let asked = server.asked();
    assert!(
        asked[0].starts_with("GET /v3/p/volumes/detail?status=error&limit=1000 "),
        "{}",
        asked[0]
    );
    assert!(asked[1].contains("marker=b"), "{}", asked[1]);
    let server = StandIn::new(pages());
    assert_eq!(ids(&server, Some(1)), "a");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn an_older_server_is_spoken_to_in_its_own_version() {
    let versions = r#"{"versions": [{"id": "v3.0", "version": "3.59"}]}"#;
    let server = StandIn::new(vec![
        ("GET /v3/p/volumes/1", 406, "{}".to_owned()),
        ("GET /v3/p/volumes/1", 200, r#"{"volume": {}}"#.to_owned()),
        ("GET / ", 200, versions.to_owned()),
    ]);
    let client = server.client(Writes::Sent);
    client
        .at(Api::Cinder, Method::Get, "/volumes/1", None)
        .unwrap();
    let last = server.asked().pop().unwrap().to_lowercase();
    assert!(
        last.contains("openstack-api-version: volume 3.59"),
        "{last}"
    );
}

#[test]
fn a_dry_run_and_a_read_only_client_send_nothing_that_changes_anything() {
    let server = StandIn::new(Vec::new());
    let body = json!({"accept": {"auth_key": "k3y"}});
    let send = |writes| {
        let client = server.client(writes);
        let sent = client.cinder(Method::Post, "/volume-transfers/1/accept", Some(&body));
        sent.unwrap_err()
    };
    let told = send(Writes::Told);
    assert_eq!(told.exit, Exit::Done);
    let call = told.call().unwrap();
    assert!(
        call.starts_with("POST /v3/p/volume-transfers/1/accept") && !call.contains("k3y"),
        "{call}"
    );
    assert_eq!(send(Writes::Refused).exit, Exit::NotAllowed);
    let client = server.client(Writes::Told);
    assert!(
        client
            .changing_get(Api::Cinder, "/qos-specs/1/associate")
            .is_err()
    );
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[test]
fn the_stream_goes_on_where_it_ended_and_tells_a_gap() {
    let first = "event: hello\ndata: {\"newest\":7,\"oldest\":1}\n\nid: 8\nevent: change\ndata: {\"id\":8}\n\n: hb\n\n";
    let second = "event: hello\ndata: {\"newest\":9}\n\nevent: gap\ndata: {\"since\":8,\"oldest\":20,\"newest\":30}\n\n\
        id: 31\nevent: change\ndata: {\"id\":31}\n\n";
    let server = StandIn::new(vec![
        ("GET /ashlar/v1/events", 200, first.to_owned()),
        ("GET /ashlar/v1/events", 200, second.to_owned()),
        (
            "GET /ashlar/v1/events",
            403,
            r#"{"forbidden": {"message": "no"}}"#.to_owned(),
        ),
    ]);
    let client = server.client(Writes::Sent);
    let seen: Vec<_> = client
        .events(None)
        .map(|event| {
            event
                .map(|event| event["id"].as_u64())
                .map_err(|failure| failure.exit)
        })
        .collect();
    assert_eq!(seen, [Ok(Some(8)), Ok(Some(31)), Err(Exit::NotAllowed)]);
    let asked = server.asked();
    assert!(
        asked[0].starts_with("GET /ashlar/v1/events HTTP"),
        "{}",
        asked[0]
    );
    assert!(
        asked[1].starts_with("GET /ashlar/v1/events?since=8 "),
        "{}",
        asked[1]
    );
    assert!(
        asked[2].starts_with("GET /ashlar/v1/events?since=31 "),
        "{}",
        asked[2]
    );
}
