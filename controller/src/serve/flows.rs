//! What was dropped, over the local socket, as lines of [`Message`]s:
//!
//! - `GET /flows?since=SECONDS&last=N&allowed=true`: the latest records, all that are remembered without the first two; those of what
//!   was allowed only with the third;
//! - `GET /flows/follow`: the same, and then what comes, for as long as the client reads;
//! - `GET /flows/summary`: all united flows.
//!
//! Invariants:
//! - There are [`FOLLOWERS`] at most. One that does not read costs its place, until it has not read for [`STALL`], and what the
//!   hub keeps for the slowest.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, RawQuery, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::stream::{self, Stream, StreamExt};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::patience::Patience;
use crate::flows::{Follower, Header, Heard, Hub, Message, Wanted};

/// How many may follow at a time.
const FOLLOWERS: usize = 32;
/// How long a follower may take no line before it is left.
const STALL: Duration = Duration::from_secs(60);
/// How long a follower hears nothing before he is told that the agent is there.
const ALIVE: Duration = Duration::from_secs(10);
/// How many lines go out at once.
const CHUNK: usize = 64;

#[derive(Clone)]
struct Shared {
    hub: Arc<Hub>,
    places: Arc<Semaphore>,
}

/// The routes.
pub(super) fn router<S>(hub: Arc<Hub>) -> Router<S> {
    Router::new()
        .route("/flows", get(latest))
        .route("/flows/follow", get(follow))
        .route("/flows/summary", get(summary))
        .with_state(Shared { hub, places: Arc::new(Semaphore::new(FOLLOWERS)) })
}

async fn latest(Extract(shared): Extract<Shared>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let (header, records) = shared.hub.latest(wanted(query.as_deref())?);
    Ok(lines(remembered(header, records.into_iter().map(Message::Record))))
}

async fn summary(Extract(shared): Extract<Shared>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let (header, entries) = shared.hub.summary(wanted(query.as_deref())?.allowed);
    Ok(lines(remembered(header, entries.into_iter().map(Message::Entry))))
}

async fn follow(
    Extract(shared): Extract<Shared>,
    Extension(patience): Extension<Patience>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let wanted = wanted(query.as_deref())?;
    let Ok(place) = shared.places.try_acquire_owned() else { return Err(Refusal::Full) };
    let (header, records, follower) = shared.hub.follow(wanted);
    let node = header.node.clone();
    let records = records.into_iter().map(Message::Record);
    let all = remembered(header, records).chain(coming(node, follower));
    // A line is asked for when the last ones are on their way.
    Ok(lines(all.inspect(move |_| {
        let _place = &place;
        patience.prolong(STALL);
    })))
}

/// So many lines go out at once, so that nobody waits for all of them to be written.
fn remembered(header: Header, messages: impl Iterator<Item = Message>) -> impl Stream<Item = String> {
    let all = [Message::Begin(header)].into_iter().chain(messages).chain([Message::Now]);
    stream::iter(all).chunks(CHUNK).map(|some| some.iter().map(Message::line).collect())
}

fn coming(node: String, follower: Follower) -> impl Stream<Item = String> {
    stream::unfold((node, follower), |(node, mut follower)| async {
        let message = match timeout(ALIVE, follower.next()).await {
            Ok(Some(Heard::Record(record))) => Message::Record(record),
            Ok(Some(Heard::Missed(records))) => Message::Missed { node: node.clone(), records },
            Ok(None) => return None,
            Err(_) => Message::Alive,
        };
        Some((message.line(), (node, follower)))
    })
}

fn lines(lines: impl Stream<Item = String> + Send + 'static) -> Response {
    let body = Body::from_stream(lines.map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

/// Which records a query wants.
fn wanted(query: Option<&str>) -> Result<Wanted, Refusal> {
    let mut wanted = Wanted::default();
    for part in query.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
        let refusal = || Refusal::Query(part.to_owned());
        match part.split_once('=').ok_or_else(refusal)? {
            ("since", seconds) => wanted.since = Some(ago(seconds).ok_or_else(refusal)?),
            ("last", records) => wanted.last = Some(records.parse().map_err(|_| refusal())?),
            ("allowed", is) => wanted.allowed = is.parse().map_err(|_| refusal())?,
            _ => return Err(refusal()),
        }
    }
    Ok(wanted)
}

/// So many seconds ago.
fn ago(seconds: &str) -> Option<Timestamp> {
    let seconds = seconds.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0)?;
    let ago = SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX);
    Some(Timestamp::now().checked_sub(ago).unwrap_or(Timestamp::MIN))
}

/// Why nothing is told.
#[derive(Debug, PartialEq)]
enum Refusal {
    /// A part of the query.
    Query(String),
    /// There are as many followers as there may be.
    Full,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Query(part) => {
                let says = format!("`{part}` is neither since=SECONDS nor last=NUMBER nor allowed=true");
                (StatusCode::BAD_REQUEST, says).into_response()
            }
            Self::Full => {
                let says = format!("{FOLLOWERS} follow already: end one of them, or ask for what was");
                (StatusCode::SERVICE_UNAVAILABLE, says).into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests;
