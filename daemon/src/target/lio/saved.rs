//! An export as rtslib's dump has it, read from the kernel and entered into `saveconfig.json`.

use super::LioTarget;
use super::paths::Paths;
use super::saveconfig::{self, Entries};
use crate::target::configfs::EntryKind;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

impl LioTarget {
    /// Enters what the kernel has of an export into `saveconfig.json`.
    pub(super) async fn save(&self, paths: &Paths, number: u32) -> io::Result<()> {
        let storage_object = self.saved_backstore(paths, number).await?;
        let entries = Entries {
            storage_object,
            target: self.saved_target(paths).await?,
        };
        self.replace_saved(paths, Some(entries)).await
    }

    pub(super) async fn forget(&self, paths: &Paths) -> io::Result<()> {
        self.replace_saved(paths, None).await
    }

    async fn replace_saved(&self, paths: &Paths, entries: Option<Entries>) -> io::Result<()> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let (path, iqn) = (self.config.saveconfig.clone(), paths.iqn.clone());
        let written = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            saveconfig::replace(&path, &iqn, entries)
        });
        written.await.map_err(io::Error::other)?
    }

    /// As rtslib's `Target.dump` has it.
    async fn saved_target(&self, paths: &Paths) -> io::Result<Value> {
        let mut node_acls = Vec::new();
        for initiator in self.tree.objects(&paths.acls()).await? {
            let acl = paths.acl(&initiator);
            let Some(access) = self.access(paths, &initiator).await? else {
                continue;
            };
            let mut saved = json!({
                "attributes": self.attributes(&acl.join("attrib")).await?,
                "chap_password": access.chap.secret.expose_secret(),
                "chap_userid": access.chap.user,
                "mapped_luns": [{"alias": paths.alias(), "index": 0, "tpg_lun": 0, "write_protect": access.read_only}],
                "node_wwn": initiator,
            });
            // What is not set has no key there.
            if let Some(mutual) = &access.chap.mutual {
                saved["chap_mutual_password"] = json!(mutual.secret.expose_secret());
                saved["chap_mutual_userid"] = json!(mutual.user);
            }
            node_acls.push(saved);
        }
        let portal = |address: &SocketAddr| {
            let ip = match address {
                SocketAddr::V4(address) => address.ip().to_string(),
                SocketAddr::V6(address) => format!("[{}]", address.ip()),
            };
            json!({"ip_address": ip, "iser": false, "offload": false, "port": address.port()})
        };
        let portals: Vec<Value> = self.config.portals.iter().map(portal).collect();
        let mut saved = json!({
            "fabric": "iscsi",
            "tpgs": [{
                "attributes": self.attributes(&paths.tpg().join("attrib")).await?,
                "enable": true,
                "luns": [{
                    "alias": paths.alias(),
                    "alua_tg_pt_gp_name": "default_tg_pt_gp",
                    "index": 0,
                    "storage_object": format!("/backstores/block/{}", paths.iqn),
                }],
                "node_acls": node_acls,
                "parameters": self.parameters(&paths.tpg().join("param")).await?,
                "portals": portals,
                "tag": 1,
            }],
            "wwn": paths.iqn,
        });
        // Kernels before 5.19 have none.
        let parameters = self.parameters(&paths.target().join("param")).await?;
        if parameters != json!({}) {
            saved["parameters"] = parameters;
        }
        Ok(saved)
    }

    /// Every attribute that may be set, a number where it is one.
    pub(super) async fn attributes(&self, path: &Path) -> io::Result<Value> {
        let mut found = Map::new();
        for (name, text) in self.writable(path).await? {
            let value = text
                .parse::<i64>()
                .map_or_else(|_not_a_number| Value::from(text.clone()), Value::from);
            found.insert(name, value);
        }
        Ok(Value::Object(found))
    }

    /// The same, always as text.
    async fn parameters(&self, path: &Path) -> io::Result<Value> {
        let found = self.writable(path).await?;
        Ok(Value::Object(
            found
                .into_iter()
                .map(|(name, text)| (name, Value::from(text)))
                .collect(),
        ))
    }

    async fn writable(&self, path: &Path) -> io::Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        for entry in self.tree.list(path).await?.unwrap_or_default() {
            if entry.kind == EntryKind::Writable
                && let Some(text) = self.tree.read(&path.join(&entry.name)).await?
            {
                found.push((entry.name, text));
            }
        }
        Ok(found)
    }

    pub(super) async fn save_as_it_is(&self, paths: &Paths) -> io::Result<()> {
        match self.find_backstore(paths).await? {
            Some(number) => self.save(paths, number).await,
            None => self.forget(paths).await,
        }
    }
}
