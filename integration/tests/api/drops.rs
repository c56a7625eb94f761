use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use palisade_integration::patience::LIMIT;

use super::scene::Scene;
use super::{Context, Outcome};

type Test = fn(&Context) -> Outcome;

/// Who is refused finds out why.
pub(crate) const TESTS: &[(&str, Test)] = &[("a-refused-pod-finds-its-line", refused)];

const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// `web` lets `friend` in: of a stranger it is told that it is none.
fn refused(context: &Context) -> Outcome {
    let mut scene = Scene::new(context, 1)?;
    scene.run_pods(&["web", "friend", "stranger"])?;
    scene.expect(&[("friend", "web", true), ("stranger", "web", false)])?;
    let socket = scene.site.kubeconfig.path().with_file_name("node-0.sock");
    let started = Instant::now();
    loop {
        let mut monitor = Command::new(&context.program);
        monitor.args(["monitor", "-o", "json", "--since", "1h", "--status-socket"]).arg(&socket);
        let output = scene.site.network.nodes()[0].namespace().run(&mut monitor, "")?;
        let lines = String::from_utf8(output.stdout)?;
        let records = lines.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
        let is_it = |record: &&Value| record["peer"]["pod"]["name"] == "stranger" && record["pod"]["name"] == "web";
        if let Some(record) = records.iter().find(is_it) {
            assert_eq!((&record["verdict"], &record["direction"]), (&"dropped".into(), &"ingress".into()), "{record}");
            let nearest = record["nearest"]["text"].as_str().unwrap_or_default();
            assert!(nearest.contains("stranger"), "{record}");
            return Ok(());
        }
        if started.elapsed() > LIMIT {
            return Err(format!("not told: {lines}\n{}", scene.logs()).into());
        }
        sleep(POLL_INTERVAL);
    }
}
