use proptest::prelude::*;

use super::*;

const WHO: Identity = Identity { id: 77, name: 5 };

fn pieces(body: &[u8], length: usize) -> Vec<Bytes> {
    body.chunks(length.max(1))
        .map(Bytes::copy_from_slice)
        .collect()
}

fn body(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 / 7) as u8).collect()
}

/// A file with these bytes, opened and read whole.
fn read(directory: &tempfile::TempDir, bytes: &[u8], who: Identity) -> Result<Vec<u8>, Unread> {
    let path = directory.path().join("a");
    std::fs::write(&path, bytes).unwrap();
    let file = EntryFile::open(&path, who)?;
    let mut all = file.front.description.clone();
    all.extend(file.read(0..file.front.body_bytes)?);
    Ok(all)
}

fn written(body: &[u8], piece: usize, description: &[u8]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    let body = pieces(body, piece);
    write(&path, &front(WHO, description, &body), &body).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn a_file_reads_back_whatever_pieces_it_came_in() {
    let directory = tempfile::tempdir().unwrap();
    let block = BLOCK_BYTES as usize;
    for length in [0, 1, block - 1, block, block + 1, 3 * block, 200_000] {
        for piece in [999, block, block + 7, 1 << 20] {
            let bytes = written(&body(length), piece, b"head");
            let all = read(&directory, &bytes, WHO).unwrap();
            assert_eq!(all[..4], *b"head");
            assert_eq!(all[4..], body(length));
        }
    }
    // A long description needs a second look.
    let long = vec![3; 100_000];
    let bytes = written(b"x", 9, &long);
    assert_eq!(read(&directory, &bytes, WHO).unwrap().len(), 100_001);
}

#[test]
fn a_part_is_read_without_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    std::fs::write(&path, written(&body(200_000), 5_000, b"")).unwrap();
    let file = EntryFile::open(&path, WHO).unwrap();
    for bytes in [0..1, 65_535..65_537, 131_071..200_000, 7..199_999] {
        let (from, to) = (bytes.start as usize, bytes.end as usize);
        assert_eq!(file.read(bytes).unwrap()[..], body(200_000)[from..to]);
    }
}

#[test]
fn a_file_cut_anywhere_gives_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let whole = written(&body(70_000), 5_000, b"description");
    let lengths = (0..300)
        .chain((300..whole.len()).step_by(997))
        .chain([whole.len() - 1]);
    for length in lengths {
        let error = read(&directory, &whole[..length], WHO).unwrap_err();
        assert!(matches!(error, Unread::Damaged(_)), "{length}: {error}");
    }
    let mut longer = whole;
    longer.push(0);
    assert!(read(&directory, &longer, WHO).is_err());
}

#[test]
fn another_entrys_file_gives_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = written(b"body", 9, b"head");
    for other in [Identity { id: 78, ..WHO }, Identity { name: 6, ..WHO }] {
        assert!(read(&directory, &bytes, other).is_err());
    }
    // The front of one and the body of another that is as long.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    let (mine, theirs) = (pieces(b"mine!", 9), pieces(b"other", 9));
    write(&path, &front(WHO, b"", &mine), &theirs).unwrap();
    let file = EntryFile::open(&path, WHO).unwrap();
    assert!(matches!(file.read(0..5), Err(Unread::Damaged(_))));
}

#[test]
fn a_file_that_is_not_there_is_missing() {
    let path = tempfile::tempdir().unwrap().path().join("a");
    assert!(matches!(EntryFile::open(&path, WHO), Err(Unread::Missing)));
}

proptest! {
    #[test]
    fn a_flipped_bit_anywhere_is_noticed(at: proptest::sample::Index, bit in 0..8, length in 0..70_000usize) {
        let directory = tempfile::tempdir().unwrap();
        let mut bytes = written(&body(length), 5_000, b"description");
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        prop_assert!(matches!(read(&directory, &bytes, WHO), Err(Unread::Damaged(_))));
    }

    #[test]
    fn any_bytes_parse_or_do_not(bytes: Vec<u8>, id: u64, name: u64, length: u64) {
        let _ = Front::parse(&bytes, Identity { id, name }, length);
    }
}
