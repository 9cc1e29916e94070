//! Bad input on every endpoint: Cinder's error body, never a 5xx, never a lost daemon.

use anyhow::{Context as _, ensure};
use ashlar_tests::client::{Answer, Client, id};
use ashlar_tests::config::Config;
use ashlar_tests::{Result, with_daemon};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// A route as the daemon lists it.
struct Route {
    method: Method,
    path: String,
}

fn routes(client: &Client) -> Result<Vec<Route>> {
    let answer = client.ashlar(Method::GET, "/routes", None)?.expect(200)?;
    let list = answer.body["routes"]
        .as_array()
        .or(answer.body.as_array())
        .context("no routes")?;
    let route = |item: &Value| {
        let method = item["method"].as_str().context("no method")?.to_uppercase();
        let path = item["path"].as_str().context("no path")?.to_owned();
        Ok(Route {
            method: Method::from_bytes(method.as_bytes())?,
            path,
        })
    };
    let mut routes: Vec<Route> = list.iter().map(route).collect::<Result<_>>()?;
    ensure!(routes.len() > 20, "only {} routes are listed", routes.len());
    // Its answer never ends, whatever is asked; it has tests of its own.
    routes.retain(|route| route.path != "/ashlar/v1/events");
    Ok(routes)
}

impl Route {
    /// The path with `filler` for each of its variables; Cinder's paths get the project in front.
    fn filled(&self, client: &Client, filler: &str) -> String {
        let mut path = String::new();
        let mut rest = self.path.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            path.push_str(before);
            let name = after.split('}').next().unwrap_or_default();
            path.push_str(if name == "project_id" {
                &client.project
            } else {
                filler
            });
            rest = after.split_once('}').map_or("", |(_, rest)| rest);
        }
        path.push_str(rest);
        let is_whole = ["/v3", "/ashlar", "/healthcheck"]
            .iter()
            .any(|top| path.starts_with(top));
        if is_whole || path == "/" {
            path
        } else {
            format!("/v3/{}{path}", client.project)
        }
    }

    fn takes_body(&self) -> bool {
        self.method == Method::POST || self.method == Method::PUT
    }
}

/// What every answer to nonsense must be.
fn is_well_answered(what: &str, answer: &Answer) -> Result<()> {
    ensure!(
        answer.status < 500,
        "{what}: {} {}",
        answer.status,
        answer.text
    );
    if answer.status >= 400 {
        answer.ensure_is_fault().context(what.to_owned())?;
    }
    Ok(())
}

#[test]
fn unknown_and_malformed_ids_are_answered_in_cinders_words() -> Result<()> {
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        let unknown = Uuid::new_v4().to_string();
        let long = "9".repeat(2000);
        let fillers = [
            &unknown,
            "0",
            "-1",
            "..",
            "%00",
            "%ff%fe",
            "'%20OR%201=1--",
            "a%2Fb",
            &long,
        ];
        for route in routes(&client)? {
            for filler in fillers {
                let path = route.filled(&client, filler);
                let body = route.takes_body().then(|| b"{}".to_vec());
                let answer = client.send(route.method.clone(), &path, &[], body)?;
                is_well_answered(&format!("{} {path}", route.method), &answer)?;
            }
        }
        Ok(())
    })
}

/// Bodies that nobody should send.
fn bad_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let deep = [vec![b'['; 20_000], vec![b']'; 20_000]].concat();
    vec![
        ("nothing", Vec::new()),
        ("half a document", b"{\"volume\": {\"size\":".to_vec()),
        ("a number", b"7".to_vec()),
        ("null", b"null".to_vec()),
        ("a list", b"[]".to_vec()),
        (
            "broken UTF-8",
            b"{\"volume\": {\"name\": \"\xff\xfe\xc0\"}}".to_vec(),
        ),
        (
            "a lone surrogate",
            br#"{"volume":{"name":"\ud800","size":1}}"#.to_vec(),
        ),
        (
            "a NUL",
            br#"{"volume":{"name":"a\u0000b","size":1}}"#.to_vec(),
        ),
        (
            "the same key twice",
            br#"{"volume":{"size":1,"size":2}}"#.to_vec(),
        ),
        ("deep nesting", deep),
        ("a binary blob", (0..=255).cycle().take(4096).collect()),
    ]
}

#[test]
fn bad_bodies_on_every_endpoint_are_refused() -> Result<()> {
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        let unknown = Uuid::new_v4().to_string();
        for route in routes(&client)?.iter().filter(|route| route.takes_body()) {
            let path = route.filled(&client, &unknown);
            for (name, body) in bad_bodies() {
                let answer = client.send(route.method.clone(), &path, &[], Some(body))?;
                is_well_answered(&format!("{} {path} with {name}", route.method), &answer)?;
            }
        }
        Ok(())
    })
}

/// Values that hardly any field should take.
fn wrong_values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(u64::MAX),
        json!(i64::MAX),
        json!("x"),
        json!(""),
        json!([]),
        json!({}),
        json!([[[]]]),
        json!("x".repeat(100_000)),
        json!({"a": {"b": 1}}),
        json!("\u{0}"),
    ]
}

#[test]
fn wrong_types_and_huge_numbers_are_refused_field_by_field() -> Result<()> {
    let shapes: &[(&str, &str, &[&str])] = &[
        (
            "/volumes",
            "volume",
            &[
                "size",
                "name",
                "description",
                "volume_type",
                "availability_zone",
                "metadata",
                "snapshot_id",
                "source_volid",
                "multiattach",
            ],
        ),
        (
            "/snapshots",
            "snapshot",
            &["volume_id", "name", "force", "metadata", "description"],
        ),
        (
            "/attachments",
            "attachment",
            &["volume_uuid", "instance_uuid", "connector", "mode"],
        ),
        (
            "/types",
            "volume_type",
            &[
                "name",
                "description",
                "extra_specs",
                "os-volume-type-access:is_public",
            ],
        ),
    ];
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        let unknown = Uuid::new_v4().to_string();
        for (path, key, fields) in shapes {
            for (field, value) in fields
                .iter()
                .flat_map(|field| wrong_values().into_iter().map(move |value| (field, value)))
            {
                let mut body = json!({ *key: {"size": 1, "volume_id": unknown} });
                body[*key][*field] = value.clone();
                let what = format!("POST {path} with {field} = {value:.60}");
                let answer = client.post(path, &body).context(what.clone())?;
                is_well_answered(&what, &answer)?;
            }
        }
        Ok(())
    })
}

#[test]
fn actions_with_wrong_values_are_refused() -> Result<()> {
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        let volume = id(&client.make_volume("target", 1)?)?;
        for action in [
            "os-extend",
            "revert",
            "os-attach",
            "os-detach",
            "os-initialize_connection",
            "os-terminate_connection",
            "os-reserve",
            "no-such-action",
        ] {
            for value in wrong_values() {
                let body = json!({ action: value });
                let answer = client.post(&format!("/volumes/{volume}/action"), &body)?;
                is_well_answered(&format!("{action}: {value:.60}"), &answer)?;
            }
        }
        Ok(())
    })
}

#[test]
fn wild_sizes_never_become_volumes() -> Result<()> {
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        for size in [
            json!(0),
            json!(-5),
            json!("0"),
            json!("-1"),
            json!("1.5"),
            json!(1.5),
            json!("ten"),
            json!(2_147_483_648_u64),
            json!(u64::MAX),
            json!(1e300),
            json!(" 1"),
            json!(true),
        ] {
            let answer = client.post("/volumes", &json!({"volume": {"size": size}}))?;
            ensure!(
                [400, 413].contains(&answer.status),
                "{size}: {}",
                answer.text
            );
        }
        ensure!(
            client.all("/volumes", "volumes")?.is_empty(),
            "a volume was made"
        );
        Ok(())
    })
}

#[test]
fn bodies_of_ten_megabytes_are_refused_as_too_large() -> Result<()> {
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        let name = "x".repeat(10 << 20);
        let body = json!({"volume": {"size": 1, "name": name}})
            .to_string()
            .into_bytes();
        let path = format!("/v3/{}/volumes", client.project);
        // The daemon may hang up before it has read it all: that is no answer, but no loss either.
        if let Ok(answer) = client.send(Method::POST, &path, &[], Some(body)) {
            ensure!([400, 413].contains(&answer.status), "{}", answer.status);
            is_well_answered("10 MB", &answer)?;
        }
        ensure!(client.get("/volumes")?.status == 200, "the daemon is lost");
        Ok(())
    })
}

#[test]
fn wild_queries_and_headers_are_answered() -> Result<()> {
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        for query in [
            "limit=-1",
            "limit=x",
            "limit=99999999999999999999",
            "marker=x",
            "offset=-1",
            "sort=nosuch",
            "sort_key=nosuch",
            "sort_dir=sideways",
            "name=%ff",
            "nosuch=1",
            "metadata=%7B",
            "created_at=gt:yesterday",
            "with_count=maybe",
            "all_tenants=perhaps",
            "status=%00",
            "&&&===",
            "limit=1&limit=2",
        ] {
            for list in [
                "/volumes",
                "/volumes/detail",
                "/snapshots/detail",
                "/attachments",
                "/types",
            ] {
                let answer = client.get(&format!("{list}?{query}"))?;
                is_well_answered(&format!("{list}?{query}"), &answer)?;
            }
        }
        for version in [
            "3.999",
            "4.0",
            "2.0",
            "x",
            "3",
            "3.-1",
            "",
            "3.99999999999999999999",
        ] {
            let answer = client.at(version).get("/volumes")?;
            ensure!(
                [400, 406].contains(&answer.status),
                "{version}: {}",
                answer.text
            );
        }
        let path = format!("/v3/{}/volumes", client.project);
        for kind in ["text/plain", "application/xml", "x"] {
            let headers = [("Content-Type", kind)];
            let answer = client.send(Method::POST, &path, &headers, Some(b"<volume/>".to_vec()))?;
            is_well_answered(kind, &answer)?;
        }
        for method in [Method::PATCH, Method::DELETE, Method::PUT, Method::OPTIONS] {
            let answer = client.send(method.clone(), &path, &[], None)?;
            is_well_answered(method.as_str(), &answer)?;
        }
        Ok(())
    })
}

#[test]
fn without_a_token_every_endpoint_but_the_public_ones_is_401() -> Result<()> {
    let config = Config {
        is_tcp_served: true,
        ..Config::default()
    };
    with_daemon(config, |daemon| {
        let inside = daemon.client()?;
        let outside = daemon.tcp_client()?;
        let unknown = Uuid::new_v4().to_string();
        for route in routes(&inside)? {
            let path = route.filled(&inside, &unknown);
            let is_public = ["/", "/v3", "/v3/", "/healthcheck"].contains(&path.as_str());
            for token in [None, Some("nonsense"), Some("ashlar_0000")] {
                let client = match token {
                    Some(token) => outside.with_token(token, &inside.project),
                    None => outside.clone(),
                };
                let body = route.takes_body().then(|| b"{}".to_vec());
                let answer = client.send(route.method.clone(), &path, &[], body)?;
                let what = format!("{} {path} with {token:?}: {}", route.method, answer.text);
                ensure!((answer.status == 401) != is_public, "{what}");
                is_well_answered(&what, &answer)?;
            }
        }
        Ok(())
    })
}
