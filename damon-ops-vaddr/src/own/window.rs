//! What was armed for the samples of the window under way, by address.

use damon_core::Sample;

use super::method::Armed;

#[derive(Debug, Default)]
pub(crate) struct Window {
    addrs: Vec<u64>,
    armed: Vec<Armed>,
}

impl Window {
    /// Forgets the last window. The room for the next one's samples, empty.
    pub(crate) fn open(&mut self) -> Vec<Armed> {
        self.addrs.clear();
        let mut armed = std::mem::take(&mut self.armed);
        armed.clear();
        armed
    }

    /// Nothing is armed any more.
    pub(crate) fn forget(&mut self) {
        self.addrs.clear();
    }

    /// `samples` were armed so, or, where that failed, none was.
    pub(crate) fn arm(&mut self, samples: &[Sample], armed: Vec<Armed>, succeeded: bool) {
        self.armed = armed;
        if succeeded {
            self.addrs.extend(samples.iter().map(|s| s.addr));
        }
    }

    /// What was armed for `samples`, ascending as those were, appended to `out`.
    pub(crate) fn recall(&self, samples: &[Sample], out: &mut Vec<Armed>) {
        let mut at = self.addrs.partition_point(|&a| samples.first().is_some_and(|s| a < s.addr));
        for s in samples {
            while self.addrs.get(at).is_some_and(|&a| a < s.addr) {
                at += 1;
            }
            let armed = self.armed.get(at).filter(|_| self.addrs.get(at) == Some(&s.addr));
            out.push(armed.copied().unwrap_or(Armed::No));
        }
    }
}
