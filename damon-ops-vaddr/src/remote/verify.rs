//! Is what was done to another process's memory in effect? Looked at afterwards, by other calls than those that did it.

use damon_core::{Action, AddrRange, Request, TargetId};

use super::act::{Looked, RemoteActError, RemoteActor, mapped};
use crate::linux::act::nodes_of;
use crate::linux::{Mapping, Page, PagemapEntry, Process};
use crate::sys::{Pagemap, ScanRegion, cached};

/// Pages that are looked at in one go.
const PAGES: u64 = 8_192;

impl RemoteActor {
    /// Of how many bytes of `range` it is true; `None`: nobody can tell of any of them. What nobody can tell of some
    /// is not counted.
    pub(super) fn in_effect(
        &mut self,
        target: TargetId,
        range: AddrRange,
        req: &Request<'_>,
    ) -> Result<Option<u64>, RemoteActError> {
        let page = self.page;
        let Some(looked) = self.looked_at(target)? else { return Ok(None) };
        let Looked { process, mappings, pagemap, .. } = looked;
        let mut sum: Option<u64> = None;
        let mut entries = Vec::new();
        for (mapping, part) in mapped(mappings, range, page) {
            let bytes = match req.action {
                Action::Pageout if mapping.perms.shared => cache(process, mapping, part).map(|n| part.size() - n),
                Action::Willneed if mapping.perms.shared => cache(process, mapping, part),
                Action::Collapse => huge(process, part, page),
                Action::Pageout | Action::MigrateHot | Action::MigrateCold => {
                    let mut pages = 0;
                    let mut at = part.start();
                    while let Some(chunk) = AddrRange::new(at, part.end().min(at.saturating_add(PAGES * page))) {
                        at = chunk.end();
                        let addrs = (chunk.start()..chunk.end()).step_by(page as usize);
                        pages += if req.action == Action::Pageout {
                            pagemap.entries(addrs, &mut entries).map_err(crate::linux::FilterError::from)?;
                            entries.iter().flatten().filter(|e: &&PagemapEntry| e.swapped()).count()
                        } else {
                            let addrs: Vec<u64> = addrs.collect();
                            let nodes = nodes_of(process.pidfd(), &addrs)?;
                            let there = |node| req.dests.iter().any(|dest| dest.weight > 0 && dest.node == node);
                            nodes.into_iter().flatten().filter(|&node| there(node)).count()
                        };
                    }
                    Some(pages as u64 * page)
                }
                _ => return Ok(None),
            };
            sum = match (sum, bytes) {
                (Some(sum), Some(bytes)) => Some(sum + bytes),
                (sum, bytes) => sum.or(bytes),
            };
        }
        Ok(sum)
    }
}

/// Bytes of `part` of a shared mapping whose pages are in the page cache. `None`: its file cannot be opened or asked.
fn cache(process: &Process, mapping: &Mapping, part: AddrRange) -> Option<u64> {
    let name = format!("map_files/{:x}-{:x}", mapping.range.start(), mapping.range.end());
    let file = std::fs::File::open(process.path(&name)).ok()?;
    let offset = mapping.offset + (part.start() - mapping.range.start());
    cached(&file, offset, part.size()).ok().map(|bytes| bytes.min(part.size()))
}

/// Bytes of `part` that are mapped by huge pages. `None`: the page table cannot be scanned.
fn huge(process: &Process, part: AddrRange, page: u64) -> Option<u64> {
    let pagemap = Pagemap::open_at(&process.path("pagemap"), page).ok()?;
    let (mut bytes, mut rest) = (0, Some(part));
    let mut regions = [ScanRegion::default(); 64];
    while let Some(at) = rest {
        let (n, walked) = pagemap.scan(at, Page::HUGE, &mut regions).ok()?;
        let huge = regions[..n].iter().filter(|r| Page::from_scan(r.categories).any(Page::HUGE));
        bytes += huge.map(|r| r.end.saturating_sub(r.start)).sum::<u64>();
        rest = AddrRange::new(walked, part.end()).filter(|_| walked > at.start());
    }
    Some(bytes)
}
