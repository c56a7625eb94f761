//! A map's page in the browser, and how to ask and use it as a reader does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thirtyfour::{By, TypingData, WebElement};

use crate::browser::Browser;
use crate::scenes::Scene;

/// The page of a map, open, and what `-o json` says of the same objects.
pub(crate) struct Page<'a> {
    pub(crate) browser: &'a Browser,
    pub(crate) map: Arc<Value>,
}

/// Two ends of a way, by their full names.
pub(crate) type Ends = (String, String);

impl<'a> Page<'a> {
    /// Opens the page of a scene, as a file.
    pub(crate) fn open(browser: &'a Browser, scene: Scene) -> Self {
        let made = browser.made(scene);
        let page = Self { browser, map: made.map };
        page.visit(&format!("file://{}", made.page.display()));
        page
    }

    /// Goes to another page.
    pub(crate) fn visit(&self, address: &str) {
        self.browser.wait(self.browser.driver().goto(address));
    }

    /// What a program of JavaScript in the page returns.
    pub(crate) fn ask<T: DeserializeOwned>(&self, program: &str) -> T {
        self.browser.wait(async { self.browser.driver().execute(program, Vec::new()).await?.convert() })
    }

    /// Asks chromium over its own protocol.
    pub(crate) fn tell(&self, method: &str, parameters: Value) -> Value {
        self.browser.wait(self.browser.driver().cdp().send_raw(method, parameters))
    }

    /// The element that a selector of CSS finds first.
    pub(crate) fn element(&self, selector: &str) -> WebElement {
        self.browser.wait(self.browser.driver().find(By::Css(selector)))
    }

    pub(crate) fn click(&self, selector: &str) {
        self.browser.wait(self.element(selector).click());
    }

    /// Types into whatever has the focus.
    pub(crate) fn press(&self, keys: impl Into<TypingData>) {
        self.browser.wait(self.browser.driver().action_chain().send_keys(keys).perform());
    }

    /// Puts `text` into an empty field.
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        self.browser.wait(self.element(selector).send_keys(text));
    }

    /// Clicks on the node that has this name.
    pub(crate) fn click_on(&self, name: &str) {
        self.click(&node(name));
    }

    /// The names of all nodes that are drawn, without what they say besides.
    pub(crate) fn nodes(&self) -> BTreeSet<String> {
        let labels: Vec<String> = self.ask(
            "return [...document.querySelectorAll('#picture [data-key]')].map(one => one.getAttribute('aria-label'))",
        );
        labels.iter().map(|label| name(label).to_owned()).collect()
    }

    /// The ends of all arrows that are drawn and match a selector.
    pub(crate) fn arrows(&self, selector: &str) -> BTreeSet<Ends> {
        let ends: Vec<Ends> = self.ask(&format!(
            "const label = key => document.querySelector(`#picture [data-key=\"${{key}}\"]`).getAttribute('aria-label');
             return [...document.querySelectorAll('#picture path.way{selector}')]
                 .map(one => [label(one.getAttribute('data-from')), label(one.getAttribute('data-to'))])"
        ));
        ends.iter().map(|(from, to)| (name(from).to_owned(), name(to).to_owned())).collect()
    }

    /// The texts of a table's rows, by cells.
    pub(crate) fn rows(&self, table: &str) -> Vec<Vec<String>> {
        self.ask(&format!(
            "return [...document.querySelectorAll('#{table} tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"
        ))
    }

    /// The text of an element, as it is shown.
    pub(crate) fn text(&self, selector: &str) -> String {
        self.browser.wait(self.element(selector).text())
    }

    /// What has the focus: a node's name, or an element's id, text or tag.
    pub(crate) fn focused(&self) -> String {
        let said: String = self.ask(
            "const one = document.activeElement;
             return one.dataset?.key !== undefined ? one.getAttribute('aria-label') : one.id || one.textContent.slice(0, 40) || one.tagName",
        );
        name(&said).to_owned()
    }

    /// The full names of workloads, as the JSON form has them.
    pub(crate) fn workloads(&self) -> BTreeSet<String> {
        self.list("workloads").iter().map(full).collect()
    }

    /// The ways of the JSON form: their ends, and what they let pass.
    pub(crate) fn ways(&self) -> Vec<(Ends, Vec<String>)> {
        let all = self.list("workloads").iter().chain(self.list("outside"));
        let names: BTreeMap<_, _> = all.map(|end| (end["id"].as_u64(), full(end))).collect();
        let end = |way: &Value, side| names[&way[side].as_u64()].clone();
        let ports = |way: &Value| serde_json::from_value(way["ports"].clone()).unwrap();
        self.list("edges").iter().map(|way| ((end(way, "from"), end(way, "to")), ports(way))).collect()
    }

    pub(crate) fn list(&self, field: &str) -> &[Value] {
        self.map[field].as_array().unwrap()
    }

    /// Has the browser say that its reader prefers `light` or `dark`.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.tell("Emulation.setEmulatedMedia", json!({ "features": features }));
    }
}

/// What finds a node, whose label begins with its name.
pub(crate) fn node(name: &str) -> String {
    format!("#picture [data-key][aria-label^=\"{name},\"], #picture [data-key][aria-label=\"{name}\"]")
}

fn full(end: &Value) -> String {
    let name = end["name"].as_str().unwrap();
    end["namespace"].as_str().map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

/// `shop/web, 1 pod; ingress …`, `outside: 192.0.2.0/24`, `namespace shop, 3 workloads …`.
fn name(label: &str) -> &str {
    let label = label.strip_prefix("outside: ").unwrap_or(label);
    label.split_once(", ").map_or(label, |(name, _)| name)
}
