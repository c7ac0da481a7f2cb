//! The bag under every interleaving and every allowed reordering, with few slots and short reports.
//!
//! `.ci/jobs/loom` runs them. A report is two equal words here, so that one torn apart would show.

use alloc::sync::Arc;
use alloc::vec::Vec;

use loom::thread;

use super::{Bag, Consumer};

/// What was taken and how many were lost, over several drains.
#[derive(Default)]
struct Got {
    taken: Vec<u32>,
    lost: u64,
}

impl Got {
    fn drain(&mut self, consumer: &mut Consumer<2>) {
        self.lost += consumer.drain(|&[a, b]| {
            assert_eq!(a, b, "a torn report");
            self.taken.push(a);
        });
    }

    /// Whatever happened on the way, in the end each of the `sent` reports was taken once or counted.
    fn assert_complete(mut self, sent: u64) {
        self.taken.sort_unstable();
        assert!(self.taken.windows(2).all(|w| w[0] != w[1]), "taken twice: {:?}", self.taken);
        assert_eq!(self.taken.len() as u64 + self.lost, sent, "{:?}", self.taken);
    }
}

/// A thread for each of `reports`, so many drains meanwhile, and one at the end.
fn explore(shards: u32, slots: u32, reports: &'static [&'static [u32]], drains: u32) {
    loom::model(move || {
        let bag = Arc::new(Bag::<2>::with_shards(shards, slots));
        let mut consumer = Consumer::new(Arc::clone(&bag));
        let producers: Vec<_> = reports
            .iter()
            .map(|words| {
                let bag = Arc::clone(&bag);
                thread::spawn(move || {
                    let place = bag.place();
                    words.iter().filter(|&&word| bag.push(&place, &[word; 2])).count()
                })
            })
            .collect();
        let mut got = Got::default();
        (0..drains).for_each(|_| got.drain(&mut consumer));
        let accepted: usize = producers.into_iter().map(|p| p.join().unwrap()).sum();
        got.drain(&mut consumer);
        assert_eq!(got.taken.len(), accepted, "what was said to be in was taken");
        got.assert_complete(reports.iter().map(|words| words.len() as u64).sum());
    });
}

#[test]
fn loom_two_producers_on_one_shard_and_a_drain() {
    explore(1, 4, &[&[1, 2], &[3]], 1);
}

#[test]
fn loom_a_producer_that_overtakes_the_drain_in_a_full_ring() {
    explore(1, 4, &[&[1, 2, 3, 4, 5, 6]], 1);
}

#[test]
fn loom_two_drains_cancel_and_look_again() {
    explore(1, 4, &[&[1], &[2]], 2);
}

#[test]
fn loom_two_shards_where_one_producer_goes_on_to_the_others() {
    explore(2, 8, &[&[1, 2, 3, 4, 5], &[6]], 1);
}

#[test]
fn loom_a_monitor_that_dies_leaves_every_report_taken_or_pending() {
    loom::model(|| {
        let bag = Arc::new(Bag::<2>::with_shards(1, 4));
        let mut consumer = Consumer::new(Arc::clone(&bag));
        let producer = thread::spawn({
            let bag = Arc::clone(&bag);
            move || {
                let place = bag.place();
                for word in 1..=2 {
                    bag.push(&place, &[word; 2]);
                }
            }
        });
        let mut got = Got::default();
        got.drain(&mut consumer);
        drop(consumer);
        producer.join().unwrap();
        assert_eq!(got.taken.len() as u64 + got.lost + bag.pending(), 2);
    });
}
