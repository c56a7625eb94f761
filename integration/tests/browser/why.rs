//! What a click on a workload tells.

use std::collections::BTreeSet;

use crate::browser::Browser;
use crate::page::{Page, node};
use crate::scenes::Scene;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("a_click_tells_who_reaches_it_and_by_which_rules", a_click_tells_who_reaches_it_and_by_which_rules),
    ("a_click_tells_whom_it_reaches", a_click_tells_whom_it_reaches),
    ("what_is_open_is_said_to_be", what_is_open_is_said_to_be),
    ("what_is_denied_is_said_with_the_rule", what_is_denied_is_said_with_the_rule),
    ("a_click_lets_its_ways_stand_out", a_click_lets_its_ways_stand_out),
    ("a_click_on_a_peer_goes_on_to_it", a_click_on_a_peer_goes_on_to_it),
    ("a_second_click_clears", a_second_click_clears),
    ("a_row_of_the_table_leads_to_the_picture", a_row_of_the_table_leads_to_the_picture),
];

/// The part of the details under a heading.
fn under(page: &Page, heading: &str) -> String {
    let text = page.text("#details");
    let (_, text) = text.split_once(heading).unwrap_or_else(|| panic!("no `{heading}` in {text}"));
    ["Who reaches it", "Whom it reaches"]
        .iter()
        .fold(text, |text, next| text.split(next).next().unwrap_or(text))
        .to_owned()
}

fn a_click_tells_who_reaches_it_and_by_which_rules(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.click_on("shop/api");
    let told = under(&page, "Who reaches it");
    for part in [
        "isolated by shop/api-answers, shop/deny-all",
        "Nobody but whom rules name",
        "shop/web at TCP 8080",
        "shop/web-serves spec.egress[0]",
        "shop/api-answers spec.ingress[0]",
    ] {
        assert!(told.contains(part), "no `{part}` in {told}");
    }
    assert!(!told.contains("shop/db"), "{told}");
    Ok(())
}

fn a_click_tells_whom_it_reaches(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.click_on("shop/api");
    let told = under(&page, "Whom it reaches");
    for part in ["shop/db at TCP 5432", "shop/api-answers spec.egress[0]", "shop/db-keeps spec.ingress[0]"] {
        assert!(told.contains(part), "no `{part}` in {told}");
    }
    assert!(!told.contains("shop/web at"), "{told}");
    Ok(())
}

fn what_is_open_is_said_to_be(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.click_on("lab/tool");
    assert!(under(&page, "Who reaches it").contains("ingress: open"));
    assert!(under(&page, "Whom it reaches").contains("It may reach everybody"));
    Ok(())
}

fn what_is_denied_is_said_with_the_rule(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.click_on("vault/safe");
    let told = under(&page, "Who reaches it");
    assert!(
        told.contains("lab/tool: nothing passes") && told.contains("Deny: keep-the-lab-out spec.ingress[0]"),
        "{told}"
    );
    Ok(())
}

fn a_click_lets_its_ways_stand_out(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.click_on("shop/api");
    let ends = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    assert_eq!(page.arrows(".chosen"), BTreeSet::from([ends("shop/web", "shop/api"), ends("shop/api", "shop/db")]));
    assert_eq!(page.arrows(".dim").len(), 3);
    let pressed: Vec<String> =
        page.ask("return [...document.querySelectorAll('#picture [aria-pressed=true]')].map(one => one.getAttribute('aria-label'))");
    assert!(pressed.len() == 1 && pressed[0].starts_with("shop/api,"), "{pressed:?}");
    Ok(())
}

fn a_click_on_a_peer_goes_on_to_it(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.click_on("shop/api");
    page.click("#details button");
    assert_eq!(page.text("#details h2"), "shop/web");
    assert_eq!(page.focused(), "shop/web");
    Ok(())
}

fn a_second_click_clears(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.click_on("shop/api");
    page.click(&node("shop/api"));
    assert!(page.text("#details").starts_with("Select a workload"));
    assert!(page.arrows(".dim").is_empty());
    Ok(())
}

fn a_row_of_the_table_leads_to_the_picture(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.click("#workloads tbody tr:last-child button");
    assert_eq!(page.text("#details h2"), "vault/safe");
    assert_eq!(page.focused(), "vault/safe");
    Ok(())
}
