//! All that a mouse can do, without one.

use thirtyfour::{Key, TypingData};

use crate::browser::Browser;
use crate::page::Page;
use crate::scenes::Scene;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("tab_goes_from_the_filters_to_the_picture_to_the_tables", tab_goes_from_the_filters_to_the_picture_to_the_tables),
    ("the_picture_is_one_stop", the_picture_is_one_stop),
    ("arrows_reach_every_node", arrows_reach_every_node),
    ("enter_and_space_select", enter_and_space_select),
    ("escape_clears_wherever_the_focus_is", escape_clears_wherever_the_focus_is),
    ("the_tables_can_be_skipped_to", the_tables_can_be_skipped_to),
    ("what_has_the_focus_is_seen", what_has_the_focus_is_seen),
];

fn tab(page: &Page, times: usize) -> Vec<String> {
    (0..times)
        .map(|_| {
            page.press(Key::Tab);
            page.focused()
        })
        .collect()
}

/// Puts the focus on the first node of the picture.
fn enter(page: &Page) -> String {
    page.click("#unisolated");
    page.click("#unisolated");
    tab(page, 1).remove(0)
}

fn tab_goes_from_the_filters_to_the_picture_to_the_tables(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let stops = tab(&page, 8);
    assert_eq!(stops[0], "Skip to the table of all ways");
    assert_eq!(stops[1..5], ["search", "namespace", "port", "unisolated"]);
    assert_eq!(stops[5..], ["lab/half", "lab/half", "lab/tool"], "the first node, then the rows of the table");
    Ok(())
}

fn the_picture_is_one_stop(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let stops = "return document.querySelectorAll('#picture [tabindex=\"0\"]').length";
    assert_eq!(page.ask::<u64>(stops), 1);
    enter(&page);
    page.press(Key::Right);
    page.press(Key::Enter);
    page.press(Key::Left);
    assert_eq!(page.ask::<u64>(stops), 1, "after moving and choosing");
    Ok(())
}

/// What can be reached from the first node by arrow keys, breadth first.
fn arrows_reach_every_node(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let mut met = vec![enter(&page)];
    let mut at = 0;
    while at < met.len() {
        for key in [Key::Left, Key::Right, Key::Up, Key::Down] {
            let focus = format!("document.querySelector('#picture [data-key][aria-label*=\"{}\"]').focus()", met[at]);
            page.ask::<Option<String>>(&focus);
            page.press(key);
            let now = page.focused();
            if !met.contains(&now) {
                met.push(now);
            }
        }
        at += 1;
    }
    assert_eq!(met.into_iter().collect::<std::collections::BTreeSet<_>>(), page.nodes());
    Ok(())
}

fn enter_and_space_select(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    let first = enter(&page);
    for key in [TypingData::from(Key::Enter), TypingData::from(" ")] {
        page.press(key);
        assert_eq!(page.text("#details h2"), first);
        assert_eq!(page.focused(), first, "the focus stays where it was");
        page.press(Key::Escape);
        assert!(page.text("#details").starts_with("Select a workload"));
    }
    Ok(())
}

fn escape_clears_wherever_the_focus_is(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    page.click_on("shop/api");
    page.browser.wait(page.element("#search").focus());
    page.press(Key::Escape);
    assert!(page.text("#details").starts_with("Select a workload"));
    Ok(())
}

fn the_tables_can_be_skipped_to(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    tab(&page, 1);
    page.press(Key::Enter);
    assert_eq!(page.focused(), "table");
    assert_eq!(tab(&page, 1), ["lab/half"]);
    assert_eq!(page.ask::<String>("return document.activeElement.tagName"), "BUTTON");
    Ok(())
}

fn what_has_the_focus_is_seen(browser: &Browser) -> Outcome {
    let page = Page::open(browser, Scene::Small);
    // Every stop looks otherwise than without the focus: by an outline or, in the picture, by the node's border.
    let look = "const one = document.activeElement, rect = one.querySelector('rect');
                const style = getComputedStyle(one);
                return [style.outlineStyle, style.outlineWidth, rect && getComputedStyle(rect).strokeWidth].join()";
    for _ in 0..8 {
        page.press(Key::Tab);
        let focused: String = page.ask(look);
        let name = page.focused();
        let without: String = page.ask(&format!(
            "const one = document.activeElement; one.blur();
             const look = (() => {{ {} }})(); one.focus(); return look",
            look.replace("document.activeElement", "one").replacen("const one = one,", "const", 1)
        ));
        assert_ne!(focused, without, "{name}");
    }
    Ok(())
}
