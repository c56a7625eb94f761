//! The page of `palisade map` in a real browser: Debian's chromium, without a screen, through its WebDriver.
//!
//! - `structure::NAME`: what is on the page is what `-o json` says.
//! - `finding::NAME`: search and filters.
//! - `used::NAME`: which ways are used, where flows tell of it.
//! - `why::NAME`: what a click tells.
//! - `keyboard::NAME`: the same without a mouse.
//! - `reading::NAME`: what a screen reader is told, and what eyes can tell apart.
//! - `many::NAME`: two thousand workloads.
//! - `quiet::NAME`: the page asks nobody anything.
//!
//! Nothing is compared by pixels. All tests share one browser, in a network namespace of its own, one after the other, each
//! with a page of its own. `integration/setup-browser.sh` provides chromium and chromedriver (or `CHROMIUM` and
//! `CHROMEDRIVER` name them); `PALISADE_BIN` names another binary than the one that was built beside these tests.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

mod browser;
mod client;
mod finding;
mod keyboard;
mod many;
mod page;
mod quiet;
mod reading;
mod scenes;
mod structure;
mod used;
mod why;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use browser::Browser;
use libtest_mimic::{Arguments, Trial};
use palisade_integration::netns::Namespace;

/// How a test ends.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// A test: it has the browser for itself.
pub(crate) type Test = (&'static str, fn(&Browser) -> Outcome);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // In turn, on this thread, which is the one in the namespace.
    arguments.test_threads = Some(1);
    let namespace = match Namespace::new() {
        Ok(namespace) => namespace,
        Err(error) => return failed(&error),
    };
    match namespace.enter(|| run(&arguments, &namespace)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => failed(&*error),
        Err(error) => failed(&error),
    }
}

fn run(arguments: &Arguments, namespace: &Namespace) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    if arguments.list {
        return Ok(libtest_mimic::run(arguments, trials(None)).exit_code());
    }
    let browser = Arc::new(Browser::start(namespace)?);
    Ok(libtest_mimic::run(arguments, trials(Some(&browser))).exit_code())
}

/// All tests, with the browser that they run in; without one they can only be listed.
fn trials(browser: Option<&Arc<Browser>>) -> Vec<Trial> {
    let groups = [
        ("structure", structure::TESTS),
        ("finding", finding::TESTS),
        ("used", used::TESTS),
        ("why", why::TESTS),
        ("keyboard", keyboard::TESTS),
        ("reading", reading::TESTS),
        ("many", many::TESTS),
        ("quiet", quiet::TESTS),
    ];
    let all = groups.into_iter().flat_map(|(group, tests)| tests.iter().map(move |test| (group, test)));
    all.map(|(group, &(name, test))| {
        let browser = browser.cloned();
        Trial::test(format!("{group}::{name}"), move || {
            let browser = browser.expect("tests run where there is a browser");
            test(&browser).map_err(|error| error.to_string().into())
        })
    })
    .collect()
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("browser: {error}");
    ExitCode::FAILURE
}
