//! Search and filters: of picture and tables alike.

use std::collections::BTreeSet;

use thirtyfour::Key;

use crate::browser::Browser;
use crate::page::Page;
use crate::scenes::Scene;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("search_finds_a_workload_with_those_that_it_meets", search_finds_a_workload_with_those_that_it_meets),
    ("search_finds_what_a_policy_judges", search_finds_what_a_policy_judges),
    ("a_search_that_is_cleared_shows_all_again", a_search_that_is_cleared_shows_all_again),
    ("what_is_not_found_is_said", what_is_not_found_is_said),
    ("a_namespace_is_shown_with_those_that_it_meets", a_namespace_is_shown_with_those_that_it_meets),
    ("a_port_leaves_the_ways_at_it", a_port_leaves_the_ways_at_it),
    ("what_is_no_port_is_said_to_be_none", what_is_no_port_is_said_to_be_none),
    ("only_what_is_open_is_shown", only_what_is_open_is_shown),
];

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// The ends of the ways in the table.
fn ways(page: &Page) -> Vec<(String, String)> {
    page.rows("ways").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

fn search_finds_a_workload_with_those_that_it_meets(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.fill("#search", "Shop/API");
    // `api-answers` judges nobody else.
    assert_eq!(page.nodes(), names(["shop/web", "shop/api", "shop/db"]));
    assert_eq!(ways(&page).len(), 2);
    assert_eq!(page.rows("workloads").len(), 3);
    Ok(())
}

fn search_finds_what_a_policy_judges(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.fill("#search", "keep-the-lab-out");
    assert_eq!(page.nodes(), names(["vault/safe", "lab/tool"]));
    assert!(page.text("#summary").contains("1 of 5 ways"), "{}", page.text("#summary"));
    Ok(())
}

fn a_search_that_is_cleared_shows_all_again(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let all = page.nodes();
    page.fill("#search", "web");
    assert_ne!(page.nodes(), all);
    (0..3).for_each(|_| page.press(Key::Backspace));
    assert_eq!(page.nodes(), all);
    assert_eq!(page.focused(), "search");
    Ok(())
}

fn what_is_not_found_is_said(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.fill("#search", "nothing-like-it");
    assert_eq!(page.nodes(), BTreeSet::new());
    let role: Option<String> = page.ask("return document.getElementById('summary').getAttribute('role')");
    assert_eq!(role.as_deref(), Some("status"), "a screen reader does not hear what a filter leaves");
    assert!(page.text("#summary").contains("Nothing matches"), "{}", page.text("#summary"));
    Ok(())
}

fn a_namespace_is_shown_with_those_that_it_meets(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.click("#namespace option[value=vault]");
    assert_eq!(page.nodes(), names(["vault/safe", "lab/tool"]));
    page.click("#namespace option[value='']");
    assert_eq!(page.nodes().len(), 7);
    Ok(())
}

fn a_port_leaves_the_ways_at_it(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.fill("#port", "5432");
    assert_eq!(ways(&page), [("shop/api".to_owned(), "shop/db".to_owned())]);
    assert_eq!(page.nodes(), names(["shop/api", "shop/db"]));
    for (port, found) in [("udp 53", 1), ("tcp 53", 0), ("TCP/443", 1), ("udp", 1), ("tcp", 3)] {
        page.browser.wait(page.element("#port").clear());
        page.fill("#port", port);
        assert_eq!((port, ways(&page).len()), (port, found), "{:?}", ways(&page));
        assert_eq!(page.arrows("").len(), found, "{port}");
    }
    Ok(())
}

fn what_is_no_port_is_said_to_be_none(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let invalid = || page.ask::<String>("return document.getElementById('port').getAttribute('aria-invalid')");
    for wrong in ["web", "tcp 70000", "1 2"] {
        page.browser.wait(page.element("#port").clear());
        page.fill("#port", wrong);
        assert_eq!((wrong, &*invalid()), (wrong, "true"));
        assert!(page.text("#summary").contains("is no port"), "{}", page.text("#summary"));
    }
    page.browser.wait(page.element("#port").clear());
    page.fill("#port", "443");
    assert_eq!(invalid(), "false");
    Ok(())
}

fn only_what_is_open_is_shown(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.click("#unisolated");
    // And whom ways lead to from there.
    assert_eq!(page.nodes(), names(["lab/half", "lab/tool", "vault/safe"]));
    assert!(page.arrows("").iter().all(|(from, _)| from.starts_with("lab/")));
    Ok(())
}
