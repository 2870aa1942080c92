//! What is stored for a request, and what can be made of it.

use std::sync::Arc;

use http::header::{IF_RANGE, RANGE};
use media::Timestamp;

use crate::cache_status::Forward;
use crate::coalesce::FillKey;
use crate::conditional::is_range_current;
use crate::config::OriginKind;
use crate::head::Head;
use crate::node::CDN_LOOP;
use crate::question::Known;
use crate::request::Asked;
use crate::store::{Resource, Stored};
use crate::validation::conditions;

/// What is stored under a request's key.
#[derive(Debug, Default)]
pub(crate) struct Found {
    resource: Option<Arc<Resource>>,
    /// Of that, what the request selects.
    selected: Option<Arc<Stored>>,
    /// That has all bytes that the request needs.
    suffices: bool,
}

impl Found {
    pub(crate) fn new(resource: Option<Arc<Resource>>, asked: &Asked) -> Self {
        let selected = resource
            .as_ref()
            .and_then(|resource| resource.select(&asked.headers))
            .cloned();
        Self {
            suffices: selected
                .as_ref()
                .is_some_and(|stored| suffices(stored, asked)),
            resource,
            selected,
        }
    }

    /// The stored answer to the request, be it fresh or not.
    pub(crate) fn answer(&self) -> Option<&Arc<Stored>> {
        self.selected.as_ref().filter(|_| self.suffices)
    }

    /// Why there is no such answer.
    pub(crate) fn miss(&self) -> Forward {
        match (&self.resource, &self.selected) {
            (None, _) => Forward::Miss,
            (Some(_), None) => Forward::VaryMiss,
            (Some(_), Some(_)) => Forward::Partial,
        }
    }

    /// What the origin can be asked about at `now`.
    pub(crate) fn known(&self, asked: &Asked, now: Timestamp) -> Known {
        if asked.is_head() && asked.kind == OriginKind::General {
            return Known::Nothing;
        }
        let candidates: Vec<_> = match (&self.selected, &self.resource) {
            (Some(stored), _) if stored.is_whole() => vec![Arc::clone(stored)],
            (Some(stored), _) => {
                let wants_all = !asked.forwards_range() && !asked.is_head();
                return match wants_all && stored.can_be_completed() && stored.head.is_fresh(now) {
                    true => Known::Beginning(Arc::clone(stored)),
                    false => Known::Nothing,
                };
            }
            // RFC 9111 4.1: the origin may say that another's answer will do.
            (None, Some(resource)) if !asked.forwards_range() => {
                resource.whole().cloned().collect()
            }
            _ => return Known::Nothing,
        };
        match conditions(&candidates).is_empty() {
            true => Known::Nothing,
            false => Known::Answers(candidates),
        }
    }

    /// What the request has in common with those that may be given the same answer, by
    /// what is stored, or by the answer `selects`.
    pub(crate) fn fill_key(&self, asked: &Asked, selects: Option<&Head>) -> FillKey {
        let newest = self
            .resource
            .as_ref()
            .and_then(|resource| resource.newest());
        let selecting = match selects {
            Some(head) => Some(&head.selecting),
            None => newest.map(|stored| &stored.head.selecting),
        };
        let mut variant =
            selecting.map_or_else(String::new, |selecting| selecting.key_of(&asked.headers));
        if asked.headers.contains_key(CDN_LOOP) {
            // A loop ends at whoever sees itself in it. A fill that a client began has not
            // come round yet, so what comes from a cache must not wait for it.
            variant.push_str("|loop");
        }
        if asked.forwards_range() {
            for name in [RANGE, IF_RANGE] {
                for value in asked.headers.get_all(&name) {
                    variant.push_str(&format!("|{}", value.as_bytes().escape_ascii()));
                }
            }
        }
        FillKey {
            key: asked.key.clone(),
            variant,
        }
    }
}

/// Has `stored` all bytes that `asked` needs?
fn suffices(stored: &Stored, asked: &Asked) -> bool {
    if stored.is_whole() {
        return true;
    }
    asked.range.is_some_and(|range| {
        is_range_current(&asked.headers, &stored.head.headers)
            && range.select_within(&stored.bytes, stored.whole).is_some()
    })
}
