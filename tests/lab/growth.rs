//! What a create and a delete take when a group has 10, 100 and 300 volumes, beside bare `lvcreate` and `lvremove` in the
//! same guest: at once after the others were made, while udisks2 is still reading them, and when it has come to rest.

use anyhow::Context as _;
use ashlar_tests::Result;
use ashlar_tests::client::{Client, id};
use ashlar_tests::lab::PATIENCE;
use ashlar_tests::lab::shell::Shell;
use ashlar_tests::lab::storage::Setup;
use ashlar_tests::wait::wait_for;
use std::time::{Duration, Instant};

use crate::rig::Place;

const COUNTS: [usize; 3] = [10, 100, 300];
/// The median of so many.
const ROUNDS: usize = 3;
/// Some 200 volumes at a second each, and what udisks2 makes of them.
const DEADLINE: Duration = Duration::from_secs(1800);

pub(crate) fn case(place: &Place) -> Result<()> {
    place.one(Setup::default(), |storage| {
        let mut client = storage.client()?;
        client.patience = DEADLINE;
        let shell = &storage.guest.shell;
        let mut count = 0;
        for wanted in COUNTS {
            let more: Vec<String> = (count..wanted)
                .map(|number| format!("lvcreate -q -V 1g -T vg0/vg0-pool -n other{number}"))
                .collect();
            shell.put("/root/more", &(more.join("\n") + "\n"))?;
            shell.run_within("lvm < /root/more > /dev/null && rm /root/more", DEADLINE)?;
            count = wanted;
            let (create, delete) = ours(&client)?;
            crate::say(&format!(
                "    {wanted} volumes, just made: create {create:.1} s, delete {delete:.1} s"
            ));
            wait_rest(shell)?;
            let mut took = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
            for _ in 0..ROUNDS {
                let (create, delete) = ours(&client)?;
                wait_rest(shell)?;
                let (lvcreate, lvremove) = bare(shell)?;
                wait_rest(shell)?;
                for (list, one) in took.iter_mut().zip([create, lvcreate, delete, lvremove]) {
                    list.push(one);
                }
            }
            let [create, lvcreate, delete, lvremove] = took.map(median);
            crate::say(&format!(
                "    {wanted} volumes, at rest: create {create:.1} s (lvcreate {lvcreate:.1} s), delete {delete:.1} s (lvremove {lvremove:.1} s)"
            ));
        }
        let gone = "lvs --noheadings -o lv_full_name vg0 | grep -o 'vg0/other.*' | sed 's/^/lvremove -q -y /' | lvm >/dev/null";
        shell.run_within(gone, DEADLINE).map(|_| ())
    })
}

/// Seconds from a POST to `available`, and from a DELETE until it is gone.
fn ours(client: &Client) -> Result<(f32, f32)> {
    let start = Instant::now();
    let volume = id(&client.make_volume("measured", 1)?)?;
    let create = start.elapsed().as_secs_f32();
    let start = Instant::now();
    client.destroy("/volumes", &volume)?;
    Ok((create, start.elapsed().as_secs_f32()))
}

/// Seconds of LVM's own programs.
fn bare(shell: &Shell) -> Result<(f32, f32)> {
    let mut took = [0.0; 2];
    for (took, line) in took.iter_mut().zip([
        "lvcreate -q -V 1g -T vg0/vg0-pool -n bare",
        "lvremove -q -y vg0/bare",
    ]) {
        let timed = format!("s=$(date +%s%N); {line} >/dev/null; e=$(date +%s%N); echo $((e - s))");
        let nanos: u64 = shell.run_within(&timed, DEADLINE)?.trim().parse()?;
        *took = Duration::from_nanos(nanos).as_secs_f32();
    }
    Ok((took[0], took[1]))
}

/// Until udisksd has used next to no processor time for some looks in a row.
fn wait_rest(shell: &Shell) -> Result<()> {
    // Both fields are ticks of 10 ms: what it used itself, and what the helpers used that it waited for.
    let look = "p=$(pidof -s udisksd); awk '{print $14 + $15 + $16 + $17}' /proc/$p/stat; pgrep -c udisks-lvm2; true";
    let mut before = String::new();
    let mut quiet = 0;
    wait_for("udisksd to come to rest", DEADLINE.max(PATIENCE), || {
        let now = shell.run(look)?;
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
        Ok((quiet >= 5).then_some(()))
    })
    .context("udisksd reads the volumes on and on")
}

fn median(mut all: Vec<f32>) -> f32 {
    all.sort_by(f32::total_cmp);
    all[all.len() / 2]
}
