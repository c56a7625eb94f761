//! The local socket: the agent's state, and its log filter.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State as Extract};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};

use super::{State, Status, flows, server};

/// Sets what is logged, a level or a tracing filter; the error says what is wrong with it.
pub type SetLogFilter = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Why the status socket cannot be served.
#[derive(Debug, Error)]
pub enum SocketError {
    /// Another agent serves it.
    #[error("cannot serve {0}: another agent does; stop it, or give this one a socket of its own")]
    InUse(PathBuf),
    /// Something is there that is no socket.
    #[error("cannot serve {0}: it is there and is no socket; remove it, or give the agent another path")]
    NoSocket(PathBuf),
    /// The system refused.
    #[error("cannot {what} {path}: {source}; is its directory there, and writable?")]
    System {
        /// What was being done, as `listen on`.
        what: &'static str,
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Serves HTTP on the unix socket `path` until the program ends: `GET /status` gives the [`Status`] as JSON,
/// `PUT /log-filter` sets the log filter to the request's body, `GET /flows…` tells what was dropped (`flows`). Only the
/// agent's own user may connect.
///
/// A socket that an agent left behind is replaced; the directory is made where it is missing.
///
/// # Errors
/// [`SocketError`].
pub async fn serve_socket(path: &Path, state: Arc<State>, set_log_filter: SetLogFilter) -> Result<(), SocketError> {
    let router = router(Arc::clone(&state), set_log_filter);
    server::serve(bind(path).await?, router, |is_near| state.refused(is_near)).await;
    Ok(())
}

/// Listens at the unix socket `path`, at which only its own user may connect. A socket that an agent left behind is replaced;
/// the directory is made where it is missing.
///
/// # Errors
/// [`SocketError`].
pub async fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| failed("make the directory of", path, error))?;
    }
    make_way(path).await?;
    let listener = UnixListener::bind(path).map_err(|error| failed("listen on", path, error))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
        .map_err(|error| failed("set the permissions of", path, error))?;
    Ok(listener)
}

/// Removes a socket that nobody serves any more.
async fn make_way(path: &Path) -> Result<(), SocketError> {
    match std::fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(metadata) if !metadata.file_type().is_socket() => Err(SocketError::NoSocket(path.to_owned())),
        Ok(_) if UnixStream::connect(path).await.is_ok() => Err(SocketError::InUse(path.to_owned())),
        Ok(_) => std::fs::remove_file(path).map_err(|error| failed("replace", path, error)),
    }
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> SocketError {
    SocketError::System { what, path: path.to_owned(), source }
}

/// In bytes.
const LONGEST_FILTER: usize = 4096;

#[derive(Clone)]
struct Shared {
    state: Arc<State>,
    set_log_filter: Arc<SetLogFilter>,
}

fn router(state: Arc<State>, set_log_filter: SetLogFilter) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/log-filter", put(log_filter))
        .layer(DefaultBodyLimit::max(LONGEST_FILTER))
        .merge(flows::router(Arc::clone(state.flows())))
        .with_state(Shared { state, set_log_filter: Arc::new(set_log_filter) })
}

async fn status(Extract(shared): Extract<Shared>) -> Json<Status> {
    Json(shared.state.status())
}

async fn log_filter(Extract(shared): Extract<Shared>, filter: String) -> Result<(), (StatusCode, String)> {
    (shared.set_log_filter)(filter.trim()).map_err(|message| (StatusCode::BAD_REQUEST, message))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::state::tests::state;
    use super::super::{ClientError, set_log_filter, status};
    use super::*;

    /// Serves in the background, and returns once the socket is there.
    async fn serve(path: &Path, filters: &Arc<Mutex<Vec<String>>>) {
        let filters = Arc::clone(filters);
        let set = Box::new(move |filter: &str| match filter {
            "bad" => Err("no level".to_owned()),
            _ => {
                filters.lock().unwrap().push(filter.to_owned());
                Ok(())
            }
        });
        let listener = bind(path).await.unwrap();
        tokio::spawn(server::serve(listener, router(Arc::new(state()), set), |_| ()));
    }

    /// Runs a blocking client beside the server.
    async fn ask<T: Send + 'static>(
        path: &Path,
        ask: impl FnOnce(&Path) -> Result<T, ClientError> + Send + 'static,
    ) -> Result<T, ClientError> {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || ask(&path)).await.unwrap()
    }

    #[tokio::test]
    async fn tells_the_status_and_takes_a_log_filter() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/status.sock");
        let filters = Arc::default();
        serve(&path, &filters).await;
        assert_eq!(ask(&path, status).await.unwrap().node, "worker-1");
        ask(&path, |path| set_log_filter(path, "info,palisade=debug")).await.unwrap();
        assert_eq!(*filters.lock().unwrap(), ["info,palisade=debug"]);
        let refused = ask(&path, |path| set_log_filter(path, "bad")).await.unwrap_err();
        assert_eq!(refused.to_string(), "the agent refused: no level");
        let refused = ask(&path, |path| set_log_filter(path, &"x".repeat(LONGEST_FILTER + 1))).await.unwrap_err();
        assert!(matches!(refused, ClientError::Refused(_)), "{refused}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn replaces_what_a_killed_agent_left_but_not_a_living_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        serve(&path, &Arc::default()).await;
        assert_eq!(ask(&path, status).await.unwrap().node, "worker-1");
        assert!(matches!(bind(&path).await, Err(SocketError::InUse(_))));
    }

    #[tokio::test]
    async fn never_removes_a_file_that_is_no_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path).await, Err(SocketError::NoSocket(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        let error = bind(&path.join("below.sock")).await.unwrap_err().to_string();
        assert!(error.starts_with("cannot make the directory of "), "{error}");
    }
}
