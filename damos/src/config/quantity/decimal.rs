//! Decimal numbers without rounding, so that "0.3 s" is 300,000 µs and not a microsecond less.

use core::fmt;

/// `digits / 10^scale`, without trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Decimal {
    digits: u128,
    scale: u32,
}

impl Decimal {
    /// Of digits with commas and one point, as many as a `u128` holds; else `None`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mut digits, mut scale, mut any, mut point) = (0_u128, 0_u32, false, false);
        for c in text.chars() {
            match c {
                ',' if !point => {}
                '.' if !point => point = true,
                _ => {
                    digits = digits.checked_mul(10)?.checked_add(c.to_digit(10)?.into())?;
                    scale += u32::from(point);
                    any = true;
                }
            }
        }
        any.then(|| Self { digits, scale }.normal())
    }

    fn normal(mut self) -> Self {
        while self.scale > 0 && self.digits % 10 == 0 {
            (self.digits, self.scale) = (self.digits / 10, self.scale - 1);
        }
        self
    }

    /// This times `unit`, and whether that had to be rounded down.
    pub(crate) fn times(self, unit: u128) -> Option<(u128, bool)> {
        let (n, divisor) = (self.digits.checked_mul(unit)?, 10_u128.checked_pow(self.scale)?);
        Some((n / divisor, n % divisor != 0))
    }

    /// This times `unit`, if that is whole and fits.
    pub(crate) fn whole_u64(self, unit: u128) -> Option<u64> {
        let (n, rounded) = self.times(unit)?;
        if rounded { None } else { u64::try_from(n).ok() }
    }

    /// `n / 10^scale`.
    pub(crate) fn of(n: u64, scale: u32) -> Self {
        Self { digits: n.into(), scale }.normal()
    }
}

/// With commas, and a point only where need be.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divisor = 10_u128.pow(self.scale);
        f.write_str(&super::text::with_commas(self.digits / divisor))?;
        match self.scale {
            0 => Ok(()),
            scale => write!(f, ".{:0width$}", self.digits % divisor, width = scale as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_rounded() {
        for (text, canonical) in
            [("4.050", "4.05"), ("1,234.5", "1,234.5"), (".5", "0.5"), ("7.", "7"), ("0.05", "0.05")]
        {
            assert_eq!(Decimal::read(text).unwrap().to_string(), canonical);
        }
        assert_eq!(Decimal::read("0.3").unwrap().whole_u64(1_000_000), Some(300_000));
        assert_eq!(Decimal::read("0.3").unwrap().whole_u64(1), None);
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", ".", "1.2.3", "1.2,3", "-1", "+1", "1e3", "0x10", "340282366920938463463374607431768211456"] {
            assert_eq!(Decimal::read(text), None, "{text}");
        }
    }
}
