//! The event stream over the wire: who hears what, and what a reader that was away or is too slow is told.

use super::fixture::{Fixture, fixture};
use crate::api::auth::{AuthMode, Peer};
use crate::api::error::Body;
use crate::store::{Batch, SqliteOptions, Store, events};
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// A stream that is being read.
struct Stream {
    body: Body,
    text: String,
}

/// A frame: its event and its data.
type Frame = (String, Value);

async fn open(api: &Fixture, token: &str, path: &str, headers: &[(&str, &str)]) -> (u16, Stream) {
    let mut request = Request::builder().uri(path).header("x-auth-token", token);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let peer = Peer::Tcp(SocketAddr::from(([127, 0, 0, 1], 40_000)));
    let response = api
        .door
        .answer(peer, request.body(Body::empty()).unwrap())
        .await;
    let code = response.status().as_u16();
    if code == 200 {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
    }
    let stream = Stream {
        body: response.into_body(),
        text: String::new(),
    };
    (code, stream)
}

impl Stream {
    /// The next frame, past heartbeats; `None` at the end.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.text = rest;
                if !frame.starts_with(':') {
                    return Some(parse(&frame));
                }
                continue;
            }
            let deadline = Duration::from_secs(20);
            let piece = tokio::time::timeout(deadline, self.body.frame())
                .await
                .unwrap()?;
            let data = piece.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    async fn wants(&mut self, event: &str) -> Value {
        let (found, data) = self.next().await.unwrap();
        assert_eq!(found, event, "{data}");
        data
    }
}

fn parse(frame: &str) -> Frame {
    let field = |name: &str| {
        let line = frame.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().to_owned()
    };
    (
        field("event: "),
        serde_json::from_str(&field("data: ")).unwrap(),
    )
}

#[tokio::test]
async fn a_reader_hears_of_its_own_project_and_an_administrator_of_all() {
    let api = fixture(AuthMode::Token).await;
    let (code, mut admin) = open(&api, "admin", "/ashlar/v1/events", &[]).await;
    assert_eq!(code, 200);
    let (_, mut other) = open(&api, "other", "/ashlar/v1/events", &[]).await;
    let hello = admin.wants("hello").await;
    assert_eq!(hello["retention_events"], json!(events::RETENTION_EVENTS));
    other.wants("hello").await;
    let volume = api.volume(1, "a").await;
    let operation = admin.wants("change").await;
    assert_eq!(operation["kind"], "operation");
    let told = admin.wants("change").await;
    let id = told["id"].as_i64().unwrap();
    assert!(id > hello["newest"].as_i64().unwrap());
    assert_eq!(
        (
            &told["kind"],
            &told["object_id"],
            &told["project_id"],
            &told["change"],
            &told["status"]
        ),
        (
            &json!("volume"),
            &volume["id"],
            &json!("p"),
            &json!("created"),
            &json!("creating")
        )
    );
    // What everybody may know comes to the other project too, and nothing before it.
    let body = json!({"volume_type": {"name": "fast"}});
    let got = api.ask("admin", "POST", "/v3/ops/types", body).await;
    assert_eq!(got.code, 200, "{}", got.body);
    let told = other.wants("change").await;
    assert_eq!(
        (&told["kind"], &told["project_id"]),
        (&json!("volume_type"), &Value::Null)
    );
}

#[tokio::test]
async fn a_reader_who_comes_back_goes_on_where_it_was() {
    let api = fixture(AuthMode::Token).await;
    let start = events::span(&api.store).await.unwrap().newest;
    api.volume(1, "a").await;
    let path = format!("/ashlar/v1/events?since={start}");
    let (_, mut reader) = open(&api, "member", &path, &[]).await;
    reader.wants("hello").await;
    let first = reader.wants("change").await["id"].as_i64().unwrap();
    assert_eq!(first, start + 1);
    drop(reader);
    api.volume(1, "b").await;
    // The header is newer than the address that a reader keeps.
    let last_id = first.to_string();
    let (_, mut reader) = open(&api, "member", &path, &[("last-event-id", &last_id)]).await;
    reader.wants("hello").await;
    for id in first + 1..=first + 3 {
        assert_eq!(reader.wants("change").await["id"], json!(id));
    }
}

#[tokio::test]
async fn who_was_away_too_long_is_told_of_a_gap() {
    let api = fixture(AuthMode::Token).await;
    for name in ["a", "b", "c"] {
        api.volume(1, name).await;
    }
    let newest = events::span(&api.store).await.unwrap().newest;
    let never = crate::model::time::Time::from_stored("2000-01-01T00:00:00.000000".to_owned());
    while events::prune(&api.store, 1, &never).await.unwrap() {}
    // Too old, and of a record that is not this one any more.
    for since in [0, newest + 100] {
        let path = format!("/ashlar/v1/events?since={since}");
        let (_, mut reader) = open(&api, "member", &path, &[]).await;
        reader.wants("hello").await;
        let gap = reader.wants("gap").await;
        assert_eq!(
            gap,
            json!({"since": since, "oldest": newest, "newest": newest})
        );
    }
    let (_, mut reader) = open(&api, "member", "/ashlar/v1/events?since=0", &[]).await;
    reader.wants("hello").await;
    reader.wants("gap").await;
    api.volume(1, "d").await;
    assert_eq!(reader.wants("change").await["id"], json!(newest + 1));
}

#[tokio::test]
async fn a_page_says_where_the_next_one_begins() {
    let api = fixture(AuthMode::Token).await;
    let page = async |token: &str, path: &str| {
        let request = Request::builder()
            .uri(path)
            .header("x-auth-token", token)
            .header("accept", "application/json")
            .body(Body::empty());
        api.send(request.unwrap()).await
    };
    let now = page("member", "/ashlar/v1/events").await.body;
    assert_eq!((&now["events"], &now["gap"]), (&json!([]), &json!(false)));
    api.volume(1, "a").await;
    let path = format!("/ashlar/v1/events?since={}", now["next"]);
    let found = page("member", &path).await.body;
    assert_eq!(found["events"].as_array().unwrap().len(), 2);
    assert_eq!(found["next"], found["newest"]);
    assert_eq!(page("other", &path).await.body["events"], json!([]));
    assert_eq!(
        page("other", "/ashlar/v1/events?since=999999").await.body["gap"],
        true
    );
    for bad in ["x", "-1", "1.5", ""] {
        let got = page("member", &format!("/ashlar/v1/events?since={bad}")).await;
        assert_eq!(got.code, 400, "{bad}");
    }
    assert_eq!(page("nobody", "/ashlar/v1/events").await.code, 401);
}

#[tokio::test]
async fn what_another_process_wrote_is_heard() {
    let api = fixture(AuthMode::Token).await;
    let volume = api.volume(1, "a").await;
    let (_, mut reader) = open(&api, "member", "/ashlar/v1/events", &[]).await;
    reader.wants("hello").await;
    let options = SqliteOptions {
        reserve_bytes: 0,
        ..SqliteOptions::default()
    };
    let other = Store::open_sqlite(api.dir(), options).await.unwrap();
    let mut batch = Batch::new();
    let id = volume["id"].as_str().unwrap();
    batch.add(crate::store::volumes::DELETE, vec![id.into()]);
    other.write(batch).await.unwrap();
    let told = reader.wants("change").await;
    assert_eq!(
        (&told["change"], &told["object_id"]),
        (&json!("deleted"), &volume["id"])
    );
}

#[tokio::test]
async fn readers_are_counted_hold_no_place_at_the_door_and_end_with_the_process() {
    let api = fixture(AuthMode::Token).await;
    let mut readers = Vec::new();
    loop {
        let (code, reader) = open(&api, "member", "/ashlar/v1/events", &[]).await;
        if code != 200 {
            assert_eq!((code, readers.len()), (503, 1_024));
            break;
        }
        readers.push(reader);
    }
    assert_eq!(api.get("member", "/ashlar/v1/whoami").await.code, 200);
    readers.truncate(1);
    let (code, _) = open(&api, "member", "/ashlar/v1/events", &[]).await;
    assert_eq!(code, 200);
    readers[0].wants("hello").await;
    api.door.end_streams();
    assert!(readers[0].next().await.is_none());
}
