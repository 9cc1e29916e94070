//! The route table, whole: a line a route, with the minor version from which it exists.
//!
//! The project that a path may name is taken out at the door, so it stands in no line here.

use super::call::Call;
use super::error::{Body, Fault};
use super::Api;
use axum::Router;
use axum::extract::{Request, State};
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
            Router::new()
                $(.route($path, $method($handler).layer(from_fn_with_state($since, exists_from))))+
                .fallback(|| async { Fault::no_route() })
                .method_not_allowed_fallback(|| async { Fault::bad_method() })
                .with_state(api)
        }
    };
}

routes! {
    get "/ashlar/v1/routes" 0 => list;
}

/// A route above the requested version does not exist (rule W3).
async fn exists_from(State(since): State<u16>, request: Request, next: Next) -> Response<Body> {
    let call = request.extensions().get::<Call>();
    if call.is_some_and(|call| call.version.at_least(since)) {
        next.run(request).await
    } else {
        Fault::no_route().into_response()
    }
}

async fn list() -> Response<Body> {
    let routes: Vec<_> = ROUTES
        .iter()
        .map(|route| serde_json::json!({"method": route.method.to_uppercase(), "path": route.path}))
        .collect();
    super::error::ok(&serde_json::json!({"routes": routes}))
}
