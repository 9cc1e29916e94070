//! Sessions of the target over the wire: who sees and ends them, and a target that does not answer.

use super::fixture::{Fixture, fixture, fixture_with};
use crate::api::auth::AuthMode;
use crate::driver::{Done, LiveWrites};
use crate::model::id::{SessionId, VolumeId};
use crate::model::time::Time;
use crate::target::{Access, Address, Export, ExportState, Session, Target, TargetError};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A target that has sessions and nothing else; one that is stopped never answers.
#[derive(Default)]
struct Stub {
    sessions: Mutex<Vec<Session>>,
    is_stopped: bool,
    is_gone: bool,
    /// Lists, and then cannot end a session in time.
    hangs: bool,
}

#[async_trait]
impl Target for Stub {
    async fn export(&self, _: &Export) -> Result<Done, TargetError> {
        Ok(Done::AlreadySo)
    }

    async fn unexport(&self, _: VolumeId) -> Result<Done, TargetError> {
        Ok(Done::AlreadySo)
    }

    async fn allow(&self, _: VolumeId, _: &Access) -> Result<Done, TargetError> {
        Ok(Done::AlreadySo)
    }

    async fn deny(&self, _: VolumeId, _: &str) -> Result<Done, TargetError> {
        Ok(Done::AlreadySo)
    }

    async fn resize(&self, _: VolumeId, _: u64) -> Result<Done, TargetError> {
        Ok(Done::AlreadySo)
    }

    fn address(&self, _: VolumeId) -> Address {
        Address {
            iqn: String::new(),
            portals: Vec::new(),
            lun: 0,
        }
    }

    async fn exports(&self) -> Result<Vec<ExportState>, TargetError> {
        Ok(Vec::new())
    }

    async fn sessions(&self) -> Result<Vec<Session>, TargetError> {
        if self.is_gone {
            let source = std::io::ErrorKind::NotFound.into();
            let doing = "listing sessions";
            return Err(TargetError::Unavailable { doing, source });
        }
        if self.is_stopped {
            std::future::pending::<()>().await;
        }
        Ok(self.sessions.lock().unwrap().clone())
    }

    async fn kick(&self, session: SessionId) -> Result<Done, TargetError> {
        if self.hangs {
            let why = "a write of an ended session is still under way; ask again".to_owned();
            return Err(TargetError::NotKicked { session, why });
        }
        let mut sessions = self.sessions.lock().unwrap();
        let before = sessions.len();
        sessions.retain(|one| one.id != session);
        Ok(if sessions.len() < before {
            Done::Changed
        } else {
            Done::AlreadySo
        })
    }

    async fn live_writes(&self, _: VolumeId) -> Result<Option<Arc<dyn LiveWrites>>, TargetError> {
        Ok(None)
    }
}

fn session(since: &str) -> Session {
    Session {
        id: SessionId::random(),
        volume_id: VolumeId::random(),
        initiator: "iqn.a".to_owned(),
        peer: "192.0.2.1:3260".to_owned(),
        since: Some(Time::from_stored(since.to_owned())),
        read_only: true,
        reads: Some(3),
        writes: Some(4),
        read_bytes: 5,
        written_bytes: 6,
        last_io_at: None,
        quiet: Some(Duration::from_millis(7_900)),
    }
}

async fn with(stub: Stub) -> Fixture {
    fixture_with(AuthMode::Token, Some(Arc::new(stub))).await
}

async fn kick(api: &Fixture, token: &str, id: &str) -> (u16, String) {
    let path = format!("/ashlar/v1/sessions/{id}/kick");
    let got = api.ask(token, "POST", &path, Value::Null).await;
    (got.code, got.message().to_owned())
}

#[tokio::test]
async fn administrators_see_sessions_and_end_one() {
    let (late, early) = (
        session("2026-11-22T18:43:44.000000"),
        session("2026-11-22T18:43:43.000000"),
    );
    let stub = Stub {
        sessions: Mutex::new(vec![late.clone(), early.clone()]),
        ..Stub::default()
    };
    let api = with(stub).await;
    let path = "/ashlar/v1/sessions";
    assert_eq!(api.get("member", path).await.code, 403);
    assert_eq!(kick(&api, "member", &early.id.to_string()).await.0, 403);
    let got = api.get("admin", path).await;
    assert_eq!(got.code, 200, "{}", got.body);
    let shown = &got.body["sessions"];
    assert_eq!(
        shown[0],
        json!({"id": early.id.to_string(), "volume_id": early.volume_id.to_string(), "initiator": "iqn.a",
            "address": "192.0.2.1:3260", "since": "2026-11-22T18:43:43.000000", "read_only": true, "reads": 3,
            "writes": 4, "read_bytes": 5, "written_bytes": 6, "last_io_at": null, "quiet_s": 7})
    );
    assert_eq!(shown[1]["id"], late.id.to_string());
    assert_eq!(kick(&api, "admin", &early.id.to_string()).await.0, 204);
    let left = api.get("admin", path).await.body["sessions"].clone();
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!(left[0]["id"], late.id.to_string());
    let (code, why) = kick(&api, "admin", &early.id.to_string()).await;
    assert!(code == 404 && why.contains("Session"), "{code} {why}");
    assert_eq!(kick(&api, "admin", "1").await.0, 404);
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_a_503_in_time() {
    let id = SessionId::random().to_string();
    let gone = Stub {
        is_gone: true,
        ..Stub::default()
    };
    let stopped = Stub {
        is_stopped: true,
        ..Stub::default()
    };
    for (stub, word) in [(gone, "does not answer"), (stopped, "within 3 s")] {
        let api = with(stub).await;
        let begin = tokio::time::Instant::now();
        let got = api.get("admin", "/ashlar/v1/sessions").await;
        assert_eq!(got.code, 503);
        assert!(got.message().contains(word), "{}", got.message());
        assert!(
            got.message().contains("`ashlard target`"),
            "{}",
            got.message()
        );
        let (code, why) = kick(&api, "admin", &id).await;
        assert!(code == 503 && why.contains(word), "{code} {why}");
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
    let hangs = Stub {
        hangs: true,
        ..Stub::default()
    };
    let (code, why) = kick(&with(hangs).await, "admin", &id).await;
    assert!(code == 503 && why.contains("still under way"), "{why}");
    let none = fixture(AuthMode::Token).await;
    let got = none.get("admin", "/ashlar/v1/sessions").await;
    assert_eq!(got.code, 503);
    assert!(
        got.message().contains("does not run the role volume"),
        "{}",
        got.message()
    );
}
