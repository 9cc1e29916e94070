//! A figure: what is measured, how far it should reach, and what it was.

use serde_json::json;

use crate::rig::Rig;
use crate::{Result, say};

/// How far a figure should reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// Less than this.
    Below(f64),
    /// More than this.
    Above(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Goal::Below(most) => value < most,
            Goal::Above(least) => value > least,
        }
    }

    fn number(self) -> f64 {
        match self {
            Goal::Below(number) | Goal::Above(number) => number,
        }
    }

    fn shown(self) -> String {
        match self {
            Goal::Below(number) => format!("< {number}"),
            Goal::Above(number) => format!("> {number}"),
        }
    }
}

/// One figure.
pub(crate) struct Figure {
    /// Its name: what is done, under what.
    pub(crate) name: &'static str,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// Its goal.
    pub(crate) goal: Goal,
    /// The same of Cinder 29.0.0 with its fake driver, on a machine of this kind, in another run; the better of two.
    pub(crate) cinder: Option<f64>,
    /// Whether one round is enough (minutes of work, or a size and not a time).
    pub(crate) is_once: bool,
    /// Takes it.
    pub(crate) measure: fn(&mut Rig) -> Result<f64>,
}

/// A figure and what was seen.
pub(crate) struct Measured {
    figure: &'static Figure,
    values: Vec<f64>,
    broken: Option<String>,
}

impl Measured {
    pub(crate) fn new(figure: &'static Figure) -> Self {
        Self {
            figure,
            values: Vec::new(),
            broken: None,
        }
    }

    /// Takes it once, and says what it was.
    pub(crate) fn take(&mut self, round: usize, rig: &mut Rig) {
        if self.broken.is_some() || (self.figure.is_once && round > 0) {
            return;
        }
        let name = self.figure.name;
        match (self.figure.measure)(rig) {
            Ok(value) => {
                say(&format!(
                    "round {}: {name}: {} {}",
                    round + 1,
                    shown(value),
                    self.figure.unit
                ));
                self.values.push(value);
            }
            Err(error) => {
                say(&format!("round {}: {name}: {error:#}", round + 1));
                self.broken = Some(format!("{error:#}"));
            }
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    fn value(&self) -> Option<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    /// The line that machines read.
    pub(crate) fn json_line(&self) -> String {
        let figure = self.figure;
        let value = self.value();
        let line = json!({
            "name": figure.name, "value": value, "unit": figure.unit, "goal": figure.goal.number(),
            "met": value.is_some_and(|value| figure.goal.is_met(value)),
            "peer": figure.cinder.map(|_| "cinder 29.0.0, another run"), "peer_value": figure.cinder,
        });
        format!("{line}\n")
    }
}

/// The table, figure beside goal.
pub(crate) fn table(all: &[Measured]) -> Vec<String> {
    let head = [
        "figure",
        "median",
        "unit",
        "goal",
        "met",
        "Cinder (another run)",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for measured in all {
        let figure = measured.figure;
        let value = measured.value();
        let met = value.map(|value| figure.goal.is_met(value));
        rows.push([
            figure.name.to_owned(),
            value.map_or("-".to_owned(), shown),
            figure.unit.to_owned(),
            figure.goal.shown(),
            met.map_or("not taken", |met| if met { "yes" } else { "NO" })
                .to_owned(),
            figure.cinder.map_or(String::new(), shown),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Three digits that say something.
fn shown(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
