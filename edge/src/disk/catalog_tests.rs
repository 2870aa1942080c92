use proptest::prelude::*;

use super::*;

const NOW: u32 = 1_000;

fn catalog(bytes: u64, files: u64) -> Catalog {
    Catalog::new(Room { bytes, files })
}

fn entry(name: u64, id: u64) -> Entry {
    Entry {
        name,
        id,
        variant: 0,
        bytes: 4_000,
        expires: u32::MAX,
        used: NOW,
    }
}

/// Stores what was asked for once; the ids that went for it.
fn put(catalog: &mut Catalog, entry: Entry) -> Result<Vec<u64>, Unwanted> {
    let mut out = Vec::new();
    catalog.asked_for(entry.name);
    catalog.reserve(entry.name, entry.bytes, NOW, Admission::Contested, &mut out)?;
    catalog.insert(entry, 2, &mut out);
    Ok(out.iter().map(|gone| gone.id).collect())
}

#[test]
fn what_is_asked_for_once_does_not_turn_the_disk_over() {
    let mut catalog = catalog(4 * 4_096, 100);
    for id in 1..=4 {
        assert_eq!(put(&mut catalog, entry(id, id)), Ok(vec![]));
        catalog.asked_for(id);
    }
    for id in 5..50 {
        assert_eq!(put(&mut catalog, entry(id, id)), Err(Unwanted));
    }
    // Asked for more often than the coldest.
    catalog.asked_for(60);
    catalog.asked_for(60);
    assert_eq!(put(&mut catalog, entry(60, 60)), Ok(vec![1]));
    assert!((2..=4).all(|name| catalog.has(name)) && !catalog.has(1));
}

#[test]
fn the_longest_unused_goes_first() {
    let mut catalog = catalog(3 * 4_096, 100);
    for id in 1..=3 {
        put(&mut catalog, entry(id, id)).unwrap();
    }
    assert_eq!(catalog.touch(1, NOW + 10), [] as [u64; 0]);
    assert_eq!(catalog.touch(1, NOW + 700), [1]);
    (0..3).for_each(|_| catalog.asked_for(9));
    assert_eq!(put(&mut catalog, entry(9, 9)), Ok(vec![2]));
}

#[test]
fn what_has_expired_goes_before_all_and_by_itself() {
    let mut catalog = catalog(2 * 4_096, 100);
    let expired = Entry {
        expires: NOW,
        ..entry(1, 1)
    };
    put(&mut catalog, expired).unwrap();
    (0..9).for_each(|_| catalog.asked_for(1));
    assert_eq!(put(&mut catalog, entry(2, 2)), Ok(vec![1]));
}

#[test]
fn a_name_has_one_of_each_variant_and_not_too_many() {
    let mut catalog = catalog(1 << 20, 100);
    let variant = |variant, id| Entry {
        variant,
        ..entry(7, id)
    };
    assert_eq!(put(&mut catalog, variant(1, 1)), Ok(vec![]));
    assert_eq!(put(&mut catalog, variant(2, 2)), Ok(vec![]));
    assert_eq!(put(&mut catalog, variant(2, 3)), Ok(vec![2]));
    assert_eq!(put(&mut catalog, variant(3, 4)), Ok(vec![1]));
    // One that was begun earlier and came in later.
    assert_eq!(put(&mut catalog, variant(3, 2)), Ok(vec![2]));
    let ids: Vec<u64> = catalog.of(7).iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [4, 3]);
    assert_eq!(catalog.remove(7, 3).unwrap().id, 3);
    assert_eq!(catalog.remove_all(7).len(), 1);
    assert!(!catalog.has(7) && catalog.bytes() == 0 && catalog.files() == 0);
}

#[test]
fn what_is_larger_than_the_tier_does_not_come_in() {
    let mut catalog = catalog(4_096, 1);
    put(&mut catalog, entry(1, 1)).unwrap();
    let large = Entry {
        bytes: 4_097,
        ..entry(2, 2)
    };
    (0..9).for_each(|_| catalog.asked_for(2));
    assert_eq!(put(&mut catalog, large), Err(Unwanted));
    assert!(catalog.has(1));
}

#[test]
fn a_smaller_tier_gives_up_the_coldest() {
    let mut catalog = catalog(2 * 4_096, 100);
    (1..=4).for_each(|id| catalog.restore(entry(id, id)));
    let gone: Vec<u64> = catalog.shrink().iter().map(|entry| entry.id).collect();
    assert_eq!(gone, [1, 2]);
}

proptest! {
    /// Whatever happens, the budget holds, and the parts of the index agree.
    #[test]
    fn the_budget_holds_and_the_index_agrees(
        steps in proptest::collection::vec((0..6u8, 0..12u64, 1..20_000u32), 1..300),
    ) {
        let (bytes, files) = (20 * 4_096, 9);
        let mut catalog = catalog(bytes, files);
        let mut known = std::collections::BTreeMap::new();
        let mut id = 0;
        for (step, name, size) in steps {
            let mut out = Vec::new();
            match step {
                0..=2 => {
                    id += 1;
                    catalog.asked_for(name);
                    if catalog.reserve(name, size, NOW, Admission::Contested, &mut out).is_ok() {
                        let variant = size % 3;
                        let expires = NOW + size % 2;
                        let entry = Entry { name, id, variant, bytes: size, expires, used: NOW };
                        catalog.insert(entry, 2, &mut out);
                        known.insert(id, entry);
                    }
                }
                3 => drop(catalog.touch(name, NOW + size)),
                4 => out.extend(catalog.remove_all(name)),
                _ => (0..3).for_each(|_| catalog.asked_for(name)),
            }
            for gone in out {
                prop_assert!(known.remove(&gone.id).is_some());
            }
            prop_assert!(catalog.bytes() <= bytes && catalog.files() <= files);
            let there: u64 = known.values().map(|entry| space(entry.bytes)).sum();
            prop_assert_eq!(catalog.bytes(), there);
            prop_assert_eq!(catalog.files(), known.len() as u64);
            let (mut paged, next) = catalog.page(0, usize::MAX);
            paged.sort_by_key(|entry| entry.id);
            prop_assert_eq!(next, None);
            prop_assert!(paged.iter().map(|e| e.id).eq(known.keys().copied()));
            let chained: usize = (0..12).map(|name| catalog.of(name).len()).sum();
            prop_assert_eq!(chained, known.len());
        }
    }
}
