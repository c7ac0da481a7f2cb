//! Active and inactive lists of blocks: linked lists inside one array, as there is one list entry a block.

/// No block.
const NONE: u32 = u32::MAX;

/// The list that a block is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct List {
    pub(super) node: u8,
    pub(super) active: bool,
}

impl List {
    fn place(self) -> usize {
        usize::from(self.node) * 2 + usize::from(self.active)
    }
}

#[derive(Clone, Copy, Debug)]
struct Link {
    newer: u32,
    older: u32,
    on: Option<List>,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    newest: u32,
    oldest: u32,
    len: usize,
}

/// The lists of all nodes.
#[derive(Debug)]
pub(super) struct Lru {
    links: Vec<Link>,
    lists: Vec<Ends>,
}

impl Lru {
    pub(super) fn new(nodes: usize, blocks: usize) -> Self {
        Self {
            links: vec![Link { newer: NONE, older: NONE, on: None }; blocks],
            lists: vec![Ends { newest: NONE, oldest: NONE, len: 0 }; nodes * 2],
        }
    }

    /// Where a block is.
    pub(super) fn of(&self, block: u32) -> Option<List> {
        self.links[block as usize].on
    }

    pub(super) fn len(&self, list: List) -> usize {
        self.lists[list.place()].len
    }

    /// The block that is longest on a list.
    pub(super) fn oldest(&self, list: List) -> Option<u32> {
        Some(self.lists[list.place()].oldest).filter(|&b| b != NONE)
    }

    /// Puts a block at the new end of a list, and off the one that it was on.
    pub(super) fn put(&mut self, block: u32, list: List) {
        self.take(block);
        let ends = &mut self.lists[list.place()];
        self.links[block as usize] = Link { newer: NONE, older: ends.newest, on: Some(list) };
        match ends.newest {
            NONE => ends.oldest = block,
            newest => self.links[newest as usize].newer = block,
        }
        ends.newest = block;
        ends.len += 1;
    }

    /// Takes a block off its list.
    pub(super) fn take(&mut self, block: u32) {
        let Link { newer, older, on } = self.links[block as usize];
        let Some(list) = on else { return };
        let ends = &mut self.lists[list.place()];
        ends.len -= 1;
        match newer {
            NONE => ends.newest = older,
            newer => self.links[newer as usize].older = older,
        }
        match older {
            NONE => ends.oldest = newer,
            older => self.links[older as usize].newer = newer,
        }
        self.links[block as usize].on = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const LISTS: [List; 4] = [
        List { node: 0, active: false },
        List { node: 0, active: true },
        List { node: 1, active: false },
        List { node: 1, active: true },
    ];

    proptest! {
        #[test]
        fn the_lists_are_what_queues_would_be(steps in prop::collection::vec((0u32..12, 0usize..5), 0..200)) {
            let mut lru = Lru::new(2, 12);
            let mut queues: [VecDeque<u32>; 4] = Default::default();
            for (block, to) in steps {
                queues.iter_mut().for_each(|q| q.retain(|&b| b != block));
                match LISTS.get(to) {
                    Some(&list) => {
                        queues[to].push_back(block);
                        lru.put(block, list);
                    }
                    None => lru.take(block),
                }
                prop_assert_eq!(lru.of(block), LISTS.get(to).copied());
                for (list, queue) in LISTS.iter().zip(&queues) {
                    prop_assert_eq!(lru.oldest(*list), queue.front().copied());
                    prop_assert_eq!(lru.len(*list), queue.len());
                }
            }
        }
    }
}
