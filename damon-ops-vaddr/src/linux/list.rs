//! Lists of CPUs and nodes.

/// A list as the kernel writes CPUs and nodes: `0-3,8`. `None` where it is no such list, or has numbers above 65,535.
///
/// ```
/// use damon_ops_vaddr::linux::parse_list;
/// assert_eq!(parse_list("0-2,7\n"), Some(vec![0, 1, 2, 7]));
/// assert_eq!(parse_list("\n"), Some(vec![]));
/// assert_eq!(parse_list("2-1"), None);
/// ```
pub fn parse_list(text: &str) -> Option<Vec<u16>> {
    let mut list = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
        if first > last {
            return None;
        }
        list.extend(first..=last);
    }
    list.sort_unstable();
    list.dedup();
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_none_is_refused_and_a_huge_one_costs_nothing() {
        for bad in ["a", "1-", "-1", "3-1", "0-70000", "1,,b", "1-2-3"] {
            assert_eq!(parse_list(bad), None, "{bad}");
        }
        assert_eq!(parse_list("5,1-2,2").unwrap(), [1, 2, 5]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_list_parser_panic(text: String) {
            let _ = parse_list(&text);
        }
    }
}
