//! A node of memory: its frames, who is in them, and how much is kept free.

use super::spec::{Kind, NodeSpec};
use super::{Costs, PAGE};

/// Blocks that are kept free, as the page allocator keeps them.
///
/// Counterpart: `__setup_per_zone_wmarks` (`mm/page_alloc.c`, Linux 7.3), with `watermark_scale_factor` 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// Nobody gets memory below that.
    pub(super) min: usize,
    /// First touch goes elsewhere, and kswapd begins.
    pub(super) low: usize,
    /// kswapd ends, and hint faults promote only above that.
    pub(super) high: usize,
    /// kswapd ends where it makes room for promotions.
    pub(super) promo: usize,
}

impl Marks {
    fn new(frames: usize, block: u64) -> Self {
        let bytes = frames as u64 * block;
        // min_free_kbytes is four times the root of the kibibytes.
        let min = 4 * (bytes / 1024).isqrt() * 1024;
        let step = (min / 4).max(bytes / 1_000);
        let blocks = |bytes: u64| bytes.div_ceil(block) as usize;
        let [min, low, high, promo] = [min, min + step, min + 2 * step, min + 3 * step].map(blocks);
        // Of few blocks each mark is one more than the last.
        let low = low.max(min + 1);
        let high = high.max(low + 1);
        Self { min, low, high, promo: promo.max(high + 1) }
    }
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: u16,
    pub(super) kind: Kind,
    pub(super) socket: u8,
    /// Idle latency from its own socket.
    pub(super) latency_ns: f64,
    /// Bytes a second.
    pub(super) bandwidth: f64,
    /// Its first physical address.
    pub(super) base: u64,
    /// The block in each frame.
    pub(super) frames: Vec<Option<u32>>,
    /// Frames that are free; the last is taken first.
    free: Vec<u32>,
    pub(super) marks: Marks,
    pub(super) online: bool,
    /// Of its bandwidth, in the last step.
    pub(super) utilisation: f64,
    /// Bytes of migrations since the last step.
    pub(super) migrated: f64,
}

impl Node {
    pub(super) fn new(spec: &NodeSpec, costs: &Costs, block: u64, base: u64) -> Self {
        let frames = (spec.gib * (1u64 << 30) as f64) as u64 / block;
        let (latency_ns, gbps) = match spec.kind {
            Kind::Dram => (costs.dram_ns, costs.dram_gbps),
            Kind::Cxl => (costs.cxl_ns, costs.cxl_gbps),
            Kind::Far => (costs.far_ns, costs.far_gbps),
        };
        let count = frames as usize;
        Self {
            id: spec.id,
            kind: spec.kind,
            socket: spec.socket,
            latency_ns,
            bandwidth: spec.gb_per_s.unwrap_or(gbps) * 1e9,
            base,
            frames: vec![None; count],
            free: (0..u32::try_from(frames).unwrap_or(u32::MAX)).rev().collect(),
            marks: Marks::new(count, block),
            online: true,
            utilisation: 0.0,
            migrated: 0.0,
        }
    }

    pub(super) fn free(&self) -> usize {
        if self.online { self.free.len() } else { 0 }
    }

    /// Takes a frame for `block` if more than `keep` are free.
    pub(super) fn take(&mut self, block: u32, keep: usize) -> Option<u32> {
        if self.free() <= keep {
            return None;
        }
        let frame = self.free.pop()?;
        self.frames[frame as usize] = Some(block);
        Some(frame)
    }

    pub(super) fn give(&mut self, frame: u32) {
        self.frames[frame as usize] = None;
        self.free.push(frame);
    }

    /// Idle latency from a socket.
    pub(super) fn latency_from(&self, socket: u8, costs: &Costs) -> f64 {
        self.latency_ns + if socket == self.socket { 0.0 } else { costs.socket_ns }
    }
}

/// Pages of a block.
pub(super) const fn pages(block: u64) -> f64 {
    (block / PAGE) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watermarks_are_those_of_a_kernel_on_as_much_memory() {
        // 250 GiB: min_free_kbytes 64.8 MB, and a thousandth of the node between marks.
        let marks = Marks::new(250 << 10, 1 << 20);
        assert_eq!(marks, Marks { min: 64, low: 320, high: 576, promo: 832 });
        let small = Marks::new(16, 4 << 20);
        assert!(small.min < small.low && small.low < small.high && small.high < small.promo);
    }

    #[test]
    fn frames_are_taken_once_and_the_last_ones_are_kept() {
        let spec = NodeSpec { id: 3, gib: 0.0625, kind: Kind::Cxl, socket: 0, gb_per_s: None };
        let mut node = Node::new(&spec, &Costs::default(), 4 << 20, 0);
        let taken: Vec<_> = (0..20).map_while(|b| node.take(b, 4)).collect();
        assert_eq!(taken, (0..12).collect::<Vec<_>>());
        node.give(5);
        assert_eq!((node.free(), node.take(99, 0)), (5, Some(5)));
    }
}
