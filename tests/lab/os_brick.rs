//! Case 5: os-brick, as nova uses it, logs in and out with the connection_info that we return.

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use ashlar_tests::client::id;
use ashlar_tests::lab::storage::Setup;
use ashlar_tests::lab::tools;
use ashlar_tests::venv;
use serde_json::{Value, json};

use crate::rig::Place;

pub(crate) fn case(place: &Place) -> Result<()> {
    let program = std::fs::read_to_string(venv::directory().join("osbrick_real.py"))?;
    place.two(Setup::default(), |storage, host| {
        let client = storage.client()?;
        let volume = id(&client.make_volume("for nova", 1)?)?;
        client.act(&volume, "os-reserve", &Value::Null, 202)?;
        let connector = json!({"connector": host.connector()});
        let info = client.act(&volume, "os-initialize_connection", &connector, 200)?.body;
        let shell = &host.guest.shell;
        shell.put("/root/info.json", &info["connection_info"].to_string())?;
        shell.put("/root/osbrick_real.py", &program)?;
        shell.run(tools::UNPACK_PYTHON)?;
        let line = format!("PYTHONPATH={} python3 /root/osbrick_real.py /root/info.json", tools::PYTHON);
        let told = shell.run(&line)?;
        let told: Value = serde_json::from_str(told.trim()).with_context(|| told.clone())?;
        ensure!(told["size_bytes"] == json!(1_u64 << 30), "{told}");
        let path = told["path"].as_str().unwrap_or_default();
        ensure!(path.starts_with("/dev/disk/by-path/ip-10.77.0.1:3260") || path.starts_with("/dev/"), "{told}");
        shell.run("rm -rf /root/info.json /root/osbrick_real.py; iscsiadm -m node -o delete 2>/dev/null; true")?;
        client.act(&volume, "os-terminate_connection", &connector, 202)?;
        client.wait_quiet()?;
        client.act(&volume, "os-unreserve", &Value::Null, 202).or_else(|_| client.get("/volumes"))?;
        client.wait_status("/volumes", "volume", &volume, "available")?;
        client.destroy("/volumes", &volume)
    })
}
