//! What is done in the request itself and has no steps: it is in the tour for those that come after it.

use crate::tour::{Ask, SNAPSHOTS, Until, available, delete, post};

/// A flag, a status said anew, and a volume offered, taken back, offered again and taken over.
pub(crate) fn at_once() -> Vec<Ask> {
    let act = |operation, body| post(operation, "/volumes/$b/action", body, "", available("b"));
    let reset = |body, status| {
        let until = Until::Is(SNAPSHOTS, "s", status);
        post(
            "reset_snapshot_status",
            "/snapshots/$s/action",
            body,
            "",
            until,
        )
    };
    let offer = || {
        post(
            "create_transfer",
            "/os-volume-transfer",
            r#"{"transfer":{"volume_id":"$b","name":null}}"#,
            "o",
            Until::Answered,
        )
    };
    vec![
        act(
            "update_readonly",
            r#"{"os-update_readonly_flag":{"readonly":true}}"#,
        ),
        act(
            "update_readonly",
            r#"{"os-update_readonly_flag":{"readonly":false}}"#,
        ),
        reset(
            r#"{"os-reset_status":{"status":"error_deleting"}}"#,
            "error_deleting",
        ),
        reset(r#"{"os-reset_status":{"status":"available"}}"#, "available"),
        offer(),
        delete("delete_transfer", "/os-volume-transfer/$o", available("b")),
        offer(),
        post(
            "accept_transfer",
            "/os-volume-transfer/$o/accept",
            r#"{"accept":{"auth_key":"$key"}}"#,
            "",
            available("b"),
        ),
    ]
}
