//! The records of a perf ring: bytes in, samples out.
//!
//! Counterpart: `include/uapi/linux/perf_event.h`, `enum perf_event_type`, Linux 7.3. It knows no descriptor and no ring: what was
//! taken out of one is parsed wherever it comes from, and whatever it says.

use std::fmt;

use damon_core::AccessKind;

/// Which fields the samples have: `sample_type` of `struct perf_event_attr`. Those that have no fixed size (call chains,
/// registers, raw data) are not supported.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout(u64);

impl Layout {
    /// The instruction's address; not kept.
    pub const IP: Self = Self(1 << 0);
    /// Process and thread.
    pub const TID: Self = Self(1 << 1);
    /// The time, on the clock that was asked for.
    pub const TIME: Self = Self(1 << 2);
    /// The address that was accessed.
    pub const ADDR: Self = Self(1 << 3);
    /// The CPU.
    pub const CPU: Self = Self(1 << 7);
    /// How many events the sample stands for.
    pub const PERIOD: Self = Self(1 << 8);
    /// What it cost, usually a latency in cycles.
    pub const WEIGHT: Self = Self(1 << 14);
    /// Load or store, and from where.
    pub const DATA_SRC: Self = Self(1 << 15);
    /// The event's id, first of all; not kept.
    pub const IDENTIFIER: Self = Self(1 << 16);
    /// The physical address that was accessed.
    pub const PHYS_ADDR: Self = Self(1 << 19);

    const KNOWN: u64 = Self::IP.0
        | Self::TID.0
        | Self::TIME.0
        | Self::ADDR.0
        | Self::CPU.0
        | Self::PERIOD.0
        | Self::WEIGHT.0
        | Self::DATA_SRC.0
        | Self::IDENTIFIER.0
        | Self::PHYS_ADDR.0;

    /// From the bits; `None` if they name a field that is not supported.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        if bits & !Self::KNOWN == 0 { Some(Self(bits)) } else { None }
    }

    /// The bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// These fields and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn has(self, field: Self) -> bool {
        self.0 & field.0 != 0
    }
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layout({:#x})", self.0)
    }
}

/// A sampled access. Fields that the layout does not have are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PerfSample {
    /// The process, and its thread; both −1 as `u32::MAX` where the kernel no longer knows.
    pub pid: Option<u32>,
    /// The thread.
    pub tid: Option<u32>,
    /// When, in nanoseconds.
    pub time: Option<u64>,
    /// The virtual address; 0 where the hardware had none.
    pub addr: Option<u64>,
    /// The CPU.
    pub cpu: Option<u32>,
    /// How many events it stands for.
    pub period: Option<u64>,
    /// What it cost, usually a latency in cycles: not how many events it stands for.
    pub weight: Option<u64>,
    /// Load or store, and from where.
    pub data_source: Option<DataSource>,
    /// The physical address.
    pub phys_addr: Option<u64>,
}

/// `union perf_mem_data_src`: what the hardware says about an access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataSource(pub u64);

impl DataSource {
    /// Read or written; [`AccessKind::Access`] where that is not known.
    pub const fn kind(self) -> AccessKind {
        match self.0 >> 1 & 0b11 {
            0b01 => AccessKind::Read,
            0b10 => AccessKind::Write,
            _ => AccessKind::Access,
        }
    }

    /// From another node's memory or caches.
    pub const fn is_remote(self) -> bool {
        self.0 >> 37 & 1 == 1
    }
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// A sample.
    Sample(PerfSample),
    /// So many records did not fit.
    Lost(u64),
    /// The kernel samples less for a while: too many came.
    Throttled,
    /// Something else, by its type.
    Other(u32),
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the perf record at byte {offset} {what}")]
pub struct BadRecord {
    /// Where it begins.
    pub offset: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// The records in `bytes`. One that is bad is an error, and the next one follows; where it is not even known where that would
/// be, nothing follows.
///
/// ```
/// use damon_ops_vaddr::source::perf::{Layout, Record, Records};
/// let layout = Layout::TID.and(Layout::ADDR);
/// let mut bytes = Vec::new();
/// bytes.extend(9_u32.to_ne_bytes()); // PERF_RECORD_SAMPLE
/// bytes.extend([0, 0]);
/// bytes.extend(24_u16.to_ne_bytes());
/// bytes.extend([70_u32, 71].map(u32::to_ne_bytes).concat());
/// bytes.extend(0x7f00_1000_u64.to_ne_bytes());
/// let Some(Ok(Record::Sample(sample))) = Records::new(&bytes, layout).next() else { panic!() };
/// assert_eq!((sample.pid, sample.tid, sample.addr, sample.cpu), (Some(70), Some(71), Some(0x7f00_1000), None));
/// ```
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    offset: usize,
    layout: Layout,
}

const HEADER: usize = 8;
const LOST: u32 = 2;
const THROTTLE: u32 = 5;
const SAMPLE: u32 = 9;
const LOST_SAMPLES: u32 = 13;

impl<'a> Records<'a> {
    /// Reads `bytes`, in which samples have these fields.
    pub const fn new(bytes: &'a [u8], layout: Layout) -> Self {
        Self { bytes, offset: 0, layout }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let (offset, rest) = (self.offset, self.bytes);
        if rest.is_empty() {
            return None;
        }
        let bad = |what| Some(Err(BadRecord { offset, what }));
        self.bytes = &[];
        let mut header = Fields(rest);
        let (Some(kind), Some(_misc), Some(size)) = (header.u32(), header.u16(), header.u16()) else {
            return bad("has no whole header");
        };
        let size = usize::from(size);
        let Some(body) = rest.get(HEADER..size) else {
            return bad("is said to be shorter than its header, or longer than what was read");
        };
        (self.bytes, self.offset) = (&rest[size..], offset + size);
        let mut fields = Fields(body);
        let record = match kind {
            SAMPLE => sample(&mut fields, self.layout).map(Record::Sample),
            LOST => fields.u64().and_then(|_id| fields.u64()).map(Record::Lost),
            LOST_SAMPLES => fields.u64().map(Record::Lost),
            THROTTLE => Some(Record::Throttled),
            other => Some(Record::Other(other)),
        };
        record.map_or_else(|| bad("is too short for its fields"), |record| Some(Ok(record)))
    }
}

/// In the kernel's order.
fn sample(fields: &mut Fields<'_>, layout: Layout) -> Option<PerfSample> {
    let mut s = PerfSample::default();
    let skipped = [Layout::IDENTIFIER, Layout::IP].into_iter().filter(|&f| layout.has(f)).count();
    for _ in 0..skipped {
        fields.u64()?;
    }
    if layout.has(Layout::TID) {
        (s.pid, s.tid) = (Some(fields.u32()?), Some(fields.u32()?));
    }
    if layout.has(Layout::TIME) {
        s.time = Some(fields.u64()?);
    }
    if layout.has(Layout::ADDR) {
        s.addr = Some(fields.u64()?);
    }
    if layout.has(Layout::CPU) {
        s.cpu = Some(fields.u32()?);
        fields.u32()?;
    }
    if layout.has(Layout::PERIOD) {
        s.period = Some(fields.u64()?);
    }
    if layout.has(Layout::WEIGHT) {
        s.weight = Some(fields.u64()?);
    }
    if layout.has(Layout::DATA_SRC) {
        s.data_source = Some(DataSource(fields.u64()?));
    }
    if layout.has(Layout::PHYS_ADDR) {
        s.phys_addr = Some(fields.u64()?);
    }
    Some(s)
}

/// What is left of a record.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_ne_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: Layout = Layout(Layout::KNOWN);

    fn record(kind: u32, body: &[u64]) -> Vec<u8> {
        let mut bytes = kind.to_ne_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(u16::try_from(HEADER + 8 * body.len()).unwrap().to_ne_bytes());
        body.iter().for_each(|word| bytes.extend(word.to_ne_bytes()));
        bytes
    }

    fn halves(low: u32, high: u32) -> u64 {
        u64::from_ne_bytes([low.to_ne_bytes(), high.to_ne_bytes()].concat().try_into().unwrap())
    }

    #[test]
    fn all_fields_are_read_in_the_kernels_order() {
        let load_from_remote = 1 << 1 | 1 << 37;
        let body = [1, 2, halves(30, 31), 4, 5, halves(6, 0), 7, 8, load_from_remote, 10];
        let bytes = [record(SAMPLE, &body), record(LOST, &[1, 12]), record(LOST_SAMPLES, &[3])].concat();
        let records: Vec<_> = Records::new(&bytes, ALL).map(Result::unwrap).collect();
        let expected = PerfSample {
            pid: Some(30),
            tid: Some(31),
            time: Some(4),
            addr: Some(5),
            cpu: Some(6),
            period: Some(7),
            weight: Some(8),
            data_source: Some(DataSource(load_from_remote)),
            phys_addr: Some(10),
        };
        assert_eq!(records, [Record::Sample(expected), Record::Lost(12), Record::Lost(3)]);
        let source = DataSource(load_from_remote);
        assert!(source.is_remote() && source.kind() == AccessKind::Read);
        assert_eq!(
            [1, 1 << 2, 0b11 << 1].map(|bits| DataSource(bits).kind()),
            [AccessKind::Access, AccessKind::Write, AccessKind::Access]
        );
    }

    #[test]
    fn after_a_record_that_is_too_short_the_next_is_read() {
        let bytes = [record(SAMPLE, &[1]), record(THROTTLE, &[]), record(77, &[5])].concat();
        let records: Vec<_> = Records::new(&bytes, ALL).collect();
        let short = BadRecord { offset: 0, what: "is too short for its fields" };
        assert_eq!(records, [Err(short), Ok(Record::Throttled), Ok(Record::Other(77))]);
    }

    #[test]
    fn lengths_that_lie_end_the_reading() {
        let mut lies = record(SAMPLE, &[0; 10]);
        for size in [0_u16, 7, 89, u16::MAX] {
            lies[6..8].copy_from_slice(&size.to_ne_bytes());
            let records: Vec<_> = Records::new(&lies, ALL).collect();
            assert!(matches!(records[..], [Err(BadRecord { offset: 0, .. })]), "{size}: {records:?}");
        }
        assert_eq!(Records::new(&lies[..5], ALL).collect::<Vec<_>>().len(), 1);
    }

    #[test]
    fn fields_without_a_fixed_size_are_refused() {
        assert_eq!(Layout::from_bits(ALL.bits()), Some(ALL));
        for bit in [5, 10, 11, 12, 24] {
            assert_eq!(Layout::from_bits(1 << bit), None, "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic_or_read_a_record_twice(bytes: Vec<u8>, bits: u64) {
            let layout = Layout(bits & Layout::KNOWN);
            prop_assert!(Records::new(&bytes, layout).count() <= bytes.len() / HEADER + 1);
        }

        #[test]
        fn frames_are_kept_whatever_is_in_them(bodies in prop::collection::vec((0u32..20, prop::collection::vec(any::<u64>(), 0..12)), 0..20)) {
            let bytes: Vec<u8> = bodies.iter().flat_map(|(kind, body)| record(*kind, body)).collect();
            prop_assert_eq!(Records::new(&bytes, ALL).count(), bodies.len());
        }
    }
}
