//! Why an operation does not get on: who has it, since when, what it waits for and what happens next; in words.
//!
//! Pure over what the record says. `None` is the good news: it moves, or has only just begun. It knows the queues and
//! THE TABLE's plans, and no edge: what a step waits for inside a driver or target only its end tells.

use super::{Ctx, LOOK, Lane, SCHEDULER_QUEUE, unreadable};
use crate::error::Error;
use crate::model::operation::{Operation, Phase};
use crate::model::service::{Binary, Service};
use crate::model::time::Time;
use crate::store::operations::{self, Pace};

/// So long an operation may wait or a step run without a sign before anybody is told of it.
const QUIET_S: f64 = 15.0;

/// Why it does not get on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Who has it: `scheduler`, `host@backend` or `host@store`.
    pub owner: String,
    /// Since when nothing has moved.
    pub since: Time,
    /// What it waits for.
    pub waiting_for: String,
    /// What happens next, by itself or by somebody's hand.
    pub next: String,
}

/// How an operation gets on, and why not.
pub async fn look(
    ctx: &Ctx,
    operation: &Operation,
    services: &[Service],
) -> Result<(Pace, Option<Stuck>), Error> {
    if operation.phase.is_over() {
        return Ok((Pace::default(), None));
    }
    let pace = operations::pace(&ctx.store, operation.id).await;
    let pace = pace.map_err(unreadable)?.unwrap_or_default();
    let stuck = why(operation, &pace, services, &Time::now());
    Ok((pace, stuck))
}

/// The service that takes from a queue, and its lane.
fn owner(queue: &str) -> (String, Option<Lane>) {
    if let Some(service) = queue.strip_prefix("backup:") {
        let looks = service.rsplit_once(':').filter(|(_, what)| *what == LOOK);
        let service = looks.map_or(service, |(service, _)| service);
        return (service.to_owned(), None);
    }
    let parts = queue
        .strip_prefix("volume:")
        .and_then(|rest| rest.rsplit_once(':'));
    match parts {
        Some((service, lane)) => {
            let lane = Lane::ALL.into_iter().find(|one| one.as_str() == lane);
            (service.to_owned(), lane)
        }
        None => (SCHEDULER_QUEUE.to_owned(), None),
    }
}

fn why(operation: &Operation, pace: &Pace, services: &[Service], now: &Time) -> Option<Stuck> {
    let (owner, lane) = owner(&operation.queue);
    let marks = [pace.progress_at.as_ref(), pace.step_at.as_ref()];
    let moved_at = marks.into_iter().flatten().max();
    let since = moved_at.unwrap_or(&operation.created_at).clone();
    let stuck = |since: Time, waiting_for: String, next: String| {
        Some(Stuck {
            owner: owner.clone(),
            since,
            waiting_for,
            next,
        })
    };
    if let Some(heard) = last_heard_if_down(&owner, services) {
        return stuck(
            heard.clone(),
            format!("the service {owner}, which was last heard at {heard}"),
            "It goes on by itself when ashlard runs there again with that role.".to_owned(),
        );
    }
    if *now > operation.deadline_at && operation.phase != Phase::Undoing {
        return stuck(
            operation.deadline_at.clone(),
            format!(
                "{}, which was asked to stop at the deadline",
                present_step(operation)
            ),
            "When it has stopped, what was done is undone and the operation ends as failed."
                .to_owned(),
        );
    }
    if now.seconds_since(&since) < QUIET_S {
        return None;
    }
    let deadline = &operation.deadline_at;
    let places = lane.unwrap_or(Lane::Quick);
    let is_full = usize::try_from(pace.ahead).is_ok_and(|ahead| ahead >= places.at_once());
    match operation.phase {
        Phase::Queued if is_full && pace.progress_at.is_none() => stuck(
            since,
            format!(
                "a place in the lane {} of {owner}: it works on {} at once, and {} were begun before",
                places.as_str(),
                places.at_once(),
                pace.ahead
            ),
            "It begins when earlier ones have ended.".to_owned(),
        ),
        // That it was taken up costs no commit: until its first step is recorded it is called queued.
        Phase::Queued | Phase::Running => stuck(
            since,
            format!("{} at {owner}, of which nothing was heard since", present_step(operation)),
            format!(
                "At {deadline} it is asked to stop and then undone; cancel asks sooner where that is possible. \
                 The log of ashlard there says what it tries."
            ),
        ),
        Phase::Undoing => stuck(
            since,
            format!("{} to be undone", present_step(operation)),
            "Each undo is tried three times; then the operation ends and its error says what is left.".to_owned(),
        ),
        Phase::Done | Phase::Failed | Phase::Cancelled => None,
    }
}

/// When a service was last heard, if that is too long ago. One that was never heard is not known to be down; of
/// schedulers any will do.
fn last_heard_if_down(owner: &str, services: &[Service]) -> Option<Time> {
    let is_theirs = |one: &&Service| match one.binary {
        Binary::Scheduler => owner == SCHEDULER_QUEUE,
        Binary::Volume | Binary::Backup => one.host == owner,
    };
    let newest = services
        .iter()
        .filter(is_theirs)
        .max_by(|a, b| a.heard_at.cmp(&b.heard_at))?;
    (!newest.is_up).then(|| newest.heard_at.clone())
}

fn present_step(operation: &Operation) -> String {
    let position = match operation.phase {
        Phase::Undoing => operation.steps_done.checked_sub(1),
        Phase::Queued | Phase::Running | Phase::Done | Phase::Failed | Phase::Cancelled => {
            Some(operation.steps_done)
        }
    };
    let plan = super::plan(operation.verb);
    let step = plan
        .zip(position)
        .and_then(|(plan, position)| plan.steps.get(position));
    step.map_or_else(
        || "its end".to_owned(),
        |step| format!("step `{}`", step.name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{OperationId, ServiceId};
    use crate::model::operation::Verb;

    fn time(second: u32) -> Time {
        Time::from_stored(format!(
            "2026-11-22T10:{:02}:{:02}.000000",
            second / 60,
            second % 60
        ))
    }

    fn operation(phase: Phase, queue: &str) -> Operation {
        Operation {
            id: OperationId::random(),
            verb: Verb::DeleteVolume,
            queue: queue.to_owned(),
            phase,
            project_id: "p".to_owned(),
            user_id: "u".to_owned(),
            owner_id: "p".to_owned(),
            request_id: "r".to_owned(),
            object_id: "o".to_owned(),
            input: "{}".to_owned(),
            steps_done: 1,
            bytes_done: 0,
            bytes_total: 0,
            cancel_requested: false,
            error: None,
            created_at: time(0),
            finished_at: None,
            deadline_at: time(600),
        }
    }

    fn service(is_up: bool) -> Service {
        Service {
            id: ServiceId::random(),
            binary: Binary::Volume,
            host: "h@b".to_owned(),
            availability_zone: "nova".to_owned(),
            is_disabled: false,
            disabled_reason: None,
            is_frozen: false,
            created_at: time(0),
            heard_at: time(5),
            changed_at: None,
            is_up,
            store_kind: None,
        }
    }

    const WIPES: &str = "volume:h@b:wipe";

    #[test]
    fn a_queue_names_its_service() {
        for (queue, service, lane) in [
            ("volume:h@b:wipe", "h@b", Some(Lane::Wipe)),
            ("backup:h@nas", "h@nas", None),
            ("backup:h@nas:look", "h@nas", None),
            ("scheduler", "scheduler", None),
        ] {
            assert_eq!(owner(queue), (service.to_owned(), lane), "{queue}");
        }
    }

    #[test]
    fn what_moves_or_has_just_begun_is_not_stuck() {
        let services = [service(true)];
        let running = operation(Phase::Running, WIPES);
        let pace = Pace::default();
        assert_eq!(why(&running, &pace, &services, &time(10)), None);
        let moving = Pace {
            progress_at: Some(time(290)),
            ..Pace::default()
        };
        assert_eq!(why(&running, &moving, &services, &time(300)), None);
        assert_eq!(
            why(&operation(Phase::Done, WIPES), &pace, &services, &time(300)),
            None
        );
    }

    #[test]
    fn each_reason_has_its_words() {
        let (up, down) = ([service(true)], [service(false)]);
        let case = |phase, queue, pace: &Pace, services: &[Service], now| {
            let found = why(&operation(phase, queue), pace, services, &time(now)).unwrap();
            (found.owner, found.since, found.waiting_for)
        };
        let pace = Pace::default();
        let (owner, since, text) = case(Phase::Queued, WIPES, &pace, &down, 6);
        assert_eq!((owner.as_str(), since), ("h@b", time(5)));
        assert!(text.contains("the service h@b"), "{text}");
        let (_, since, text) = case(Phase::Running, WIPES, &pace, &up, 601);
        assert!(since == time(600) && text.contains("step `wipe`"), "{text}");
        let full = Pace {
            ahead: 8,
            ..Pace::default()
        };
        let (_, since, text) = case(Phase::Queued, WIPES, &full, &up, 60);
        assert!(since == time(0) && text.contains("lane wipe"), "{text}");
        let begun = Pace {
            progress_at: Some(time(20)),
            ..full
        };
        let (_, since, text) = case(Phase::Queued, WIPES, &begun, &up, 60);
        assert!(since == time(20) && text.contains("step `wipe`"), "{text}");
        let (owner, _, text) = case(Phase::Undoing, "scheduler", &pace, &up, 60);
        assert!(
            owner == "scheduler" && text.contains("step `unexport` to be undone"),
            "{text}"
        );
    }
}
