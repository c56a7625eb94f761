//! The page asks nobody anything, and nothing in it goes wrong.

use serde_json::Value;

use crate::browser::Browser;
use crate::page::Page;
use crate::scenes::Scene;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("a_page_that_asks_is_noticed", a_page_that_asks_is_noticed),
    ("the_page_asks_for_itself_alone", the_page_asks_for_itself_alone),
    ("nothing_goes_wrong_in_it", nothing_goes_wrong_in_it),
];

/// What was asked for since the last time, by address.
fn asked(page: &Page) -> Vec<String> {
    let entries = page.browser.wait(page.browser.driver().get_log("performance"));
    let events = entries.iter().map(|entry| serde_json::from_str::<Value>(&entry.message).unwrap());
    let sent = events.filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
    sent.map(|event| event["message"]["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
}

fn a_page_that_asks_is_noticed(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let file = browser.folder().join("asks.html");
    std::fs::write(&file, "<!doctype html><title>asks</title><img src='http://192.0.2.1/picture.png'>")?;
    asked(&page);
    page.visit(&format!("file://{}", file.display()));
    assert!(asked(&page).iter().any(|address| address == "http://192.0.2.1/picture.png"));
    Ok(())
}

fn the_page_asks_for_itself_alone(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    asked(&page);
    page.browser.wait(page.browser.driver().refresh());
    page.click_on("shop/api");
    page.fill("#search", "shop");
    let asked = asked(&page);
    let address: String = page.ask("return location.href");
    assert_eq!(asked, [address]);
    Ok(())
}

fn nothing_goes_wrong_in_it(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.browser.wait(page.browser.driver().browser_log());
    page.browser.wait(page.browser.driver().refresh());
    page.click_on("shop/api");
    page.fill("#search", "shop");
    let said = page.browser.wait(page.browser.driver().browser_log());
    assert!(said.is_empty(), "{said:?}");
    Ok(())
}
