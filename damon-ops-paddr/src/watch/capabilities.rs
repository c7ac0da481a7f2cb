//! What works on this machine, and who is not seen: found by trying, for people to read.

use std::fmt;
use std::hint::black_box;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use damon_ops_vaddr::linux::{
    FileError, KPageCgroup, KPageCount, KPageFlags, PageFlags, PageIdle, Pfn, ProcessPagemap, page_size,
};

use crate::ram::system_ram;

/// A file of the kernel's, and what became of trying it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facility {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub gives: &'static str,
    /// Nothing is watched without it.
    pub needed: bool,
    /// Why it does not work, and what would help; `None`: it works.
    pub fails: Option<String>,
}

/// What works here. `Display` prints it as a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Every file that physical memory is seen by.
    pub facilities: Vec<Facility>,
}

impl Capabilities {
    /// Whose accesses are invisible, and which memory is.
    pub const BLIND: &'static str = "devices (DMA) and the kernel itself; memory on no LRU list: free, of hugetlbfs, the \
        kernel's own (slab, page tables, vmalloc)";

    /// Tries all on the machine under `root`; accesses only where that is this machine.
    pub fn find(root: &Path) -> Self {
        let facility = |name, needed, gives, fails: Option<String>| Facility { name, gives, needed, fails };
        let opens = |result: Result<(), FileError>| result.err().map(|e| e.to_string());
        let idle = if root == Path::new("/") { sees_accesses() } else { opens(PageIdle::open(root).map(drop)) };
        let facilities = vec![
            facility("iomem", true, "which addresses are memory", system_ram(root).err().map(|e| e.to_string())),
            facility("kpageflags", true, "which pages can be watched", opens(KPageFlags::open(root).map(drop))),
            facility("page_idle", true, "reads and writes", idle),
            facility("kpagecount", false, "actions: who maps a page", opens(KPageCount::open(root).map(drop))),
            facility("kpagecgroup", false, "filters and probes by memcg", opens(KPageCgroup::open(root).map(drop))),
        ];
        Self { facilities }
    }

    /// Can memory be watched?
    pub fn suffices(&self) -> bool {
        self.facilities.iter().all(|f| f.fails.is_none() || !f.needed)
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Facility { name, gives, fails, .. } in &self.facilities {
            write!(f, "{name:<12} {gives:<28} ")?;
            match fails {
                None => writeln!(f, "works")?,
                Some(why) => writeln!(f, "fails: {why}")?,
            }
        }
        write!(f, "never seen: {}", Self::BLIND)
    }
}

/// Why accesses to memory made for the test are not seen as they should.
fn sees_accesses() -> Option<String> {
    let mut last = None;
    // Somebody else may age pages at the same moment. An emulated CPU notices that a bit was cleared, and shows accesses, when it
    // switches to another task, which takes the longer the less of the real one it gets.
    for wait_ms in [3, 15, 75] {
        match try_accesses(Duration::from_millis(wait_ms)) {
            Ok(()) => return None,
            Err(why) => last = Some(why),
        }
    }
    last
}

/// Pages of the test: more than the kernel holds back from the LRU lists of each CPU.
const PAGES: usize = 192;

fn try_accesses(wait: Duration) -> Result<(), String> {
    let root = Path::new("/");
    let says = |e: FileError| e.to_string();
    let (mut idle, mut flags) = (PageIdle::open(root).map_err(says)?, KPageFlags::open(root).map_err(says)?);
    let page = page_size();
    let mut table = ProcessPagemap::open("/proc/self/pagemap".into(), page).map_err(says)?;

    let words = usize::try_from(page).unwrap_or(4096) / 8;
    let mut memory = vec![1_u64; words * PAGES];
    let addrs: Vec<u64> = (0..PAGES).map(|n| &raw const memory[n * words] as u64).collect();
    let mut entries = Vec::new();
    table.entries(addrs, &mut entries).map_err(says)?;
    let pfns: Vec<Pfn> = entries.iter().map(|e| e.and_then(|e| e.pfn()).unwrap_or(Pfn(u64::MAX))).collect();
    if pfns.iter().all(|pfn| *pfn == Pfn(u64::MAX)) {
        return Err("/proc/self/pagemap hides frames: it takes CAP_SYS_ADMIN in the initial user namespace".into());
    }
    let mut folios = Vec::new();
    flags.folios(&pfns, &mut folios).map_err(says)?;
    // One page of each folio, each second of which is touched; with its place.
    let mut listed: Vec<usize> = (0..PAGES).filter(|&n| folios[n].flags.any(PageFlags::LRU)).collect();
    listed.dedup_by_key(|n| folios[*n].head);
    let heads: Vec<Pfn> = listed.iter().map(|&n| folios[n].head).collect();
    if heads.len() < 2 {
        return Err(format!(
            "of {PAGES} new pages {} are on an LRU list: transparent huge pages hide the rest",
            heads.len()
        ));
    }
    let mut before = Vec::new();
    idle.set(&heads).map_err(says)?;
    idle.read(&heads, &mut before).map_err(says)?;
    sleep(wait);
    for &n in listed.iter().step_by(2) {
        black_box(&mut memory)[n * words] += 1;
    }
    sleep(wait);
    let mut after = Vec::new();
    idle.read(&heads, &mut after).map_err(says)?;
    let wrong = (0..heads.len()).filter(|&i| !before[i] || after[i] == (i % 2 == 0)).count();
    // The allocator's own words share the first and the last page.
    if wrong > heads.len() / 10 + 2 {
        return Err(format!("of {} pages {wrong} showed other accesses than there were", heads.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    #[test]
    fn what_is_missing_is_named_and_what_is_optional_does_not_stop_it() {
        let tree = Tree::new(&[
            ("proc/iomem", "00001000-0009ffff : System RAM\n"),
            ("proc/kpageflags", ""),
            ("sys/kernel/mm/page_idle/bitmap", ""),
        ]);
        let found = Capabilities::find(tree.path());
        assert!(found.suffices(), "{found}");
        let text = found.to_string();
        assert!(text.contains("proc/kpagecgroup") && text.contains("hugetlbfs"), "{text}");
        tree.remove("sys/kernel/mm/page_idle/bitmap");
        let found = Capabilities::find(tree.path());
        assert!(!found.suffices() && found.to_string().contains("CONFIG_IDLE_PAGE_TRACKING"), "{found}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_can_or_says_why_not() {
        let found = Capabilities::find(Path::new("/"));
        println!("{found}");
        assert!(found.facilities.iter().all(|f| f.fails.as_ref().is_none_or(|why| why.len() > 10)), "{found}");
    }
}
