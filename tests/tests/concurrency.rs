//! Random requests from several clients, against an oracle of statuses and quotas. The driver is the fake one: what is
//! under test is who wins.

use anyhow::{Context as _, bail, ensure};
use ashlar_tests::client::{Client, id};
use ashlar_tests::config::Config;
use ashlar_tests::seed::{Seed, sample_or_full};
use ashlar_tests::{Result, table, with_daemon};
use serde_json::{Value, json};

const CLIENTS: usize = 4;
const REQUESTS: u64 = 60;

fn config() -> Config {
    Config {
        driver: "fake",
        quota_count: 8,
        quota_gib: 20,
        ..Config::default()
    }
}

#[test]
fn racing_creates_fill_the_quota_exactly_and_never_exceed_it() -> Result<()> {
    with_daemon(config(), |daemon| {
        let client = daemon.client()?;
        let codes = on_each_client(CLIENTS * 2, |number| {
            let create = |index: usize| {
                let body = json!({"volume": {"name": format!("{number}-{index}"), "size": 1}});
                Ok(client.post("/volumes", &body)?.status)
            };
            (0..5).map(create).collect::<Result<Vec<u16>>>()
        })?;
        let codes: Vec<u16> = codes.into_iter().flatten().collect();
        let accepted = codes.iter().filter(|code| **code == 202).count();
        ensure!(
            codes.iter().all(|code| [202, 413].contains(code)),
            "{codes:?}"
        );
        ensure!(
            accepted == 8,
            "{accepted} creates were accepted with a quota of 8"
        );
        client.wait_quiet()?;
        settled_state_is_sound(&client)
    })
}

#[test]
fn one_of_many_racing_requests_on_a_volume_wins() -> Result<()> {
    with_daemon(config(), |daemon| {
        let client = daemon.client()?;
        for _ in 0..5 {
            let volume = id(&client.make_volume("contested", 1)?)?;
            let codes = on_each_client(CLIENTS, |_| {
                let path = format!("/volumes/{volume}/action");
                Ok(client.post(&path, &json!({"os-reserve": null}))?.status)
            })?;
            let won = codes.iter().filter(|code| **code == 202).count();
            ensure!(won == 1, "{won} reservations of one volume: {codes:?}");
            client.act(&volume, "os-unreserve", &Value::Null, 202)?;
            let deletes = on_each_client(CLIENTS, |_| {
                Ok(client.delete(&format!("/volumes/{volume}"))?.status)
            })?;
            ensure!(deletes.contains(&202), "{deletes:?}");
            ensure!(
                deletes.iter().all(|code| [202, 400, 404].contains(code)),
                "{deletes:?}"
            );
            client.wait_gone("/volumes", &volume)?;
        }
        Ok(())
    })
}

#[test]
fn random_requests_of_several_clients_keep_statuses_and_quotas_true() -> Result<()> {
    let mut seed = Seed::of_test("concurrency", Some(7));
    with_daemon(config(), |daemon| {
        let client = daemon.client()?;
        let seeds: Vec<Seed> = (0..CLIENTS).map(|_| seed.fork()).collect();
        on_each_client(CLIENTS, |number| {
            let mut seed = seeds[number].clone();
            for _ in 0..sample_or_full(REQUESTS) {
                random_request(&client, &mut seed)?;
                quota_holds(&client)?;
            }
            Ok(())
        })?;
        client.wait_quiet()?;
        settled_state_is_sound(&client)
    })
}

#[test]
fn one_client_alone_hears_exactly_what_the_table_says() -> Result<()> {
    let mut seed = Seed::of_test("table", Some(11));
    let rows = table::rows()?;
    with_daemon(config(), |daemon| {
        let client = daemon.client()?;
        for _ in 0..sample_or_full(REQUESTS) {
            client.wait_quiet()?;
            let volumes = client.all("/volumes/detail", "volumes")?;
            let Some(volume) = seed.pick(&volumes).filter(|_| seed.clone().below(3) > 0) else {
                let sizes: u64 = volumes.iter().map(size).sum();
                let wanted = if volumes.len() < 8 && sizes < 20 {
                    202
                } else {
                    413
                };
                client
                    .post("/volumes", &json!({"volume": {"size": 1}}))?
                    .expect(wanted)?;
                seed.bits();
                continue;
            };
            let (operation, action, body) = [
                ("reserve_volume", "os-reserve", Value::Null),
                ("unreserve_volume", "os-unreserve", Value::Null),
                ("begin_detaching", "os-begin_detaching", Value::Null),
                ("roll_detaching", "os-roll_detaching", Value::Null),
                (
                    "attach_volume",
                    "os-attach",
                    json!({"host_name": "h", "mountpoint": "/dev/vdb"}),
                ),
                ("detach_volume", "os-detach", json!({})),
            ][usize::try_from(seed.below(6))?]
            .clone();
            let status = volume["status"].as_str().unwrap_or_default();
            let row = rows
                .iter()
                .find(|row| row.operation == operation && row.noun == "volume");
            let row = row.context("no row")?;
            let code = client.post(
                &format!("/volumes/{}/action", id(volume)?),
                &json!({ action: body }),
            )?;
            let is_allowed = row.from.iter().any(|from| from == status);
            // The table's note: a detach also needs something to detach.
            let fits = match code.status {
                202 => is_allowed,
                400 => !is_allowed || operation == "detach_volume",
                _ => false,
            };
            ensure!(fits, "{action} on a volume that is {status}: {}", code.text);
        }
        Ok(())
    })
}

/// Does `act` on as many threads at once.
fn on_each_client<T: Send>(
    count: usize,
    act: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let act = &act;
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || act(number)))
            .collect();
        handles
            .into_iter()
            .map(|handle| {
                handle
                    .join()
                    .map_err(|_| anyhow::anyhow!("a client panicked"))?
            })
            .collect()
    })
}

fn random_request(client: &Client, seed: &mut Seed) -> Result<()> {
    let volumes = client.all("/volumes/detail", "volumes")?;
    let snapshots = client.all("/snapshots/detail", "snapshots")?;
    let volume = seed.pick(&volumes).map(id).transpose()?;
    let snapshot = seed.pick(&snapshots).map(id).transpose()?;
    let answer = match (seed.below(7), volume, snapshot) {
        (0, Some(volume), _) => client.delete(&format!("/volumes/{volume}"))?,
        (1, Some(volume), _) => {
            let body = json!({"os-extend": {"new_size": 1 + seed.below(5)}});
            client.post(&format!("/volumes/{volume}/action"), &body)?
        }
        (2, Some(volume), _) => {
            client.post("/snapshots", &json!({"snapshot": {"volume_id": volume}}))?
        }
        (3, _, Some(snapshot)) => client.delete(&format!("/snapshots/{snapshot}"))?,
        (4, Some(volume), _) => {
            let body = json!({"volume": {"size": 3, "source_volid": volume}});
            client.post("/volumes", &body)?
        }
        (5, Some(volume), Some(snapshot)) => {
            let body = json!({"revert": {"snapshot_id": snapshot}});
            client.post(&format!("/volumes/{volume}/action"), &body)?
        }
        _ => {
            let body = json!({"volume": {"size": 1 + seed.below(4)}});
            client.post("/volumes", &body)?
        }
    };
    ensure!(
        [202, 400, 404, 409, 413].contains(&answer.status),
        "{}",
        answer.text
    );
    Ok(())
}

fn size(item: &Value) -> u64 {
    item["size"].as_u64().unwrap_or(0)
}

/// At any instant: never more than the quota allows. A list is one reading of the record.
fn quota_holds(client: &Client) -> Result<()> {
    let volumes = client.all("/volumes/detail", "volumes")?;
    let gib: u64 = volumes.iter().map(size).sum();
    ensure!(
        volumes.len() <= 8 && gib <= 20,
        "{} volumes, {gib} GiB",
        volumes.len()
    );
    Ok(())
}

/// Once nothing runs: resting statuses only, and usage is the sum over the rows.
fn settled_state_is_sound(client: &Client) -> Result<()> {
    let rows = table::rows()?;
    let volumes = client.all("/volumes/detail", "volumes")?;
    let snapshots = client.all("/snapshots/detail", "snapshots")?;
    for (noun, items) in [("volume", &volumes), ("snapshot", &snapshots)] {
        let transient = table::transient(&rows, noun);
        for item in items {
            let is_over = !transient.contains(item["status"].as_str().unwrap_or_default());
            if !is_over {
                let path = format!("/operations?object_id={}", id(item)?);
                let journal = client.ashlar(reqwest::Method::GET, &path, None)?.text;
                bail!("no operation is live, yet {item}\nits operations: {journal}");
            }
        }
    }
    let path = format!("/os-quota-sets/{}?usage=true", client.project);
    let set = client.get(&path)?.expect(200)?.body["quota_set"].clone();
    let gib: u64 = volumes.iter().chain(&snapshots).map(size).sum();
    ensure!(
        set["volumes"]["in_use"] == volumes.len() as u64,
        "{set} {}",
        volumes.len()
    );
    ensure!(
        set["snapshots"]["in_use"] == snapshots.len() as u64,
        "{set} {}",
        snapshots.len()
    );
    ensure!(
        set["gigabytes"]["in_use"] == gib && gib <= 20,
        "{set} {gib}"
    );
    Ok(())
}
