//! Which of the source's pictures a rung takes.

use crate::Rung;

/// Stands before a rung. It lets every [`Rung::frame_step`]th picture through, counted
/// from each segment's first, which always passes: key frames stay where segments start.
/// A rung that is shed is shut at once; it opens where a segment starts.
#[derive(Debug)]
pub(crate) struct Gate {
    step: u32,
    since_mark: u32,
    wanted: bool,
    open: bool,
}

impl Gate {
    pub(crate) fn new(rung: &Rung) -> Self {
        Self {
            step: rung.frame_step.max(1),
            since_mark: 0,
            wanted: true,
            open: false,
        }
    }

    /// Whether the rung is wanted from now on.
    pub(crate) fn want(&mut self, wanted: bool) {
        self.wanted = wanted;
        self.open &= wanted;
    }

    /// Whether the rung shows pictures now, all or some of them.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// The source's next picture: whether the rung takes it. `starts`: a segment starts
    /// with it.
    pub(crate) fn admits(&mut self, starts: bool) -> bool {
        if starts {
            self.open = self.wanted;
            self.since_mark = 0;
        }
        let admits = self.open && self.since_mark.is_multiple_of(self.step);
        self.since_mark = self.since_mark.wrapping_add(1);
        admits
    }
}

#[cfg(test)]
mod tests {
    use media::{RenditionName, VideoShape};

    use super::*;

    fn gate(frame_step: u32) -> Gate {
        let shape = VideoShape {
            width: 2,
            height: 2,
        };
        Gate::new(&Rung {
            frame_step,
            ..Rung::live(RenditionName::SOURCE, shape, 1)
        })
    }

    /// The pictures that pass of those in `text`, where a segment starts with `|`.
    fn passing(gate: &mut Gate, text: &str) -> String {
        let pass = |picture| {
            if gate.admits(picture == '|') {
                picture
            } else {
                ' '
            }
        };
        text.chars().map(pass).collect()
    }

    #[test]
    fn every_second_picture_counts_from_the_mark() {
        for (step, text, expected) in [
            (1, "..|..|.", "  |..|."),
            (2, "|.....|.....|", "| . . | . . |"),
            // An odd number of pictures between two marks.
            (2, "|....|....|", "| . .| . .|"),
            (3, "|......|", "|  .  .|"),
            (0, "|..", "|.."),
        ] {
            assert_eq!(passing(&mut gate(step), text), expected, "{step}");
        }
    }

    #[test]
    fn a_shed_rung_stops_at_once_and_returns_at_a_mark() {
        let mut gate = gate(1);
        assert_eq!(passing(&mut gate, "|.."), "|..");
        gate.want(false);
        assert_eq!(passing(&mut gate, "..|..|."), "       ");
        gate.want(true);
        assert_eq!(passing(&mut gate, "...|.."), "   |..");
        // Shed and wanted again between two marks: what is missing cannot be decoded past.
        gate.want(false);
        gate.want(true);
        assert_eq!(passing(&mut gate, "..|."), "  |.");
    }
}
