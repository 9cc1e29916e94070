//! A volume attached to this host over the API: asked for, used, released.

use serde_json::json;

use crate::Result;
use crate::client::{Client, id};
use crate::initiator::{Disk, INITIATOR, connector};
use crate::qemu::Qemu;

/// The attachment and the disk behind it.
#[derive(Debug)]
pub struct Attached {
    id: String,
    /// How this host reaches the volume.
    pub disk: Disk,
}

impl Attached {
    /// Attaches a volume that is available.
    pub fn new(client: &Client, qemu: &Qemu, volume_id: &str) -> Result<Self> {
        let body =
            json!({"attachment": {"volume_uuid": volume_id, "connector": connector(INITIATOR)}});
        let answer = client.post("/attachments", &body)?.expect(200)?;
        let attachment = &answer.body["attachment"];
        let disk = Disk::new(qemu, &attachment["connection_info"], INITIATOR)?;
        Ok(Self {
            id: id(attachment)?,
            disk,
        })
    }

    /// Lets go of it.
    pub fn release(self, client: &Client) -> Result<()> {
        client
            .delete(&format!("/attachments/{}", self.id))?
            .expect(200)
            .map(|_| ())
    }
}
