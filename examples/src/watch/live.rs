//! The loop between monitor, keys and screen.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use damon_core::DynOps;
use damos::runner::StopError;
use damos::{Context, Kdamond};
use ratatui::crossterm::event::{self, KeyEventKind};

use super::dump::dump;
use super::ink::Ink;
use super::keys::Action;
use super::look::Look;
use super::state::{Event, State, Wish};
use super::tty::Tty;
use super::{plain, screen};
use crate::subject::{Opened, Stop};

/// The screen is drawn anew so often at most.
const DRAW: Duration = Duration::from_millis(100);
/// A key is waited for so long; then there may be something else.
const POLL: Duration = Duration::from_millis(40);
/// What is mapped is looked at so often, and whether it has ended.
const ASK: Duration = Duration::from_secs(1);
/// So many snapshots wait to be shown; more are skipped.
const WAITING: usize = 64;

/// A monitor that runs, and what is known beside it.
#[derive(Debug)]
pub struct Live {
    kdamond: Kdamond<Box<DynOps>>,
    looks: Receiver<Box<Look>>,
    opened: Opened,
    state: State,
    asked: Option<Instant>,
}

impl Live {
    /// Starts to watch.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub fn start(context: Context<Box<DynOps>>, opened: Opened, state: State) -> Result<Self, Box<dyn Error>> {
        let (sender, looks) = sync_channel(WAITING);
        let kdamond = Kdamond::spawn_with(context, show(sender))?;
        Ok(Self { kdamond, looks, opened, state, asked: None })
    }

    /// Draws until somebody quits or `stop` says so. When what is watched ends, the last picture stays.
    ///
    /// # Errors
    /// When the terminal is gone, or monitoring fails for good.
    pub fn screen(mut self, stop: &Stop, unicode: bool) -> Result<(), Box<dyn Error>> {
        let mut tty = Tty::take()?;
        let mut drawn: Option<Instant> = None;
        let mut dirty = true;
        loop {
            dirty |= self.take_in();
            if dirty && drawn.is_none_or(|at| at.elapsed() >= DRAW) {
                let ink = Ink { colour: self.state.colour, unicode };
                tty.draw(|frame| screen::draw(&self.state, ink, frame.area(), frame.buffer_mut()))?;
                (drawn, dirty) = (Some(Instant::now()), false);
            }
            if stop.wait(Duration::ZERO, &mut None) || self.kdamond.is_finished() {
                break;
            }
            if !event::poll(POLL)? {
                continue;
            }
            dirty = true;
            let wish = match event::read()? {
                event::Event::Key(key) if key.kind != KeyEventKind::Release => {
                    drawn = None;
                    Action::of(key).and_then(|action| self.state.update(Event::Asked(action)))
                }
                _ => None,
            };
            match wish {
                Some(Wish::Quit) => break,
                Some(Wish::Dump) => self.dump(tty.size()),
                Some(Wish::Suspend) => tty.suspend()?,
                Some(Wish::Redraw) => tty.clear()?,
                None => {}
            }
        }
        drop(tty);
        self.end()
    }

    /// Prints a line a second until `stop` says so, or what is watched ends.
    ///
    /// # Errors
    /// When monitoring fails for good, or nobody reads.
    pub fn lines(mut self, stop: &Stop) -> Result<(), Box<dyn Error>> {
        let (mut start, mut out) = (None, io::stdout());
        loop {
            let over = stop.wait(ASK, &mut None) || self.kdamond.is_finished();
            let new = self.take_in();
            start = start.or(self.state.history.start());
            if let Some(line) = start.filter(|_| new).and_then(|start| plain::line(&self.state, start)) {
                writeln!(out, "{line}")?;
            }
            if let Some(how) = &self.state.ended {
                writeln!(out, "{how}")?;
            }
            if over || self.state.ended.is_some() {
                return self.end();
            }
        }
    }

    /// All that has happened since the last time; true if something has.
    fn take_in(&mut self) -> bool {
        let mut new = false;
        while let Ok(look) = self.looks.try_recv() {
            self.state.update(Event::Look(look));
            new = true;
        }
        if self.asked.is_none_or(|at| at.elapsed() >= ASK) && self.state.ended.is_none() {
            self.asked = Some(Instant::now());
            if let Some((target, ..)) = self.state.target() {
                let (pid, mappings) = (self.opened.pid(target), self.opened.mappings(target));
                self.state.update(Event::Mapped(target, pid, mappings));
            } else {
                // As soon as there is a target its mappings are wanted.
                self.asked = None;
            }
            if let Some(how) = self.opened.ended() {
                self.state.update(Event::Ended(how));
                new = true;
            }
        }
        new
    }

    fn dump(&mut self, size: (u16, u16)) {
        let said = match dump(&self.state, size, Path::new(".")) {
            Ok([text, record]) => format!("wrote {} and {}", text.display(), record.display()),
            Err(e) => e.to_string(),
        };
        self.state.update(Event::Said(said));
    }

    fn end(self) -> Result<(), Box<dyn Error>> {
        match self.kdamond.stop() {
            Ok(_) => Ok(()),
            Err(StopError::Failed { error, .. }) => Err(error.into()),
            Err(e) => Err(e.to_string().into()),
        }
    }
}

/// Sends what is seen; whoever monitors never waits for whoever draws.
fn show(sender: SyncSender<Box<Look>>) -> impl FnMut(&Context<Box<DynOps>>) + Send + 'static {
    let mut skipped = 0;
    move |context| {
        if sender.try_send(Box::new(Look::of(context, skipped))).is_err() {
            skipped += 1;
        }
    }
}
