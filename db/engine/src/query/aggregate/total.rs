//! Running totals of numbers, without an allocation per number.

use crate::value::{Value, number};

/// A sum that does not depend on the order of whole numbers and loses little of doubles.
#[derive(Debug, Clone, Default)]
pub(in crate::query) struct Total {
    /// Whole numbers apart: an `i128` holds more sums of `i64` than there can be documents.
    whole: i128,
    /// Whether one of them had 64 bits.
    long: bool,
    doubles: Option<CompensatedSum>,
    /// In a box, to keep the totals of others small.
    decimals: Option<Box<Value>>,
}

impl Total {
    /// Adds a number; returns false for other values, which change nothing.
    pub(in crate::query) fn add(&mut self, value: &Value) -> bool {
        match value {
            Value::Int(number) => self.whole += i128::from(*number),
            Value::Long(number) => {
                self.whole += i128::from(*number);
                self.long = true;
            }
            Value::Double(number) => self.doubles.get_or_insert_default().add(*number),
            Value::Decimal(_) => {
                self.decimals = Some(Box::new(match &self.decimals {
                    Some(sum) => number::add(sum, value),
                    None => value.clone(),
                }));
            }
            _ => return false,
        }
        true
    }

    /// The sum: whole while it fits, of 32 bits while all numbers were and it does too, decimal if one number was, else a double.
    pub(in crate::query) fn value(&self) -> Value {
        let Some(decimals) = &self.decimals else {
            return match (self.doubles, i64::try_from(self.whole)) {
                (Some(doubles), _) => Value::Double(doubles.with_whole(self.whole)),
                (None, Ok(whole)) if self.long => Value::Long(whole),
                (None, Ok(whole)) => Value::from(whole),
                (None, Err(_)) => Value::Double(self.whole as f64),
            };
        };
        let sum = match self.whole {
            0 => (**decimals).clone(),
            whole => number::add(decimals, &number::decimal(whole.into())),
        };
        match self.doubles {
            Some(doubles) => doubles.parts().into_iter().fold(sum, |sum, part| {
                number::add(&sum, &number::decimal(number::exact_decimal(part)))
            }),
            None => sum,
        }
    }
}

/// Neumaier's sum: carries the rounding error of every addition along, as MongoDB does.
#[derive(Debug, Clone, Copy, Default)]
struct CompensatedSum {
    sum: f64,
    error: f64,
}

impl CompensatedSum {
    fn add(&mut self, number: f64) {
        let sum = self.sum + number;
        self.error += if self.sum.abs() >= number.abs() {
            (self.sum - sum) + number
        } else {
            (number - sum) + self.sum
        };
        self.sum = sum;
    }

    fn sum(self) -> f64 {
        // Infinities have no rounding error; the difference of two is NaN.
        if self.sum.is_finite() { self.sum + self.error } else { self.sum }
    }

    /// Numbers that together are the sum, for a type with more digits.
    fn parts(self) -> Vec<f64> {
        match self.sum.is_finite() && self.error != 0.0 {
            true => vec![self.sum, self.error],
            false => vec![self.sum],
        }
    }

    fn with_whole(mut self, whole: i128) -> f64 {
        let nearest = whole as f64;
        self.add(nearest);
        // The remainder beside the nearest double is small and exact.
        self.add(whole.saturating_sub(nearest as i128) as f64);
        self.sum()
    }
}

/// Welford's running variance.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Variance {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Variance {
    /// Adds a number; other values change nothing.
    pub(super) fn add(&mut self, value: &Value) {
        if value.is_number() {
            let number = number::nearest(value);
            let distance = number - self.mean;
            self.count += 1.0;
            self.mean += distance / self.count;
            self.squares += distance * (number - self.mean);
        }
    }

    /// The standard deviation; null if there are too few numbers, or one was not finite.
    pub(super) fn deviation(self, sample: bool) -> Value {
        let weight = if sample { self.count - 1.0 } else { self.count };
        if weight <= 0.0 || !self.squares.is_finite() {
            return Value::Null;
        }
        Value::Double((self.squares / weight).sqrt())
    }
}
