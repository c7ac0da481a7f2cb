//! Telling pages apart: which of many pass the filters of a scheme, and which have the attributes that probes ask for.
//!
//! Counterpart: `damos_folio_filter_match`, `damon_pa_filter_pass` (`mm/damon/ops-common.c`, `mm/damon/paddr.c`, Linux
//! 7.3): the same properties, from the files of page flags instead of from the folio itself.

use std::path::{Path, PathBuf};

use damon_core::{Filter, PageFilter, Probe, passes};

use super::kpage::{Folio, KPageCgroup, KPageFlags, PageFlags, Pfn};
use super::{FileError, PageIdle, PagemapEntry};

/// Where the content of a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// In memory.
    Memory(Pfn),
    /// In swap.
    Swap {
        /// It is anonymous memory.
        anon: bool,
    },
    /// Nowhere: never used, dropped, or in its file alone.
    Nowhere,
    /// In memory, but its frame is hidden from who lacks `CAP_SYS_ADMIN`.
    Hidden,
}

impl From<PagemapEntry> for Whereabouts {
    fn from(e: PagemapEntry) -> Self {
        match e.pfn() {
            Some(pfn) => Self::Memory(pfn),
            None if e.present() => Self::Hidden,
            None if e.swapped() => Self::Swap { anon: !e.is_file_or_shared() },
            None => Self::Nowhere,
        }
    }
}

/// Why filters or probes could not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// A file of page flags could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Frames are hidden.
    #[error("the frames of pages are hidden from this process: page filters and probes take CAP_SYS_ADMIN")]
    Hidden,
    /// A filter that nobody here can answer.
    #[error("the kernel knows no such property of a page: {0:?}; use an actor of your own")]
    Unknown(PageFilter),
}

impl FilterError {
    /// What it takes, for where only that can be said.
    pub const fn way_out(&self) -> &'static str {
        match self {
            Self::File(e) => e.needs,
            Self::Hidden => "page filters and probes take CAP_SYS_ADMIN: the frames of pages are hidden",
            Self::Unknown(_) => "the kernel knows no such property of a page: use an actor of your own",
        }
    }
}

/// Answers for many pages at once. Each file is opened when a filter first asks for what is in it.
///
/// | filter | is true for |
/// |---|---|
/// | anon | anonymous memory, in memory or in swap |
/// | active | a page on an active LRU list |
/// | young | a page on an LRU list that is not idle: accessed since it was marked so; nobody marks it but who monitors by page_idle and [`pass`](Self::pass) |
/// | memcg | a page charged to the cgroup whose directory has this inode |
/// | hugepage_size | a page of a folio of that many bytes: a small page is one of its own |
/// | unmapped | a page in memory that no process maps |
///
/// What is in memory nowhere and in swap nowhere is no page: it passes no filters, except an empty list.
#[derive(Debug)]
pub struct PageFilters {
    root: PathBuf,
    page: u64,
    flags: Option<KPageFlags>,
    cgroups: Option<KPageCgroup>,
    idle: Option<PageIdle>,
    pfns: Vec<Pfn>,
    folios: Vec<Folio>,
    heads: Vec<Pfn>,
    groups: Vec<u64>,
    still: Vec<bool>,
    asked: Vec<Pfn>,
}

/// What is known of one page.
struct View {
    folio: Option<Folio>,
    swapped_anon: bool,
    group: u64,
    idle: bool,
}

impl PageFilters {
    /// Of the machine whose files are under `root` (normally `/`), with pages of `page` bytes.
    pub fn new(root: &Path, page: u64) -> Self {
        Self {
            root: root.into(),
            page,
            flags: None,
            cgroups: None,
            idle: None,
            pfns: Vec::new(),
            folios: Vec::new(),
            heads: Vec::new(),
            groups: Vec::new(),
            still: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Can `filters` be answered here? The files they take are opened, and closed again.
    ///
    /// # Errors
    /// What lacks.
    pub fn supports<'a>(&self, filters: impl IntoIterator<Item = &'a Filter>) -> Result<(), FilterError> {
        Self::new(&self.root, self.page).open(&mut filters.into_iter().map(|f| f.page))
    }

    /// Which of `pages` pass `filters`, in `out`, in their order. Pages that were asked whether they are young are old
    /// afterwards, as in the kernel: the next answer is about what came after this one.
    ///
    /// # Errors
    /// When a file cannot be opened or read, or a filter is nobody's here.
    pub fn pass(&mut self, pages: &[Whereabouts], filters: &[Filter], out: &mut Vec<bool>) -> Result<(), FilterError> {
        out.clear();
        if filters.is_empty() {
            out.resize(pages.len(), true);
            return Ok(());
        }
        self.look(pages, &mut filters.iter().map(|f| f.page))?;
        let mut asked = std::mem::take(&mut self.asked);
        asked.clear();
        for (i, at) in pages.iter().enumerate() {
            let pass = self.view(i, at).is_some_and(|view| {
                passes(filters, |filter| {
                    let has = view.has(filter, self.page);
                    asked.extend(view.folio.filter(|_| has && filter == PageFilter::Young).map(|folio| folio.head));
                    has
                })
            });
            out.push(pass);
        }
        let marked = self.idle.as_mut().filter(|_| !asked.is_empty()).map_or(Ok(()), |idle| idle.set(&asked));
        self.asked = asked;
        Ok(marked?)
    }

    /// Which attributes each of `pages` has, in `out`, in their order: bit *i* for `probes[i]`, eight at most. It reads and
    /// changes nothing.
    ///
    /// # Errors
    /// As for [`pass`](Self::pass).
    pub fn attrs(&mut self, pages: &[Whereabouts], probes: &[Probe], out: &mut Vec<u8>) -> Result<(), FilterError> {
        out.clear();
        if probes.is_empty() {
            out.resize(pages.len(), 0);
            return Ok(());
        }
        self.look(pages, &mut probes.iter().flat_map(|probe| &probe.filters).map(|f| f.page))?;
        for (i, at) in pages.iter().enumerate() {
            let bits = self.view(i, at).map_or(0, |view| {
                let bit = |probe: &Probe| u8::from(passes(&probe.filters, |filter| view.has(filter, self.page)));
                probes.iter().take(8).enumerate().fold(0, |bits, (k, probe)| bits | bit(probe) << k)
            });
            out.push(bits);
        }
        Ok(())
    }

    /// The folio of each of `pages` that is in memory, in `out`, in their order.
    ///
    /// # Errors
    /// When `kpageflags` cannot be opened or read.
    pub fn folios(&mut self, pages: &[Whereabouts], out: &mut Vec<Option<Folio>>) -> Result<(), FilterError> {
        self.look(pages, &mut std::iter::empty())?;
        out.clear();
        out.extend(pages.iter().zip(&self.folios).map(|(at, &f)| matches!(at, Whereabouts::Memory(_)).then_some(f)));
        Ok(())
    }

    fn open(&mut self, wanted: &mut dyn Iterator<Item = PageFilter>) -> Result<(), FilterError> {
        if self.flags.is_none() {
            self.flags = Some(KPageFlags::open(&self.root)?);
        }
        for filter in wanted {
            match filter {
                PageFilter::Memcg(_) if self.cgroups.is_none() => self.cgroups = Some(KPageCgroup::open(&self.root)?),
                PageFilter::Young if self.idle.is_none() => self.idle = Some(PageIdle::open(&self.root)?),
                PageFilter::Memcg(_) | PageFilter::Young => {}
                PageFilter::Anon | PageFilter::Active | PageFilter::HugepageSize { .. } | PageFilter::Unmapped => {}
                other => return Err(FilterError::Unknown(other)),
            }
        }
        Ok(())
    }

    /// Reads what `wanted` asks of `pages`, for [`view`](Self::view).
    fn look(&mut self, pages: &[Whereabouts], wanted: &mut dyn Iterator<Item = PageFilter>) -> Result<(), FilterError> {
        let (mut groups, mut young) = (false, false);
        self.open(&mut wanted.inspect(|filter| {
            groups |= matches!(filter, PageFilter::Memcg(_));
            young |= *filter == PageFilter::Young;
        }))?;
        self.pfns.clear();
        for at in pages {
            self.pfns.push(match *at {
                Whereabouts::Memory(pfn) => pfn,
                Whereabouts::Hidden => return Err(FilterError::Hidden),
                Whereabouts::Swap { .. } | Whereabouts::Nowhere => NO_FRAME,
            });
        }
        if let Some(flags) = &mut self.flags {
            flags.folios(&self.pfns, &mut self.folios)?;
        }
        self.heads.clear();
        self.heads.extend(self.folios.iter().map(|folio| folio.head));
        self.groups.clear();
        if let Some(cgroups) = self.cgroups.as_mut().filter(|_| groups) {
            cgroups.read(&self.heads, &mut self.groups)?;
        }
        self.still.clear();
        if let Some(idle) = self.idle.as_mut().filter(|_| young) {
            idle.read(&self.heads, &mut self.still)?;
        }
        Ok(())
    }

    /// `None`: there is no page.
    fn view(&self, i: usize, at: &Whereabouts) -> Option<View> {
        let none = View { folio: None, swapped_anon: false, group: 0, idle: true };
        match *at {
            Whereabouts::Memory(_) => Some(View {
                folio: self.folios.get(i).copied(),
                swapped_anon: false,
                group: self.groups.get(i).copied().unwrap_or(0),
                idle: self.still.get(i).copied().unwrap_or(true),
            }),
            Whereabouts::Swap { anon } => Some(View { swapped_anon: anon, ..none }),
            Whereabouts::Nowhere | Whereabouts::Hidden => None,
        }
    }
}

/// Beyond the last page of any machine.
const NO_FRAME: Pfn = Pfn(u64::MAX);

impl View {
    fn has(&self, filter: PageFilter, page: u64) -> bool {
        let flags = self.folio.map(|folio| folio.flags);
        let any = |flag| flags.is_some_and(|flags: PageFlags| flags.any(flag));
        match filter {
            PageFilter::Anon => any(PageFlags::ANON) || self.swapped_anon,
            PageFilter::Active => any(PageFlags::ACTIVE),
            PageFilter::Young => any(PageFlags::LRU) && !self.idle,
            PageFilter::Memcg(id) => id != 0 && self.group == id,
            PageFilter::HugepageSize { min, max } => {
                self.folio.is_some_and(|folio| (min..=max).contains(&(folio.pages() * page)))
            }
            PageFilter::Unmapped => flags.is_some() && !any(PageFlags::MMAP),
            _ => false,
        }
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::words::fake::Root;
    use super::*;

    const BITMAP: &str = "sys/kernel/mm/page_idle/bitmap";

    fn filter(page: PageFilter, allow: bool) -> Filter {
        Filter { page, matching: true, allow }
    }

    /// Frames: 0 anon and active; 1 file, inactive, mapped by nobody; 2..4 a folio of two pages, anon; 4 not on a list.
    fn machine() -> Root {
        let root = Root::new();
        let anon = PageFlags::LRU | PageFlags::ANON | PageFlags::MMAP;
        root.put(
            "proc/kpageflags",
            &[
                anon | PageFlags::ACTIVE,
                PageFlags::LRU,
                anon | PageFlags::COMPOUND_HEAD,
                PageFlags::COMPOUND_TAIL,
                PageFlags::MMAP,
            ],
        );
        root.put("proc/kpagecgroup", &[7, 8, 9, 0, 0]);
        root.put(BITMAP, &[0b00010]);
        root
    }

    const ALL: [Whereabouts; 7] = [
        Whereabouts::Memory(Pfn(0)),
        Whereabouts::Memory(Pfn(1)),
        Whereabouts::Memory(Pfn(2)),
        Whereabouts::Memory(Pfn(3)),
        Whereabouts::Memory(Pfn(4)),
        Whereabouts::Swap { anon: true },
        Whereabouts::Nowhere,
    ];

    fn who_is(page: PageFilter) -> Vec<usize> {
        let (root, mut out) = (machine(), Vec::new());
        PageFilters::new(root.path(), 4096).pass(&ALL, &[filter(page, true)], &mut out).unwrap();
        (0..ALL.len()).filter(|&i| out[i]).collect()
    }

    #[test]
    fn each_filter_finds_its_pages_and_tails_answer_as_their_heads() {
        assert_eq!(who_is(PageFilter::Anon), [0, 2, 3, 5]);
        assert_eq!(who_is(PageFilter::Active), [0]);
        assert_eq!(who_is(PageFilter::Young), [0, 2, 3]);
        assert_eq!(who_is(PageFilter::Memcg(9)), [2, 3]);
        assert_eq!(who_is(PageFilter::Memcg(0)), [0; 0]);
        assert_eq!(who_is(PageFilter::HugepageSize { min: 8192, max: 8192 }), [2, 3]);
        assert_eq!(who_is(PageFilter::Unmapped), [1]);
    }

    #[test]
    fn what_is_no_page_passes_an_empty_list_alone() {
        let (root, mut out) = (machine(), Vec::new());
        let mut filters = PageFilters::new(root.path(), 4096);
        filters.pass(&ALL, &[], &mut out).unwrap();
        assert_eq!(out, [true; 7]);
        filters.pass(&ALL, &[filter(PageFilter::Active, false)], &mut out).unwrap();
        assert_eq!(out, [false, true, true, true, true, true, false]);
    }

    #[test]
    fn who_was_asked_whether_it_is_young_is_old_then() {
        let (root, mut out) = (machine(), Vec::new());
        let mut filters = PageFilters::new(root.path(), 4096);
        // Anonymous pages are decided before the second line is asked.
        let both = [filter(PageFilter::Anon, false), filter(PageFilter::Young, true)];
        filters.pass(&ALL, &both, &mut out).unwrap();
        assert_eq!((out.iter().filter(|&&pass| pass).count(), root.get(BITMAP)[0]), (0, 0b00010));
        filters.pass(&ALL, &both[1..], &mut out).unwrap();
        assert_eq!(root.get(BITMAP)[0], 0b00101, "heads only, and only where it was young");
    }

    #[test]
    fn each_probe_has_its_bit_and_asking_changes_nothing() {
        let (root, mut out) = (machine(), Vec::new());
        let probe = |page| Probe { filters: vec![filter(page, true)], weight: 0 };
        let probes = [probe(PageFilter::Anon), probe(PageFilter::Young), probe(PageFilter::Memcg(8))];
        PageFilters::new(root.path(), 4096).attrs(&ALL, &probes, &mut out).unwrap();
        assert_eq!(out, [0b011, 0b100, 0b011, 0b011, 0, 0b001, 0]);
        assert_eq!(root.get(BITMAP)[0], 0b00010);
    }

    #[test]
    fn what_lacks_is_named_when_it_is_asked_first() {
        let root = Root::new();
        let e = PageFilters::new(root.path(), 4096).supports(&[filter(PageFilter::Anon, true)]).unwrap_err();
        assert!(e.to_string().contains("proc/kpageflags"), "{e}");
        let root = machine();
        let filters = PageFilters::new(root.path(), 4096);
        filters.supports(&[filter(PageFilter::Young, true), filter(PageFilter::Memcg(1), true)]).unwrap();
        let e = filters.supports(&[filter(PageFilter::Custom(1), true)]).unwrap_err();
        assert!(matches!(e, FilterError::Unknown(PageFilter::Custom(1))), "{e}");
        let hidden = PageFilters::new(root.path(), 4096).attrs(
            &[Whereabouts::Hidden],
            &[Probe { filters: vec![filter(PageFilter::Anon, true)], weight: 0 }],
            &mut Vec::new(),
        );
        assert!(hidden.unwrap_err().to_string().contains("CAP_SYS_ADMIN"));
    }
}
