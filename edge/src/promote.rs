//! From disk to memory: what a fill does before it asks the origin.

use std::sync::Arc;

use crate::coalesce::Lead;
use crate::freshness::Reuse;
use crate::head::{Head, Source};
use crate::lookup::Found;
use crate::purge::Verdict;
use crate::question::Question;
use crate::request::Asked;
use crate::shared::Shared;
use crate::store::Stored;
use crate::upstream::FillError;

/// A request for which there may be something on disk.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) asked: Asked,
    /// Nobody else is given the origin's answer.
    pub(crate) alone: bool,
}

/// Answers out of what is on disk, if that may be given; true when it did. Otherwise what
/// is there becomes part of the question.
pub(crate) async fn answer(
    lead: &Lead,
    look: &Look,
    question: &mut Question,
    shared: &Shared,
) -> Result<bool, FillError> {
    let asked = &look.asked;
    if let Some(found) = promote(lead, asked, shared).await {
        let now = shared.clock.now();
        if let Some(stored) = found.answer() {
            let reuse = shared.reuse(stored, asked);
            if matches!(reuse, Reuse::Fresh | Reuse::Revalidate) {
                if reuse == Reuse::Revalidate {
                    // Who asks for it anew must not be given this.
                    lead.close();
                }
                give(lead, stored, Source::Disk);
                return Ok(true);
            }
        }
        *question = Question::new(
            asked,
            found.known(asked, now),
            look.alone,
            &shared.config.node,
        );
    }
    match asked.wishes.only_if_cached {
        true => Err(FillError::OnlyIfCached),
        false => Ok(false),
    }
}

/// What is on disk for `asked`, in memory from now on.
async fn promote(lead: &Lead, asked: &Asked, shared: &Shared) -> Option<Found> {
    let tier = shared.disk.as_ref()?;
    let key = &lead.key.key;
    let now = shared.clock.now();
    let (fences, purged) = (Arc::clone(&shared.fences), key.clone());
    let is_gone = move |head: &Head, checked| {
        let (verdict, _) = fences.purges().verdict(&purged, &head.headers, checked);
        verdict == Verdict::Gone
    };
    let rules = shared.rules();
    let loaded = tier.disk.load(key, &asked.headers, rules, now, is_gone);
    let stored = loaded.await?;
    let stored = shared.of_disk(key, stored, lead.began)?;
    let stored = shared.store.insert(key, stored);
    // Looked at again, as whatever is stored.
    if shared.fences.stands_before(key, lead.began) {
        shared.store.remove(key);
        return None;
    }
    Some(Found::only(lead.began, stored, asked))
}

/// Answers with `stored`.
pub(crate) fn give(lead: &Lead, stored: &Stored, source: Source) {
    let mut head = (*stored.head).clone();
    head.length = stored.whole;
    head.source = source;
    lead.fill.publish_head(Arc::new(head));
    for chunk in stored.chunks.iter() {
        // It was stored, so it is small enough to be kept without a window.
        lead.fill.push(chunk);
    }
}
