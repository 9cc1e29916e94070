//! Attachments: who is told how to log in.

use super::fixture::fixture;
use crate::api::auth::AuthMode;
use crate::model::attachment::{AttachMode, Attachment};
use crate::model::id::{AttachmentId, VolumeId};
use crate::model::status::AttachmentStatus;
use crate::model::time::Time;
use crate::store::{Batch, attachments, exports};
use crate::target::{Address, Chap, Credentials};
use secrecy::SecretString;

#[tokio::test]
async fn a_reader_sees_the_attachment_and_no_credentials() {
    let api = fixture(AuthMode::Token).await;
    let volume = api.volume(1, "v").await;
    let volume_id: VolumeId = volume["id"].as_str().unwrap().parse().unwrap();
    let connector = attachments::read_connector(r#"{"initiator": "iqn.a"}"#);
    let attachment = Attachment {
        id: AttachmentId::random(),
        volume_id,
        project_id: "p".to_owned(),
        instance_uuid: None,
        attached_host: None,
        mountpoint: None,
        mode: AttachMode::ReadWrite,
        status: AttachmentStatus::Attached,
        connector,
        attached_at: None,
        detached_at: None,
        created_at: Time::now(),
        updated_at: None,
    };
    let chap = Chap {
        user: "user".to_owned(),
        secret: SecretString::from("s3cret"),
        mutual: Some(Credentials {
            user: "target".to_owned(),
            secret: SecretString::from("0ther"),
        }),
    };
    let address = Address {
        iqn: "iqn.t".to_owned(),
        portals: vec!["127.0.0.1:3260".to_owned()],
        lun: 0,
    };
    let mut batch = Batch::new();
    let values = attachments::insert_values(&attachment);
    batch.add(attachments::INSERT, values);
    batch.add(exports::INSERT, exports::insert_values(volume_id, &chap));
    let values = exports::address_values(volume_id, &address);
    batch.add(exports::SET_ADDRESS, values);
    api.store.write(batch).await.unwrap();

    for path in [
        format!("/v3/p/attachments/{}", attachment.id),
        "/v3/p/attachments/detail".to_owned(),
    ] {
        let told = api.get("member", &path).await.body.to_string();
        assert!(told.contains("s3cret") && told.contains("0ther"), "{told}");
        let got = api.get("reader", &path).await;
        let told = got.body.to_string();
        assert!(
            got.code == 200 && told.contains(&attachment.id.to_string()),
            "{told}"
        );
        for secret in ["s3cret", "0ther"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
}
