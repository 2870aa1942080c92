//! Whether two sets of measurements look like one.

use benches::quantiles::Quantiles;

/// Of the two-sample Kolmogorov-Smirnov test: the largest distance of the two distribution
/// functions, and what it is above once in a hundred times if both are the same.
pub(crate) struct KolmogorovSmirnov {
    pub(crate) distance: f64,
    pub(crate) critical: f64,
}

impl KolmogorovSmirnov {
    pub(crate) fn of(one: &Quantiles, other: &Quantiles) -> Self {
        let (one, other) = (one.sorted(), other.sorted());
        let (n, m) = (one.len() as f64, other.len() as f64);
        let below = |all: &[f64], at: f64| all.partition_point(|value| *value <= at) as f64;
        let distances = one.iter().chain(other).map(|at| {
            let (of_one, of_other) = (below(one, *at) / n, below(other, *at) / m);
            (of_one - of_other).abs()
        });
        // https://en.wikipedia.org/wiki/Kolmogorov-Smirnov_test, c(0.01)
        let factor = (-(0.01_f64 / 2.0).ln() / 2.0).sqrt();
        Self {
            distance: distances.fold(0.0, f64::max),
            critical: factor * ((n + m) / (n * m)).sqrt(),
        }
    }

    pub(crate) fn tells_apart(&self) -> bool {
        self.distance > self.critical
    }
}
