//! A map as a picture that needs nothing else.
//!
//! Invariant: names get into it as escaped text alone.

use std::fmt::Write;

use super::curve::{Curve, Point};
use super::data::{Map, Way};
use super::layout::{Frame, Layout, NODE};
use super::picture::{Kind, Line, Node, Picture, State};
use crate::text::shorten;

const STYLE: &str = include_str!("picture.css");
/// How much of a name fits, in bytes.
const NAME: usize = 24;
/// How much of a label is shown, in bytes.
const LABEL: usize = 44;
/// How high the legend is, in pixels.
const LEGEND: f64 = 34.0;
/// How wide an entry of the legend is.
const ENTRY: f64 = 178.0;
/// How wide a character of a label is.
const CHARACTER: f64 = 5.6;
/// Of more lines none is labelled: their titles tell.
const LABELLED: usize = 80;

/// The picture.
pub(super) fn text(map: &Map) -> String {
    let picture = Picture::new(map);
    let layout = Layout::new(&picture);
    let legend = legend(&picture);
    let columns = ((layout.width - 40.0) / ENTRY).floor().max(1.0);
    let lines = (count(legend.len()) / columns).ceil();
    let width = layout.width.max(ENTRY + 40.0);
    let height = layout.height + lines * 20.0 + LEGEND - 20.0;
    let mut svg = Svg::default();
    svg.open(map, width, height);
    layout.areas.iter().zip(&picture.areas).for_each(|(frame, area)| svg.area(*frame, &area.title));
    let curves: Vec<Curve> = picture.lines.iter().map(|line| Curve::of(line, &layout.nodes)).collect();
    picture.lines.iter().zip(&curves).for_each(|(line, curve)| svg.line(line, curve));
    picture.nodes.iter().zip(&layout.nodes).for_each(|(node, corner)| svg.node(node, *corner));
    if picture.lines.len() <= LABELLED {
        svg.labels(&picture, &layout, &curves);
    }
    for (at, (class, says)) in legend.iter().enumerate() {
        let (column, row) = (count(at) % columns, (count(at) / columns).floor());
        svg.legend(class, says, (20.0 + column * ENTRY, layout.height + row * 20.0));
    }
    svg.0 + "</svg>\n"
}

/// What there is in the picture, and what it means.
fn legend(picture: &Picture) -> Vec<(&'static str, &'static str)> {
    let kinds = [
        (Kind::Judged, "node judged", "judged in both directions"),
        (Kind::Half, "node half", "open in one direction"),
        (Kind::Open, "node open", "open: no policy judges"),
        (Kind::Outside, "node outside", "addresses outside"),
    ];
    let states = [
        (State::Denied, "way denied", "nothing passes"),
        (State::Unused, "way unused", "allowed, not used"),
        (State::Anybody, "way anybody", "used, as anybody may"),
        (State::Refused, "way refused", "used, not allowed now"),
    ];
    let kinds = kinds.into_iter().filter(|(kind, ..)| picture.nodes.iter().any(|node| node.kind == *kind));
    let states = states.into_iter().filter(|(state, ..)| picture.lines.iter().any(|line| line.state == *state));
    let kinds = kinds.map(|(_, class, says)| (class, says));
    kinds.chain(states.map(|(_, class, says)| (class, says))).collect()
}

#[derive(Default)]
struct Svg(String);

impl Svg {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("writing into a string does not fail");
    }

    fn open(&mut self, map: &Map, width: f64, height: f64) {
        let open = map.workloads.iter().filter(|one| one.ingress.open || one.egress.open).count();
        let usage = map.usage.as_ref().map(|usage| {
            let is_unused = |way: &&Way| way.used.as_ref().is_some_and(|used| used.connections == 0);
            let unused = map.edges.iter().filter(is_unused).count();
            format!(
                "; {unused} of these are not used, and {} are used that policies do not allow now",
                usage.refused.len()
            )
        });
        let says = format!(
            "{} workloads, {open} of them open in some direction; {} ways that rules name{}.",
            map.workloads.len(),
            map.edges.len(),
            usage.unwrap_or_default()
        );
        self.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" role=\"graphics-document document\" \
             aria-labelledby=\"title\" aria-describedby=\"says\">\n\
             <title id=\"title\">Who reaches whom</title>\n<desc id=\"says\">{says}</desc>\n<style>{STYLE}</style>\n\
             <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
             orient=\"auto\"><path class=\"tip\" d=\"M0,0 L8,4 L0,8 z\"/></marker></defs>\n\
             <rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n"
        ));
    }

    fn area(&mut self, Frame { x, y, width, height }: Frame, title: &str) {
        let name = escaped(&shorten(title, fitting(width)));
        let (left, line) = (x + 12.0, y + 18.0);
        self.put(format_args!(
            "<rect class=\"area\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"8\"/>\n\
             <text class=\"title\" x=\"{left:.1}\" y=\"{line:.1}\">{name}<title>{}</title></text>\n",
            escaped(title)
        ));
    }

    fn line(&mut self, line: &Line, Curve([a, b, c, d]): &Curve) {
        self.put(format_args!(
            "<path class=\"{}\" d=\"M{:.1},{:.1} C{:.1},{:.1} {:.1},{:.1} {:.1},{:.1}\" marker-end=\"url(#tip)\" \
             role=\"graphics-symbol img\"><title>{}</title></path>\n",
            class(line.state),
            a.0,
            a.1,
            b.0,
            b.1,
            c.0,
            c.1,
            d.0,
            d.1,
            escaped(&line.told)
        ));
    }

    fn node(&mut self, node: &Node, (x, y): Point) {
        let (class, round) = match node.kind {
            Kind::Judged => ("node judged", 5),
            Kind::Half => ("node half", 5),
            Kind::Open => ("node open", 5),
            Kind::Outside => ("node outside", 17),
        };
        let (width, height) = NODE;
        let (middle, line) = (x + width / 2.0, y + height / 2.0 + 4.0);
        self.put(format_args!(
            "<g class=\"{class}\" role=\"graphics-symbol img\"><title>{}</title><rect x=\"{x:.1}\" y=\"{y:.1}\" \
             width=\"{width}\" height=\"{height}\" rx=\"{round}\"/><text x=\"{middle:.1}\" y=\"{line:.1}\">{}</text></g>\n",
            escaped(&node.told),
            escaped(&shorten(&node.name, NAME))
        ));
    }

    /// Each where it covers no node and no other label, if there is such a place on its line.
    fn labels(&mut self, picture: &Picture, layout: &Layout, curves: &[Curve]) {
        let node = |corner: &Point| Frame { x: corner.0, y: corner.1, width: NODE.0, height: NODE.1 };
        let mut taken: Vec<Frame> = layout.nodes.iter().map(node).collect();
        for (line, curve) in picture.lines.iter().zip(curves) {
            let label = shorten(&line.label, LABEL);
            let width = count(label.chars().count()) * CHARACTER + 4.0;
            let frame = |(x, y): Point| Frame { x: x - width / 2.0, y: y - 9.0, width, height: 13.0 };
            let places = [0.5, 0.42, 0.58, 0.34, 0.66, 0.27, 0.73, 0.2, 0.8].map(|part| frame(curve.at(part)));
            let is_free = |place: &&Frame| !taken.iter().any(|other| overlap(place, other));
            let place = *places.iter().find(is_free).unwrap_or(&places[0]);
            let (x, y) = (place.x + width / 2.0, place.y + 10.0);
            let state = class(line.state).replacen("way", "label", 1);
            self.put(format_args!(
                "<text class=\"{state}\" x=\"{x:.1}\" y=\"{y:.1}\" aria-hidden=\"true\">{}</text>\n",
                escaped(&label)
            ));
            taken.push(place);
        }
    }

    fn legend(&mut self, class: &str, says: &str, (x, y): Point) {
        let (right, middle, line) = (x + 24.0, y + 7.0, y + 11.0);
        let key = if class.starts_with("way") {
            format!("<path class=\"{class}\" d=\"M{x:.1},{middle:.1} H{right:.1}\"/>")
        } else {
            let round = if class.ends_with("outside") { 7 } else { 3 };
            format!(
                "<g class=\"{class}\"><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"24\" height=\"14\" rx=\"{round}\"/></g>"
            )
        };
        let left = x + 31.0;
        self.put(format_args!("{key}<text class=\"legend\" x=\"{left:.1}\" y=\"{line:.1}\">{says}</text>\n"));
    }
}

fn class(state: State) -> &'static str {
    match state {
        State::Denied => "way denied",
        State::Unused => "way unused",
        State::Allowed => "way",
        State::Anybody => "way anybody",
        State::Refused => "way refused",
    }
}

fn overlap(one: &Frame, other: &Frame) -> bool {
    let apart = |start: f64, length: f64, other: f64, others: f64| start + length <= other || other + others <= start;
    !apart(one.x, one.width, other.x, other.width) && !apart(one.y, one.height, other.y, other.height)
}

/// Text as it may stand in XML, without what XML cannot have.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "areas are some thousand pixels wide")]
fn fitting(width: f64) -> usize {
    ((width - 20.0) / 7.0) as usize
}

#[allow(clippy::cast_precision_loss, reason = "there are few of them")]
fn count(of: usize) -> f64 {
    of as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_text() {
        assert_eq!(
            escaped("</text><script>&\"\u{1}\u{7f}ä"),
            "&lt;/text&gt;&lt;script&gt;&amp;&quot;\u{fffd}\u{fffd}ä"
        );
    }

    #[test]
    fn a_picture_loads_nothing() {
        assert!(!STYLE.contains("://") && !STYLE.contains("@import") && !STYLE.contains(['<', '&']));
    }
}
