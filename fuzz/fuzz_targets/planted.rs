//! Fuzzing is tested too: a reader of records that believes their lengths. It must be found out in seconds.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    while rest.len() >= 8 {
        let kind = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]);
        let size = usize::from(u16::from_ne_bytes([rest[6], rest[7]]));
        if kind == 9 && rest[8..size].len() > 1_000 {
            return;
        }
        rest = rest.get(size.max(8)..).unwrap_or_default();
    }
});
