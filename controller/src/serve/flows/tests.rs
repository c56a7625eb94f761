use std::path::Path;

use super::super::client::{latest as remembered, stream};
use super::super::{ClientError, server, socket};
use super::*;
use crate::flows::tests::record;
use crate::flows::{Record, Verdict};

async fn serving(directory: &Path) -> Arc<Hub> {
    let hub = Arc::new(Hub::new("worker-1"));
    let listener = socket::bind(&directory.join("status.sock")).await.unwrap();
    tokio::spawn(server::serve(listener, router(Arc::clone(&hub)).merge(status()), |_| ()));
    hub
}

/// What else is asked.
fn status() -> Router {
    Router::new().route("/status", get(async || "here"))
}

fn of_port(port: u16) -> Record {
    Record { port: Some(port), ..record() }
}

async fn told(path: &Path, target: &str) -> Vec<Message> {
    let mut stream = stream(path, target).await.unwrap();
    let mut messages = Vec::new();
    while let Some(message) = stream.next().await.unwrap() {
        messages.push(message);
    }
    messages
}

fn ports(messages: &[Message]) -> Vec<u16> {
    let port = |message: &Message| match message {
        Message::Record(record) => record.port,
        _ => None,
    };
    messages.iter().filter_map(port).collect()
}

#[tokio::test]
async fn what_was_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (hub, path) = (serving(directory.path()).await, directory.path().join("status.sock"));
    (0..200).for_each(|port| hub.publish(Record { time: Timestamp::UNIX_EPOCH, ..of_port(port) }));
    let now = Record { time: Timestamp::now(), ..of_port(200) };
    hub.publish(now);
    let all = told(&path, "/flows").await;
    assert!(matches!(&all[0], Message::Begin(header) if header.node == "worker-1"));
    assert_eq!((all.len(), &all[202]), (203, &Message::Now));
    assert_eq!(ports(&all), (0..=200).collect::<Vec<_>>());
    assert_eq!(ports(&told(&path, "/flows?last=2").await), [199, 200]);
    assert_eq!(ports(&told(&path, "/flows?since=3600&last=2").await), [200]);
    assert_eq!(ports(&told(&path, "/flows?since=1e300").await.split_off(200)), [199, 200]);
    for wrong in ["since=-1", "since=NaN", "last=x", "until=3", "since", "allowed=yes"] {
        let refused = stream(&path, &format!("/flows?{wrong}")).await.unwrap_err();
        assert!(matches!(refused, ClientError::Refused(_)), "{wrong}");
    }
    hub.publish(Record { verdict: Verdict::Allowed, ..of_port(300) });
    assert_eq!(ports(&told(&path, "/flows?last=1").await), [200]);
    assert_eq!(told(&path, "/flows?allowed=true").await.len(), 204);
    assert_eq!(told(&path, "/flows/summary?allowed=true").await.len(), 204);
    let sums = told(&path, "/flows/summary").await;
    assert!(matches!(&sums[1], Message::Entry(entry) if entry.sample.port == Some(200)), "the latest is first");
    let (header, records) = tokio::task::spawn_blocking(move || remembered(&path).unwrap()).await.unwrap();
    assert_eq!((&*header.node, records.len(), sums.len()), ("worker-1", 201, 203));
}

#[tokio::test]
async fn who_follows_hears_what_was_and_what_comes() {
    let directory = tempfile::tempdir().unwrap();
    let (hub, path) = (serving(directory.path()).await, directory.path().join("status.sock"));
    (1..=3).for_each(|port| hub.publish(of_port(port)));
    let mut stream = stream(&path, "/flows/follow?last=1").await.unwrap();
    let mut next = async || stream.next().await.unwrap().unwrap();
    assert!(matches!(next().await, Message::Begin(_)));
    assert_eq!(ports(&[next().await]), [3]);
    assert_eq!(next().await, Message::Now);
    hub.publish(of_port(4));
    assert_eq!(ports(&[next().await]), [4]);
}

/// Of a thousand some follow, the others are told, and others are answered.
#[tokio::test]
async fn places_for_followers_are_bounded_and_leave_room() {
    let directory = tempfile::tempdir().unwrap();
    let (_hub, path) = (serving(directory.path()).await, directory.path().join("status.sock"));
    let mut following = Vec::new();
    let mut refused = 0;
    for _ in 0..1000 {
        match stream(&path, "/flows/follow").await {
            Ok(stream) => following.push(stream),
            Err(ClientError::Refused(why)) => refused += usize::from(why.starts_with("32 follow already")),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((following.len(), refused), (FOLLOWERS, 1000 - FOLLOWERS));
    for _ in 0..200 {
        stream(&path, "/status").await.unwrap();
    }
    for stream in &mut following {
        assert!(matches!(stream.next().await, Ok(Some(Message::Begin(_)))), "nobody was pushed out");
    }
    following.pop();
    while stream(&path, "/flows/follow").await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// The publisher never waits.
#[tokio::test]
async fn who_does_not_read_misses_some_and_hears_how_many() {
    const ALL: u64 = 20_000;
    let directory = tempfile::tempdir().unwrap();
    let (hub, path) = (serving(directory.path()).await, directory.path().join("status.sock"));
    let mut stream = stream(&path, "/flows/follow").await.unwrap();
    assert!(matches!(stream.next().await, Ok(Some(Message::Begin(_)))));
    assert!(matches!(stream.next().await, Ok(Some(Message::Now))));
    for n in 0..ALL {
        hub.publish(Record { packets: n, ..record() });
    }
    let (mut heard, mut missed) = (0, 0);
    while heard + missed < ALL {
        match stream.next().await.unwrap().unwrap() {
            Message::Record(_) => heard += 1,
            Message::Missed { node, records } => missed += u64::from(node == "worker-1") * records,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(heard + missed, ALL);
    assert!(missed > 0);
}

#[tokio::test(start_paused = true)]
async fn who_hears_nothing_is_told_that_the_agent_is_there() {
    let hub = Hub::new("worker-1");
    let (.., follower) = hub.follow(Wanted::default());
    let mut coming = Box::pin(coming("worker-1".to_owned(), follower));
    assert_eq!(coming.next().await.as_deref(), Some("{\"kind\":\"alive\"}\n"));
    drop(hub);
    assert_eq!(coming.next().await, None);
}

/// A socket that takes nothing more: the connection ends.
#[tokio::test]
async fn a_connection_that_is_not_read_from_is_prolonged_only_while_it_is() {
    let patience = Patience::new(Duration::ZERO);
    let shared = Shared { hub: Arc::new(Hub::new("worker-1")), places: Arc::new(Semaphore::new(1)) };
    let response = follow(Extract(shared.clone()), Extension(patience.clone()), RawQuery(None)).await.unwrap();
    assert!(!patience.stays(), "it has not asked for a line yet");
    let mut body = response.into_body().into_data_stream();
    body.next().await.unwrap().unwrap();
    assert!(patience.stays());
    let full = follow(Extract(shared.clone()), Extension(patience.clone()), RawQuery(None)).await;
    assert_eq!(full.unwrap_err(), Refusal::Full);
    drop(body);
    assert_eq!(shared.places.available_permits(), 1, "who leaves gives his place back");
}
