//! Whatever is called in whatever order, the invariants hold. For every adjuster.

use super::*;
use crate::attrs::Adjust;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Call {
    Windows(u8),
    Ranges(Vec<(u16, u8, u8)>),
    Hot(u16, u8),
    See(u8),
    Fail(u8),
    Late(u8),
    Commit(u8, u8, u8),
    Join(u8),
    Leave(u8),
    Replace(u8),
    Pause,
    Resume,
    Cut(u8, u8, u16),
    Unite(u8, u8),
    Report(u8, u16, u8, u8),
}

fn call() -> impl Strategy<Value = Call> {
    use Call::*;
    let span = (0u16..2_000, 1u8..99, 0u8..5);
    let memory = prop_oneof![
        prop::collection::vec(span, 0..9).prop_map(Ranges),
        (0u16..2_000, any::<u8>()).prop_map(|(a, n)| Hot(a, n)),
        (0u8..6).prop_map(See),
        (0u8..4).prop_map(Fail),
        any::<u8>().prop_map(Late),
    ];
    let control = prop_oneof![
        (1u8..20, 1u8..30, 0u8..5).prop_map(|(s, n, m)| Commit(s, n, m)),
        (0u8..3).prop_map(Join),
        (0u8..3).prop_map(Leave),
        (0u8..3).prop_map(Replace),
        Just(Pause),
        Just(Resume),
    ];
    let gap = prop_oneof![
        (0u8..3, any::<u8>(), any::<u16>()).prop_map(|(t, i, a)| Cut(t, i, a)),
        (0u8..3, any::<u8>()).prop_map(|(t, i)| Unite(t, i)),
        (0u8..4, 0u16..2_100, any::<u8>(), 0u8..4).prop_map(|(t, a, n, k)| Report(t, a, n, k)),
    ];
    prop_oneof![6 => (1u8..60).prop_map(Windows), 5 => memory, 5 => control, 4 => gap]
}

const SEES: [Sees; 5] = [Sees::Accesses, Sees::Writes, Sees::Nothing, Sees::Reports, Sees::ReadsAndWrites];
const PAGE: u64 = 4096;

fn apply(m: &mut Monitor, ops: &mut Fake, now: &mut Instant, call: Call) {
    let id = |t: u8| TargetId::new(t.into());
    match call {
        Call::Windows(n) => {
            for _ in 0..n {
                if m.is_paused() {
                    assert_eq!(m.begin(*now, ops), Ok(Next::Parked));
                } else if let Ok(Next::At(due)) = m.begin(*now, ops) {
                    *now = due;
                    let _ = m.end(*now, ops);
                }
                assert_invariants(m);
            }
        }
        Call::Ranges(list) => {
            let spans: Vec<_> = list
                .into_iter()
                .map(|(a, n, s)| {
                    span(u64::from(a) * PAGE + 7, (u64::from(a) + u64::from(n)) * PAGE, SEES[usize::from(s)])
                })
                .collect();
            (0..3).for_each(|t| drop(ops.spans.insert(id(t), spans.clone())));
            *now = *now + m.attrs().spec().update;
        }
        Call::Hot(a, n) => {
            ops.hot = Some(u64::from(a) * PAGE..(u64::from(a) + u64::from(n)) * PAGE).into_iter().collect();
        }
        Call::See(s) => {
            ops.seen = [
                None,
                Some(Seen::Unknown),
                Some(Seen::Idle),
                Some(Seen::Accessed),
                Some(Seen::Read),
                Some(Seen::Written),
            ][usize::from(s)];
            ops.extent = PAGE << s;
        }
        Call::Fail(n) => ops.failures = n.into(),
        Call::Late(ms) => *now = *now + Duration::from_millis(ms.into()),
        Call::Commit(sampling, windows, more) => m.commit(attrs(|s| {
            let adjust = m.attrs().spec().adjust;
            s.adjust = match (windows % 4, adjust) {
                (0, Adjust::Classic) => Adjust::Adaptive,
                (0, Adjust::Adaptive) => Adjust::Classic,
                (_, kept) => kept,
            };
            s.sampling = Duration::from_millis(sampling.into());
            s.aggregation = s.sampling * u32::from(windows);
            s.max_nr_regions = 10 << more;
            s.granule = PAGE << (more % 3);
            s.max_checks = (more == 3).then_some(12);
            s.probes = vec![crate::Probe::default(); usize::from(more)];
        })),
        Call::Join(t) => {
            m.add_target(TargetSpec { weight: u16::from(t) * 50, group: u32::from(t) / 2, ..TargetSpec::new(id(t)) });
        }
        Call::Leave(t) => drop(m.remove_target(id(t))),
        Call::Replace(t) => drop(m.replace_target(id(t))),
        Call::Pause => m.pause(),
        Call::Resume => m.resume(),
        Call::Cut(t, i, a) => {
            if let Some(mut e) = m.edit(id(t)) {
                let at = e.regions().get(usize::from(i)).map_or(0, |r| r.start + u64::from(a) * PAGE % r.size());
                let _ = e.cut(i.into(), at);
            }
        }
        Call::Unite(t, i) => {
            if let Some(mut e) = m.edit(id(t)) {
                let _ = e.join(i.into());
                let _ = e.reset_age(i.into());
            }
        }
        Call::Report(t, a, n, k) => {
            use crate::report::AccessKind::*;
            let kind = [Access, Read, Write, Idle][usize::from(k)];
            m.report_access(crate::Access {
                kind,
                ..crate::Access::new(id(t), u64::from(a) * PAGE, u64::from(n) * PAGE)
            });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_calls_keeps_the_invariants(calls in prop::collection::vec(call(), 1..40), seed: u64) {
        for adjust in [Adjust::Classic, Adjust::Adaptive] {
            let (mut ops, mut now) = (Fake::new(900 * PAGE, 0..99 * PAGE), Instant::ZERO);
            let mut m = Monitor::new(attrs(|s| s.adjust = adjust), seed);
            m.add_target(TargetSpec::new(T));
            for call in calls.clone() {
                apply(&mut m, &mut ops, &mut now, call);
                assert_invariants(&m);
            }
        }
    }

    #[test]
    fn equal_seeds_and_inputs_give_equal_outputs(calls in prop::collection::vec(call(), 1..20), seed: u64) {
        let run = |adjust| {
            let (mut ops, mut now) = (Fake::new(900 * PAGE, 0..99 * PAGE), Instant::ZERO);
            let mut m = Monitor::new(attrs(|s| s.adjust = adjust), seed);
            m.add_target(TargetSpec::new(T));
            calls.iter().for_each(|call| apply(&mut m, &mut ops, &mut now, call.clone()));
            m.view().snapshot()
        };
        for adjust in [Adjust::Classic, Adjust::Adaptive] {
            prop_assert_eq!(run(adjust), run(adjust));
        }
    }
}
