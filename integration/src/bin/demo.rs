//! A small shop, policies applied one after the other, and who reaches whom by real packets: `integration/demo.sh`.

use std::error::Error;
use std::io::{self, IsTerminal};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use palisade_integration::agent;
use palisade_integration::cases::{Action, Expectation, Stage};
use palisade_integration::probe::{Family, Kind, Patience};
use serde_json::Value;

const CLUSTER: &str = include_str!("../../demo/cluster.json");

/// One file of policies a step.
const STEPS: [&str; 5] = [
    include_str!("../../demo/1-deny-all.yaml"),
    include_str!("../../demo/2-frontend.yaml"),
    include_str!("../../demo/3-frontend-to-api.yaml"),
    include_str!("../../demo/4-api-to-db.yaml"),
    include_str!("../../demo/5-api-to-bank.yaml"),
];

const SOURCES: [&str; 5] = ["shop/frontend", "shop/api", "shop/db", "blog/attacker", "ext/bank"];

const SERVICES: [(&str, u16); 5] =
    [("shop/frontend", 80), ("shop/api", 8080), ("shop/db", 5432), ("ext/bank", 443), ("ext/tracker", 443)];

/// Of nft's lines: what a terminal of 100 columns leaves them.
const WIDTH: usize = 98;

const PATIENCE: Patience =
    Patience { answers: Duration::from_millis(700), silence: Duration::from_millis(250), stops_at_surprise: false };

fn main() -> ExitCode {
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let program = agent::binary()?;
    let mut stage = Stage::set(&serde_json::from_str(CLUSTER)?, 1, &program)?;
    let style = Style { colours: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() };

    style.title("No policy: everyone reaches everyone");
    let mut before = matrix(&mut stage)?;
    style.print(&before, &before);
    println!("\nA * will mark what a step has changed. A pod always reaches itself.");

    for (text, step) in STEPS.iter().zip(1..) {
        let (comment, policies) = text.split_once('\n').ok_or("a step begins with a comment")?;
        style.title(&format!("Step {step}. {}", comment.trim_start_matches("# ")));
        println!("{}\n", style.dim(policies.trim_end()));
        for object in serde_saphyr::from_multiple::<Value>(policies)? {
            stage.apply(&Action::CreatePolicy { object })?;
        }
        let after = matrix(&mut stage)?;
        style.print(&before, &after);
        before = after;
    }

    style.title("Why does the attacker not reach the database? It is labelled app=api, as the api is");
    let node = &stage.network().nodes()[0];
    let manifests = stage.manifests().display();
    let question = ["explain", "--from", "blog/attacker", "--to", "shop/db", "--port", "5432", "--manifests"];
    println!("$ palisade {} DIR", question.join(" "));
    print!("{}", output(Command::new(&program).args(question).arg(stage.manifests()), &stage)?);

    style.title("What the agent saw it drop, and what came nearest to allowing it");
    let question = ["monitor", "--last", "3", "--pod", "shop/db", "--peer", "blog"];
    println!("$ palisade {}", question.join(" "));
    let mut monitor = Command::new(&program);
    monitor.args(question).arg("--status-socket").arg(stage.status_socket(node));
    print!("{}", output(&mut monitor, &stage)?);

    style.title(&format!("What the kernel of {} holds: nft list ruleset", node.name()));
    let ruleset = output(Command::new("nft").args(["list", "ruleset"]), &stage)?;
    println!("{}", style.dim(&ruleset.lines().map(fit).collect::<Vec<_>>().join("\n")));
    println!("\nDone in {:.1} s; the namespaces and {manifests} are gone.", start.elapsed().as_secs_f32());
    Ok(())
}

/// Which source is answered by which service.
fn matrix(stage: &mut Stage) -> Result<Vec<Vec<bool>>, Box<dyn Error>> {
    let ask = |from: &str, to: &str, port| Expectation {
        from: from.to_owned(),
        to: to.to_owned(),
        kind: Kind::Tcp(port),
        family: Family::Ipv4,
        allowed: true,
    };
    let questions: Vec<_> =
        SOURCES.iter().flat_map(|from| SERVICES.iter().map(move |(to, port)| ask(from, to, *port))).collect();
    let answered = stage.probe(&questions, PATIENCE)?;
    Ok(answered.chunks(SERVICES.len()).map(<[bool]>::to_vec).collect())
}

/// What a command prints in the namespace of the node.
fn output(command: &mut Command, stage: &Stage) -> Result<String, Box<dyn Error>> {
    let output = stage.network().nodes()[0].namespace().run(command, "")?;
    Ok(String::from_utf8(output.stdout)?)
}

/// How the terminal is written to.
struct Style {
    colours: bool,
}

impl Style {
    fn title(&self, text: &str) {
        println!("\n{}", self.paint("1", &format!("== {text}")));
    }

    /// The matrix; a `*` marks what the last step changed.
    fn print(&self, before: &[Vec<bool>], after: &[Vec<bool>]) {
        let header = SERVICES.map(|(name, port)| format!("{:>16}", format!("{}:{port}", short(name)))).concat();
        println!("{:<16}{header}", "from \\ to");
        for ((source, was), is) in SOURCES.iter().zip(before).zip(after) {
            let cells = was.iter().zip(is).map(|(was, is)| self.cell(*was, *is)).collect::<String>();
            println!("{source:<16}{cells}");
        }
    }

    fn cell(&self, was: bool, is: bool) -> String {
        let text = format!("{:>15}{}", if is { "yes" } else { "-" }, if was == is { " " } else { "*" });
        self.paint(if is { "32" } else { "31" }, &text)
    }

    fn dim(&self, text: &str) -> String {
        text.lines().map(|line| self.paint("2", &format!("  {line}"))).collect::<Vec<_>>().join("\n")
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A line of nft's, broken where it is longer than a terminal is wide.
fn fit(line: &str) -> String {
    let mut rest = line.replace('\t', "  ");
    let indent = " ".repeat(rest.len() - rest.trim_start().len() + 4);
    let mut fitting = String::new();
    while rest.len() > WIDTH {
        let head = rest.get(..WIDTH).unwrap_or_default();
        let Some(end) = head.rfind(", ").map(|comma| comma + 1).or(head.rfind(' ')) else { break };
        if head[..end].trim().is_empty() {
            break;
        }
        fitting.push_str(&head[..end]);
        fitting.push('\n');
        rest = format!("{indent}{}", &rest[end + 1..]);
    }
    fitting + &rest
}

fn short(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, name)| name)
}
