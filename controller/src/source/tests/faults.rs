//! What happens when the API server fails: nothing, until it is back.

use super::fake::{Answer, Api, Step, complete, event, page, status};
use super::*;

/// Between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

fn listed(names: &[&str], version: &str) -> Vec<Step> {
    let objects = names.iter().map(|name| event("ADDED", &pod(name, 1)));
    objects.chain([Step::Line(complete(version))]).collect()
}

/// A list of `names` as of `version`, then `steps`.
fn stream(names: &[&str], version: &str, steps: impl IntoIterator<Item = Step>) -> Answer {
    Answer::Stream(listed(names, version).into_iter().chain(steps).collect())
}

fn versions(api: &Api) -> Vec<String> {
    api.asked("pods").iter().map(|asked| asked.query["resourceVersion"].clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_cut_watch_goes_on_where_it_was() {
    let api = Api::default();
    let bookmark = json!({"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "12"}}});
    api.script(
        "pods",
        [
            stream(&["a"], "7", [event("ADDED", &pod("b", 9)), Step::Cut]),
            Answer::Stream(vec![event("ADDED", &pod("c", 11)), Step::Text("{\"type\":\"ADDED\",\"obj"), Step::Cut]),
            Answer::Stream(vec![Step::Line(bookmark), Step::Pause(SOON), Step::Cut]),
            Answer::Stream(vec![event("DELETED", &pod("a", 13)), Step::Hold]),
        ],
    );
    let mut source = Source::start(&api);
    assert_eq!(source.within(RETRY).await, "+shop/a +shop/b +shop/c -shop/a synced");
    assert_eq!(versions(&api), ["", "9", "11", "12"]);
    let state = &source.health.watches()[0].1;
    assert!(state.connected);
    assert_eq!((state.lists, state.errors, &state.last_error), (1, 3, &None));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_in_time_is_no_error() {
    let api = Api::default();
    let its_time = Step::Pause(Duration::from_secs(180));
    api.script("pods", [stream(&[], "7", [its_time]), Answer::Stream(vec![Step::Hold])]);
    let mut source = Source::start(&api);
    source.within(Duration::from_secs(181)).await;
    assert_eq!(versions(&api), ["", "7"]);
    assert_eq!(source.health.watches()[0].1.errors, 0);
}

#[tokio::test(start_paused = true)]
async fn an_expired_version_is_listed_again() {
    let in_the_stream = Answer::Stream(vec![Step::Line(json!({"type": "ERROR", "object": status(410)}))]);
    for gone in [Answer::Status(410), in_the_stream] {
        let api = Api::default();
        api.script(
            "pods",
            [
                stream(&["a", "b"], "7", [Step::Cut]),
                gone,
                Answer::Stream([vec![event("ADDED", &pod("c", 1)), Step::Pause(RETRY)], listed(&["b"], "20")].concat()),
                Answer::Stream(vec![Step::Hold]),
            ],
        );
        let mut source = Source::start(&api);
        assert_eq!(source.within(RETRY).await, "+shop/a +shop/b +shop/c synced");
        assert_eq!(source.within(2 * RETRY).await, "+shop/b -shop/a");
        assert_eq!(versions(&api)[..3], ["", "7", ""]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_cut_withdraws_nothing() {
    let api = Api::default();
    api.script(
        "pods",
        [
            stream(&["a", "b"], "7", [Step::Cut]),
            Answer::Status(410),
            Answer::Stream(vec![event("ADDED", &pod("a", 3)), Step::Cut]),
            Answer::Stream(vec![event("ADDED", &pod("a", 3))]),
            stream(&["a"], "20", [Step::Hold]),
        ],
    );
    let mut source = Source::start(&api);
    assert_eq!(source.within(4 * RETRY).await, "+shop/a +shop/b +shop/a +shop/a +shop/a -shop/b synced");
}

#[tokio::test(start_paused = true)]
async fn so_does_one_whose_pages_expire() {
    let api = Api::default();
    let all = page(&[pod("a", 3), pod("b", 4)], "7", "");
    let cut = Answer::Stream(vec![Step::Cut]);
    api.script("pods", [Answer::Status(422), all, cut, Answer::Status(410)]);
    api.script("pods", [page(&[pod("a", 3)], "7", "more"), Answer::Status(410), page(&[pod("a", 3)], "30", "")]);
    let mut source = Source::start(&api);
    assert_eq!(source.within(4 * RETRY).await, "+shop/a +shop/b +shop/a +shop/a -shop/b synced");
}

#[tokio::test(start_paused = true)]
async fn an_hour_away_changes_nothing() {
    let api = Api::default();
    api.script("pods", [stream(&["a"], "7", [Step::Pause(RETRY), Step::Cut])]).otherwise("pods", Answer::Refused);
    let mut source = Source::start(&api);
    assert_eq!(source.within(SOON).await, "+shop/a synced");
    assert_eq!(source.within(Duration::from_secs(3600)).await, "");
    let asked = api.asked("pods").len();
    assert!((360..720).contains(&asked), "{asked} requests in an hour");
    let state = source.health.watches()[0].1.clone();
    assert!(state.synced && !state.connected);
    assert!(state.last_error.unwrap().contains("connection refused"));

    api.otherwise("pods", Answer::Stream(vec![event("DELETED", &pod("a", 8)), Step::Hold]));
    assert_eq!(source.within(LONGEST_PAUSE).await, "-shop/a");
    assert_eq!(versions(&api).last().unwrap(), "7");
}

#[tokio::test(start_paused = true)]
async fn after_an_hour_away_a_list_is_soon_there() {
    let api = Api::default();
    api.script("pods", [stream(&["a"], "7", [Step::Pause(RETRY), Step::Cut])]).otherwise("pods", Answer::Refused);
    let mut source = Source::start(&api);
    source.within(Duration::from_secs(3600)).await;
    api.script("pods", [Answer::Status(410), stream(&["b"], "900", [Step::Hold])]);
    assert_eq!(source.within(LONGEST_PAUSE + Duration::from_secs(1)).await, "+shop/b -shop/a");
}

#[tokio::test(start_paused = true)]
async fn rights_that_are_taken_away_change_nothing() {
    for code in [401, 403] {
        let api = Api::default();
        api.script("pods", [stream(&["a"], "7", [Step::Cut]), Answer::Status(code), Answer::Status(code)]);
        api.otherwise("pods", Answer::Stream(vec![event("ADDED", &pod("b", 8)), Step::Hold]));
        let mut source = Source::start(&api);
        assert_eq!(source.within(4 * RETRY).await, "+shop/a +shop/b synced");
        assert_eq!(versions(&api), ["", "7", "7", "7"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_asked_again() {
    let api = Api::default();
    api.script("pods", [Answer::Nothing, stream(&["a"], "7", [Step::Hold])]);
    let mut source = Source::start(&api);
    assert_eq!(source.within(Duration::from_secs(100)).await, "+shop/a synced");
}

#[tokio::test(start_paused = true)]
async fn a_dead_connection_is_noticed() {
    let api = Api::default();
    let after = Answer::Stream(vec![event("ADDED", &pod("b", 8)), Step::Hold]);
    api.script("pods", [stream(&["a"], "7", [Step::Hold]), after]);
    let mut source = Source::start(&api);
    assert_eq!(source.within(SOON).await, "+shop/a synced");
    assert_eq!(source.within(Duration::from_secs(296)).await, "+shop/b");
    assert_eq!(versions(&api)[..2], ["", "7"]);
}

/// Its data were put back to an older state: it waits for a version that it has not reached again.
#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_at_all_is_asked_for_a_list() {
    let silence = |seconds| Answer::Stream(vec![Step::Pause(Duration::from_secs(seconds))]);
    for silent in [vec![Answer::Stream(vec![Step::Hold])], vec![silence(100), silence(100)]] {
        let api = Api::default();
        let watches = silent.len();
        api.script("pods", [stream(&["a"], "900", [Step::Cut])]).script("pods", silent);
        api.script("pods", [stream(&["b"], "20", [Step::Hold])]);
        let mut source = Source::start(&api);
        assert_eq!(source.within(RETRY).await, "+shop/a synced");
        assert_eq!(source.within(Duration::from_secs(300)).await, "+shop/b -shop/a");
        let expected = [vec![""], vec!["900"; watches], vec![""]].concat();
        assert_eq!(versions(&api)[..watches + 2], expected);
    }
}

/// It has bookmarks; an hour away is none of the server's silence.
#[tokio::test(start_paused = true)]
async fn a_server_that_has_nothing_to_say_is_not_asked_again() {
    let bookmark = json!({"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "12"}}});
    let api = Api::default();
    api.script("pods", [stream(&["a"], "7", [Step::Pause(RETRY), Step::Cut])]).otherwise("pods", Answer::Refused);
    let mut source = Source::start(&api);
    source.within(Duration::from_secs(3600)).await;
    api.otherwise("pods", Answer::Stream(vec![Step::Pause(Duration::from_secs(170)), Step::Line(bookmark)]));
    assert_eq!(source.within(Duration::from_secs(3600)).await, "");
    assert_eq!(source.health.watches()[0].1.lists, 1);
}

#[tokio::test(start_paused = true)]
async fn before_everything_is_known_no_pause_is_long() {
    let api = Api::default();
    let resources = ["pods", "namespaces", "networkpolicies"];
    for resource in resources {
        api.otherwise(resource, Answer::Refused);
    }
    let mut source = Source::start(&api);
    assert_eq!(source.within(Duration::from_secs(600)).await, "");
    let asked = api.asked("pods").len();
    assert!((400..1200).contains(&asked), "{asked} requests in ten minutes");
    for resource in resources {
        api.otherwise(resource, stream(&[], "7", [Step::Hold]));
    }
    assert_eq!(source.within(Duration::from_millis(1600)).await, "synced");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_there_is_noticed_and_so_is_that_it_came() {
    let logged = Logged::default();
    let _logging = tracing::subscriber::set_default(logged.subscriber());
    let api = Api::default();
    api.otherwise("n1", Answer::Status(404));
    let mut source = Source::start(&api);
    assert_eq!(source.within(Duration::from_secs(60)).await, "synced");
    assert!(source.health.no_such_node());
    assert_eq!(logged.text().matches("no such Node").count(), 1, "{}", logged.text());
    let metadata = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "n1"}});
    api.otherwise("n1", Answer::Json(metadata));
    source.within(Duration::from_secs(20)).await;
    assert!(!source.health.no_such_node());
    let asked = api.asked("n1").len();
    source.within(Duration::from_secs(3600)).await;
    assert_eq!(api.asked("n1").len(), asked, "it is asked no more");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_pods_are_on_is_none_that_is_not_there() {
    let api = Api::default();
    api.otherwise("n1", Answer::Status(404));
    let mut here = pod("a", 3);
    here["spec"] = json!({"nodeName": "n1"});
    let later = [event("ADDED", &pod("b", 3)), Step::Line(complete("7")), Step::Pause(2 * RETRY)];
    api.script("pods", [Answer::Stream(later.into_iter().chain([event("ADDED", &here), Step::Hold]).collect())]);
    let mut source = Source::start(&api);
    assert_eq!(source.within(RETRY).await, "+shop/b synced");
    assert!(source.health.no_such_node());
    assert_eq!(source.within(6 * RETRY).await, "+shop/a");
    assert!(!source.health.no_such_node());
}

#[tokio::test(start_paused = true)]
async fn who_may_not_ask_for_nodes_takes_his_to_be_there() {
    let api = Api::default();
    api.otherwise("n1", Answer::Status(403));
    let mut source = Source::start(&api);
    assert_eq!(source.within(Duration::from_secs(60)).await, "synced");
    assert!(!source.health.no_such_node());
}

#[tokio::test(start_paused = true)]
async fn a_slow_list_is_waited_for() {
    let api = Api::default();
    let slowly = (0..20).flat_map(|i| [event("ADDED", &pod(&i.to_string(), 1)), Step::Pause(Duration::from_secs(10))]);
    api.script("pods", [Answer::Stream(slowly.chain([Step::Line(complete("7")), Step::Hold]).collect())]);
    let mut source = Source::start(&api);
    let seen = source.within(Duration::from_secs(199)).await;
    assert!(seen.ends_with("+shop/19"), "{seen}");
    assert_eq!(source.within(Duration::from_secs(2)).await, "synced");
    assert_eq!(api.asked("pods").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn garbage_is_survived() {
    let api = Api::default();
    let lines = vec![Step::Text("<html>\n"), event("ADDED", &pod("b", 9)), Step::Hold];
    api.script("pods", [stream(&["a"], "7", [Step::Cut]), Answer::Stream(lines)]);
    api.otherwise("pods", Answer::Stream(vec![event("ADDED", &pod("b", 9)), Step::Hold]));
    let mut source = Source::start(&api);
    assert_eq!(source.within(2 * RETRY).await, "+shop/a +shop/b synced");
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_nobody_listens() {
    let api = Api::default();
    api.script("pods", [stream(&["a"], "7", [Step::Pause(RETRY), event("ADDED", &pod("b", 9)), Step::Hold])]);
    let Source { inputs, task, .. } = Source::start(&api);
    sleep(SOON).await;
    drop(inputs);
    tokio::time::timeout(2 * RETRY, task).await.unwrap().unwrap();
}
