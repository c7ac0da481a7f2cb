//! Traces as text: lackey's and CSV. Whatever is read can be written as CSV and read again.
#![no_main]

use damon_ops_sim::trace::{self, CsvWriter, Event};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(events) = trace::read(text) else { return };
    let read: Vec<Event> = events.map_while(Result::ok).collect();
    let mut csv = CsvWriter::new(Vec::new()).unwrap();
    read.iter().for_each(|event| csv.write(event).unwrap());
    let again: Vec<_> = trace::read(&csv.finish().unwrap()[..]).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, again);
});
