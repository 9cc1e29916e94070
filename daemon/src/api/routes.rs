//! The route table, whole: a line a route, with the minor version from which it exists.
//!
//! The project that a path may name is taken out at the door, so it stands in no line here.

use super::Api;
use super::ashlar::{
    backup_calendar, backup_sets, backup_stores, backups as own_backups, events, journal,
    operations, placement, plan, sessions, tokens, whoami,
};
use super::call::Call;
use super::error::{Body, Fault};
use super::openapi::serve;
use super::v3::{
    attachments, availability_zones, backups, capabilities, extensions, extra_specs, hosts, limits,
    manageable, messages, metadata, pools, qos_specs, quota_sets, resource_filters, services,
    snapshot_actions, snapshots, transfers, type_access, type_encryption, types, volume_actions,
    volume_summary, volumes,
};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Response;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post, put};

/// A route, for whoever wants to know them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The method, lower case.
    pub method: &'static str,
    /// The path; variable parts in braces.
    pub path: &'static str,
    /// From which 3.`since` it exists.
    pub since: u16,
}

macro_rules! routes {
    ($($method:ident $path:literal $since:literal => $handler:path;)+) => {
        /// Every route.
        pub const ROUTES: &[Route] = &[
            $(Route { method: stringify!($method), path: $path, since: $since },)+
        ];

        /// The router over the table; what is not in it is Cinder's 404 or 405.
        pub(super) fn router(api: Api) -> Router {
            let router = Router::new();
            #[cfg(test)]
            let router = router.route("/ashlar/v1/panic", get(tests::panic));
            router
                $(.route($path, $method($handler).layer(from_fn_with_state($since, exists_from))))+
                .fallback(|| async { Fault::no_route() })
                .method_not_allowed_fallback(|| async { Fault::bad_method() })
                .with_state(api)
        }
    };
}

routes! {
    get    "/v3/volumes"                              0  => volumes::list;
    get    "/v3/volumes/detail"                       0  => volumes::list_detail;
    get    "/v3/volumes/summary"                      12 => volume_summary::show;
    post   "/v3/volumes"                              0  => volumes::create;
    get    "/v3/volumes/{id}"                         0  => volumes::show;
    put    "/v3/volumes/{id}"                         0  => volumes::update;
    delete "/v3/volumes/{id}"                         0  => volumes::delete;
    post   "/v3/volumes/{id}/action"                  0  => volume_actions::act;
    get    "/v3/volumes/{id}/encryption"              0  => volumes::encryption;
    get    "/v3/volumes/{id}/metadata"                0  => metadata::volumes::list;
    post   "/v3/volumes/{id}/metadata"                0  => metadata::volumes::merge;
    put    "/v3/volumes/{id}/metadata"                0  => metadata::volumes::replace;
    get    "/v3/volumes/{id}/metadata/{key}"          0  => metadata::volumes::show;
    put    "/v3/volumes/{id}/metadata/{key}"          0  => metadata::volumes::update;
    delete "/v3/volumes/{id}/metadata/{key}"          0  => metadata::volumes::delete;
    get    "/v3/snapshots"                            0  => snapshots::list;
    get    "/v3/snapshots/detail"                     0  => snapshots::list_detail;
    post   "/v3/snapshots"                            0  => snapshots::create;
    post   "/v3/snapshots/{id}/action"                0  => snapshot_actions::act;
    get    "/v3/snapshots/{id}"                       0  => snapshots::show;
    put    "/v3/snapshots/{id}"                       0  => snapshots::update;
    delete "/v3/snapshots/{id}"                       0  => snapshots::delete;
    get    "/v3/snapshots/{id}/metadata"              0  => metadata::snapshots::list;
    post   "/v3/snapshots/{id}/metadata"              0  => metadata::snapshots::merge;
    put    "/v3/snapshots/{id}/metadata"              0  => metadata::snapshots::replace;
    get    "/v3/snapshots/{id}/metadata/{key}"        0  => metadata::snapshots::show;
    put    "/v3/snapshots/{id}/metadata/{key}"        0  => metadata::snapshots::update;
    delete "/v3/snapshots/{id}/metadata/{key}"        0  => metadata::snapshots::delete;
    get    "/v3/backups"                              0  => backups::list;
    get    "/v3/backups/detail"                       0  => backups::list_detail;
    post   "/v3/backups"                              0  => backups::create;
    post   "/v3/backups/import_record"                0  => backups::import_record;
    get    "/v3/backups/{id}"                         0  => backups::show;
    put    "/v3/backups/{id}"                         9  => backups::update;
    delete "/v3/backups/{id}"                         0  => backups::delete;
    post   "/v3/backups/{id}/restore"                 0  => backups::restore;
    get    "/v3/backups/{id}/export_record"           0  => backups::export_record;
    post   "/v3/backups/{id}/action"                  0  => backups::act;
    get    "/v3/attachments"                          27 => attachments::list;
    get    "/v3/attachments/detail"                   27 => attachments::list_detail;
    post   "/v3/attachments"                          27 => attachments::create;
    get    "/v3/attachments/{id}"                     27 => attachments::show;
    put    "/v3/attachments/{id}"                     27 => attachments::update;
    delete "/v3/attachments/{id}"                     27 => attachments::delete;
    post   "/v3/attachments/{id}/action"              27 => attachments::act;
    get    "/v3/os-volume-transfer"                   0  => transfers::list;
    get    "/v3/os-volume-transfer/detail"            0  => transfers::list_detail;
    post   "/v3/os-volume-transfer"                   0  => transfers::create;
    get    "/v3/os-volume-transfer/{id}"              0  => transfers::show;
    delete "/v3/os-volume-transfer/{id}"              0  => transfers::delete;
    post   "/v3/os-volume-transfer/{id}/accept"       0  => transfers::accept;
    get    "/v3/volume-transfers"                     0  => transfers::list;
    get    "/v3/volume-transfers/detail"              0  => transfers::list_detail;
    post   "/v3/volume-transfers"                     0  => transfers::create;
    get    "/v3/volume-transfers/{id}"                0  => transfers::show;
    delete "/v3/volume-transfers/{id}"                0  => transfers::delete;
    post   "/v3/volume-transfers/{id}/accept"         0  => transfers::accept;
    get    "/v3/types"                                0  => types::list;
    get    "/v3/types/default"                        0  => types::show_default;
    post   "/v3/types"                                0  => types::create;
    get    "/v3/types/{id}"                           0  => types::show;
    put    "/v3/types/{id}"                           0  => types::update;
    delete "/v3/types/{id}"                           0  => types::delete;
    get    "/v3/types/{id}/extra_specs"               0  => extra_specs::list;
    post   "/v3/types/{id}/extra_specs"               0  => extra_specs::create;
    get    "/v3/types/{id}/extra_specs/{key}"         0  => extra_specs::show;
    put    "/v3/types/{id}/extra_specs/{key}"         0  => extra_specs::update;
    delete "/v3/types/{id}/extra_specs/{key}"         0  => extra_specs::delete;
    get    "/v3/types/{id}/encryption"                0  => type_encryption::list;
    post   "/v3/types/{id}/encryption"                0  => type_encryption::create;
    get    "/v3/types/{id}/encryption/{key}"          0  => type_encryption::show;
    put    "/v3/types/{id}/encryption/{key}"          0  => type_encryption::update;
    delete "/v3/types/{id}/encryption/{key}"          0  => type_encryption::delete;
    get    "/v3/types/{id}/os-volume-type-access"     0  => type_access::list;
    post   "/v3/types/{id}/action"                    0  => type_access::act;
    get    "/v3/default-types"                        62 => type_access::defaults;
    get    "/v3/default-types/"                       62 => type_access::defaults;
    get    "/v3/default-types/{id}"                   62 => type_access::show_default;
    put    "/v3/default-types/{id}"                   62 => type_access::set_default;
    delete "/v3/default-types/{id}"                   62 => type_access::unset_default;
    get    "/v3/qos-specs"                            0  => qos_specs::list;
    post   "/v3/qos-specs"                            0  => qos_specs::create;
    get    "/v3/qos-specs/{id}"                       0  => qos_specs::show;
    put    "/v3/qos-specs/{id}"                       0  => qos_specs::update;
    delete "/v3/qos-specs/{id}"                       0  => qos_specs::delete;
    put    "/v3/qos-specs/{id}/delete_keys"           0  => qos_specs::delete_keys;
    get    "/v3/qos-specs/{id}/associations"          0  => qos_specs::associations;
    get    "/v3/qos-specs/{id}/associate"             0  => qos_specs::associate;
    get    "/v3/qos-specs/{id}/disassociate"          0  => qos_specs::disassociate;
    get    "/v3/qos-specs/{id}/disassociate_all"      0  => qos_specs::disassociate_all;
    get    "/v3/manageable_volumes"                   8  => manageable::list_volumes;
    get    "/v3/manageable_volumes/detail"            8  => manageable::list_volumes_detail;
    post   "/v3/manageable_volumes"                   8  => manageable::create_volume;
    get    "/v3/os-volume-manage"                     8  => manageable::list_volumes;
    get    "/v3/os-volume-manage/detail"              8  => manageable::list_volumes_detail;
    post   "/v3/os-volume-manage"                     0  => manageable::create_volume;
    get    "/v3/manageable_snapshots"                 8  => manageable::list_snapshots;
    get    "/v3/manageable_snapshots/detail"          8  => manageable::list_snapshots_detail;
    post   "/v3/manageable_snapshots"                 8  => manageable::create_snapshot;
    get    "/v3/os-snapshot-manage"                   8  => manageable::list_snapshots;
    get    "/v3/os-snapshot-manage/detail"            8  => manageable::list_snapshots_detail;
    post   "/v3/os-snapshot-manage"                   0  => manageable::create_snapshot;
    get    "/v3/os-quota-sets/{id}"                   0  => quota_sets::show;
    put    "/v3/os-quota-sets/{id}"                   0  => quota_sets::update;
    delete "/v3/os-quota-sets/{id}"                   0  => quota_sets::delete;
    get    "/v3/os-quota-sets/{id}/defaults"          0  => quota_sets::defaults;
    get    "/v3/os-quota-class-sets/{id}"             0  => quota_sets::show_class;
    put    "/v3/os-quota-class-sets/{id}"             0  => quota_sets::update_class;
    get    "/v3/limits"                               0  => limits::show;
    get    "/v3/resource_filters"                     33 => resource_filters::list;
    get    "/v3/os-services"                          0  => services::list;
    put    "/v3/os-services/enable"                   0  => services::enable;
    put    "/v3/os-services/disable"                  0  => services::disable;
    put    "/v3/os-services/disable-log-reason"       0  => services::disable_log_reason;
    put    "/v3/os-services/freeze"                   0  => services::freeze;
    put    "/v3/os-services/thaw"                     0  => services::thaw;
    get    "/v3/os-hosts"                             0  => hosts::list;
    get    "/v3/os-hosts/{id}"                        0  => hosts::show;
    put    "/v3/os-hosts/{id}"                        0  => hosts::update;
    get    "/v3/os-availability-zone"                 0  => availability_zones::list;
    get    "/v3/scheduler-stats/get_pools"            0  => pools::list;
    get    "/v3/capabilities/{id}"                    0  => capabilities::show;
    get    "/v3/extensions"                           0  => extensions::list;
    get    "/v3/extensions/{id}"                      0  => extensions::show;
    get    "/v3/messages"                             3  => messages::list;
    get    "/v3/messages/{id}"                        3  => messages::show;
    delete "/v3/messages/{id}"                        3  => messages::delete;
    get    "/ashlar/v1/routes"                        0  => list;
    get    "/ashlar/v1/openapi/{document}"            0  => serve::show;
    get    "/ashlar/v1/whoami"                        0  => whoami::show;
    get    "/ashlar/v1/events"                        0  => events::list;
    get    "/ashlar/v1/operations"                    0  => operations::list;
    get    "/ashlar/v1/operations/{id}"               0  => operations::show;
    post   "/ashlar/v1/operations/{id}/cancel"        0  => operations::act_cancel;
    post   "/ashlar/v1/operations/{id}/retry"         0  => operations::act_retry;
    get    "/ashlar/v1/journal"                       0  => journal::list;
    post   "/ashlar/v1/plan"                          0  => plan::make;
    get    "/ashlar/v1/volumes/{id}/placement"        0  => placement::show;
    post   "/ashlar/v1/placement"                     0  => placement::rehearse;
    get    "/ashlar/v1/backups"                       0  => own_backups::list;
    get    "/ashlar/v1/backups/{id}"                  0  => own_backups::show;
    post   "/ashlar/v1/backups/{id}/verify"           0  => own_backups::act_verify;
    post   "/ashlar/v1/backups/{id}/drill"            0  => own_backups::act_drill;
    get    "/ashlar/v1/backup-stores"                 0  => backup_stores::list;
    get    "/ashlar/v1/backup-stores/{store}"         0  => backup_stores::show;
    post   "/ashlar/v1/backup-stores/{store}/import"  0  => backup_stores::act_import;
    get    "/ashlar/v1/sessions"                      0  => sessions::list;
    post   "/ashlar/v1/sessions/{id}/kick"            0  => sessions::kick;
    get    "/ashlar/v1/backup-sets"                   0  => backup_sets::list;
    post   "/ashlar/v1/backup-sets"                   0  => backup_sets::create;
    get    "/ashlar/v1/backup-sets/{id}"              0  => backup_sets::show;
    put    "/ashlar/v1/backup-sets/{id}"              0  => backup_sets::update;
    delete "/ashlar/v1/backup-sets/{id}"              0  => backup_sets::delete;
    post   "/ashlar/v1/backup-sets/{id}/run"          0  => backup_sets::run;
    post   "/ashlar/v1/backup-sets/{id}/plan"         0  => backup_sets::plan;
    get    "/ashlar/v1/backup-calendar"               0  => backup_calendar::list;
    get    "/ashlar/v1/backup-queue"                  0  => backup_calendar::queue;
    get    "/ashlar/v1/tokens"                        0  => tokens::list;
    post   "/ashlar/v1/tokens"                        0  => tokens::create;
    get    "/ashlar/v1/tokens/{id}"                   0  => tokens::show;
    delete "/ashlar/v1/tokens/{id}"                   0  => tokens::delete;
}

/// A route above the requested version does not exist (rule W3).
async fn exists_from(State(since): State<u16>, request: Request, next: Next) -> Response<Body> {
    let call = request.extensions().get::<Call>();
    let template = request.extensions().get::<MatchedPath>();
    let seen = call.zip(template).map(|(call, template)| Seen {
        object_id: object_id(template.as_str(), request.uri().path()),
        route: template.clone(),
        project_id: call.caller.project_id.clone(),
    });
    let mut response = if call.is_some_and(|call| call.version.at_least(since)) {
        next.run(request).await
    } else {
        Fault::no_route().into_response()
    };
    if let Some(seen) = seen {
        response.extensions_mut().insert(seen);
    }
    response
}

/// What the door logs of a request that reached a route.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Its template, of which there are as many as lines in the table.
    pub(super) route: MatchedPath,
    /// The object that the path names.
    pub(super) object_id: Option<String>,
    /// In which project the caller acts.
    pub(super) project_id: String,
}

/// What stands for `{id}`, cut to the length of an id: it is the client's text.
fn object_id(template: &str, path: &str) -> Option<String> {
    const LEN_MAX: usize = 64;
    let mut parts = template.split('/').zip(path.split('/'));
    let (_, text) = parts.find(|(wanted, _)| *wanted == "{id}")?;
    Some(text.chars().take(LEN_MAX).collect())
}

async fn list() -> Response<Body> {
    let routes: Vec<_> = ROUTES
        .iter()
        .map(|route| serde_json::json!({"method": route.method.to_uppercase(), "path": route.path}))
        .collect();
    super::error::ok(&serde_json::json!({"routes": routes}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::auth::AuthMode;
    use crate::api::tests::fixture::fixture;

    pub(super) async fn panic() -> Response<Body> {
        panic!("a handler's mistake");
    }

    #[tokio::test]
    async fn a_panic_is_a_500_and_nothing_more() {
        let api = fixture(AuthMode::Token).await;
        let got = api.get("member", "/ashlar/v1/panic").await;
        assert_eq!(
            (got.code, got.body["computeFault"]["code"].as_u64()),
            (500, Some(500))
        );
        assert!(!got.message().contains("mistake"));
        assert_eq!(api.get("member", "/ashlar/v1/whoami").await.code, 200);
    }

    #[test]
    fn every_route_is_in_the_table_once() {
        for (position, route) in ROUTES.iter().enumerate() {
            let later = &ROUTES[position + 1..];
            let same = |other: &Route| (other.method, other.path) == (route.method, route.path);
            assert!(!later.iter().any(same), "{} {}", route.method, route.path);
        }
    }
}
