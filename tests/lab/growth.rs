//! What a create and a delete take when a group has 10, 100 and 300 volumes, beside bare `lvcreate` and `lvremove` in the
//! same guest: when udisks2 has come to rest, and just after somebody else made twenty volumes in one go.
//!
//! The other volumes are made while udisks2 does not run: what it makes of hundreds of them is not what is measured.

use anyhow::Context as _;
use ashlar_tests::Result;
use ashlar_tests::client::{Client, id};
use ashlar_tests::lab::PATIENCE;
use ashlar_tests::lab::shell::Shell;
use ashlar_tests::lab::storage::Setup;
use ashlar_tests::wait::wait_for;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::rig::Place;

const COUNTS: [usize; 3] = [10, 100, 300];
/// What somebody else makes in one go.
const BURST: usize = 20;
/// The median of so many.
const ROUNDS: usize = 3;
/// Some 200 volumes at a second or two each.
const DEADLINE: Duration = Duration::from_secs(1800);

/// With the rules for udev that Ashlar ships.
pub(crate) fn with_rules(place: &Place) -> Result<()> {
    measured(place, "with the rules", "true")
}

/// Without, as a host is on which nobody copied them.
pub(crate) fn without_rules(place: &Place) -> Result<()> {
    measured(
        place,
        "without them",
        "rm /etc/udev/rules.d/90-ashlar.rules && udevadm control --reload && udevadm trigger -s block && udevadm settle",
    )
}

fn measured(place: &Place, how: &str, before: &str) -> Result<()> {
    place.one(Setup::default(), |storage| {
        let mut client = storage.client()?;
        client.patience = DEADLINE;
        let shell = &storage.guest.shell;
        shell.run(before)?;
        let mut count = 0;
        for wanted in COUNTS {
            shell.run("systemctl stop udisks2")?;
            lvcreate(shell, "other", count..wanted)?;
            count = wanted;
            shell.run("systemctl start udisks2")?;
            // The first call makes it load what it needs to see the group.
            ours(&client)?;
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
            let [create, lvcreate_took, delete, lvremove_took] = took.map(median);
            crate::say(&format!(
                "    {how}, {wanted} volumes, at rest: create {create:.1} s (lvcreate {lvcreate_took:.1} s), delete {delete:.1} s (lvremove {lvremove_took:.1} s)"
            ));
            lvcreate(shell, "burst", 0..BURST)?;
            let (create, delete) = ours(&client)?;
            crate::say(&format!(
                "    {how}, {wanted} volumes, just after {BURST} more: create {create:.1} s, delete {delete:.1} s"
            ));
            lvremove(shell, "burst")?;
        }
        lvremove(shell, "other")
    })
}

/// Thin volumes of nobody's, by one LVM program.
fn lvcreate(shell: &Shell, name: &str, numbers: Range<usize>) -> Result<()> {
    let lines: Vec<String> = numbers
        .map(|number| format!("lvcreate -q -V 1g -T vg0/vg0-pool -n {name}{number}"))
        .collect();
    shell.put("/root/more", &(lines.join("\n") + "\n"))?;
    let made = "lvm < /root/more > /dev/null && rm /root/more";
    shell.run_within(made, DEADLINE).map(|_| ())
}

fn lvremove(shell: &Shell, name: &str) -> Result<()> {
    let gone = format!(
        "lvs --noheadings -o lv_full_name vg0 | grep -o 'vg0/{name}.*' | sed 's/^/lvremove -q -y /' | lvm >/dev/null"
    );
    shell.run_within(&gone, DEADLINE).map(|_| ())
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
