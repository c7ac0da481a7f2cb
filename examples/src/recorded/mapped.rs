//! What is mapped where, in a few words.

use damon_core::AddrRange;
use damos::record::Mapping;

/// So many names stand for a range.
const MOST: usize = 3;

/// What is mapped in a range, the largest first; `None` where nothing is known of it.
pub(super) fn names(range: AddrRange, mappings: &[Mapping]) -> Option<String> {
    let mut names: Vec<(&str, u64)> = Vec::new();
    for m in mappings {
        let Some(common) = AddrRange::new(m.start, m.end).and_then(|r| r.intersection(range)) else { continue };
        let name = match m.name.rsplit('/').next().unwrap_or(&m.name) {
            "" => "anon",
            name => name,
        };
        match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, bytes)) => *bytes += common.size(),
            None => names.push((name, common.size())),
        }
    }
    names.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
    let more = if names.len() > MOST { ", .." } else { "" };
    let names: Vec<_> = names.iter().take(MOST).map(|&(name, _)| name).collect();
    (!names.is_empty()).then(|| names.join(", ") + more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_named_first_and_each_once() {
        let mapping = |start, end, name: &str| Mapping { start, end, name: name.into() };
        let mappings = [
            mapping(0, 10, "/lib/a.so"),
            mapping(10, 40, ""),
            mapping(40, 55, "/lib/a.so"),
            mapping(60, 62, "[heap]"),
            mapping(62, 63, "[stack]"),
        ];
        let of = |start, end| names(AddrRange::new(start, end).unwrap(), &mappings);
        assert_eq!(of(0, 50).as_deref(), Some("anon, a.so"));
        assert_eq!(of(0, 100).as_deref(), Some("anon, a.so, [heap], .."));
        assert_eq!(of(63, 90), None);
    }
}
