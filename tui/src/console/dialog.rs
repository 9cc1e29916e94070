//! Dialogs before what destroys: what it blocks on, loses, breaks and keeps; Cancel has the focus.
//!
//! The button is armed only when every plan is in, nothing is in the way, and the name was typed where that is asked.
//! What is carried out is the list of the dialog, never a list made later. Pure.

use super::change::Change;
use super::data::Data;
use super::event::{Plan, Ticket};
use super::input::Input;
use super::item::Kind;

/// How far the daemon is with the plan of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Planned {
    /// Asked for.
    Asked(Ticket),
    /// Here it is.
    Known(Plan),
    /// The daemon cannot plan: what is shown is only what the console sees.
    Unplanned(Plan),
    /// It could not be told.
    Failed(String),
}

/// One object of a dialog.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    /// What is to be done to it.
    pub(crate) change: Change,
    /// Its name for people.
    pub(crate) title: String,
    /// What is typed to arm the button: its name, or the start of its id where the name says too little.
    pub(crate) word: String,
    /// What that would do.
    pub(crate) planned: Planned,
    /// How it went, once it was sent: open, done, or why not.
    pub(crate) outcome: Outcome,
}

impl Target {
    /// Whether it keeps the button from being armed, or failed.
    pub(crate) fn is_in_the_way(&self) -> bool {
        let is_failed = matches!(self.outcome, Outcome::Failed(_));
        is_failed
            || match &self.planned {
                Planned::Known(plan) | Planned::Unplanned(plan) => plan.is_blocked,
                Planned::Failed(_) => true,
                Planned::Asked(_) => false,
            }
    }
}

/// How an act on one object went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Not sent.
    Unsent,
    /// Sent.
    Sent(Ticket),
    /// Taken on by the daemon.
    Done,
    /// Refused: why.
    Failed(String),
}

/// Where the focus is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Focus {
    Cancel,
    Typed,
    Cascade,
    Go,
}

/// A dialog.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dialog {
    /// The verb, with a capital: `Delete`.
    pub(crate) verb: &'static str,
    /// What is destroyed.
    pub(crate) noun: &'static str,
    /// The objects.
    pub(crate) targets: Vec<Target>,
    /// Where the focus is.
    pub(crate) focus: Focus,
    /// What was typed to arm the button.
    pub(crate) typed: Input,
    /// The snapshots go too; `None` where there is no such choice.
    pub(crate) cascade: Option<bool>,
    /// How many pages of what is told were turned.
    pub(crate) top: usize,
    /// What changed since the plan that was shown first, if it did.
    pub(crate) notice: Option<String>,
    /// Acts that destroy nothing need no plan and no name.
    pub(crate) is_light: bool,
}

impl Dialog {
    /// Before changes to these objects; their plans are still to be asked for.
    pub(crate) fn new(
        verb: &'static str,
        noun: &'static str,
        changes: Vec<(String, Change)>,
    ) -> Self {
        let targets = changes
            .into_iter()
            .map(|(title, change)| Target {
                change,
                word: title.clone(),
                title,
                planned: Planned::Asked(0),
                outcome: Outcome::Unsent,
            })
            .collect();
        Self {
            verb,
            noun,
            targets,
            focus: Focus::Cancel,
            typed: Input::default(),
            cascade: None,
            top: 0,
            notice: None,
            is_light: false,
        }
    }

    /// The same for acts that destroy nothing: confirm only.
    pub(crate) fn light(
        verb: &'static str,
        noun: &'static str,
        changes: Vec<(String, Change)>,
    ) -> Self {
        let mut dialog = Self::new(verb, noun, changes);
        dialog.is_light = true;
        for target in &mut dialog.targets {
            target.planned = Planned::Unplanned(Plan::default());
        }
        dialog
    }

    /// The objects that are still to be sent: all of them, until some were.
    fn open(&self) -> impl Iterator<Item = &Target> {
        let mut targets = self.targets.iter();
        std::iter::from_fn(move || {
            targets
                .by_ref()
                .find(|target| target.outcome == Outcome::Unsent)
        })
    }

    /// What must be typed; `None` when a look is enough.
    pub(crate) fn must_type(&self) -> Option<String> {
        if self.is_light {
            return None;
        }
        let must = self.open().any(|target| match &target.planned {
            Planned::Known(plan) => plan.level == "type_name",
            // Without a plan nobody knows how bad it is.
            Planned::Unplanned(_) | Planned::Asked(_) | Planned::Failed(_) => true,
        });
        match self.targets.as_slice() {
            _ if !must => None,
            [one] => Some(one.word.clone()),
            _ => Some(format!(
                "{} {}",
                self.verb.to_lowercase(),
                self.open().count()
            )),
        }
    }

    /// What keeps the button from being armed, if anything does.
    pub(crate) fn in_the_way(&self) -> Option<String> {
        if self
            .targets
            .iter()
            .any(|target| matches!(target.outcome, Outcome::Sent(_)))
        {
            return Some("it was sent".to_owned());
        }
        let any = |wanted: fn(&Planned) -> bool| {
            self.open().filter(|target| wanted(&target.planned)).count()
        };
        let asked = any(|planned| matches!(planned, Planned::Asked(_)));
        if asked > 0 {
            return Some("waiting for the plan".to_owned());
        }
        let failed = any(|planned| matches!(planned, Planned::Failed(_)));
        if failed > 0 {
            return Some("the plan could not be told".to_owned());
        }
        let blocked = any(
            |planned| matches!(planned, Planned::Known(plan) | Planned::Unplanned(plan) if plan.is_blocked),
        );
        if blocked > 0 {
            return Some(match (blocked, self.open().count()) {
                (1, 1) => "something is in the way".to_owned(),
                (1, all) => format!("1 of {all} is blocked"),
                (blocked, all) => format!("{blocked} of {all} are blocked"),
            });
        }
        if self.open().next().is_none() {
            return Some("it was sent".to_owned());
        }
        match self.must_type() {
            Some(word) if self.typed.text() != word => Some(format!("type {word} first")),
            _ => None,
        }
    }

    /// The parts that can have the focus, in order.
    pub(crate) fn stops(&self) -> Vec<Focus> {
        let mut stops = vec![Focus::Cancel];
        if self.cascade.is_some() {
            stops.push(Focus::Cascade);
        }
        if self.must_type().is_some() {
            stops.push(Focus::Typed);
        }
        stops.push(Focus::Go);
        stops
    }

    /// The next or previous part.
    pub(crate) fn turn(&mut self, by: isize) {
        let stops = self.stops();
        let at = stops
            .iter()
            .position(|stop| *stop == self.focus)
            .unwrap_or(0);
        let len = isize::try_from(stops.len()).unwrap_or(1);
        let next = (isize::try_from(at).unwrap_or(0) + by).rem_euclid(len);
        self.focus = stops[usize::try_from(next).unwrap_or(0)];
    }

    /// Asks again for every plan: something changed, or a choice was made. What was typed is typed again.
    pub(crate) fn ask_again(&mut self) {
        self.typed = Input::default();
        for target in self
            .targets
            .iter_mut()
            .filter(|target| target.outcome == Outcome::Unsent)
        {
            if let (Change::DeleteVolume { is_cascade, .. }, Some(cascade)) =
                (&mut target.change, self.cascade)
            {
                *is_cascade = cascade;
            }
            target.planned = Planned::Asked(0);
        }
    }
}

/// What the console itself sees of a change, for a daemon that cannot plan.
pub(crate) fn seen(change: &Change, data: &Data) -> Plan {
    let mut plan = Plan {
        level: "type_name".to_owned(),
        ..Plan::default()
    };
    match change {
        Change::DeleteVolume { id, is_cascade, .. } => {
            let volume = data.get(Kind::Volume, id);
            let attached = volume
                .and_then(|item| item.volume())
                .map_or(0, |volume| volume.attachment_count);
            if attached > 0 {
                plan.blocks
                    .push(format!("{attached} attachment(s): detach first"));
            }
            let snapshots = data.snapshots_of(id).count();
            match (snapshots, is_cascade) {
                (0, _) => {}
                (count, true) => plan.lost.push(format!("{count} snapshot(s)")),
                (count, false) => plan.blocks.push(format!("{count} snapshot(s)")),
            }
            if let Some(size) = volume.and_then(|item| item.size_gib) {
                plan.lost
                    .push(format!("the volume's data, {}", super::units::gib(size)));
            }
        }
        Change::DeleteSnapshot { .. } => plan.lost.push("the snapshot's data".to_owned()),
        Change::DeleteAttachment { .. } => plan
            .breaks
            .push("whatever the host still does with it".to_owned()),
        Change::CreateVolume { .. }
        | Change::ExtendVolume { .. }
        | Change::CreateSnapshot { .. }
        | Change::CreateAttachment { .. }
        | Change::CompleteAttachment { .. }
        | Change::CancelOperation { .. }
        | Change::RetryOperation { .. } => {}
    }
    plan.is_blocked = !plan.blocks.is_empty();
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialog(plans: &[Plan]) -> Dialog {
        let change = |at: usize| Change::DeleteVolume {
            id: at.to_string(),
            title: format!("v{at}"),
            is_cascade: false,
        };
        let changes = (0..plans.len())
            .map(|at| (format!("v{at}"), change(at)))
            .collect();
        let mut dialog = Dialog::new("Delete", "volume", changes);
        for (target, plan) in dialog.targets.iter_mut().zip(plans) {
            target.planned = Planned::Known(plan.clone());
        }
        dialog
    }

    fn plan(level: &str, is_blocked: bool) -> Plan {
        Plan {
            level: level.to_owned(),
            is_blocked,
            hash: "h".to_owned(),
            ..Plan::default()
        }
    }

    #[test]
    fn the_button_is_armed_by_the_exact_name_and_by_nothing_less() {
        let mut one = dialog(&[plan("type_name", false)]);
        assert_eq!(one.focus, Focus::Cancel);
        assert_eq!(one.in_the_way().unwrap(), "type v0 first");
        one.typed = Input::of("v");
        assert!(one.in_the_way().is_some());
        one.typed = Input::of("v0");
        assert_eq!(one.in_the_way(), None);
        one.ask_again();
        assert_eq!(one.in_the_way().unwrap(), "waiting for the plan");
    }

    #[test]
    fn what_is_blocked_cannot_be_armed_and_many_are_named_by_their_count() {
        let mut two = dialog(&[plan("type_name", false), plan("type_name", true)]);
        two.typed = Input::of("delete 2");
        assert_eq!(two.in_the_way().unwrap(), "1 of 2 is blocked");
        let mut two = dialog(&[plan("type_name", false), plan("confirm", false)]);
        assert_eq!(two.must_type().unwrap(), "delete 2");
        two.typed = Input::of("delete 2");
        assert_eq!(two.in_the_way(), None);
        let light = dialog(&[plan("confirm", false)]);
        assert_eq!((light.must_type(), light.in_the_way()), (None, None));
    }

    #[test]
    fn the_focus_goes_round() {
        let mut one = dialog(&[plan("type_name", false)]);
        one.cascade = Some(false);
        let round: Vec<Focus> = (0..5)
            .map(|_| {
                one.turn(1);
                one.focus
            })
            .collect();
        assert_eq!(
            round,
            [
                Focus::Cascade,
                Focus::Typed,
                Focus::Go,
                Focus::Cancel,
                Focus::Cascade
            ]
        );
        one.turn(-1);
        assert_eq!(one.focus, Focus::Cancel);
    }
}
