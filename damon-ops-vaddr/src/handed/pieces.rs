//! What of the offered memory is watched, and how: laid out over the mappings, registered, released, taken back.

use std::io;
use std::os::unix::fs::FileExt;

use damon_core::{AddrRange, Sees};

use super::error::{AcceptError, HandedError};
use super::offer::Registered;
use super::{Handed, gone};
use crate::linux::{Mapping, MapsError, Page, parse_maps};
use crate::own::Method;
use crate::own::engine::Ground;
use crate::sys::{Mode, ScanRegion};

/// A range that is watched in one way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) ground: Ground,
    pub(super) registered: Registered,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Watched,
    /// Until it is taken back. What is seen there does not change, so that what is known stays.
    Released,
    /// Another userfaultfd has it.
    Owned,
    /// The kernel does not register such memory.
    Refused,
}

impl Piece {
    pub(super) const fn range(&self) -> AddrRange {
        self.ground.range
    }

    pub(super) const fn sees(&self) -> Sees {
        match self.state {
            State::Watched | State::Released => self.ground.method.sees(),
            State::Owned | State::Refused => Sees::Nothing,
        }
    }

    pub(super) const fn why(&self) -> Option<&'static str> {
        match self.state {
            State::Watched => None,
            State::Released => Some("released until it is taken back"),
            State::Owned => Some("another userfaultfd has it"),
            State::Refused => Some("cannot be registered"),
        }
    }

    /// Its method's mode: none of those used here goes without.
    fn mode(&self) -> Mode {
        self.ground.method.mode().unwrap_or(Mode::Wp)
    }

    /// The owner registered it in this mode: it is not ours to end.
    const fn is_owners(&self, mode: Mode) -> bool {
        self.registered.bits() & mode.bit() != 0
    }
}

impl Handed {
    /// Reads the mappings again and lays out what is watched over them.
    pub(crate) fn refresh(&mut self) -> Result<(), MapsError> {
        self.look_at_mappings()?;
        self.lay_out();
        Ok(())
    }

    /// Reads the mappings. An exited process has none.
    pub(super) fn look_at_mappings(&mut self) -> Result<(), MapsError> {
        let text = match self.read_maps() {
            Ok(text) => text,
            Err(e) if gone(&e) => Vec::new(),
            Err(source) => return Err(MapsError::Read { path: format!("/proc/{}/maps", self.pid()).into(), source }),
        };
        self.mappings = parse_maps(&text)?;
        if self.mappings.is_empty() {
            self.end();
        }
        Ok(())
    }

    /// The descriptor speaks of the memory that it was opened for, whatever the process executes since.
    fn read_maps(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        loop {
            let have = text.len();
            text.resize(have + (64 << 10), 0);
            match self.maps.read_at(&mut text[have..], have as u64) {
                Ok(n) => text.truncate(have + n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => text.truncate(have),
                Err(e) => return Err(e),
            }
            if text.len() == have {
                return Ok(text);
            }
        }
    }

    /// Registers what is on offer, again where it is already: only so a registration that was lost or taken is noticed.
    pub(super) fn lay_out(&mut self) {
        let known = std::mem::take(&mut self.pieces);
        let mut pieces = Vec::new();
        for m in &self.mappings {
            for (range, registered) in self.asked(m) {
                // Cut where something was released, so that a piece is or is not.
                let mut at = range.start();
                while let Some(rest) = AddrRange::new(at, range.end()) {
                    let (part, released) = self.up_to_next_release(rest);
                    at = part.end();
                    let file = m.inode != 0;
                    pieces.extend(if released {
                        self.released_piece(part, file, registered, &known)
                    } else {
                        self.registered_piece(part, file, registered)
                    });
                }
            }
        }
        self.pieces = pieces;
    }

    /// What of a mapping is on offer.
    fn asked(&self, m: &Mapping) -> Vec<(AddrRange, Registered)> {
        if self.offered.is_empty() {
            let whole = m.is_private_anonymous().then_some((m.range, Registered::default()));
            return whole.into_iter().collect();
        }
        let accessible = m.perms.read || m.perms.write;
        let within = self.offered.iter().filter(|_| accessible);
        within.filter_map(|o| Some((o.range.intersection(m.range)?, o.registered))).collect()
    }

    /// The first part of `range` that is released, or is not, from end to end.
    fn up_to_next_release(&self, range: AddrRange) -> (AddrRange, bool) {
        let released = self.released.iter().find(|r| r.contains(range.start()));
        let end = match released {
            Some(r) => r.end().min(range.end()),
            None => {
                let next = self.released.iter().map(|r| r.start()).filter(|&at| at > range.start()).min();
                next.map_or(range.end(), |at| at.min(range.end()))
            }
        };
        (AddrRange::new(range.start(), end).unwrap_or(range), released.is_some())
    }

    /// `range` registered in the first mode that goes.
    fn registered_piece(&self, range: AddrRange, file: bool, registered: Registered) -> Option<Piece> {
        let mut refused = None;
        for method in self.methods_for(registered) {
            let piece = |state| Piece { ground: Ground { method, range, file }, registered, state };
            match self.register(&piece(State::Watched)) {
                Ok(()) => return Some(piece(State::Watched)),
                Err(e) if e.kind() == io::ErrorKind::ResourceBusy => return Some(piece(State::Owned)),
                Err(_) => refused = Some(piece(State::Refused)),
            }
        }
        refused
    }

    /// `range` seen as it was seen before, or as it may be.
    fn released_piece(&self, range: AddrRange, file: bool, registered: Registered, known: &[Piece]) -> Option<Piece> {
        let i = known.partition_point(|p| p.range().end() <= range.start());
        let was = known.get(i).filter(|p| p.range().contains(range.start()) && p.sees() != Sees::Nothing);
        let method = was.map(|p| p.ground.method).or_else(|| self.methods_for(registered).next())?;
        Some(Piece { ground: Ground { method, range, file }, registered, state: State::Released })
    }

    /// Methods that the descriptor allows, those that see more first. Where the owner tracks writes or accesses itself
    /// no other mode can be had.
    fn methods_for(&self, registered: Registered) -> impl Iterator<Item = Method> {
        let (features, wp, rwp) = (self.features, registered.wp, registered.rwp);
        let fits = move |method: &Method| match method {
            Method::RwpAsync => !wp && Mode::Rwp.is_async_in(features),
            _ => !rwp && Mode::Wp.is_async_in(features),
        };
        [Method::RwpAsync, Method::WpAsync].into_iter().filter(fits)
    }

    fn register(&self, piece: &Piece) -> io::Result<()> {
        let mode = piece.mode();
        let Some(uffd) = self.engine.uffd(mode).filter(|_| !piece.is_owners(mode)) else { return Ok(()) };
        uffd.register_beside(piece.range(), mode, piece.registered.bits())
    }

    /// Protects nothing there any more. Registered stays what the owner registered: to end that for a moment would let
    /// faults pass that it wants to see.
    fn let_go(&self, piece: &Piece) {
        let mode = piece.mode();
        let Some(uffd) = self.engine.uffd(mode).filter(|_| piece.state == State::Watched) else { return };
        // Both fail where it is not registered any more, which is what is wanted.
        let _ = if piece.registered.is_none() {
            uffd.unregister(piece.range())
        } else {
            uffd.unprotect(piece.range(), mode)
        };
    }

    /// Lets go of `range`: nothing is protected there any more, and where the owner had registered nothing, nothing is
    /// registered. Samples there are unknown until it is taken back, and what is known of the memory stays: pause the
    /// monitor meanwhile, which freezes ages. A window under way is forgotten.
    pub fn release(&mut self, range: AddrRange) {
        let page = self.engine.page;
        let range = range.aligned_outward(page).unwrap_or(range);
        self.released.push(range);
        self.window.forget();
        for piece in &self.pieces {
            if let Some(part) = piece.range().intersection(range) {
                self.let_go(&Piece { ground: Ground { range: part, ..piece.ground }, ..*piece });
            }
        }
        self.lay_out();
    }

    /// Watches again what was released within `range`, and forgets what was armed there.
    ///
    /// # Errors
    /// When another userfaultfd has some of it: that stays released, as the rest does.
    pub fn take_back(&mut self, range: AddrRange) -> Result<(), HandedError> {
        let range = range.aligned_outward(self.engine.page).unwrap_or(range);
        let within = |r: &AddrRange| range.intersection(*r) == Some(*r);
        let (back, stay): (Vec<_>, Vec<_>) = std::mem::take(&mut self.released).into_iter().partition(within);
        self.released = stay;
        self.window.forget();
        self.lay_out();
        let is_back = |p: &&Piece| back.iter().any(|r| r.contains(p.range().start()));
        let owned = self.pieces.iter().filter(is_back).find(|p| p.state == State::Owned).map(Piece::range);
        match owned {
            None => Ok(()),
            Some(range) => {
                back.into_iter().for_each(|r| self.release(r));
                Err(HandedError::RangeOwned { range })
            }
        }
    }

    /// Is anything released?
    pub fn is_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// Gives back everything.
    pub(super) fn let_go_of_all(&mut self) {
        for piece in std::mem::take(&mut self.pieces) {
            self.let_go(&piece);
        }
    }

    /// Do userfaultfd and page table speak of one process? Registered through the one, it shows in the other. Before
    /// anything is laid out. It cannot be found out without `WP_ASYNC`, nor where nothing is mapped.
    pub(super) fn prove(&mut self) -> Result<(), AcceptError> {
        let Some(uffd) = self.engine.wp.clone() else { return Ok(()) };
        let asked = self.mappings.iter().flat_map(|m| self.asked(m));
        let first = asked
            .filter(|(_, registered)| registered.is_none() || registered.wp)
            .find_map(|(range, registered)| Some((AddrRange::from_len(range.start(), self.engine.page)?, registered)));
        let Some((page, registered)) = first else { return Ok(()) };
        if registered.is_none() && uffd.register(page, Mode::Wp).is_err() {
            // The layout says why.
            return Ok(());
        }
        let mut region = [ScanRegion::default()];
        let scanned = self.engine.pagemap.scan(page, Page::WP_ALLOWED, &mut region);
        if registered.is_none() {
            let _ = uffd.unregister(page);
        }
        match scanned {
            Ok((1, _)) if Page::from_scan(region[0].categories).any(Page::WP_ALLOWED) => Ok(()),
            Ok(_) => Err(AcceptError::Mismatch),
            Err(source) => Err(AcceptError::Io { what: "scan the process's pagemap", source }),
        }
    }
}
