//! Sweeping, over what crashes leave and for as long as a stream may be live.

mod crashes;
mod endurance;
mod rounds;
