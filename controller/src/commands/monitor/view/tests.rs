use clap::Parser;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::sleep;

use super::*;
use crate::cli::{Cli, Command, Output};
use crate::flows::Hub;
use crate::flows::tests::record;

fn plan(arguments: &str) -> Plan {
    let arguments = ["palisade", "monitor"].into_iter().chain(arguments.split_whitespace());
    match Cli::try_parse_from(arguments).unwrap().command {
        Command::Monitor(args) => Plan::of(&args),
        other => panic!("{other:?}"),
    }
}

/// What is printed and said of two feeds that tell this.
async fn shown(
    arguments: &str,
    tell: impl AsyncFnOnce(Sender<(FeedId, Event)>),
) -> (String, String, anyhow::Result<Heard>) {
    let (printer, results, notices) = Printer::into_memory(Output::Text);
    let view = View::of_many(plan(arguments), printer, [0, 1]);
    let (events, receiver) = mpsc::channel(100);
    let (heard, ()) = tokio::join!(view.show(receiver), tell(events));
    (results.text(), notices.text(), heard)
}

fn header(hub: &Hub) -> Header {
    hub.summary(false).0
}

fn begin(node: &str) -> Event {
    Event::Message(Message::Begin(header(&Hub::new(node))))
}

fn silent(node: &str) -> Event {
    Event::Message(Message::Silent { node: node.to_owned(), error: "no".to_owned() })
}

fn at(second: i64) -> Event {
    let time = Timestamp::from_second(second).unwrap();
    Event::Message(Message::Record(Arc::new(Record { time, ..record() })))
}

fn seconds(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split_once("  ")?.0.rsplit(':').next()).collect()
}

const NOW: Event = Event::Message(Message::Now);

#[tokio::test(start_paused = true)]
async fn what_was_waits_for_the_slowest_and_what_comes_waits_for_that() {
    let (text, ..) = shown("--last 3 -f", async |events| {
        let told = [(0, begin("a")), (0, at(2)), (0, at(5)), (0, NOW), (0, at(7)), (1, begin("b")), (1, at(1))];
        for event in told {
            events.send(event).await.unwrap();
        }
        sleep(Duration::from_secs(5)).await;
        for event in [(1, at(4)), (1, NOW), (0, at(9)), (1, at(8))] {
            events.send(event).await.unwrap();
        }
    })
    .await;
    assert_eq!(seconds(&text), ["02", "04", "05", "07", "08", "09"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_says_nothing_is_not_waited_for_long() {
    let (text, ..) = shown("--last 3 -f", async |events| {
        for event in [(0, begin("a")), (0, at(2)), (0, NOW), (0, at(9))] {
            events.send(event).await.unwrap();
        }
        sleep(GATHERING + WINDOW).await;
        events.send((1, at(1))).await.unwrap();
    })
    .await;
    assert_eq!(seconds(&text), ["02", "09", "01"]);
}

#[tokio::test]
async fn a_node_that_is_silent_is_named_once_until_it_is_back() {
    let (_, says, heard) = shown("", async |events| {
        let told = [(0, silent("a")), (0, silent("a")), (1, silent("b")), (0, begin("a")), (0, silent("a"))];
        for event in told {
            events.send(event).await.unwrap();
        }
    })
    .await;
    let notes: Vec<&str> = says.lines().filter_map(|line| line.split_once("heard")).map(|(begin, _)| begin).collect();
    assert_eq!(notes, ["note: a is not ", "note: b is not ", "note: a is ", "note: a is not "], "{says}");
    let heard = heard.unwrap();
    assert_eq!(heard, Heard { nodes: 1, silent: vec!["a".to_owned(), "b".to_owned()] });
    assert!(heard.expect_all().unwrap_err().to_string().ends_with("these were not: a, b"));
}

#[tokio::test]
async fn what_an_agent_cannot_know_is_said() {
    let hub = Hub::new("a");
    hub.set_figures(Figures { suppressed: 3, lost: 4, ..Default::default() });
    let header = || Event::Message(Message::Begin(header(&hub)));
    let (_, says, _) = shown("--since 1h", async |events| events.send((0, header())).await.unwrap()).await;
    assert!(says.starts_with("note: a: its agent began to look at "), "{says}");
    assert!(says.contains("of 7 dropped packets nothing is told"), "{says}");
    let (_, says, _) = shown("", async |events| events.send((0, header())).await.unwrap()).await;
    assert_eq!(says, "", "who follows does not ask for it");
}

#[tokio::test]
async fn who_asks_for_what_was_allowed_hears_where_that_is_not_told() {
    let hub = Hub::new("a");
    let says = async |arguments| {
        shown(arguments, async |events| {
            events.send((0, Event::Message(Message::Begin(header(&hub))))).await.unwrap();
        })
        .await
        .1
    };
    assert_eq!(
        says("--allowed").await,
        "note: a: its agent tells nothing of what is allowed: it runs without --flows\n"
    );
    assert_eq!(says("").await, "");
    hub.set_allowed_figures(Figures { suppressed: 3, lost: 4, ..Default::default() });
    assert_eq!(says("--allowed").await, "", "who follows does not ask for what was");
    let past = says("--allowed --last 5").await;
    assert!(past.contains("of 7 beginnings and ends of connections nothing is told"), "{past}");
    assert!(!says("--last 5").await.contains("connections"));
}

#[tokio::test]
async fn an_error_that_ends_all_is_its_error() {
    let ended = |error| (0, Event::Ended(error));
    let (.., heard) = shown("", async |events| {
        events.send(ended(Ok(()))).await.unwrap();
        events.send(ended(Err(anyhow::anyhow!("no agent")))).await.unwrap();
    })
    .await;
    assert_eq!(heard.unwrap_err().to_string(), "no agent");
}
