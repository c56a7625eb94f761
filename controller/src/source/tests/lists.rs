//! How everything becomes known.

use super::fake::{Answer, Api, Asked, Step, complete, event, page};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_streamed_list_goes_over_into_the_watch() {
    let api = Api::default();
    let steps = [
        event("ADDED", &pod("a", 3)),
        event("ADDED", &pod("b", 5)),
        Step::Line(complete("7")),
        Step::Pause(RETRY),
        event("MODIFIED", &pod("a", 8)),
        event("DELETED", &pod("b", 9)),
        Step::Hold,
    ];
    api.script("pods", [Answer::Stream(steps.into())]);
    let mut source = Source::start(&api);
    assert_eq!(source.within(SOON).await, "+shop/a +shop/b synced");
    assert_eq!(source.within(RETRY).await, "+shop/a -shop/b");

    let asked = &api.asked("pods")[0].query;
    assert_eq!((&*asked["sendInitialEvents"], &*asked["resourceVersion"]), ("true", ""));
    assert!(asked["timeoutSeconds"].parse::<u32>().unwrap() < 295);
    let state = &source.health.watches()[0].1;
    assert!(state.synced && state.connected);
    assert_eq!((state.objects, state.lists, state.errors), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn pods_of_this_node_are_known_first() {
    let api = Api::default();
    let late = vec![
        Step::Pause(RETRY),
        event("ADDED", &pod("a", 3)),
        event("ADDED", &pod("b", 4)),
        Step::Line(complete("7")),
        Step::Hold,
    ];
    api.script("pods of a node", [page(&[pod("a", 3), pod("gone", 2)], "7", "")])
        .script("pods", [Answer::Stream(late)]);
    let mut source = Source::start(&api);
    assert_eq!(source.inputs(SOON).await, ["+shop/a +shop/gone", "known here"]);
    assert_eq!(source.within(RETRY).await, "+shop/a +shop/b -shop/gone synced");
    let asked = &api.asked("pods of a node")[0].query;
    assert_eq!((&*asked["fieldSelector"], &*asked["resourceVersion"]), ("spec.nodeName%3Dn1", "0"));
    assert_eq!(api.asked("pods of a node").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn others_do_not_wait_for_those_of_this_node() {
    let nothing = || Answer::Stream(vec![Step::Hold]);
    for (answer, wait) in [(Answer::Status(500), SOON), (Answer::Refused, SOON), (Answer::Nothing, RETRY)] {
        let api = Api::default();
        api.script("pods of a node", [answer]).script("networkpolicies", [nothing()]);
        let list = vec![event("ADDED", &pod("a", 3)), Step::Line(complete("7")), Step::Hold];
        api.script("pods", [Answer::Stream(list)]);
        let mut source = Source::start(&api);
        assert_eq!(source.inputs(wait).await, ["+shop/a"], "policies are missing");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_synced_before_everything_is() {
    let api = Api::default();
    let late = vec![Step::Pause(RETRY), Step::Line(complete("7")), Step::Hold];
    api.script("networkpolicies", [Answer::Stream(late)]);
    let mut source = Source::start(&api);
    assert_eq!(source.within(SOON).await, "");
    assert!(!source.health.synced());
    assert_eq!(source.within(RETRY).await, "synced");
    assert!(source.health.synced());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_stream_lists_is_asked_for_pages() {
    for refusal in [400, 422] {
        let api = Api::default();
        let pages = [page(&[pod("a", 3)], "7", "more"), page(&[pod("b", 5)], "7", "")];
        let watch = vec![event("ADDED", &pod("c", 8)), Step::Hold];
        api.script("pods", [Answer::Status(refusal)]).script("pods", pages).script("pods", [Answer::Stream(watch)]);
        let mut source = Source::start(&api);
        assert_eq!(source.within(RETRY).await, "+shop/a +shop/b +shop/c synced");
        let asked = api.asked("pods");
        assert_eq!((&*asked[1].query["limit"], asked[1].query.get("continue")), ("500", None));
        assert_eq!(asked[2].query["continue"], "more");
        assert_eq!((&*asked[3].query["resourceVersion"], asked[3].query.get("sendInitialEvents")), ("7", None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_could_not_stream_is_asked_again_after_a_while() {
    let api = Api::default();
    let time = Duration::from_secs(160);
    let bookmark = json!({"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "10"}}});
    let watch = || Answer::Stream(vec![Step::Line(bookmark.clone()), Step::Pause(time), Step::Cut]);
    api.script("pods", [Answer::Status(500), page(&[pod("a", 3)], "7", ""), watch(), Answer::Status(410)]);
    api.script("pods", [page(&[pod("b", 9)], "10", ""), watch(), watch(), watch(), Answer::Status(410)]);
    api.script("pods", [Answer::Stream(vec![event("ADDED", &pod("c", 11)), Step::Line(complete("12")), Step::Hold])]);
    let mut source = Source::start(&api);
    assert_eq!(source.within(4 * time + 2 * RETRY).await, "+shop/a +shop/b -shop/a +shop/c -shop/b synced");
    let streamed = |asked: &Asked| asked.query.contains_key("sendInitialEvents");
    let asked: Vec<bool> = api.asked("pods").iter().map(streamed).collect();
    assert_eq!(asked.iter().filter(|streamed| **streamed).count(), 2);
    assert!(asked[0] && asked[9], "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn so_is_one_that_never_says_that_the_list_is_complete() {
    let api = Api::default();
    let endless = Answer::Stream(vec![event("ADDED", &pod("a", 3)), Step::Hold]);
    api.script("pods", [endless, page(&[pod("a", 3)], "7", "")]);
    let mut source = Source::start(&api);
    assert_eq!(source.within(Duration::from_secs(120)).await, "+shop/a +shop/a synced");
}

#[tokio::test(start_paused = true)]
async fn what_comes_together_is_sent_together() {
    let api = Api::default();
    let lines = |range: std::ops::Range<u32>| range.map(|i| event("ADDED", &pod(&i.to_string(), i)));
    let text: String =
        lines(1..200).map(|step| if let Step::Line(line) = step { format!("{line}\n") } else { panic!() }).collect();
    let steps = vec![Step::Line(complete("1")), Step::Pause(RETRY), Step::Text(text.leak()), Step::Hold];
    api.script("pods", [Answer::Stream(steps)]);
    let mut source = Source::start(&api);
    assert_eq!(source.within(SOON).await, "synced");
    let inputs = source.inputs(RETRY).await;
    assert_eq!(inputs.len(), 1, "{} inputs", inputs.len());
    assert_eq!(inputs[0].split(' ').count(), 199);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_decoded_is_left_out_alone() {
    let api = Api::default();
    let mut bad = pod("bad", 4);
    bad["status"] = json!({"podIPs": "10.0.0.1"});
    let steps = [
        event("ADDED", &pod("a", 3)),
        event("ADDED", &bad),
        event("ADDED", &json!(5)),
        Step::Line(complete("7")),
        event("MODIFIED", &bad),
        event("ADDED", &pod("b", 9)),
        Step::Hold,
    ];
    api.script("pods", [Answer::Stream(steps.into())]);
    let mut source = Source::start(&api);
    assert_eq!(source.within(RETRY).await, "+shop/a +shop/b synced");
    let state = &source.health.watches()[0].1;
    assert_eq!((state.errors, state.objects_with_problems), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_cannot_be_understood_gets_one_event() {
    let api = Api::default();
    let bad = |version: u32, generation: u32| {
        let metadata = json!({"namespace": "shop", "name": "web", "uid": "u", "generation": generation,
            "resourceVersion": version.to_string()});
        let rule = json!({"from": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]});
        json!({"metadata": metadata, "spec": {"podSelector": {}, "ingress": [rule]}})
    };
    let steps = [
        event("ADDED", &bad(1, 1)),
        Step::Line(complete("2")),
        event("MODIFIED", &bad(3, 1)),
        Step::Pause(Duration::from_secs(100)),
        event("MODIFIED", &bad(4, 2)),
        Step::Hold,
    ];
    api.script("networkpolicies", [Answer::Stream(steps.into())]);
    api.otherwise("events", Answer::Status(409));
    let mut source = Source::start(&api);
    assert_eq!(source.within(SOON).await, "+shop/web +shop/web synced");
    sleep(Duration::from_secs(99)).await;
    let events = api.asked("events");
    assert_eq!(events.len(), 1);
    let event: Value = serde_json::from_slice(&events[0].body).unwrap();
    assert_eq!((event["type"].as_str(), event["regarding"]["name"].as_str()), (Some("Warning"), Some("web")));
    assert!(event["note"].as_str().unwrap().contains("spec.ingress[0].from[0].ipBlock.cidr"), "{event}");
    sleep(Duration::from_secs(99)).await;
    assert_eq!(api.asked("events").len(), 2);
}

/// A tenant edits a policy of 792 KiB whose blocks are all wrong, ten times.
#[tokio::test(start_paused = true)]
async fn a_policy_full_of_mistakes_fills_no_disk() {
    let logged = Logged::default();
    let _logging = tracing::subscriber::set_default(logged.subscriber());
    let api = Api::default();
    let bad = |generation: usize| {
        let metadata = json!({"namespace": "shop", "name": "web", "uid": "u", "generation": generation,
            "resourceVersion": (generation + 2).to_string()});
        let peer = |n: usize| json!({"ipBlock": {"cidr": format!("10.{generation}.{n}.0/33")}});
        let peers: Vec<Value> = (0..20_000).map(peer).collect();
        json!({"metadata": metadata, "spec": {"podSelector": {}, "ingress": [{"from": peers}]}})
    };
    let edits = (1..=10).flat_map(|n| [event("MODIFIED", &bad(n)), Step::Pause(Duration::from_secs(1))]);
    let bookmark = json!({"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "20"}}});
    let after = [Step::Pause(Duration::from_secs(60)), Step::Line(bookmark), Step::Hold];
    let steps = [Step::Line(complete("2"))].into_iter().chain(edits).chain(after);
    api.script("networkpolicies", [Answer::Stream(steps.collect())]);
    api.otherwise("events", Answer::Status(409));
    let mut source = Source::start(&api);
    source.within(Duration::from_secs(170)).await;
    let text = logged.text();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("not understood")).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("generation=1 ") && lines[1].contains("generation=10 "), "{text}");
    assert!(lines.iter().all(|line| line.len() < 1024 && line.contains("; and 19997 more")), "{text}");
    assert!(text.len() < 4096, "{text}");
    let events = api.asked("events");
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.body.len() < 2048));
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_right_again_is_not_complained_about() {
    let logged = Logged::default();
    let _logging = tracing::subscriber::set_default(logged.subscriber());
    let api = Api::default();
    let policy = |version: u32, key: &str| {
        let metadata = json!({"namespace": "shop", "name": "web", "uid": "u", "generation": version,
            "resourceVersion": version.to_string()});
        json!({"metadata": metadata, "spec": {"podSelector": {"matchLabels": {key: "v"}}}})
    };
    let steps = [
        Step::Line(complete("1")),
        event("ADDED", &policy(2, "-")),
        event("MODIFIED", &policy(3, "-b")),
        event("MODIFIED", &policy(4, "b")),
        Step::Pause(Duration::from_secs(70)),
        event("MODIFIED", &policy(5, "c")),
        Step::Hold,
    ];
    api.script("networkpolicies", [Answer::Stream(steps.into())]);
    api.otherwise("events", Answer::Status(409));
    let mut source = Source::start(&api);
    source.within(Duration::from_secs(120)).await;
    let text = logged.text();
    assert_eq!(text.matches("isolates every pod of its namespace").count(), 1, "{text}");
    assert_eq!(api.asked("events").len(), 1);
    let event: Value = serde_json::from_slice(&api.asked("events")[0].body).unwrap();
    assert_eq!(event["action"], "Isolate");
}
