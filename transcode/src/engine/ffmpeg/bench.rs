//! Scaling alone, for the benchmarks.

use super::cascade::{Parent, parents};
use super::picture::{Shared, allocate};
use super::scaler::Scaler;
use super::signal::Signal;
use crate::engine::EngineError;

/// The scalers of a ladder.
pub(crate) struct Scaling {
    source: Shared,
    scalers: Vec<(Scaler, Parent)>,
}

impl Scaling {
    pub(crate) fn new(source: (u32, u32), sizes: &[(u32, u32)]) -> Result<Self, EngineError> {
        let mut picture = allocate(source.0, source.1)?;
        for plane in 0..3 {
            for (at, byte) in picture.data_mut(plane).iter_mut().enumerate() {
                *byte = (at.wrapping_mul(31) >> 3) as u8;
            }
        }
        Ok(Self {
            source: picture.into(),
            scalers: sizes
                .iter()
                .map(|&(width, height)| Scaler::new(width, height, &Signal::BT709))
                .zip(parents(source, sizes))
                .collect(),
        })
    }

    /// Larger sizes come first.
    pub(crate) fn run(&mut self) -> Result<(), EngineError> {
        let mut scaled: Vec<Shared> = Vec::with_capacity(self.scalers.len());
        for (scaler, parent) in &mut self.scalers {
            let from = match *parent {
                Parent::Rung(parent) if parent < scaled.len() => &scaled[parent],
                _ => &self.source,
            };
            scaled.push(scaler.scale(from)?);
        }
        Ok(())
    }
}
