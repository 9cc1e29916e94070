//! Connectors in, `connection_info` out: nested as the legacy calls want it, flat as attachments show it.

use crate::api::body::{Object, invalid};
use crate::api::error::Fault;
use crate::model::attachment::{AttachMode, Connector};
use crate::model::qos::FrontEnd;
use crate::ops::Connected;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

/// A connector is kept whole, for the record; os-brick's are under 1 KiB.
const CONNECTOR_LEN_MAX: usize = 16 * 1024;

/// RFC 7143: an iSCSI name has at most 223 bytes.
const INITIATOR_LEN_MAX: usize = 223;

/// The connector in `object`; it must name an initiator.
pub(super) fn connector(object: &Object<'_>) -> Result<Option<Connector>, Fault> {
    match object.value("connector") {
        None => Ok(None),
        Some(value) => read(value).map(Some),
    }
}

/// The same, where there must be one.
pub(super) fn required_connector(object: &Object<'_>) -> Result<Connector, Fault> {
    connector(object)?.ok_or_else(|| Fault::bad_request("'connector' is a required property"))
}

fn read(value: &Value) -> Result<Connector, Fault> {
    let Some(fields) = value.as_object() else {
        return Err(invalid("connector", value, "it is not of type 'object'"));
    };
    let text = value.to_string();
    if text.len() > CONNECTOR_LEN_MAX {
        return Err(Fault::bad_request(format!(
            "The connector is larger than {CONNECTOR_LEN_MAX} bytes."
        )));
    }
    let initiator = fields
        .get("initiator")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if initiator.is_empty() {
        return Err(Fault::bad_request(
            "Connector doesn't have required information: initiator",
        ));
    }
    if !is_initiator(initiator) {
        return Err(invalid(
            "initiator",
            &fields["initiator"],
            "it is not an iSCSI name (iqn., eui. or naa.)",
        ));
    }
    Ok(Connector {
        initiator: initiator.to_lowercase(),
        host: field(value, "host")?,
        multipath: fields
            .get("multipath")
            .and_then(Value::as_bool)
            .unwrap_or(false),
        text,
    })
}

/// RFC 7143 4.2.7: a known prefix and none of the characters that could mean something else where the name is used.
fn is_initiator(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let is_known = ["iqn.", "eui.", "naa."]
        .iter()
        .any(|prefix| lower.starts_with(prefix));
    let is_plain = name
        .chars()
        .all(|character| character.is_alphanumeric() || "-.:_".contains(character));
    is_known && is_plain && name.len() <= INITIATOR_LEN_MAX
}

/// A text of the connector that the record keeps by itself.
fn field(connector: &Value, key: &str) -> Result<Option<String>, Fault> {
    let Some(text) = connector.get(key).and_then(Value::as_str) else {
        return Ok(None);
    };
    if text.len() > 255 || text.contains('\0') {
        return Err(invalid(
            key,
            &connector[key],
            "it is too long or holds a NUL character",
        ));
    }
    Ok(Some(text.to_owned()))
}

/// The device name that the host means to use.
pub(super) fn mountpoint(connector: Option<&Value>) -> Result<Option<String>, Fault> {
    connector.map_or(Ok(None), |connector| field(connector, "mountpoint"))
}

/// Read-write or read-only: as asked, else as the connector says, else read-write.
pub(super) fn mode(asked: Option<&str>, connector: Option<&Value>) -> Result<AttachMode, Fault> {
    let said = connector
        .and_then(|connector| connector.get("mode"))
        .and_then(Value::as_str);
    match asked.or(said) {
        None | Some("null") => Ok(AttachMode::ReadWrite),
        Some(word) => AttachMode::parse(word)
            .ok_or_else(|| Fault::bad_request("Invalid attach mode: it must be rw or ro.")),
    }
}

/// The nested form.
pub(super) fn nested(connected: &Connected, connector: &Connector) -> Value {
    json!({
        "driver_volume_type": "iscsi",
        "data": data(connected, connector),
        "enforce_multipath": enforces_multipath(connector),
    })
}

/// The flat form; `{}` while there is nothing to connect to.
pub(super) fn flat(
    connected: Option<&Connected>,
    connector: Option<&Connector>,
    attachment_id: &str,
) -> Value {
    let (Some(connected), Some(connector)) = (connected, connector) else {
        return json!({});
    };
    let mut info = data(connected, connector);
    info["driver_volume_type"] = json!("iscsi");
    info["attachment_id"] = json!(attachment_id);
    info["enforce_multipath"] = json!(enforces_multipath(connector));
    info
}

fn data(connected: &Connected, connector: &Connector) -> Value {
    let address = &connected.address;
    let mut data = json!({
        "target_discovered": false,
        "target_portal": address.portals.first(),
        "target_iqn": address.iqn,
        "target_lun": address.lun,
        "volume_id": connected.volume_id.to_string(),
        "auth_method": "CHAP",
        "auth_username": connected.chap.user,
        "auth_password": connected.chap.secret.expose_secret(),
        "encrypted": false,
        "qos_specs": connected.qos.as_ref().map(qos_specs),
        "access_mode": connected.mode.as_str(),
        "cacheable": false,
        // The target turns UNMAP into holes.
        "discard": true,
    });
    // Not Cinder's, which has no place for them: a host that knows them asks the target to prove itself.
    if let Some(mutual) = &connected.chap.mutual {
        data["mutual_auth_username"] = json!(mutual.user);
        data["mutual_auth_password"] = json!(mutual.secret.expose_secret());
    }
    if address.portals.len() > 1 || connector.multipath {
        // Lists of one length and one order, or os-brick pairs the wrong ones.
        data["target_portals"] = json!(address.portals);
        data["target_iqns"] = json!(vec![&address.iqn; address.portals.len()]);
        data["target_luns"] = json!(vec![address.lun; address.portals.len()]);
    }
    data
}

/// In nova's shape: texts as they were written, and numbers where the volume's size was reckoned with.
fn qos_specs(qos: &FrontEnd) -> Value {
    let written = qos.specs.iter().map(|(key, value)| (key, json!(value)));
    let reckoned = qos.reckoned.iter().map(|(key, value)| (key, json!(value)));
    let all = written.chain(reckoned);
    all.map(|(key, value)| (key.clone(), value))
        .collect::<Map<_, _>>()
        .into()
}

fn enforces_multipath(connector: &Connector) -> bool {
    serde_json::from_str::<Value>(&connector.text)
        .ok()
        .and_then(|value| value["enforce_multipath"].as_bool())
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::VolumeId;
    use crate::target::{Address, Chap, Credentials};
    use secrecy::SecretString;

    fn connected(portals: &[&str]) -> Connected {
        Connected {
            volume_id: VolumeId::random(),
            chap: Chap {
                user: "u".to_owned(),
                secret: SecretString::from("s3cret"),
                mutual: None,
            },
            address: Address {
                iqn: "iqn.2010-10.org.openstack:volume-x".to_owned(),
                portals: portals.iter().map(|portal| (*portal).to_owned()).collect(),
                lun: 0,
            },
            mode: AttachMode::ReadOnly,
            qos: None,
        }
    }

    #[test]
    fn a_connector_names_an_initiator() {
        let good = json!({"initiator": "IQN.1993-08.org.debian:01:AB", "host": "h", "multipath": true, "x": [1]});
        let connector = read(&good).unwrap();
        assert_eq!(connector.initiator, "iqn.1993-08.org.debian:01:ab");
        assert_eq!(connector.host.as_deref(), Some("h"));
        assert!(connector.multipath);
        for bad in [
            json!({}),
            json!({"initiator": null}),
            json!({"initiator": 5}),
            json!({"initiator": ""}),
            json!({"initiator": "iqn.x/../../y"}),
            json!({"initiator": "iqn.x y"}),
            json!({"initiator": "disk"}),
            json!({"initiator": format!("iqn.{}", "x".repeat(300))}),
            json!([]),
            json!("iqn.x"),
            json!({"initiator": "iqn.x", "host": "h".repeat(300)}),
            json!({"initiator": "iqn.x", "blob": "x".repeat(20_000)}),
        ] {
            assert_eq!(read(&bad).unwrap_err().code(), 400);
        }
    }

    #[test]
    fn nested_and_flat_say_the_same() {
        let connector = read(&json!({"initiator": "iqn.a", "enforce_multipath": true})).unwrap();
        let connected = connected(&["127.0.0.1:3260"]);
        let nested = nested(&connected, &connector);
        let flat = flat(Some(&connected), Some(&connector), "att");
        for (key, value) in nested["data"].as_object().unwrap() {
            assert_eq!(&flat[key], value, "{key}");
        }
        assert_eq!(flat["driver_volume_type"], "iscsi");
        assert_eq!(flat["attachment_id"], "att");
        assert_eq!(flat["enforce_multipath"], true);
        assert_eq!(flat["access_mode"], "ro");
        assert_eq!(flat["auth_password"], "s3cret");
        assert!(flat.get("target_portals").is_none());
    }

    #[test]
    fn what_the_target_proves_is_told_only_where_it_proves_anything() {
        let connector = read(&json!({"initiator": "iqn.a"})).unwrap();
        let mut connected = connected(&["127.0.0.1:3260"]);
        let one_way = flat(Some(&connected), Some(&connector), "att");
        assert!(!one_way.to_string().contains("mutual"), "{one_way}");
        connected.chap.mutual = Some(Credentials {
            user: "t".to_owned(),
            secret: SecretString::from("0ther"),
        });
        let mut told = flat(Some(&connected), Some(&connector), "att");
        assert_eq!(
            nested(&connected, &connector)["data"]["mutual_auth_password"],
            "0ther"
        );
        let told = told.as_object_mut().unwrap();
        assert_eq!(told.remove("mutual_auth_username"), Some(json!("t")));
        assert_eq!(told.remove("mutual_auth_password"), Some(json!("0ther")));
        assert_eq!(json!(told), one_way, "all else is as without");
    }

    #[test]
    fn limits_for_the_host_in_novas_shape() {
        let connector = read(&json!({"initiator": "iqn.a"})).unwrap();
        let mut connected = connected(&["127.0.0.1:3260"]);
        let shown = |connected: &Connected| {
            flat(Some(connected), Some(&connector), "att")["qos_specs"].clone()
        };
        assert_eq!(shown(&connected), Value::Null);
        connected.qos = Some(FrontEnd {
            specs: [("read_bytes_sec".to_owned(), "9".to_owned())].into(),
            reckoned: [("total_iops_sec".to_owned(), 100)].into(),
        });
        assert_eq!(
            shown(&connected),
            json!({"read_bytes_sec": "9", "total_iops_sec": 100})
        );
    }

    #[test]
    fn portals_in_lists_of_one_length() {
        let connector = read(&json!({"initiator": "iqn.a"})).unwrap();
        let nested = nested(&connected(&["127.0.0.1:1", "127.0.0.2:1"]), &connector);
        let lens = ["target_portals", "target_iqns", "target_luns"]
            .map(|key| nested["data"][key].as_array().unwrap().len());
        assert_eq!(lens, [2, 2, 2]);
    }

    #[test]
    fn modes() {
        let ro = json!({"mode": "ro"});
        assert_eq!(mode(None, None), Ok(AttachMode::ReadWrite));
        assert_eq!(mode(None, Some(&ro)), Ok(AttachMode::ReadOnly));
        assert_eq!(mode(Some("rw"), Some(&ro)), Ok(AttachMode::ReadWrite));
        assert!(mode(None, Some(&json!({"mode": "wx"}))).is_err());
    }
}
