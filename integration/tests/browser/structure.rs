//! What is on the page is what `-o json` says.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::browser::Browser;
use crate::page::{Ends, Page};
use crate::scenes::Scene;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("every_workload_is_a_node", every_workload_is_a_node),
    ("every_way_is_an_arrow", every_way_is_an_arrow),
    ("every_way_is_a_row", every_way_is_a_row),
    ("every_workload_is_a_row", every_workload_is_a_row),
    ("a_workload_stands_in_its_namespace_and_on_no_other", a_workload_stands_in_its_namespace_and_on_no_other),
    ("what_is_open_stands_out", what_is_open_stands_out),
];

fn every_workload_is_a_node(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let mut expected = page.workloads();
    assert_eq!(expected.len(), 6);
    // Of who is outside, only who is at an end of a way.
    expected.insert("192.0.2.0/24".to_owned());
    assert_eq!(page.nodes(), expected);
    Ok(())
}

fn every_way_is_an_arrow(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let ways = page.ways();
    let ends = |passes: bool| -> BTreeSet<Ends> {
        ways.iter().filter(|(_, ports)| ports.is_empty() != passes).map(|(ends, _)| ends.clone()).collect()
    };
    assert_eq!(page.arrows(":not(.denied)"), ends(true));
    assert_eq!(page.arrows(".denied"), ends(false));
    assert_eq!(ends(false), BTreeSet::from([("lab/tool".to_owned(), "vault/safe".to_owned())]));
    Ok(())
}

fn every_way_is_a_row(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let said = |ports: &[String]| if ports.is_empty() { "nothing".to_owned() } else { ports.join(", ") };
    let expected: Vec<_> =
        page.ways().iter().map(|((from, to), ports)| [from.clone(), to.clone(), said(ports)]).collect();
    let rows: Vec<_> = page.rows("ways").iter().map(|row| [row[0].clone(), row[1].clone(), row[2].clone()]).collect();
    assert_eq!(rows, expected);
    Ok(())
}

fn every_workload_is_a_row(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let rows = page.rows("workloads");
    assert_eq!(rows.iter().map(|row| row[0].clone()).collect::<BTreeSet<_>>(), page.workloads());
    let safe = rows.iter().find(|row| row[0] == "vault/safe").unwrap();
    assert_eq!(safe[1..], ["1", "judged by keep-the-lab-out", "open"]);
    let db = rows.iter().find(|row| row[0] == "shop/db").unwrap();
    assert_eq!(db[2], "isolated by shop/db-keeps, shop/deny-all");
    Ok(())
}

#[derive(Debug, Deserialize)]
struct Box {
    name: String,
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Box {
    fn holds(&self, other: &Self) -> bool {
        self.left <= other.left && other.right <= self.right && self.top <= other.top && other.bottom <= self.bottom
    }

    fn meets(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }
}

fn boxes(page: &Page, selector: &str, name: &str) -> Vec<Box> {
    page.ask(&format!(
        "return [...document.querySelectorAll('#picture {selector}')].map(one => {{
             const {{ left, top, right, bottom }} = one.getBoundingClientRect();
             return {{ name: {name}, left, top, right, bottom }};
         }})"
    ))
}

fn a_workload_stands_in_its_namespace_and_on_no_other(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let areas = boxes(&page, "rect.area", "one.dataset.namespace ?? ''");
    let nodes = boxes(&page, "[data-key] rect", "one.parentNode.getAttribute('aria-label')");
    assert_eq!((areas.len(), nodes.len()), (4, 7));
    for (at, node) in nodes.iter().enumerate() {
        let around: Vec<_> = areas.iter().filter(|area| area.holds(node)).collect();
        assert_eq!(around.len(), 1, "{node:?} stands in {around:?}");
        let namespace = node
            .name
            .split_once('/')
            .filter(|_| !node.name.starts_with("outside"))
            .map_or("", |(namespace, _)| namespace);
        assert_eq!(around[0].name, namespace, "{node:?}");
        let below = nodes[..at].iter().find(|other| other.meets(node));
        assert!(below.is_none(), "{node:?} covers {below:?}");
    }
    Ok(())
}

fn what_is_open_stands_out(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let looks = |name: &str| -> (String, String, String) {
        page.ask(&format!(
            "const style = getComputedStyle(document.querySelector('#picture [data-key][aria-label^=\"{name},\"] rect'));
             return [style.stroke, style.fill, style.strokeDasharray]"
        ))
    };
    let [judged, half, open] = ["shop/db", "lab/half", "lab/tool"].map(looks);
    assert!(open.0 != judged.0 && open.1 != judged.1, "open {open:?}, judged {judged:?}");
    // Not by colour alone.
    assert!(half.2 != judged.2 && half.2 != open.2, "half {half:?}");
    Ok(())
}
