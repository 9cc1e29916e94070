//! What libiscsi's suite finds in the kernel's own target: the yardstick for ours (`daemon/tests/iscsi/peers.rs`).
//! Recorded in `docs/lab.md`.

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use ashlar_tests::client::id;
use ashlar_tests::lab::storage::Setup;
use serde_json::{Value, json};
use std::time::Duration;

use crate::rig::Place;

/// The names that the suite logs in by.
const INITIATORS: [&str; 2] = [
    "iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test",
    "iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test-2",
];
/// Some 230 tests, each a program of its own under emulation.
const DEADLINE: Duration = Duration::from_secs(2400);
/// Fewer would say that the export, not the kernel, is wrong.
const PASSES_MIN: usize = 110;
/// One test after the other; its name and `pass`, `skip`, `fail` or `hang`. Before each the suite asks for the opcodes that
/// a target supports, and says that it skips that where the target cannot tell.
const SUITE: &str = r#"iscsi-test-cu -l | sed 's/^ *//' | grep -E '^ALL\.[^.]*\.[^.]*$' | while read -r test; do
    timeout 40 iscsi-test-cu -d -n -t "$test" "$(cat /root/url)" "$(cat /root/url)" > /root/said 2>&1 < /dev/null
    code=$?
    failed=$(awk '$1 == "asserts" {print $5; exit}' /root/said)
    if [ $code = 124 ]; then echo "$test hang"
    elif [ "$failed" != 0 ]; then echo "$test fail"
    elif grep SKIPPED /root/said | grep -v REPORT_SUPPORTED_OPCODES > /root/skipped || [ "$test" != "${test#*SupportedOpcodes}" ]
    then echo "$test skip"; head -n 1 /root/skipped >> /root/why
    else echo "$test pass"; fi
done; sort /root/why | uniq -c | sort -rn | head -n 8 | sed 's/^/# /'; rm -f /root/url /root/said /root/skipped /root/why"#;

pub(crate) fn case(place: &Place) -> Result<()> {
    place.one(Setup::default(), |storage| {
        let (client, shell) = (storage.client()?, &storage.guest.shell);
        let volume = id(&client.make_volume("judged", 1)?)?;
        client.act(&volume, "os-reserve", &Value::Null, 202)?;
        let mut info = Value::Null;
        for initiator in INITIATORS {
            let connector = json!({"connector": {"initiator": initiator, "host": "h", "ip": "10.77.0.1"}});
            let answer = client.act(&volume, "os-initialize_connection", &connector, 200)?;
            info = answer.body["connection_info"]["data"].clone();
        }
        let text = |key: &str| info[key].as_str().with_context(|| format!("no {key} in {info}"));
        let (user, secret) = (text("auth_username")?, text("auth_password")?);
        let (portal, iqn) = (text("target_portal")?, text("target_iqn")?);
        shell.put("/root/url", &format!("iscsi://{user}%{secret}@{portal}/{iqn}/{}", info["target_lun"]))?;

        let told = shell.run_within(SUITE, DEADLINE)?;
        for why in told.lines().filter(|line| line.starts_with('#')) {
            crate::say(&format!("    skipped: {why}"));
        }
        let verdicts: Vec<(&str, &str)> = told.lines().filter(|line| line.starts_with("ALL.")).filter_map(|line| line.rsplit_once(' ')).collect();
        let of = |wanted: &str| -> Vec<&str> {
            let found = verdicts.iter().filter(|(_, verdict)| *verdict == wanted);
            found.map(|(test, _)| *test).collect()
        };
        let passes = of("pass").len();
        crate::say(&format!(
            "    of {} tests the kernel's target passes {passes}, skips {}, hangs in {:?}, fails {:?}",
            verdicts.len(), of("skip").len(), of("hang"), of("fail")
        ));
        ensure!(verdicts.len() > 200, "the suite was not run: {told}");
        ensure!(passes >= PASSES_MIN, "it passes only {passes}");

        for initiator in INITIATORS {
            let connector = json!({"connector": {"initiator": initiator, "host": "h", "ip": "10.77.0.1"}});
            client.act(&volume, "os-terminate_connection", &connector, 202)?;
        }
        client.wait_quiet()?;
        client.act(&volume, "os-unreserve", &Value::Null, 202)?;
        client.wait_status("/volumes", "volume", &volume, "available")?;
        client.destroy("/volumes", &volume)
    })
}
