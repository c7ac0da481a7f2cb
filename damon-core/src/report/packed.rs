//! A report as words, for slots that are made of them.

use super::{Access, AccessKind};
use crate::target::{Space, TargetId};
use crate::time::Instant;
use crate::units::NodeId;

/// Words of a report.
pub(super) const WORDS: usize = 12;

const CPU: u32 = 1 << 4;
const THREAD: u32 = 1 << 5;
const NODE: u32 = 1 << 6;
const TIME: u32 = 1 << 7;

/// Flags (kind in bits 0 to 1, space in 2 to 3, what is known in 4 to 7, the node in 16 to 31), weight, address, length, space,
/// CPU, thread, time.
#[inline]
pub(super) fn pack(a: &Access) -> [u32; WORDS] {
    let kind = match a.kind {
        AccessKind::Access => 0,
        AccessKind::Read => 1,
        AccessKind::Write => 2,
        AccessKind::Idle => 3,
    };
    let (space, of) = match a.space {
        Space::Target(id) => (0, id.get().into()),
        Space::Process(pid) => (1, pid.into()),
        Space::File(file) => (2, file),
        Space::Custom(n) => (3, n),
    };
    let known = |known: bool, bit: u32| if known { bit } else { 0 };
    let node = a.node.map_or(0, |n| NODE | u32::from(n.0) << 16);
    let flags = kind
        | space << 2
        | known(a.cpu.is_some(), CPU)
        | known(a.thread.is_some(), THREAD)
        | known(a.time.is_some(), TIME)
        | node;
    let [addr, len, of, time] = [a.addr, a.len, of, a.time.map_or(0, Instant::as_nanos)].map(halves);
    [
        flags,
        a.weight,
        addr[0],
        addr[1],
        len[0],
        len[1],
        of[0],
        of[1],
        a.cpu.unwrap_or(0),
        a.thread.unwrap_or(0),
        time[0],
        time[1],
    ]
}

/// What [`pack`] was given.
#[inline]
pub(super) fn unpack(w: &[u32; WORDS]) -> Access {
    let long = |at: usize| u64::from(w[at + 1]) << 32 | u64::from(w[at]);
    let flags = w[0];
    Access {
        space: match flags >> 2 & 3 {
            0 => Space::Target(TargetId::new(w[6])),
            1 => Space::Process(w[6]),
            2 => Space::File(long(6)),
            _ => Space::Custom(long(6)),
        },
        addr: long(2),
        len: long(4),
        kind: match flags & 3 {
            0 => AccessKind::Access,
            1 => AccessKind::Read,
            2 => AccessKind::Write,
            _ => AccessKind::Idle,
        },
        weight: w[1],
        cpu: (flags & CPU != 0).then_some(w[8]),
        thread: (flags & THREAD != 0).then_some(w[9]),
        node: (flags & NODE != 0).then_some(NodeId((flags >> 16) as u16)),
        time: (flags & TIME != 0).then_some(Instant::from_nanos(long(10))),
    }
}

#[inline]
const fn halves(n: u64) -> [u32; 2] {
    [n as u32, (n >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::option::of;
    use proptest::prelude::*;

    fn any_access() -> impl Strategy<Value = Access> {
        let space = prop_oneof![
            any::<u32>().prop_map(|n| Space::Target(TargetId::new(n))),
            any::<u32>().prop_map(Space::Process),
            any::<u64>().prop_map(Space::File),
            any::<u64>().prop_map(Space::Custom),
        ];
        let kinds = [AccessKind::Access, AccessKind::Read, AccessKind::Write, AccessKind::Idle];
        let where_ = (space, any::<u64>(), any::<u64>(), prop::sample::select(kinds.to_vec()), any::<u32>());
        let who = (of(any::<u32>()), of(any::<u32>()), of(any::<u16>()), of(any::<u64>()));
        (where_, who).prop_map(|((space, addr, len, kind, weight), (cpu, thread, node, time))| Access {
            space,
            addr,
            len,
            kind,
            weight,
            cpu,
            thread,
            node: node.map(NodeId),
            time: time.map(Instant::from_nanos),
        })
    }

    proptest! {
        #[test]
        fn every_report_comes_out_as_it_went_in(access in any_access()) {
            prop_assert_eq!(unpack(&pack(&access)), access);
        }
    }
}
