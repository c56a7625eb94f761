//! Two thousand workloads: folded by namespace, and each still found.

use std::collections::BTreeSet;

use thirtyfour::Key;

use crate::browser::Browser;
use crate::page::Page;
use crate::scenes::{EACH, NAMESPACES, Scene};
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("they_are_folded_by_namespace", they_are_folded_by_namespace),
    ("a_folded_namespace_says_what_is_in_it", a_folded_namespace_says_what_is_in_it),
    ("enter_unfolds_and_backspace_folds", enter_unfolds_and_backspace_folds),
    ("a_click_unfolds", a_click_unfolds),
    ("few_that_are_found_are_not_folded", few_that_are_found_are_not_folded),
    ("the_tables_come_by_and_by", the_tables_come_by_and_by),
    ("ways_between_folded_namespaces_are_one_arrow", ways_between_folded_namespaces_are_one_arrow),
];

fn folded(number: usize) -> String {
    format!("namespace team-{number}")
}

fn they_are_folded_by_namespace(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Many);
    assert_eq!(page.workloads().len(), NAMESPACES * EACH);
    assert_eq!(page.nodes(), (0..NAMESPACES).map(folded).collect());
    Ok(())
}

fn a_folded_namespace_says_what_is_in_it(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Many);
    let node: String =
        page.ask("return document.querySelector('#picture [data-key=\"nteam-7\"]').getAttribute('aria-label')");
    assert_eq!(node, "namespace team-7, 40 workloads, 40 open in some direction, folded; Enter unfolds");
    let expanded: String =
        page.ask("return document.querySelector('#picture [data-key=\"nteam-7\"]').getAttribute('aria-expanded')");
    assert_eq!(expanded, "false");
    Ok(())
}

fn enter_unfolds_and_backspace_folds(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Many);
    page.ask::<Option<String>>("document.querySelector('#picture [data-key=\"nteam-7\"]').focus()");
    page.press(Key::Enter);
    let unfolded = page.nodes();
    assert_eq!(unfolded.len(), NAMESPACES - 1 + EACH);
    assert!(unfolded.contains("team-7/app-39") && !unfolded.contains(&folded(7)));
    assert!(page.focused().starts_with("team-7/app-"), "the focus is on {}", page.focused());
    page.press(Key::Backspace);
    assert_eq!(page.nodes().len(), NAMESPACES);
    assert_eq!(page.focused(), folded(7));
    Ok(())
}

fn a_click_unfolds(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Many);
    page.click("#picture [data-key=\"nteam-3\"]");
    page.click_on("team-3/app-0");
    let told = page.text("#details");
    assert!(told.starts_with("team-3/app-0") && told.contains("team-2/app-0 at TCP 443"), "{told}");
    Ok(())
}

fn few_that_are_found_are_not_folded(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Many);
    page.fill("#search", "team-7/app-39");
    assert_eq!(page.nodes(), BTreeSet::from(["team-7/app-0".to_owned(), "team-7/app-39".to_owned()]));
    page.press(Key::Escape);
    page.browser.wait(page.element("#search").clear());
    page.press(Key::Escape);
    page.click("#unisolated");
    page.click("#unisolated");
    assert_eq!(page.nodes().len(), NAMESPACES, "they are folded again");
    Ok(())
}

fn the_tables_come_by_and_by(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Many);
    let rows = |page: &Page| (page.rows("workloads").len(), page.rows("ways").len());
    assert_eq!(rows(&page), (300, 300));
    page.click("#more");
    assert_eq!(rows(&page), (1200, 1200));
    page.click("#more");
    assert_eq!(rows(&page), (NAMESPACES * EACH, page.list("edges").len()));
    assert!(!page.browser.wait(page.element("#more").is_displayed()));
    Ok(())
}

fn ways_between_folded_namespaces_are_one_arrow(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Many);
    let namespace = |name: &str| format!("namespace {}", name.split_once('/').unwrap().0);
    let expected: BTreeSet<_> = page.ways().iter().map(|((from, to), _)| (namespace(from), namespace(to))).collect();
    assert_eq!(page.arrows(""), expected);
    assert_eq!(page.ask::<usize>("return document.querySelectorAll('#picture path.way').length"), expected.len());
    Ok(())
}
