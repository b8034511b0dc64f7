//! Parsers of numbers on the command line.

use std::fmt::Display;
use std::str::FromStr;

/// Returns a parser of numbers from `least` to `most`. It refuses everything else, `NaN` too, with
/// a clear message.
pub fn number<T>(least: T, most: T) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync
where
    T: FromStr + PartialOrd + Display + Copy + Send + Sync,
{
    move |text| match text.trim().parse::<T>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("must be a {}from {least} to {most}", noun::<T>())),
    }
}

/// Returns a parser of finite numbers of at least `least`. It refuses everything else with a clear
/// message.
pub fn at_least<T>(least: T) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync
where
    T: FromStr + PartialOrd + Display + Copy + Send + Sync,
{
    move |text| {
        // "inf" and "1e999" parse as infinity.
        let finite = |number: T| number.to_string().parse::<f64>().is_ok_and(f64::is_finite);
        match text.trim().parse::<T>() {
            Ok(number) if number >= least && finite(number) => Ok(number),
            _ => Err(format!("must be a {}of at least {least}", noun::<T>())),
        }
    }
}

/// Returns a parser of finite numbers above `bound`. It refuses everything else with a clear
/// message.
pub fn above(bound: f64) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync {
    move |text| match text.trim().parse::<f64>() {
        Ok(number) if number > bound && number.is_finite() => Ok(number),
        _ => Err(format!("must be a number above {bound}")),
    }
}

/// Returns the noun for a type's values: "whole number " or "number ".
fn noun<T: FromStr>() -> &'static str {
    match "0.5".parse::<T>() {
        Ok(_) => "number ",
        Err(_) => "whole number ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_numbers_are_refused_with_a_message() {
        let share = number(0.0f32, 1.0);
        assert_eq!(share("0.5"), Ok(0.5));
        for text in ["NaN", "inf", "-0.1", "1.01", "", "x"] {
            assert_eq!(share(text), Err("must be a number from 0 to 1".into()));
        }
        let steps = at_least(1u64);
        assert_eq!(steps("7"), Ok(7));
        for text in ["0", "-1", "1.5", "NaN", "99999999999999999999"] {
            assert_eq!(
                steps(text),
                Err("must be a whole number of at least 1".into())
            );
        }
        let rate = above(0.0);
        assert_eq!(rate("1e-4"), Ok(1e-4));
        for text in ["0", "-1", "NaN", "inf"] {
            assert_eq!(rate(text), Err("must be a number above 0".into()));
        }
        assert!(at_least(0.0f64)("inf").is_err() && at_least(0.0f32)("1e60").is_err());
    }
}
