//! What monitoring asks: `/healthcheck` for everybody, `/metrics` for administrators; and the small sets of words that
//! requests are counted by.

use super::Api;
use super::auth::{self, Peer, is_loopback};
use super::error::{Answer, Body, Fault, metrics as page, ok_empty};
use crate::meter;
use crate::model::caller::Role;
use crate::ops::measure;
use axum::http::{HeaderMap, HeaderValue, Method, Response, header};
use axum::response::IntoResponse;

/// Who may read `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsFor {
    /// Administrators, and whom the unix socket lets in.
    Administrators,
    /// Also whoever asks over the loopback interface. A proxy on the same machine would pass others on, so this is for
    /// the administrator to choose.
    Loopback,
}

/// 200, or 503 with what is not well; no credentials are needed, and nothing else is told.
pub(super) async fn health(api: &Api) -> Response<Body> {
    match measure::health(&api.ctx).await {
        Ok(()) => ok_empty(),
        Err(error) => Fault::from(error).into_response(),
    }
}

/// The page for Prometheus, for whom it is.
pub(super) async fn metrics(
    api: &Api,
    peer: Peer,
    headers: &HeaderMap,
    request_id: &str,
) -> Answer {
    if !is_open_to(api.metrics, peer) {
        let headers = with_bearer(headers);
        let identified = auth::identify(&api.ctx.store, api.auth, peer, &headers, request_id);
        if identified.await?.role != Role::Admin {
            return Err(Fault::forbidden("ashlar:metrics"));
        }
    }
    measure::measure(&api.ctx).await;
    Ok(page(meter::render()))
}

fn is_open_to(metrics: MetricsFor, peer: Peer) -> bool {
    match (metrics, peer) {
        (MetricsFor::Loopback, Peer::Tcp(from)) => is_loopback(from.ip()),
        (MetricsFor::Loopback, Peer::Unix { .. }) | (MetricsFor::Administrators, _) => false,
    }
}

/// Prometheus sends its credentials as a bearer; they count as a token.
fn with_bearer(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
        .and_then(|token| HeaderValue::from_bytes(token).ok());
    if let (Some(mut token), false) = (bearer, headers.contains_key("x-auth-token")) {
        token.set_sensitive(true);
        headers.insert("x-auth-token", token);
    }
    headers
}

/// The method as a label: any client can make one up.
pub(super) fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("other")
}

/// The route of a path that the router does not see; `-` for one that may be anything.
pub(super) fn own_route(path: &str) -> &'static str {
    const OWN: [&str; 5] = ["/", "/v3", "/v3/", "/healthcheck", "/metrics"];
    OWN.into_iter().find(|own| *own == path).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::auth::AuthMode;
    use crate::api::tests::fixture::fixture;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use std::net::SocketAddr;

    fn from(address: [u8; 4]) -> Peer {
        Peer::Tcp(SocketAddr::from((address, 40_000)))
    }

    #[test]
    fn labels_are_of_small_sets() {
        assert_eq!(method(&Method::GET), "GET");
        assert_eq!(method(&Method::from_bytes(b"BREW").unwrap()), "other");
        assert_eq!(own_route("/metrics"), "/metrics");
        assert_eq!(own_route("/v3/p/volumes/../x"), "-");
        assert!(is_open_to(MetricsFor::Loopback, from([127, 0, 0, 1])));
        assert!(!is_open_to(MetricsFor::Loopback, from([192, 0, 2, 1])));
        assert!(!is_open_to(MetricsFor::Loopback, Peer::Unix { uid: 1 }));
        assert!(!is_open_to(
            MetricsFor::Administrators,
            from([127, 0, 0, 1])
        ));
    }

    #[tokio::test]
    async fn administrators_read_the_metrics() {
        let api = fixture(AuthMode::Token).await;
        api.volume(1, "v").await;
        let ask = async |header: &str, value: &str| {
            let request = Request::builder().uri("/metrics").header(header, value);
            let request = request.body(Body::empty()).unwrap();
            let response = api.door.answer(from([192, 0, 2, 1]), request).await;
            let code = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (code, String::from_utf8(body.to_vec()).unwrap())
        };
        for (header, value, code) in [
            ("x-auth-token", "member", 403),
            ("authorization", "Bearer reader", 403),
            ("authorization", "Bearer wrong", 401),
            ("authorization", "Basic admin", 401),
            ("host", "h", 401),
            ("x-auth-token", "admin", 200),
        ] {
            assert_eq!(ask(header, value).await.0, code, "{header}: {value}");
        }
        let (code, page) = ask("authorization", "Bearer admin").await;
        assert_eq!(code, 200);
        for line in [
            "ashlar_volumes{status=\"creating\"}",
            "ashlar_http_requests_total{route=\"/v3/volumes\",method=\"POST\",code=\"202\"}",
            "ashlar_queue_operations{queue=\"scheduler\",phase=\"queued\"}",
            "ashlar_record_up 1",
        ] {
            assert!(page.contains(line), "{line} in\n{page}");
        }
    }

    #[tokio::test]
    async fn a_record_that_is_closed_is_not_well() {
        let api = fixture(AuthMode::Token).await;
        let ask = || Request::builder().uri("/healthcheck").body(Body::empty());
        assert_eq!(api.send(ask().unwrap()).await.code, 200);
        api.store.close().await;
        let got = api.send(ask().unwrap()).await;
        assert_eq!(got.code, 503);
        assert!(
            got.message().starts_with("The record is not available: "),
            "{}",
            got.body
        );
    }
}
