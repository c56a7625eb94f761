//! Which ways are used, where the map was made with flows.

use std::collections::BTreeSet;

use crate::browser::Browser;
use crate::page::{Ends, Page};
use crate::scenes::Scene;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("without_flows_there_is_no_word_of_it", without_flows_there_is_no_word_of_it),
    ("what_is_used_and_what_is_not_looks_so", what_is_used_and_what_is_not_looks_so),
    ("ways_are_filtered_by_whether_they_are_used", ways_are_filtered_by_whether_they_are_used),
    ("a_row_says_how_often_and_when", a_row_says_how_often_and_when),
    ("the_summary_counts_what_is_not_used", the_summary_counts_what_is_not_used),
];

fn ends<const N: usize>(ends: [(&str, &str); N]) -> BTreeSet<Ends> {
    ends.map(|(from, to)| (from.to_owned(), to.to_owned())).into()
}

fn used() -> BTreeSet<Ends> {
    ends([("shop/web", "shop/api"), ("vault/safe", "lab/tool")])
}

fn unused() -> BTreeSet<Ends> {
    ends([("shop/api", "shop/db"), ("192.0.2.0/24", "shop/web"), ("lab/half", "lab/tool")])
}

fn refused() -> BTreeSet<Ends> {
    ends([("lab/half", "shop/db")])
}

fn without_flows_there_is_no_word_of_it(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let shown: usize =
        page.ask("return [...document.querySelectorAll('.usage')].filter(one => one.offsetParent).length");
    assert_eq!(shown, 0);
    assert_eq!(page.arrows(".used"), BTreeSet::new());
    Ok(())
}

fn what_is_used_and_what_is_not_looks_so(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Used);
    assert_eq!(page.arrows(".used"), used());
    assert_eq!(page.arrows(".unused"), unused());
    assert_eq!(page.arrows(".refused"), refused());
    // What lets nothing pass is neither.
    assert_eq!(page.arrows(":not(.used):not(.unused):not(.refused)"), page.arrows(".denied"));
    let dashes = |state: &str| -> String {
        page.ask(&format!(
            "return getComputedStyle(document.querySelector('#picture path.way.{state}')).strokeDasharray"
        ))
    };
    assert_ne!(dashes("used"), dashes("unused"), "one cannot tell without colours");
    Ok(())
}

fn ways_are_filtered_by_whether_they_are_used(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Used);
    let all = page.arrows("");
    for (state, expected) in [("used", used()), ("unused", unused()), ("refused", refused())] {
        page.click(&format!("#usage option[value={state}]"));
        assert_eq!(page.arrows(""), expected, "{state}");
        let rows: BTreeSet<Ends> = page.rows("ways").iter().map(|row| (row[0].clone(), row[1].clone())).collect();
        assert_eq!(rows, expected, "{state}");
        // Those alone that a way leads from or to.
        assert_eq!(
            page.nodes(),
            expected.iter().flat_map(|(from, to)| [from.clone(), to.clone()]).collect(),
            "{state}"
        );
    }
    page.click("#usage option[value='']");
    assert_eq!(page.arrows(""), all);
    Ok(())
}

fn a_row_says_how_often_and_when(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Used);
    let rows = page.rows("ways");
    let said = |from: &str, to: &str| {
        let row = rows.iter().find(|row| row[0] == from && row[1] == to).unwrap();
        row.last().unwrap().clone()
    };
    assert_eq!(said("shop/web", "shop/api"), "×3 at TCP 8080, last 2026-11-28 22:56:12 UTC");
    assert_eq!(said("shop/api", "shop/db"), "not used");
    assert_eq!(said("lab/half", "shop/db"), "not allowed now; ×7 at TCP 5432, last 2026-11-28 22:56:12 UTC");
    Ok(())
}

fn the_summary_counts_what_is_not_used(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Used);
    let text = page.text("#summary");
    assert!(text.contains("3 ways not used; 1 used and not allowed now"), "{text}");
    Ok(())
}
