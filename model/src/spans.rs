//! Sets of ports as spans.

use crate::PortRange;

/// The ports `first..end`, never empty: one past the end is a port or 65536.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) first: u32,
    pub(crate) end: u32,
}

/// Ports. As [`merge`] gives them: ascending, disjoint and not touching.
pub(crate) type Spans = Vec<Span>;

impl From<PortRange> for Span {
    fn from(range: PortRange) -> Self {
        Self { first: range.first().into(), end: u32::from(range.last()) + 1 }
    }
}

impl From<Span> for PortRange {
    fn from(span: Span) -> Self {
        let port = |port: u32| u16::try_from(port).expect("a span lies within the ports");
        Self::new(port(span.first), port(span.end - 1)).expect("a span is not empty")
    }
}

pub(crate) fn single(port: u16) -> Span {
    PortRange::single(port).into()
}

/// The union of spans.
pub(crate) fn merge(mut spans: Spans) -> Spans {
    spans.sort_unstable();
    let mut merged = Spans::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.first <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// `from` without `spans`; both merged.
pub(crate) fn subtract(from: &Spans, spans: &Spans) -> Spans {
    let mut rest = Spans::new();
    for span in from {
        let mut first = span.first;
        let overlapping = spans.partition_point(|other| other.end <= span.first);
        for other in spans[overlapping..].iter().take_while(|other| other.first < span.end) {
            if first < other.first {
                rest.push(Span { first, end: other.first });
            }
            first = other.end;
        }
        if first < span.end {
            rest.push(Span { first, end: span.end });
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(spans: &[(u32, u32)]) -> Spans {
        spans.iter().map(|&(first, end)| Span { first, end }).collect()
    }

    #[test]
    fn spans_that_overlap_or_touch_are_merged() {
        assert_eq!(merge(spans(&[(5, 9), (0, 2), (2, 4), (6, 7), (8, 12)])), spans(&[(0, 4), (5, 12)]));
    }

    #[test]
    fn subtracting_leaves_the_rest() {
        let from = spans(&[(0, 10), (20, 30), (40, 65536)]);
        assert_eq!(
            subtract(&from, &spans(&[(0, 1), (3, 5), (9, 25), (50, 60)])),
            spans(&[(1, 3), (5, 9), (25, 30), (40, 50), (60, 65536)])
        );
        assert_eq!(subtract(&from, &spans(&[(0, 65536)])), spans(&[]));
        assert_eq!(subtract(&from, &spans(&[])), from);
    }
}
