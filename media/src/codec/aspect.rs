//! Shapes of pixels.

/// In lowest terms.
pub(super) fn reduced((across, down): (u32, u32)) -> (u32, u32) {
    let (mut a, mut b) = (across, down);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    (across / a.max(1), down / a.max(1))
}

/// The shape that `aspect_ratio_idc` stands for (H.265 table E.1), but for
/// `EXTENDED_SAR`.
pub(super) fn of_index(index: u32) -> Option<(u32, u32)> {
    const SHAPES: [(u32, u32); 16] = [
        (1, 1),
        (12, 11),
        (10, 11),
        (16, 11),
        (40, 33),
        (24, 11),
        (20, 11),
        (32, 11),
        (80, 33),
        (18, 11),
        (15, 11),
        (64, 33),
        (160, 99),
        (4, 3),
        (3, 2),
        (2, 1),
    ];
    let index = usize::try_from(index).ok()?.checked_sub(1)?;
    SHAPES.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_in_lowest_terms() {
        assert_eq!(reduced((1_440, 1_080)), (4, 3));
        assert_eq!(reduced((64, 45)), (64, 45));
        assert_eq!(reduced((0, 0)), (0, 0));
    }

    #[test]
    fn an_index_stands_for_a_shape() {
        assert_eq!(of_index(0), None);
        assert_eq!(of_index(1), Some((1, 1)));
        assert_eq!(of_index(14), Some((4, 3)));
        assert_eq!(of_index(17), None);
    }
}
