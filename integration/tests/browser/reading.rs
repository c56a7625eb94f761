//! What a screen reader is told, and what eyes can tell apart: in light, in dark, on a narrow screen.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::page::Page;
use crate::scenes::Scene;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("whatever_takes_the_focus_has_a_role_and_a_name", whatever_takes_the_focus_has_a_role_and_a_name),
    ("the_page_has_landmarks", the_page_has_landmarks),
    ("headings_leave_no_level_out", headings_leave_no_level_out),
    ("tables_have_names_and_headers", tables_have_names_and_headers),
    ("a_node_says_all_that_it_looks_like", a_node_says_all_that_it_looks_like),
    ("light_is_light_and_dark_is_dark", light_is_light_and_dark_is_dark),
    ("all_of_it_can_be_read_in_light_and_in_dark", all_of_it_can_be_read_in_light_and_in_dark),
    ("a_narrow_screen_shows_all", a_narrow_screen_shows_all),
];

/// What chromium tells screen readers: of each thing its role, its name, and its properties.
fn tree(page: &Page) -> Vec<(String, String, BTreeMap<String, Value>)> {
    let answer = page.tell("Accessibility.getFullAXTree", json!({}));
    let told = answer["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] != true);
    told.map(|node| {
        let value = |field: &str| node[field]["value"].as_str().unwrap_or_default().to_owned();
        let properties = node["properties"].as_array().into_iter().flatten();
        let properties =
            properties.map(|one| (one["name"].as_str().unwrap().to_owned(), one["value"]["value"].clone()));
        (value("role"), value("name"), properties.collect())
    })
    .collect()
}

fn whatever_takes_the_focus_has_a_role_and_a_name(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let all = tree(&page);
    let stops: Vec<_> = all
        .iter()
        .filter(|(role, _, more)| more.get("focusable") == Some(&json!(true)) && role != "RootWebArea")
        .collect();
    assert!(stops.len() >= 7 + 6 + 5, "{stops:?}");
    for (role, name, _) in stops {
        assert!(!["generic", "none", "GenericContainer", ""].contains(&&**role), "`{name}` has the role `{role}`");
        assert!(!name.trim().is_empty(), "a {role} without a name");
    }
    Ok(())
}

fn the_page_has_landmarks(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let all = tree(&page);
    for (landmark, named) in
        [("banner", false), ("main", false), ("search", true), ("complementary", true), ("region", true)]
    {
        let found: Vec<_> = all.iter().filter(|(role, _, _)| role == landmark).collect();
        assert_eq!(found.len(), 1, "{landmark}: {found:?}");
        assert!(!named || !found[0].1.is_empty(), "{landmark} has no name");
    }
    assert_eq!(page.ask::<String>("return document.documentElement.lang"), "en");
    assert!(!page.ask::<String>("return document.title").is_empty());
    Ok(())
}

fn headings_leave_no_level_out(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.click_on("shop/api");
    let levels: Vec<u64> =
        page.ask("return [...document.querySelectorAll('h1,h2,h3,h4')].map(one => Number(one.tagName[1]))");
    assert_eq!(levels.iter().filter(|&&level| level == 1).count(), 1);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    Ok(())
}

fn tables_have_names_and_headers(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let all = tree(&page);
    let tables: Vec<_> = all.iter().filter(|(role, _, _)| role == "table").map(|(_, name, _)| &**name).collect();
    assert_eq!(tables, ["Workloads", "Ways"]);
    let columns = all.iter().filter(|(role, _, _)| role == "columnheader").count();
    let rows = all.iter().filter(|(role, _, _)| role == "rowheader").count();
    assert_eq!((columns, rows), (4 + 5, 6));
    Ok(())
}

fn a_node_says_all_that_it_looks_like(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let all = tree(&page);
    let label =
        |name: &str| &all.iter().find(|(role, label, _)| role == "button" && label.starts_with(name)).unwrap().1;
    assert_eq!(label("lab/half,"), "lab/half, 1 pod; ingress open; egress isolated by lab/half-asks");
    assert_eq!(label("vault/safe,"), "vault/safe, 1 pod; ingress judged by keep-the-lab-out; egress open");
    assert_eq!(label("outside:"), "outside: 192.0.2.0/24");
    Ok(())
}

fn light_is_light_and_dark_is_dark(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let paper = || brightness(&page.ask::<String>("return getComputedStyle(document.body).backgroundColor"));
    page.prefer("light");
    assert!(paper() > 0.8);
    page.prefer("dark");
    assert!(paper() < 0.05);
    page.prefer("");
    Ok(())
}

#[derive(Debug, Deserialize)]
struct Pair {
    what: String,
    ink: String,
    paper: String,
    /// How much at least the one has to stand out from the other (WCAG 2.2, 1.4.3 and 1.4.11).
    least: f64,
}

/// Texts and lines, each with what they stand on.
const PAIRS: &str = "
    const style = selector => getComputedStyle(document.querySelector(selector));
    const page = style('body').backgroundColor, area = style('#picture .area').fill;
    const text = (what, ink, paper) => ({ what, ink, paper, least: 4.5 });
    const line = (what, ink, paper) => ({ what, ink, paper, least: 3 });
    const pairs = ['body', '#summary', '.legend', '#details .rules', '#details h3', '#workloads .link', '#ways td']
        .map(one => text(one, style(one).color, page));
    pairs.push(text('title', style('#picture .title').fill, area), text('label', style('#picture .label').fill, style('#picture .label').stroke));
    pairs.push(text('field', style('#search').color, style('#search').backgroundColor));
    pairs.push(text('placeholder', getComputedStyle(document.getElementById('search'), '::placeholder').color, style('#search').backgroundColor));
    pairs.push(line('border of a field', style('#search').borderTopColor, page));
    for (const kind of ['judged', 'half', 'open', 'outside', 'chosen']) {
        const fill = style(`#picture .node.${kind} rect`).fill;
        pairs.push(text(`text of ${kind}`, style(`#picture .node.${kind} text`).fill, fill));
        pairs.push(line(`border of ${kind}`, style(`#picture .node.${kind} rect`).stroke, area));
    }
    for (const kind of [':not(.denied):not(.chosen)', '.denied', '.chosen'])
        for (const paper of [page, area]) pairs.push(line(`way${kind}`, style(`#picture .way${kind}`).stroke, paper));
    return pairs;";

fn all_of_it_can_be_read_in_light_and_in_dark(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.click_on("shop/api");
    let mut faint = Vec::new();
    for scheme in ["light", "dark"] {
        page.prefer(scheme);
        let pairs: Vec<Pair> = page.ask(PAIRS);
        assert_eq!(pairs.len(), 7 + 2 + 3 + 2 * 5 + 2 * 3);
        let told = |pair: &Pair| format!("{scheme}: {} {:.2} of {}", pair.what, contrast(pair), pair.least);
        faint.extend(pairs.iter().filter(|pair| contrast(pair) < pair.least).map(told));
    }
    page.prefer("");
    assert!(faint.is_empty(), "{faint:#?}");
    Ok(())
}

fn contrast(Pair { ink, paper, .. }: &Pair) -> f64 {
    let (ink, paper) = (brightness(ink), brightness(paper));
    (ink.max(paper) + 0.05) / (ink.min(paper) + 0.05)
}

/// The relative luminance of `rgb(r, g, b)`, 0 to 1.
fn brightness(color: &str) -> f64 {
    let numbers = color.trim_start_matches("rgb(").trim_end_matches(')');
    let linear = |part: &str| {
        let part: f64 = part.trim().parse().unwrap_or_else(|_| panic!("`{color}` is no opaque colour"));
        let part = part / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    numbers.split(',').map(linear).zip([0.2126, 0.7152, 0.0722]).map(|(part, weight)| part * weight).sum()
}

fn a_narrow_screen_shows_all(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let narrow = json!({ "width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": false });
    page.tell("Emulation.setDeviceMetricsOverride", narrow);
    page.click_on("shop/api");
    let beyond: Vec<String> = page.ask(
        "return [...document.querySelectorAll('h1, #summary, #filters label, #filters input, .legend li, #scroller, #details, #table > *')]
             .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(one => one.id || one.textContent)",
    );
    let wide: bool = page.ask("return document.documentElement.scrollWidth > document.documentElement.clientWidth");
    page.tell("Emulation.clearDeviceMetricsOverride", json!({}));
    assert!(beyond.is_empty() && !wide, "{beyond:?}");
    Ok(())
}
