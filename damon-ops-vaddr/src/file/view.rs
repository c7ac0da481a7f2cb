//! One mapping of a file, as far as it is seen into: offsets on one side, addresses on the other.

use damon_core::{AddrRange, Seen, Sees, Span, TargetId};

use crate::linux::Mapping;
use crate::own::push_span;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// The file's target.
    pub(super) file: TargetId,
    pub(super) offsets: AddrRange,
    /// The target of the process that maps it there.
    pub(super) target: TargetId,
    pub(super) pid: u32,
    /// Where the first of the offsets is mapped.
    pub(super) start: u64,
    sees: Sees,
}

impl View {
    /// All of a mapping; `None` where its offsets would end above all numbers.
    pub(super) fn new(file: TargetId, target: TargetId, pid: u32, mapping: &Mapping) -> Option<Self> {
        let offsets = AddrRange::from_len(mapping.offset, mapping.range.size())?;
        Some(Self { file, offsets, target, pid, start: mapping.range.start(), sees: Sees::Nothing })
    }

    /// The part of it that is seen in `span`, as it is seen there.
    pub(super) fn seen_in(&self, span: &Span) -> Option<Self> {
        let addrs = AddrRange::from_len(self.start, self.offsets.size())?;
        let part = addrs.intersection(span.range).filter(|_| span.sees.checkable())?;
        let offsets = AddrRange::from_len(self.offset(part.start())?, part.size())?;
        Some(Self { offsets, start: part.start(), sees: span.sees, ..*self })
    }

    /// Where `offset` is mapped.
    pub(super) fn addr(&self, offset: u64) -> Option<u64> {
        self.offsets.contains(offset).then(|| self.start + (offset - self.offsets.start()))
    }

    /// What is mapped at `addr`.
    pub(super) fn offset(&self, addr: u64) -> Option<u64> {
        let into = addr.checked_sub(self.start).filter(|&n| n < self.offsets.size())?;
        Some(self.offsets.start() + into)
    }
}

/// What is seen of a file through `views`, ascending by offset. Where they overlap what all of them show counts.
pub(super) fn spans(views: &[View], out: &mut Vec<Span>) {
    let mut edges: Vec<u64> = views.iter().flat_map(|v| [v.offsets.start(), v.offsets.end()]).collect();
    edges.sort_unstable();
    edges.dedup();
    // Views that may reach beyond the edge, and the first that does not begin before it.
    let (mut open, mut next) = (Vec::<&View>::new(), 0);
    for pair in edges.windows(2) {
        open.retain(|v| v.offsets.end() > pair[0]);
        while let Some(view) = views.get(next).filter(|v| v.offsets.start() <= pair[0]) {
            open.push(view);
            next += 1;
        }
        let sees = open.iter().map(|v| v.sees).reduce(common);
        if let Some((range, sees)) = AddrRange::new(pair[0], pair[1]).zip(sees) {
            push_span(out, Span { range, sees });
        }
    }
}

/// What is visible wherever it happens, seen so through one mapping and so through another.
fn common(a: Sees, b: Sees) -> Sees {
    match (a, b) {
        _ if a == b => a,
        (Sees::Writes, _) | (_, Sees::Writes) => Sees::Writes,
        _ => Sees::Accesses,
    }
}

/// What was seen of a page, seen so through one mapping and so through another. Idle is what is idle through all.
pub(super) const fn stronger(a: Seen, b: Seen) -> Seen {
    match (a, b) {
        (Seen::Written, _) | (_, Seen::Written) => Seen::Written,
        // One of them may have been a write.
        (Seen::Accessed, _) | (_, Seen::Accessed) => Seen::Accessed,
        (Seen::Read, _) | (_, Seen::Read) => Seen::Read,
        (Seen::Idle, Seen::Idle) => Seen::Idle,
        _ => Seen::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(start: u64, end: u64, sees: Sees) -> View {
        let offsets = AddrRange::new(start, end).unwrap();
        View { file: TargetId::new(0), offsets, target: TargetId::new(1), pid: 7, start: 0x7000_0000 + start, sees }
    }

    #[test]
    fn mappings_that_overlap_show_what_all_of_them_show() {
        let views = [view(0, 40, Sees::ReadsAndWrites), view(10, 20, Sees::Writes), view(20, 50, Sees::Accesses)];
        let mut out = Vec::new();
        spans(&views, &mut out);
        let spans: Vec<_> = out.iter().map(|s| (s.range.start(), s.range.end(), s.sees)).collect();
        let expected = [(0, 10, Sees::ReadsAndWrites), (10, 20, Sees::Writes), (20, 50, Sees::Accesses)];
        assert_eq!(spans, expected);
    }

    #[test]
    fn addresses_and_offsets_are_each_others_inverse_and_end_with_the_mapping() {
        let v = view(0x1000, 0x3000, Sees::Accesses);
        assert_eq!((v.addr(0x1000), v.addr(0x3000), v.addr(0xfff)), (Some(0x7000_1000), None, None));
        assert_eq!((v.offset(0x7000_2fff), v.offset(0x7000_3000), v.offset(0)), (Some(0x2fff), None, None));
        let part = v.seen_in(&Span { range: AddrRange::new(0x7000_2000, 0x8000_0000).unwrap(), sees: Sees::Writes });
        let part = part.unwrap();
        assert_eq!((part.offsets, part.start), (AddrRange::new(0x2000, 0x3000).unwrap(), 0x7000_2000));
        assert!(v.seen_in(&Span { range: v.offsets, sees: Sees::Writes }).is_none());
    }

    #[test]
    fn an_access_through_any_mapping_counts_and_idle_is_idle_through_all() {
        assert_eq!(stronger(Seen::Idle, Seen::Read), Seen::Read);
        assert_eq!(stronger(Seen::Accessed, Seen::Read), Seen::Accessed);
        assert_eq!(stronger(Seen::Written, Seen::Unknown), Seen::Written);
        assert_eq!(stronger(Seen::Idle, Seen::Idle), Seen::Idle);
        assert_eq!(stronger(Seen::Idle, Seen::Unknown), Seen::Unknown);
    }
}
