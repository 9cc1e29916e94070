//! A volume gets another type where its pool can have it, and is as it was where not.

use super::fixture::{Fixture, caller, fixture, refused};
use crate::error::Error;
use crate::model::caller::Role;
use crate::model::id::{VolumeId, VolumeTypeId};
use crate::model::operation::Phase;
use crate::model::status::VolumeStatus;
use crate::model::time::Time;
use crate::model::volume_type::VolumeType;
use crate::ops::retype_volume::{self, Policy};
use crate::ops::{report_pools, volume_types as types};
use crate::store::{Batch, volume_types, volumes};

impl Fixture {
    pub(super) async fn volume_type(
        &self,
        name: &str,
        specs: &[(&str, &str)],
        is_public: bool,
    ) -> VolumeTypeId {
        let made = VolumeType {
            id: VolumeTypeId::random(),
            name: name.to_owned(),
            description: None,
            is_public,
            extra_specs: specs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            created_at: Time::now(),
            updated_at: None,
            encryption: None,
            qos_specs_id: None,
        };
        let mut batch = Batch::new();
        batch.add(volume_types::INSERT, volume_types::insert_values(&made));
        self.ctx.store.write(batch).await.unwrap();
        made.id
    }

    pub(super) async fn retype(&self, id: VolumeId, word: &str) -> Result<(), Error> {
        retype_volume::begin(&self.ctx, &self.caller, id, word, Policy::OnDemand).await
    }

    pub(super) async fn type_of(&self, id: VolumeId) -> (String, bool) {
        let volume = volumes::get(&self.ctx.store, id).await.unwrap().unwrap();
        (volume.volume_type, volume.multiattach)
    }
}

async fn at_work() -> Fixture {
    let at = fixture().await;
    report_pools::report(&at.ctx).await;
    at.works();
    at
}

#[tokio::test]
async fn by_name_and_by_id_where_the_pool_passes() {
    let at = at_work().await;
    let here = [("volume_backend_name", "b"), ("multiattach", "<is> True")];
    let id = at.volume_type("here", &here, true).await;
    let volume = at.volume(|_| {}).await;
    at.retype(volume.id, "here").await.unwrap();
    assert_eq!(at.over(&volume.id).await.phase, Phase::Done);
    assert_eq!(at.type_of(volume.id).await, ("here".to_owned(), true));
    assert_eq!(at.status(volume.id).await, Some("available"));
    refused(at.retype(volume.id, &id.to_string()).await, "already");

    // In use, as long as what changes is nothing that its hosts would see.
    let plain = at.volume_type("plain", &[], true).await;
    let used = at
        .volume(|volume| volume.status = VolumeStatus::InUse)
        .await;
    at.retype(used.id, &plain.to_string()).await.unwrap();
    at.over(&used.id).await;
    assert_eq!(at.type_of(used.id).await, ("plain".to_owned(), false));
    assert_eq!(at.status(used.id).await, Some("in-use"));
    refused(
        at.retype(used.id, "here").await,
        "only while it is available",
    );
}

#[tokio::test]
async fn where_no_pool_passes_the_volume_is_as_it_was() {
    let at = at_work().await;
    at.volume_type("elsewhere", &[("volume_backend_name", "x")], true)
        .await;
    for (policy, word) in [
        (Policy::Never, "keeps its type t"),
        (Policy::OnDemand, "is the pool that the volume leaves"),
    ] {
        let volume = at.volume(|_| {}).await;
        let begun = retype_volume::begin(&at.ctx, &at.caller, volume.id, "elsewhere", policy);
        begun.await.unwrap();
        let over = at.over(&volume.id).await;
        assert_eq!(over.phase, Phase::Failed);
        let said = over.error.unwrap();
        for part in [word, "volume_backend_name"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(at.status(volume.id).await, Some("available"));
        assert_eq!(at.type_of(volume.id).await, ("t".to_owned(), false));
    }
    // Nothing of it is left: the type can be deleted.
    let admin = caller("ops", Role::Admin);
    let found = volume_types::get_by_name(&at.ctx.store, "elsewhere").await;
    let id = found.unwrap().unwrap().id;
    types::delete(&at.ctx, &admin, id).await.unwrap();
}

#[tokio::test]
async fn what_is_refused_at_once() {
    let at = fixture().await;
    at.volume_type("secret", &[], false).await;
    at.volume_type("thick", &[("provisioning:type", "thick")], true)
        .await;
    let volume = at.volume(|_| {}).await;
    for word in ["nowhere", "secret"] {
        let begun = at.retype(volume.id, word).await;
        assert!(matches!(begun, Err(Error::NotFound { .. })), "{word}");
    }
    refused(at.retype(volume.id, "t").await, "has the type t already");
    let never = retype_volume::begin(&at.ctx, &at.caller, volume.id, "thick", Policy::Never);
    refused(never.await, "wants it taken at once");
    let busy = at
        .volume(|volume| volume.status = VolumeStatus::Error)
        .await;
    at.volume_type("plain", &[], true).await;
    refused(
        at.retype(busy.id, "plain").await,
        "must be available or in-use",
    );
}

#[tokio::test]
async fn the_new_type_stays_while_a_volume_is_on_its_way_to_it() {
    let at = fixture().await; // Nobody works: the operation stays where it is.
    let id = at.volume_type("plain", &[], true).await;
    let volume = at.volume(|_| {}).await;
    at.retype(volume.id, "plain").await.unwrap();
    assert_eq!(at.status(volume.id).await, Some("retyping"));
    let admin = caller("ops", Role::Admin);
    refused(types::delete(&at.ctx, &admin, id).await, "still in use");
    report_pools::report(&at.ctx).await;
    at.works();
    at.over(&volume.id).await;
    assert_eq!(at.type_of(volume.id).await.0, "plain");
}
