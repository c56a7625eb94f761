//! Rows of a layout, mended: lines are short, and pass behind no node.

use super::curve::Curve;
use super::layout::{Cells, Layout, NODE, number};
use super::picture::Picture;

/// How often all nodes are tried.
const ROUNDS: usize = 4;
/// At how many points of a line it is looked at what it passes.
const POINTS: usize = 12;
/// How much room a line leaves to a node, in pixels.
const ROOM: f64 = 3.0;
/// What a point behind a node costs, in pixels of a longer line.
const BEHIND: f64 = 60.0;
/// Of more lines the rows stay as they are: nobody follows them.
const MOST_LINES: usize = 250;

/// The same with each node in the row of its column, one more than there are at most, where all lines are best.
pub(super) fn mended(picture: &Picture, mut cells: Cells, place: impl Fn(&Cells) -> Layout) -> Cells {
    if picture.lines.len() > MOST_LINES {
        return cells;
    }
    let mut best = cost(picture, &place(&cells));
    for _ in 0..ROUNDS {
        let before = best;
        for area in &picture.areas {
            let rows = area.nodes.iter().map(|node| cells[*node].1).max().unwrap_or_default() + 2;
            for (node, row) in area.nodes.iter().flat_map(|node| (0..rows).map(move |row| (*node, row))) {
                let tried = moved(&cells, &area.nodes, node, row);
                let cost = cost(picture, &place(&tried));
                if cost < best {
                    (best, cells) = (cost, tried);
                }
            }
        }
        if best >= before {
            break;
        }
    }
    cells
}

/// Who was there before changes places with it.
fn moved(cells: &Cells, area: &[usize], node: usize, row: usize) -> Cells {
    let mut moved = cells.clone();
    let (column, from) = cells[node];
    if let Some(other) = area.iter().find(|other| cells[**other] == (column, row)) {
        moved[*other].1 = from;
    }
    moved[node].1 = row;
    moved
}

/// How far lines go up or down, how high the picture is, and what lines pass behind.
fn cost(picture: &Picture, layout: &Layout) -> f64 {
    let lines = picture.lines.iter().filter(|line| line.from != line.to);
    let of_lines = lines.map(|line| {
        let curve = Curve::of(line, &layout.nodes);
        let points = (1..POINTS).map(|point| curve.at(number(point) / number(POINTS)));
        let is_behind = |(x, y): (f64, f64)| {
            layout.nodes.iter().enumerate().any(|(node, corner)| {
                let within = (corner.0..corner.0 + NODE.0).contains(&x)
                    && (corner.1 - ROOM..corner.1 + NODE.1 + ROOM).contains(&y);
                within && node != line.from && node != line.to
            })
        };
        let behind = points.filter(|point| is_behind(*point)).count();
        (layout.nodes[line.from].1 - layout.nodes[line.to].1).abs() / 4.0 + number(behind) * BEHIND
    });
    layout.height / 2.0 + of_lines.sum::<f64>()
}
