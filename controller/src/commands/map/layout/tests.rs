use proptest::prelude::*;

use super::super::picture::{Area, Kind, Line, Node, State};
use super::*;

/// Areas of so many nodes each, and lines between any two.
fn picture(sizes: &[usize], lines: &[(usize, usize)]) -> Picture {
    let mut picture = Picture::default();
    for (number, size) in sizes.iter().enumerate() {
        let first = picture.nodes.len();
        let node = |number: usize| Node { name: format!("n{number}"), kind: Kind::Judged, told: String::new() };
        picture.nodes.extend((first..first + size).map(node));
        picture.areas.push(Area { title: format!("a{number}"), nodes: (first..first + size).collect() });
    }
    let count = picture.nodes.len();
    let line = |(from, to): &(usize, usize)| Line {
        from: from % count,
        to: to % count,
        label: String::new(),
        state: State::Allowed,
        told: String::new(),
    };
    picture.lines = lines.iter().map(line).collect();
    picture
}

fn frame((x, y): (f64, f64)) -> Frame {
    Frame { x, y, width: NODE.0, height: NODE.1 }
}

fn holds(outer: &Frame, inner: &Frame) -> bool {
    outer.x <= inner.x
        && outer.y <= inner.y
        && inner.x + inner.width <= outer.x + outer.width
        && inner.y + inner.height <= outer.y + outer.height
}

fn overlap(one: &Frame, other: &Frame) -> bool {
    let apart = |start: f64, length: f64, other: f64, others: f64| start + length <= other || other + others <= start;
    !apart(one.x, one.width, other.x, other.width) && !apart(one.y, one.height, other.y, other.height)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nodes_are_within_their_areas_and_nothing_covers_anything(
        sizes in prop::collection::vec(1..7_usize, 1..5),
        lines in prop::collection::vec((0..40_usize, 0..40_usize), 0..25),
    ) {
        let picture = picture(&sizes, &lines);
        let layout = Layout::new(&picture);
        let all = Frame { x: 0.0, y: 0.0, width: layout.width, height: layout.height };
        for (area, frame) in picture.areas.iter().zip(&layout.areas) {
            prop_assert!(holds(&all, frame));
            prop_assert!(area.nodes.iter().all(|node| holds(frame, &self::frame(layout.nodes[*node]))));
        }
        let nodes: Vec<Frame> = layout.nodes.iter().copied().map(frame).collect();
        for frames in [&nodes, &layout.areas] {
            for (at, one) in frames.iter().enumerate() {
                prop_assert!(!frames[..at].iter().any(|other| overlap(one, other)), "{:?}", layout);
            }
        }
    }
}

#[test]
fn who_calls_stands_left_of_whom_it_calls_unless_they_call_in_a_circle() {
    let layout = Layout::new(&picture(&[3, 2], &[(0, 1), (1, 3), (3, 4), (0, 4)]));
    let x = |node: usize| layout.nodes[node].0;
    assert!(x(0) < x(1) && x(1) < x(3) && x(3) < x(4), "{layout:?}");
    let circle = Layout::new(&picture(&[3], &[(0, 1), (1, 2), (2, 0)]));
    assert!(circle.nodes[0].0 < circle.nodes[1].0 && circle.nodes[1].0 < circle.nodes[2].0, "{circle:?}");
}

/// As long chains as there are: they are squeezed, and all is still there.
#[test]
fn a_long_chain_is_squeezed_into_few_columns() {
    let lines: Vec<(usize, usize)> = (0..19).map(|node| (node, node + 1)).collect();
    let layout = Layout::new(&picture(&[20], &lines));
    let columns: std::collections::BTreeSet<u64> = layout.nodes.iter().map(|(x, _)| x.to_bits()).collect();
    assert_eq!(columns.len(), COLUMNS);
}

#[test]
fn many_nodes_stand_in_rows() {
    let layout = Layout::new(&picture(&[200, 10], &[(0, 1)]));
    assert!(layout.width < 4_000.0 && layout.height < 4_000.0, "{} {}", layout.width, layout.height);
    assert_eq!(layout.nodes[0].1.to_bits(), layout.nodes[1].1.to_bits());
}
