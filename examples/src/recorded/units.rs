//! Figures with units that cannot be taken for one another.

/// Microseconds as time.
pub(crate) fn time(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us:.0} us"),
        us if us < 1e6 => format!("{:.1} ms", us / 1e3),
        us if us < 120e6 => format!("{:.1} s", us / 1e6),
        us if us < 7_200e6 => format!("{:.1} min", us / 60e6),
        us if us < 172_800e6 => format!("{:.1} h", us / 3_600e6),
        us => format!("{:.1} d", us / 86_400e6),
    }
}

/// Accesses seen per second.
pub(crate) fn hz(hz: f64) -> String {
    if hz < 10.0 && hz != 0.0 { format!("{hz:.2} Hz") } else { format!("{hz:.0} Hz") }
}

/// A part of the whole.
pub(crate) fn percent(part: f64) -> String {
    format!("{:.1}%", 100.0 * part)
}

/// A bar of so many of `width` characters.
pub(crate) fn bar(part: f64, width: usize) -> String {
    let full = (part.clamp(0.0, 1.0) * width as f64).round() as usize;
    format!("|{}{}|", "*".repeat(full), " ".repeat(width - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_their_unit() {
        assert_eq!(
            [999.0, 1_500.0, 119e6, 150e6, 7_300e6, 2e12].map(time),
            ["999 us", "1.5 ms", "119.0 s", "2.5 min", "2.0 h", "23.1 d"]
        );
        assert_eq!([0.0, 0.25, 180.4].map(hz), ["0 Hz", "0.25 Hz", "180 Hz"]);
        assert_eq!((percent(0.123), bar(0.5, 4)), ("12.3%".into(), "|**  |".into()));
    }
}
