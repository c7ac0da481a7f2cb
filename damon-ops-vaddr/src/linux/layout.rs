//! Which addresses of a process are worth a look: its mappings, without what nobody can access and without big holes.
//!
//! Counterpart: `damon_va_three_regions` (`mm/damon/vaddr.c`, Linux 7.3), which leaves out two holes; here all big ones go.

use damon_core::AddrRange;

use super::{Mapping, three_regions};

/// Which of a process's addresses are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// What is mapped and can be accessed. Holes of `hole_bytes` and more are left out; smaller ones too while there are no
    /// more than `max_spans` ranges, the largest first.
    Mapped {
        /// A hole that is always left out, in bytes.
        hole_bytes: u64,
        /// How many ranges there may be, unless there are more holes of `hole_bytes`.
        max_spans: usize,
    },
    /// The kernel's rule: all from the first mapping to the last, without the two largest holes.
    ThreeRegions,
}

impl Default for Layout {
    /// Holes of 64 MiB, half as many ranges as a monitor has regions by default.
    fn default() -> Self {
        Self::Mapped { hole_bytes: 64 << 20, max_spans: 500 }
    }
}

impl Layout {
    /// The ranges of a process that has `mappings` (ascending), ascending and apart, in `out`.
    pub fn ranges(self, mappings: &[Mapping], out: &mut Vec<AddrRange>) {
        out.clear();
        match self {
            Self::Mapped { hole_bytes, max_spans } => {
                for range in mappings.iter().filter(|m| m.is_accessible()).map(|m| m.range) {
                    join_if(out, range, |hole| hole == 0);
                }
                if out.len() > max_spans.max(1) {
                    let limit = smallest_kept(out, max_spans.max(1)).min(hole_bytes);
                    let pieces = std::mem::take(out);
                    pieces.into_iter().for_each(|range| join_if(out, range, |hole| hole < limit));
                }
            }
            Self::ThreeRegions => {
                out.extend(mappings.iter().filter(|m| !m.is_the_kernels()).map(|m| m.range));
                if let Ok(three) = three_regions(out) {
                    out.clear();
                    out.extend(three);
                }
            }
        }
    }
}

/// Appends `range`, or joins it to the last one where the hole between them is to be `watched`.
fn join_if(out: &mut Vec<AddrRange>, range: AddrRange, watched: impl Fn(u64) -> bool) {
    match out.last_mut() {
        Some(last) if watched(range.start().saturating_sub(last.end())) => {
            *last = AddrRange::new(last.start(), range.end().max(last.end())).unwrap_or(*last);
        }
        _ => out.push(range),
    }
}

/// The size of the smallest hole that is left out where there may be `max` ranges.
fn smallest_kept(ranges: &[AddrRange], max: usize) -> u64 {
    let mut holes: Vec<u64> = ranges.windows(2).map(|p| p[1].start() - p[0].end()).collect();
    holes.sort_unstable_by_key(|&hole| std::cmp::Reverse(hole));
    // `max - 1` holes are left out, and those as large as the next one are not.
    holes.get(max - 1).map_or(0, |&hole| hole + 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::parse_maps;
    use super::*;

    fn maps(lines: &[(u64, u64, &str)]) -> Vec<Mapping> {
        let text: String = lines.iter().map(|(a, b, rest)| format!("{a:x}-{b:x} {rest}\n")).collect();
        parse_maps(text.as_bytes()).unwrap()
    }

    fn ranges(layout: Layout, mappings: &[Mapping]) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        layout.ranges(mappings, &mut out);
        out.iter().map(|r| (r.start(), r.end())).collect()
    }

    const RW: &str = "rw-p 0 0:0 0";

    #[test]
    fn what_nobody_can_access_is_left_out_and_neighbours_are_joined() {
        let m = maps(&[
            (0x1000, 0x2000, RW),
            (0x2000, 0x3000, "r-xp 0 0:1 7 /bin/x"),
            (0x3000, 0x9000, "---p 0 0:0 0"),
            (0x9000, 0xa000, RW),
            (0xb000, 0xc000, "r--p 0 0:0 0 [vvar]"),
            (0xd000, 0xe000, "rw-s 0 0:5 9 /dev/dri/card0"),
            (0xffff_ffff_ff60_0000, 0xffff_ffff_ff60_1000, "--xp 0 0:0 0 [vsyscall]"),
        ]);
        assert_eq!(ranges(Layout::default(), &m), [(0x1000, 0x3000), (0x9000, 0xa000)]);
    }

    #[test]
    fn too_many_ranges_are_joined_across_the_smallest_holes_and_never_across_big_ones() {
        let m = maps(&[(0, 10, RW), (11, 20, RW), (23, 30, RW), (1_000, 1_001, RW), (1_003, 1_004, RW)]);
        let of = |max_spans| ranges(Layout::Mapped { hole_bytes: 500, max_spans }, &m);
        assert_eq!(of(5).len(), 5);
        assert_eq!(of(4), [(0, 20), (23, 30), (1_000, 1_001), (1_003, 1_004)]);
        assert_eq!(of(3), [(0, 20), (23, 30), (1_000, 1_004)]);
        assert_eq!(of(2), [(0, 30), (1_000, 1_004)]);
        assert_eq!(of(1), [(0, 30), (1_000, 1_004)], "the big hole stays out");
        assert_eq!(of(0), of(1));
    }

    #[test]
    fn three_regions_leave_out_two_holes_and_the_kernels_own() {
        let m = maps(&[
            (0x1000, 0x2000, RW),
            (0x100_0000, 0x101_0000, RW),
            (0x102_0000, 0x103_0000, "---p 0 0:0 0"),
            (0x7000_0000, 0x7100_0000, RW),
            (0xffff_ffff_ff60_0000, 0xffff_ffff_ff60_1000, "--xp 0 0:0 0 [vsyscall]"),
        ]);
        let three = ranges(Layout::ThreeRegions, &m);
        assert_eq!(three, [(0x1000, 0x2000), (0x100_0000, 0x103_0000), (0x7000_0000, 0x7100_0000)]);
        assert_eq!(ranges(Layout::ThreeRegions, &m[..2]), [(0x1000, 0x2000), (0x100_0000, 0x101_0000)]);
    }
}
