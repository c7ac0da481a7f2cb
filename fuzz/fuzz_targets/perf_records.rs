//! Records of a perf ring, of any layout. However they lie about their lengths, each is read once.
#![no_main]

use damon_ops_vaddr::source::perf::{Layout, Record, Records};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &[u8])| {
    let (bits, bytes) = input;
    let Some(layout) = Layout::from_bits(bits & 0x0009_c18f) else { unreachable!("these are supported") };
    let mut last = None;
    for record in Records::new(bytes, layout) {
        if let Err(bad) = record {
            assert!(last < Some(bad.offset) && bad.offset < bytes.len());
            last = Some(bad.offset);
        }
        if let Ok(Record::Sample(s)) = record {
            assert_eq!(s.addr.is_some(), layout.bits() & Layout::ADDR.bits() != 0);
            s.data_source.map(|source| (source.kind(), source.is_remote()));
        }
    }
});
