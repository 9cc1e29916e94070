//! Keeps what the kernel exports as the record has it: `systemctl restart target` clears all of LIO, ours too, and a
//! step may have been unable to tell the kernel what it had to.

use crate::model::id::VolumeId;
use crate::ops::{Ctx, recover};
use crate::store::exports;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the exports are counted. Hosts ride out a gap: their initiators retry for minutes.
const LOOK: Duration = Duration::from_secs(2);
/// So long nothing may come back before what is missing is made again: `targetctl restore`, begun by a restart of its
/// service, restores nothing at all, ours or anybody's, when it finds something there already (rtslib-fb, RTSRoot.restore).
const SETTLED: Duration = Duration::from_secs(15);

/// Looks until `shutdown`, and makes again what is missing and does not come back by itself.
pub(crate) async fn keep(ctx: Arc<Ctx>, shutdown: CancellationToken) {
    let mut missing = Missing::default();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = shutdown.cancelled() => return,
        }
        let is_settled = match missing_of(&ctx).await {
            Ok(volumes) => missing.look(volumes, Instant::now()),
            Err(why) => {
                tracing::error!(why, "the exports were not looked at; trying again");
                continue;
            }
        };
        let doubted = ctx.gate.take_doubt();
        if doubted || is_settled {
            if is_settled {
                tracing::warn!(
                    "exports are missing in the kernel; was target.service restarted? They are made again"
                );
            }
            if let Err(error) = recover::exports_match_the_record(&ctx).await {
                ctx.gate.doubt();
                tracing::error!(%error, "the exports were not compared with the record; trying again");
            }
        }
    }
}

/// What is missing, and since when it is just that.
#[derive(Default)]
struct Missing {
    volumes: BTreeSet<VolumeId>,
    since: Option<Instant>,
}

impl Missing {
    /// Whether something has been missing for so long that it will not come back by itself; then it is counted anew.
    fn look(&mut self, volumes: BTreeSet<VolumeId>, now: Instant) -> bool {
        if volumes != self.volumes {
            (self.volumes, self.since) = (volumes, None);
        }
        let since = *self.since.get_or_insert(now);
        let is_settled = !self.volumes.is_empty() && now.duration_since(since) >= SETTLED;
        if is_settled {
            self.since = Some(now);
        }
        is_settled
    }
}

/// The volumes that the record exports and the kernel does not.
async fn missing_of(ctx: &Ctx) -> Result<BTreeSet<VolumeId>, String> {
    let Some(target) = ctx.target.as_deref() else {
        return Ok(BTreeSet::new());
    };
    let wanted = exports::all(&ctx.store)
        .await
        .map_err(|error| error.to_string())?;
    if wanted.is_empty() {
        return Ok(BTreeSet::new());
    }
    let found = target.exports().await.map_err(|error| error.to_string())?;
    let found: BTreeSet<_> = found.into_iter().map(|export| export.volume_id).collect();
    let wanted = wanted.into_iter().map(|export| export.volume_id);
    Ok(wanted.filter(|volume| !found.contains(volume)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_by_itself_is_left_to_come() {
        let [one, other] = [VolumeId::random(), VolumeId::random()];
        let both = BTreeSet::from([one, other]);
        let (mut missing, start) = (Missing::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!missing.look(BTreeSet::new(), at(0)) && !missing.look(BTreeSet::new(), at(60)));
        assert!(!missing.look(both.clone(), at(62)) && !missing.look(both, at(76)));
        // One is back: whoever does that is at work.
        let rest = BTreeSet::from([other]);
        assert!(!missing.look(rest.clone(), at(77)) && !missing.look(rest.clone(), at(91)));
        assert!(missing.look(rest.clone(), at(92)));
        assert!(!missing.look(rest, at(94)) && !missing.look(BTreeSet::new(), at(110)));
    }
}
