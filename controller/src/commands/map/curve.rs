//! The lines of a picture.

use super::layout::NODE;
use super::picture::Line;

/// A point, in pixels.
pub(super) type Point = (f64, f64);

/// Where a line goes: from one point to another, bent by two between.
#[derive(Debug)]
pub(super) struct Curve(pub(super) [Point; 4]);

impl Curve {
    /// To the right it leaves and comes in at the sides; back, and within a column, it goes around.
    pub(super) fn of(line: &Line, corners: &[Point]) -> Self {
        let [from, to] = [line.from, line.to].map(|node| corners[node]);
        let middle = |(_, y): Point| y + NODE.1 / 2.0;
        if line.from == line.to {
            let (x, y) = (from.0 + NODE.0, middle(from));
            return Self([(x - 16.0, from.1), (x - 8.0, from.1 - 34.0), (x + 40.0, y - 26.0), (x, y)]);
        }
        let (start, end) = ((from.0 + NODE.0, middle(from)), (to.0, middle(to)));
        if end.0 > start.0 {
            let bend = (end.0 - start.0) * 0.45;
            return Self([start, (start.0 + bend, start.1), (end.0 - bend, end.1), end]);
        }
        if from.0 > to.0 {
            let (start, end) = ((from.0, middle(from)), (to.0 + NODE.0, middle(to)));
            let bend = ((start.0 - end.0) * 0.45).max(30.0);
            return Self([start, (start.0 - bend, start.1 + 14.0), (end.0 + bend, end.1 + 14.0), end]);
        }
        let (end, bend) = ((to.0 + NODE.0, middle(to)), 26.0 + (end.1 - start.1).abs().min(160.0) / 4.0);
        Self([start, (start.0 + bend, start.1), (end.0 + bend, end.1), end])
    }

    /// The point at a part of its way, from 0 to 1.
    pub(super) fn at(&self, part: f64) -> Point {
        let rest = 1.0 - part;
        let weights = [rest * rest * rest, 3.0 * rest * rest * part, 3.0 * rest * part * part, part * part * part];
        let sum = |of: fn(&Point) -> f64| self.0.iter().zip(weights).map(|(point, weight)| of(point) * weight).sum();
        (sum(|point| point.0), sum(|point| point.1))
    }
}
