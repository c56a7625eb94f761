//! Where a picture's nodes are: who calls stands left of whom it calls, in columns; areas are bands across them.
//!
//! Where there are more nodes than a reader can follow lines between, they stand in rows of one area after the other.

use super::mend;
use super::picture::Picture;

/// Lengths, in pixels.
pub(super) const NODE: (f64, f64) = (168.0, 34.0);
const ACROSS: f64 = 132.0;
const DOWN: f64 = 26.0;
const PAD: f64 = 16.0;
const TITLE: f64 = 24.0;
const MARGIN: f64 = 20.0;
/// More columns than that nobody sees at once.
const COLUMNS: usize = 6;
/// Of more nodes no columns are made.
const FOLLOWED: usize = 80;
/// How often the order within columns is mended.
const SWEEPS: usize = 8;

/// Where things are.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    /// By node: its upper left corner.
    pub(super) nodes: Vec<(f64, f64)>,
    /// By area.
    pub(super) areas: Vec<Frame>,
}

/// A rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Frame {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Where the nodes of an area are: by column and row, each from 0.
pub(super) type Cells = Vec<(usize, usize)>;

impl Layout {
    pub(super) fn new(picture: &Picture) -> Self {
        if picture.nodes.len() > FOLLOWED {
            return Self::in_rows(picture);
        }
        let columns = columns(picture);
        let mut order: Vec<f64> = (0..picture.nodes.len()).map(number).collect();
        let mut cells = cells(picture, &columns, &order);
        let mut layout = Self::placed(picture, &cells, &bands(picture, &cells, &order));
        for _ in 0..SWEEPS {
            order = middles(picture, &layout);
            cells = self::cells(picture, &columns, &order);
            layout = Self::placed(picture, &cells, &bands(picture, &cells, &order));
        }
        let bands = bands(picture, &cells, &order);
        let place = |cells: &Cells| Self::placed(picture, cells, &bands);
        place(&mend::mended(picture, cells, place))
    }

    /// Areas in bands from above to below, those of one band beside each other.
    fn placed(picture: &Picture, cells: &Cells, bands: &[Vec<usize>]) -> Self {
        let mut layout = Self {
            nodes: vec![Default::default(); picture.nodes.len()],
            areas: vec![Frame::default(); picture.areas.len()],
            ..Self::default()
        };
        let mut y = MARGIN;
        for band in bands {
            let mut high: f64 = 0.0;
            for area in band {
                let nodes = &picture.areas[*area].nodes;
                let (first, last) = span(nodes, cells);
                let rows = nodes.iter().map(|node| cells[*node].1 + 1).max().unwrap_or(1);
                let left = MARGIN + PAD + number(first) * (NODE.0 + ACROSS);
                for node in nodes {
                    let (column, row) = cells[*node];
                    let x = left + number(column - first) * (NODE.0 + ACROSS);
                    layout.nodes[*node] = (x, y + TITLE + PAD / 2.0 + number(row) * (NODE.1 + DOWN));
                }
                let width = number(last - first) * (NODE.0 + ACROSS) + NODE.0 + 2.0 * PAD;
                let height = TITLE + number(rows) * (NODE.1 + DOWN) - DOWN + PAD * 1.5;
                layout.areas[*area] = Frame { x: left - PAD, y, width, height };
                high = high.max(height);
            }
            y += high + DOWN;
        }
        layout.close();
        layout
    }

    /// As wide and high as what is in it.
    fn close(&mut self) {
        let right = |area: &Frame| area.x + area.width + MARGIN;
        let bottom = |area: &Frame| area.y + area.height + MARGIN;
        self.width = self.areas.iter().map(right).fold(0.0, f64::max);
        self.height = self.areas.iter().map(bottom).fold(0.0, f64::max);
    }

    fn in_rows(picture: &Picture) -> Self {
        let total = number(picture.nodes.len());
        let columns = (1..=picture.nodes.len()).find(|columns| number(columns * columns) * 2.0 >= total).unwrap_or(1);
        let mut cells: Cells = vec![(0, 0); picture.nodes.len()];
        for area in &picture.areas {
            for (at, node) in area.nodes.iter().enumerate() {
                cells[*node] = (at % columns, at / columns);
            }
        }
        let bands: Vec<Vec<usize>> = (0..picture.areas.len()).map(|area| vec![area]).collect();
        Self::placed(picture, &cells, &bands)
    }
}

/// By node: how many calls it is away from who is called by nobody. Calls that close a circle do not count.
fn columns(picture: &Picture) -> Vec<usize> {
    let mut outgoing = vec![Vec::new(); picture.nodes.len()];
    let mut is_called = vec![false; picture.nodes.len()];
    for line in picture.lines.iter().filter(|line| line.from != line.to) {
        outgoing[line.from].push(line.to);
        is_called[line.to] = true;
    }
    let mut walk = Walk { outgoing, state: vec![State::New; picture.nodes.len()], finished: Vec::new() };
    let first = (0..picture.nodes.len()).filter(|node| !is_called[*node]);
    first.chain(0..picture.nodes.len()).for_each(|node| walk.visit(node));
    let mut columns = vec![0; picture.nodes.len()];
    for from in walk.finished.iter().rev() {
        for to in &walk.outgoing[*from] {
            columns[*to] = columns[*to].max(columns[*from] + 1);
        }
    }
    squeezed(columns)
}

fn squeezed(columns: Vec<usize>) -> Vec<usize> {
    let last = columns.iter().copied().max().unwrap_or_default();
    if last < COLUMNS { columns } else { columns.into_iter().map(|one| one * (COLUMNS - 1) / last).collect() }
}

/// A walk along all calls, from which those that lead back are taken out.
struct Walk {
    outgoing: Vec<Vec<usize>>,
    state: Vec<State>,
    /// Nodes after all whom they call.
    finished: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Under,
    Done,
}

impl Walk {
    /// At most as deep as there are nodes, of which there are few.
    fn visit(&mut self, node: usize) {
        if self.state[node] != State::New {
            return;
        }
        self.state[node] = State::Under;
        for to in self.outgoing[node].clone() {
            if self.state[to] == State::Under {
                self.outgoing[node].retain(|other| *other != to);
            } else {
                self.visit(to);
            }
        }
        self.state[node] = State::Done;
        self.finished.push(node);
    }
}

/// Rows within columns of areas, in this order.
fn cells(picture: &Picture, columns: &[usize], order: &[f64]) -> Cells {
    let mut cells: Cells = columns.iter().map(|column| (*column, 0)).collect();
    for area in &picture.areas {
        let mut nodes = area.nodes.clone();
        nodes.sort_by(|one, other| order[*one].total_cmp(&order[*other]));
        let mut rows = vec![0; columns.iter().max().map_or(1, |last| last + 1)];
        for node in nodes {
            let row = &mut rows[columns[node]];
            cells[node].1 = *row;
            *row += 1;
        }
    }
    cells
}

/// Areas by the order of their nodes; one beside another where they share no column.
fn bands(picture: &Picture, cells: &Cells, order: &[f64]) -> Vec<Vec<usize>> {
    let middle = |area: &usize| {
        let nodes = &picture.areas[*area].nodes;
        nodes.iter().map(|node| order[*node]).sum::<f64>() / number(nodes.len().max(1))
    };
    let mut areas: Vec<usize> = (0..picture.areas.len()).collect();
    areas.sort_by(|one, other| middle(one).total_cmp(&middle(other)));
    let mut bands: Vec<Vec<usize>> = Vec::new();
    let spans = |area: &usize| span(&picture.areas[*area].nodes, cells);
    for area in areas {
        let (first, last) = spans(&area);
        let is_apart = |other: &usize| {
            let (others_first, others_last) = spans(other);
            last < others_first || others_last < first
        };
        // Not far up, where its lines would be long.
        match bands.last_mut().filter(|band| band.iter().all(is_apart)) {
            Some(band) => band.push(area),
            None => bands.push(vec![area]),
        }
    }
    bands
}

/// By node: the height of whom it has lines with, or its own.
fn middles(picture: &Picture, layout: &Layout) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); picture.nodes.len()];
    for line in picture.lines.iter().filter(|line| line.from != line.to) {
        for (node, other) in [(line.from, line.to), (line.to, line.from)] {
            sums[node].0 += layout.nodes[other].1;
            sums[node].1 += 1.0;
        }
    }
    let own = layout.nodes.iter().map(|(_, y)| *y);
    sums.into_iter()
        .zip(own)
        .map(|((sum, count), own)| if count > 0.0 { (sum / count + own) / 2.0 } else { own })
        .collect()
}

/// The first and the last column.
fn span(nodes: &[usize], cells: &Cells) -> (usize, usize) {
    let columns = nodes.iter().map(|node| cells[*node].0);
    (columns.clone().min().unwrap_or_default(), columns.max().unwrap_or_default())
}

#[allow(clippy::cast_precision_loss, reason = "pictures have few nodes")]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
