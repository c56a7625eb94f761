//! Probes and metrics over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::State;

/// Serves until the program ends: `/healthz` (200 while the agent's thread reports, else 503), `/readyz` (200 while the
/// kernel holds what the policies say, else 503) and `/metrics`.
///
/// # Errors
/// Where the listener fails for good.
pub async fn serve(listener: TcpListener, state: Arc<State>) -> std::io::Result<()> {
    axum::serve(listener, router(state)).await
}

fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(state)
}

async fn healthz(Extract(state): Extract<Arc<State>>) -> Response {
    probe(state.is_alive(), "the thread that enforces does not report\n")
}

async fn readyz(Extract(state): Extract<Arc<State>>) -> Response {
    probe(state.is_ready(), "not every watch has synced, or the last commit failed: see `palisade status`\n")
}

fn probe(holds: bool, otherwise: &'static str) -> Response {
    if holds { "ok\n".into_response() } else { (StatusCode::SERVICE_UNAVAILABLE, otherwise).into_response() }
}

async fn metrics(Extract(state): Extract<Arc<State>>) -> Response {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPENMETRICS)], state.metrics()).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tower::ServiceExt;

    use super::super::state::tests::{Attempt, state};
    use super::*;

    async fn get(state: &Arc<State>, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(Arc::clone(state)).oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_is_synced_and_committed() {
        let state = Arc::new(state());
        let readyz = || async { get(&state, "/readyz").await.0 };
        assert_eq!(readyz().await, StatusCode::SERVICE_UNAVAILABLE);
        state.synced();
        assert_eq!(readyz().await, StatusCode::SERVICE_UNAVAILABLE, "nothing was committed");
        Attempt::nothing_to_do().report(&state);
        assert_eq!(readyz().await, StatusCode::OK);
        Attempt::failed(nix::libc::ENOBUFS).report(&state);
        assert_eq!(readyz().await, StatusCode::SERVICE_UNAVAILABLE, "the last commit failed");
    }

    #[tokio::test]
    async fn healthy_is_reporting_whatever_the_watches_do() {
        let state = Arc::new(state());
        assert_eq!(get(&state, "/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
        state.fall_silent();
        let (status, body) = get(&state, "/healthz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("does not report"), "{body}");
    }

    #[tokio::test]
    async fn serves_metrics_over_tcp() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Arc::new(state())));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("application/openmetrics-text; version=1.0.0"), "{answer}");
        assert!(answer.contains("palisade_build_info{version="), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        for path in ["/", "/status", "/log-filter", "/debug/pprof"] {
            assert_eq!(get(&Arc::new(state()), path).await.0, StatusCode::NOT_FOUND, "{path}");
        }
    }
}
