//! Probes and metrics over HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::State;
use super::server;

/// Serves until the program ends: `/healthz` (200 while the agent's thread is alive, else 503) and `/readyz` (200 while the
/// kernel holds what the policies say, else 503 with what is behind).
///
/// # Errors
/// Where the address cannot be listened at.
pub async fn serve_probes(address: SocketAddr, state: Arc<State>) -> io::Result<()> {
    let router = probes(Arc::clone(&state));
    server::serve(server::listen(address)?, router, |is_near| state.refused(is_near)).await;
    Ok(())
}

/// Serves until the program ends: `/metrics`, and the probes too.
///
/// # Errors
/// Where the address cannot be listened at.
pub async fn serve_metrics(address: SocketAddr, state: Arc<State>) -> io::Result<()> {
    let router = all(Arc::clone(&state));
    server::serve(server::listen(address)?, router, |is_near| state.refused(is_near)).await;
    Ok(())
}

fn probes(state: Arc<State>) -> Router {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(state)
}

fn all(state: Arc<State>) -> Router {
    probes(Arc::clone(&state)).merge(Router::new().route("/metrics", get(metrics)).with_state(state))
}

async fn healthz(Extract(state): Extract<Arc<State>>) -> Response {
    let alive = state.is_alive();
    probe(if alive { vec![] } else { vec!["the thread that enforces neither reports nor works".to_owned()] })
}

async fn readyz(Extract(state): Extract<Arc<State>>) -> Response {
    probe(state.behind())
}

/// Well, or what is not.
fn probe(mut wrong: Vec<String>) -> Response {
    if wrong.is_empty() {
        return "ok\n".into_response();
    }
    wrong.push("`palisade status` says more\n".to_owned());
    (StatusCode::SERVICE_UNAVAILABLE, wrong.join("\n")).into_response()
}

async fn metrics(Extract(state): Extract<Arc<State>>) -> Response {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPENMETRICS)], state.metrics()).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use palisade_model::Change;
    use tower::ServiceExt;

    use super::super::state::tests::{Attempt, state};
    use super::*;

    async fn get(state: &Arc<State>, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = all(Arc::clone(state)).oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_is_synced_and_committed() {
        let state = Arc::new(state());
        let readyz = || async { get(&state, "/readyz").await };
        let (status, body) = readyz().await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body, "namespaces have not been listed\n`palisade status` says more\n");
        state.synced();
        let (status, body) = readyz().await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.starts_with("nothing has been committed\n"), "{body}");
        Attempt::nothing_to_do().report(&state);
        assert_eq!(readyz().await, (StatusCode::OK, "ok\n".to_owned()));
        state.received(&[Change::NamespaceGone("shop".into())]);
        Attempt::failed(nix::libc::ENOBUFS).report(&state);
        let (status, body) = readyz().await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.starts_with("the last commit failed, of changes in namespaces: shop\n"), "{body}");
    }

    #[tokio::test]
    async fn healthy_is_reporting_whatever_the_watches_do() {
        let state = Arc::new(state());
        assert_eq!(get(&state, "/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
        state.fall_silent();
        let (status, body) = get(&state, "/healthz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("neither reports nor works"), "{body}");
    }

    #[tokio::test]
    async fn metrics_are_in_the_openmetrics_format() {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = all(Arc::new(state())).oneshot(request).await.unwrap();
        let format = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
        assert!(format.starts_with("application/openmetrics-text; version=1.0.0"), "{format}");
        let (status, text) = get(&Arc::new(state()), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("palisade_build_info{version=") && text.ends_with("# EOF\n"), "{text}");
    }

    #[tokio::test]
    async fn who_probes_sees_no_metrics() {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = probes(Arc::new(state())).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        for path in ["/", "/status", "/log-filter", "/debug/pprof"] {
            assert_eq!(get(&Arc::new(state()), path).await.0, StatusCode::NOT_FOUND, "{path}");
        }
    }
}
