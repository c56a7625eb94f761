//! What a page of the documentation leads to is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

/// Where pages are. Cases and what is built are not looked through.
const FOLDERS: &[&str] = &[
    ".",
    ".github",
    "controller",
    "controller/docs",
    "deploy",
    "integration",
    "integration/benches",
    "integration/cluster",
];

fn repository() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap()
}

fn pages() -> Vec<PathBuf> {
    let files = FOLDERS.iter().flat_map(|folder| fs::read_dir(repository().join(folder)).unwrap());
    files.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

/// What a page leads to, and its headings as GitHub names them in links.
fn read(page: &Path) -> (Vec<String>, BTreeSet<String>) {
    let text = fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    let (mut targets, mut headings, mut heading) = (Vec::new(), BTreeSet::new(), None::<String>);
    for event in Parser::new(&text) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                targets.push(dest_url.into_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => headings.extend(heading.take().map(|text| anchor(&text))),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    (targets, headings)
}

fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|&character| character.is_alphanumeric() || "-_".contains(character)).collect()
}

/// What is wrong with where a link on `page` leads to.
fn fault(page: &Path, target: &str) -> Option<String> {
    if target.starts_with("https://") || target.starts_with("http://") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() { page.to_owned() } else { page.parent().unwrap().join(path) };
    let known = || anchor.is_empty() || read(&file).1.contains(anchor);
    let fault = if !file.exists() {
        "is not there"
    } else if !known() {
        "has no such heading"
    } else {
        return None;
    };
    Some(format!("{}: {target} {fault}", page.strip_prefix(repository()).unwrap_or(page).display()))
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let pages = pages();
    assert!(pages.len() > 15, "{pages:?}");
    let faults: Vec<_> = pages
        .iter()
        .flat_map(|page| read(page).0.into_iter().filter_map(|target| fault(page, &target)).collect::<Vec<_>>())
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_link_to_nothing_is_found() {
    let page = repository().join("README.md");
    assert!(fault(&page, "controller/THREATS.md#who").is_none());
    assert!(fault(&page, "controller/THREATS.md#whom").is_some());
    assert!(fault(&page, "controller/nothing.md").is_some());
}

#[test]
fn every_page_of_a_feature_is_named_in_the_readme() {
    let named: BTreeSet<_> = read(&repository().join("README.md")).0.into_iter().collect();
    let docs = fs::read_dir(repository().join("controller/docs")).unwrap().map(|entry| entry.unwrap().file_name());
    for page in
        docs.map(|name| format!("controller/docs/{}", name.to_string_lossy())).filter(|page| page.ends_with(".md"))
    {
        assert!(named.contains(&page), "README.md does not lead to {page}");
    }
}
