//! Case 6: many volumes by many clients at once, and what an operation takes as their number grows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use ashlar_tests::Result;
use ashlar_tests::client::{Client, id};
use ashlar_tests::lab::PATIENCE;
use ashlar_tests::lab::storage::Setup;
use ashlar_tests::wait::wait_for;
use serde_json::json;

use crate::rig::Place;

const CLIENTS: usize = 8;
/// Volumes on every check, and in full.
const COUNTS: [usize; 2] = [30, 100];

pub(crate) fn case(place: &Place) -> Result<()> {
    let count = COUNTS[usize::from(std::env::var_os("ASHLAR_FULL").is_some())];
    place.one(Setup::default(), |storage| {
        let mut client = storage.client()?;
        client.patience = PATIENCE * 4;
        let made = at_once(count, |number| {
            let start = Instant::now();
            let volume = id(&client.make_volume(&format!("many-{number}"), 1)?)?;
            Ok((volume, start.elapsed()))
        })?;
        told("create", &made);
        let volumes: Vec<String> = made.into_iter().map(|(volume, _)| volume).collect();
        let attached = at_once(count, |number| attach(&client, &volumes[number], number))?;
        told("attach", &attached);
        let exported = storage
            .guest
            .shell
            .run("ls -d /sys/kernel/config/target/iscsi/iqn*/tpgt_1/acls/* | wc -l")?;
        ensure!(
            exported.trim() == count.to_string(),
            "{exported} of {count} volumes are exported"
        );
        let detached = at_once(count, |number| {
            let start = Instant::now();
            client
                .delete(&format!("/attachments/{}", attached[number].0))?
                .expect(200)?;
            Ok((String::new(), start.elapsed()))
        })?;
        told("detach", &detached);
        let deleted = at_once(count, |number| {
            let start = Instant::now();
            client.destroy("/volumes", &volumes[number])?;
            Ok((String::new(), start.elapsed()))
        })?;
        told("delete", &deleted);
        Ok(())
    })
}

/// Reserves and connects, as Nova does. A request that gave up waiting behind the others has not ended the operation.
fn attach(client: &Client, volume: &str, number: usize) -> Result<(String, Duration)> {
    let start = Instant::now();
    let body = json!({"attachment": {"volume_uuid": volume}});
    let made = client.post("/attachments", &body)?.expect(200)?;
    let attachment = id(&made.body["attachment"])?;
    let path = format!("/attachments/{attachment}");
    let connector = json!({"initiator": format!("iqn.1993-08.org.debian:01:h{number}"), "host": format!("h{number}"), "ip": "10.77.0.9"});
    let connected = client.put(&path, &json!({"attachment": {"connector": connector}}))?;
    if connected.status != 502 {
        connected.expect(200)?;
    }
    wait_for("the volume's target", client.patience, || {
        let shown = client.get(&path)?.expect(200)?;
        let target = &shown.body["attachment"]["connection_info"]["target_iqn"];
        Ok(target.is_string().then_some(()))
    })?;
    Ok((attachment, start.elapsed()))
}

/// `act` for each number, by [`CLIENTS`] threads.
fn at_once(
    count: usize,
    act: impl Fn(usize) -> Result<(String, Duration)> + Sync,
) -> Result<Vec<(String, Duration)>> {
    let next = AtomicUsize::new(0);
    let mut done = std::thread::scope(|scope| -> Result<Vec<(usize, (String, Duration))>> {
        let work = || {
            let mut mine = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(mine);
                }
                mine.push((number, act(number)?));
            }
        };
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for thread in threads {
            let mine: Result<Vec<_>> = thread.join().map_err(|_| anyhow!("a client panicked"))?;
            all.extend(mine?);
        }
        Ok(all)
    })?;
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, done)| done).collect())
}

/// The median of the first, the middle and the last third.
fn told(what: &str, done: &[(String, Duration)]) {
    let medians: Vec<String> = done
        .chunks(done.len().div_ceil(3))
        .map(|third| {
            let mut third: Vec<Duration> = third.iter().map(|(_, took)| *took).collect();
            third.sort();
            format!("{:.1} s", third[third.len() / 2].as_secs_f32())
        })
        .collect();
    crate::say(&format!(
        "    {what} of {}, by {CLIENTS} at once: {}",
        done.len(),
        medians.join(", then ")
    ));
}
